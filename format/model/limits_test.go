package model

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/sparse-implicit/sim/format/npz"
)

func TestEveryLimitRefusesAndAllowsWhatItSays(t *testing.T) {
	m := trained()
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	header := int(binary.LittleEndian.Uint64(data))
	most := max(m.A.Stored(), m.B.Stored(), m.C.Stored(), m.D.Stored())
	for _, c := range []struct {
		name string
		with func(n int) Option
		n    int
	}{
		{"bytes", func(n int) Option { return WithMaxBytes(int64(n)) }, len(data)},
		{"header", WithMaxHeader, header},
		{"inputs", WithMaxInputs, m.Inputs()},
		{"states", WithMaxStates, m.States()},
		{"outputs", WithMaxOutputs, m.Outputs()},
		{"nonzeros", WithMaxNonzeros, most},
	} {
		if _, err := Read(data, c.with(c.n)); err != nil {
			t.Errorf("%s: refused at the limit: %v", c.name, err)
		}
		for _, n := range []int{c.n - 1, 0, -1} {
			if _, err := Read(data, c.with(n)); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s of %d: %v, want ErrTooLarge", c.name, n, err)
			}
		}
	}
	dense := golden(t, "plain.npz")
	for name, o := range map[string]Option{"bytes": WithMaxBytes(10), "inputs": WithMaxInputs(0), "states": WithMaxStates(0), "outputs": WithMaxOutputs(0), "nonzeros": WithMaxNonzeros(1)} {
		if _, err := Read(dense, o); !errors.Is(err, ErrTooLarge) && !errors.Is(err, npz.ErrTooLarge) {
			t.Errorf("NPZ, %s: %v, want ErrTooLarge", name, err)
		}
	}
}

func TestAFileThatIsTooLargeIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sim")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skipf("this file system has no sparse files: %v", err)
	}
	var err error
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = ReadFile(path)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("%v, %d bytes were taken", err, after.TotalAlloc-before.TotalAlloc)
	}
}

var numbers = regexp.MustCompile(`[0-9]+`)

// FuzzHeader reads files whose header has its right length: its text is the fuzzer's, and a seed sets up to
// three of its numbers to edges.
func FuzzHeader(f *testing.F) {
	data, err := Encode(trained())
	if err != nil {
		f.Fatal(err)
	}
	mixed := golden(f, "mixed.sim")
	for seed := range uint64(12) {
		for _, d := range [][]byte{data, mixed} {
			length := binary.LittleEndian.Uint64(d)
			f.Add(string(d[8:8+length]), d[8+length:], seed)
		}
	}
	edges := []string{"0", "1", "2", "7", "8", "-1", "2147483647", "2147483648", "1099511627776", "9223372036854775807", "18446744073709551616", "1e3", "0.5", "null", "[]", "\"1\""}
	f.Fuzz(func(t *testing.T, header string, body []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for range seed % 4 {
			places := numbers.FindAllStringIndex(header, -1)
			if len(places) == 0 {
				break
			}
			at := places[rng.IntN(len(places))]
			header = header[:at[0]] + edges[rng.IntN(len(edges))] + header[at[1]:]
		}
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		m, err := Decode(append(file, body...), WithMaxHeader(1<<16), WithMaxNonzeros(1<<12))
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("untyped: %v", err)
			}
			return
		}
		again, err := Encode(m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if part := same(m, back); part != "" {
			t.Fatalf("%s came back different", part)
		}
	})
}
