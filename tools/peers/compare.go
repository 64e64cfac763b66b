package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	simrt "github.com/sparse-implicit/sim/runtime"

	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

const (
	singleFrames       = 64   // different samples, in rotation
	batchFrames        = 4    // different batches
	calibrationSamples = 2000 // of the training part, for the peers' ranges
)

// single compares one sample at a time: every kernel of our own against the peers, on the teacher.
func (j *job) single(ctx context.Context) (*table, error) {
	contenders, err := j.kernels()
	if err != nil {
		return nil, err
	}
	peers, err := j.peers("", j.network, j.calibration(), 1)
	if err != nil {
		return nil, err
	}
	t, err := j.table(ctx, append(contenders, peers...), j.samples(singleFrames), &j.set.Test)
	if err != nil {
		return nil, err
	}
	t.Title = fmt.Sprintf("%s, network %s, one sample at a time", filepath.Base(j.set.Name), widths(j.network))
	return t, nil
}

// simBatch is how many samples of a batch our own runtime takes at a time. See newSession.
const simBatch = 64

// batched compares batches.
func (j *job) batched(ctx context.Context) (*table, error) {
	batch := j.flags.batch
	if batch < 2 {
		return nil, nil
	}
	var contenders []contender
	for _, integers := range []bool{false, true} {
		c := j.sim(j.models[0], "", integers)
		c.recipe.Batch = min(simBatch, batch)
		contenders = append(contenders, c)
	}
	peers, err := j.peers("", j.network, j.calibration(), batch)
	if err != nil || len(peers) == 0 {
		return nil, err
	}
	t, err := j.table(ctx, append(contenders, peers...), j.samples(batchFrames*batch), nil)
	if err != nil {
		return nil, err
	}
	t.Title = fmt.Sprintf("the same in batches of %d, times for one sample; sim takes %d at a time", batch, min(simBatch, batch))
	return t, nil
}

// kernels returns contenders for every model, kernel and kind of input of our own.
func (j *job) kernels() ([]contender, error) {
	var contenders []contender
	for _, file := range j.models {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m, err := simrt.Load(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if m.Inputs() != j.network.Inputs || m.Outputs() != j.network.Outputs() || m.Decision() != simrt.DecideArgmax {
			return nil, fmt.Errorf("%s: %d inputs and %d outputs, not a classifier of the teacher's %s", file, m.Inputs(), m.Outputs(), widths(j.network))
		}
		for _, integers := range []bool{false, true} {
			for _, kernel := range append(simrt.Kernels(), inPlace) {
				c := j.sim(file, kernel, integers)
				c.fresh = !integers && (kernel == m.Kernel() || kernel == inPlace)
				if kernel == m.Kernel() {
					c.name += ", chosen"
				}
				contenders = append(contenders, c)
			}
		}
	}
	return contenders, nil
}

// sim returns a contender of our own.
func (j *job) sim(file, kernel string, integers bool) contender {
	name := "sim " + strings.TrimSuffix(filepath.Base(file), ".simb")
	if kernel != "" {
		name += " " + kernel
	}
	return contender{name: name, recipe: recipe{Kind: kindSim, File: file, Kernel: kernel, Integers: integers, Batch: 1}}
}

// peers returns the contenders that run a dense network, in floats and in integers. Their files begin with a
// prefix. calibration is sample-major.
func (j *job) peers(prefix string, net *teacher.Network, calibration []float32, batch int) ([]contender, error) {
	perRow, err := quantise(net, calibration, true)
	if err != nil {
		return nil, err
	}
	var contenders []contender
	add := func(name string, r recipe) {
		r.Batch, r.Inputs, r.Outputs = batch, net.Inputs, net.Outputs()
		r.Scale, r.Zero = perRow[0].InScale, perRow[0].InZero
		contenders = append(contenders, contender{name: name, recipe: r, fresh: batch == 1})
	}
	if j.libraries.onnxruntime != "" {
		if err := j.graphs(prefix, net, perRow, add); err != nil {
			return nil, err
		}
	}
	if j.libraries.xnnpack != "" {
		if err := j.chains(prefix, net, calibration, add); err != nil {
			return nil, err
		}
	}
	return contenders, nil
}

// graphs writes the network for ONNX Runtime, in all forms.
func (j *job) graphs(prefix string, net *teacher.Network, quantised []layer, add func(string, recipe)) error {
	write := func(name, file string, content []byte, err error, integers bool) error {
		file = filepath.Join(j.flags.dir, prefix+file)
		if err == nil {
			err = os.WriteFile(file, content, 0o600)
		}
		add("ONNX Runtime "+name, recipe{Kind: kindOnnxRuntime, Library: j.libraries.onnxruntime, File: file, Integers: integers})
		return err
	}
	content, err := onnx.Encode(net.ONNX())
	if err := write("float", "float.onnx", content, err, false); err != nil {
		return err
	}
	for k, f := range forms {
		content, err := writeGraph(quantised, f)
		if err := write("int8, "+f.name, fmt.Sprintf("int8-%d.onnx", k), content, err, f.integers); err != nil {
			return err
		}
	}
	return nil
}

// chains writes the network for XNNPACK, whose layers in integers have one scale for all weights.
func (j *job) chains(prefix string, net *teacher.Network, calibration []float32, add func(string, recipe)) error {
	reals, err := layersOf(net)
	if err != nil {
		return err
	}
	quantised, err := quantise(net, calibration, false)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name, file string
		layers     []layer
	}{{"float", "float.xnn", reals}, {"int8, qs8", "int8.xnn", quantised}} {
		file := filepath.Join(j.flags.dir, prefix+c.file)
		if err := writeLayers(file, c.layers); err != nil {
			return err
		}
		add("XNNPACK "+c.name, recipe{Kind: kindXNNPACK, Library: j.libraries.xnnpack, File: file, Integers: c.layers[0].quantised()})
	}
	return nil
}

// calibration returns samples of the training part.
func (j *job) calibration() []float32 {
	return j.set.Train.X[:min(calibrationSamples, j.set.Train.Samples)*j.set.Features]
}

// samples returns so many samples of the test part, spread evenly over it.
func (j *job) samples(count int) [][]float32 {
	test, p := j.set.Test, j.set.Features
	samples := make([][]float32, count)
	for k := range samples {
		s := k * max(1, test.Samples/count) % test.Samples
		samples[k] = test.X[s*p : (s+1)*p]
	}
	return samples
}

// framesOf puts samples together in batches.
func framesOf(samples [][]float32, batch int) [][]float32 {
	if batch == 1 {
		return samples[:min(singleFrames, len(samples))]
	}
	var frames [][]float32
	for group := range slices.Chunk(samples, batch) {
		frames = append(frames, flatten(group))
	}
	return frames
}

// table opens contenders, judges and times them. part is for accuracies, nil for none.
func (j *job) table(ctx context.Context, contenders []contender, samples [][]float32, part *dataset.Part) (*table, error) {
	engines := make([]engine, len(contenders))
	for k, c := range contenders {
		e, err := c.recipe.open(framesOf(samples, c.recipe.Batch))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		defer e.close()
		engines[k] = e
		if own, is := e.(*simEngine); is && c.recipe.Kernel == "" {
			contenders[k].name += " " + own.model.Kernel()
		}
	}
	j.say("timing %d engines", len(engines))
	timings, err := measure(ctx, engines, j.flags.seconds)
	if err != nil {
		return nil, err
	}
	t := &table{}
	for k, c := range contenders {
		r := newRow(c, timings[k])
		if part != nil {
			if r.Accuracy, err = accuracy(engines[k], *part, len(samples[0])); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		if err := j.weigh(ctx, c, len(samples[0]), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		t.Rows = append(t.Rows, r)
	}
	t.relate(timings)
	return t, nil
}

// accuracy returns the share of a part that an engine classifies as its labels say.
func accuracy(e engine, part dataset.Part, features int) (float64, error) {
	right := 0
	for s, label := range part.Labels {
		class, err := e.answer(part.X[s*features : (s+1)*features])
		if err != nil {
			return 0, err
		}
		if class == int(label) {
			right++
		}
	}
	return float64(right) / float64(len(part.Labels)), nil
}

// weigh fills in what a contender costs beside its time: bytes of its file, and in a fresh process memory, start and
// libraries. What our own runtime is in is a program, not a library: a whole application stands for it.
func (j *job) weigh(ctx context.Context, c contender, inputs int, r *row) error {
	info, err := os.Stat(c.recipe.File)
	if err != nil {
		return err
	}
	r.FileBytes = info.Size()
	if !c.fresh {
		return nil
	}
	f, err := freshProcess(ctx, c.recipe, inputs)
	if err != nil {
		return err
	}
	r.StartNs, r.ResidentBytes, r.Libraries = f.StartNs, f.Resident, f.Mapped
	if r.Ours {
		application, err := j.application(ctx)
		if err != nil {
			return err
		}
		r.Libraries = []string{application}
	}
	for _, name := range r.Libraries {
		if info, err = os.Stat(name); err != nil {
			return err
		}
		r.LibraryBytes += info.Size()
	}
	return nil
}

// application builds a whole application of our runtime, without symbols, and returns its file.
func (j *job) application(ctx context.Context) (string, error) {
	const example = "github.com/sparse-implicit/sim/runtime/examples/edge"
	file := filepath.Join(j.flags.dir, "edge")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	_, err := goCommand(ctx, "build", "-ldflags", "-s -w", "-o", file, example)
	return file, err
}
