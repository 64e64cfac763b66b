package model

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
)

// parts takes a file of ours apart, so that a test can spoil one thing and put it together again.
type parts struct {
	t      *testing.T
	header string
	body   []byte
}

func takeApart(t *testing.T) *parts {
	data, err := Encode(trained())
	if err != nil {
		t.Fatal(err)
	}
	length := binary.LittleEndian.Uint64(data)
	return &parts{t, string(data[8 : 8+length]), data[8+length:]}
}

func (p *parts) file() []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(p.header)))
	return append(append(out, p.header...), p.body...)
}

// say replaces one text of the header, which must be there.
func (p *parts) say(old, with string) {
	if !strings.Contains(p.header, old) {
		p.t.Fatalf("the header does not say %s", old)
	}
	p.header = strings.Replace(p.header, old, with, 1)
}

// at returns the bytes of a tensor from element k of four bytes on.
func (p *parts) at(name string, k int) []byte {
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal([]byte(p.header), &header); err != nil {
		p.t.Fatal(err)
	}
	return p.body[header[name].Offsets[0]+4*k:]
}

func (p *parts) setInt(name string, k int, v int32) {
	binary.LittleEndian.PutUint32(p.at(name, k), uint32(v))
}

func (p *parts) setFloat(name string, k int, v float64) {
	binary.LittleEndian.PutUint32(p.at(name, k), math.Float32bits(float32(v)))
}

func TestSpoiledFilesAreRefusedWithAReason(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(p *parts)
		want  string
	}{
		{"a column beyond the states", func(p *parts) { p.setInt("A.indices", 3, 912) }, "A.indices[3] = 912, but the model has 7 states"},
		{"a column beyond the inputs", func(p *parts) { p.setInt("D.indices", 0, 3) }, "D.indices[0] = 3, but the model has 3 inputs"},
		{"a negative column", func(p *parts) { p.setInt("C.indices", 0, -1) }, "C.indices[0] = -1"},
		{"columns that do not ascend", func(p *parts) { p.setInt("A.indices", 5, 1) }, "A.indices[5] = 1 after 1 in row 4"},
		{"row pointers that fall", func(p *parts) { p.setInt("B.indptr", 1, 99) }, "B.indptr[1] = 99"},
		{"row pointers that end early", func(p *parts) { p.setInt("C.indptr", 2, 4) }, "C.indptr runs from 0 to 4"},
		{"row pointers that start late", func(p *parts) { p.setInt("C.indptr", 0, 1) }, "C.indptr runs from 1"},
		{"a weight that is NaN", func(p *parts) { p.setFloat("B.data", 2, math.NaN()) }, "B.data[2] is NaN"},
		{"a bias that is infinite", func(p *parts) { p.setFloat("b", 6, math.Inf(-1)) }, "b[6] is -Inf"},
		{"a box upside down", func(p *parts) { p.setFloat("input.lo", 2, 0.75) }, "input.lo[2] = 0.75"},
		{"ranges upside down", func(p *parts) { p.setFloat("state.hi", 1, -4) }, "state.lo[1]"},
		{"a scale of zero", func(p *parts) { p.setFloat("weight.scale", 8, 0) }, "weight.scale[8] = 0"},
		{"a step below zero", func(p *parts) { p.setFloat("column.step", 9, -1) }, "column.step[9] = -1"},
		{"steps of no columns", func(p *parts) { p.say(`"shape":[10]`, `"shape":[5,2]`) }, "column.step is F32 of shape [5 2]"},
		{"steps without bits", func(p *parts) { p.say(`"weight.bits":"4",`, ``) }, "weight.bits is"},
		{"columns of 8 bits", func(p *parts) { p.say(`"column.bits":"7"`, `"column.bits":"8"`) }, "column.bits is 8"},
		{"an unknown activation", func(p *parts) { p.at("activation.kind", 0)[5] = 7 }, "activation of state 5: kind 7"},
		{"a slope above one", func(p *parts) { p.setFloat("activation.param", 2, 1.5) }, "activation of state 1"},
		{"another format", func(p *parts) { p.say(`"sim"`, `"pt"`) }, "format"},
		{"a later version", func(p *parts) { p.say(`"version":"1"`, `"version":"2"`) }, "version"},
		{"a wrong n", func(p *parts) { p.say(`"n":"7"`, `"n":"8"`) }, "n = 8"},
		{"an n that is no number", func(p *parts) { p.say(`"n":"7"`, `"n":"7e0"`) }, "n is"},
		{"an n that is huge", func(p *parts) { p.say(`"n":"7"`, `"n":"9223372036854775807"`) }, "n is"},
		{"a negative p", func(p *parts) { p.say(`"p":"3"`, `"p":"-3"`) }, "p is"},
		{"an n that is not text", func(p *parts) { p.say(`"n":"7"`, `"n":7`) }, "not a string"},
		{"metadata that are null", func(p *parts) { p.say(`"n":"7"`, `"n":null`) }, "not a string"},
		{"an unknown decision", func(p *parts) { p.say(`"argmax"`, `"median"`) }, "median"},
		{"a tensor that is missing", func(p *parts) { p.say(`"activation.kind"`, `"activation.sort"`) }, "tensor activation.kind is missing"},
		{"one of two ranges", func(p *parts) { p.say(`"state.hi"`, `"state.top"`) }, "tensor state.hi is missing"},
		{"another type", func(p *parts) { p.say(`"b":{"dtype":"F32"`, `"b":{"dtype":"I32"`) }, "b is I32"},
		{"an unknown type", func(p *parts) { p.say(`"b":{"dtype":"F32"`, `"b":{"dtype":"F31"`) }, `dtype "F31" is unknown`},
		{"another shape", func(p *parts) { p.say(`"shape":[7,2]`, `"shape":[2,7]`) }, "activation.param is F32 of shape [2 7]"},
		{"a flat shape", func(p *parts) { p.say(`"shape":[7,2]`, `"shape":[14]`) }, "activation.param is F32 of shape [14]"},
		{"a negative dimension", func(p *parts) { p.say(`"shape":[7,2]`, `"shape":[-7,-2]`) }, "shape [-7 -2]"},
		{"a shape that overflows", func(p *parts) {
			p.say(`"shape":[7,2]`, `"shape":[4294967296,4294967296,14]`)
		}, "does not fit"},
		{"a shape of zeros and giants", func(p *parts) { p.say(`"shape":[7,2]`, `"shape":[0,9007199254740993]`) }, "does not fit"},
		{"no shape", func(p *parts) { p.say(`"shape":[7,2],`, ``) }, "missing"},
		{"a fractional dimension", func(p *parts) { p.say(`"shape":[7,2]`, `"shape":[3.5,4]`) }, "shape"},
		{"offsets that overlap", func(p *parts) { p.say(`[32,68]`, `[28,64]`) }, "A.indices begins at byte 28, inside A.indptr"},
		{"offsets out of the data", func(p *parts) { p.say(`"data_offsets":[0,32]`, `"data_offsets":[90000,90032]`) }, "do not lie"},
		{"offsets that are negative", func(p *parts) { p.say(`"data_offsets":[0,32]`, `"data_offsets":[-32,0]`) }, "do not lie"},
		{"offsets that are backward", func(p *parts) { p.say(`"data_offsets":[0,32]`, `"data_offsets":[32,0]`) }, "do not lie"},
		{"one offset", func(p *parts) { p.say(`"data_offsets":[0,32]`, `"data_offsets":[0]`) }, "data_offsets"},
		{"huge offsets", func(p *parts) { p.say(`"data_offsets":[0,32]`, `"data_offsets":[0,99999999999999999999]`) }, "data_offsets"},
		{"a tensor given twice", func(p *parts) { p.say(`"d":`, `"b":`) }, `key "b" is given twice`},
		{"metadata given twice", func(p *parts) { p.say(`"n":"7"`, `"n":"7","n":"7"`) }, `key "n" is given twice`},
		{"a dtype given twice", func(p *parts) { p.say(`"dtype":"F32"`, `"dtype":"F32","dtype":"F32"`) }, `key "dtype" is given twice`},
		{"bytes after the last tensor", func(p *parts) { p.body = append(p.body, 0) }, "1 bytes follow the last tensor"},
		{"bytes before the first", func(p *parts) {
			p.say(`"A.indptr":{"dtype":"I32","shape":[8],"data_offsets":[0,32]}`, `"A.indptr":{"dtype":"I32","shape":[7],"data_offsets":[4,32]}`)
		}, "bytes 0 to 4"},
		{"data cut short", func(p *parts) { p.body = p.body[:len(p.body)-1] }, "do not lie"},
		{"a header beyond the cap", func(p *parts) { p.header += strings.Repeat(" ", maxHeader) }, "at most 1048576 are allowed"},
		{"text after the object", func(p *parts) { p.header += "{}" }, "text follows"},
		{"no object", func(p *parts) { p.header = "[]" }, "no JSON object"},
		{"no text", func(p *parts) { p.header = "" }, "no JSON object"},
		{"an object cut short", func(p *parts) { p.header = p.header[:200] }, "header"},
		{"text that is not UTF-8", func(p *parts) { p.say(`by hand`, "\xff\xfe") }, "UTF-8"},
		{"deep nesting", func(p *parts) { p.header = `{"a":` + strings.Repeat("[", 200000) }, "header"},
	}
	for _, test := range tests {
		p := takeApart(t)
		test.spoil(p)
		_, err := Decode(p.file())
		switch {
		case err == nil:
			t.Errorf("%s: read without an error", test.name)
		case !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrInvalid):
			t.Errorf("%s: the error is of no kind of ours: %v", test.name, err)
		case !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: error %q does not say %q", test.name, err, test.want)
		}
	}
}

func TestHarmlessDifferencesAreRead(t *testing.T) {
	for name, change := range map[string]func(p *parts){
		"no padding":            func(p *parts) { p.header = strings.TrimRight(p.header, " ") },
		"no decision":           func(p *parts) { p.say(`,"decision":"argmax"`, ``) },
		"an unknown field":      func(p *parts) { p.say(`"dtype":"F32"`, `"note":[{}],"dtype":"F32"`) },
		"an unknown tensor":     func(p *parts) { p.say(`"state.lo"`, `"x.lo"`); p.say(`"state.hi"`, `"x.hi"`) },
		"empty unknown tensors": func(p *parts) { p.say(`"b":`, `"z":{"dtype":"F64","shape":[50000,0],"data_offsets":[0,0]},"b":`) },
	} {
		p := takeApart(t)
		change(p)
		if _, err := Decode(p.file()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaderLengthsThatCannotBe(t *testing.T) {
	good := takeApart(t).file()
	for _, length := range []uint64{0, 1, 7, uint64(len(good)), maxHeader, maxHeader + 1, 1 << 31, 1 << 40, math.MaxInt64, math.MaxUint64 - 7, math.MaxUint64} {
		binary.LittleEndian.PutUint64(good, length)
		if _, err := Decode(good); !errors.Is(err, ErrMalformed) {
			t.Errorf("length %d: %v", length, err)
		}
	}
	for cut := range 9 {
		if _, err := Decode(good[:cut]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", cut, err)
		}
	}
}

// TestFlippedBitsAreReadOrRefused flips a bit of every byte. A `.sim` has no digest, so many flips give
// another model; nothing may panic, and what is read must be valid.
func TestFlippedBitsAreReadOrRefused(t *testing.T) {
	good := takeApart(t).file()
	refused := 0
	for i := range good {
		flip := byte(1) << (i % 8)
		good[i] ^= flip
		if m, err := Decode(good); err != nil {
			refused++
		} else if err := m.Validate(); err != nil {
			t.Fatalf("byte %d: an invalid model was read: %v", i, err)
		}
		good[i] ^= flip
	}
	if refused < len(good)/4 {
		t.Errorf("only %d of %d flipped files were refused", refused, len(good))
	}
}

func TestASmallFileCannotClaimMuchMemory(t *testing.T) {
	p := takeApart(t)
	p.say(`"n":"7"`, `"n":"2000000000"`)
	p.say(`"A.indptr":{"dtype":"I32","shape":[8]`, `"A.indptr":{"dtype":"I32","shape":[2000000001]`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decode(p.file())
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
		t.Errorf("%d bytes were allocated for a file of %d (%v)", took, len(p.file()), err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(golden(f, "mixed.sim"))
	f.Add(golden(f, "mixed.npz"))
	f.Add(golden(f, "plain.npz"))
	for _, s := range []shape{{n: 3, p: 2, q: 1, perRow: 2, gain: 0.5}, {n: 0, p: 1, q: 1, perRow: 1, causal: true}} {
		data, err := Encode(generate(f, 5, s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read(data)
		if err != nil {
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
