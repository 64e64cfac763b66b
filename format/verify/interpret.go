package verify

import (
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// result is what one integer inference gives.
type result struct {
	states      []int64 // q of every state
	outputs     []int64 // y, in units of the output scale
	saturations uint64  // of states, every sweep counted
	work        uint64  // multiply-accumulates done, and states computed
	most        uint64  // of work
	stopped     bool    // gave up after that
}

// mostWork caps the multiply-accumulates of one interpreted inference, and of all self-tests together, so
// that a file whose loops never settle and that claims an absurd number of sweeps cannot keep its checker
// busy for hours. A state costs time without weights too, and counts as stateWork of them.
const (
	mostWork  = 1 << 30
	stateWork = 4
)

// interpret runs an inference on the inputs' q as the specification states it, one row after another. It
// stands apart from the runtime so that both can be held against each other.
func interpret(m *simb.Model, inputs []int64) result { return interpretWithin(m, inputs, mostWork) }

// interpretWithin is interpret with a cap on its loops' work.
func interpretWithin(m *simb.Model, inputs []int64, most uint64) result {
	p, n := len(inputs), m.States()
	q := make([]int64, p+n)
	copy(q, inputs)
	r := result{most: most, work: uint64(len(m.Weights.Indices)) + stateWork*uint64(len(m.Rows))}
	first := 0
	for _, segment := range m.Schedule {
		end := first + segment.States
		if segment.Sweeps == 0 {
			for i := first; i < end; i++ {
				q[p+i] = r.state(m, i, q)
			}
		} else {
			r.loop(m, q, first, end, segment.Sweeps)
		}
		first = end
	}
	r.states = q[p:]
	for i := n; i < len(m.Rows); i++ {
		r.outputs = append(r.outputs, requantise(m.Rows[i].Multiplier, accumulate(m, i, q)))
	}
	return r
}

// loop sweeps over the states first to end−1 until nothing changes, at most sweeps times. Integers that do
// not settle end in a cycle; once one is found (by Brent's method: a sweep's states are kept at every
// power of two and compared with later ones) its whole rounds are skipped, their saturations counted.
func (r *result) loop(m *simb.Model, q []int64, first, end int, sweeps uint32) {
	p := len(q) - m.States()
	for i := first; i < end; i++ {
		q[p+i] = start(&m.Rows[i])
	}
	own := q[p+first : p+end]
	next, kept := make([]int64, end-first), slices.Clone(own)
	keptAt, keptSaturations, nextKeep := uint64(0), r.saturations, uint64(1)
	work := uint64(m.Weights.Indptr[end]-m.Weights.Indptr[first]) + stateWork*uint64(end-first)
	total := uint64(sweeps)
	for k := uint64(1); k <= total; k++ {
		if r.work += work; r.work > r.most {
			r.stopped = true
			return
		}
		for i := first; i < end; i++ {
			next[i-first] = r.state(m, i, q)
		}
		if slices.Equal(next, own) {
			return
		}
		copy(own, next)
		if slices.Equal(own, kept) {
			round := k - keptAt
			skipped := (total - k) / round
			r.saturations += skipped * (r.saturations - keptSaturations)
			total -= skipped * round
		}
		if k == nextKeep {
			copy(kept, own)
			keptAt, keptSaturations, nextKeep = k, r.saturations, 2*k
		}
	}
}

func accumulate(m *simb.Model, i int, q []int64) int64 {
	sum := int64(m.Rows[i].Bias)
	cols, values := m.Weights.Row(i)
	for k, j := range cols {
		sum += int64(values[k]) * q[j]
	}
	return sum
}

// state returns the q of state i, and counts a clamp that is not the function's own limit.
func (r *result) state(m *simb.Model, i int, q []int64) int64 {
	row := &m.Rows[i]
	acc := accumulate(m, i, q)
	t := requantise(row.Multiplier, acc)
	if row.Kind == simb.LeakyReLU && acc < 0 {
		t = requantise(row.Negative, acc)
	}
	if row.Table != simb.NoTable {
		return lookUp(m.Width, m.Tables[row.Table].Entries, t)
	}
	v := t + int64(row.Zero)
	if v < int64(row.Lo) {
		if row.Saturates&simb.SaturatesLow != 0 {
			r.saturations++
		}
		return int64(row.Lo)
	}
	if v > int64(row.Hi) {
		if row.Saturates&simb.SaturatesHigh != 0 {
			r.saturations++
		}
		return int64(row.Hi)
	}
	return v
}

// quantise returns the q of a real input: floor(u/s + ½) clamped to [−z, Q − z], plus z.
func quantise(input *simb.Input, width quant.Width, u float32) (q int64, saturated bool) {
	least, most := -int64(input.Zero), int64(width.Max())-int64(input.Zero)
	t := math.Floor(float64(u)/float64(input.Scale) + 0.5)
	switch {
	case t < float64(least):
		return 0, true
	case t > float64(most):
		return int64(width.Max()), true
	}
	return int64(t) - least, false
}

// selfTest runs the bundled cases and compares outputs, saturations and states.
func (c *checker) selfTest() Check {
	const name = "self-test"
	drawn, inputs := make([]uint16, c.p), make([]int64, c.p)
	for k := range c.m.SelfTest {
		bundled := &c.m.SelfTest[k]
		simb.SelfTestInputs(bundled.Seed, c.m.Width, drawn)
		for j, v := range drawn {
			inputs[j] = int64(v)
		}
		own := interpretWithin(c.m, inputs, c.work)
		c.work -= min(c.work, own.work)
		if err := sameResult(bundled, own); err != nil {
			return failed(name, "case %d: %s", k, err.Error())
		}
	}
	return passed(name, "%d cases, bit for bit", len(c.m.SelfTest))
}

func sameResult(bundled *simb.SelfTestCase, own result) error {
	if own.stopped {
		return fmt.Errorf("it takes, with those before it, more than %d multiply-accumulates", uint64(mostWork))
	}
	if len(bundled.Outputs) != len(own.outputs) {
		return fmt.Errorf("%d outputs are bundled, the model has %d", len(bundled.Outputs), len(own.outputs))
	}
	for i, y := range own.outputs {
		if y != int64(bundled.Outputs[i]) {
			return fmt.Errorf("output %d is %d, bundled is %d", i, y, bundled.Outputs[i])
		}
	}
	if own.saturations != bundled.Saturations {
		return fmt.Errorf("%d saturations, bundled are %d", own.saturations, bundled.Saturations)
	}
	bytes := make([]byte, 0, 2*len(own.states))
	for _, q := range own.states {
		bytes = append(bytes, byte(q), byte(q>>8))
	}
	if digest := crc32.Checksum(bytes, crc32.MakeTable(crc32.Castagnoli)); digest != bundled.StateDigest {
		return fmt.Errorf("the states' digest is %08x, bundled is %08x", digest, bundled.StateDigest)
	}
	return nil
}
