package runtime

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// Margin is what a decision at one input is worth.
type Margin struct {
	// Class is what Decide returns.
	Class int

	// Lead is how far the class's output is ahead of the next best one, in the outputs' unit, as Infer has
	// them; ≥ 0, and +Inf for a model of one output.
	Lead float64

	// Radius is certified: as long as no input moves by more than it, in the inputs' unit, and all stay in
	// their boxes, the compiled model decides the same; +Inf: for the whole box. It is 0 where nothing is
	// certified: the lead is less than what the integers can be off by, or an input is outside its box.
	Radius float64

	// Unsaturated says that Radius rests on the bounds that hold while nothing saturates: it then speaks
	// only of inputs whose inference reports no saturation in Stats.
	Unsaturated bool

	// BoxRadius is what is certified without that condition; at most Radius.
	BoxRadius float64
}

// Margin decides as Decide does and tells how far all inputs may move without another decision of the
// compiled model. The model must be loaded WithMargins.
//
// With ỹ the outputs of the integers, y* those of the real model, E the claimed bounds |ỹ − y*| ≤ E, and
// L_ab a constant with |(y*_a − y*_b)(u) − (y*_a − y*_b)(v)| ≤ L_ab·max|u − v|, for a decided at u and any
// other b:
//
//	ỹ_a(v) − ỹ_b(v) ≥ y*_a(v) − y*_b(v) − (E_a + E_b)
//	                ≥ y*_a(u) − y*_b(u) − L_ab·max|u − v| − (E_a + E_b)
//	                ≥ ỹ_a(u) − ỹ_b(u) − L_ab·max|u − v| − 2(E_a + E_b)
//
// So ỹ_a(v) > ỹ_b(v), and by the integers behind them too, whichever index is lower, while
//
//	max|u − v| < (ỹ_a(u) − ỹ_b(u) − 2(E_a + E_b)) / L_ab
//
// The radius is the least of these over b, less what float64 can have rounded up: so that it is below them
// and may itself be reached. For argmin both differences change sign. What the file claims is taken as
// proved; `simc verify` proves it. An input that was declared constant must have its value, as for
// ErrorBounds.
//
// Errors are those of Decide, and a *MarginError where the file does not claim what is needed. Margin does
// not allocate. It computes the outputs twice, and L_ab for every b.
func (s *Session) Margin(src []float32) (Margin, error) {
	prepared := s.model.margins
	if prepared == nil {
		return Margin{}, errUnprepared
	}
	if s.model.decision == DecideNone {
		return Margin{}, ErrNoDecision
	}
	if prepared.missing != nil {
		return Margin{}, prepared.missing
	}
	if err := s.check(s.model.Outputs(), len(src)); err != nil {
		return Margin{}, err
	}
	if err := s.quantise(src); err != nil {
		return Margin{}, err
	}
	s.states()
	before := s.memory
	class, best := s.decide()
	s.memory = before // at the first output again
	return s.margin(prepared, class, best, s.model.inBox(src)), nil
}

// margin compares the class with all others. inBox says whether the bounds hold at all.
func (s *Session) margin(p *margins, class int, best int64, inBox bool) Margin {
	unsaturated := inBox && p.unsaturated != nil && s.Stats().Saturations == 0
	inBox = inBox && p.box != nil
	m := Margin{Class: class, Lead: math.Inf(1)}
	box, calm := math.Inf(1), math.Inf(1)
	for first, count := 0, s.model.Outputs(); first < count; first += outputChunk {
		integers := s.outputs[:min(outputChunk, count-first)]
		s.nextOutputs(integers)
		for k, y := range integers {
			b := first + k
			if b == class {
				continue
			}
			lead := s.lead(best, y)
			m.Lead = min(m.Lead, lead)
			gain := p.gain(class, b)
			if inBox {
				box = min(box, radius(lead, p.box[class]+p.box[b], gain))
			}
			if unsaturated {
				calm = min(calm, radius(lead, p.unsaturated[class]+p.unsaturated[b], gain))
			}
		}
	}
	if inBox {
		m.Radius, m.BoxRadius = box, box
	}
	if unsaturated && calm > m.Radius {
		m.Radius, m.Unsaturated = calm, true
	}
	return m
}

// lead returns by how much the output of the class is ahead of y; best is its score in decide.
func (s *Session) lead(best int64, y int32) float64 {
	scale := s.model.outputScale
	if s.model.decision == DecideArgmin {
		return float64(quant.OutputToReal(y, scale)) - float64(quant.OutputToReal(int32(-best), scale))
	}
	return float64(quant.OutputToReal(int32(best), scale)) - float64(quant.OutputToReal(y, scale))
}

// rounding is eight times what one operation of float64 can be off by, relatively.
const rounding = 0x1p-50

// radius returns less than (lead − 2·bounds)/gain, or 0. Each of its arguments may be off by a rounding to
// nearest, gain upward only.
func radius(lead, bounds, gain float64) float64 {
	left := float64(lead*(1-rounding)) - float64(2*bounds*(1+rounding))
	if !(left > 0) {
		return 0
	}
	if gain == 0 {
		return math.Inf(1)
	}
	if r := float64(left/gain) * (1 - rounding); r > 0 {
		return r
	}
	return 0
}

// inBox reports whether all inputs that are read lie in their declared boxes.
func (m *Model) inBox(src []float32) bool {
	for k := range m.inputs {
		in := &m.inputs[k]
		if u := src[in.Source]; u < in.Lo || u > in.Hi {
			return false
		}
	}
	return true
}
