//go:build !nosign

package runtime_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/sparse-implicit/sim/format/simb"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// A device that takes only what was signed for it, and never goes back to an older release. The public key is
// what `simc keygen` wrote; on a device: go:embed.
func ExampleLoadSigned() {
	key, err := simrt.ParsePublicKey([]byte("sim-ed25519-public 8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := os.ReadFile("../format/simb/testdata/v1/signed-7-raw.simb")
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := simrt.LoadSigned(data, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	newest := model.Sequence() // kept where it survives a restart

	older, err := os.ReadFile("../format/simb/testdata/v2/signed-7-packed-derived.simb")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = simrt.LoadSigned(older, key, simrt.WithMinSequence(newest))
	fmt.Println(errors.Is(err, simrt.ErrStale), err)

	unsigned, err := os.ReadFile("../format/simb/testdata/v1/all-7-raw.simb")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = simrt.LoadSigned(unsigned, key)
	fmt.Println(errors.Is(err, simb.ErrSignature), err)
	// Output:
	// true the model has the sequence 60, 80 is the oldest that is taken; a newer release is needed
	// true the file is not signed: signature of the compiled model does not hold
}
