package verify

import (
	"math"
	"math/big"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
)

// Certificates by exact rational arithmetic and dense loops, written from CLAIMS.md alone. Every stored
// number is the smallest bfloat16 that the claim allows (1e-12 aside), so that the next smaller one must
// be refused.

func rat(x float64) *big.Rat         { return new(big.Rat).SetFloat64(x) }
func add(a, b *big.Rat) *big.Rat     { return new(big.Rat).Add(a, b) }
func sub(a, b *big.Rat) *big.Rat     { return new(big.Rat).Sub(a, b) }
func mul(a, b *big.Rat) *big.Rat     { return new(big.Rat).Mul(a, b) }
func abs(a *big.Rat) *big.Rat        { return new(big.Rat).Abs(a) }
func larger(a, b *big.Rat) *big.Rat  { return pick(a.Cmp(b) >= 0, a, b) }
func smaller(a, b *big.Rat) *big.Rat { return pick(a.Cmp(b) <= 0, a, b) }
func pick(c bool, a, b *big.Rat) *big.Rat {
	if c {
		return a
	}
	return b
}

// shortUp returns the smallest bfloat16 ≥ x plus 1e-12 of it.
func shortUp(x *big.Rat) float32 {
	if x.Sign() == 0 {
		return 0
	}
	f, _ := add(x, mul(abs(x), rat(1e-12))).Float32()
	bits := math.Float32bits(f) &^ 0xFFFF
	short := math.Float32frombits(bits)
	for rat(float64(short)).Cmp(add(x, mul(abs(x), rat(1e-12)))) < 0 {
		short = shortNext(short, 1)
	}
	return short
}

func shortDown(x *big.Rat) float32 { return -shortUp(new(big.Rat).Neg(x)) }

// shortNext returns the next bfloat16 in the direction of the sign of toward.
func shortNext(x float32, toward int) float32 {
	bits := math.Float32bits(x)
	if x == 0 {
		return math.Float32frombits(0x10000)
	}
	if (x > 0) == (toward > 0) {
		return math.Float32frombits(bits + 0x10000)
	}
	return math.Float32frombits(bits - 0x10000)
}

type ratRange struct{ lo, hi *big.Rat }

// exact holds what the certificates are made of, dense and rational.
type exact struct {
	pair
	n, q     int
	columns  int
	w, delta [][]*big.Rat // W̃ and W − W̃ by row and plan column
	b, db    []*big.Rat   // b̃ and b + folded + Σ (W − W̃)·near − b̃
	r        []*big.Rat   // unit of the accumulator
	region   []ratRange   // 𝒰
	near     []*big.Rat   // the real worth of each input's q that is nearest to zero
	du       []*big.Rat
	loop     []int // per state: its segment when it sweeps, or −1
}

// certify fills the file's certificates and self-test.
func certify(p pair) {
	x := newExact(p)
	x.reachAndBox()
	x.certifyCalibrated()
	x.certifyWellPosed()
	x.certifyLipschitz()
	for _, seed := range []uint64{1, 2, 3} {
		p.file.SelfTest = append(p.file.SelfTest, runPlainly(p.file, seed))
	}
}

func newExact(p pair) *exact {
	x := &exact{pair: p, n: p.file.States(), q: p.file.Outputs(), columns: 3 + p.file.States()}
	half := add(rat(0.5), rat(0x1p-20))
	for _, in := range p.file.Inputs {
		s, z, q := rat(float64(in.Scale)), rat(float64(in.Zero)), rat(float64(p.file.Width.Max()))
		x.region = append(x.region, ratRange{mul(s, sub(new(big.Rat).Neg(z), half)), mul(s, add(sub(q, z), half))})
		x.du = append(x.du, mul(s, half))
		steps := sub(rat(float64(min(max(in.Zero, 0), int32(p.file.Width.Max())))), z)
		x.near = append(x.near, mul(s, steps))
	}
	first := 0
	for k, s := range p.file.Schedule {
		for range s.States {
			x.loop = append(x.loop, -1)
			if s.Sweeps > 0 {
				x.loop[first] = k
			}
			first++
		}
	}
	for i := range p.file.Rows {
		x.realRow(i)
	}
	return x
}

// realRow fills row i of W̃, b̃ and the differences to the float model.
func (x *exact) realRow(i int) {
	f, row := x.file, &x.file.Rows[i]
	r := mul(rat(float64(f.Unit(i))), new(big.Rat).SetFrac(big.NewInt(int64(row.Multiplier.M)), new(big.Int).Lsh(big.NewInt(1), uint(row.Multiplier.S))))
	bias := rat(float64(row.Bias))
	w, delta := make([]*big.Rat, x.columns), make([]*big.Rat, x.columns)
	for j := range x.columns {
		v := rat(float64(f.Weights.At(i, j)))
		scale, zero, source := x.column(i, j)
		w[j] = mul(mul(v, r), new(big.Rat).Inv(rat(scale)))
		bias = add(bias, mul(v, rat(zero)))
		delta[j] = sub(rat(source), w[j])
	}
	x.w, x.delta, x.r = append(x.w, w), append(x.delta, delta), append(x.r, r)
	x.b = append(x.b, mul(r, bias))
	inputs, at, own := x.source.D, i-x.n, float32(0)
	if i < x.n {
		inputs, at = x.source.B, int(f.SourceState[i])
		own = x.source.StateBias[at]
	} else {
		own = x.source.OutputBias[at]
	}
	folded := add(rat(float64(own)), mul(rat(float64(inputs.At(at, 1))), rat(float64(x.source.InputLo[1]))))
	for j, near := range x.near {
		_, _, source := x.column(i, j)
		folded = add(folded, mul(sub(rat(source), w[j]), near))
	}
	x.db = append(x.db, sub(folded, x.b[i]))
}

// column returns scale, zero and the source's weight of row i at plan column j.
func (x *exact) column(i, j int) (scale, zero, weight float64) {
	f, s := x.file, x.source
	inputs, states, at := s.D, s.C, i-x.n
	if i < x.n {
		inputs, states, at = s.B, s.A, int(f.SourceState[i])
	}
	if j < 3 {
		in := f.Inputs[j]
		return float64(in.Scale), float64(in.Zero), float64(inputs.At(at, int(in.Source)))
	}
	row := &f.Rows[j-3]
	return float64(row.Scale), float64(row.Zero), float64(states.At(at, int(f.SourceState[j-3])))
}

// worth returns s·(q − z) of state i.
func (x *exact) worth(i int, q int64) *big.Rat {
	row := &x.file.Rows[i]
	return mul(rat(float64(row.Scale)), rat(float64(q-int64(row.Zero))))
}

// phi applies the source's activation to a range; curves are widened by 1e-13.
func (x *exact) phi(i int, z ratRange) ratRange {
	a := x.source.Activations[x.file.SourceState[i]]
	zero := new(big.Rat)
	at := func(v *big.Rat) *big.Rat {
		switch a.Kind {
		case model.ReLU:
			return larger(v, zero)
		case model.ClippedReLU, model.HardTanh:
			return smaller(larger(v, rat(float64(a.P0))), rat(float64(a.P1)))
		case model.LeakyReLU:
			return pick(v.Sign() < 0, mul(v, rat(float64(a.P0))), v)
		}
		return v
	}
	if curve := plainCurve(simb.Kind(a.Kind)); curve != nil {
		lo, _ := z.lo.Float64()
		hi, _ := z.hi.Float64()
		return ratRange{rat(curve(lo) - 1e-13), rat(curve(hi) + 1e-13)}
	}
	return ratRange{at(z.lo), at(z.hi)}
}

func plainCurve(k simb.Kind) func(float64) float64 {
	switch k {
	case simb.Tanh:
		return math.Tanh
	case simb.Sigmoid:
		return func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	}
	return nil
}

// residualOf returns the largest |ΔA x + ΔB (u − near) + Δb + ΔB·near| for u in 𝒰 and states in the given ranges.
func (x *exact) residualOf(i int, states []ratRange) *big.Rat {
	sum := ratRange{x.db[i], x.db[i]}
	for j, d := range x.delta[i] {
		if d.Sign() == 0 {
			continue
		}
		v := ratRange{}
		if j < 3 {
			v = ratRange{sub(x.region[j].lo, x.near[j]), sub(x.region[j].hi, x.near[j])}
		} else if v = states[j-3]; v.lo == nil {
			continue // not computed yet, nor read
		}
		a, b := mul(d, v.lo), mul(d, v.hi)
		sum = ratRange{add(sum.lo, smaller(a, b)), add(sum.hi, larger(a, b))}
	}
	return larger(abs(sum.lo), abs(sum.hi))
}

// reachOf returns φ(W̃·(𝒰, reach) + b̃ ± ρ) of a state.
func (x *exact) reachOf(i int, states []ratRange, rho *big.Rat) ratRange {
	z := ratRange{sub(x.b[i], rho), add(x.b[i], rho)}
	for j, w := range x.w[i] {
		if w.Sign() == 0 {
			continue
		}
		v := ratRange{}
		if j < 3 {
			v = x.region[j]
		} else {
			v = states[j-3]
		}
		a, b := mul(w, v.lo), mul(w, v.hi)
		z = ratRange{add(z.lo, smaller(a, b)), add(z.hi, larger(a, b))}
	}
	return x.phi(i, z)
}

// rounding returns r_i, and with clipping also the cut.
func (x *exact) rounding(i int, clipping bool) *big.Rat {
	row := &x.file.Rows[i]
	out := mul(rat(float64(x.file.Unit(i))), rat(0.5))
	if row.Kind == simb.Sigmoid {
		out = mul(out, rat(0.25))
	}
	if curve := plainCurve(row.Kind); curve != nil {
		return add(out, rat(plainTableError(x.file, row, curve)))
	}
	if row.Kind == simb.LeakyReLU {
		deepest := rat(float64(row.Bias))
		for j := range x.columns {
			lo, hi := int64(0), int64(x.file.Width.Max())
			if j >= 3 {
				lo, hi = plainSpan(x.file, j-3)
			}
			w := int64(x.file.Weights.At(i, j))
			deepest = add(deepest, rat(float64(min(w*lo, w*hi))))
		}
		below := mul(rat(float64(row.Scale)), rat(row.Negative.Ratio()))
		off := abs(sub(mul(rat(float64(row.Parameter)), x.r[i]), below))
		out = add(out, mul(off, larger(new(big.Rat), new(big.Rat).Neg(deepest))))
	}
	if !clipping {
		return out
	}
	c, cut := &x.file.Certificates, new(big.Rat)
	if row.Saturates&simb.SaturatesHigh != 0 {
		cut = larger(cut, sub(rat(float64(c.ReachHi[i])), x.worth(i, int64(row.Hi))))
	}
	if row.Saturates&simb.SaturatesLow != 0 {
		cut = larger(cut, sub(x.worth(i, int64(row.Lo)), rat(float64(c.ReachLo[i]))))
	}
	return add(out, cut)
}

// plainSpan returns the smallest and largest q of a state.
func plainSpan(m *simb.Model, i int) (lo, hi int64) {
	row := &m.Rows[i]
	if row.Table == simb.NoTable {
		return int64(row.Lo), int64(row.Hi)
	}
	e := m.Tables[row.Table].Entries
	return int64(e[0]), int64(e[len(e)-1])
}

// plainTableError searches the largest error of a table, tails included, in plain float64.
func plainTableError(m *simb.Model, row *simb.Row, curve func(float64) float64) float64 {
	t := &m.Tables[row.Table]
	least, most := m.Width.TableDomain()
	worst := 0.0
	at := func(q int64, exact float64) {
		worst = max(worst, math.Abs(float64(row.Scale)*float64(q-int64(row.Zero))-exact))
	}
	for k := least; k <= most; k++ {
		q := int64(t.Entries[min(k-least, int64(len(t.Entries)-1))])
		if m.Width == 14 {
			h, l := (k-least)>>8, (k-least)&255
			q = int64(math.Floor(float64(t.Entries[h]) + float64(int64(t.Entries[h+1])-int64(t.Entries[h]))*float64(l)/256 + 0.5))
		}
		at(q, curve(float64(k)*float64(t.Step)))
		if k == least {
			at(q, curve(-1e9))
		}
		if k == most {
			at(q, curve(1e9))
		}
	}
	return worst + 1e-13
}

// reachAndBox proves reach and the box claim. A loop's reach starts from a box that is large enough and
// shrinks until bfloat16 holds it.
func (x *exact) reachAndBox() {
	c := &x.file.Certificates
	c.ReachLo, c.ReachHi = make([]float32, x.n), make([]float32, x.n)
	box := x.newClaim()
	c.Box = box
	states := make([]ratRange, x.n)
	step := func(first, end int) bool { // one step of the map on a segment; reports a change
		changed := false
		next := make([]ratRange, end)
		for i := first; i < end; i++ {
			box.Residual[i] = shortUp(x.residualOf(i, states))
			v := x.reachOf(i, states, rat(float64(box.Residual[i])))
			lo, hi := shortDown(v.lo), shortUp(v.hi)
			changed = changed || lo != c.ReachLo[i] || hi != c.ReachHi[i]
			c.ReachLo[i], c.ReachHi[i] = lo, hi
			next[i] = ratRange{rat(float64(lo)), rat(float64(hi))}
		}
		copy(states[first:end], next[first:end])
		return changed
	}
	first := 0
	for _, s := range x.file.Schedule {
		end := first + s.States
		for i := first; i < end && s.Sweeps > 0; i++ {
			states[i] = ratRange{rat(-1e4), rat(1e4)}
		}
		for step(first, end) && s.Sweeps > 0 {
		}
		first = end
	}
	x.errors(box, true, func(i int) float32 {
		return shortUp(x.residualOf(i, states))
	})
}

func (x *exact) newClaim() *simb.ErrorCertificate {
	return &simb.ErrorCertificate{State: make([]float32, x.n), Start: make([]float32, x.n), Residual: make([]float32, x.n+x.q), Output: make([]float32, x.q)}
}

func (x *exact) certifyCalibrated() {
	c := &x.file.Certificates
	claim := x.newClaim()
	c.Calibrated = claim
	x.errors(claim, false, func(i int) float32 {
		states := make([]ratRange, x.n)
		for j := range states {
			states[j] = ratRange{rat(float64(c.ReachLo[j])), rat(float64(c.ReachHi[j]))}
			if x.loop[j] < 0 {
				lo, hi := plainSpan(x.file, j)
				e := rat(float64(claim.State[j]))
				shared := ratRange{larger(states[j].lo, sub(x.worth(j, lo), e)), smaller(states[j].hi, add(x.worth(j, hi), e))}
				if shared.lo.Cmp(shared.hi) <= 0 {
					states[j] = shared
				}
			}
		}
		return shortUp(x.residualOf(i, states))
	})
}

// errors fills an error certificate along the schedule.
func (x *exact) errors(claim *simb.ErrorCertificate, clipping bool, residual func(i int) float32) {
	c := &x.file.Certificates
	e := make([]*big.Rat, x.n)
	for i := range e {
		e[i] = new(big.Rat)
	}
	step := func(i int) *big.Rat {
		sum := rat(float64(claim.Residual[i]))
		for j, w := range x.w[i] {
			if j < 3 {
				sum = add(sum, mul(abs(w), x.du[j]))
			} else {
				sum = add(sum, mul(abs(w), e[j-3]))
			}
		}
		if i < x.n && x.file.Rows[i].Kind == simb.Sigmoid {
			sum = mul(sum, rat(0.25))
		}
		return sum
	}
	first := 0
	for _, s := range x.file.Schedule {
		end := first + s.States
		own := make([]*big.Rat, end)
		for i := first; i < end; i++ {
			claim.Residual[i] = residual(i)
			own[i] = x.rounding(i, clipping)
			if s.Sweeps > 0 {
				row := &x.file.Rows[i]
				from := x.worth(i, int64(min(max(row.Zero, row.Lo), row.Hi)))
				claim.Start[i] = shortUp(larger(sub(rat(float64(c.ReachHi[i])), from), sub(from, rat(float64(c.ReachLo[i])))))
				e[i] = rat(float64(claim.Start[i]))
			}
		}
		for range max(s.Sweeps, 1) {
			next := make([]*big.Rat, end)
			for i := first; i < end; i++ {
				f, _ := add(step(i), own[i]).Float64() // keeps the fractions short
				next[i] = rat(f * (1 + 1e-15))
			}
			copy(e[first:end], next[first:end])
		}
		for i := first; i < end; i++ {
			claim.State[i] = shortUp(e[i])
			e[i] = rat(float64(claim.State[i]))
		}
		first = end
	}
	for i := x.n; i < x.n+x.q; i++ {
		claim.Residual[i] = residual(i)
		scale := rat(float64(x.file.OutputScale))
		rest := add(mul(scale, rat(0.5)), mul(mul(scale, rat(0x1p-24)), x.largestOutput(i)))
		claim.Output[i-x.n] = shortUp(add(step(i), rest))
	}
}

// largestOutput returns the largest |y| for q in range.
func (x *exact) largestOutput(i int) *big.Rat {
	lo, hi := float64(x.file.Rows[i].Bias), float64(x.file.Rows[i].Bias)
	for j := range x.columns {
		least, most := int64(0), int64(x.file.Width.Max())
		if j >= 3 {
			least, most = plainSpan(x.file, j-3)
		}
		w := int64(x.file.Weights.At(i, j))
		lo += float64(min(w*least, w*most))
		hi += float64(max(w*least, w*most))
	}
	ratio := x.file.Rows[i].Multiplier.Ratio()
	return rat(max(math.Abs(math.Floor(lo*ratio+0.5)), math.Abs(math.Floor(hi*ratio+0.5))))
}

func (x *exact) certifyWellPosed() {
	c := &x.file.Certificates
	if !x.anyLoop() {
		return
	}
	c.V, c.VResidual = make([]float32, x.n), make([]float32, x.n)
	for i := range c.V {
		if x.loop[i] >= 0 {
			c.V[i] = 1
		}
	}
	kappa := new(big.Rat)
	for i := range x.n {
		own, off := new(big.Rat), new(big.Rat)
		for j := range x.n {
			if x.loop[i] >= 0 && x.loop[i] == x.loop[j] {
				own, off = add(own, abs(x.w[i][3+j])), add(off, abs(x.delta[i][3+j]))
			}
		}
		c.VResidual[i] = shortUp(off)
		kappa = larger(kappa, add(own, rat(float64(c.VResidual[i]))))
	}
	c.Kappa = shortUp(kappa)
}

func (x *exact) anyLoop() bool {
	for _, k := range x.loop {
		if k >= 0 {
			return true
		}
	}
	return false
}

func (x *exact) certifyLipschitz() {
	c := &x.file.Certificates
	c.Gain, c.GainResidual, c.Lipschitz = make([]float32, x.n), make([]float32, x.n+x.q), make([]float32, x.q)
	row := func(i int) float32 {
		own, off := new(big.Rat), new(big.Rat)
		for j := range x.columns {
			g := rat(1)
			if j >= 3 {
				g = rat(float64(c.Gain[j-3]))
			}
			own, off = add(own, mul(abs(x.w[i][j]), g)), add(off, mul(abs(x.delta[i][j]), g))
		}
		c.GainResidual[i] = shortUp(off)
		return shortUp(add(own, rat(float64(c.GainResidual[i]))))
	}
	first := 0
	for _, s := range x.file.Schedule {
		for i := first; i < first+s.States && s.Sweeps > 0; i++ {
			c.Gain[i] = 0x1p20
		}
		for changed := true; changed; {
			changed = false
			for i := first; i < first+s.States; i++ {
				g := row(i)
				changed = changed || g != c.Gain[i]
				c.Gain[i] = g
			}
		}
		first += s.States
	}
	for k := range x.q {
		c.Lipschitz[k] = row(x.n + k)
	}
}
