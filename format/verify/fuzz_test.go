package verify

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// smallWork keeps an inference of a fuzzed file short.
var smallWork = []simb.Option{simb.WithMaxOperations(1 << 16)}

// FuzzVerify checks files with right checksums and digest, as they are and mutated. Whatever is wrong with them,
// it ends in an error of simb or in a report; and what a report calls OK is held against two oracles:
// integers by the big-integer interpreter, claims by the real model that the integers stand for.
func FuzzVerify(f *testing.F) {
	names, err := filepath.Glob(filepath.FromSlash("../simb/testdata/v*/*.simb"))
	if err != nil || len(names) < 5 {
		f.Fatalf("%d goldens of format/simb found: %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint64(0))
	}
	for k, s := range shapes {
		p := build(uint64(k), s)
		if !s.loop {
			p.file.Certificates = p.file.Certificates.Derive()
		}
		data := must(simb.Encode(p.file, simb.EncodeOptions{Codec: simb.Codec(k % 3)}))
		for seed := range uint64(4) {
			f.Add(data, seed)
		}
	}
	for seed := range uint64(8) {
		f.Add(simbtest.File(simbtest.NewRand(seed)), seed)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rng := simbtest.NewRand(seed)
		switch {
		case seed == 0:
			data = simbtest.FixChecksums(data)
		case seed%2 == 0:
			data = simbtest.Edge(rng, data)
		default:
			data = simbtest.Mutate(rng, data)
		}
		checkFile(t, rng, data)
	})
}

// checkFile verifies a file and returns whether it was found OK.
func checkFile(t *testing.T, rng *rand.Rand, data []byte) bool {
	r, err := File(data, Options{Open: smallWork})
	if err != nil {
		for _, target := range []error{simb.ErrNotSimb, simb.ErrVersion, simb.ErrFeature, simb.ErrCorrupt, simb.ErrTooLarge, simb.ErrSignature} {
			if errors.Is(err, target) {
				return false
			}
		}
		t.Fatalf("untyped: %v", err)
	}
	if r.OK != (len(r.Failed()) == 0) {
		t.Fatalf("OK is %v, failed are %v", r.OK, r.Failed())
	}
	m := must(simb.Open(data, smallWork...)).Model()
	for _, test := range m.SelfTest {
		own := simbtest.Case(m, test.Seed)
		same := slices.Equal(own.Outputs, test.Outputs) && own.Saturations == test.Saturations && own.StateDigest == test.StateDigest
		if failed := slices.Contains(r.Failed(), "self-test"); !same && !failed {
			t.Fatalf("a self-test is wrong, and passed: %+v, it is %+v", test, own)
		}
	}
	for range 3 {
		holdsFor(t, rng, m, r.OK)
	}
	return r.OK
}

// holdsFor runs one inference by both interpreters and, when the file was found OK, holds its claims against
// the real model whose weights are exactly what the integers stand for: its residuals are zero, so
// whatever the file proves holds for it. Loops are left out, their equilibrium takes a solver.
func holdsFor(t *testing.T, rng *rand.Rand, m *simb.Model, ok bool) {
	q, wide, u := make([]uint16, len(m.Inputs)), make([]int64, len(m.Inputs)), make([]float64, len(m.Inputs))
	for j := range q {
		q[j] = uint16(rng.IntN(int(m.Width.Max()) + 1))
		wide[j] = int64(q[j])
		u[j] = float64(m.Inputs[j].Scale) * (float64(wide[j]-int64(m.Inputs[j].Zero)) + 0.999*(rng.Float64()-0.5))
	}
	outputs, states, saturations := simbtest.Run(m, q)
	own := interpret(m, wide)
	if own.saturations != saturations || len(own.outputs) != len(outputs) || len(own.states) != len(states) {
		t.Fatalf("%d saturations, the oracle has %d", own.saturations, saturations)
	}
	for k, y := range own.outputs {
		if y != int64(outputs[k]) {
			t.Fatalf("output %d is %d, the oracle's %d", k, y, outputs[k])
		}
	}
	loops, _ := m.LoopStates()
	if !ok || loops > 0 {
		return
	}
	x, slack := realised(m, u)
	for _, claim := range []struct {
		name  string
		e     *simb.ErrorCertificate
		holds bool
	}{{"box", m.Certificates.Box, true}, {"calibrated", m.Certificates.Calibrated, saturations == 0}} {
		if claim.e == nil || !claim.holds {
			continue
		}
		for i := range m.Rows {
			var integers, bound float64
			if i >= m.States() {
				integers, bound = float64(float32(float64(outputs[i-m.States()])*float64(m.OutputScale))), float64(claim.e.Output[i-m.States()])
			} else if m.Certificates.Derived {
				continue
			} else {
				integers, bound = worth(&m.Rows[i], int64(states[i])), float64(claim.e.State[i])
			}
			if off := math.Abs(integers - x[i]); off > bound+slack[i]+1e-9*bound {
				t.Fatalf("row %d: %s claim of %g, it is off by %g (%g and %g)", i, claim.name, bound, off, integers, x[i])
			}
		}
	}
}

// realised evaluates a model without loops in float64, with weights r·w/s and biases r·(bias + Σ w z): its
// states, then its outputs, and how far rounding can have moved each.
func realised(m *simb.Model, u []float64) (x, slack []float64) {
	n, p := m.States(), len(m.Inputs)
	x, slack = make([]float64, len(m.Rows)), make([]float64, len(m.Rows))
	for i := range m.Rows {
		row := &m.Rows[i]
		r := float64(m.Unit(i)) * float64(row.Multiplier.M) / math.Ldexp(1, int(row.Multiplier.S))
		sum, size, carried := float64(row.Bias), math.Abs(float64(row.Bias)), 0.0
		cols, weights := m.Weights.Row(i)
		for k, j := range cols {
			w, steps, zero := float64(weights[k]), 0.0, 0.0
			if int(j) < p {
				steps, zero = u[j]/float64(m.Inputs[j].Scale), float64(m.Inputs[j].Zero)
			} else {
				state := &m.Rows[int(j)-p]
				steps, zero = x[int(j)-p]/float64(state.Scale), float64(state.Zero)
				carried += math.Abs(w) * slack[int(j)-p] / float64(state.Scale)
			}
			sum += w * (steps + zero)
			size += math.Abs(w) * (math.Abs(steps) + math.Abs(zero))
		}
		z := r * sum
		slack[i] = r * (carried + 1e-9*size)
		if i < n {
			z = plainPhi(row, z)
		}
		x[i] = z
	}
	return x, slack
}

// plainPhi is a state's activation.
func plainPhi(row *simb.Row, z float64) float64 {
	c := float64(row.Parameter)
	switch row.Kind {
	case simb.ReLU:
		return max(z, 0)
	case simb.ClippedReLU:
		return min(max(z, 0), c)
	case simb.LeakyReLU:
		return max(z, c*z)
	case simb.HardTanh:
		return min(max(z, -c), c)
	case simb.Tanh:
		return math.Tanh(z)
	case simb.Sigmoid:
		return 1 / (1 + math.Exp(-z))
	}
	return z
}

// FuzzClaims changes a few numbers of a file whose source is known, above all by the least that there is,
// and holds what is found OK against samples of both models, by the big-integer interpreter.
func FuzzClaims(f *testing.F) {
	var pairs []pair
	var files [][]byte
	for k, s := range shapes {
		for seed := range uint64(3) {
			pairs = append(pairs, build(100*uint64(k)+seed, s))
			files = append(files, must(simb.Encode(pairs[len(pairs)-1].file, simb.EncodeOptions{})))
		}
	}
	for k := range pairs {
		f.Add(uint8(k), uint64(k), uint8(1+k%3))
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, count uint8) {
		k := int(which) % len(pairs)
		p := pair{pairs[k].source, must(simb.Open(files[k])).Model()}
		r := rand.New(rand.NewPCG(seed, 3))
		changes := changesOf(r)
		for range count % 4 {
			if r.IntN(4) > 0 || len(p.file.Tables) == 0 {
				nudge(r, p.file)
			} else {
				changes[r.IntN(len(changes))](p.file)
			}
		}
		// A million sweeps may be claimed, and proved: then running them is what takes long.
		if p.file.Validate() == nil && p.file.MACs() < 1<<22 && Opened(p.file, Options{Against: p.source}).OK {
			truth(t, r, p)
		}
	})
}

// nudge changes one number of a model by one step.
func nudge(r *rand.Rand, m *simb.Model) {
	step := 1 - 2*r.IntN(2)
	c := &m.Certificates
	vectors := [][]float32{c.V, c.VResidual, c.ReachLo, c.ReachHi, c.Lipschitz, c.Gain, c.GainResidual}
	for _, e := range []*simb.ErrorCertificate{c.Box, c.Calibrated} {
		if e != nil {
			vectors = append(vectors, e.State, e.Residual, e.Start, e.Output)
		}
	}
	row := &m.Rows[r.IntN(len(m.Rows))]
	switch r.IntN(9) {
	case 0:
		row.Bias += int32(step)
	case 1:
		m.Weights.Data[r.IntN(len(m.Weights.Data))] += int16(step)
	case 2:
		row.Multiplier.M += int32(step)
	case 3:
		row.Zero += uint16(step)
	case 4:
		row.Lo += uint16(max(step, 0))
		row.Hi -= uint16(max(-step, 0))
	case 5:
		row.Scale = math.Nextafter32(row.Scale, float32(step)*math.MaxFloat32)
	case 6:
		row.Saturates ^= uint8(1 + r.IntN(2))
	default:
		if v := vectors[r.IntN(len(vectors))]; len(v) > 0 {
			k := r.IntN(len(v))
			v[k] = shortNext(v[k], step)
		}
	}
}

// truth holds a file's claims against samples.
func truth(t *testing.T, r *rand.Rand, p pair) {
	solver := must(model.NewSolver(p.source))
	source, m := p.source, p.file
	u, x, y := make([]float64, source.Inputs()), make([]float64, source.States()), make([]float64, source.Outputs())
	for range 8 {
		for j := range u {
			lo, hi := float64(source.InputLo[j]), float64(source.InputHi[j])
			u[j] = float64(float32([]float64{lo, hi, lo + r.Float64()*(hi-lo)}[r.IntN(3)]))
		}
		if err := solver.Solve(u, x, y); err != nil {
			t.Fatal(err)
		}
		q := make([]uint16, len(m.Inputs))
		for j := range m.Inputs {
			in := &m.Inputs[j]
			q[j] = uint16(int64(math.Floor(u[in.Source]/float64(in.Scale)+0.5)) + int64(in.Zero))
		}
		outputs, states, saturations := simbtest.Run(m, q)
		for name, e := range map[string]*simb.ErrorCertificate{"box": m.Certificates.Box, "calibrated": m.Certificates.Calibrated} {
			if e == nil || name == "calibrated" && saturations > 0 {
				continue
			}
			for i, s := range m.SourceState {
				if off := math.Abs(worth(&m.Rows[i], int64(states[i])) - x[s]); off > float64(e.State[i])+1e-8*(1+math.Abs(x[s])) {
					t.Errorf("state %d is off by %g, %s claim of %g", i, off, name, e.State[i])
				}
			}
			for k := range y {
				if off := math.Abs(float64(outputs[k])*float64(m.OutputScale) - y[k]); off > float64(e.Output[k])+1e-6*(1+math.Abs(y[k])) {
					t.Errorf("output %d is off by %g, %s claim of %g", k, off, name, e.Output[k])
				}
			}
		}
		for i, s := range m.SourceState {
			if m.Certificates.ReachLo != nil && (x[s] < float64(m.Certificates.ReachLo[i])-1e-8 || x[s] > float64(m.Certificates.ReachHi[i])+1e-8) {
				t.Errorf("state %d is %g, claimed to stay in [%g, %g]", i, x[s], m.Certificates.ReachLo[i], m.Certificates.ReachHi[i])
			}
		}
	}
}
