package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sparse-implicit/sim/format/model"
)

// Validation is a part of the data that nothing is fitted to: a source of the same teacher on it, and what
// the task wants there (nil: agreement with the teacher counts).
type Validation struct {
	Source      Source
	Supervision *Supervision
}

// ValidationScore is how teacher and model did on the validation part: accuracy, agreement or R², at most 1.
type ValidationScore struct {
	Samples int     `json:"samples"`
	Teacher float64 `json:"teacher"`
	Model   float64 `json:"model"`
}

// How a size is met: so many models at most are fitted, and one that leaves less than sizeSlack of it
// open is good.
const (
	sizeFits  = 6
	sizeSlack = 0.015
)

// toSize fits the model with the most nonzeros found whose size is within the wanted one.
func (f *fitter) toSize() (*model.Model, error) {
	f.options.NNZ = max(f.options.Size*8/14, f.shape.Outputs)
	var best *model.Model
	var bestReport Report
	below, above, smallest := 0, math.MaxInt, math.MaxInt // numbers of nonzeros known to fit, and not to
	last, lastSize := 0, 0
	for left := sizeFits; left > 0; left-- {
		if left == 1 && best == nil {
			f.options.NNZ = f.shape.Outputs // the smallest there is
		}
		m, err := f.fitOnce()
		if errors.Is(err, ErrBudget) && smallest < math.MaxInt { // so few cannot be: what was found counts
			break
		}
		if err != nil {
			return nil, err
		}
		size, err := f.options.SizeOf(m)
		if err != nil {
			return nil, fmt.Errorf("the size of %d nonzeros: %w", f.options.NNZ, err)
		}
		f.report.Bytes, smallest = size, min(smallest, size)
		if size <= f.options.Size && f.options.NNZ > below {
			best, bestReport, below = m, *f.report, f.options.NNZ
		}
		if size > f.options.Size {
			above = min(above, f.options.NNZ)
		}
		if float64(size) <= float64(f.options.Size) && float64(size) >= (1-sizeSlack)*float64(f.options.Size) {
			break
		}
		count := m.NNZ().Total()
		if size <= f.options.Size && count == last { // there are no larger ones
			break
		}
		// Bytes are an overhead and so many for each nonzero, nearly.
		overhead := min(400, float64(size)/2)
		if last != 0 && count != last {
			each := float64(size-lastSize) / float64(count-last)
			if guess := float64(size) - each*float64(count); each > 0 && guess > 0 {
				overhead = guess
			}
		}
		last, lastSize = count, size
		next := int(float64(count) * (float64(f.options.Size)*(1-sizeSlack/2) - overhead) / max(float64(size)-overhead, 1))
		switch tiny := below == 0 && next < above/8; {
		case above == math.MaxInt:
			if next <= below {
				next = below + below/2
			}
		case next <= below || next >= above || tiny: // small files are not that straight: halve what is open, by ratio
			next = int(math.Sqrt(float64(max(below, f.shape.Outputs)) * float64(above)))
		}
		if next = max(next, f.shape.Outputs); next == f.options.NNZ || next == below {
			break
		}
		f.options.NNZ = next
	}
	if best == nil {
		return nil, fmt.Errorf("%d bytes: the smallest model fitted takes %d; allow more: %w", f.options.Size, smallest, ErrBudget)
	}
	fits := f.report.Fits
	*f.report = bestReport
	f.report.Fits = fits
	return best, nil
}

// How the smallest model within a drop is looked for: numbers of nonzeros by ratio, then by halving the
// logarithm between one that loses too much and one that does not.
const (
	dropRatio      = 1.7
	dropHalvings   = 3
	validationPart = 6 // a sixth is split off
)

// toDrop fits the model with the fewest nonzeros found that loses at most the wanted points on the
// validation part.
func (f *fitter) toDrop() (*model.Model, error) {
	v, err := f.splitValidation()
	if err != nil {
		return nil, err
	}
	teacher, err := v.teacherScore(f.ctx, &f.options)
	if err != nil {
		return nil, err
	}
	most := f.mostNonzeros()
	var best *model.Model
	var bestReport Report
	worst := math.Inf(-1)
	try := func(nnz int) (within bool, err error) {
		f.options.NNZ = nnz
		m, err := f.fitOnce()
		if errors.Is(err, ErrBudget) && best != nil { // so few cannot be
			return false, nil
		}
		if err != nil {
			return false, err
		}
		score, err := v.score(f.ctx, m, &f.options)
		if err != nil {
			return false, err
		}
		f.report.Validation = &ValidationScore{v.Source.Shape().Samples, teacher, score}
		worst = max(worst, score)
		if within = 100*(teacher-score) <= f.options.Drop; within && (best == nil || m.NNZ().Total() < best.NNZ().Total()) {
			best, bestReport = m, *f.report
		}
		return within, nil
	}
	low, high := 0, 0 // too few; enough
	for nnz := max(most/10, f.shape.Outputs+f.shape.States()/4, 2*f.shape.Outputs); ; {
		within, err := try(nnz)
		if err != nil {
			return nil, err
		}
		if within {
			high = nnz
			if low > 0 {
				break
			}
			if nnz = int(float64(nnz) / dropRatio); nnz < f.shape.Outputs {
				break
			}
			continue
		}
		low = nnz
		if high > 0 {
			break
		}
		if nnz >= most {
			return nil, fmt.Errorf("a drop of %g points: with %d nonzeros, as many as the teacher has, the model still scores %.4f on the validation part, the teacher %.4f; allow more, or more epochs: %w", f.options.Drop, nnz, worst, teacher, ErrBudget)
		}
		nnz = min(int(float64(nnz)*dropRatio), most)
	}
	for range dropHalvings {
		middle := int(math.Sqrt(float64(max(low, f.shape.Outputs)) * float64(high)))
		if middle <= low || middle >= high {
			break
		}
		within, err := try(middle)
		if err != nil {
			return nil, err
		}
		if within {
			high = middle
		} else {
			low = middle
		}
	}
	fits := f.report.Fits
	*f.report = bestReport
	f.report.Fits = fits
	return best, nil
}

// mostNonzeros is how many numbers the teacher has, as far as the source tells.
func (f *fitter) mostNonzeros() int {
	if source, ok := f.source.(weighted); ok {
		if m, err := source.teacherModel(); err == nil {
			return m.NNZ().Total()
		}
	}
	return f.rows() * (min(f.features(), 50) + 1)
}

// splitValidation returns the validation part: the given one, or a sixth that it takes from the samples.
func (f *fitter) splitValidation() (*Validation, error) {
	if f.options.Validation != nil {
		given := f.options.Validation.Source.Shape()
		if given.Inputs != f.shape.Inputs || given.Outputs != f.shape.Outputs {
			return nil, fmt.Errorf("the validation part has %d inputs and %d outputs, the teacher %d and %d: %w", given.Inputs, given.Outputs, f.shape.Inputs, f.shape.Outputs, ErrOptions)
		}
		return f.options.Validation, f.options.Validation.Supervision.check(given, f.options.Task)
	}
	if f.shape.Samples < 10*validationPart {
		return nil, fmt.Errorf("%d samples are too few to split a validation part off: give one: %w", f.shape.Samples, ErrOptions)
	}
	order := rand.New(rand.NewPCG(f.options.Seed, 0x76616c)).Perm(f.shape.Samples)
	held := make([]bool, f.shape.Samples)
	for _, k := range order[:f.shape.Samples/validationPart] {
		held[k] = true
	}
	q := f.shape.Outputs
	v := &Validation{newSubset(f.source, func(k int) bool { return held[k] }), f.options.Supervision.take(held, true, q)}
	rest := func(k int) bool { return !held[k] }
	f.source = newSubset(f.source, rest)
	ensemble := f.options.Ensemble
	f.options.Ensemble = nil
	for _, teacher := range ensemble {
		f.options.Ensemble = append(f.options.Ensemble, newSubset(teacher, rest))
	}
	f.shape = f.source.Shape()
	f.options.Supervision = f.options.Supervision.take(held, false, q)
	return v, nil
}

// take returns the part of the samples for which which is as wanted.
func (s *Supervision) take(which []bool, wanted bool, outputs int) *Supervision {
	if s == nil {
		return nil
	}
	part := &Supervision{Weights: s.Weights}
	for k, w := range which {
		if w != wanted {
			continue
		}
		if s.Labels != nil {
			part.Labels = append(part.Labels, s.Labels[k])
		}
		if s.Targets != nil {
			part.Targets = append(part.Targets, s.Targets[k*outputs:(k+1)*outputs]...)
		}
	}
	return part
}

// teacherScore is the teacher's own score; 1 where agreement with it counts.
func (v *Validation) teacherScore(ctx context.Context, o *Options) (float64, error) {
	return v.judge(ctx, o, func(b *Batch) ([]float32, error) { return b.Y, nil })
}

// score is that of a model, by the float64 reference solver.
func (v *Validation) score(ctx context.Context, m *model.Model, o *Options) (float64, error) {
	return v.judge(ctx, o, func(b *Batch) ([]float32, error) {
		out := make([]float32, len(b.Y))
		p, q := m.Inputs(), m.Outputs()
		errs := make([]error, b.Samples)
		const block = 64
		parallel((b.Samples+block-1)/block, func(part int) {
			solver, err := model.NewSolver(m)
			if err != nil {
				errs[part] = err
				return
			}
			u, x, y := make([]float64, p), make([]float64, m.States()), make([]float64, q)
			for k := part * block; k < min((part+1)*block, b.Samples); k++ {
				for j := range u {
					u[j] = float64(b.U[k*p+j])
				}
				if err := solver.Solve(u, x, y); err != nil {
					errs[part] = err
					return
				}
				for c, v := range y {
					out[k*q+c] = float32(v)
				}
			}
		})
		for _, err := range errs {
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// judge scores outputs (samples × q of a batch) against the task or the teacher.
func (v *Validation) judge(ctx context.Context, o *Options, outputs func(*Batch) ([]float32, error)) (float64, error) {
	q := v.Source.Shape().Outputs
	right, squared := 0, newDeviation(q)
	err := v.Source.Batches(ctx, func(b *Batch) error {
		y, err := outputs(b)
		if err != nil {
			return err
		}
		for k := range b.Samples {
			row := y[k*q : (k+1)*q]
			if o.Task == Regression {
				want := b.Y[k*q : (k+1)*q]
				if v.Supervision != nil {
					want = v.Supervision.Targets[(b.First+k)*q : (b.First+k+1)*q]
				}
				squared.add(row, want)
				continue
			}
			want := decided(b.Y[k*q:(k+1)*q], o.Decision)
			if v.Supervision != nil {
				want = int(v.Supervision.Labels[b.First+k])
			}
			if decided(row, o.Decision) == want {
				right++
			}
		}
		return nil
	})
	if o.Task == Regression {
		return squared.r2(), err
	}
	return float64(right) / float64(v.Source.Shape().Samples), err
}

// decided returns the lowest index of a largest value, or of a smallest with argmin.
func decided(y []float32, decision model.Decision) int {
	best := 0
	for k, v := range y {
		if decision == model.DecideArgmin && v < y[best] || decision != model.DecideArgmin && v > y[best] {
			best = k
		}
	}
	return best
}

// deviation gathers R², the mean over outputs of 1 − squared error / variance.
type deviation struct {
	samples            int
	error, sum, square []float64
}

func newDeviation(q int) *deviation {
	return &deviation{error: make([]float64, q), sum: make([]float64, q), square: make([]float64, q)}
}

func (d *deviation) add(y, want []float32) {
	d.samples++
	for k, w := range want {
		off := float64(y[k]) - float64(w)
		d.error[k] += off * off
		d.sum[k] += float64(w)
		d.square[k] += float64(w) * float64(w)
	}
}

func (d *deviation) r2() float64 {
	total := 0.0
	for k, e := range d.error {
		spread := d.square[k] - d.sum[k]*d.sum[k]/float64(d.samples)
		if spread > 0 {
			total += 1 - e/spread
		}
	}
	return total / float64(len(d.error))
}
