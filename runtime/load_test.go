package runtime

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

func TestLoadTellsWhatTheFileSays(t *testing.T) {
	m := someModel(quant.Width14, 4)
	m.Decision = DecideArgmin
	n, q := m.States(), m.Outputs()
	certificate := func(first float32) *simb.ErrorCertificate {
		c := &simb.ErrorCertificate{State: make([]float32, n), Residual: make([]float32, n+q), Start: make([]float32, n), Output: make([]float32, q)}
		c.Output[0] = first
		return c
	}
	m.Certificates.Box, m.Certificates.Calibrated = certificate(2), certificate(1)
	for name, model := range variants(t, m) {
		if model.Inputs() != 33 || model.Outputs() != 20 || model.States() != 21 || model.Width() != 14 || model.OutputScale() != m.OutputScale || model.Decision() != DecideArgmin {
			t.Errorf("%s: %d inputs, %d outputs, %d states, %d bits, scale %g, rule %d", name, model.Inputs(), model.Outputs(), model.States(), model.Width(), model.OutputScale(), model.Decision())
		}
		if model.MACs() != m.MACs() || model.MemorySize() != 2*(30+21)+5*(8+2) {
			t.Errorf("%s: %d operations, want %d; %d bytes of memory", name, model.MACs(), m.MACs(), model.MemorySize())
		}
		if bounds := model.ErrorBounds(); bounds.Box[0] != 2 || bounds.Calibrated[0] != 1 || len(bounds.Box) != 20 {
			t.Errorf("%s: bounds %v", name, bounds)
		}
		if free := model.PackedBytes() == 0; free != (name == "in place") { // coded streams are decompressed
			t.Errorf("%s: packed %d bytes", name, model.PackedBytes())
		}
	}
	if model := variants(t, constantModel(DecideNone, 1))["portable"]; model.ErrorBounds().Box != nil || model.ErrorBounds().Calibrated != nil {
		t.Error("bounds that nobody proved")
	}
}

// TestTheSmallerBoundHolds: a file may bound an output in two ways.
func TestTheSmallerBoundHolds(t *testing.T) {
	byComponents := &simb.ErrorCertificate{Output: []float32{2, 3}}
	relaxed := &simb.RelaxedCertificate{Output: []float32{4, 1}}
	for _, c := range []struct {
		byComponents *simb.ErrorCertificate
		relaxed      *simb.RelaxedCertificate
		want         []float32
	}{{nil, nil, nil}, {byComponents, nil, []float32{2, 3}}, {nil, relaxed, []float32{4, 1}}, {byComponents, relaxed, []float32{2, 1}}} {
		got := smaller(c.byComponents, c.relaxed)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
		if got != nil && (&got[0] == &byComponents.Output[0] || &got[0] == &relaxed.Output[0]) {
			t.Error("the file's own bounds are handed out")
		}
	}
}

func TestLoadRefusesAndNames(t *testing.T) {
	data := encode(t, someModel(quant.Width7, 4), simb.CodecRaw)
	spoilt := bytes.Clone(data)
	spoilt[len(spoilt)/2] ^= 1
	load := func(data []byte, options ...Option) error {
		_, err := Load(data, options...)
		return err
	}
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"nothing", load(nil), simb.ErrNotSimb},
		{"a flipped bit", load(spoilt), simb.ErrCorrupt},
		{"a limit of bytes", load(data, WithMaxBytes(len(data)-1)), simb.ErrTooLarge},
		{"a limit of inputs", load(data, WithMaxInputs(29)), simb.ErrTooLarge},
		{"a limit of states", load(data, WithMaxStates(20)), simb.ErrTooLarge},
		{"a limit of outputs", load(data, WithMaxOutputs(19)), simb.ErrTooLarge},
		{"a limit of weights", load(data, WithMaxNonzeros(10)), simb.ErrTooLarge},
		{"a limit of operations", load(data, WithMaxOperations(10)), simb.ErrTooLarge},
		{"an unknown kernel", load(data, WithKernel("abacus")), ErrKernel},
		{"limits that hold", load(data, WithMaxBytes(len(data)), WithMaxInputs(33), WithMaxStates(21), WithMaxOutputs(20)), nil},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestTheEnvironmentForcesAKernel(t *testing.T) {
	data := encode(t, someModel(quant.Width7, 4), simb.CodecRaw)
	t.Setenv(KernelVariable, kernel.Portable)
	if model, err := Load(data); err != nil || model.Kernel() != kernel.Portable {
		t.Errorf("%v, %v", model, err)
	}
	t.Setenv(KernelVariable, "abacus")
	want := `there is no kernel "abacus" for this processor; SIM_KERNEL may be one of `
	if _, err := Load(data); err == nil || !bytes.HasPrefix([]byte(err.Error()), []byte(want)) {
		t.Errorf("%v, want %s...", err, want)
	}
	if _, err := Load(data, WithInPlace()); err != nil {
		t.Errorf("in place needs no kernel: %v", err)
	}
}

// Apart from running in place a model is independent of the bytes it came from.
func TestAPackedModelKeepsNothingOfTheFile(t *testing.T) {
	m := someModel(quant.Width14, 8)
	data := encode(t, m, simb.CodecRaw)
	model, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	plan := randomPlan(&dice{1}, m)
	if diff := cmp.Diff(oracle(m, plan), run(model.NewSession(), plan)); diff != "" {
		t.Error(diff)
	}
}

// A file lies wherever flash or go:embed puts it: its address is never a reason to refuse.
func TestFilesLoadFromAnyAddress(t *testing.T) {
	m := someModel(quant.Width14, 8)
	data := encode(t, m, simb.CodecRaw)
	plan := randomPlan(&dice{1}, m)
	want := oracle(m, plan)
	room := make([]byte, len(data)+16)
	for shift := range 9 {
		at := room[shift : shift+len(data)]
		copy(at, data)
		model, err := Load(at, WithInPlace())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, run(model.NewSession(), plan)); diff != "" {
			t.Errorf("shifted by %d: %s", shift, diff)
		}
	}
}

func TestSelfTestFindsWhatDiffers(t *testing.T) {
	m := someModel(quant.Width7, 6)
	for seed := range uint64(2) {
		plan := make([]uint16, len(m.Inputs))
		simb.SelfTestInputs(seed+1, m.Width, plan)
		want := oracle(m, plan)
		m.SelfTest = append(m.SelfTest, simb.SelfTestCase{Seed: seed + 1, Outputs: want.Outputs, Saturations: want.Saturations, StateDigest: digestOf(want.States)})
	}
	for name, model := range variants(t, m) {
		if err := model.SelfTest(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []struct {
		what  string
		spoil func(*simb.SelfTestCase)
	}{
		{"output 7", func(c *simb.SelfTestCase) { c.Outputs[7]++ }},
		{"saturations", func(c *simb.SelfTestCase) { c.Saturations++ }},
		{"digest of the states", func(c *simb.SelfTestCase) { c.StateDigest++ }},
	} {
		saved := m.SelfTest[1]
		m.SelfTest[1].Outputs = append([]int32(nil), saved.Outputs...)
		c.spoil(&m.SelfTest[1])
		for name, model := range variants(t, m) {
			var failed *SelfTestError
			if err := model.SelfTest(); !errors.Is(err, ErrSelfTest) || !errors.As(err, &failed) || failed.Case != 1 || failed.What != c.what {
				t.Errorf("%s: %v, want a difference in %s", name, err, c.what)
			}
		}
		m.SelfTest[1] = saved
	}
}

// digestOf is CRC-32C bit by bit, over the states as little-endian uint16.
func digestOf(states []uint16) uint32 {
	crc := ^uint32(0)
	for _, q := range states {
		for _, b := range []byte{byte(q), byte(q >> 8)} {
			crc ^= uint32(b)
			for range 8 {
				crc = crc>>1 ^ 0x82F63B78&-(crc&1)
			}
		}
	}
	return ^crc
}
