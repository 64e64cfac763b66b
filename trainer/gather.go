package trainer

import (
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

const (
	// sensitivityFloor is the part of its median that ω·std of a row has at least: a state that hardly
	// matters is still fitted a little.
	sensitivityFloor = 0.02
	// heldOutEvery: each so-many-th sample is left out of the fits between which the ridge is chosen.
	heldOutEvery = 6
)

// gather makes everything the row problems need, in two passes over the source.
func (f *fitter) gather() (err error) {
	if f.survey, err = surveySource(f.ctx, f.source); err != nil {
		return err
	}
	f.rescale()
	if f.isWide() {
		err = f.addCross()
	} else {
		err = f.addMoments()
	}
	if err != nil {
		return err
	}
	return f.weigh()
}

// rescale chooses t_i and the activations of the rescaled states. A baseline prunes the teacher as it is.
func (f *fitter) rescale() {
	n := f.states()
	f.scale = make([]float64, n)
	for i, a := range f.shape.Activations {
		f.scale[i] = 1
		if !f.shape.Scaled && f.options.Baseline == "" && a.Kind.Homogeneous() && f.survey.rms[i] > 0 {
			f.scale[i] = powerOfTwoAbove(f.survey.rms[i])
		}
	}
	if knows, ok := f.source.(contractive); ok && f.options.Structure == Free && !f.shape.Scaled {
		f.scale = knows.contractiveScales(f.scale, f.options.Kappa)
	}
	f.activations = make([]model.Activation, n)
	for i, a := range f.shape.Activations {
		if a.Kind == model.ClippedReLU || a.Kind == model.HardTanh {
			a.P0, a.P1 = float32(float64(a.P0)/f.scale[i]), float32(float64(a.P1)/f.scale[i])
		}
		f.activations[i] = a
	}
}

// powerOfTwoAbove returns the least power of two that is not below v > 0, within float32's range.
// Scaling by a power of two rounds nothing.
func powerOfTwoAbove(v float64) float64 {
	fraction, exponent := math.Frexp(v)
	if fraction == 0.5 {
		exponent--
	}
	return math.Ldexp(1, min(max(exponent, -60), 60))
}

// addMoments makes the Gram of (x/t, u) and (z/t, y).
func (f *fitter) addMoments() error {
	fit, heldOut := rowsolve.NewGram(f.features(), f.rows()), rowsolve.NewGram(f.features(), f.rows())
	split := !f.options.NoRefine && f.options.Ridge == 0 && f.shape.Samples >= 2*heldOutEvery
	all, out := newSampleBuffer(f.features(), f.rows()), newSampleBuffer(f.features(), f.rows())
	err := f.source.Batches(f.ctx, func(b *Batch) error {
		for k := range b.Samples {
			to := all
			if split && (b.First+k)%heldOutEvery == heldOutEvery-1 {
				to = out
			}
			features, targets := to.next()
			f.scaledSample(b, k, features, targets)
		}
		all.flush(fit)
		out.flush(heldOut)
		f.options.Progress("moments", b.First+b.Samples, f.shape.Samples)
		return nil
	})
	if err != nil {
		return err
	}
	f.gram, f.stats = fit, fit
	if split {
		f.fitPart = refine.FromGram(fit, !f.options.NoBias)
		f.heldOutPart = refine.FromGram(heldOut, !f.options.NoBias)
		if err := f.gram.Merge(heldOut); err != nil {
			return err
		}
	}
	f.moments = refine.FromGram(f.gram, !f.options.NoBias)
	return nil
}

// scaledSample writes one sample's rescaled features and targets.
func (f *fitter) scaledSample(b *Batch, k int, features, targets []float32) {
	n, p, q := f.states(), f.shape.Inputs, f.shape.Outputs
	copy(features[n:], b.U[k*p:(k+1)*p])
	copy(targets[n:], b.Y[k*q:(k+1)*q])
	for i, t := range f.scale {
		inverse := float32(1 / t)
		features[i] = b.X[k*n+i] * inverse
		targets[i] = b.Z[k*n+i] * inverse
	}
}

// sampleBuffer collects samples for a Gram.
type sampleBuffer struct {
	widthF, widthT, samples int
	features, targets       []float32
}

func newSampleBuffer(features, targets int) *sampleBuffer {
	return &sampleBuffer{widthF: features, widthT: targets}
}

// next returns where the next sample's features and targets go.
func (b *sampleBuffer) next() (features, targets []float32) {
	b.samples++
	needF, needT := b.samples*b.widthF, b.samples*b.widthT
	b.features = slices.Grow(b.features, max(0, needF-len(b.features)))[:max(needF, len(b.features))]
	b.targets = slices.Grow(b.targets, max(0, needT-len(b.targets)))[:max(needT, len(b.targets))]
	return b.features[needF-b.widthF : needF], b.targets[needT-b.widthT : needT]
}

// flush adds what was collected to g.
func (b *sampleBuffer) flush(g *rowsolve.Gram) {
	g.Add(b.features, b.targets, b.samples)
	b.samples = 0
}

// weigh sets ω of every row and σ of every feature.
func (f *fitter) weigh() error {
	n := f.states()
	f.omega, f.sigma = make([]float64, f.rows()), f.stats.FeatureStd()
	for i := range f.omega {
		f.omega[i] = 1
	}
	if f.options.NoWeights {
		for j, s := range f.sigma {
			if s > 0 || f.options.NoBias {
				f.sigma[j] = 1
			}
		}
		return nil
	}
	states, outputs, err := f.source.Sensitivity(f.ctx, f.options.Task, f.options.Seed)
	if err != nil || states == nil {
		return err
	}
	std := f.stats.TargetStd()
	for i, w := range states {
		f.omega[i] = w * f.scale[i]
	}
	copy(f.omega[n:], outputs)
	floorSensitivity(f.omega[:n], std[:n])
	floorSensitivity(f.omega[n:], std[n:])
	return nil
}

// floorSensitivity raises ω so that ω·std is at least a part of its median over rows that vary and
// matter; rows that do not vary get 1, which means nothing to them.
func floorSensitivity(omega, std []float64) {
	var products []float64
	for i, w := range omega {
		if v := w * std[i]; v > 0 {
			products = append(products, v)
		}
	}
	slices.Sort(products)
	for i := range omega {
		if len(products) == 0 || std[i] == 0 {
			omega[i] = 1
			continue
		}
		omega[i] = max(omega[i], sensitivityFloor*products[len(products)/2]/std[i])
	}
}
