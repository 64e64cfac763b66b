package verify

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
)

// How far the float64 reference solver may be from the exact equilibrium: its roundings, in parts of the
// value and of the bound (which is never far below the range's 2⁻¹⁵); and where it sweeps a loop until
// no state moves by 1e-13, what is then left, times the condition 1/(1 − κ).
const (
	referenceRounding = 1e-9
	referenceRest     = 1e-11
)

// sampler draws inputs of the box.
type sampler struct {
	*checker
	source *model.Model
	random *rand.Rand
	input  []int32 // per source input: its column, or −1
	u      []float32
}

// draw fills u with sample number k. Bounds are reached at the box's corners and between two steps of the
// input's scale rather than inside, so the samples take turns: everything low, everything high, then
// uniform, a corner, a mixture of both, and halfway between two steps.
func (s *sampler) draw(k int) {
	for j := range s.u {
		lo, hi := float64(s.source.InputLo[j]), float64(s.source.InputHi[j])
		var input *simb.Input
		if column := s.input[j]; column >= 0 {
			input = &s.m.Inputs[column]
			lo, hi = float64(input.Lo), float64(input.Hi)
		}
		inside := s.random.Float64()
		choice := s.random.IntN(6)
		v := float64(lo*(1-inside)) + float64(hi*inside)
		switch {
		case k == 0:
			v = lo
		case k == 1:
			v = hi
		case k%4 == 1 || k%4 == 3 && choice < 4:
			v = []float64{lo, hi}[choice%2]
		case k%4 == 2 && input != nil:
			q, _ := quantise(input, s.m.Width, float32(v))
			v = float64(input.Scale) * (float64(q-int64(input.Zero)) + 0.5)
		}
		s.u[j] = min(max(float32(v), float32(lo)), float32(hi))
	}
}

// observed runs samples through the float model and the integers and holds every difference against the
// claims. It returns the largest difference of each output.
func (c *checker) observed(source *model.Model, o Options) (Check, []float64) {
	const name = "outputs-observed"
	l, err := c.link(source)
	if err != nil {
		return failed(name, "not checked: the file is not of this model"), nil
	}
	solver, err := model.NewSolver(source)
	if err != nil {
		return failed(name, "the float model cannot be solved: %s", err.Error()), nil
	}
	s := &sampler{c, source, rand.New(rand.NewPCG(o.Seed, 0x53494D)), l.input, make([]float32, source.Inputs())}
	u, x, y := make([]float64, source.Inputs()), make([]float64, source.States()), make([]float64, source.Outputs())
	worst := make([]float64, c.m.Outputs())
	quiet, quietest := 0, 0.0 // samples without saturation, and the largest difference of an output among them
	for k := range o.Samples {
		s.draw(k)
		for j, v := range s.u {
			u[j] = float64(v)
		}
		if err := solver.Solve(u, x, y); err != nil {
			return failed(name, "sample %d: the float model cannot be solved: %s", k, err.Error()), worst
		}
		got, saturated := s.inference()
		if got.stopped {
			return failed(name, "sample %d: an inference takes more than %d multiply-accumulates", k, uint64(mostWork)), worst
		}
		if !saturated {
			quiet++
		}
		for i, v := range y {
			difference := math.Abs(v - c.outputWorth(got.outputs[i]))
			worst[i] = max(worst[i], difference)
			if !saturated {
				quietest = max(quietest, difference)
			}
		}
		if detail := c.contradicts(x, y, got, saturated); detail != nil {
			return failed(name, "sample %d of seed %d: %s", k, o.Seed, detail.Error()), worst
		}
	}
	return passed(name, "%d samples, largest difference %.4g; %d of them without saturation, largest %.4g", o.Samples, maximum(worst), quiet, quietest), worst
}

func maximum(values []float64) float64 {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// inference quantises the sample and interprets it; an input outside its range counts as saturated.
func (s *sampler) inference() (result, bool) {
	inputs, saturated := make([]int64, s.p), false
	for j := range inputs {
		q, outside := quantise(&s.m.Inputs[j], s.m.Width, s.u[s.m.Inputs[j].Source])
		inputs[j] = q
		saturated = saturated || outside
	}
	r := interpret(s.m, inputs)
	return r, saturated || r.saturations > 0
}

// outputWorth returns the float32 that a caller receives for an integer output.
func (c *checker) outputWorth(y int64) float64 {
	return float64(float32(float64(y) * float64(c.m.OutputScale)))
}

// contradicts compares one sample with the claims; x and y are the float model's, x by source state.
func (c *checker) contradicts(x, y []float64, got result, saturated bool) error {
	for _, claim := range []struct {
		name  string
		e     *simb.ErrorCertificate
		holds bool
	}{{"box", c.m.Certificates.Box, true}, {"calibrated", c.m.Certificates.Calibrated, !saturated}} {
		if claim.e == nil || !claim.holds {
			continue
		}
		for i, q := range got.states {
			exact := x[c.m.SourceState[i]]
			if err := c.exceeds(exact, worth(&c.m.Rows[i], q), claim.e.State[i]); err != nil {
				return fmt.Errorf("state %d, %s claim: %w", i, claim.name, err)
			}
		}
		if err := c.outputsExceed(claim.name, y, got, claim.e.Output); err != nil {
			return err
		}
	}
	if claim := c.m.Certificates.Relaxed; claim != nil {
		if err := c.outputsExceed("relaxed", y, got, claim.Output); err != nil {
			return err
		}
	}
	if claim := c.m.Certificates.RelaxedCalibrated; claim != nil && !saturated {
		if err := c.outputsExceed("relaxed calibrated", y, got, claim.Output); err != nil {
			return err
		}
	}
	return c.leavesReach(x)
}

// outputsExceed compares the outputs of one sample with the figures of a claim.
func (c *checker) outputsExceed(claim string, y []float64, got result, bounds []float32) error {
	for k, q := range got.outputs {
		if err := c.exceeds(y[k], c.outputWorth(q), bounds[k]); err != nil {
			return fmt.Errorf("output %d, %s claim: %w", k, claim, err)
		}
	}
	return nil
}

// reference is the slack that the float64 solver needs for a value and its bound.
func (c *checker) reference(exact, bound float64) float64 {
	slack := float64(referenceRounding * (math.Abs(exact) + bound))
	if len(c.loops) == 0 {
		return slack
	}
	room := max(1-float64(c.m.Certificates.Kappa), 1e-6)
	return slack + float64(referenceRest*max(1, math.Abs(exact)))/room
}

func (c *checker) exceeds(exact, integers float64, bound float32) error {
	if difference := math.Abs(exact - integers); difference > float64(bound)+c.reference(exact, float64(bound)) {
		return fmt.Errorf("the float model gives %g, the integers %g; they differ by %g, claimed is at most %g", exact, integers, difference, bound)
	}
	return nil
}

// leavesReach compares the float model's states with their claimed ranges.
func (c *checker) leavesReach(x []float64) error {
	if !c.hasReach() {
		return nil
	}
	for i, s := range c.m.SourceState {
		r := c.reach(i)
		if slack := c.reference(x[s], r.magnitude()); x[s] < r.lo-slack || x[s] > r.hi+slack {
			return fmt.Errorf("state %d is %g, claimed to stay in [%g, %g]", i, x[s], r.lo, r.hi)
		}
	}
	return nil
}
