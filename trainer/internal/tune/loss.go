package tune

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// Goal says what the outputs are to be. Per sample: the teacher's outputs, and the task's labels or
// targets.
type Goal struct {
	Labels  []int32   // classification: class per sample; nil without a task loss
	Targets []float32 // regression: samples × q; nil without a task loss
	Teacher []float32 // samples × q: the teacher's outputs (classification: probabilities at Temperature)

	Regression bool
	Lowest     bool      // classification: the lowest output is the likeliest class
	Weights    []float32 // classification: weight of each class's samples in the loss; nil: 1
	Spread     []float64 // per output: what its error is divided by in a regression

	// Distill in [0, 1] is the part of the loss that compares with the teacher; 1 without a task loss.
	Distill     float64
	Temperature float64 // of the softened probabilities
}

type lossScratch struct{ soft, hard []float64 }

func newLossScratch(outputs int) lossScratch {
	return lossScratch{make([]float64, outputs), make([]float64, outputs)}
}

// derive replaces the outputs of the chosen variants of samples by the derivatives of scale · loss and sets
// s.loss.
func (s *shard) derive(g *Goal, chosen []int, variants int, scale float64) {
	q := len(s.outputs) / lanes
	s.loss = 0
	for lane, variant := range chosen {
		y, sample := s.outputs[lane:], variant/variants
		var teacher, targets []float32
		if g.Distill > 0 {
			teacher = g.Teacher[variant*q : (variant+1)*q]
		}
		if !g.Regression {
			s.loss += g.crossEntropy(y, sample, teacher, q, scale, &s.scratch)
			continue
		}
		if g.Distill < 1 {
			targets = g.Targets[sample*q : (sample+1)*q]
		}
		s.loss += g.squared(y, targets, teacher, q, scale)
	}
	for k := range q {
		clear(lineOf(s.outputs, k)[len(chosen):])
	}
}

// crossEntropy is (1 − α)·CE(label, softmax y) + α T²·KL(teacher, softmax(y/T)), up to the teacher's
// entropy (Hinton, Vinyals, Dean, arXiv 1503.02531), times the class's weight. y[k·lanes] is output k.
func (g *Goal) crossEntropy(y []float32, sample int, teacher []float32, q int, scale float64, mem *lossScratch) float64 {
	if g.Labels != nil && g.Weights != nil {
		scale *= float64(g.Weights[g.Labels[sample]])
	}
	if g.Lowest {
		scale = -scale
		for k := range q {
			y[k*lanes] = -y[k*lanes]
		}
	}
	top := y[0]
	for k := range q {
		top = max(top, y[k*lanes])
	}
	hardSum, softSum := 0.0, 0.0
	for k := range q {
		v := float64(y[k*lanes]) - float64(top)
		mem.soft[k] = model.Exp(v / g.Temperature)
		softSum += mem.soft[k]
		if g.Distill < 1 {
			mem.hard[k] = model.Exp(v)
			hardSum += mem.hard[k]
		}
	}
	loss := 0.0
	if g.Distill < 1 {
		label := int(g.Labels[sample])
		loss += (1 - g.Distill) * (math.Log(hardSum) - (float64(y[label*lanes]) - float64(top)))
		for k := range q {
			mem.hard[k] /= hardSum
		}
		mem.hard[label]--
	}
	for k := range q {
		d := 0.0
		if g.Distill < 1 {
			d = (1 - g.Distill) * mem.hard[k]
		}
		if teacher != nil {
			p := mem.soft[k] / softSum
			d += float64(g.Distill * g.Temperature * (p - float64(teacher[k])))
			if teacher[k] > 0 {
				loss -= float64(g.Distill*g.Temperature*g.Temperature*float64(teacher[k])) * ((float64(y[k*lanes])-float64(top))/g.Temperature - math.Log(softSum))
			}
		}
		y[k*lanes] = float32(d * scale)
	}
	return loss * math.Abs(scale)
}

// squared is ½/q Σ_k ((1 − α)(y − target)² + α(y − teacher)²)/spread².
func (g *Goal) squared(y, targets, teacher []float32, q int, scale float64) float64 {
	loss := 0.0
	for k := range q {
		inverse := 1 / g.Spread[k]
		each := float64(scale*inverse) * inverse / float64(q)
		v, d := float64(y[k*lanes]), 0.0
		for _, part := range []struct {
			from []float32
			part float64
		}{{targets, 1 - g.Distill}, {teacher, g.Distill}} {
			if part.part > 0 {
				off := v - float64(part.from[k])
				loss += float64(part.part*each) * float64(off*off) / 2
				d += float64(part.part*each) * off
			}
		}
		y[k*lanes] = float32(d)
	}
	return loss
}
