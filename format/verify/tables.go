package verify

import (
	"math"
	"math/bits"
	"slices"
	"sort"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// tableProof is what is known of one stored table. Made once, it answers for a state of any scale and zero
// point in logarithmic time: a file may have a hundred thousand states that read one table, no two alike.
type tableProof struct {
	span span

	// What φ(Step·t) is at least (below) and at most (above) where T(t) = q. Of all q only those matter at
	// which some s·(q − z) can be farthest from it: corners of convex hulls. nil until they are needed.
	below, above []corner
}

// corner is a point of a hull: above all, q and what φ is there in units of 2^−gridBits. Those of
// tableProof.above are mirrored, −q and −φ, so that both hulls are lower ones.
type corner struct{ q, v int64 }

// gridBits is the grid on which bounds of φ are rounded outward: finer than curveError, and coarse enough
// that float64 holds every number of it in [−1, 1].
const gridBits = 53

// tableError returns τ: the largest |s(T(t) − z) − φ(Step·t)| over the domain, and beyond its ends, where
// the last entry stands for all that φ still does.
func (c *checker) tableError(i int) float64 {
	row := &c.m.Rows[i]
	proof, table := &c.tables[row.Table], &c.m.Tables[row.Table]
	if proof.below == nil {
		proof.enclose(c.m.Width, table)
	}
	bottom, top := -1.0, 1.0
	if table.Kind == simb.Sigmoid {
		bottom = 0
	}
	least, most := c.m.Width.TableDomain()
	first := worth(row, lookUp(c.m.Width, table.Entries, least))
	last := worth(row, lookUp(c.m.Width, table.Entries, most))
	worst := max(point(bottom).distance(first), point(top).distance(last))
	low, high := farthest(proof.below, row.Scale), farthest(proof.above, row.Scale)
	return max(worst, subUp(worth(row, low.q), onGrid(low.v)), subUp(onGrid(-high.v), worth(row, -high.q)))
}

// onGrid returns the number that v stands for, exactly.
func onGrid(v int64) float64 { return math.Ldexp(float64(v), -gridBits) }

// enclose bounds φ for every value of the table and keeps the corners of both hulls.
func (p *tableProof) enclose(width quant.Width, table *simb.Table) {
	const none = math.MaxInt64
	least, most := width.TableDomain()
	size := int(slices.Max(table.Entries)) + 1
	low, high := make([]int64, size), make([]int64, size) // high is negated: both are the least of their kind
	for q := range size {
		low[q], high[q] = none, none
	}
	for t := least; t <= most; t++ {
		phi := curve(table.Kind, float64(table.Step)*float64(t)) // the product is exact
		q := lookUp(width, table.Entries, t)
		low[q] = min(low[q], int64(math.Floor(math.Ldexp(phi.lo, gridBits))))
		high[q] = min(high[q], int64(math.Floor(math.Ldexp(-phi.hi, gridBits))))
	}
	var below, above []corner
	for q := range size {
		if low[q] != none {
			below = append(below, corner{int64(q), low[q]})
		}
		if mirrored := size - 1 - q; high[mirrored] != none {
			above = append(above, corner{int64(-mirrored), high[mirrored]})
		}
	}
	p.below, p.above = hull(below), hull(above)
}

// hull returns the corners of the lower convex hull of points with ascending q. φ does not fall, and so v does
// not, but by what computing it errs: v is lowered to what comes after it, which is on the safe side.
func hull(points []corner) []corner {
	for k := len(points) - 2; k >= 0; k-- {
		points[k].v = min(points[k].v, points[k+1].v)
	}
	var kept []corner
	for _, c := range points {
		for len(kept) > 1 && !steeper(kept[len(kept)-2], kept[len(kept)-1], c) {
			kept = kept[:len(kept)-1]
		}
		kept = append(kept, c)
	}
	return slices.Clip(kept)
}

// steeper reports whether the line from b to c rises faster than that from a to b, exactly.
func steeper(a, b, c corner) bool {
	high, low := bits.Mul64(uint64(c.v-b.v), uint64(b.q-a.q))
	otherHigh, otherLow := bits.Mul64(uint64(b.v-a.v), uint64(c.q-b.q))
	return high > otherHigh || high == otherHigh && low > otherLow
}

// farthest returns the corner at which s·q − v is largest: behind the last edge that rises less than s does.
// Slopes of edges ascend, so that one is found by halving.
func farthest(corners []corner, scale float32) corner {
	k := sort.Search(len(corners)-1, func(k int) bool {
		rise := math.Ldexp(float64(scale)*float64(corners[k+1].q-corners[k].q), gridBits) // exact: 24 bits times 15
		return !(rise > 0x1p55) && corners[k+1].v-corners[k].v >= int64(math.Ceil(rise))
	})
	return corners[k]
}

// tableChecks checks that tables ascend, stay within Q and belong to the functions that read them, and
// bounds their error.
func (c *checker) tableChecks() Check {
	const name = "tables"
	for k := range c.m.Tables {
		t := &c.m.Tables[k]
		if t.Kind != simb.Tanh && t.Kind != simb.Sigmoid {
			return failed(name, "table %d stands for activation %d, it must be tanh or sigmoid", k, t.Kind)
		}
		for e, v := range t.Entries {
			if int32(v) > c.m.Width.Max() {
				return failed(name, "table %d: entry %d is %d, above Q = %d", k, e, v, c.m.Width.Max())
			}
			if e > 0 && v < t.Entries[e-1] {
				return failed(name, "table %d: entry %d is %d after %d, entries must not descend", k, e, v, t.Entries[e-1])
			}
		}
	}
	worst := 0.0
	for i := range c.n {
		row := &c.m.Rows[i]
		if row.Table == simb.NoTable {
			continue
		}
		if c.m.Tables[row.Table].Kind != row.Kind {
			return failed(name, "state %d is of activation %d, its table of %d", i, row.Kind, c.m.Tables[row.Table].Kind)
		}
		worst = max(worst, c.tableError(i))
	}
	if math.IsInf(worst, 0) {
		return failed(name, "a table's error is not finite")
	}
	return passed(name, "%d tables, off by at most %.3g", len(c.m.Tables), worst)
}

// lookUp reads a table as the specification says: directly, or by linear interpolation between
// entries 256 apart.
func lookUp(width quant.Width, entries []uint16, t int64) int64 {
	least, most := width.TableDomain()
	u := min(max(t, least), most) - least
	if width == quant.Width7 {
		return int64(entries[u])
	}
	left, right := int64(entries[u/256]), int64(entries[u/256+1])
	return left + ((right-left)*(u%256)+128)>>8
}
