package trainer

import (
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// How a size is met: so many models at most are fitted, and one that leaves less than sizeSlack of it
// open is good.
const (
	sizeFits  = 6
	sizeSlack = 0.015
)

// toSize fits the model with the most nonzeros found whose size is within the wanted one.
func (f *fitter) toSize() (*model.Model, error) {
	f.options.NNZ = max(f.options.Size/14*8, f.shape.Outputs)
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
	search := &dropSearch{fitter: f, validation: v, teacher: teacher, most: f.mostNonzeros()}
	if err := search.bracket(); err != nil {
		return nil, err
	}
	if err := search.halve(); err != nil {
		return nil, err
	}
	fits := f.report.Fits
	*f.report = search.reported
	f.report.Fits = fits
	return search.best, nil
}

// dropSearch looks for the fewest nonzeros within a drop.
type dropSearch struct {
	*fitter
	validation *Validation
	teacher    float64 // its score
	most       int     // as many numbers as the teacher has

	low, high int // too few; enough. 0: not known
	best      *model.Model
	reported  Report // of best
}

// try fits a number of nonzeros and returns whether it is within the drop, and its score.
func (s *dropSearch) try(nnz int) (within bool, score float64, err error) {
	s.options.NNZ = nnz
	m, err := s.fitOnce()
	if errors.Is(err, ErrBudget) && s.best != nil { // so few cannot be
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	if score, err = s.validation.score(s.ctx, m, &s.options); err != nil {
		return false, 0, err
	}
	s.report.Validation = &ValidationScore{s.validation.Source.Shape().Samples, s.teacher, score}
	within = 100*(s.teacher-score) <= s.options.Drop
	if within && (s.best == nil || m.NNZ().Total() < s.best.NNZ().Total()) {
		s.best, s.reported = m, *s.report
	}
	return within, score, nil
}

// bracket finds numbers of nonzeros that are enough, and too few, unless the fewest possible are enough.
func (s *dropSearch) bracket() error {
	fewest := s.shape.Outputs
	nnz := max(s.most/10, fewest+s.shape.States()/4, 2*fewest)
	for {
		within, score, err := s.try(nnz)
		switch {
		case err != nil:
			return err
		case within:
			s.high = nnz
			if nnz = int(float64(nnz) / dropRatio); s.low > 0 || nnz < fewest {
				return nil
			}
		case s.high > 0:
			s.low = nnz
			return nil
		case nnz >= s.most:
			return fmt.Errorf("a drop of %g points: with %d nonzeros, as many as the teacher has as far as is known, the model still scores %.4f on the validation part, the teacher %.4f; allow more, or more epochs: %w", s.options.Drop, nnz, score, s.teacher, ErrBudget)
		default:
			s.low = nnz
			nnz = min(int(float64(nnz)*dropRatio), s.most)
		}
	}
}

// halve narrows the bracket.
func (s *dropSearch) halve() error {
	for range dropHalvings {
		middle := int(math.Sqrt(float64(max(s.low, s.shape.Outputs)) * float64(s.high)))
		if middle <= s.low || middle >= s.high {
			return nil
		}
		within, _, err := s.try(middle)
		if err != nil {
			return err
		}
		if within {
			s.high = middle
		} else {
			s.low = middle
		}
	}
	return nil
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
