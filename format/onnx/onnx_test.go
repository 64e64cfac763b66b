package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// example uses every part of a graph that the package represents.
func example() *Graph {
	return &Graph{
		Name: "example", Producer: "hand", ProducerVersion: "1.2", IRVersion: 8, Opset: 17,
		Nodes: []Node{
			{Op: "Gemm", Name: "g", Inputs: []string{"x", "w", ""}, Outputs: []string{"h"}, Attributes: []Attribute{
				FloatAttribute("alpha", 0.5), IntAttribute("transB", 1), IntAttribute("transA", 0),
				{Name: "s", Kind: AttributeString, String: "text"},
				TensorAttribute("t", &Tensor{Type: Bool, Shape: []int{3}, Int32: []int32{1, 0, 1}}),
				{Name: "fs", Kind: AttributeFloats, Floats: []float32{1, float32(math.Inf(-1))}},
				{Name: "is", Kind: AttributeInts, Ints: []int64{-1, math.MaxInt64}},
				{Name: "ss", Kind: AttributeStrings, Strings: []string{"", "b"}},
				{Name: "empty", Kind: AttributeInts},
			}},
			{Op: "Relu", Inputs: []string{"h"}, Outputs: []string{"y"}},
		},
		Initializers: []*Tensor{
			NewTensor("w", []int{2, 3}, []float32{1, 2, 3, -4, 5e-42, 6}),
			{Name: "f64", Type: Float64, Shape: []int{1}, Float64: []float64{math.Pi}},
			{Name: "i32", Type: Int32, Shape: []int{2}, Int32: []int32{-7, math.MaxInt32}},
			NewIntTensor("i64", nil, []int64{math.MinInt64}),
			{Name: "none", Type: Float32, Shape: []int{0, 4}},
		},
		Inputs:  []ValueInfo{{Name: "x", Type: Float32, Shape: []Dim{{Size: -1, Name: "N"}, {Size: 3}, {Size: -1}}}},
		Outputs: []ValueInfo{{Name: "y", Type: Float32}, {Name: "scalar", Type: 2, Shape: []Dim{}}},
	}
}

func encode(t *testing.T, g *Graph) []byte {
	t.Helper()
	data, err := Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	want := example()
	data := encode(t, want)
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(data, encode(t, example())) {
		t.Error("the same graph gives other bytes")
	}
}

func TestDefaultsAreWritten(t *testing.T) {
	got, err := Decode(encode(t, &Graph{}))
	if err != nil {
		t.Fatal(err)
	}
	want := &Graph{Producer: DefaultProducer, IRVersion: DefaultIRVersion, Opset: DefaultOpset}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRealFilesSurviveReadingAndWriting(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(root); err != nil {
		t.Skip("needs the data beside the repository, which is not there")
	}
	count := 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".onnx" {
			return err
		}
		count++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		first, err := Decode(data)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		if len(first.Nodes) == 0 || len(first.Initializers) == 0 || len(first.FreeInputs()) != 1 || first.Opset == 0 {
			t.Errorf("%s: %d nodes, %d initializers, free inputs %v, operator set %d", path, len(first.Nodes), len(first.Initializers), first.FreeInputs(), first.Opset)
		}
		second, err := Decode(encode(t, first))
		if err != nil {
			t.Errorf("%s written again: %v", path, err)
			return nil
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		return nil
	})
	if err != nil || count < 13 {
		t.Errorf("%d files, want at least 13 (%v)", count, err)
	}
}

// message builds wire-format messages field by field, apart from the encoder under test.
type message struct{ b []byte }

func (m message) integer(number protowire.Number, v uint64) message {
	return message{protowire.AppendVarint(protowire.AppendTag(m.b, number, protowire.VarintType), v)}
}

func (m message) bytes(number protowire.Number, v []byte) message {
	return message{protowire.AppendBytes(protowire.AppendTag(m.b, number, protowire.BytesType), v)}
}

func (m message) fixed32(number protowire.Number, v uint32) message {
	return message{protowire.AppendFixed32(protowire.AppendTag(m.b, number, protowire.Fixed32Type), v)}
}

func (m message) fixed64(number protowire.Number, v uint64) message {
	return message{protowire.AppendFixed64(protowire.AppendTag(m.b, number, protowire.Fixed64Type), v)}
}

func (m message) text(number protowire.Number, s string) message { return m.bytes(number, []byte(s)) }

func (m message) nest(number protowire.Number, inner message) message {
	return m.bytes(number, inner.b)
}

// file wraps a graph message.
func file(graph message) []byte { return message{}.integer(1, 7).nest(7, graph).b }

func tensorFile(tensor message) []byte { return file(message{}.nest(5, tensor)) }

func TestTensorsAreReadFromEveryField(t *testing.T) {
	packed := protowire.AppendVarint(protowire.AppendVarint(nil, 5), uint64(0xFFFFFFFFFFFFFFF9)) // 5, −7
	f32 := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5)), math.Float32bits(-2))
	f64 := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(1.5)), math.Float64bits(-2))
	minus7 := uint64(0xFFFFFFFFFFFFFFF9)
	start := func(kind Type) message {
		return message{}.bytes(1, []byte{2}).integer(2, uint64(kind)).text(8, "t") // dims packed
	}
	floats, doubles := []float32{1.5, -2}, []float64{1.5, -2}
	for _, c := range []struct {
		name   string
		tensor message
		want   Tensor
	}{
		{"float_data packed", start(Float32).bytes(4, f32), Tensor{Type: Float32, Float32: floats}},
		{"float_data unpacked", start(Float32).fixed32(4, math.Float32bits(1.5)).fixed32(4, math.Float32bits(-2)), Tensor{Type: Float32, Float32: floats}},
		{"float raw", start(Float32).bytes(9, f32), Tensor{Type: Float32, Float32: floats}},
		{"double_data packed", start(Float64).bytes(10, f64), Tensor{Type: Float64, Float64: doubles}},
		{"double_data unpacked", start(Float64).fixed64(10, math.Float64bits(1.5)).fixed64(10, math.Float64bits(-2)), Tensor{Type: Float64, Float64: doubles}},
		{"double raw", start(Float64).bytes(9, f64), Tensor{Type: Float64, Float64: doubles}},
		{"int32_data packed", start(Int32).bytes(5, packed), Tensor{Type: Int32, Int32: []int32{5, -7}}},
		{"int32_data unpacked", start(Int32).integer(5, 5).integer(5, minus7), Tensor{Type: Int32, Int32: []int32{5, -7}}},
		{"int64_data packed", start(Int64).bytes(7, packed), Tensor{Type: Int64, Int64: []int64{5, -7}}},
		{"int64_data unpacked", start(Int64).integer(7, 5).integer(7, minus7), Tensor{Type: Int64, Int64: []int64{5, -7}}},
		{"bool_data", start(Bool).bytes(5, []byte{0, 1}), Tensor{Type: Bool, Int32: []int32{0, 1}}},
		{"bool raw", start(Bool).bytes(9, []byte{0, 1}), Tensor{Type: Bool, Int32: []int32{0, 1}}},
		{"unknown fields", start(Float32).text(12, "documentation").integer(99, 1).fixed64(98, 1).bytes(4, f32), Tensor{Type: Float32, Float32: floats}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := Decode(tensorFile(c.tensor))
			if err != nil {
				t.Fatal(err)
			}
			c.want.Name, c.want.Shape = "t", []int{2}
			if diff := cmp.Diff([]*Tensor{&c.want}, g.Initializers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOldAttributesWithoutKindAreRead(t *testing.T) {
	attribute := message{}.text(1, "axis").integer(3, 2)
	g, err := Decode(file(message{}.nest(1, message{}.text(4, "Flatten").nest(5, attribute))))
	if err != nil {
		t.Fatal(err)
	}
	if a := g.Nodes[0].Attribute("axis"); a == nil || a.Kind != AttributeInt || a.Int != 2 {
		t.Errorf("attribute %+v, want the integer 2", a)
	}
}

func TestWhatCannotBeRepresentedIsRefusedByName(t *testing.T) {
	float := message{}.integer(1, 1).integer(2, uint64(Float32)).text(8, "weights")
	node := func(attribute message) []byte {
		return file(message{}.nest(1, message{}.text(3, "branch").text(4, "If").nest(5, message{}.text(1, "then").and(attribute))))
	}
	for _, c := range []struct {
		name string
		data []byte
		kind error
		says string
	}{
		{"nothing", nil, ErrMalformed, "no graph"},
		{"text", []byte("not an ONNX file at all"), ErrMalformed, "model"},
		{"two graphs", message{}.nest(7, message{}).nest(7, message{}).b, ErrMalformed, "second graph"},
		{"a truncated graph", encodedPart(), ErrMalformed, ""},
		{"external data", tensorFile(float.nest(13, message{}.text(1, "location").text(2, "w.bin")).integer(14, 1)), ErrUnsupported, `"weights"`},
		{"a segment", tensorFile(float.nest(3, message{})), ErrUnsupported, `"weights"`},
		{"half floats", tensorFile(message{}.integer(1, 1).integer(2, 10).text(8, "half").bytes(9, []byte{0, 0})), ErrUnsupported, "float16"},
		{"bytes", tensorFile(message{}.integer(1, 1).integer(2, 3).text(8, "q").bytes(9, []byte{0})), ErrUnsupported, "int8"},
		{"strings", tensorFile(message{}.integer(1, 1).integer(2, 8).text(8, "s").text(6, "x")), ErrUnsupported, "string"},
		{"an element type of the future", tensorFile(message{}.integer(2, 77).text(8, "f")), ErrUnsupported, "element type 77"},
		{"a sparse initializer", file(message{}.nest(15, message{}.nest(1, message{}.text(8, "thin")))), ErrUnsupported, `"thin"`},
		{"a subgraph", node(message{}.nest(6, message{})), ErrUnsupported, `node "branch" (If): attribute "then": it is a graph`},
		{"a sparse attribute", node(message{}.nest(22, message{})), ErrUnsupported, "sparse"},
		{"too few values", tensorFile(float.bytes(9, nil)), ErrMalformed, `"weights"`},
		{"odd raw data", tensorFile(float.bytes(9, []byte{1, 2, 3, 4, 5})), ErrMalformed, "5 bytes"},
		{"values twice", tensorFile(float.bytes(9, []byte{0, 0, 0, 0}).fixed32(4, 0)), ErrMalformed, "raw_data"},
		{"values in a foreign field", tensorFile(float.integer(7, 1)), ErrMalformed, "float32"},
		{"a negative dimension", tensorFile(message{}.integer(1, math.MaxUint64).integer(2, 1)), ErrMalformed, "dimension -1"},
		{"a product that overflows", tensorFile(message{}.bytes(1, bytes.Repeat([]byte{0xFF, 0xFF, 0x03}, 8)).integer(2, 1).bytes(9, []byte{0})), ErrTooLarge, "elements"},
		{"seventeen dimensions", tensorFile(message{}.bytes(1, bytes.Repeat([]byte{1}, 17)).integer(2, 1)), ErrTooLarge, "dimensions"},
		{"a nameless initializer", tensorFile(message{}.integer(2, 1).fixed32(4, 0)), ErrMalformed, "no name"},
		{"a name given twice", file(message{}.nest(5, float.fixed32(4, 0)).nest(5, float.fixed32(4, 0))), ErrMalformed, `"weights"`},
		{"a name that is a number", file(message{}.integer(2, 3)), ErrMalformed, "wire type"},
		{"a million nodes", file(message{bytes.Repeat(message{}.nest(1, message{}).b, MaxItems+1)}), ErrTooLarge, "nodes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.data)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v that says %q", err, c.kind, c.says)
			}
		})
	}
}

// and appends another message's fields.
func (m message) and(other message) message { return message{append(m.b, other.b...)} }

func encodedPart() []byte {
	data, _ := Encode(example())
	return data[:len(data)/2]
}

func TestEncodeRefusesWhatItCannotWrite(t *testing.T) {
	for name, spoil := range map[string]func(g *Graph){
		"a tensor of the wrong length":   func(g *Graph) { g.Initializers[0].Shape = []int{2, 4} },
		"an element type without values": func(g *Graph) { g.Initializers[0].Type = 10 },
		"an attribute without kind":      func(g *Graph) { g.Nodes[0].Attributes[0].Kind = 0 },
		"an attribute without tensor":    func(g *Graph) { g.Nodes[0].Attributes[4].Tensor = nil },
		"a foreign operator":             func(g *Graph) { g.Nodes[1].Domain = "com.example" },
	} {
		t.Run(name, func(t *testing.T) {
			g := example()
			spoil(g)
			if _, err := Encode(g); err == nil {
				t.Error("no error")
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	data, err := Encode(example())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(tensorFile(message{}.bytes(1, []byte{2}).integer(2, 7).text(8, "t").bytes(7, []byte{1, 2})))
	f.Fuzz(writtenAndRead)
}

// writtenAndRead decodes data and, if it is accepted, writes and reads it until nothing more may change.
func writtenAndRead(t *testing.T, data []byte) {
	g, err := Decode(data)
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrTooLarge) {
			t.Fatalf("untyped: %v", err)
		}
		return
	}
	again, err := Encode(g)
	if errors.Is(err, ErrUnsupported) {
		return // operators of other sets are read, not written
	}
	if err != nil {
		t.Fatal(err)
	}
	second, err := Decode(again)
	if err != nil {
		t.Fatal(err)
	}
	third, err := Encode(second)
	if err != nil || !bytes.Equal(again, third) {
		t.Fatalf("written, read and written again, the bytes differ (%v)", err)
	}
}
