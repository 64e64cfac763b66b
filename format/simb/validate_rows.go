package simb

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// rowChecker checks rows in order: what they read has been computed, and their sums stay in range.
type rowChecker struct {
	m        *Model
	segment  int // of the current row
	first    int // states of the current segment: [first, last)
	last     int
	nonzeros uint64
	macs     uint64

	row          int // the current one
	sweeps       uint32
	upper, lower int64 // Σ |plane|·q of its entries so far
}

func newRowChecker(m *Model) *rowChecker {
	c := &rowChecker{m: m, segment: -1}
	c.advance()
	return c
}

// advance moves on to the next segment.
func (c *rowChecker) advance() {
	c.segment++
	c.first = c.last
	if c.segment < len(c.m.Schedule) {
		c.last += c.m.Schedule[c.segment].States
	}
}

// columnLimit returns the largest q of a column.
func (c *rowChecker) columnLimit(j int) int64 {
	if j < len(c.m.Inputs) {
		return int64(c.m.Width.Max())
	}
	row := &c.m.Rows[j-len(c.m.Inputs)]
	if row.Table != NoTable {
		entries := c.m.Tables[row.Table].Entries
		return int64(max(entries[len(entries)-1], row.Zero)) // a loop's state starts at Zero
	}
	return int64(row.Hi)
}

// begin starts row i, the one after the last.
func (c *rowChecker) begin(i int) {
	c.row, c.sweeps, c.upper, c.lower = i, 0, 0, 0
	if i >= c.m.States() {
		return
	}
	for i >= c.last {
		c.advance()
	}
	c.sweeps = c.m.Schedule[c.segment].Sweeps
}

// entry checks one entry of the row; columns ascend.
func (c *rowChecker) entry(j int32, w int16) error {
	row := &c.m.Rows[c.row]
	own := false
	if s := int(j) - len(c.m.Inputs); c.row < c.m.States() && s >= c.first {
		own = s < c.last
		if !own || c.sweeps == 0 {
			return corrupt("weights.gaps", -1, "state %d reads state %d before it is computed", c.row, s)
		}
	}
	if w == 0 || row.Planes == 1 && (w < -quant.OnePlaneMax || w > quant.OnePlaneMax) || w < quant.TwoPlaneMin || w > quant.TwoPlaneMax {
		return corrupt("weights.values", -1, "row %d, column %d: %d is no weight of %d planes", c.row, j, w, row.Planes)
	}
	high, low := int64(w), int64(0)
	if row.Planes == 2 {
		h, l := quant.SplitPlanes(w)
		high, low = int64(h), int64(l)
	}
	limit := c.columnLimit(int(j))
	c.upper += absolute(high) * limit
	c.lower += absolute(low) * limit
	c.nonzeros++
	c.macs++
	if own {
		c.macs += uint64(c.sweeps) - 1
	}
	return nil
}

// end checks what the accumulator of the row can reach.
func (c *rowChecker) end() error { return c.checkSums(c.row, c.upper, c.lower) }

// checkSums checks what the accumulator of row i can reach. Rows of up to 2³¹ entries cannot overflow
// the int64 sums: each term is below 2²¹.
func (c *rowChecker) checkSums(i int, upper, lower int64) error {
	m, row := c.m, &c.m.Rows[i]
	size := absolute(int64(row.Bias)) + upper
	if row.Planes == 2 {
		size = absolute(int64(row.Bias)) + 128*upper + lower
	}
	if upper > math.MaxInt32 || lower > math.MaxInt32 || row.Planes == 1 && size > math.MaxInt32 {
		return corrupt("row.bias", -1, "the accumulator of row %d can reach %d, beyond its 31 bits", i, size)
	}
	if size > row.Multiplier.AccumulatorLimit() || row.Negative.Valid() && size > row.Negative.AccumulatorLimit() {
		return corrupt("row.m", -1, "requantising row %d can overflow: accumulator %d, M %d", i, size, row.Multiplier.M)
	}
	if i >= m.States() && row.Multiplier.Requantise(size) > math.MaxInt32 {
		return corrupt("row.m", -1, "output %d can reach %d, beyond int32", i-m.States(), row.Multiplier.Requantise(size))
	}
	return nil
}

func absolute(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
