// Package model holds the float model, the file `.sim` that carries it, and the float64 reference
// solver that says what it answers:
//
//	x = φ(A x + B u + b)        x ∈ Rⁿ state, u ∈ Rᵖ input
//	y = C x + D u + d           y ∈ R^q output
//
// (arXiv 2209.09389, arXiv 1908.06315.) It promises that a Model that passed Validate can be solved,
// written and compiled without further checks, that reading never panics on untrusted bytes, and that
// the reference solver gives the same bits on every architecture. It knows nothing of integers,
// training or the compiled file.
package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/sparse"
)

// ErrInvalid is wrapped by every error of Validate.
var ErrInvalid = errors.New("invalid model")

// Kind numbers an activation. The numbers are part of the file formats and never change.
type Kind uint8

// The activations: all non-decreasing, slope in [0, 1].
const (
	Identity    Kind = 0 // z
	ReLU        Kind = 1 // max(0, z)
	ClippedReLU Kind = 2 // min(max(0, z), c); parameters (0, c), c > 0
	LeakyReLU   Kind = 3 // z for z ≥ 0, αz below; parameters (α, 0), 0 < α ≤ 1
	HardTanh    Kind = 4 // min(max(−c, z), c); parameters (−c, c), c > 0
	Tanh        Kind = 5
	Sigmoid     Kind = 6
	KindCount        = 7
)

var kindNames = [KindCount]string{"identity", "relu", "clipped relu", "leaky relu", "hard tanh", "tanh", "sigmoid"}

// String returns the activation's common name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("activation %d", uint8(k))
}

// Homogeneous reports whether φ(tz) = tφ(z) for every t > 0 once limits are scaled too, so that a
// state may be rescaled.
func (k Kind) Homogeneous() bool { return k != Tanh && k != Sigmoid }

// Activation is one state's φ. Parameters are float32 as in the file; unused ones are zero.
type Activation struct {
	Kind   Kind
	P0, P1 float32 // limits, or slope in P0
}

// Decision is the rule by which outputs become one answer.
type Decision string

// The decision rules; ties go to the lowest index.
const (
	DecideNone   Decision = "none"
	DecideArgmax Decision = "argmax"
	DecideArgmin Decision = "argmin"
)

// Provenance says where a model comes from. Everything in it is optional and kept as text.
type Provenance map[string]string

// Model is a sparse implicit model in float32.
type Model struct {
	A *sparse.Matrix[float32] // n × n
	B *sparse.Matrix[float32] // n × p
	C *sparse.Matrix[float32] // q × n
	D *sparse.Matrix[float32] // q × p

	StateBias  []float32 // b, length n
	OutputBias []float32 // d, length q

	Activations []Activation // length n

	InputLo, InputHi []float32 // the box of inputs the model is meant for, length p, lo ≤ hi
	StateLo, StateHi []float32 // ranges of x over the training data, length n, or nil when unknown

	// What the weights were trained for, or nil and zero. Row i (n of [A B], then q of [C D]) has
	// WeightScale[i] as the worth of one unit of its integer sum; column j (p inputs, then n states)
	// ColumnStep[j] as the worth of one step of an activation of ColumnBits bits (7 or 14). The weight W
	// in row i and column j is then the integer W·ColumnStep[j]/WeightScale[i] of WeightBits bits (8, 5 or
	// 4), within ±(2^(WeightBits−1) − 1). See quant.Level.
	WeightScale []float32
	ColumnStep  []float32
	WeightBits  int
	ColumnBits  int

	Decision   Decision
	Provenance Provenance
}

// States returns n.
func (m *Model) States() int { return m.A.Rows }

// Inputs returns p.
func (m *Model) Inputs() int { return m.B.Cols }

// Outputs returns q.
func (m *Model) Outputs() int { return m.C.Rows }

// NNZBy counts the nonzero numbers of each part.
type NNZBy struct {
	A          int `json:"A"`
	B          int `json:"B"`
	C          int `json:"C"`
	D          int `json:"D"`
	StateBias  int `json:"b"`
	OutputBias int `json:"d"`
}

// Total is the number of nonzero numbers of A, B, C, D, b and d together.
func (c NNZBy) Total() int { return c.A + c.B + c.C + c.D + c.StateBias + c.OutputBias }

// NNZ counts the nonzero numbers of the model.
func (m *Model) NNZ() NNZBy {
	return NNZBy{m.A.NNZ(), m.B.NNZ(), m.C.NNZ(), m.D.NNZ(), nonzeros(m.StateBias), nonzeros(m.OutputBias)}
}

func nonzeros(v []float32) int {
	n := 0
	for _, x := range v {
		if x != 0 {
			n++
		}
	}
	return n
}

// Validate checks dimensions, canonical CSR form, finiteness, activation parameters and ranges. Every
// other function of this package, and the compiler, take a validated model.
func (m *Model) Validate() error {
	if m.A == nil || m.B == nil || m.C == nil || m.D == nil {
		return fmt.Errorf("one of A, B, C, D is missing: %w", ErrInvalid)
	}
	n, p, q := m.A.Rows, m.B.Cols, m.C.Rows
	for _, part := range []struct {
		name       string
		matrix     *sparse.Matrix[float32]
		rows, cols int
	}{{"A", m.A, n, n}, {"B", m.B, n, p}, {"C", m.C, q, n}, {"D", m.D, q, p}} {
		if part.matrix.Rows != part.rows || part.matrix.Cols != part.cols {
			return fmt.Errorf("%s is %d × %d, the model needs %d × %d: %w", part.name, part.matrix.Rows, part.matrix.Cols, part.rows, part.cols, ErrInvalid)
		}
		if err := part.matrix.Validate(part.name); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if err := finite(part.name+".data", part.matrix.Data); err != nil {
			return err
		}
	}
	if q == 0 {
		return fmt.Errorf("the model has no outputs: %w", ErrInvalid)
	}
	return m.validateVectors(n, p, q)
}

func (m *Model) validateVectors(n, p, q int) error {
	for _, v := range []struct {
		name     string
		values   []float32
		length   int
		optional bool
	}{
		{"b", m.StateBias, n, false}, {"d", m.OutputBias, q, false},
		{"input.lo", m.InputLo, p, false}, {"input.hi", m.InputHi, p, false},
		{"state.lo", m.StateLo, n, true}, {"state.hi", m.StateHi, n, true},
		{"weight.scale", m.WeightScale, n + q, true}, {"column.step", m.ColumnStep, p + n, true},
	} {
		if v.optional && v.values == nil {
			continue
		}
		if len(v.values) != v.length {
			return fmt.Errorf("%s has %d numbers, the model needs %d: %w", v.name, len(v.values), v.length, ErrInvalid)
		}
		if err := finite(v.name, v.values); err != nil {
			return err
		}
	}
	if (m.StateLo == nil) != (m.StateHi == nil) {
		return fmt.Errorf("state.lo and state.hi must be given together: %w", ErrInvalid)
	}
	if err := ordered("input", m.InputLo, m.InputHi); err != nil {
		return err
	}
	if err := ordered("state", m.StateLo, m.StateHi); err != nil {
		return err
	}
	if err := m.validateTrained(); err != nil {
		return err
	}
	if len(m.Activations) != n {
		return fmt.Errorf("activation.kind has %d numbers, the model has %d states: %w", len(m.Activations), n, ErrInvalid)
	}
	for i, a := range m.Activations {
		if err := a.Validate(); err != nil {
			return fmt.Errorf("activation of state %d: %w", i, err)
		}
	}
	switch m.Decision {
	case DecideNone, DecideArgmax, DecideArgmin:
		return nil
	}
	return fmt.Errorf("decision rule %q is not one of none, argmax, argmin: %w", m.Decision, ErrInvalid)
}

// validateTrained checks what the weights were trained for, as far as it is given.
func (m *Model) validateTrained() error {
	for _, v := range []struct {
		name   string
		values []float32
	}{{"weight.scale", m.WeightScale}, {"column.step", m.ColumnStep}} {
		for i, s := range v.values {
			if s <= 0 {
				return fmt.Errorf("%s[%d] = %g, it must be positive: %w", v.name, i, s, ErrInvalid)
			}
		}
	}
	if m.ColumnStep == nil {
		if m.WeightBits != 0 || m.ColumnBits != 0 {
			return fmt.Errorf("weights of %d bits for columns of %d bits need column.step: %w", m.WeightBits, m.ColumnBits, ErrInvalid)
		}
		return nil
	}
	switch {
	case m.WeightScale == nil:
		return fmt.Errorf("column.step needs weight.scale beside it: %w", ErrInvalid)
	case m.WeightBits != 4 && m.WeightBits != 5 && m.WeightBits != 8:
		return fmt.Errorf("weight.bits is %d, with column.step it must be 8, 5 or 4: %w", m.WeightBits, ErrInvalid)
	case m.ColumnBits != 7 && m.ColumnBits != 14:
		return fmt.Errorf("column.bits is %d, with column.step it must be 7 or 14: %w", m.ColumnBits, ErrInvalid)
	}
	return nil
}

func finite(name string, values []float32) error {
	for i, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%s[%d] is %g, every number must be finite: %w", name, i, v, ErrInvalid)
		}
	}
	return nil
}

func ordered(name string, lo, hi []float32) error {
	for i := range lo {
		if lo[i] > hi[i] {
			return fmt.Errorf("%s.lo[%d] = %g lies above %s.hi[%d] = %g: %w", name, i, lo[i], name, i, hi[i], ErrInvalid)
		}
	}
	return nil
}

// Validate checks that the kind is known and its parameters are in range.
func (a Activation) Validate() error {
	p0, p1 := float64(a.P0), float64(a.P1)
	if math.IsNaN(p0+p1) || math.IsInf(p0, 0) || math.IsInf(p1, 0) {
		return fmt.Errorf("parameters (%g, %g) of %s are not finite: %w", a.P0, a.P1, a.Kind, ErrInvalid)
	}
	ok := false
	switch a.Kind {
	case Identity, ReLU, Tanh, Sigmoid:
		ok = true
	case ClippedReLU:
		ok = a.P0 == 0 && a.P1 > 0
	case LeakyReLU:
		ok = a.P0 > 0 && a.P0 <= 1
	case HardTanh:
		ok = a.P1 > 0 && a.P0 == -a.P1
	default:
		return fmt.Errorf("kind %d is unknown: %w", uint8(a.Kind), ErrInvalid)
	}
	if !ok {
		return fmt.Errorf("parameters (%g, %g) are out of range for %s: %w", a.P0, a.P1, a.Kind, ErrInvalid)
	}
	return nil
}

// Apply returns φ(z). It uses the package's own Tanh and Sigmoid, so the bits are the same everywhere.
func (a Activation) Apply(z float64) float64 {
	switch a.Kind {
	case Identity:
		return z
	case ReLU:
		return max(z, 0)
	case ClippedReLU, HardTanh:
		return min(max(z, float64(a.P0)), float64(a.P1))
	case LeakyReLU:
		if z < 0 {
			return float64(z * float64(a.P0)) // never fused into what reads it
		}
		return z
	case Tanh:
		return TanhOf(z)
	case Sigmoid:
		return SigmoidOf(z)
	}
	panic("unreachable: the model was validated")
}
