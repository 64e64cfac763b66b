package runtime_test

import (
	"fmt"
	"os"
	"syscall"

	simrt "github.com/sparse-implicit/sim/runtime"
)

// A model that stays in its file: the pages are mapped read-only, shared between processes, and given up and
// fetched again by the system as it pleases. With raw streams (simc compile --codec raw) the heap then holds
// some dozens of bytes for each input, state and output, and none for a weight. The same goes for bytes
// that the program itself holds, which examples/edge shows:
//
//	//go:embed model.simb
//	var compiled []byte
//
// The file must not be changed in place while it is mapped: replace it by renaming another one over it.
func ExampleWithInPlace_mapped() {
	file, err := os.Open("examples/edge/model.simb")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer syscall.Munmap(data) // not before the last inference

	model, err := simrt.Load(data, simrt.WithInPlace())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(model.Kernel()+",", model.PackedBytes(), "bytes of weights beside the file, self-test:", model.SelfTest())
	// Output: in place, 0 bytes of weights beside the file, self-test: <nil>
}
