package simb

import "github.com/sparse-implicit/sim/format/quant"

// wholeRows checks rows at once, as rowReader and rowChecker do entry by entry: a file's rows are nearly all of
// weights in one plane with nothing wrong. It decides nothing but that all is well; any other row is theirs,
// whose errors say what is wrong (TestWholeRowsAreThoseThatEntriesPass).
type wholeRows struct {
	inputs  int64   // columns of inputs come first
	largest int64   // q of an input
	limits  []int16 // of each state: the largest q
}

func newWholeRows(m *Model, c *rowChecker) *wholeRows {
	w := &wholeRows{inputs: int64(len(m.Inputs)), largest: int64(m.Width.Max()), limits: make([]int16, m.States())}
	for i := range w.limits {
		w.limits[i] = int16(c.columnLimit(len(m.Inputs) + i)) // at most Q, below 2¹⁴
	}
	return w
}

// readable returns the end of the columns that the row may read, and the first of those of its own loop, or the
// same where it has none.
func (c *rowChecker) readable() (end, own int64) {
	inputs := int64(len(c.m.Inputs))
	switch {
	case c.row >= c.m.States():
		end = inputs + int64(c.m.States())
	case c.sweeps == 0:
		end = inputs + int64(c.first)
	default:
		return inputs + int64(c.last), inputs + int64(c.first)
	}
	return end, end
}

// pass reads the row that r and c have begun, of so many entries, and reports whether it is of one plane and all
// of its entries are right; if not, nothing has been read.
func (w *wholeRows) pass(r *rowReader, c *rowChecker, length int) bool {
	if r.two {
		return false
	}
	end, own := c.readable()
	gaps, at, inputs, limits := r.streams.Gaps[r.gaps:], 0, w.inputs, w.limits
	column, ownEntries, fromInputs, fromStates := int64(-1), 0, int64(0), int64(0)
	for _, v := range r.streams.Values[r.values : r.values+length] {
		if at >= len(gaps) {
			return false
		}
		gap := uint32(gaps[at])
		if at++; gap >= 0x80 {
			var ok bool
			if gap, at, ok = readVarint(gaps, at-1); !ok {
				return false
			}
		}
		column += 1 + int64(gap)
		sign := int64(int8(v)) >> 8
		size := (int64(int8(v)) ^ sign) - sign // without a branch: nothing predicts signs
		if uint64(size-1) >= quant.OnePlaneMax {
			return false
		}
		if column < inputs {
			fromInputs += size
			continue
		}
		if column >= end {
			return false
		}
		fromStates += size * int64(limits[column-inputs])
		if column >= own {
			ownEntries++
		}
	}
	r.gaps, r.values, r.read = r.gaps+at, r.values+length, length
	c.upper = fromInputs*w.largest + fromStates
	c.nonzeros += uint64(length)
	c.macs += uint64(length)
	if ownEntries > 0 {
		c.macs += uint64(ownEntries) * (uint64(c.sweeps) - 1)
	}
	return true
}
