package system

import (
	"cmp"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/verify"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/sparse-implicit/sim/tools/internal/shared"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// TestProvedBoundsHoldOnControllers compiles ACAS Xu networks with --prove and looks for inputs with errors above the
// bounds: samples, all corners, and hill climbing from the worst of them. It prints how tight the bounds are.
// SIM_LONG=1 takes all nine networks on four boxes; SIM_PROVE (30s, or a number of boxes), SIM_SAMPLES, SIM_NETS
// (1,5,9), SIM_BOXES (prop3,prop4) and SIM_WEIGHTS (8, 16; 0 for as many planes as needed) say otherwise.
func TestProvedBoundsHoldOnControllers(t *testing.T) {
	root := filepath.Join(shared.Path(t, "onnx"), "acasxu")
	prove, samples, nets, boxes := "300", 2000, "1", "prop4"
	if os.Getenv("SIM_LONG") != "" {
		prove, samples, nets, boxes = "30s", 1_000_000, "1,2,3,4,5,6,7,8,9", "full,prop1,prop3,prop4"
	} else {
		t.Logf("network 1_%s on %s, %s boxes, %d samples; SIM_LONG=1 takes all", nets, boxes, prove, samples)
	}
	prove, nets, boxes = cmp.Or(os.Getenv("SIM_PROVE"), prove), cmp.Or(os.Getenv("SIM_NETS"), nets), cmp.Or(os.Getenv("SIM_BOXES"), boxes)
	if given := os.Getenv("SIM_SAMPLES"); given != "" {
		var err error
		if samples, err = strconv.Atoi(given); err != nil {
			t.Fatal(err)
		}
	}
	weights, err := strconv.Atoi(cmp.Or(os.Getenv("SIM_WEIGHTS"), "0"))
	if err != nil {
		t.Fatal(err)
	}
	options := compiler.Options{Bits: 14, WeightBits: weights, Prove: proveOf(t, prove)}
	t.Log("net box   two planes   bound      observed   ratio  of span   boxes    seconds decisions, points")
	for _, box := range strings.Split(boxes, ",") {
		lo, hi := readBox(t, filepath.Join(root, "box_"+box+".csv"))
		var ratios []float64
		for _, net := range strings.Split(nets, ",") {
			m := converted(t, filepath.Join(root, "ACASXU_run2a_1_"+net+"_batch_2000.onnx"), lo, hi)
			ratios = append(ratios, provedBounds(t, m, options, "1_"+net+" "+box, samples))
		}
		slices.Sort(ratios)
		t.Logf("%s: median ratio %.1f", box, ratios[len(ratios)/2])
	}
}

// proveOf reads what --prove reads.
func proveOf(t *testing.T, s string) compiler.Prove {
	t.Helper()
	if boxes, err := strconv.Atoi(s); err == nil {
		return compiler.Prove{On: true, Boxes: boxes}
	}
	limit, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return compiler.Prove{On: true, Time: limit}
}

func converted(t *testing.T, path string, lo, hi []float32) *model.Model {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := teacher.Convert(graph, teacher.ConvertOptions{Lo: lo, Hi: hi})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// provedBounds compiles, verifies, attacks and reports one case. It returns the largest ratio of a bound to the error
// that was found.
func provedBounds(t *testing.T, m *model.Model, options compiler.Options, name string, samples int) float64 {
	t.Helper()
	start := time.Now()
	compiled, report, err := compiler.Compile(m, options)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	seconds := time.Since(start).Seconds()
	if checks, err := verify.File(compiled, verify.Options{Against: m}); err != nil || !checks.OK {
		t.Errorf("%s: verify: %v %+v", name, err, checks)
	}
	found := attack(t, m, compiled, samples)
	ratio, worst, share := 0.0, 0, 0.0
	for k, e := range found.errors {
		if e > report.ErrorBoundBox[k] {
			t.Errorf("%s: output %d is off by %g at %v, the proved bound is %g", name, k, e, found.at[k], report.ErrorBoundBox[k])
		}
		if r := report.ErrorBoundBox[k] / e; r > ratio {
			ratio, worst = r, k
		}
		share = max(share, e/found.spans[k])
	}
	points := atPoints(t, m, compiled, found)
	t.Logf("%-9s %3d of %d   %-10.3g %-10.3g %-6.3g %-7.2g %% %-8d %-7.1f %.4f %%, %d", name, report.Weights.TwoPlaneRows, report.Weights.TwoPlaneRows+report.Weights.OnePlaneRows,
		report.ErrorBoundBox[worst], found.errors[worst], ratio, 100*share, report.Proof.Boxes, seconds, 100*found.equal, points)
	return ratio
}

// atPoints takes the points with the largest errors, and some at random, as boxes of a single point: what is proved
// there must cover the error there. It returns how many there were.
func atPoints(t *testing.T, m *model.Model, compiled []byte, found found) int {
	t.Helper()
	file, err := simb.Open(compiled)
	if err != nil {
		t.Fatal(err)
	}
	local, err := verify.NewLocal(file.Model(), m)
	if err != nil {
		t.Fatal(err)
	}
	points := slices.Clone(found.at)
	random := rand.New(rand.NewPCG(11, 11))
	for range 200 {
		u := make([]float32, m.Inputs())
		for j := range u {
			u[j] = min(max(m.InputLo[j]+(m.InputHi[j]-m.InputLo[j])*random.Float32(), m.InputLo[j]), m.InputHi[j])
		}
		points = append(points, u)
	}
	session, p, errors := local.NewSession(), newPrey(t, m, compiled), make([]float64, m.Outputs())
	for _, u := range points {
		proof, err := session.At(u, false)
		if err != nil {
			t.Fatal(err)
		}
		copy(p.src, u)
		if _, err := p.compare(errors); err != nil {
			t.Fatal(err)
		}
		for k, e := range errors {
			if e > proof.ErrorBound[k] {
				t.Errorf("output %d is off by %g at the point %v, proved there is %g", k, e, u, proof.ErrorBound[k])
			}
		}
	}
	return len(points)
}

// prey is a compiled model and its source, to be compared at one input.
type prey struct {
	session *simrt.Session
	rows    []realRow
	lo, hi  []float32
	outputs int
	x, y    []float64 // inputs and states; outputs
	src     []float32
	dst     []float32
}

// realRow is a row of the source over inputs, then states, in float64.
type realRow struct {
	columns    []int32
	values     []float64
	bias       float64
	activation *model.Activation
}

func newPrey(t *testing.T, m *model.Model, compiled []byte) *prey {
	t.Helper()
	loaded, err := simrt.Load(compiled)
	if err != nil {
		t.Fatal(err)
	}
	p := &prey{session: loaded.NewSession(), lo: m.InputLo, hi: m.InputHi, outputs: m.Outputs()}
	p.x, p.y = make([]float64, m.Inputs()+m.States()), make([]float64, m.Outputs())
	p.src, p.dst = make([]float32, m.Inputs()), make([]float32, m.Outputs())
	for i := range m.States() + m.Outputs() {
		inputs, states, at, row := m.B, m.A, i, realRow{}
		if i < m.States() {
			row.bias, row.activation = float64(m.StateBias[i]), &m.Activations[i]
		} else {
			inputs, states, at = m.D, m.C, i-m.States()
			row.bias = float64(m.OutputBias[at])
		}
		columns, values := inputs.Row(at)
		for k, j := range columns {
			row.columns, row.values = append(row.columns, j), append(row.values, float64(values[k]))
		}
		columns, values = states.Row(at)
		for k, j := range columns {
			if i < m.States() && int(j) >= i {
				t.Fatalf("state %d reads state %d: this test evaluates in order", i, j)
			}
			row.columns, row.values = append(row.columns, int32(m.Inputs())+j), append(row.values, float64(values[k]))
		}
		p.rows = append(p.rows, row)
	}
	return p
}

// compare runs both at src and returns the errors' largest and whether the least output is the same one.
func (p *prey) compare(errors []float64) (equal bool, err error) {
	if err := p.session.Infer(p.dst, p.src); err != nil {
		return false, err
	}
	for j, v := range p.src {
		p.x[j] = float64(v)
	}
	states := len(p.rows) - p.outputs
	for i := range p.rows {
		row := &p.rows[i]
		sum := row.bias
		for k, j := range row.columns {
			sum += row.values[k] * p.x[j]
		}
		if i < states {
			p.x[len(p.src)+i] = row.activation.Apply(sum)
			continue
		}
		p.y[i-states] = sum
	}
	best, own := 0, 0
	for k := range p.y {
		errors[k] = math.Abs(float64(p.dst[k]) - p.y[k])
		if p.y[k] < p.y[best] {
			best = k
		}
		if p.dst[k] < p.dst[own] {
			own = k
		}
	}
	return best == own, nil
}

// found is the largest error of each output, where, and the share of samples with the same decision.
type found struct {
	errors []float64
	at     [][]float32
	spans  []float64 // of each output over the samples
	equal  float64
}

// starts is how many of the worst samples of an output are climbed from.
const starts = 8

// attack looks for the largest errors on all cores: each takes its part of the samples and climbs from its own worst.
func attack(t *testing.T, m *model.Model, compiled []byte, samples int) found {
	t.Helper()
	cores := runtime.GOMAXPROCS(0)
	parts := make([]hunter, 4) // a fixed number, so that the samples do not depend on the machine
	for k := range parts {
		parts[k] = hunter{prey: newPrey(t, m, compiled), random: rand.New(rand.NewPCG(uint64(k), 7)), worst: make([][]trophy, m.Outputs())}
		parts[k].least, parts[k].most = slices.Repeat([]float64{math.Inf(1)}, m.Outputs()), slices.Repeat([]float64{math.Inf(-1)}, m.Outputs())
	}
	var wait sync.WaitGroup
	for c := range cores {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for k := c; k < len(parts); k += cores {
				parts[k].hunt(samples/len(parts), k == 0)
			}
		}()
	}
	wait.Wait()
	all := found{errors: make([]float64, m.Outputs()), at: make([][]float32, m.Outputs()), spans: make([]float64, m.Outputs())}
	for k := range parts {
		if parts[k].err != nil {
			t.Fatal(parts[k].err)
		}
		all.equal += float64(parts[k].equal) / float64(samples/len(parts)*len(parts))
		for o, trophies := range parts[k].worst {
			for _, other := range parts {
				all.spans[o] = max(all.spans[o], other.most[o]-parts[k].least[o])
			}
			if best := trophies[0]; best.size > all.errors[o] {
				all.errors[o], all.at[o] = best.size, best.at
			}
		}
	}
	return all
}

// hunter is one part of an attack.
type hunter struct {
	*prey
	random *rand.Rand
	worst  [][]trophy // per output, the largest first
	least  []float64  // of each output over the samples
	most   []float64
	equal  int
	err    error
}

type trophy struct {
	size float64
	at   []float32
}

// hunt draws samples, looks at all corners if told to, and climbs.
func (h *hunter) hunt(samples int, corners bool) {
	errors := make([]float64, h.outputs)
	if p := len(h.src); corners && p <= 12 {
		for corner := range 1 << p {
			for j := range h.src {
				h.src[j] = [2]float32{h.lo[j], h.hi[j]}[corner>>j&1]
			}
			h.look(errors)
		}
	}
	for range samples {
		for j := range h.src {
			h.src[j] = h.within(j, h.lo[j]+(h.hi[j]-h.lo[j])*h.random.Float32())
		}
		if h.look(errors) {
			h.equal++
		}
		for o, v := range h.y {
			h.least[o], h.most[o] = min(h.least[o], v), max(h.most[o], v)
		}
	}
	for o := range h.worst {
		for _, start := range slices.Clone(h.worst[o]) {
			h.climb(o, start, errors)
		}
	}
}

func (h *hunter) within(j int, v float32) float32 { return min(max(v, h.lo[j]), h.hi[j]) }

// look compares at src and keeps what is among the worst.
func (h *hunter) look(errors []float64) bool {
	equal, err := h.compare(errors)
	if err != nil {
		h.err = err
		return false
	}
	for o, e := range errors {
		list := h.worst[o]
		if len(list) == starts && e <= list[starts-1].size {
			continue
		}
		if len(list) == starts {
			list = list[:starts-1]
		}
		list = append(list, trophy{e, slices.Clone(h.src)})
		slices.SortStableFunc(list, func(a, b trophy) int { return cmp.Compare(b.size, a.size) })
		h.worst[o] = list
	}
	return equal
}

// climb moves one or all inputs at random, by less and less, and stays where the error of output o is larger.
func (h *hunter) climb(o int, best trophy, errors []float64) {
	const steps = 1500
	radius := 0.3
	for range steps {
		copy(h.src, best.at)
		one := h.random.IntN(2 * len(h.src))
		for j := range h.src {
			if one < len(h.src) && j != one {
				continue
			}
			h.src[j] = h.within(j, h.src[j]+float32(radius*(2*h.random.Float64()-1))*(h.hi[j]-h.lo[j]))
		}
		h.look(errors)
		if errors[o] > best.size {
			best = trophy{errors[o], slices.Clone(h.src)}
			continue
		}
		radius = max(radius*0.99, 1e-5)
	}
}
