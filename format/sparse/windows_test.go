package sparse

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// pattern is a matrix of ones with these columns in each row.
func pattern(cols int, rows ...[]int32) *Matrix[int8] {
	m := New[int8](len(rows), cols)
	for i, row := range rows {
		m.AppendRow(i, row, slices.Repeat([]int8{1}, len(row)))
	}
	return m
}

func allRows(m *Matrix[int8]) []int {
	rows := make([]int, m.Rows)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// coverable reports by augmenting paths whether steps at these starts can take all columns of a row.
func coverable(columns []int32, starts []int, l WindowLayout) bool {
	held := make([][]int32, len(starts))
	for _, column := range columns {
		seen := make([]bool, len(starts))
		var find func(j int32) bool
		find = func(j int32) bool {
			for k, start := range starts {
				if seen[k] || int(j) < start || int(j) >= start+l.Window {
					continue
				}
				seen[k] = true
				if len(held[k]) < l.Lanes {
					held[k] = append(held[k], j)
					return true
				}
				for at, other := range held[k] {
					if find(other) {
						held[k][at] = j
						return true
					}
				}
			}
			return false
		}
		if !find(column) {
			return false
		}
	}
	return true
}

// fewestSteps tries all multisets of starts, fewest first.
func fewestSteps(m *Matrix[int8], rows []int, l WindowLayout) int {
	var extend func(starts []int, more int) bool
	extend = func(starts []int, more int) bool {
		if more == 0 {
			return !slices.ContainsFunc(rows, func(i int) bool {
				cols, _ := m.Row(i)
				return !coverable(cols, starts, l)
			})
		}
		first := 0
		if len(starts) > 0 {
			first = starts[len(starts)-1]
		}
		for s := first; s < m.Cols; s++ {
			if extend(append(slices.Clone(starts), s), more-1) {
				return true
			}
		}
		return false
	}
	for steps := 0; ; steps++ {
		if extend(nil, steps) {
			return steps
		}
	}
}

// drawPattern draws a matrix and a layout small enough for fewestSteps.
func drawPattern(t *rapid.T, maxRows int) (*Matrix[int8], WindowLayout) {
	cols := rapid.IntRange(1, 8).Draw(t, "columns")
	var rows [][]int32
	for range rapid.IntRange(1, maxRows).Draw(t, "rows") {
		var row []int32
		for j := range cols {
			if rapid.IntRange(0, 2).Draw(t, "stored") == 0 {
				row = append(row, int32(j))
			}
		}
		rows = append(rows, row)
	}
	l := WindowLayout{Rows: rapid.IntRange(1, 3).Draw(t, "slice"), Lanes: rapid.IntRange(1, 2).Draw(t, "lanes"), Window: rapid.IntRange(2, 5).Draw(t, "window")}
	return pattern(cols, rows...), l
}

// checkPacking fails unless every entry of the groups' rows is taken by exactly one step that may.
func checkPacking(t interface{ Fatalf(string, ...any) }, m *Matrix[int8], groups [][]int, p *WindowPacking) {
	groupOf := map[int]int{}
	entries := 0
	for g, group := range groups {
		for _, i := range group {
			groupOf[i] = g
			entries += int(m.Indptr[i+1] - m.Indptr[i])
		}
	}
	taken, seen := 0, map[int]bool{}
	for k, s := range p.Slices {
		if len(s.Rows) == 0 || len(s.Rows) > p.Layout.Rows || len(s.Counts) != len(s.Starts)*len(s.Rows) || !slices.IsSorted(s.Starts) {
			t.Fatalf("slice %d: %+v", k, s)
		}
		for r, i := range s.Rows {
			if seen[i] || groupOf[i] != groupOf[s.Rows[0]] {
				t.Fatalf("row %d is in two slices, or its slice %v in two groups", i, s.Rows)
			}
			seen[i] = true
			left, _ := m.Row(i)
			for step, start := range s.Starts {
				count := int(s.Counts[step*len(s.Rows)+r])
				if count > p.Layout.Lanes || count > len(left) {
					t.Fatalf("step %d takes %d entries of row %d, which has %d left", step, count, i, len(left))
				}
				for _, j := range left[:count] {
					if j < start || int(j-start) >= p.Layout.Window {
						t.Fatalf("column %d is not in the window at %d", j, start)
					}
				}
				if start < 0 || start > 0 && int(start)+p.Layout.Window > m.Cols {
					t.Fatalf("a window of %d at %d of %d columns", p.Layout.Window, start, m.Cols)
				}
				left, taken = left[count:], taken+count
			}
			if len(left) > 0 {
				t.Fatalf("row %d: columns %v are in no step", i, left)
			}
		}
	}
	if taken != entries {
		t.Fatalf("%d entries are taken of %d", taken, entries)
	}
}

func TestASliceIsPackedIntoTheFewestSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, l := drawPattern(t, 3)
		rows := allRows(m)
		l.Rows = len(rows)
		got := len(m.PackSlice(rows, l).Starts)
		if want := fewestSteps(m, rows, l); got != want {
			t.Fatalf("%d steps of %v for\n%v, %d are enough", got, l, m, want)
		}
		columns := m.columnsOf(nil, rows)
		if starts := WindowStarts(columns, l); len(starts) != got {
			t.Fatalf("starts %v, but %d steps", starts, got)
		}
		if !reflect.DeepEqual(columns, m.columnsOf(nil, rows)) {
			t.Fatal("WindowStarts changed its argument")
		}
	})
}

func TestAPackingByHand(t *testing.T) {
	// Two lanes, windows of four: row 0 needs a second step in columns 0 to 3, and 9 a third.
	m := pattern(10, []int32{0, 1, 2, 9}, []int32{3}, []int32{}, []int32{5, 8})
	p, err := m.PackWindows([][]int{{0, 1}, {2, 3}}, WindowLayout{Rows: 2, Lanes: 2, Window: 4})
	if err != nil {
		t.Fatal(err)
	}
	want := []WindowSlice{
		{Rows: []int{0, 1}, Starts: []int32{0, 2, 6}, Counts: []uint8{2, 1, 1, 0, 1, 0}},
		{Rows: []int{3}, Starts: []int32{5}, Counts: []uint8{2}},
	}
	if !reflect.DeepEqual(p.Slices, want) || p.Steps() != 4 {
		t.Errorf("%d steps: %v, want %v", p.Steps(), p.Slices, want)
	}
	if fill := p.Fill(); fill != 7.0/16 {
		t.Errorf("filled to %g, 7 of 16 places hold an entry", fill)
	}
}

func TestPackingsHoldEveryEntryOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, l := drawPattern(t, 9)
		rows := rapid.Permutation(allRows(m)).Draw(t, "order")
		cut := rapid.IntRange(0, len(rows)).Draw(t, "cut")
		groups := [][]int{rows[:cut], {}, rows[cut:]}
		p, err := m.PackWindows(groups, l)
		if err != nil {
			t.Fatal(err)
		}
		checkPacking(t, m, groups, p)
		asGiven := 0
		for _, group := range groups {
			for slice := range slices.Chunk(group, l.Rows) {
				asGiven += len(m.PackSlice(slice, l).Starts)
			}
		}
		if p.Steps() > asGiven {
			t.Fatalf("%d steps, the order as given has %d", p.Steps(), asGiven)
		}
		again, err := m.PackWindows(groups, l)
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%v packs differently the second time: %v", p, again)
		}
	})
}

func TestOrdersAreCutBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, l := drawPattern(t, 6)
		p := &slicePacker[int8]{matrix: m, layout: l, taken: make([]uint8, l.Rows)}
		var fewest func(rows []int) int
		fewest = func(rows []int) int {
			best := 1 << 30
			for k := 1; k <= min(len(rows), l.Rows); k++ {
				best = min(best, len(m.PackSlice(rows[:k], l).Starts)+fewest(rows[k:]))
			}
			if len(rows) == 0 {
				return 0
			}
			return best
		}
		if c := p.cut(allRows(m)); c.steps != fewest(allRows(m)) {
			t.Fatalf("%v: %d steps, want %d", c.slices, c.steps, fewest(allRows(m)))
		}
	})
}

func TestTheBetterOrderIsTaken(t *testing.T) {
	l := WindowLayout{Rows: 2, Lanes: 1, Window: 2}
	near, far, nearShort, farShort := []int32{0, 1}, []int32{8, 9}, []int32{0}, []int32{9}
	for name, c := range map[string]struct {
		m     *Matrix[int8]
		steps int
	}{
		"as given":  {pattern(10, near, nearShort, far, farShort), 4}, // by length: 4 + 2
		"by length": {pattern(10, near, []int32{3}, []int32{0, 1}, []int32{3}), 3},
	} {
		if p, err := c.m.PackWindows([][]int{allRows(c.m)}, l); err != nil || p.Steps() != c.steps {
			t.Errorf("%s: %d steps, want %d (%v)", name, p.Steps(), c.steps, err)
		}
	}
}

// A plan that was made for more entries stands when some go, columns that nothing reads among them.
func TestFewerEntriesNeverTakeMoreSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, l := drawPattern(t, 6)
		less := New[int8](m.Rows, m.Cols)
		for i := range m.Rows {
			cols, values := m.Row(i)
			var kept []int32
			for _, j := range cols {
				if rapid.Bool().Draw(t, "kept") {
					kept = append(kept, j)
				}
			}
			less.AppendRow(i, kept, values[:len(kept)])
		}
		narrow, width := make([]int, m.Cols), 0
		for j := range narrow {
			narrow[j] = -1
			if slices.Contains(less.Indices, int32(j)) {
				narrow[j] = width
				width++
			}
		}
		less = less.MapColumns(width, narrow)
		for slice := range slices.Chunk(allRows(m), l.Rows) {
			if a, b := len(m.PackSlice(slice, l).Starts), len(less.PackSlice(slice, l).Starts); b > a {
				t.Fatalf("%d steps, %d after entries were removed", a, b)
			}
		}
	})
}

func TestPackWindowsRefuses(t *testing.T) {
	m := pattern(3, []int32{0}, []int32{1})
	good := WindowLayout{Rows: 16, Lanes: 4, Window: 128}
	for name, c := range map[string]struct {
		groups [][]int
		layout WindowLayout
	}{
		"no rows in a slice": {nil, WindowLayout{0, 4, 128}},
		"no lanes":           {nil, WindowLayout{16, 0, 128}},
		"too many lanes":     {nil, WindowLayout{16, 256, 128}},
		"no window":          {nil, WindowLayout{16, 4, 0}},
		"a row too many":     {[][]int{{0, 2}}, good},
		"a negative row":     {[][]int{{-1}}, good},
		"a row twice":        {[][]int{{0}, {1, 0}}, good},
	} {
		if _, err := m.PackWindows(c.groups, c.layout); !errors.Is(err, ErrWindows) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPackWindows(f *testing.F) {
	f.Add([]byte{3, 4, 2, 5, 0, 1, 9, 0, 0, 7, 250})
	f.Add([]byte{16, 4, 128, 200, 1, 1, 1, 1, 1, 1, 90, 0, 1, 1, 127})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4 {
			return
		}
		// The first bytes are the layout and the number of columns, then gaps; a gap of 0 or one over the
		// edge ends a row.
		l := WindowLayout{Rows: int(data[0]), Lanes: int(data[1]), Window: int(data[2])}
		cols := 1 + 4*int(data[3])
		var rows [][]int32
		var row []int32
		column := int32(-1)
		for _, gap := range data[4:] {
			column += int32(gap)
			if gap == 0 || int(column) >= cols {
				rows, row, column = append(rows, row), nil, -1
				continue
			}
			row = append(row, column)
		}
		m := pattern(cols, rows...)
		all := allRows(m)
		groups := [][]int{all[:len(all)/3], all[len(all)/3:]}
		p, err := m.PackWindows(groups, l)
		if (err == nil) != (l.Validate() == nil) {
			t.Fatalf("%v: %v", l, err)
		}
		if err == nil {
			checkPacking(t, m, groups, p)
		}
	})
}

// BenchmarkPackWindows packs about 5,000 entries of levels of 98, 62 and 10 rows.
func BenchmarkPackWindows(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	var rows [][]int32
	for range 170 {
		var row []int32
		density := random.Float64() / 12
		for j := range 840 {
			if random.Float64() < density {
				row = append(row, int32(j))
			}
		}
		rows = append(rows, row)
	}
	m := pattern(840, rows...)
	all := allRows(m)
	for _, l := range []WindowLayout{{16, 4, 128}, {8, 4, 32}, {4, 4, 64}} {
		b.Run(fmt.Sprintf("%dx%din%d", l.Rows, l.Lanes, l.Window), func(b *testing.B) {
			b.ReportAllocs()
			var p *WindowPacking
			for b.Loop() {
				p, _ = m.PackWindows([][]int{all[:98], all[98:160], all[160:]}, l)
			}
			b.ReportMetric(float64(p.Steps()), "steps")
			b.ReportMetric(p.Fill(), "fill")
		})
	}
}
