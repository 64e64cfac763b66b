package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// largeWidths are those of the large network.
var largeWidths = []int{3072, 1024, 1024, 100}

// largeModels are the sparse models beside it: of its shape with 1, 2 and 5 % of its weights, then of 4,096 states.
// They are drawn, not fitted: times are compared, and those do not depend on what the weights are.
var largeModels = []struct {
	widths   []int
	nonzeros int
}{
	{largeWidths, 43_000},
	{largeWidths, 86_000},
	{largeWidths, 215_000},
	{[]int{3072, 2048, 2048, 100}, 200_000},
	{[]int{3072, 2048, 2048, 100}, 500_000},
	{[]int{3072, 2048, 2048, 100}, 1_000_000},
}

// large compares a large network with sparse models of its kind.
func (j *job) large(ctx context.Context) (*table, error) {
	if !j.flags.large {
		return nil, nil
	}
	rng := rand.New(rand.NewPCG(j.flags.seed, 1))
	net := randomNetwork(rng, largeWidths)
	samples := make([][]float32, singleFrames)
	for k := range samples {
		samples[k] = make([]float32, net.Inputs)
		for i := range samples[k] {
			samples[k][i] = rng.Float32()
		}
	}
	var contenders []contender
	for _, m := range largeModels {
		file, err := j.writeLayered(rng, m.widths, m.nonzeros)
		if err != nil {
			return nil, err
		}
		for _, integers := range []bool{false, true} {
			c := j.sim(file, "", integers)
			c.fresh = !integers
			contenders = append(contenders, c)
		}
	}
	peers, err := j.peers("large-", net, flatten(samples), 1)
	if err != nil {
		return nil, err
	}
	t, err := j.table(ctx, append(contenders, peers...), samples, nil)
	if err != nil {
		return nil, err
	}
	t.Title = fmt.Sprintf("drawn network %s, one sample at a time; sim: 1, 2 and 5 %% of its weights, then up to 1,000,000 on 4,096 states", widths(net))
	return t, nil
}

// randomNetwork draws a relu network with weights of variance 2/in.
func randomNetwork(rng *rand.Rand, widths []int) *teacher.Network {
	net := &teacher.Network{Inputs: widths[0]}
	for k, out := range widths[1:] {
		in := widths[k]
		l := teacher.Layer{In: in, Out: out, W: make([]float32, out*in), B: make([]float32, out), Activation: model.Activation{Kind: model.ReLU}}
		if k == len(widths)-2 {
			l.Activation = model.Activation{Kind: model.Identity}
		}
		for i := range l.W {
			l.W[i] = float32(rng.NormFloat64() * math.Sqrt(2/float64(in)))
		}
		net.Layers = append(net.Layers, l)
	}
	return net
}

// writeLayered writes a drawn model and returns its file.
func (j *job) writeLayered(rng *rand.Rand, widths []int, nonzeros int) (string, error) {
	data, err := simb.Encode(layered(rng, widths, nonzeros), simb.EncodeOptions{Codec: simb.CodecPacked})
	if err != nil {
		return "", err
	}
	file := filepath.Join(j.flags.dir, fmt.Sprintf("large-%d-%d.simb", widths[1], nonzeros))
	return file, os.WriteFile(file, data, 0o600)
}

// layered draws a model of relu layers in which every row reads the layer before it, at places and with weights
// drawn at random, so that it has the given number of weights.
func layered(rng *rand.Rand, widths []int, nonzeros int) *simb.Model {
	const scale = 0x1p-7
	inputs, depth := widths[0], len(widths)
	m := &simb.Model{Width: quant.Width7, SourceInputs: inputs, OutputScale: scale, Decision: simb.DecideArgmax, Compiler: "peers"}
	for i := range inputs {
		m.Inputs = append(m.Inputs, simb.Input{Source: int32(i), Scale: scale, Hi: 127 * scale})
	}
	dense, rows := 0, 0
	for k := range depth - 1 {
		dense += widths[k] * widths[k+1]
		rows += widths[k+1]
		if k+2 < depth {
			m.Schedule = append(m.Schedule, simb.Segment{States: widths[k+1]})
		}
	}
	states := rows - widths[depth-1]
	m.SourceStates, m.Weights = states, sparse.New[int16](rows, inputs+states)
	row, first, seen := 0, 0, 0 // first: column where the layer that is read begins
	for k := range depth - 1 {
		for range widths[k+1] {
			length := nonzeros*(seen+widths[k])/dense - nonzeros*seen/dense
			seen += widths[k]
			cols, weights := drawRow(rng, first, widths[k], length)
			m.Weights.AppendRow(row, cols, weights)
			m.Rows = append(m.Rows, drawnRow(row < states, length))
			if row < states {
				m.SourceState = append(m.SourceState, int32(row))
			}
			row++
		}
		first += widths[k]
	}
	return m
}

// drawRow draws so many weights at different places among width columns from first on.
func drawRow(rng *rand.Rand, first, width, length int) (cols []int32, weights []int16) {
	for _, place := range rng.Perm(width)[:length] {
		cols = append(cols, int32(first+place))
		weight := int16(1 + rng.IntN(127))
		if rng.IntN(2) == 1 {
			weight = -weight
		}
		weights = append(weights, weight)
	}
	slices.Sort(cols)
	return cols, weights
}

// drawnRow returns a row whose states lie in range: sums of length products of about 64·64 grow with its root.
func drawnRow(state bool, length int) simb.Row {
	const bits = 30
	r := simb.Row{Planes: 1, Multiplier: quant.Multiplier{M: int32(float64(int(1)<<bits) / (64 * (1 + math.Sqrt(float64(length))))), S: bits}, Table: simb.NoTable}
	if state {
		r.Kind, r.Scale, r.Hi, r.Saturates = simb.ReLU, 0x1p-7, uint16(quant.Width7.Max()), simb.SaturatesHigh
	}
	return r
}
