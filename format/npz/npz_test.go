package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The numbers of make_goldens.py, written out.
var (
	small    = []float32{0, 1, 2, 3, 100, 127}
	signed   = []float32{0, -1, 2, -3, 100, -128}
	floats   = []float32{0, -0.5, 2.25, 1e-3, 1234.5, -65504}
	halved   = []float32{0, -0.5, 2.25, 0.0010004043579101562, 1234, -65504} // floats rounded to half
	counting = []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}
)

func TestNumbersWrittenByNumPyComeBack(t *testing.T) {
	inf := float32(math.Inf(1))
	tests := []struct {
		name  string
		kind  byte
		size  int
		shape []int
		want  []float32
	}{
		{"f2_le", 'f', 2, []int{2, 3}, halved}, {"f2_be", 'f', 2, []int{2, 3}, halved},
		{"f4_le", 'f', 4, []int{2, 3}, floats}, {"f4_be", 'f', 4, []int{2, 3}, floats},
		{"f8_le", 'f', 8, []int{2, 3}, floats}, {"f8_be", 'f', 8, []int{2, 3}, floats},
		{"i1_le", 'i', 1, []int{2, 3}, signed}, {"i1_be", 'i', 1, []int{2, 3}, signed},
		{"i2_le", 'i', 2, []int{2, 3}, signed}, {"i2_be", 'i', 2, []int{2, 3}, signed},
		{"i4_le", 'i', 4, []int{2, 3}, signed}, {"i4_be", 'i', 4, []int{2, 3}, signed},
		{"i8_le", 'i', 8, []int{2, 3}, signed}, {"i8_be", 'i', 8, []int{2, 3}, signed},
		{"u1_le", 'u', 1, []int{2, 3}, small}, {"u1_be", 'u', 1, []int{2, 3}, small},
		{"u2_le", 'u', 2, []int{2, 3}, small}, {"u2_be", 'u', 2, []int{2, 3}, small},
		{"u4_le", 'u', 4, []int{2, 3}, small}, {"u4_be", 'u', 4, []int{2, 3}, small},
		{"u8_le", 'u', 8, []int{2, 3}, small}, {"u8_be", 'u', 8, []int{2, 3}, small},
		{"b1", 'b', 1, []int{2, 3}, []float32{1, 0, 0, 0, 1, 1}},
		{"fortran2", 'i', 2, []int{2, 3}, signed},
		{"fortran3", 'f', 4, []int{2, 3, 4}, counting},
		{"fortran3_be", 'i', 8, []int{2, 3, 4}, counting},
		{"scalar", 'f', 8, []int{}, []float32{2.5}},
		{"vector", 'u', 2, []int{5}, []float32{0, 1, 2, 3, 4}},
		{"empty", 'f', 4, []int{3, 0, 2}, []float32{}},
		{"halves", 'f', 2, []int{10}, []float32{0, float32(math.Copysign(0, -1)), 0x1p-24, 1023 * 0x1p-24, 0x1p-14, 1, 65504, inf, -inf, float32(math.NaN())}},
		{"huge", 'f', 8, []int{3}, []float32{inf, -inf, 0}},
		{"beyond", 'u', 8, []int{2}, []float32{0x1p63, 0x1p64}},
	}
	for _, file := range []string{"stored.npz", "deflated.npz"} {
		archive, err := Open(filepath.Join("testdata", file), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			a, err := archive.Array(test.name)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if !slices.Equal(a.Shape, test.shape) || a.Len() != len(test.want) {
				t.Errorf("%s: %s has shape %v and %d elements, want %v", file, test.name, a.Shape, a.Len(), test.shape)
			}
			if a.Kind != test.kind || a.Size != test.size {
				t.Errorf("%s: %s is %c%d", file, test.name, a.Kind, a.Size)
			}
			got, err := a.Float32()
			if err != nil || !slices.EqualFunc(got, test.want, sameFloat) {
				t.Errorf("%s: %s = %v (%v), want %v", file, test.name, got, err, test.want)
			}
		}
	}
}

// sameFloat tells zeros by their sign, and takes NaN for NaN.
func sameFloat(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || (a != a && b != b)
}

func TestInt64(t *testing.T) {
	archive, err := Read(golden(t, "stored.npz"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		want []int64
		bad  string // part of the error
	}{
		{name: "i1_le", want: []int64{0, -1, 2, -3, 100, -128}},
		{name: "i2_be", want: []int64{0, -1, 2, -3, 100, -128}},
		{name: "i8_be", want: []int64{0, -1, 2, -3, 100, -128}},
		{name: "u1_le", want: []int64{0, 1, 2, 3, 100, 127}},
		{name: "b1", want: []int64{1, 0, 0, 0, 1, 1}},
		{name: "widest", want: []int64{math.MinInt64, math.MaxInt64}},
		{name: "scalar", bad: "element 0"},
		{name: "fraction", bad: "element 1"},
		{name: "beyond", bad: "element 0"},
		{name: "huge", bad: "element 0"},
		{name: "halves", bad: "element 2"},
	}
	for _, test := range tests {
		a, err := archive.Array(test.name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Int64()
		if test.bad != "" {
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.bad) {
				t.Errorf("%s: error %v, want one about %s", test.name, err, test.bad)
			}
		} else if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s = %v (%v), want %v", test.name, got, err, test.want)
		}
	}
}

func TestHeaderVersions(t *testing.T) {
	for _, name := range []string{"version1.npy", "version2.npy", "version3.npy"} {
		a, err := ReadNPY(golden(t, name), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := a.Float32(); err != nil || !slices.Equal(a.Shape, []int{2, 3}) || !slices.Equal(got, counting[:6]) {
			t.Errorf("%s = %v %v %v", name, a.Shape, got, err)
		}
	}
}

func TestWhatIsNotNumbersIsRefusedByName(t *testing.T) {
	archive, err := Read(golden(t, "refused.npz"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"object": "object array", "structured": "structured", "complex": `"<c16"`,
		"text": `"<U2"`, "bytes": `"|S2"`, "date": "<M8[D]", "absent": "complex, date, object",
	} {
		_, err := archive.Array(name)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one with %s", name, err, want)
		}
	}
}

// npy makes a file of format version 1 by hand.
func npy(dict string, body int) []byte {
	dict += "\n"
	data := append([]byte(magic), 1, 0, byte(len(dict)), byte(len(dict)>>8))
	return append(append(data, dict...), make([]byte, body)...)
}

func TestHandMadeHeaders(t *testing.T) {
	tests := []struct {
		dict string
		body int
		want error // nil: read
	}{
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 24, nil},
		{`{"shape":(6,),"descr":"<f4","fortran_order":True,}`, 24, nil},
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (3L, 2L)}", 6, nil},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 23, ErrMalformed},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 25, ErrMalformed},
		{"{'descr': '|f4', 'fortran_order': False, 'shape': (1,)}", 4, ErrMalformed},
		{"{'descr': '=f4', 'fortran_order': False, 'shape': (1,)}", 4, ErrMalformed},
		{"{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}", 3, ErrMalformed},
		{"{'descr': '<b4', 'fortran_order': False, 'shape': (1,)}", 4, ErrMalformed},
		{"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8, ErrMalformed},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, ErrMalformed},
		{"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", 4, ErrMalformed},
		{"{'descr': '<f4', 'fortran_order': False}", 4, ErrMalformed},
		{"{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", 4, ErrMalformed},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': (1,)}", 4, ErrMalformed},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} 1", 4, ErrMalformed},
		{"{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}", 4, ErrMalformed},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1", 4, ErrMalformed},
		{"", 4, ErrMalformed},
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (65537, 65537)}", 0, ErrTooLarge},
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 0, ErrTooLarge},
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999999,)}", 0, ErrTooLarge},
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (0, 99999999999)}", 0, ErrTooLarge},
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (" + strings.Repeat("1, ", 65) + ")}", 1, ErrTooLarge},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (268435456,)}", 0, ErrMalformed},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (268435457,)}", 0, ErrTooLarge},
	}
	for _, test := range tests {
		a, err := ReadNPY(npy(test.dict, test.body), Limits{})
		if !errors.Is(err, test.want) || (err == nil) != (a != nil) {
			t.Errorf("%s with %d bytes: error %v, want %v", test.dict, test.body, err, test.want)
		}
	}
}

// zipOf makes an archive of one member whose directory claims a size of the caller's choice.
func zipOf(t *testing.T, method uint16, stored []byte, declared uint64, crc uint32) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "x.npy", Method: method, CRC32: crc, CompressedSize64: uint64(len(stored)), UncompressedSize64: declared})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(stored); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func deflated(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	at, err := r.File[0].DataOffset()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()[at : at+int64(r.File[0].CompressedSize64)]
}

func TestBombsAndFalseSizes(t *testing.T) {
	good := npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000,)}", 4000)
	crc := uint32(0) // of no consequence: each case fails before or at the checksum
	bomb := deflated(t, make([]byte, 10<<20))
	claims := npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000,)}", 0)
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"more comes out than declared", zipOf(t, zip.Deflate, deflated(t, append(good[:len(good):len(good)], 1)), uint64(len(good)), crc), ErrMalformed},
		{"less comes out than declared", zipOf(t, zip.Deflate, deflated(t, good[:3000]), uint64(len(good)), crc), ErrMalformed},
		{"a wrong checksum", zipOf(t, zip.Deflate, deflated(t, good), uint64(len(good)), crc+1), ErrMalformed},
		{"a stored member of another declared size", zipOf(t, zip.Store, good, uint64(len(good))+8, crc), ErrMalformed},
		{"800 MB declared, 100 bytes stored", zipOf(t, zip.Deflate, deflated(t, claims), 8e8+uint64(len(claims)), crc), ErrMalformed},
		{"zeros that are no array", zipOf(t, zip.Deflate, bomb, 10<<20, crc), ErrMalformed},
		{"more than the limit declared", zipOf(t, zip.Deflate, bomb, 1<<40, crc), ErrMalformed},
		{"another compression", zipOf(t, 12, good, uint64(len(good)), crc), ErrMalformed},
	}
	for _, test := range tests {
		archive, err := Read(test.data, Limits{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = archive.Array("x")
		runtime.ReadMemStats(&after)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", test.name, took)
		}
		t.Logf("%s: %v", test.name, err)
	}
}

func TestLimits(t *testing.T) {
	data := golden(t, "stored.npz")
	if _, err := Read(data, Limits{MaxArrays: 5}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more arrays than allowed: %v", err)
	}
	archive, err := Read(data, Limits{MaxElements: 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Array("halves"); err != nil {
		t.Errorf("ten elements: %v", err)
	}
	if _, err := archive.Array("fortran3"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("24 elements where 10 are allowed: %v", err)
	}
}

func TestDamagedArchives(t *testing.T) {
	data := golden(t, "stored.npz")
	for cut := 0; cut < len(data); cut += 97 {
		if _, err := Read(data[:cut], Limits{}); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	archive, err := Read(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(archive.Names()) || !archive.Has("f4_le") || archive.Has("f4_le.npy") {
		t.Errorf("names %v", archive.Names())
	}
	var twice bytes.Buffer
	w := zip.NewWriter(&twice)
	for range 2 {
		if _, err := w.Create("x.npy"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(twice.Bytes(), Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a name given twice: %v", err)
	}
}

func TestWrittenArraysReadBack(t *testing.T) {
	values := []float32{1, -2.5, float32(math.Inf(1)), 1e-40, 5, 6}
	for _, shape := range [][]int{{6}, {2, 3}, {1, 6, 1}, {6, 1}} {
		var out bytes.Buffer
		if err := WriteNPY(&out, shape, values); err != nil {
			t.Fatal(err)
		}
		if start := out.Len() - 24; start%64 != 0 {
			t.Errorf("numbers begin at %d", start)
		}
		a, err := ReadNPY(out.Bytes(), Limits{})
		if err != nil {
			t.Fatalf("shape %v: %v", shape, err)
		}
		got, err := a.Float32()
		if err != nil || !slices.Equal(got, values) || !slices.Equal(a.Shape, shape) {
			t.Errorf("shape %v came back as %v: %v %v", shape, a.Shape, got, err)
		}
	}
	var out bytes.Buffer
	if err := WriteNPY(&out, nil, []float32{7}); err != nil {
		t.Fatal(err)
	}
	if a, err := ReadNPY(out.Bytes(), Limits{}); err != nil || len(a.Shape) != 0 || a.Len() != 1 {
		t.Errorf("a scalar: %v %v", a, err)
	}
	for _, shape := range [][]int{{5}, {-2, -3}, nil} {
		if err := WriteNPY(&bytes.Buffer{}, shape, values); err == nil {
			t.Errorf("six numbers were written in shape %v", shape)
		}
	}
}

// TestWrittenBytesAreNumPys holds the writer against a file that NumPy wrote.
func TestWrittenBytesAreNumPys(t *testing.T) {
	var out bytes.Buffer
	if err := WriteNPY(&out, []int{2, 3}, counting[:6]); err != nil {
		t.Fatal(err)
	}
	want := golden(t, "version1.npy")
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("wrote\n%q, NumPy writes\n%q", out.Bytes(), want)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"stored.npz", "deflated.npz", "refused.npz", "version1.npy", "version3.npy"} {
		f.Add(golden(f, name))
	}
	f.Add(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 0, 3)}", 0))
	limits := Limits{MaxElements: 1 << 16, MaxArrays: 64}
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := ReadNPY(data, limits); err == nil {
			convert(t, a)
		}
		archive, err := Read(data, limits)
		if err != nil {
			return
		}
		for _, name := range archive.Names() {
			if a, err := archive.Array(name); err == nil {
				convert(t, a)
			}
		}
	})
}

// convert checks that whatever was accepted holds as many numbers as its shape says.
func convert(t *testing.T, a *Array) {
	want := 1
	for _, d := range a.Shape {
		want *= d
	}
	got, err := a.Float32()
	if err != nil || len(got) != want || want > 1<<16 {
		t.Fatalf("shape %v gives %d numbers, %v", a.Shape, len(got), err)
	}
	if ints, err := a.Int64(); err == nil && len(ints) != want {
		t.Fatalf("shape %v gives %d integers", a.Shape, len(ints))
	}
}
