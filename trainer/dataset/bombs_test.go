package dataset

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"
)

// allocated returns what a function takes from the heap, given back or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// packed returns a gzip file of a start and so many bytes of one kind behind it.
func packed(t *testing.T, start []byte, filler byte, count int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	chunk := bytes.Repeat([]byte{filler}, 1<<16)
	if _, err := w.Write(start); err != nil {
		t.Fatal(err)
	}
	for ; count > 0; count -= len(chunk) {
		if _, err := w.Write(chunk[:min(count, len(chunk))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// idxHeader is the head of an IDX file with these axes.
func idxHeader(lengths ...uint32) []byte {
	head := []byte{0, 0, idxBytes, byte(len(lengths))}
	for _, n := range lengths {
		head = binary.BigEndian.AppendUint32(head, n)
	}
	return head
}

// Files of some hundred kilobytes that would unpack to 48 MB, or declare more than there is: each is
// refused, and none takes the half of it.
func TestBombsAreRefusedBeforeTheyTakeMemory(t *testing.T) {
	const much, room = 48 << 20, 20 << 20
	small := smallIDX()
	withImages := func(images []byte) map[string][]byte {
		files := map[string][]byte{}
		for name, data := range small {
			files[name] = data
		}
		delete(files, idxNames[0][0])
		files[idxNames[0][0]+".gz"] = images
		return files
	}
	cifar := cifarRecords([]byte{3}, []byte{9})
	for _, c := range []struct {
		name  string
		open  string
		o     Options
		words []string
	}{
		{"IDX: zeros behind what the header declares", writeFolder(t, withImages(packed(t, idxHeader(2, 2, 2), 0, much))), Options{}, []string{"more bytes follow"}},
		{"IDX: more than the caller allows", writeFolder(t, withImages(packed(t, idxHeader(1<<10, 1<<10, 100), 0, much))), Options{MaxElements: 1 << 20}, []string{"more than 1048576 elements"}},
		{"IDX: more bytes than the caller allows", writeFolder(t, withImages(packed(t, idxHeader(1<<10, 1<<10, 4), 0, 4<<20))), Options{MaxBytes: 1 << 20}, []string{"unpacks to more than 1048576 bytes"}},
		{"IDX: 2⁴⁰ declared", writeFolder(t, withImages(packed(t, idxHeader(1<<20, 1<<10, 1<<10), 0, 100))), Options{MaxElements: 1 << 50}, []string{"the file cannot hold them"}},
		{"IDX: a sample of too many values", writeFolder(t, small), Options{MaxFeatures: 3}, []string{"a sample has"}},
		{"CIFAR: zeros", writeFolder(t, map[string][]byte{"train.bin.gz": packed(t, nil, 0, much), "test.bin": cifar}), Options{MaxElements: 1 << 20}, []string{"more than 1048576 values"}},
		{"CIFAR: more bytes than the caller allows", writeFolder(t, map[string][]byte{"train.bin.gz": packed(t, nil, 0, much), "test.bin": cifar}), Options{MaxBytes: 1 << 20}, []string{"unpacks to more than"}},
		{"CIFAR: a plain file that is too large", writeFolder(t, map[string][]byte{"train.bin": make([]byte, 1<<20), "test.bin": cifar}), Options{MaxBytes: 1 << 19}, []string{"at most 524288 are read"}},
		{"CIFAR: more values than the caller allows", writeFolder(t, map[string][]byte{"train.bin": cifar, "test.bin": cifar}), Options{MaxFeatures: 3000}, []string{"3072 values"}},
		{"CSV: one field", writeFile(t, "x.csv.gz", packed(t, []byte("1,2\n3,"), '7', much)), Options{MaxFeatures: 4}, []string{"line after line 1"}},
		{"CSV: one line of fields", writeFile(t, "x.csv.gz", packed(t, []byte("1,2\n3,"), ',', much)), Options{MaxFeatures: 4}, []string{"line after line 1"}},
		{"CSV: a quotation that does not end", writeFile(t, "x.csv.gz", packed(t, []byte("1,2\n3,\""), '\n', much)), Options{MaxFeatures: 4}, []string{"line after line 1"}},
		{"CSV: more bytes than the caller allows", writeFile(t, "x.csv.gz", packed(t, []byte("1,2\n3,4\n"), '\n', much)), Options{MaxBytes: 1 << 16}, []string{"more than 65536 bytes"}},
		{"CSV: a line of too many values", writeFile(t, "x.csv", []byte("1,2,3\n4,5,6\n")), Options{MaxFeatures: 1}, []string{"2 values, at most 1"}},
		{"NPZ: zeros that are no array", writeFile(t, "x.npz", zipOfZeros(t, "X_train.npy", much)), Options{}, []string{"X_train"}},
		{"NPZ: a file that is too large", writeFile(t, "x.npz", zipOfZeros(t, "X_train.npy", much)), Options{MaxBytes: 1 << 10}, []string{"at most 1024"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			took := allocated(func() { _, err = Open(c.open, c.o) })
			wantRefusal(t, err, ErrMalformed, c.words...)
			if took > room {
				t.Errorf("%d bytes were taken", took)
			}
		})
	}
}

func zipOfZeros(t *testing.T, name string, count int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	member, err := w.Create(name)
	if err == nil {
		_, err = member.Write(make([]byte, count))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// endless is a reader whose box never ends a line.
type endless struct{ text string }

func (e endless) Read(b []byte) (int, error) { return copy(b, strings.Repeat(e.text, len(b))), nil }

func TestABoxOfOneEndlessLineIsRefused(t *testing.T) {
	for _, text := range []string{"1", ",", "\"", "\n"} {
		var err error
		took := allocated(func() {
			_, _, err = ReadBox(io.LimitReader(io.MultiReader(strings.NewReader("0,1\n\""), endless{text}), 50<<20), 3)
		})
		wantRefusal(t, err, ErrMalformed)
		if took > 8<<20 {
			t.Errorf("%q: %d bytes were taken", text, took)
		}
	}
}

// What fits exactly is read: caps are the most that is allowed, not one more.
func TestCapsAllowWhatTheySay(t *testing.T) {
	text := []byte("1,2,0\n3,4,1\n5,6,0\n7,8,1\n9,10,1\n")
	for _, name := range []string{"x.csv", "x.csv.gz"} {
		data := text
		if name == "x.csv.gz" {
			data = packed(t, text, 0, 0)
		}
		if _, err := Open(writeFile(t, name, data), Options{MaxBytes: int64(len(text)), MaxFeatures: 2, MaxElements: 10}); err != nil {
			t.Errorf("%s: refused at the caps: %v", name, err)
		}
		if name == "x.csv.gz" {
			_, err := Open(writeFile(t, name, data), Options{MaxBytes: int64(len(text)) - 1})
			wantRefusal(t, err, ErrMalformed, "more than")
		}
	}
}

func FuzzBox(f *testing.F) {
	for _, text := range []string{"lo,hi\n0,1\n-1,2\n", "0,1\n0.5,\"2\"\n", "\ufeff0,1\n0,0\n", "1,0\n0,1\n", "0,1\n0,nan\n", "0,1,2\n", "\"0\n\",1\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lo, hi, err := ReadBox(bytes.NewReader(data), 2)
		if err != nil {
			wantRefusal(t, err, ErrMalformed)
			return
		}
		if len(lo) != 2 || len(hi) != 2 || notFinite(lo) >= 0 || notFinite(hi) >= 0 || lo[0] > hi[0] || lo[1] > hi[1] {
			t.Errorf("%v to %v", lo, hi)
		}
	})
}
