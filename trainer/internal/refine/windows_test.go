package refine

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/sparse"
)

// randomRows makes rows over cols columns whose saliencies are small whole numbers, so that sums of them
// are exact whatever their order. Rows prefer regions, as those of an image do.
func randomRows(random *rand.Rand, rows, cols int, density float64) []WindowRow {
	all := make([]WindowRow, rows)
	for i := range all {
		centre, scale := random.Float64()*float64(cols), 1+random.IntN(40)
		for j := range cols {
			distance := (float64(j) - centre) / float64(cols)
			if random.Float64() < density*(1.5-3*distance*distance) {
				all[i].Columns = append(all[i].Columns, int32(j))
				all[i].Saliency = append(all[i].Saliency, float64(random.IntN(scale)))
			}
		}
	}
	return all
}

// holdable reports by augmenting paths whether steps at starts can hold these entries of a row.
func holdable(row WindowRow, entries uint, starts []int32, lanes, width int) bool {
	held := make([][]int32, len(starts))
	for ; entries != 0; entries &= entries - 1 {
		seen := make([]bool, len(starts))
		var find func(j int32) bool
		find = func(j int32) bool {
			for k, start := range starts {
				if seen[k] || j < start || int(j) >= int(start)+width {
					continue
				}
				seen[k] = true
				if len(held[k]) < lanes {
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
		if !find(row.Columns[bits.TrailingZeros(entries)]) {
			return false
		}
	}
	return true
}

// most returns the largest saliency of a row's entries that steps at starts can hold, trying all sets.
func most(row WindowRow, starts []int32, lanes, width int) float64 {
	best := 0.0
	for entries := range uint(1) << len(row.Columns) {
		sum := 0.0
		for e, v := range row.Saliency {
			if entries>>e&1 > 0 {
				sum += v
			}
		}
		if sum > best && holdable(row, entries, starts, lanes, width) {
			best = sum
		}
	}
	return best
}

// checkCover fails unless the cover is consistent and every row keeps the most it can.
func checkCover(t *testing.T, c *windowCover) {
	t.Helper()
	var starts []int32
	for k, s := range c.steps {
		if s.at != k || k > 0 && s.start < c.steps[k-1].start {
			t.Fatalf("step %d says %d, starts %v then %d", k, s.at, starts, s.start)
		}
		starts = append(starts, s.start)
	}
	want := 0.0
	for r := range c.rows {
		row := &c.rows[r]
		times := make([]int, len(row.Columns))
		for _, s := range c.steps {
			if len(s.held[r]) > c.lanes {
				t.Fatalf("a step holds %d entries of row %d", len(s.held[r]), r)
			}
			for _, e := range s.held[r] {
				times[e]++
				if !c.fits(s, row.Columns[e]) {
					t.Fatalf("column %d is held by the step at %d", row.Columns[e], s.start)
				}
			}
		}
		spare := row.spare
		for e, kept := range row.kept {
			if !kept && (len(spare) == 0 || spare[0] != spareEntry{row.Columns[e], int32(e), row.Saliency[e]}) || kept != (times[e] == 1) || times[e] > 1 {
				t.Fatalf("row %d, entry %d: kept %v, held %d times, spare %v", r, e, kept, times[e], row.spare)
			}
			if !kept {
				spare = spare[1:]
			}
		}
		want += most(row.WindowRow, starts, c.lanes, int(c.width))
	}
	if c.saliency != want {
		t.Fatalf("steps at %v keep %g, they can keep %g", starts, c.saliency, want)
	}
}

func TestStepsKeepTheMostTheyCan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	overestimates, changes := 0, 0
	for range 150 {
		cols := 4 + random.IntN(12)
		c := newWindowCover(randomRows(random, 1+random.IntN(3), cols, 0.45), 1+random.IntN(3), 2+random.IntN(6))
		for range 12 {
			before := c.saliency
			if len(c.steps) > 0 && random.IntN(3) == 0 {
				s := c.steps[random.IntN(len(c.steps))]
				loss := c.loss(s)
				c.remove(s)
				if loss > before-c.saliency {
					t.Fatalf("a loss of %g was estimated, it is %g", loss, before-c.saliency)
				}
				if loss < before-c.saliency {
					overestimates++
				}
			} else {
				start := int32(random.IntN(cols) - 1)
				gain := c.gain(start)
				c.add(start)
				if gain < c.saliency-before {
					t.Fatalf("a gain of %g was estimated, it is %g", gain, c.saliency-before)
				}
				if gain > c.saliency-before {
					overestimates++
				}
			}
			changes++
			checkCover(t, c)
		}
	}
	t.Logf("of %d estimates %d were wrong", changes, overestimates)
	if overestimates > changes/10 {
		t.Errorf("of %d estimates %d were wrong", changes, overestimates)
	}
}

// bestPlan tries all slices and all starts of a level of few rows.
func bestPlan(rows []WindowRow, l sparse.WindowLayout, cols, budget int) float64 {
	// within[rows as bits][k] is the most that a slice of these rows keeps with k steps.
	within := map[uint][]float64{}
	for set := range uint(1) << len(rows) {
		if set == 0 || bits.OnesCount(set) > l.Rows {
			continue
		}
		within[set] = make([]float64, budget+1)
		var extend func(starts []int32)
		extend = func(starts []int32) {
			sum := 0.0
			for i, row := range rows {
				if set>>i&1 > 0 {
					sum += most(row, starts, l.Lanes, l.Window)
				}
			}
			within[set][len(starts)] = max(within[set][len(starts)], sum)
			if len(starts) == budget {
				return
			}
			first := int32(0)
			if len(starts) > 0 {
				first = starts[len(starts)-1]
			}
			for s := first; int(s) < cols; s++ {
				extend(append(slices.Clone(starts), s))
			}
		}
		extend(nil)
	}
	// Slices are dealt out one after the other, the one with the lowest row left first.
	var deal func(left uint, budget int) float64
	deal = func(left uint, budget int) float64 {
		if left == 0 {
			return 0
		}
		best := 0.0
		for set, kept := range within {
			if set&^left == 0 && set&(left&-left) > 0 {
				for k := 0; k <= budget; k++ {
					best = max(best, kept[k]+deal(left&^set, budget-k))
				}
			}
		}
		return best
	}
	return deal(1<<len(rows)-1, budget)
}

func TestWindowPlanIsNearTheBest(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	const problems = 60
	least, sum := 1.0, 0.0
	for range problems {
		cols, budget := 6+random.IntN(3), 2+random.IntN(2)
		rows := randomRows(random, 4, cols, 0.5)
		l := sparse.WindowLayout{Rows: 2, Lanes: 1 + random.IntN(2), Window: 2 + random.IntN(2)}
		best := bestPlan(rows, l, cols, budget)
		got := PlanWindows([][]WindowRow{rows}, l, budget, nil).Saliency
		if got > best {
			t.Fatalf("a plan keeps %g, more than the best, %g", got, best)
		}
		ratio := 1.0
		if best > 0 {
			ratio = got / best
		}
		least, sum = min(least, ratio), sum+ratio
	}
	t.Logf("plans keep at least %.3f, on average %.3f of the best", least, sum/problems)
	if least < 0.7 || sum/problems < 0.97 {
		t.Errorf("plans keep at least %.3f, on average %.3f of the best", least, sum/problems)
	}
}

// packed packs what the plan keeps in the order of its slices, and returns the number of steps.
func packed(t testing.TB, levels [][]WindowRow, plan *WindowPlan, l sparse.WindowLayout) int {
	t.Helper()
	rows, groups := 0, make([][]int, len(levels))
	for level := range levels {
		for _, slice := range plan.Slices[level] {
			rows += len(slice)
		}
	}
	m := sparse.New[float32](rows, 1<<16)
	rows = 0
	for level, all := range levels {
		for _, i := range slices.Concat(plan.Slices[level]...) {
			var kept []int32
			for _, e := range plan.Keep[level][i] {
				kept = append(kept, all[i].Columns[e])
			}
			m.AppendRow(rows, kept, make([]float32, len(kept)))
			groups[level] = append(groups[level], rows)
			rows++
		}
	}
	if err := m.Validate("kept"); err != nil {
		t.Fatal(err)
	}
	packing, err := m.PackWindows(groups, l)
	if err != nil {
		t.Fatal(err)
	}
	return packing.Steps()
}

// checkPlan fails unless the plan keeps its promises.
func checkPlan(t testing.TB, levels [][]WindowRow, plan *WindowPlan, l sparse.WindowLayout, budget int) {
	t.Helper()
	if plan.Steps > max(0, budget) {
		t.Fatalf("%d steps for a budget of %d", plan.Steps, budget)
	}
	if steps := packed(t, levels, plan, l); steps > plan.Steps {
		t.Fatalf("what is kept packs into %d steps, the plan says %d", steps, plan.Steps)
	}
	saliency := 0.0
	for level, rows := range levels {
		sliced := make([]bool, len(rows))
		for _, slice := range plan.Slices[level] {
			if len(slice) > l.Rows {
				t.Fatalf("a slice of %d rows", len(slice))
			}
			for _, i := range slice {
				if sliced[i] {
					t.Fatalf("row %d is in two slices", i)
				}
				sliced[i] = true
			}
		}
		for i, keep := range plan.Keep[level] {
			if len(rows[i].Columns) > 0 != sliced[i] {
				t.Fatalf("row %d of %d entries: in a slice: %v", i, len(rows[i].Columns), sliced[i])
			}
			for k, e := range keep {
				if k > 0 && e <= keep[k-1] {
					t.Fatalf("row %d keeps %v", i, keep)
				}
				saliency += rows[i].Saliency[e]
			}
		}
	}
	if saliency != plan.Saliency {
		t.Fatalf("%g is kept, the plan says %g", saliency, plan.Saliency)
	}
}

// keptRows are the rows with what the plan keeps alone.
func keptRows(levels [][]WindowRow, plan *WindowPlan) [][]WindowRow {
	kept := make([][]WindowRow, len(levels))
	for level, rows := range levels {
		kept[level] = make([]WindowRow, len(rows))
		for i, keep := range plan.Keep[level] {
			for _, e := range keep {
				kept[level][i].Columns = append(kept[level][i].Columns, rows[i].Columns[e])
				kept[level][i].Saliency = append(kept[level][i].Saliency, rows[i].Saliency[e])
			}
		}
	}
	return kept
}

func TestWindowPlansKeepTheirPromises(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 1))
	for _, l := range []sparse.WindowLayout{{Rows: 16, Lanes: 4, Window: 128}, {Rows: 8, Lanes: 4, Window: 32}, {Rows: 4, Lanes: 4, Window: 64}} {
		levels := [][]WindowRow{randomRows(random, 50, 300, 0.1), randomRows(random, 21, 350, 0.1), {}, randomRows(random, 3, 370, 0.1)}
		total := 0.0
		for _, rows := range levels {
			for _, row := range rows {
				for _, v := range row.Saliency {
					total += v
				}
			}
		}
		last := 0.0
		for _, budget := range []int{-1, 0, 1, 7, 20, 40, 80, 100000} {
			plan := PlanWindows(levels, l, budget, nil)
			checkPlan(t, levels, plan, l, budget)
			t.Logf("%v: %d steps of %d keep %.3f", l, plan.Steps, budget, plan.Saliency/total)
			if plan.Saliency < last {
				t.Errorf("%v: %d steps keep %g, fewer kept %g", l, budget, plan.Saliency, last)
			}
			last = plan.Saliency
			if again := PlanWindows(levels, l, budget, nil); !reflect.DeepEqual(plan, again) {
				t.Errorf("%v, %d steps: another plan the second time", l, budget)
			}
			kept := keptRows(levels, plan)
			again := PlanWindows(kept, l, budget, plan.Slices)
			checkPlan(t, kept, again, l, budget)
			if again.Saliency != plan.Saliency {
				t.Errorf("%v: of what a plan of %d steps kept, %g, the next keeps %g", l, budget, plan.Saliency, again.Saliency)
			}
		}
		if last != total {
			t.Errorf("%v: with steps enough %g is kept of %g", l, last, total)
		}
	}
}

func TestAWindowPlanByHand(t *testing.T) {
	// Two rows to a slice, one lane, windows of three. The first two rows are worth most together at the
	// left, the others at the right; a third step serves row 2 at the left.
	rows := []WindowRow{
		{[]int32{0, 9}, []float64{9, 1}},
		{[]int32{0, 2}, []float64{2, 8}},
		{[]int32{1, 8}, []float64{3, 5}},
		{[]int32{9}, []float64{4}},
	}
	for budget, want := range map[int]WindowPlan{
		1: {Keep: [][][]int32{{{0}, {1}, nil, nil}}, Steps: 1, Saliency: 17},
		2: {Keep: [][][]int32{{{0}, {1}, {1}, {0}}}, Steps: 2, Saliency: 26},
		3: {Keep: [][][]int32{{{0}, {1}, {0, 1}, {0}}}, Steps: 3, Saliency: 29},
	} {
		want.Slices = [][][]int{{{0, 1}, {2, 3}}}
		plan := PlanWindows([][]WindowRow{rows}, sparse.WindowLayout{Rows: 2, Lanes: 1, Window: 3}, budget, nil)
		if !reflect.DeepEqual(*plan, want) {
			t.Errorf("%d steps: %+v, want %+v", budget, *plan, want)
		}
	}
}

func TestRowsThatReadTheSameColumnsShareSlices(t *testing.T) {
	// Rows of four places in turn, with the same worth: grouped by worth every slice needs four windows,
	// grouped by place one.
	var rows []WindowRow
	for i := range 32 {
		first := int32(100 * (i % 4))
		rows = append(rows, WindowRow{[]int32{first, first + 5, first + 9}, []float64{3, 4, 5}})
	}
	l := sparse.WindowLayout{Rows: 8, Lanes: 3, Window: 10}
	plan := PlanWindows([][]WindowRow{rows}, l, 8, nil)
	checkPlan(t, [][]WindowRow{rows}, plan, l, 8)
	if plan.Saliency < 32*12*0.9 {
		t.Errorf("%g is kept of %d", plan.Saliency, 32*12)
	}
}

// TestPlansForTheEndKeepMore compares one plan with a row of plans of ever fewer steps.
func TestPlansForTheEndKeepMore(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 1))
	levels := [][]WindowRow{randomRows(random, 60, 400, 0.08), randomRows(random, 30, 460, 0.06)}
	l := sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}
	const steps = 25
	plan := PlanWindows(levels, l, 1000, nil)
	kept := keptRows(levels, plan)
	for left := plan.Steps; left > steps; {
		left = max(steps, left-5)
		plan = PlanWindows(kept, l, left, plan.Slices)
		kept = keptRows(kept, plan)
	}
	atOnce := PlanWindows(levels, l, steps, nil).Saliency
	t.Logf("one after the other they keep %.3f of what one keeps", plan.Saliency/atOnce)
	if plan.Saliency > atOnce {
		t.Errorf("one after the other they keep %g, one keeps %g", plan.Saliency, atOnce)
	}
}

func FuzzPlanWindows(f *testing.F) {
	f.Add([]byte{16, 4, 30, 5, 1, 3, 9, 2, 8, 8, 0, 4, 7, 7, 200, 3})
	f.Add([]byte{2, 1, 3, 2, 1, 5, 2, 9, 0, 0, 2, 2, 3, 3, 0, 0, 1, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 5 || data[0] == 0 || data[1] == 0 || data[2] == 0 || len(data) > 200 { // longer ones take seconds where coverage is counted
			return
		}
		// Layout and budget, then pairs of a gap and a saliency; a gap of 0 ends a row, two end a level.
		l := sparse.WindowLayout{Rows: int(data[0]), Lanes: int(data[1]), Window: int(data[2])}
		levels, row, column := [][]WindowRow{nil}, WindowRow{}, int32(-1)
		for k := 4; k+1 < len(data); k += 2 {
			level := &levels[len(levels)-1]
			switch {
			case data[k] > 0:
				column += int32(data[k])
				row.Columns, row.Saliency = append(row.Columns, column), append(row.Saliency, float64(data[k+1]))
			case column >= 0:
				*level = append(*level, row)
				row, column = WindowRow{}, -1
			default:
				levels = append(levels, nil)
			}
		}
		budget := int(data[3])
		plan := PlanWindows(levels, l, budget, nil)
		checkPlan(t, levels, plan, l, budget)
		kept := keptRows(levels, plan)
		checkPlan(t, kept, PlanWindows(kept, l, budget/2, plan.Slices), l, budget/2)
	})
}

// BenchmarkPlanWindows plans for rows like those of a fit of 10,000 weights, anew and from an earlier plan.
func BenchmarkPlanWindows(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	levels := [][]WindowRow{randomRows(random, 98, 784, 0.08), randomRows(random, 62, 882, 0.05), randomRows(random, 10, 944, 0.1)}
	l := sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}
	for _, budget := range []int{200, 130, 80, 40} {
		plan := PlanWindows(levels, l, budget, nil)
		b.Run(fmt.Sprint(budget), func(b *testing.B) {
			for b.Loop() {
				PlanWindows(levels, l, budget, nil)
			}
		})
		b.Run(fmt.Sprintf("%d/again", budget), func(b *testing.B) {
			for b.Loop() {
				PlanWindows(levels, l, budget, plan.Slices)
			}
		})
	}
}
