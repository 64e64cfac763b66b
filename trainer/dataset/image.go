package dataset

// Image is how the values of an input are pixels.
type Image struct {
	Height, Width, Channels int
	Planar                  bool // channel after channel; otherwise the channels of a pixel lie together
}

// imageOf reads the axes behind the samples as rows × columns, and channels if there is a third; nil when
// they are no image's.
func imageOf(shape []int) *Image {
	switch len(shape) {
	case 2:
		return &Image{Height: shape[0], Width: shape[1], Channels: 1}
	case 3:
		return &Image{Height: shape[0], Width: shape[1], Channels: shape[2]}
	}
	return nil
}

// Moved returns, for each value of an image moved down and right by so many pixels, which value of the image
// it is, or −1 where it comes from outside.
func (i *Image) Moved(down, right int) []int32 {
	from := make([]int32, i.Height*i.Width*i.Channels)
	for at := range from {
		pixel, step, rest := at/i.Channels, i.Channels, at%i.Channels
		if plane := i.Height * i.Width; i.Planar {
			pixel, step, rest = at%plane, 1, at/plane*plane
		}
		from[at] = -1
		if y, x := pixel/i.Width-down, pixel%i.Width-right; y >= 0 && y < i.Height && x >= 0 && x < i.Width {
			from[at] = int32((y*i.Width+x)*step + rest)
		}
	}
	return from
}

// OnePixel are the moves of mild augmentation: none, then one pixel along an axis.
func (i *Image) OnePixel() [][]int32 {
	return [][]int32{i.Moved(0, 0), i.Moved(1, 0), i.Moved(-1, 0), i.Moved(0, 1), i.Moved(0, -1)}
}
