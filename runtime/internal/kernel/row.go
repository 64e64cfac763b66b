package kernel

import "github.com/sparse-implicit/sim/format/quant"

// NoTable is the Table of a row that is not computed through one.
const NoTable = 0xFFFF

// Row says how an accumulator becomes a state or an output.
type Row struct {
	Bias       int32
	Multiplier quant.Multiplier
	Negative   quant.Multiplier // for accumulators below zero: leaky relu's own, else the same again
	Zero       uint16
	Lo, Hi     uint16
	Table      uint16 // index of the table, or NoTable
	Planes     uint8  // of weights: 1 or 2
	CountLow   uint8  // 1: a clamp at Lo is a saturation, 0: it is the function's own limit
	CountHigh  uint8
}

// accumulator adds the bias to a row's sum Σ w·q. For one plane the sum may be wrong by a multiple of
// 2³² (kernels may wrap on the way), for the accumulator is proved to lie in int32.
func (r *Row) accumulator(sum int64) int64 {
	if r.Planes == 1 {
		return int64(r.Bias + int32(sum))
	}
	return int64(r.Bias) + sum
}

// start returns the value from which a loop's state sets out: clamp(z, lo, hi).
func (r *Row) start() uint16 { return min(max(r.Zero, r.Lo), r.Hi) }

// state turns the accumulator of a state into its q and the saturations counted, 0 or 1.
func (p *Program) state(r *Row, acc int64) (q uint16, saturations uint64) {
	m := r.Multiplier
	if acc < 0 {
		m = r.Negative
	}
	t := m.Requantise(acc)
	if r.Table != NoTable {
		return uint16(quant.LookUp(p.Width, p.Tables[r.Table], t)), 0
	}
	t += int64(r.Zero)
	if t < int64(r.Lo) {
		return r.Lo, uint64(r.CountLow)
	}
	if t > int64(r.Hi) {
		return r.Hi, uint64(r.CountHigh)
	}
	return uint16(t), 0
}

// output turns the accumulator of an output into its integer.
func (r *Row) output(acc int64) int32 { return int32(r.Multiplier.Requantise(acc)) }
