package verify

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
)

var relaxShapes = []shape{
	{"7 bits, relu", 7, 1, false, []model.Kind{model.ReLU}, false, []int{4, 4, 3}},
	{"7 bits, relu, clipping", 7, 1, false, []model.Kind{model.ReLU}, true, []int{4, 4, 3}},
	{"7 bits, every kind", 7, 1, false, everyKind, false, []int{4, 4, 3}},
	{"7 bits, every kind, clipping", 7, 1, false, everyKind, true, []int{5, 5, 5}},
	{"14 bits, relu", 14, 1, false, []model.Kind{model.ReLU}, false, []int{4, 4, 3}},
	{"14 bits, two planes, every kind", 14, 2, false, everyKind, true, []int{5, 4, 5}},
	{"7 bits, leaky and clipped", 7, 1, false, []model.Kind{model.LeakyReLU, model.ClippedReLU, model.HardTanh, model.Identity}, true, []int{4, 4, 4}},
	{"7 bits, curves", 7, 1, false, []model.Kind{model.Tanh, model.Sigmoid}, false, []int{3, 3}},
}

// reference evaluates real networks in float64: the float model, or what the integers stand for.
type reference struct {
	m       *simb.Model
	weights [][]float64 // by row and plan column
	bias    []float64
}

// realised returns the real network that the integers stand for, by its definition.
func realisedBounds(m *simb.Model) *reference {
	r := &reference{m: m}
	for i := range m.Rows {
		unit := float64(m.Unit(i)) * m.Rows[i].Multiplier.Ratio()
		row, bias := make([]float64, m.Weights.Cols), float64(m.Rows[i].Bias)
		for j := range row {
			w := float64(m.Weights.At(i, j))
			scale, zero := 0.0, 0.0
			if j < len(m.Inputs) {
				scale, zero = float64(m.Inputs[j].Scale), float64(m.Inputs[j].Zero)
			} else {
				scale, zero = float64(m.Rows[j-len(m.Inputs)].Scale), float64(m.Rows[j-len(m.Inputs)].Zero)
			}
			row[j] = w * unit / scale
			bias += w * zero
		}
		r.weights, r.bias = append(r.weights, row), append(r.bias, bias*unit)
	}
	return r
}

// ofSource returns the float model in plan columns; b is what build made it of.
func ofSource(p pair) *reference {
	r := &reference{m: p.file}
	n := p.file.States()
	for i := range p.file.Rows {
		inputs, states, at, bias := p.source.D, p.source.C, i-n, float32(0)
		if i < n {
			at = int(p.file.SourceState[i])
			inputs, states, bias = p.source.B, p.source.A, p.source.StateBias[at]
		} else {
			bias = p.source.OutputBias[at]
		}
		var row []float64
		for _, input := range p.file.Inputs {
			row = append(row, float64(inputs.At(at, int(input.Source))))
		}
		for _, s := range p.file.SourceState {
			row = append(row, float64(states.At(at, int(s))))
		}
		r.weights = append(r.weights, row)
		r.bias = append(r.bias, float64(bias)+float64(inputs.At(at, 1))*float64(p.source.InputLo[1]))
	}
	return r
}

// run returns z of every row for an input of the plan; phi is the float model's own activation.
func (r *reference) run(u []float64) (z []float64) {
	v := slices.Clone(u)
	for i, row := range r.weights {
		sum := r.bias[i]
		for j, x := range v {
			sum += row[j] * x
		}
		z = append(z, sum)
		if i < r.m.States() {
			v = append(v, phi(&r.m.Rows[i], sum))
		}
	}
	return z
}

func phi(row *simb.Row, z float64) float64 {
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

// integersAt returns z̃ of every row, the outputs that a caller receives, and whether anything saturated.
func integersAt(m *simb.Model, u []float64) (z, y []float64, saturated bool) {
	inputs := make([]int64, len(m.Inputs))
	for j := range inputs {
		q, outside := quantise(&m.Inputs[j], m.Width, float32(u[j]))
		inputs[j], saturated = q, saturated || outside
	}
	got := interpret(m, inputs)
	all := append(inputs, got.states...)
	for i := range m.Rows {
		z = append(z, float64(m.Unit(i))*m.Rows[i].Multiplier.Ratio()*float64(accumulate(m, i, all)))
	}
	for _, v := range got.outputs {
		y = append(y, float64(float32(float64(v)*float64(m.OutputScale))))
	}
	return z, y, saturated || got.saturations > 0
}

// inBox draws an input of the box, often at its ends, as float32 numbers.
func inBox(random *rand.Rand, m *simb.Model) []float64 {
	var u []float64
	corner := random.IntN(2) == 0
	for _, input := range m.Inputs {
		v := input.Lo + float32(random.Float64())*(input.Hi-input.Lo)
		if corner {
			v = []float32{input.Lo, input.Hi}[random.IntN(2)]
		}
		u = append(u, float64(min(max(v, input.Lo), input.Hi)))
	}
	return u
}

// shrink makes the box a random part of itself, now and then a point.
func shrink(random *rand.Rand, m *simb.Model) {
	part := math.Pow(random.Float64(), 4)
	if random.IntN(4) == 0 {
		part = 0
	}
	for j := range m.Inputs {
		input := &m.Inputs[j]
		at := float32(random.Float64() * (1 - part))
		size := input.Hi - input.Lo
		lo := input.Lo + at*size
		input.Lo, input.Hi = lo, min(max(lo, lo+float32(part)*size), input.Hi)
	}
}

// TestNothingExceedsARelaxedBound runs both networks on inputs of random boxes: states' ranges and output
// bounds must hold. Boxes that are points, and corners, show mistakes that random inputs of a large box never do.
func TestNothingExceedsARelaxedBound(t *testing.T) {
	boxes := 60
	if testing.Short() {
		boxes = 15
	}
	for k, s := range relaxShapes {
		t.Run(s.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(k), 3))
			used := map[string]float64{}
			for n := range boxes {
				p := build(uint64(n/4), s)
				whole := slices.Clone(p.file.Inputs)
				if n%4 > 0 {
					shrink(random, p.file)
				}
				c := newChecker(p.file)
				l := must(c.link(p.source))
				for _, calibrated := range []bool{false, true} {
					for name, pairing := range map[string]struct {
						links *links
						real  *reference
					}{"realised": {nil, realisedBounds(p.file)}, "source": {l, ofSource(p)}} {
						r := c.newRelaxation(pairing.links, calibrated)
						share := holdsOver(t, random, r, pairing.real, calibrated)
						used[name] = max(used[name], share)
						if t.Failed() {
							t.Fatalf("box %d, %s, calibrated %v", n, name, calibrated)
						}
					}
				}
				copy(p.file.Inputs, whole)
			}
			t.Logf("largest error in parts of its bound: %v", used)
			if used["source"] < 0.3 || used["realised"] < 0.3 {
				t.Error("the bounds are far from what is reached")
			}
		})
	}
}

// holdsOver bounds the box and holds samples against it. It returns the largest error in parts of its bound.
func holdsOver(t *testing.T, random *rand.Rand, r *relaxation, real *reference, calibrated bool) (used float64) {
	t.Helper()
	m := r.c.m
	b := r.newBoxBounds()
	known := &ranges{make([]interval, m.States()), make([]interval, m.States())}
	b.enter(r.lowest, r.highest)
	b.states(nil, known)
	var bounds []float64
	for k := range m.Outputs() {
		bounds = append(bounds, b.outputBound(k))
	}
	const rounding = 1e-9
	for range 60 {
		u := inBox(random, m)
		z := real.run(u)
		shifted, y, saturated := integersAt(m, u)
		if calibrated && saturated {
			continue
		}
		for i, v := range known.z {
			if slack := rounding * (1 + math.Abs(z[i])); z[i] < v.lo-slack || z[i] > v.hi+slack {
				t.Errorf("state %d (%v): z is %g, in [%g, %g] by the bound", i, model.Kind(m.Rows[i].Kind), z[i], v.lo, v.hi)
			}
			d, w := shifted[i]-z[i], known.d[i]
			if slack := rounding * (1 + math.Abs(z[i])); d < w.lo-slack || d > w.hi+slack {
				t.Errorf("state %d (%v): d is %g, in [%g, %g] by the bound", i, model.Kind(m.Rows[i].Kind), d, w.lo, w.hi)
			}
		}
		for k, bound := range bounds {
			e := math.Abs(y[k] - z[m.States()+k])
			if e > bound+rounding*(1+math.Abs(y[k])) {
				t.Errorf("output %d: an error of %g, %g by the bound", k, e, bound)
			}
			used = max(used, e/bound)
		}
	}
	return used
}

// honest claims what is proved, over a tree of cuts.
func honest(p pair, tree []uint8) {
	c := newChecker(p.file)
	l := must(c.link(p.source))
	up := func(figures []leafBound, _ error) (out []float32) {
		for _, f := range figures {
			out = append(out, float32Up(f.bound))
		}
		return out
	}
	claims := &p.file.Certificates
	claims.Relaxed = &simb.RelaxedCertificate{Tree: tree,
		Output: up(c.newRelaxation(l, false).bounds(tree, defaultWork)), Realised: up(c.newRelaxation(nil, false).bounds(tree, defaultWork))}
	claims.RelaxedCalibrated = &simb.RelaxedCertificate{
		Output: up(c.newRelaxation(l, true).bounds(nil, defaultWork)), Realised: up(c.newRelaxation(nil, true).bounds(nil, defaultWork))}
}

// cutEvenly returns a tree that cuts all inputs in turn.
func cutEvenly(inputs, depth int) []uint8 {
	var below func(left, j int) []uint8
	below = func(left, j int) []uint8 {
		if left == 0 {
			return []uint8{0}
		}
		half := below(left-1, (j+1)%inputs)
		return slices.Concat([]uint8{uint8(1 + j)}, half, half)
	}
	return below(depth, 0)
}

func TestRelaxedFiguresAreRefusedJustBelowWhatIsProved(t *testing.T) {
	for _, s := range relaxShapes[:4] {
		p := build(5, s)
		honest(p, cutEvenly(3, 3))
		r := Opened(p.file, Options{Against: p.source, Samples: 200, Seed: 2})
		if !r.OK {
			t.Fatalf("%s: honest claims are refused: %v", s.name, r.Checks)
		}
		claims := &p.file.Certificates
		for check, figures := range map[string][]float32{
			"error-relaxed": claims.Relaxed.Output, "realised-box": claims.Relaxed.Realised,
			"error-relaxed-calibrated": claims.RelaxedCalibrated.Output, "realised-calibrated": claims.RelaxedCalibrated.Realised,
		} {
			for k := range figures {
				kept := figures[k]
				figures[k] = math.Nextafter32(kept, 0)
				if failed := Opened(p.file, Options{Against: p.source}).Failed(); !slices.Equal(failed, []string{check}) {
					t.Errorf("%s: output %d of %s lowered: refused by %v", s.name, k, check, failed)
				}
				figures[k] = kept
			}
		}
	}
}

func TestWrongRelaxedClaimsAreRefused(t *testing.T) {
	causal, loops := relaxShapes[0], shapes[1]
	for name, c := range map[string]struct {
		shape shape
		check string
		spoil func(p pair, o *Options)
	}{
		"a tree that ends early":      {causal, "structure", func(p pair, _ *Options) { p.file.Certificates.Relaxed.Tree = []uint8{1, 0} }},
		"a tree that goes on":         {causal, "structure", func(p pair, _ *Options) { p.file.Certificates.Relaxed.Tree = []uint8{0, 0} }},
		"no tree":                     {causal, "structure", func(p pair, _ *Options) { p.file.Certificates.Relaxed.Tree = nil }},
		"a cut of no input":           {causal, "structure", func(p pair, _ *Options) { p.file.Certificates.Relaxed.Tree = []uint8{4, 0, 0} }},
		"a tree without saturation":   {causal, "structure", func(p pair, _ *Options) { p.file.Certificates.RelaxedCalibrated.Tree = []uint8{0} }},
		"a figure that is no number":  {causal, "structure", func(p pair, _ *Options) { p.file.Certificates.Relaxed.Output[0] = float32(math.NaN()) }},
		"too few figures":             {causal, "structure", func(p pair, _ *Options) { p.file.Certificates.Relaxed.Realised = nil }},
		"a tree cut less than it was": {causal, "error-relaxed", func(p pair, _ *Options) { p.file.Certificates.Relaxed.Tree = []uint8{0} }},
		"more work than allowed":      {causal, "realised-box", func(_ pair, o *Options) { o.Work = 1000 }},
		"another float model":         {causal, "error-relaxed", func(p pair, _ *Options) { p.source.C.Data[0] += 1 }},
		"loops": {loops, "realised-box", func(p pair, _ *Options) {
			p.file.Certificates.Relaxed = &simb.RelaxedCertificate{Tree: []uint8{0}, Output: []float32{1e9, 1e9}, Realised: []float32{1e9, 1e9}}
		}},
	} {
		p := build(3, c.shape)
		if !c.shape.loop {
			honest(p, cutEvenly(3, 4))
		}
		o := Options{Against: p.source}
		c.spoil(p, &o)
		if failed := Opened(p.file, o).Failed(); !slices.Contains(failed, c.check) {
			t.Errorf("%s: refused by %v, not by %s", name, failed, c.check)
		}
	}
}

func TestFinerTreesGiveSmallerBoundsOnAnyNumberOfCores(t *testing.T) {
	for _, s := range relaxShapes {
		p := build(8, s)
		c := newChecker(p.file)
		r := c.newRelaxation(must(c.link(p.source)), false)
		coarse := must(r.bounds(nil, defaultWork))
		for _, depth := range []int{3, 8} {
			tree := cutEvenly(3, depth)
			fine := must(r.bounds(tree, defaultWork))
			for k := range fine {
				if fine[k].bound > coarse[k].bound {
					t.Errorf("%s: output %d: %g over one box, %g over %d", s.name, k, coarse[k].bound, fine[k].bound, 1<<depth)
				}
			}
			before := runtime.GOMAXPROCS(5)
			again := must(r.bounds(tree, defaultWork))
			runtime.GOMAXPROCS(1)
			alone := must(r.bounds(tree, defaultWork))
			runtime.GOMAXPROCS(before)
			if !slices.Equal(fine, again) || !slices.Equal(fine, alone) {
				t.Errorf("%s: %v, %v, %v on other numbers of cores", s.name, fine, again, alone)
			}
			coarse = fine
		}
	}
}

// TestFailuresNameTheBox: a figure that claims too much is told with the leaf that shows it.
func TestFailuresNameTheBox(t *testing.T) {
	p := build(5, relaxShapes[0])
	tree := cutEvenly(3, 3)
	honest(p, tree)
	p.file.Certificates.Relaxed.Output[1] /= 2
	r := Opened(p.file, Options{Against: p.source})
	at := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == "error-relaxed" })
	figures := must(newChecker(p.file).newRelaxation(must(newChecker(p.file).link(p.source)), false).bounds(tree, defaultWork))
	leaf := strings.Count(fmt.Sprint(tree[:figures[1].node]), "0")
	if want := fmt.Sprintf("in box %d of 8", leaf); r.Checks[at].OK || !strings.Contains(r.Checks[at].Detail, want) || !strings.Contains(r.Checks[at].Detail, "output 1") {
		t.Errorf("%q, not %q", r.Checks[at].Detail, want)
	}
}
