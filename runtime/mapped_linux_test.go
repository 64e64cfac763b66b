package runtime

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// mapReadOnly returns data in pages that nobody may write, at an address that is `shift` more than a multiple
// of the page size.
func mapReadOnly(t *testing.T, data []byte, shift int) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "model.simb")
	if err := os.WriteFile(name, append(make([]byte, shift), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pages, err := syscall.Mmap(int(f.Fd()), 0, shift+len(data), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		t.Skipf("this system does not map files: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(pages); err != nil {
			t.Error(err)
		}
	})
	return pages[shift:]
}

// A write would be a fault, which SetPanicOnFault turns into a panic that says where.
func TestNothingWritesToTheFile(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := someModel(width, 8)
		m.Decision = DecideArgmax
		plan := randomPlan(&dice{1}, m)
		want := oracle(m, plan)
		for shift, codec := range []simb.Codec{simb.CodecRaw, simb.CodecRaw, simb.CodecHuff0, simb.CodecPacked, simb.CodecPrefix} {
			data := mapReadOnly(t, encode(t, m, codec), shift)
			for _, options := range [][]Option{nil, {WithInPlace()}} {
				model, err := Load(data, options...)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, run(model.NewSession(), plan)); diff != "" {
					t.Errorf("%d bits, codec %d, %s: %s", width, codec, model.Kernel(), diff)
				}
				for _, call := range entryPoints(t, model) {
					call()
				}
				if err := model.SelfTest(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestHostileFilesInReadOnlyPagesAreRefusedWithoutAWrite(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	data := encode(t, someModel(quant.Width7, 4), simb.CodecRaw)
	for _, at := range []int{0, 5, 40, len(data) / 2, len(data) - 1} {
		spoilt := append([]byte(nil), data...)
		spoilt[at] ^= 0x40
		if _, err := Load(mapReadOnly(t, spoilt, at%7), WithInPlace()); err == nil {
			t.Errorf("a file with a wrong byte at %d was loaded", at)
		}
	}
}
