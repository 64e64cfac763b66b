package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/simb"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// candidate is a model of any kind, as eval sees it. One goroutine at a time.
type candidate interface {
	inputs() int
	outputs() int
	describe() evalResult                  // everything but what is measured
	answer(u []float32) ([]float32, error) // the outputs, valid until the next call
	class(u []float32) (int, error)
}

// openCandidate opens a .onnx, .sim or .simb file by what its name ends in.
func openCandidate(path string) (candidate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var c candidate
	switch strings.ToLower(filepath.Ext(path)) {
	case ".onnx":
		c, err = newNetworkCandidate(data)
	case ".sim", ".npz":
		c, err = newFloatCandidate(data)
	case ".simb":
		c, err = newCompiledCandidate(data)
	default:
		return nil, usagef("%s: a file ending in .onnx, .sim or .simb is needed", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// networkCandidate is a teacher that is a chain of dense layers, in float32.
type networkCandidate struct {
	network *teacher.Network
	size    int
	output  []float32
}

// newNetworkCandidate opens an ONNX network. One that is no chain of dense layers (skip connections)
// is solved as the implicit model that it is.
func newNetworkCandidate(data []byte) (candidate, error) {
	graph, err := onnx.Decode(data)
	if err != nil {
		return nil, err
	}
	network, _, err := teacher.ToNetwork(graph)
	if errors.Is(err, teacher.ErrNotChain) {
		m, _, err := teacher.Convert(graph, teacher.ConvertOptions{})
		if err != nil {
			return nil, err
		}
		return solved(m, "onnx", len(data))
	}
	if err != nil {
		return nil, err
	}
	return &networkCandidate{network: network, size: len(data)}, nil
}

func (c *networkCandidate) inputs() int  { return c.network.Inputs }
func (c *networkCandidate) outputs() int { return c.network.Outputs() }

func (c *networkCandidate) describe() evalResult {
	macs := uint64(0)
	for _, layer := range c.network.Layers {
		macs += uint64(len(layer.W))
	}
	return evalResult{Kind: "onnx", NNZ: networkNonzeros(c.network), FileBytes: c.size, MACs: &macs}
}

// networkNonzeros counts the weights and biases that are not zero.
func networkNonzeros(network *teacher.Network) int {
	nnz := 0
	for _, layer := range network.Layers {
		for _, values := range [][]float32{layer.W, layer.B} {
			for _, v := range values {
				if v != 0 {
					nnz++
				}
			}
		}
	}
	return nnz
}

func (c *networkCandidate) answer(u []float32) ([]float32, error) {
	c.output = c.network.Forward32(u, 1, nil)
	return c.output, nil
}

func (c *networkCandidate) class(u []float32) (int, error) {
	y, err := c.answer(u)
	return argmax(y), err
}

// floatCandidate is a float model, solved in float64 by the reference solver.
type floatCandidate struct {
	model   *model.Model
	solver  *model.Solver
	kind    string
	size    int
	u, x, y []float64
	output  []float32
}

func newFloatCandidate(data []byte) (candidate, error) {
	m, err := model.Read(data)
	if err != nil {
		return nil, err
	}
	return solved(m, "sim", len(data))
}

// solved returns a model of the given kind and file size as a candidate.
func solved(m *model.Model, kind string, size int) (candidate, error) {
	solver, err := model.NewSolver(m)
	if err != nil {
		return nil, err
	}
	return &floatCandidate{
		model: m, solver: solver, kind: kind, size: size,
		u: make([]float64, m.Inputs()), x: make([]float64, m.States()), y: make([]float64, m.Outputs()), output: make([]float32, m.Outputs()),
	}, nil
}

func (c *floatCandidate) inputs() int  { return c.model.Inputs() }
func (c *floatCandidate) outputs() int { return c.model.Outputs() }

func (c *floatCandidate) describe() evalResult {
	return evalResult{Kind: c.kind, NNZ: c.model.NNZ().Total(), FileBytes: c.size}
}

func (c *floatCandidate) solve(u []float32) error {
	for j, v := range u {
		c.u[j] = float64(v)
	}
	return c.solver.Solve(c.u, c.x, c.y)
}

func (c *floatCandidate) answer(u []float32) ([]float32, error) {
	err := c.solve(u)
	for k, v := range c.y {
		c.output[k] = float32(v)
	}
	return c.output, err
}

func (c *floatCandidate) class(u []float32) (int, error) {
	if err := c.solve(u); err != nil {
		return 0, err
	}
	if class := c.model.Decide(c.y); class >= 0 {
		return class, nil
	}
	return argmax(c.y), nil // no rule of its own
}

// compiledCandidate is a compiled model, run as on a device.
type compiledCandidate struct {
	model   *simrt.Model
	file    *simb.Model
	session *simrt.Session
	size    int
	output  []float32
}

func newCompiledCandidate(data []byte) (candidate, error) {
	m, err := simrt.Load(data)
	if err != nil {
		return nil, err
	}
	file, err := openCompiled(data)
	if err != nil {
		return nil, err
	}
	return &compiledCandidate{m, file, m.NewSession(), len(data), make([]float32, m.Outputs())}, nil
}

func (c *compiledCandidate) inputs() int  { return c.model.Inputs() }
func (c *compiledCandidate) outputs() int { return c.model.Outputs() }

func (c *compiledCandidate) describe() evalResult {
	ram, macs := c.model.MemorySize(), c.file.MACs()
	return evalResult{Kind: "simb", NNZ: c.file.NNZ(), FileBytes: c.size, RAMBytes: &ram, MACs: &macs}
}

func (c *compiledCandidate) answer(u []float32) ([]float32, error) {
	return c.output, c.session.Infer(c.output, u)
}

func (c *compiledCandidate) class(u []float32) (int, error) {
	if c.file.Decision != simb.DecideNone {
		return c.session.Decide(u)
	}
	y, err := c.answer(u)
	return argmax(y), err
}

// argmax returns the lowest index of a largest value.
func argmax[F float32 | float64](values []F) int {
	best := 0
	for k, v := range values {
		if v > values[best] {
			best = k
		}
	}
	return best
}
