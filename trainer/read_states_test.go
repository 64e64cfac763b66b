package trainer

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// statesFile is what a file of states holds, to be spoiled one array at a time.
type statesFile struct {
	arrays map[string][]float32
	shapes map[string][]int
}

// everyActivation has a layer of each, 14 states in all, 3 inputs and 2 outputs, on 60 samples.
func everyActivation() (f statesFile, activations []model.Activation) {
	list := []model.Activation{
		{Kind: model.Identity}, {Kind: model.ReLU}, {Kind: model.ClippedReLU, P1: 0.75}, {Kind: model.LeakyReLU, P0: 0.125},
		{Kind: model.HardTanh, P0: -0.5, P1: 0.5}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
	}
	network, inputs := randomNetwork(5, []int{3, 2, 2, 2, 2, 2, 2, 2, 2}, 60, list...)
	p, n, q, m, u, z, x, y := statesOf(network, inputs)
	f = statesFile{map[string][]float32{"U": u, "Z": z, "X": x, "Y": y}, map[string][]int{"U": {p, m}, "Z": {n, m}, "X": {n, m}, "Y": {q, m}}}
	for i := range n {
		a := list[i/2]
		activations = append(activations, a)
		f.arrays["rank"] = append(f.arrays["rank"], float32(i/2))
		f.arrays["activation"] = append(f.arrays["activation"], float32(a.Kind))
		f.arrays["activation_param"] = append(f.arrays["activation_param"], a.P0, a.P1)
	}
	for s := range m {
		f.arrays["labels"] = append(f.arrays["labels"], float32(s%q))
	}
	f.shapes["rank"], f.shapes["activation"], f.shapes["activation_param"], f.shapes["labels"] = []int{n}, []int{n}, []int{n, 2}, []int{m}
	return f, activations
}

func (f statesFile) read(t *testing.T) (*StatesSource, error) {
	t.Helper()
	return ReadStates(archiveOf(t, f.arrays, f.shapes), relu)
}

func TestReadStatesTakesAnActivationPerState(t *testing.T) {
	f, activations := everyActivation()
	source, err := f.read(t)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(source.Shape().Activations, activations) {
		t.Errorf("activations %v, want %v", source.Shape().Activations, activations)
	}
	labelled := Labelled(source)
	if got := labelled.Labels(); len(got) != 60 || got[0] != 0 || got[1] != 1 || labelled.Targets() != nil {
		t.Errorf("labels %v, targets %v", got, labelled.Targets())
	}
	// Dense enough to be exact: every activation is the right one, or this is far off.
	for _, structure := range []Structure{Causal, Free} {
		m, _ := mustFit(t, source, Options{Lambda: 1e-7, Structure: structure, Task: Regression, NoRefine: structure == Causal, Ridge: 1e-9})
		_, y := outputsOf(t, m, source.u)
		limit := map[Structure]float64{Causal: 0.02, Free: 0.35}[structure]
		if off := relativeError(y, source.y); off > limit {
			t.Errorf("%s: the outputs are off by %.3g", structure, off)
		}
	}
}

func TestReadStatesTakesOneActivationForAll(t *testing.T) {
	network, inputs := randomNetwork(5, []int{3, 6, 2}, 60, model.Activation{Kind: model.LeakyReLU, P0: 0.25})
	p, n, q, m, u, z, x, y := statesOf(network, inputs)
	f := statesFile{
		map[string][]float32{"U": u, "Z": z, "X": x, "Y": y, "targets": y, "activation": {float32(model.LeakyReLU)}, "activation_param": {0.25, 0}},
		map[string][]int{"U": {p, m}, "Z": {n, m}, "X": {n, m}, "Y": {q, m}, "targets": {q, m}, "activation": {}, "activation_param": {2}},
	}
	source, err := f.read(t)
	if err != nil {
		t.Fatal(err)
	}
	if a := source.Shape().Activations[5]; a.Kind != model.LeakyReLU || a.P0 != 0.25 {
		t.Errorf("the last state's activation is %v", a)
	}
	if !slices.Equal(source.Targets(), source.y) {
		t.Error("targets are not sample-major, as the outputs are")
	}
	f.arrays["activation"] = []float32{float32(model.Identity)}
	if _, err := f.read(t); !errors.Is(err, ErrStates) || !strings.Contains(err.Error(), "identity of Z") {
		t.Errorf("X is not φ(Z): %v", err)
	}
}

func TestReadStatesSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f statesFile)
		want  string
	}{
		"few activations":          {func(f statesFile) { f.arrays["activation"], f.shapes["activation"] = []float32{1, 1}, []int{2} }, "2 numbers for 14 states"},
		"unknown activation":       {func(f statesFile) { f.arrays["activation"][3] = 7 }, "activation[3] = 7"},
		"negative activation":      {func(f statesFile) { f.arrays["activation"][3] = -1 }, "activation[3] = -1"},
		"no parameters":            {func(f statesFile) { delete(f.arrays, "activation_param") }, "activation_param of state 4"},
		"parameters of nothing":    {func(f statesFile) { delete(f.arrays, "activation") }, "without activation"},
		"parameters the other way": {func(f statesFile) { f.shapes["activation_param"] = []int{2, 14} }, "n × 2"},
		"a parameter not finite":   {func(f statesFile) { f.arrays["activation_param"][9] = float32(math.NaN()) }, "state 4"},
		"another activation":       {func(f statesFile) { f.arrays["activation"][13] = float32(model.Tanh) }, "the tanh of Z"},
		"few ranks":                {func(f statesFile) { f.arrays["rank"], f.shapes["rank"] = []float32{1}, []int{1} }, "1 ranks"},
		"few labels":               {func(f statesFile) { f.arrays["labels"], f.shapes["labels"] = []float32{1}, []int{1} }, "1 labels for 60 samples"},
		"a label too high":         {func(f statesFile) { f.arrays["labels"][17] = 2 }, "labels[17] = 2"},
		"a negative label":         {func(f statesFile) { f.arrays["labels"][17] = -1 }, "labels[17] = -1"},
		"labels and targets":       {func(f statesFile) { f.arrays["targets"], f.shapes["targets"] = f.arrays["Y"], f.shapes["Y"] }, "both labels and targets"},
		"targets of other width":   {func(f statesFile) { f.arrays["targets"], f.shapes["targets"] = f.arrays["U"], f.shapes["U"] }, "targets is 3 × 60"},
		"Z of other width":         {func(f statesFile) { f.arrays["Z"], f.shapes["Z"] = f.arrays["U"], f.shapes["U"] }, "Z is 3 × 60, but X's states and U's samples ask for 14 × 60"},
		"fewer samples in Y":       {func(f statesFile) { f.arrays["Y"], f.shapes["Y"] = f.arrays["Y"][:118], []int{2, 59} }, "Y is 2 × 59, but its features and U's samples ask for 2 × 60"},
	} {
		f, _ := everyActivation()
		if _, err := f.read(t); err != nil {
			t.Fatal(err)
		}
		c.spoil(f)
		if _, err := f.read(t); !errors.Is(err, ErrStates) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct{ array, want string }{"half a label": {"labels", "labels: element 3"}, "half a rank": {"rank", "rank: element 3"}, "half an activation": {"activation", "activation: element 3"}} {
		f, _ := everyActivation()
		f.arrays[c.array][3] = 0.5
		if _, err := f.read(t); !errors.Is(err, npz.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"U", "Z", "X", "Y"} {
		f, _ := everyActivation()
		delete(f.arrays, name)
		if _, err := f.read(t); !errors.Is(err, npz.ErrMalformed) || !strings.Contains(err.Error(), "no array \""+name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// Files whose headers promise more than is read are refused before memory is taken for them.
func TestReadStatesCapsItsMemory(t *testing.T) {
	_, wide := randomNetwork(5, []int{1 << 14, 1}, 1)
	f := statesFile{map[string][]float32{"U": wide, "Z": wide, "X": wide, "Y": wide}, map[string][]int{}}
	for name := range f.arrays {
		f.shapes[name] = []int{1 << 14, 1}
	}
	archive, err := npz.Read(archiveBytes(t, f.arrays, f.shapes), npz.Limits{MaxElements: 1 << 13})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadStates(archive, relu); !errors.Is(err, npz.ErrTooLarge) {
		t.Errorf("16,384 numbers where 8,192 are allowed: %v", err)
	}
}

// scaledColumns multiplies each input by a power of ten between 1e-3 and 1e3 and shifts it.
func scaledColumns(u []float32, p int) []float32 {
	out := slices.Clone(u)
	for k, v := range u {
		out[k] = float32((float64(v) + 2*float64(k%p%3)) * math.Pow(10, float64(k%p%7-3)))
	}
	return out
}

// A device feeds raw readings, whatever their units: the fitted functions must not depend on these.
func TestUnitsOfInputsDoNotMatter(t *testing.T) {
	network, inputs := randomNetwork(3, []int{14, 10, 6, 3}, 600)
	p, n, q, m, _, z, x, y := statesOf(network, inputs)
	raw := scaledColumns(inputs, p)
	fit := func(u []float32, o Options) []float64 {
		columns := make([]float32, len(u))
		for k, v := range u {
			columns[k%p*m+k/p] = v
		}
		ranks := []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}
		source, err := NewStatesSource(p, n, q, m, columns, z, x, y, relu, ranks)
		if err != nil {
			t.Fatal(err)
		}
		fitted, report := mustFit(t, source, o)
		if report.GapMax > 1e-6 {
			t.Errorf("%+v: gap %g", o, report.GapMax)
		}
		_, got := outputsOf(t, fitted, u)
		return got
	}
	for _, o := range []Options{
		{NNZ: 100}, {NNZ: 220}, {Lambda: 0.01}, {Lambda: 0.001, NoRefine: true}, {NNZ: 120, Structure: Free, Kappa: 0.8}, {Lambda: 0.003, Structure: Free},
	} {
		o.Task = Regression
		want := fit(inputs, o)
		got := fit(raw, o)
		narrow := make([]float32, len(want))
		for k, v := range want {
			narrow[k] = float32(v)
		}
		if off := relativeError(got, narrow); off > 2e-3 {
			t.Errorf("%+v: in other units the outputs differ by %.2g", o, off)
		}
	}
}

// The same from a network that takes raw readings: ω, the ridge and the rest of the way with it.
func TestNetworksTakeRawReadings(t *testing.T) {
	network, inputs := randomNetwork(3, []int{14, 10, 6, 3}, 600)
	raw, first := scaledColumns(inputs, 14), network.Layers[0]
	folded := &teacher.Network{Inputs: 14, Layers: append([]teacher.Layer{}, network.Layers...)}
	folded.Layers[0].W, folded.Layers[0].B = slices.Clone(first.W), slices.Clone(first.B)
	for k, w := range first.W {
		j := k % 14
		folded.Layers[0].W[k] = float32(float64(w) / math.Pow(10, float64(j%7-3)))
		folded.Layers[0].B[k/14] -= w * float32(2*(j%3))
	}
	for _, o := range []Options{{NNZ: 100}, {NNZ: 150, Structure: Free}} {
		o.Task = Regression
		plain, _ := mustFit(t, mustSource(t, network, inputs), o)
		other, _ := mustFit(t, mustSource(t, folded, raw), o)
		_, want := outputsOf(t, plain, inputs)
		_, got := outputsOf(t, other, raw)
		narrow := make([]float32, len(want))
		for k, v := range want {
			narrow[k] = float32(v)
		}
		if off := relativeError(got, narrow); off > 2e-3 {
			t.Errorf("%+v: in other units the outputs differ by %.2g", o, off)
		}
		if plain.InputLo[4] == other.InputLo[4] {
			t.Error("the box is not in raw units")
		}
	}
}

// States alone tell what their network would have told of ω: with ranks, without, for every activation.
func TestStatesTellTheirSensitivity(t *testing.T) {
	tanh, leaky := model.Activation{Kind: model.Tanh}, model.Activation{Kind: model.LeakyReLU, P0: 0.2}
	network, inputs := randomNetwork(3, []int{12, 8, 5, 3}, 2000, tanh, leaky)
	for k := range network.Layers[2].W[:5] { // one output in other units
		network.Layers[2].W[k] *= 3
	}
	p, n, q, m, u, z, x, y := statesOf(network, inputs)
	activations := append(slices.Repeat([]model.Activation{tanh}, 8), slices.Repeat([]model.Activation{leaky}, 5)...)
	known := mustSource(t, network, inputs)
	for name, ranks := range map[string][]int{"ranks": append(make([]int, 8), 1, 1, 1, 1, 1), "no ranks": nil} {
		states := States{Inputs: p, Outputs: q, Samples: m, U: u, Z: z, X: x, Y: y, Activations: activations, Ranks: ranks}
		given, err := states.Source()
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range []Task{Classification, Regression} {
			want, wantOut, err := known.Sensitivity(t.Context(), task, 1)
			if err != nil {
				t.Fatal(err)
			}
			got, gotOut, err := given.Sensitivity(t.Context(), task, 1)
			if err != nil || len(got) != n || len(gotOut) != q {
				t.Fatalf("%s, %s: %d and %d figures, %v", name, task, len(got), len(gotOut), err)
			}
			was := runtime.GOMAXPROCS(1)
			alone, _, _ := given.Sensitivity(t.Context(), task, 1)
			runtime.GOMAXPROCS(was)
			if !slices.Equal(alone, got) {
				t.Errorf("%s, %s: one core gives other bits", name, task)
			}
			for i, w := range append(slices.Clone(want), wantOut...) {
				if g := append(slices.Clone(got), gotOut...)[i]; math.Abs(g-w) > 0.08*w {
					t.Errorf("%s, %s: ω of row %d is %.4g, the network says %.4g", name, task, i, g, w)
				}
			}
		}
	}
}

// Half of the states hardly matter at the outputs: with ω the others get the numbers.
func TestSensitivityOfStatesImprovesTheFit(t *testing.T) {
	network, inputs := randomNetwork(9, []int{14, 16, 8, 3}, 600)
	for k := range network.Layers[2].W {
		if k%2 == 0 {
			network.Layers[2].W[k] *= 0.02
		}
	}
	p, n, q, m, u, z, x, y := statesOf(network, inputs)
	source, err := NewStatesSource(p, n, q, m, u, z, x, y, relu, append(make([]int, 16), 1, 1, 1, 1, 1, 1, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	off := map[bool]float64{}
	for _, without := range []bool{true, false} {
		fitted, _ := mustFit(t, source, Options{NNZ: 60, Task: Regression, NoWeights: without})
		_, got := outputsOf(t, fitted, inputs)
		off[without] = relativeError(got, source.y)
	}
	t.Logf("off by %.3f without ω, %.3f with it", off[true], off[false])
	if off[false] > 0.85*off[true] {
		t.Errorf("off by %.3f without ω, %.3f with it", off[true], off[false])
	}
}
