package dataset

import (
	"slices"
	"testing"
)

func TestImagesMoveByPixels(t *testing.T) {
	image := []float32{1, 2, 3, 4, 5, 6} // 2 × 3
	apply := func(i *Image, v []float32, down, right int) []float32 {
		out := make([]float32, len(v))
		for k, from := range i.Moved(down, right) {
			if from >= 0 {
				out[k] = v[from]
			}
		}
		return out
	}
	grey := &Image{Height: 2, Width: 3, Channels: 1}
	colours := []float32{1, 10, 2, 20, 3, 30, 4, 40} // 2 × 2 pixels of two channels
	planes := []float32{1, 2, 3, 4, 10, 20, 30, 40}
	for _, c := range []struct {
		name        string
		image       *Image
		values      []float32
		down, right int
		want        []float32
	}{
		{"stays", grey, image, 0, 0, image},
		{"down", grey, image, 1, 0, []float32{0, 0, 0, 1, 2, 3}},
		{"up", grey, image, -1, 0, []float32{4, 5, 6, 0, 0, 0}},
		{"right", grey, image, 0, 1, []float32{0, 1, 2, 0, 4, 5}},
		{"left", grey, image, 0, -1, []float32{2, 3, 0, 5, 6, 0}},
		{"out of sight", grey, image, 2, 0, make([]float32, 6)},
		{"channels together", &Image{2, 2, 2, false}, colours, 0, 1, []float32{0, 0, 1, 10, 0, 0, 3, 30}},
		{"planes", &Image{2, 2, 2, true}, planes, 1, 0, []float32{0, 0, 1, 2, 0, 0, 10, 20}},
	} {
		if got := apply(c.image, c.values, c.down, c.right); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if m := grey.OnePixel(); len(m) != 5 || !slices.Equal(m[0], []int32{0, 1, 2, 3, 4, 5}) {
		t.Errorf("the first of %d moves is %v, it must leave the image where it is", len(m), m[0])
	}
}

func TestReadersKnowImages(t *testing.T) {
	set, err := Open("builtin:fashion-mini", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if set.Image == nil || *set.Image != (Image{28, 28, 1, false}) {
		t.Errorf("fashion-mini's images are %+v", set.Image)
	}
}
