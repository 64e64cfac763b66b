package onnx

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestEveryLimitRefusesAndAllowsWhatItSays(t *testing.T) {
	data, err := Encode(&Graph{
		Nodes:        []Node{{Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}, Attributes: []Attribute{{Name: "is", Kind: AttributeInts, Ints: []int64{1, 2, 3, 4, 5, 6, 7}}}}},
		Initializers: []*Tensor{NewTensor("w", []int{2, 3, 1}, make([]float32, 6))},
		Inputs:       []ValueInfo{{Name: "x", Type: Float32, Shape: []Dim{{Size: 1}, {Size: 2}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		with func(int) Option
		n    int
	}{
		{"bytes", WithMaxBytes, len(data)},
		{"items", WithMaxItems, 11}, // node, two names, attribute, tensor, three dimensions; input, two dimensions
		{"rank", WithMaxRank, 3},
		{"elements", WithMaxElements, 7},
	} {
		if _, err := Decode(data, c.with(c.n)); err != nil {
			t.Errorf("%s: refused at the limit: %v", c.name, err)
		}
		for _, n := range []int{c.n - 1, 0, -1} {
			if _, err := Decode(data, c.with(n)); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s of %d: %v, want ErrTooLarge", c.name, n, err)
			}
		}
	}
	seventeen := tensorFile(message{}.bytes(1, bytes.Repeat([]byte{1}, 17)).integer(2, 1))
	if _, err := Decode(seventeen, WithMaxRank(100)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a rank beyond MaxRank: %v", err)
	}
}

func TestWhatIsDeclaredTakesNoMemory(t *testing.T) {
	float := message{}.integer(1, 1<<20).integer(1, 1<<20).integer(2, 1).text(8, "w") // 2⁴⁰ elements
	for name, data := range map[string][]byte{
		"2⁴⁰ elements":               tensorFile(float),
		"2³⁰ elements and a few":     tensorFile(message{}.integer(1, 1<<30).integer(2, 1).text(8, "w").bytes(9, make([]byte, 64))),
		"4 million dimensions":       tensorFile(message{}.bytes(1, make([]byte, 4<<20)).integer(2, 1).text(8, "w")),
		"a list longer than allowed": tensorFile(message{}.integer(1, 3<<20).integer(2, 1).text(8, "w").bytes(4, make([]byte, 12))),
	} {
		var err error
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = Decode(data, WithMaxElements(1<<20))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
			t.Errorf("%s: %v, %d bytes were taken for %d", name, err, took, len(data))
		}
	}
}

// tree is a message taken apart: fields that hold messages hold trees.
type tree struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
	nested []*tree
}

// grow takes a message apart; fields of bytes that read as messages become trees, down to a depth.
func grow(data []byte, depth int) (fields []*tree, ok bool) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, false
		}
		data = data[n:]
		f := &tree{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			if f.bytes, n = protowire.ConsumeBytes(data); n >= 0 && depth > 0 && len(f.bytes) > 0 {
				f.nested, _ = grow(f.bytes, depth-1)
			}
		default:
			return nil, false
		}
		if n < 0 {
			return nil, false
		}
		data = data[n:]
		fields = append(fields, f)
	}
	return fields, true
}

// put writes fields, with lengths that are right whatever has been changed.
func put(out []byte, fields []*tree) []byte {
	for _, f := range fields {
		out = protowire.AppendTag(out, f.number, f.kind)
		switch f.kind {
		case protowire.VarintType:
			out = protowire.AppendVarint(out, f.value)
		case protowire.Fixed32Type:
			out = protowire.AppendFixed32(out, uint32(f.value))
		case protowire.Fixed64Type:
			out = protowire.AppendFixed64(out, f.value)
		default:
			if f.nested != nil {
				f.bytes = put(nil, f.nested)
			}
			out = protowire.AppendBytes(out, f.bytes)
		}
	}
	return out
}

// change changes one field somewhere in the trees.
func change(rng *rand.Rand, fields []*tree) []*tree {
	k := rng.IntN(len(fields))
	f := fields[k]
	if len(f.nested) > 0 && rng.IntN(6) > 0 {
		f.nested = change(rng, f.nested)
		return fields
	}
	switch rng.IntN(7) {
	case 0:
		return append(fields[:k:k], fields[k+1:]...)
	case 1:
		return append(fields[:k+1:k+1], fields[k:]...)
	case 2:
		f.number = protowire.Number(1 + rng.IntN(25))
	case 3:
		other := rng.IntN(len(fields))
		fields[k], fields[other] = fields[other], fields[k]
	case 4:
		f.kind = []protowire.Type{protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type, protowire.BytesType}[rng.IntN(4)]
	default:
		f.value = []uint64{0, 1, 2, 7, 16, math.MaxInt32, math.MaxInt32 + 1, 1 << 40, math.MaxInt64, math.MaxUint64}[rng.IntN(10)]
		if f.kind == protowire.BytesType {
			f.nested, f.bytes = nil, f.bytes[:rng.IntN(len(f.bytes)+1)]
		}
	}
	return fields
}

// FuzzFields changes fields of a well-nested file, at any depth.
func FuzzFields(f *testing.F) {
	data, err := Encode(example())
	if err != nil {
		f.Fatal(err)
	}
	for seed := range uint64(24) {
		f.Add(data, seed)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fields, ok := grow(data, 6)
		for range 1 + seed%3 {
			if !ok || len(fields) == 0 {
				return
			}
			fields = change(rng, fields)
		}
		if ok {
			writtenAndRead(t, put(nil, fields))
		}
	})
}
