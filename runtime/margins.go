package runtime

import (
	"errors"
	"math"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// ErrNoMargin is a model that certifies no radius of its decisions; see MarginError.
var ErrNoMargin = errors.New("no decision of the model has a certified radius")

// MarginError says what is missing. It is an ErrNoMargin.
type MarginError struct{ Reason string }

// Error names what is missing.
func (e *MarginError) Error() string { return "no certified radius: " + e.Reason }

// Unwrap returns ErrNoMargin.
func (e *MarginError) Unwrap() error { return ErrNoMargin }

var (
	errUnprepared  = &MarginError{"load the model WithMargins"}
	errNoLipschitz = &MarginError{"the file claims no Lipschitz constants"}
	errNoBounds    = &MarginError{"the file claims no error bounds"}
)

// WithMargins prepares the model for Session.Margin: loading reads all weights once more and keeps 12 bytes
// for each weight of an output. Without it nothing is prepared.
func WithMargins() Option { return func(c *config) { c.margins = true } }

// margins is what Session.Margin needs of a model.
type margins struct {
	missing *MarginError // what the file does not claim; nothing else is set then

	// Row k of the outputs: entries start[k] to start[k+1]−1, columns ascending. A term is W̃_kj·g_j, g_j how
	// much the column can change per unit of the inputs: 1 for an input.
	start    []int
	columns  []int32
	terms    []float64
	total    []float64 // of each output: Σ|terms|
	residual []float64 // of each output: what the real model's row may add

	box         []float64 // bounds that hold in the box, or nil
	unsaturated []float64 // those that hold while nothing saturates, the box's where they are less; or nil
}

// newMargins prepares what Session.Margin needs. bounds are those of the model.
func newMargins(m *simb.Model, p *kernel.Program, streams *kernel.Streams, bounds ErrorBounds) *margins {
	claims := &m.Certificates
	switch {
	case claims.Lipschitz == nil:
		return &margins{missing: errNoLipschitz}
	case bounds.Box == nil && bounds.Calibrated == nil:
		return &margins{missing: errNoBounds}
	}
	s := &margins{box: widened(bounds.Box), unsaturated: widened(bounds.Calibrated)}
	for k := range s.unsaturated {
		if s.box != nil {
			s.unsaturated[k] = min(s.unsaturated[k], s.box[k])
		}
	}
	gains := widened(claims.Gain)
	if claims.Derived {
		gains = make([]float64, p.States)
	}
	streams.Walk(p, func(i int, columns, weights []int32) {
		switch {
		case i >= p.States:
			s.addOutput(m, i, columns, weights, gains)
		case claims.Derived:
			gains[i] = derivedGain(m, i, columns, weights, gains)
		}
	})
	s.start = append(s.start, len(s.terms))
	return s
}

func widened(values []float32) []float64 {
	if values == nil {
		return nil
	}
	wide := make([]float64, len(values))
	for k, v := range values {
		wide[k] = float64(v)
	}
	return wide
}

// term returns W̃·g of one weight in column j of row i, off by at most four roundings: W̃ = w·r_i/s_j with
// r_i = unit·M/2^S.
func term(m *simb.Model, i int, j, weight int32, gains []float64) float64 {
	r := float64(float64(m.Unit(i)) * m.Rows[i].Multiplier.Ratio())
	if j -= int32(len(m.Inputs)); j >= 0 {
		return float64(float64(float64(weight)*r) / float64(m.Rows[j].Scale) * gains[j])
	}
	return float64(float64(weight)*r) / float64(m.Inputs[j+int32(len(m.Inputs))].Scale)
}

// derivedGain returns no less than Σ|Ã_ij| g_j + Σ|B̃_ij| + GainResidual_i, which is g_i for a file that
// leaves it out: by induction along the schedule no state changes faster, whatever g the residual was
// checked with.
func derivedGain(m *simb.Model, i int, columns, weights []int32, gains []float64) float64 {
	sum := float64(m.Certificates.GainResidual[i])
	for k, j := range columns {
		sum += math.Abs(term(m, i, j, weights[k], gains))
	}
	return inflate(sum, len(columns))
}

// inflate returns no less than the exact sum of so many numbers ≥ 0, each off by at most eight roundings,
// that was found to be sum.
func inflate(sum float64, count int) float64 {
	return float64(sum * (1 + float64(float64(count+16)*0x1p-52)))
}

func (s *margins) addOutput(m *simb.Model, i int, columns, weights []int32, gains []float64) {
	total := 0.0
	s.start = append(s.start, len(s.terms))
	for k, j := range columns {
		t := term(m, i, j, weights[k], gains)
		s.columns, s.terms = append(s.columns, j), append(s.terms, t)
		total += math.Abs(t)
	}
	s.total = append(s.total, total)
	s.residual = append(s.residual, float64(m.Certificates.GainResidual[i]))
}

// gain returns no less than L_ab = Σ_j |C̃_aj − C̃_bj| g_j + Σ_j |D̃_aj − D̃_bj| and both residuals: what the
// difference of two outputs of the real model can change per unit of the inputs. A difference of two terms
// may lose all that they have in common, so their own roundings are added, relative to their size. (The
// claimed constants of the two outputs would do as well, and be larger.)
func (s *margins) gain(a, b int) float64 {
	i, endA := s.start[a], s.start[a+1]
	j, endB := s.start[b], s.start[b+1]
	count := endA - i + endB - j
	sum := float64(rounding * (s.total[a] + s.total[b]))
	for i < endA && j < endB {
		switch columnA, columnB := s.columns[i], s.columns[j]; {
		case columnA < columnB:
			sum += math.Abs(s.terms[i])
			i++
		case columnA > columnB:
			sum += math.Abs(s.terms[j])
			j++
		default:
			sum += math.Abs(s.terms[i] - s.terms[j])
			i++
			j++
		}
	}
	for ; i < endA; i++ {
		sum += math.Abs(s.terms[i])
	}
	for ; j < endB; j++ {
		sum += math.Abs(s.terms[j])
	}
	return inflate(sum+s.residual[a]+s.residual[b], count)
}
