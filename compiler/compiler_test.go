package compiler_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// mixed is a model with a loop, every activation, skips and a constant input.
func mixed(seed uint64) *model.Model {
	rng := rand.New(rand.NewPCG(seed, 0))
	number := func() float32 { return float32(rng.IntN(2001)-1000) / 1000 }
	n, p, q := 14, 5, 3
	dense := func(rows, cols int, keep func(i, j int) bool) *sparse.Matrix[float32] {
		values := make([]float32, rows*cols)
		for i := range rows {
			for j := range cols {
				if keep(i, j) && rng.IntN(3) > 0 {
					values[i*cols+j] = number()
				}
			}
		}
		return sparse.FromDense(rows, cols, values)
	}
	all := func(int, int) bool { return true }
	m := &model.Model{
		A: dense(n, n, func(i, j int) bool { return j < i }), B: dense(n, p, all), C: dense(q, n, all), D: dense(q, p, all),
		Decision: model.DecideArgmax,
	}
	m.A = withLoop(m.A)
	for i := range n {
		m.StateBias = append(m.StateBias, number())
		m.Activations = append(m.Activations, []model.Activation{
			{Kind: model.ReLU}, {Kind: model.Identity}, {Kind: model.ClippedReLU, P1: 1.5}, {Kind: model.LeakyReLU, P0: 0.1},
			{Kind: model.HardTanh, P0: -1, P1: 1}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
		}[i%7])
	}
	for range q {
		m.OutputBias = append(m.OutputBias, number())
	}
	m.InputLo, m.InputHi = []float32{0, -1, 0.6, 2, -3}, []float32{1, 1, 0.68, 2, 5}
	return m
}

// withLoop closes a cycle of small weights through states 3 to 6, a self-loop included.
func withLoop(a *sparse.Matrix[float32]) *sparse.Matrix[float32] {
	values := a.Dense()
	n := a.Rows
	for i := 3; i <= 6; i++ {
		for j := 3; j <= 6; j++ {
			values[i*n+j] = float32((i*7+j*3)%5-2) / 16
		}
	}
	return sparse.FromDense(n, n, values)
}

func TestCompiledFileSaysWhatTheReportSays(t *testing.T) {
	for _, options := range []compiler.Options{{}, {Bits: 14, WeightBits: 16, Codec: simb.CodecHuff0}, {Bits: 7, Codec: simb.CodecHuff0}, {Bits: 7, Codec: simb.CodecPacked}, {Bits: 14}} {
		data, report, err := compiler.Compile(mixed(1), options)
		if err != nil {
			t.Fatal(err)
		}
		file, err := simb.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		m := file.Model()
		if report.Loops != 1 || report.MACs != m.MACs() || report.RAMBytes != m.RAMBytes() || report.FileBytes != len(data) || report.NNZ != m.NNZ() {
			t.Errorf("%+v: report %+v differs from the file", options, report)
		}
		if report.ErrorBoundBox == nil || report.ErrorBoundCalibrated == nil || report.Lipschitz == nil {
			t.Errorf("%+v: a bound is missing", options)
		}
		again, err := simb.Encode(m, simb.EncodeOptions{Codec: options.Codec})
		if err != nil {
			t.Fatal(err)
		}
		reopened, err := simb.Open(again)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(data) || !reflect.DeepEqual(m, reopened.Model()) {
			t.Errorf("%+v: reading and writing again changes the file", options)
		}
	}
}

// TestSameBytesOnEveryMachine pins the bytes, so that the run on other architectures compares them.
func TestSameBytesOnEveryMachine(t *testing.T) {
	hash := sha256.New()
	for seed := range uint64(20) {
		m := mixed(seed)
		if seed%2 == 1 {
			if err := compiler.Calibrate(m, []float32{0, -1, 0.6, 2, -3, 1, 1, 0.68, 2, 5, 0.5, 0.25, 0.61, 2, 1}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, options := range []compiler.Options{{Bits: 7, Codec: simb.CodecHuff0}, {Bits: 14, WeightBits: 16}, {Bits: 7, WeightBits: 4, Codec: simb.CodecPacked}} {
			data, _, err := compiler.Compile(m, options)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			hash.Write(data)
		}
	}
	const want = "772eb100aa90f18cddec3cc45fe342fa960efd02b6dc8d9e7b37b2a468acbbe1"
	if got := fmt.Sprintf("%x", hash.Sum(nil)); got != want {
		t.Errorf("compiled files hash to %s, want %s: if the compiler changed on purpose, pin the new one", got, want)
	}
}
