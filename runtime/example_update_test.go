package runtime_test

import (
	"fmt"
	"os"
	"slices"

	simrt "github.com/sparse-implicit/sim/runtime"
)

// A stream of inputs of which a few change at a time.
func ExampleSession_Update() {
	data, err := os.ReadFile("examples/edge/model.simb")
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := simrt.Load(data, simrt.WithUpdates())
	if err != nil {
		fmt.Println(err)
		return
	}
	session, u := model.NewSession(), make([]float32, model.Inputs())
	updated, inferred := make([]float32, model.Outputs()), make([]float32, model.Outputs())
	if err := session.Infer(inferred, u); err != nil {
		fmt.Println(err)
		return
	}
	err = session.Update(updated, []int{400, 401, 428}, []float32{1, 0.5, 0.25})
	if err != nil {
		fmt.Println(err)
		return
	}
	stats := session.Stats()
	u[400], u[401], u[428] = 1, 0.5, 0.25
	err = session.Infer(inferred, u)
	fmt.Println("the same as all of it:", slices.Equal(updated, inferred), stats == session.Stats(), err)
	// Output: the same as all of it: true true <nil>
}
