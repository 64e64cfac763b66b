package teacher

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
)

// wrapped is the function outScale·φ(inScale·z + inShift) + outShift: an activation of the model with
// what must be folded into the rows before and after it.
type wrapped struct {
	act      model.Activation
	inScale  float64
	inShift  float64
	outScale float64
	outShift float64
}

func plain(act model.Activation) wrapped { return wrapped{act: act, inScale: 1, outScale: 1} }

// activate makes a state of every element that depends on the input.
func (f *folder) activate(n *onnx.Node, x *value, w wrapped) (*value, error) {
	if err := w.act.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrUnsupported)
	}
	out := &value{shape: x.shape}
	if x.constant() {
		out.numbers = make([]float64, len(x.numbers))
		for i, v := range x.numbers {
			out.numbers[i] = w.apply(v)
		}
		return out, nil
	}
	var states []state
	for _, r := range x.rows {
		if len(r.cols) > 0 {
			states = append(states, state{row: r.scaled(w.inScale, w.inShift), act: w.act})
		}
	}
	made := f.addStates(n, states)
	out.rows = make([]affine, len(x.rows))
	next := 0
	for i, r := range x.rows {
		if len(r.cols) == 0 {
			out.rows[i] = affine{constant: w.apply(r.constant)}
			continue
		}
		out.rows[i] = made[next].scaled(w.outScale, w.outShift)
		next++
	}
	return out, nil
}

func (w wrapped) apply(z float64) float64 {
	return float64(w.outScale*w.act.Apply(float64(w.inScale*z)+w.inShift)) + w.outShift
}

func (f *folder) relu(n *onnx.Node, x []*value) (*value, error) {
	return f.activate(n, x[0], plain(model.Activation{Kind: model.ReLU}))
}

func (f *folder) tanh(n *onnx.Node, x []*value) (*value, error) {
	return f.activate(n, x[0], plain(model.Activation{Kind: model.Tanh}))
}

func (f *folder) sigmoid(n *onnx.Node, x []*value) (*value, error) {
	return f.activate(n, x[0], plain(model.Activation{Kind: model.Sigmoid}))
}

// leakyRelu takes any slope that keeps the function increasing. A slope above 1 lies outside of the
// model's activations, but −α·leaky(−z; 1/α) is the same function.
func (f *folder) leakyRelu(n *onnx.Node, x []*value) (*value, error) {
	alpha := float32(0.01)
	if a := n.Attribute("alpha"); a != nil {
		alpha = a.Float
	}
	switch {
	case alpha == 0:
		return f.relu(n, x)
	case alpha > 1:
		inverse := model.Activation{Kind: model.LeakyReLU, P0: 1 / alpha}
		return f.activate(n, x[0], wrapped{act: inverse, inScale: -1, outScale: -float64(alpha)})
	case alpha > 0:
		return f.activate(n, x[0], plain(model.Activation{Kind: model.LeakyReLU, P0: alpha}))
	}
	return nil, fmt.Errorf("alpha = %g: the slope must not be negative: %w", alpha, ErrUnsupported)
}

// clip takes its limits from inputs (version 11 and later) or attributes. Limits that are absent,
// infinite, or the largest float32 do not limit.
func (f *folder) clip(n *onnx.Node, x []*value) (*value, error) {
	lo, hi := math.Inf(-1), math.Inf(1)
	if a := n.Attribute("min"); a != nil {
		lo = float64(a.Float)
	}
	if a := n.Attribute("max"); a != nil {
		hi = float64(a.Float)
	}
	for i, limit := range []*float64{&lo, &hi} {
		if x[i+1] == nil {
			continue
		}
		if !x[i+1].constant() || len(x[i+1].numbers) != 1 {
			return nil, fmt.Errorf("limit %d is not one constant: %w", i+1, ErrUnsupported)
		}
		*limit = x[i+1].numbers[0]
	}
	if math.IsNaN(lo) || math.IsNaN(hi) {
		return nil, fmt.Errorf("a limit is NaN: %w", ErrUnsupported)
	}
	return f.between(n, x[0], lo, hi)
}

// between is min(max(z, lo), hi) with the activation that needs the least folding.
func (f *folder) between(n *onnx.Node, x *value, lo, hi float64) (*value, error) {
	low, high := lo > -math.MaxFloat32, hi < math.MaxFloat32
	relu := model.Activation{Kind: model.ReLU}
	switch {
	case !low && !high:
		return x.reshaped(x.shape), nil
	case !high: // relu(z − lo) + lo
		return f.activate(n, x, wrapped{act: relu, inScale: 1, inShift: -lo, outScale: 1, outShift: lo})
	case !low: // hi − relu(hi − z)
		return f.activate(n, x, wrapped{act: relu, inScale: -1, inShift: hi, outScale: -1, outShift: hi})
	case lo >= hi: // ONNX: the upper limit wins
		fixed := &value{shape: x.shape, numbers: make([]float64, max(len(x.rows), len(x.numbers)))}
		for i := range fixed.numbers {
			fixed.numbers[i] = hi
		}
		return fixed, nil
	case lo == -hi:
		return f.activate(n, x, plain(model.Activation{Kind: model.HardTanh, P0: float32(lo), P1: float32(hi)}))
	}
	clipped := model.Activation{Kind: model.ClippedReLU, P1: float32(hi - lo)}
	return f.activate(n, x, wrapped{act: clipped, inScale: 1, inShift: -lo, outScale: 1, outShift: lo})
}
