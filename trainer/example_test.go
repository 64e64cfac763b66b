package trainer_test

import (
	"context"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// A network of 63 numbers, of which 12 weights matter, becomes a model of at most 24.
func ExampleFit() {
	network := &teacher.Network{Inputs: 6, Layers: []teacher.Layer{
		{In: 6, Out: 6, W: make([]float32, 36), B: make([]float32, 6), Activation: model.Activation{Kind: model.ReLU}},
		{In: 6, Out: 3, W: make([]float32, 18), B: make([]float32, 3)},
	}}
	for l, layer := range network.Layers {
		for k := range layer.W {
			layer.W[k] = 0.01 * float32(math.Sin(float64(5*k+l)))
		}
		for i := range layer.In {
			layer.W[i%layer.Out*layer.In+i] = 1
		}
	}
	const samples = 500
	inputs := make([]float32, samples*6)
	for k := range inputs {
		inputs[k] = float32(math.Sin(float64(k * k)))
	}

	source, err := trainer.NewNetworkSource(network, inputs)
	if err != nil {
		fmt.Println(err)
		return
	}
	sparse, report, err := trainer.Fit(context.Background(), source, trainer.Options{NNZ: 24, Task: trainer.Classification})
	if err != nil {
		fmt.Println(err)
		return
	}
	solver, err := model.NewSolver(sparse)
	if err != nil {
		fmt.Println(err)
		return
	}
	answers := network.Forward32(inputs, samples, nil)
	equal := 0
	for s := range samples {
		u, y := make([]float64, 6), make([]float64, 3)
		for j := range u {
			u[j] = float64(inputs[6*s+j])
		}
		if err := solver.Solve(u, make([]float64, sparse.States()), y); err != nil {
			fmt.Println(err)
			return
		}
		if teacher.Classes(answers[3*s:3*s+3], 3)[0] == sparse.Decide(y) {
			equal++
		}
	}
	fmt.Println("within 24 numbers:", report.NNZ <= 24)
	fmt.Println("decides as the network on more than 95 %:", equal > samples*95/100)
	// Output:
	// within 24 numbers: true
	// decides as the network on more than 95 %: true
}
