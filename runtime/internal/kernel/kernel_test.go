package kernel

import (
	"slices"
	"testing"
)

func TestThePortableKernelIsAlwaysThereAndLast(t *testing.T) {
	names := Names()
	if len(names) == 0 || names[len(names)-1] != Portable {
		t.Fatalf("kernels %v: the last must be %q", names, Portable)
	}
	for _, name := range names {
		if k, found := Find(name); !found || k.Name != name || k.Pack == nil {
			t.Errorf("Find(%q) gives %q", name, k.Name)
		}
	}
	if _, found := Find("abacus"); found {
		t.Error("Find finds a kernel that is not in the table")
	}
	if slices.Contains(names, "") {
		t.Error("a kernel without a name")
	}
}

func TestNumbersOfAnyLengthAreReadFromStreams(t *testing.T) {
	stream := []byte{0x00, 0x7F, 0x80, 0x01, 0xFF, 0x7F, 0x80, 0x80, 0x40, 0x05}
	want := []int{0, 127, 128, 16383, 1 << 20, 5}
	at := 0
	for _, w := range want {
		value, next := uvarint(stream, at)
		if value != w {
			t.Errorf("at %d: %d, want %d", at, value, w)
		}
		at = next
	}
	if at != len(stream) {
		t.Errorf("ended at %d of %d", at, len(stream))
	}
}

// The rows of both engines' reader, against numbers written by hand.
func TestRowsAreReadColumnByColumn(t *testing.T) {
	s := &Streams{
		Lengths: []byte{2, 0, 3},
		Gaps:    []byte{3, 0, 0, 0x80, 0x01, 1},
		Values:  []byte{5, 0xFB, 1, 0xFF, 0},
		Low:     []byte{0xC0, 63, 0xFF},
	}
	type entry struct {
		column int
		weight int32
	}
	want := [][]entry{{{3, 5}, {4, -5}}, nil, {{0, 128 - 64}, {129, -128 + 63}, {131, -1}}}
	planes := []uint8{1, 2, 2}
	var at cursor
	for i := range want {
		var got []entry
		row := s.row(&at, &Row{Planes: planes[i]})
		for row.next() {
			got = append(got, entry{row.column, row.weight})
		}
		if !slices.Equal(got, want[i]) {
			t.Errorf("row %d: %v, want %v", i, got, want[i])
		}
	}
	if at != (cursor{lengths: 3, gaps: 6, values: 5, low: 3}) {
		t.Errorf("the cursor ends at %+v", at)
	}
}
