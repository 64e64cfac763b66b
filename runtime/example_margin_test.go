package runtime_test

import (
	"fmt"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// How far may two sensors drift before y_0 = 2·relu(u_0 − u_1) + u_1 and y_1 = 1 change places?
func ExampleSession_Margin() {
	float := &model.Model{
		A: sparse.New[float32](1, 1), B: sparse.FromDense(1, 2, []float32{1, -1}),
		C: sparse.FromDense(2, 1, []float32{2, 0}), D: sparse.FromDense(2, 2, []float32{0, 1, 0, 0}),
		StateBias: []float32{0}, OutputBias: []float32{0, 1}, Activations: []model.Activation{{Kind: model.ReLU}},
		InputLo: []float32{0, 0}, InputHi: []float32{1, 1}, Decision: model.DecideArgmax,
	}
	data, _, err := compiler.Compile(float, compiler.Options{Bits: 14, WeightBits: 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	loaded, err := simrt.Load(data, simrt.WithMargins())
	if err != nil {
		fmt.Println(err)
		return
	}
	session := loaded.NewSession()
	for _, u := range [][]float32{{0.9, 0.1}, {0.5, 0.01}} {
		margin, err := session.Margin(u)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("output %d by %.2f; the same within %.3f\n", margin.Class, margin.Lead, margin.Radius)
	}
	// Output:
	// output 0 by 0.70; the same within 0.139
	// output 1 by 0.01; the same within 0.002
}
