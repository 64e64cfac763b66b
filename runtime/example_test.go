package runtime_test

import (
	"fmt"
	"os"

	simrt "github.com/sparse-implicit/sim/runtime"
)

func Example() {
	data, err := os.ReadFile("examples/edge/model.simb") // on a device: go:embed
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := simrt.Load(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	session := model.NewSession()
	u, y := make([]float32, model.Inputs()), make([]float32, model.Outputs())
	if err := session.Infer(y, u); err != nil {
		fmt.Println(err)
		return
	}
	class, err := session.Decide(u)
	fmt.Println(len(u), "inputs,", len(y), "outputs, class in range:", class >= 0 && class < len(y), err)
	// Output: 784 inputs, 10 outputs, class in range: true <nil>
}

// A session in the caller's memory: nothing else is allocated.
func ExampleModel_NewSessionWith() {
	data, err := os.ReadFile("examples/edge/model.simb")
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := simrt.Load(data, simrt.WithInPlace())
	if err != nil {
		fmt.Println(err)
		return
	}
	size := model.WorkspaceSize()
	_, err = model.NewSessionWith(&simrt.Workspace{
		Activations8:  make([]uint8, size.Activations8),
		Next8:         make([]uint8, size.Next8),
		Activations16: make([]uint16, size.Activations16),
		Next16:        make([]uint16, size.Next16),
		External:      make([]int64, size.External),
	})
	fmt.Println(size.Bytes() == model.MemorySize(), err)
	// Output: true <nil>
}
