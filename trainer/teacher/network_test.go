package teacher

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
)

// randomNetwork has one hidden layer per activation given.
func randomNetwork(seed uint64, dims []int, activations ...model.Activation) *Network {
	random := rand.New(rand.NewPCG(seed, 0))
	n := &Network{Inputs: dims[0]}
	for i := range dims[1:] {
		l := Layer{In: dims[i], Out: dims[i+1], W: make([]float32, dims[i]*dims[i+1]), B: make([]float32, dims[i+1])}
		for k := range l.W {
			l.W[k] = random.Float32() - 0.5
		}
		for k := range l.B {
			l.B[k] = random.Float32() - 0.5
		}
		if i < len(activations) {
			l.Activation = activations[i]
		}
		n.Layers = append(n.Layers, l)
	}
	return n
}

func everyActivation() *Network {
	return randomNetwork(1, []int{7, 9, 8, 9, 8, 9, 8, 9, 4},
		model.Activation{Kind: model.ReLU},
		model.Activation{Kind: model.ClippedReLU, P1: 1.25},
		model.Activation{Kind: model.LeakyReLU, P0: 0.125},
		model.Activation{Kind: model.HardTanh, P0: -0.75, P1: 0.75},
		model.Activation{Kind: model.Tanh},
		model.Activation{Kind: model.Sigmoid},
		model.Activation{Kind: model.Identity},
	)
}

func TestNetworkModelAndONNXAgree(t *testing.T) {
	n := everyActivation()
	if err := n.Validate(); err != nil {
		t.Fatal(err)
	}
	if got, want := n.Dims(), []int{7, 9, 8, 9, 8, 9, 8, 9, 4}; !slices.Equal(got, want) {
		t.Errorf("dims %v, want %v", got, want)
	}
	g := n.ONNX()
	inputs := boxSamples(rand.New(rand.NewPCG(9, 10)), uniformBox(7, -3, 3), 60)
	compareNetwork(t, g, n, inputs, 1e-5)

	data, err := onnx.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	read, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := Convert(read, ConvertOptions{})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, g, m, inputs, 1e-5)
}

func TestNetworksSurviveONNXUnchanged(t *testing.T) {
	n := randomNetwork(2, []int{5, 8, 6, 3}, model.Activation{Kind: model.ReLU}, model.Activation{Kind: model.Tanh})
	data, err := onnx.Encode(n.ONNX())
	if err != nil {
		t.Fatal(err)
	}
	g, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	read, notes, err := ToNetwork(g)
	if err != nil || len(notes) != 0 {
		t.Fatalf("notes %q, error %v", notes, err)
	}
	for i, l := range n.Layers {
		r := read.Layers[i]
		if !slices.Equal(l.W, r.W) || !slices.Equal(l.B, r.B) || l.Activation != r.Activation {
			t.Errorf("layer %d differs after writing and reading", i)
		}
	}
}

func TestForward32DoesNotDependOnProcessorsOrBatches(t *testing.T) {
	const samples = 300
	n := randomNetwork(3, []int{130, 140, 70, 10}, model.Activation{Kind: model.ReLU}, model.Activation{Kind: model.ReLU})
	random := rand.New(rand.NewPCG(11, 12))
	u := make([]float32, samples*n.Inputs)
	for i := range u {
		u[i] = max(0, random.Float32()-0.5)
	}
	layers := 0
	want := n.Forward32(u, samples, func(layer int, z, x []float32) {
		if layer != layers || len(z) != samples*n.Layers[layer].Out || len(x) != len(z) {
			t.Errorf("call %d: layer %d with %d and %d numbers", layers, layer, len(z), len(x))
		}
		layers++
	})
	if layers != 3 {
		t.Errorf("%d layers collected, want 3", layers)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if got := n.Forward32(u, samples, nil); !slices.Equal(got, want) {
		t.Error("one processor gives other numbers")
	}
	for s := range samples {
		got := n.Forward32(u[s*n.Inputs:(s+1)*n.Inputs], 1, nil)
		if !slices.Equal(got, want[s*10:(s+1)*10]) {
			t.Fatalf("sample %d alone gives other numbers", s)
		}
	}
}

func TestValidateFindsLayersThatDoNotFit(t *testing.T) {
	for name, spoil := range map[string]func(n *Network){
		"no layers":            func(n *Network) { n.Layers = nil },
		"a width that differs": func(n *Network) { n.Layers[1].In++ },
		"a bias too few":       func(n *Network) { n.Layers[0].B = n.Layers[0].B[1:] },
		"an odd activation":    func(n *Network) { n.Layers[2].Activation.P0 = 7 },
		"a curved output":      func(n *Network) { n.Layers[len(n.Layers)-1].Activation.Kind = model.ReLU },
		"an infinite weight":   func(n *Network) { n.Layers[0].W[3] = float32(math.Inf(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			n := everyActivation()
			spoil(n)
			if err := n.Validate(); !errors.Is(err, ErrNetwork) {
				t.Errorf("error %v, want ErrNetwork", err)
			}
		})
	}
}
