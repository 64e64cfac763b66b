package verify

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// slow returns loops of one state each, x = 0.99 x + u, that start a long way from their equilibrium: each
// takes some thousands of steps of the recursion to check.
func slow(loops int) *simb.Model {
	m := &simb.Model{Width: quant.Width7, SourceInputs: 1, SourceStates: loops, OutputScale: 1, Compiler: "test"}
	m.Inputs = []simb.Input{{Scale: 1, Hi: 127}}
	builder := simbtest.NewRand(0)
	like := simbtest.Random(builder, simbtest.Options{Width: quant.Width7, Inputs: 1, States: loops, Outputs: 1, NoLoops: true, NoClaims: true, Kinds: []simb.Kind{simb.Identity}, OnePlane: true})
	m.Rows, m.Weights = like.Rows, like.Weights
	m.Weights.Indptr, m.Weights.Indices, m.Weights.Data = []int32{0}, nil, nil
	for i := range m.Rows {
		m.Rows[i].Bias, m.Rows[i].Multiplier = 0, quant.Multiplier{M: 1 << 20, S: 27} // 1/128
		if i < loops {
			m.SourceState = append(m.SourceState, int32(i))
			m.Schedule = append(m.Schedule, simb.Segment{States: 1, Sweeps: 1 << 20})
			m.Rows[i].Scale, m.Rows[i].Lo, m.Rows[i].Hi, m.Rows[i].Zero = 1, 0, 127, 0
			m.Weights.Indices, m.Weights.Data = append(m.Weights.Indices, int32(1+i)), append(m.Weights.Data, 127)
		}
		m.Weights.Indptr = append(m.Weights.Indptr, int32(len(m.Weights.Indices)))
	}
	all := func(n int, v float32) []float32 { return slices.Repeat([]float32{v}, n) }
	m.Certificates = simb.Certificates{
		Kappa: 0.995, V: all(loops, 1), VResidual: all(loops, 0),
		ReachLo: all(loops, -1e30), ReachHi: all(loops, 1e30),
		Box: &simb.ErrorCertificate{State: all(loops, 1e30), Residual: all(loops+1, 0), Start: all(loops, 2e30), Output: all(1, 1)},
	}
	calibrated := simb.ErrorCertificate{State: all(loops, 65), Residual: all(loops+1, 0), Start: all(loops, 2e30), Output: all(1, 1)}
	m.Certificates.Calibrated = &calibrated
	return m
}

func TestTheRecursionsOfAllLoopsShareOneBudget(t *testing.T) {
	m := slow(30)
	r := Opened(m, Options{})
	if i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == "error-calibrated" }); !r.Checks[i].OK {
		t.Fatalf("%v", r.Checks[i])
	}
	c := newChecker(m)
	check := func() Check { return c.errorClaim("error-calibrated", m.Certificates.Calibrated, false) }
	if got := check(); !got.OK {
		t.Fatal(got)
	}
	taken := mostRecursion - c.recursion
	if taken < 30*2*5_000 {
		t.Fatalf("the recursions took %d multiplications: the test has lost its force", taken)
	}
	c.recursion = taken
	if got := check(); !got.OK || c.recursion != 0 {
		t.Errorf("with just enough left: %v, %d are left", got, c.recursion)
	}
	for _, left := range []uint64{0, taken / 2, taken - 1} {
		if c.recursion = left; check().OK || !strings.Contains(check().Detail, "too many to check") {
			t.Errorf("with %d left of %d: %v", left, taken, check())
		}
	}
}

func TestSelfTestsShareOneBudget(t *testing.T) {
	p := build(4, shapes[1])
	c := newChecker(p.file)
	if got := c.selfTest(); !got.OK || len(p.file.SelfTest) < 2 {
		t.Fatal(got)
	}
	taken := mostWork - c.work
	c.work = taken
	if got := c.selfTest(); !got.OK || c.work != 0 {
		t.Errorf("with just enough left: %v", got)
	}
	c.work = taken / 2
	if got := c.selfTest(); got.OK || !strings.Contains(got.Detail, "more than") {
		t.Errorf("with half of it left: %v", got)
	}
}

// A loop costs time for each of its states, weights or none.
func TestStatesWithoutWeightsCountAsWork(t *testing.T) {
	m := slow(1)
	m.Schedule = []simb.Segment{{States: 1, Sweeps: 5}}
	m.Weights.Indptr, m.Weights.Indices, m.Weights.Data = []int32{0, 0, 0}, nil, nil
	m.Rows[0].Bias = 300 // 2, where it stays
	if r := interpret(m, []int64{0}); r.stopped || r.work != stateWork*(2+2) {
		t.Errorf("%d units of work, want those of two rows and two sweeps", r.work)
	}
	if r := interpretWithin(m, []int64{0}, stateWork*3); !r.stopped {
		t.Error("a loop without weights takes no work")
	}
}

// Runs and absent sections let a small file declare millions of weights, each of which takes the checker 22
// bytes and more.
func TestSmallFilesOfManyWeightsAreTooLarge(t *testing.T) {
	m, err := simbtest.Sized(2000, 1000, 10, 2_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for k := range m.Weights.Data {
		m.Weights.Data[k] = 1
	}
	for i := range m.Rows { // every column in turn: gaps of zero
		for k := m.Weights.Indptr[i]; k < m.Weights.Indptr[i+1]; k++ {
			m.Weights.Indices[k] = k - m.Weights.Indptr[i]
		}
	}
	data := must(simb.Encode(m, simb.EncodeOptions{Codec: simb.CodecHuff0}))
	if _, err := simb.Open(data); err != nil || len(data) > 50_000 {
		t.Fatalf("%d bytes: %v", len(data), err)
	}
	if r, err := File(data, Options{}); !errors.Is(err, simb.ErrTooLarge) {
		t.Errorf("a file of %d bytes with 2,000,000 weights: %v, %v", len(data), r, err)
	}
	if r, err := File(data, Options{Open: []simb.Option{simb.WithMaxNonzeros(2_000_000)}}); err != nil || !r.OK {
		t.Errorf("the caller's own limit: %v, %v", r, err)
	}
	if _, err := File(data, Options{Open: []simb.Option{simb.WithMaxInputs(10)}}); !errors.Is(err, simb.ErrTooLarge) {
		t.Errorf("a lower limit: %v", err)
	}
}
