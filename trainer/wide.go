package trainer

import (
	"context"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// Where the Gram of all states and inputs would be too large, rows are solved on Grams of candidates and
// certified over all features (rowsolve.Screened). What follows them needs the states and the inputs that
// some row reads: the fit goes on over those, as if there were no other inputs.

// DefaultGramBytes is the size up to which the Gram of all states and inputs is made: 6,000 of them.
const DefaultGramBytes = 8 * 6000 * 6000

const (
	wideCandidates = 200 // of a row at first, and at most as many more each time
	wideMemory     = 2   // of GramBytes: what the Grams of candidates may take (the whole one takes thrice its size)
	wideOverBudget = 1.5 // the most by which a certified point may exceed the budget that refinement starts from
	wideStep       = 1.1 // factor of λ where it may not
)

// moments are what both kinds of moments tell of features and targets.
type moments interface {
	FeatureStd() []float64
	TargetStd() []float64
	TargetMean(k int) float64
}

// isWide reports whether the Gram would be larger than it may.
func (f *fitter) isWide() bool {
	n := float64(f.features())
	return 8*n*n > float64(f.options.GramBytes)
}

// gramAdvice tells what a Gram of all features would take.
func (f *fitter) gramAdvice() string {
	n := float64(f.features())
	return fmt.Sprintf("the Gram of %d states and inputs takes %.0f MiB", f.features(), math.Ceil(8*n*n/(1<<20)))
}

// addCross makes the moments of (x/t, u) and (z/t, y) without the Gram, and prepares the screening.
func (f *fitter) addCross() error {
	if p := f.options.Penalty; p == PenaltyExact || p == PenaltyGroup {
		return fmt.Errorf("penalty %s needs the whole Gram, but %s: allow that much: %w", p, f.gramAdvice(), ErrOptions)
	}
	cross := rowsolve.NewCross(f.features(), f.rows())
	done := 0
	err := f.stream(func(features, targets []float32, samples int) error {
		cross.Add(features, targets, samples)
		done += samples
		f.options.Progress("moments", done, f.shape.Samples)
		return nil
	})
	if err != nil {
		return err
	}
	f.stats = cross
	// Along a path the Grams of all rows' candidates should stay at hand.
	initial := min(wideCandidates, max(10, int(math.Sqrt(float64(wideMemory*f.options.GramBytes)/float64(64*f.rows())))))
	f.certified = f.rows()
	f.screened = rowsolve.NewScreened(cross, f.stream, initial, wideMemory*f.options.GramBytes)
	return nil
}

// stream hands the rescaled samples to visit, batch by batch.
func (f *fitter) stream(visit func(features, targets []float32, samples int) error) error {
	buffer := newSampleBuffer(f.features(), f.rows())
	return f.source.Batches(f.ctx, func(b *Batch) error {
		for k := range b.Samples {
			features, targets := buffer.next()
			f.scaledSample(b, k, features, targets)
		}
		defer func() { buffer.samples = 0 }()
		return visit(buffer.features[:b.Samples*f.features()], buffer.targets[:b.Samples*f.rows()], b.Samples)
	})
}

// widePath is path where every λ over all features would take passes over the samples: the path is walked
// over candidates alone, and its end certified.
func (f *fitter) widePath(budget, bisections int) (*solvedRows, error) {
	most := budget
	if !f.options.NoRefine {
		most = int(wideOverBudget * float64(budget))
	}
	f.rough = true
	rough, err := f.path(budget, bisections)
	f.rough = false
	if err != nil {
		return nil, err
	}
	solved, err := f.solveAt(rough.lambda, rough)
	if err != nil {
		return nil, err
	}
	for f.overBudget(f.draftOf(solved.rows), most) {
		if solved, err = f.solveAt(solved.lambda*wideStep, solved); err != nil {
			return nil, err
		}
	}
	return solved, nil
}

// overBudget reports whether a draft has more than most numbers, or reads more inputs than refinement can
// take while it has numbers to spare.
func (f *fitter) overBudget(d *draft, most int) bool {
	count := f.count(d)
	if count > most || f.options.NoRefine || count <= f.options.NNZ {
		return count > most
	}
	narrow := float64(f.states() + len(f.inputsInUse(d)))
	return 8*narrow*narrow > float64(f.options.GramBytes)
}

// solveWide solves the rows on candidates. On the path they are certified where the weights in use have
// doubled since they last were, which brings in the candidates that the denser models need.
func (f *fitter) solveWide(problems []rowsolve.Problem, guess []*rowsolve.Solution, progress func(done, total int)) ([]*rowsolve.Solution, error) {
	if !f.rough {
		return f.screened.Solve(problems, guess, progress)
	}
	rows, err := f.screened.Rough(problems, guess)
	if err != nil || weightsOf(rows) <= 2*f.certified {
		return rows, err
	}
	if rows, err = f.screened.Solve(problems, rows, progress); err != nil {
		return nil, err
	}
	f.certified = max(f.certified, weightsOf(rows))
	return rows, nil
}

func weightsOf(rows []*rowsolve.Solution) int {
	sum := 0
	for _, s := range rows {
		sum += len(s.Support)
	}
	return sum
}

// finishNarrow finishes a fit over the states and the inputs in use.
func (f *fitter) finishNarrow(d *draft) (*model.Model, error) {
	inputs := f.inputsInUse(d)
	narrow := *f
	narrow.screened, narrow.stats = nil, nil
	source := newNarrowSource(f.source, inputs)
	narrow.source, narrow.shape = source, source.Shape()
	if narrow.isWide() {
		return nil, fmt.Errorf("refitting: %s: ask for fewer nonzeros, allow that much, or do without the refinement: %w", narrow.gramAdvice(), ErrOptions)
	}
	keep := func(v []float32) []float32 {
		if v == nil {
			return nil
		}
		kept := make([]float32, len(inputs))
		for a, j := range inputs {
			kept[a] = v[j]
		}
		return kept
	}
	n := f.states()
	narrow.survey = &survey{inputLo: keep(f.survey.inputLo), inputHi: keep(f.survey.inputHi), rms: f.survey.rms}
	narrow.options.InputLo, narrow.options.InputHi = keep(f.options.InputLo), keep(f.options.InputHi)
	narrow.options.Image = nil // a part of an image is none
	narrow.sigma = append([]float64(nil), f.sigma[:n]...)
	place := map[int32]int32{}
	for a, j := range inputs {
		narrow.sigma = append(narrow.sigma, f.sigma[n+int(j)])
		place[j] = int32(a)
	}
	if err := narrow.addMoments(); err != nil {
		return nil, err
	}
	renumbered := &draft{}
	for _, r := range d.rows {
		support := make([]int32, len(r.support))
		for k, j := range r.support {
			support[k] = j
			if int(j) >= n {
				support[k] = int32(n) + place[j-int32(n)]
			}
		}
		renumbered.rows = append(renumbered.rows, row{support, r.coef, r.bias})
	}
	m, err := narrow.finish(renumbered)
	f.clock = narrow.clock
	if err != nil {
		return nil, err
	}
	f.widen(m, inputs)
	return m, m.Validate()
}

// inputsInUse lists the inputs that some row reads, and one at least.
func (f *fitter) inputsInUse(d *draft) []int32 {
	n := f.states()
	used := make([]bool, f.shape.Inputs)
	for _, r := range d.rows {
		for _, j := range r.support {
			if int(j) >= n {
				used[int(j)-n] = true
			}
		}
	}
	var list []int32
	for j, u := range used {
		if u {
			list = append(list, int32(j))
		}
	}
	if len(list) == 0 {
		list = append(list, 0)
	}
	return list
}

// widen gives a model of some inputs all of them.
func (f *fitter) widen(m *model.Model, inputs []int32) {
	for _, matrix := range []*sparse.Matrix[float32]{m.B, m.D} {
		matrix.Cols = f.shape.Inputs
		for k, j := range matrix.Indices {
			matrix.Indices[k] = inputs[j]
		}
	}
	if m.ColumnStep != nil {
		steps := f.inputSteps() // those that nothing reads too
		m.ColumnStep = append(steps, m.ColumnStep[len(inputs):]...)
	}
	m.InputLo, m.InputHi = f.survey.inputLo, f.survey.inputHi
	if f.options.InputLo != nil {
		m.InputLo, m.InputHi = f.options.InputLo, f.options.InputHi
	}
}

// narrowSource is a source with some of its inputs left out.
type narrowSource struct {
	Source
	shape  Shape
	inputs []int32
}

func newNarrowSource(source Source, inputs []int32) *narrowSource {
	s := &narrowSource{Source: source, shape: *source.Shape(), inputs: inputs}
	s.shape.Inputs = len(inputs)
	return s
}

// Shape implements Source.
func (s *narrowSource) Shape() *Shape { return &s.shape }

// Batches implements Source.
func (s *narrowSource) Batches(ctx context.Context, visit func(*Batch) error) error {
	p := s.Source.Shape().Inputs
	return s.Source.Batches(ctx, func(b *Batch) error {
		narrow := *b
		narrow.U = make([]float32, 0, b.Samples*len(s.inputs))
		for k := range b.Samples {
			for _, j := range s.inputs {
				narrow.U = append(narrow.U, b.U[k*p+int(j)])
			}
		}
		return visit(&narrow)
	})
}
