package main

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// drawn returns a network with biases, and samples of its inputs in [−0.3, 1].
func drawn(seed uint64, samples int) (*teacher.Network, []float32) {
	rng := rand.New(rand.NewPCG(seed, 7))
	net := randomNetwork(rng, []int{40, 24, 16, 5})
	for k := range net.Layers {
		for i := range net.Layers[k].B {
			net.Layers[k].B[i] = float32(rng.NormFloat64()) / 4
		}
	}
	u := make([]float32, samples*net.Inputs)
	for k := range u {
		u[k] = float32(rng.Float64()*1.3 - 0.3)
	}
	return net, u
}

func TestQuantisedLayersFollowTheFloats(t *testing.T) {
	for seed := range uint64(10) {
		net, u := drawn(seed, 200)
		want := net.Forward32(u, 200, nil)
		for _, perRow := range []bool{false, true} {
			layers, err := quantise(net, u, perRow)
			if err != nil {
				t.Fatal(err)
			}
			last := layers[len(layers)-1]
			span := 255 * float64(last.OutScale)
			for s := range 200 {
				for i, q := range evaluate(layers, u[s*net.Inputs:(s+1)*net.Inputs]) {
					got := float64(last.OutScale) * float64(q-last.OutZero)
					if off := math.Abs(got - float64(want[s*last.Out+i])); off > 0.06*span {
						t.Fatalf("seed %d, per row %v: output %d of sample %d is %g, off by %g of a span of %g", seed, perRow, i, s, got, off, span)
					}
				}
			}
		}
	}
}

func TestQuantisedLayersAreInRange(t *testing.T) {
	net, u := drawn(3, 100)
	for _, perRow := range []bool{false, true} {
		layers, err := quantise(net, u, perRow)
		if err != nil {
			t.Fatal(err)
		}
		for k, y := range layers {
			if want := map[bool]int{false: 1, true: y.Out}[perRow]; len(y.WeightScales) != want {
				t.Errorf("layer %d has %d scales, want %d", k, len(y.WeightScales), want)
			}
			if y.InZero < 0 || y.InZero > 255 || y.OutZero < 0 || y.OutZero > 255 || slices.Min(y.Weights) < -127 || slices.Max(y.Weights) < 127 && slices.Min(y.Weights) > -127 {
				t.Errorf("layer %d: zero points %d and %d, weights in [%d, %d]", k, y.InZero, y.OutZero, slices.Min(y.Weights), slices.Max(y.Weights))
			}
			if y.ReLU && y.OutZero != 0 {
				t.Errorf("layer %d: a relu's zero point is %d", k, y.OutZero)
			}
			if k > 0 && (y.InScale != layers[k-1].OutScale || y.InZero != layers[k-1].OutZero) {
				t.Errorf("layer %d reads other activations than layer %d writes", k, k-1)
			}
		}
	}
}

func TestZeroIsExact(t *testing.T) {
	for _, s := range []span{{0, 1}, {-0.3, 1}, {-5, 0}, {0, 0}, {-1, 1e-3}} {
		scale, zero := s.activation()
		if got := activation(0, scale, zero); got != zero || zero < 0 || zero > 255 {
			t.Errorf("in [%v, %v] zero is %d, its zero point %d", s.lo, s.hi, got, zero)
		}
		for _, end := range []float32{s.lo, s.hi} {
			if q := activation(end, scale, zero); math.Abs(float64(scale)*float64(q-zero)-float64(end)) > float64(scale) {
				t.Errorf("%v of [%v, %v] becomes %d, worth %v", end, s.lo, s.hi, q, scale*float32(q-zero))
			}
		}
	}
}

func TestFramesBecomeBytes(t *testing.T) {
	frames := [][]float32{{0, 1}, {-9, 9}}
	if got := quantiseFrames[uint8](frames, 0.5, 10); !slices.Equal(got, []uint8{10, 12, 0, 28}) {
		t.Errorf("uint8: %v", got)
	}
	if got := quantiseFrames[int8](frames, 0.5, 10); !slices.Equal(got, []int8{-118, -116, -128, -100}) {
		t.Errorf("int8: %v", got)
	}
}

func TestOtherNetworksAreRefused(t *testing.T) {
	net, u := drawn(1, 10)
	net.Layers[1].Activation.Kind = model.Tanh
	if _, err := quantise(net, u, true); err == nil {
		t.Error("a tanh layer is accepted")
	}
	net, u = drawn(1, 10)
	net.Layers[2].Activation.Kind = model.ReLU
	if _, err := quantise(net, u, true); err == nil {
		t.Error("a relu output is accepted")
	}
	if net, _ = drawn(1, 10); net != nil {
		if _, err := quantise(net, nil, true); err == nil {
			t.Error("no samples are accepted")
		}
	}
}

func TestLayersSurviveAFile(t *testing.T) {
	net, u := drawn(5, 50)
	reals, err := layersOf(net)
	if err != nil {
		t.Fatal(err)
	}
	quantised, err := quantise(net, u, false)
	if err != nil {
		t.Fatal(err)
	}
	for k := range quantised { // a file holds one of the two
		quantised[k].Reals, quantised[k].RealBiases = nil, nil
	}
	for _, layers := range [][]layer{reals, quantised} {
		name := filepath.Join(t.TempDir(), "net.xnn")
		if err := writeLayers(name, layers); err != nil {
			t.Fatal(err)
		}
		read, err := readLayers(name)
		if err != nil || !reflect.DeepEqual(read, layers) {
			t.Errorf("what is read differs; error %v", err)
		}
		content, _ := os.ReadFile(name)
		for cut := 0; cut < len(content); cut += 1 + cut/7 {
			os.WriteFile(name, content[:cut], 0o600)
			if read, err := readLayers(name); err == nil && len(read) == len(layers) {
				t.Errorf("the first %d of %d bytes are read as a whole", cut, len(content))
			}
		}
	}
}
