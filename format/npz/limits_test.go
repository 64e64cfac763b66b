package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestEveryLimitRefusesAndAllowsWhatItSays(t *testing.T) {
	array := npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 1)}", 24)
	for _, c := range []struct {
		name      string
		fits, not Limits
	}{
		{"bytes", Limits{MaxBytes: int64(len(array))}, Limits{MaxBytes: int64(len(array)) - 1}},
		{"elements", Limits{MaxElements: 6}, Limits{MaxElements: 5}},
		{"dimensions", Limits{MaxDims: 3}, Limits{MaxDims: 2}},
	} {
		if _, err := ReadNPY(array, c.fits); err != nil {
			t.Errorf("%s: refused at the limit: %v", c.name, err)
		}
		if _, err := ReadNPY(array, c.not); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", c.name, err)
		}
	}
	archive := golden(t, "stored.npz")
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(archive, Limits{MaxBytes: int64(len(archive)) - 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an archive that is too large: %v", err)
	}
	if _, err := Open(path, Limits{MaxBytes: int64(len(archive))}); err != nil {
		t.Errorf("refused at the limit: %v", err)
	}
	// A file of a terabyte that takes no room on disk is refused without being read.
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skipf("this file system has no sparse files: %v", err)
	}
	var err error
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Open(path, Limits{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("%v, %d bytes were taken", err, after.TotalAlloc-before.TotalAlloc)
	}
}

// FuzzMember reads archives whose zip structure, checksums included, is right around a member that need not
// be: header text and numbers are the fuzzer's.
func FuzzMember(f *testing.F) {
	for _, dict := range []string{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", "{'descr': '>i8', 'fortran_order': True, 'shape': (1, 2, 2)}",
		"{'descr': '|b1', 'fortran_order': False, 'shape': ()}", "{'descr': '<f2', 'fortran_order': True, 'shape': (0, 4294967296)}",
		"{'descr': '<u8', 'fortran_order': False, 'shape': (1099511627776,)}", "{'shape': (3L,), \"descr\": \"<u2\", 'fortran_order': False, }",
	} {
		for _, body := range []int{0, 1, 6, 8, 24, 32} {
			f.Add("x.npy", dict, byte(1+body%3), make([]byte, body), body%2 == 0)
		}
	}
	limits := Limits{MaxElements: 1 << 16, MaxArrays: 8, MaxDims: 5}
	f.Fuzz(func(t *testing.T, name, dict string, version byte, body []byte, deflate bool) {
		data := append([]byte(magic), version, 0)
		length := min(len(dict), 0xFFFF)
		if data = append(data, byte(length), byte(length>>8)); version > 1 {
			data = append(data, 0, 0)
		}
		data = append(append(data, dict...), body...)
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		method := zip.Store
		if deflate {
			method = zip.Deflate
		}
		member, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil || strings.HasSuffix(name, "/") {
			return
		}
		if _, err := member.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		archive, err := Read(out.Bytes(), limits)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("untyped: %v", err)
			}
			return
		}
		plain, plainErr := ReadNPY(data, limits)
		for _, name := range archive.Names() {
			a, err := archive.Array(name)
			if (err == nil) != (plainErr == nil) {
				t.Fatalf("in the archive: %v; alone: %v", err, plainErr)
			}
			if err == nil {
				convert(t, a)
				convert(t, plain)
			} else if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("untyped: %v", err)
			}
		}
	})
}
