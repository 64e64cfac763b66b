package tune

// Moves are translations of images by whole pixels. What moves in from outside is 0.
type Moves struct {
	Height, Width int
	Channels      int
	Planar        bool     // channel after channel; otherwise the channels of a pixel lie together
	By            [][2]int // down and right; the first is (0, 0)
}

// Apply writes an image moved by m.By[variant].
func (m *Moves) Apply(dst, image []float32, variant int) {
	for at := range dst {
		from, inside := m.source(at, m.By[variant])
		dst[at] = 0
		if inside {
			dst[at] = image[from]
		}
	}
}

// source returns where value `at` of a moved image comes from.
func (m *Moves) source(at int, by [2]int) (from int, inside bool) {
	pixel, step, rest := at/m.Channels, m.Channels, at%m.Channels
	if m.Planar {
		pixel, step, rest = at%(m.Height*m.Width), 1, at/(m.Height*m.Width)*m.Height*m.Width
	}
	y, x := pixel/m.Width-by[0], pixel%m.Width-by[1]
	if y < 0 || y >= m.Height || x < 0 || x >= m.Width {
		return 0, false
	}
	return (y*m.Width+x)*step + rest, true
}

// load fills a line with value `at` of the chosen variants.
func (m *Moves) load(line, inputs []float32, width, at int, chosen []int) {
	var offset [16]int
	variants := len(m.By)
	table := offset[:0]
	for _, by := range m.By {
		from, inside := m.source(at, by)
		if !inside {
			from = -1
		}
		table = append(table, from)
	}
	for k, variant := range chosen {
		line[k] = 0
		if from := table[variant%variants]; from >= 0 {
			line[k] = inputs[variant/variants*width+from]
		}
	}
}
