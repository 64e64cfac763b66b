package verify

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// wider is a float model in dense rows, to which states can be added that its compiled form leaves out.
type wider struct {
	n, p, q    int
	a, b, c, d [][]float32
	bias, out  []float32
	act        []model.Activation
	from       *model.Model
}

func widen(m *model.Model) *wider {
	rows := func(m *sparse.Matrix[float32]) [][]float32 {
		out, dense := make([][]float32, m.Rows), m.Dense()
		for i := range out {
			out[i] = slices.Clone(dense[i*m.Cols : (i+1)*m.Cols])
		}
		return out
	}
	return &wider{m.States(), m.Inputs(), m.Outputs(), rows(m.A), rows(m.B), rows(m.C), rows(m.D),
		slices.Clone(m.StateBias), slices.Clone(m.OutputBias), slices.Clone(m.Activations), m}
}

// add adds a state that reads nothing and is read by none, and returns its number.
func (w *wider) add(a model.Activation, bias float32) int {
	for i := range w.a {
		w.a[i] = append(w.a[i], 0)
	}
	for i := range w.c {
		w.c[i] = append(w.c[i], 0)
	}
	w.n++
	w.a, w.b = append(w.a, make([]float32, w.n)), append(w.b, make([]float32, w.p))
	w.act, w.bias = append(w.act, a), append(w.bias, bias)
	return w.n - 1
}

// double adds a copy of state s, which shares its readers: each of them reads both with half of the weight.
func (w *wider) double(s int) int {
	k := w.add(w.act[s], w.bias[s])
	copy(w.a[k], w.a[s])
	copy(w.b[k], w.b[s])
	for _, rows := range [][][]float32{w.a, w.c} {
		for i := range rows {
			rows[i][s] /= 2
			rows[i][k] = rows[i][s]
		}
	}
	return k
}

func (w *wider) model() *model.Model {
	flat := func(rows [][]float32, cols int) *sparse.Matrix[float32] {
		return sparse.FromDense(len(rows), cols, slices.Concat(rows...))
	}
	m := *w.from
	m.A, m.B, m.C, m.D = flat(w.a, w.n), flat(w.b, w.p), flat(w.c, w.n), flat(w.d, w.p)
	m.StateBias, m.OutputBias, m.Activations = w.bias, w.out, w.act
	return &m
}

var (
	reluKind     = model.Activation{Kind: model.ReLU}
	identityKind = model.Activation{Kind: model.Identity}
)

// instead has an output read a state of a power of two in place of its bias.
func (w *wider) instead(output, s int, value float32) {
	w.c[output][s], w.out[output] = w.out[output]/value, 0
}

// folds are sources in which something folds into what the file holds, each with ways to break that.
var folds = []struct {
	name  string
	says  string // in the detail of the check
	plant func(w *wider)
	spoil map[string]func(w *wider)
}{
	{"a state that is never above zero", "1 are constant, 0 repeat another, 0 are identities",
		func(w *wider) {
			k := w.add(reluKind, -2)
			w.b[k][0], w.b[k][2] = 0.5, -1 // boxes [0, 1] and [0.6, 0.68]
			w.c[0][k], w.c[1][k] = 3, -1
		}, map[string]func(w *wider){
			"above zero at a corner": func(w *wider) { w.bias[w.n-1] = 0.125 },
			"no relu":                func(w *wider) { w.act[w.n-1] = model.Activation{Kind: model.LeakyReLU, P0: 0.5} },
		}},
	{"a state at its limit", "1 are constant, 0 repeat another, 0 are identities",
		func(w *wider) {
			k := w.add(model.Activation{Kind: model.ClippedReLU, P1: 0.25}, 2)
			w.b[k][0] = -1
			w.instead(0, k, 0.25)
		}, map[string]func(w *wider){
			"a limit that is not reached": func(w *wider) { w.bias[w.n-1] = 1.125 },
			"another kind of limit":       func(w *wider) { w.act[w.n-1] = model.Activation{Kind: model.Tanh} },
		}},
	{"constants in a row", "3 are constant, 0 repeat another, 0 are identities",
		func(w *wider) {
			first := w.add(identityKind, 2)
			w.b[first][1] = 8 // a point, 0.375
			second := w.add(reluKind, -4)
			w.a[second][first] = 1 // 5 − 4
			third := w.add(model.Activation{Kind: model.HardTanh, P0: -4, P1: 4}, -1000)
			w.a[third][second] = 1
			w.instead(1, third, -4)
		}, map[string]func(w *wider){
			"one that is not": func(w *wider) { w.b[w.n-2][0] = 2000 },
		}},
	{"a state in a loop that its own row keeps at zero", "1 are constant, 0 repeat another, 0 are identities",
		func(w *wider) {
			k, other := w.add(reluKind, -1), w.n-2
			for w.act[other].Kind != model.ReLU && w.act[other].Kind != model.Sigmoid && w.act[other].Kind != model.ClippedReLU {
				other--
			}
			w.a[k][other], w.a[other][k], w.a[k][k] = -3, 0.5, -1
		}, map[string]func(w *wider){
			"kept at zero by nothing": func(w *wider) { w.bias[w.n-1] = 1 },
		}},
	{"a copy", "0 are constant, 1 repeat another, 0 are identities",
		func(w *wider) { w.double(3) },
		map[string]func(w *wider){
			"one place of one weight": func(w *wider) { w.b[w.n-1][0] = math.Nextafter32(w.b[w.n-1][0], 9) },
			"one place of the bias":   func(w *wider) { w.bias[w.n-1] = math.Nextafter32(w.bias[w.n-1], 9) },
			"one more weight":         func(w *wider) { w.b[w.n-1][4] = 1e-30 },
			"another function":        func(w *wider) { w.act[w.n-1] = model.Activation{Kind: model.HardTanh, P0: -1e6, P1: 1e6} },
		}},
	{"copies of copies", "0 are constant, 3 repeat another, 0 are identities",
		func(w *wider) {
			w.double(5)
			k := w.double(2)
			w.double(k)
		}, map[string]func(w *wider){
			"one place of one weight": func(w *wider) { w.b[w.n-2][2] = math.Nextafter32(w.b[w.n-2][2], 9) },
		}},
	{"an identity", "0 are constant, 0 repeat another, 1 are identities",
		func(w *wider) { throughIdentity(w, 2, 0) },
		map[string]func(w *wider){
			"another function": func(w *wider) { w.act[w.n-1] = reluKind },
			"a loop of itself": func(w *wider) { w.a[w.n-1][w.n-1] = 0.5 },
		}},
	{"identities of copies of constants", "1 are constant, 1 repeat another, 2 are identities",
		func(w *wider) {
			throughIdentity(w, 2, 0)
			w.double(w.n - 1)
			throughIdentity(w, w.n-2, 0)
			k := w.add(reluKind, -2)
			w.a[w.n-2][k], w.b[k][0] = 5, 1
		}, map[string]func(w *wider){
			"above zero at a corner": func(w *wider) { w.b[w.n-1][0] = 2.5 },
		}},
}

// throughIdentity has row i of the states read input j by way of an identity of a quarter of it.
func throughIdentity(w *wider, i, j int) {
	k := w.add(identityKind, 0)
	w.b[k][j] = 0.25
	w.a[i][k], w.b[i][j] = 4*w.b[i][j], 0
}

// TestFoldsAreProvedFromTheSource: the file stays as it was, its source gets states that fold into it; broken
// in one place, none of them is accepted.
func TestFoldsAreProvedFromTheSource(t *testing.T) {
	for _, s := range []shape{shapes[0], shapes[1], shapes[4]} {
		for _, fold := range folds {
			p := build(5, s)
			w := widen(p.source)
			fold.plant(w)
			if !s.loop && strings.Contains(fold.name, "loop") {
				continue // nothing to close a loop through
			}
			// The file is of the source with what folds taken out: figures and all.
			p.file.SourceStates = w.n
			r := Opened(p.file, Options{Against: w.model(), Samples: 20})
			for _, c := range r.Checks {
				if !c.OK {
					t.Errorf("%s, %s: %s: %s", s.name, fold.name, c.Name, c.Detail)
				}
				if c.Name == "dimensions" && !strings.Contains(c.Detail, fold.says) {
					t.Errorf("%s, %s: %q does not say %q", s.name, fold.name, c.Detail, fold.says)
				}
			}
			for name, spoil := range fold.spoil {
				w := widen(p.source)
				fold.plant(w)
				spoil(w)
				if failed := Opened(p.file, Options{Against: w.model()}).Failed(); !slices.Contains(failed, "dimensions") {
					t.Errorf("%s, %s, %s: refused by %v, want dimensions", s.name, fold.name, name, failed)
				}
			}
		}
	}
}

// TestWhatFoldsIsComparedAsWell: a source whose folds hold but come to other rows than the file's is refused by
// the residuals.
func TestWhatFoldsIsComparedAsWell(t *testing.T) {
	for name, change := range map[string]func(w *wider){
		"an identity of another weight":  func(w *wider) { throughIdentity(w, 2, 0); w.b[w.n-1][0] = 0.5 },
		"an identity of another bias":    func(w *wider) { throughIdentity(w, 2, 0); w.bias[w.n-1] = 0.5 },
		"a copy that is read more":       func(w *wider) { k := w.double(3); w.c[0][k] += 0.5 },
		"a constant without its biases":  func(w *wider) { w.c[0][w.add(identityKind, 2)] = 3 },
		"a constant of another function": func(w *wider) { w.c[0][w.add(model.Activation{Kind: model.Sigmoid}, 2)] = 3 },
	} {
		p := build(6, shapes[0])
		w := widen(p.source)
		change(w)
		p.file.SourceStates = w.n
		if failed := Opened(p.file, Options{Against: w.model()}).Failed(); !slices.Contains(failed, "residual-box") || slices.Contains(failed, "dimensions") {
			t.Errorf("%s: refused by %v, want residual-box", name, failed)
		}
	}
}
