package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Encode writes the graph as an ONNX file: the same bytes for the same graph, tensors as raw_data. It
// takes what Decode gives, or graphs built by hand.
//
// Errors: a tensor whose number of values is not that of its shape, an unsupported element type or
// attribute kind, a node of another operator set (its import is not kept).
func Encode(g *Graph) ([]byte, error) {
	graph, err := encodeGraph(g)
	if err != nil {
		return nil, err
	}
	producer := g.Producer
	if producer == "" {
		producer = DefaultProducer
	}
	b := appendInt(nil, 1, orDefault(g.IRVersion, DefaultIRVersion))
	b = appendString(b, 2, producer)
	if g.ProducerVersion != "" {
		b = appendString(b, 3, g.ProducerVersion)
	}
	b = appendBytes(b, 7, graph)
	return appendBytes(b, 8, appendInt(appendString(nil, 1, ""), 2, orDefault(g.Opset, DefaultOpset))), nil
}

func orDefault(v, otherwise int64) int64 {
	if v == 0 {
		return otherwise
	}
	return v
}

func encodeGraph(g *Graph) ([]byte, error) {
	var b []byte
	for i := range g.Nodes {
		node, err := encodeNode(&g.Nodes[i])
		if err != nil {
			return nil, fmt.Errorf("node %q (%s): %w", g.Nodes[i].Name, g.Nodes[i].Op, err)
		}
		b = appendBytes(b, 1, node)
	}
	b = appendString(b, 2, g.Name)
	for _, t := range g.Initializers {
		tensor, err := encodeTensor(t)
		if err != nil {
			return nil, err
		}
		b = appendBytes(b, 5, tensor)
	}
	for _, v := range g.Inputs {
		b = appendBytes(b, 11, encodeValueInfo(v))
	}
	for _, v := range g.Outputs {
		b = appendBytes(b, 12, encodeValueInfo(v))
	}
	return b, nil
}

func encodeNode(n *Node) ([]byte, error) {
	if !standardDomain(n.Domain) {
		return nil, fmt.Errorf("operator set %q: only ONNX's own operators are written: %w", n.Domain, ErrUnsupported)
	}
	var b []byte
	for _, name := range n.Inputs {
		b = appendString(b, 1, name)
	}
	for _, name := range n.Outputs {
		b = appendString(b, 2, name)
	}
	if n.Name != "" {
		b = appendString(b, 3, n.Name)
	}
	b = appendString(b, 4, n.Op)
	for i := range n.Attributes {
		attribute, err := encodeAttribute(&n.Attributes[i])
		if err != nil {
			return nil, err
		}
		b = appendBytes(b, 5, attribute)
	}
	return b, nil
}

func encodeAttribute(a *Attribute) ([]byte, error) {
	b := appendString(nil, 1, a.Name)
	switch a.Kind {
	case AttributeFloat:
		b = protowire.AppendTag(b, 2, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(a.Float))
	case AttributeInt:
		b = appendInt(b, 3, a.Int)
	case AttributeString:
		b = appendString(b, 4, a.String)
	case AttributeTensor:
		if a.Tensor == nil {
			return nil, fmt.Errorf("attribute %q: its tensor is missing: %w", a.Name, ErrMalformed)
		}
		tensor, err := encodeTensor(a.Tensor)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", a.Name, err)
		}
		b = appendBytes(b, 5, tensor)
	case AttributeFloats:
		for _, v := range a.Floats {
			b = protowire.AppendTag(b, 7, protowire.Fixed32Type)
			b = protowire.AppendFixed32(b, math.Float32bits(v))
		}
	case AttributeInts:
		for _, v := range a.Ints {
			b = appendInt(b, 8, v)
		}
	case AttributeStrings:
		for _, v := range a.Strings {
			b = appendString(b, 9, v)
		}
	default:
		return nil, fmt.Errorf("attribute %q: kind %d is not written: %w", a.Name, a.Kind, ErrUnsupported)
	}
	return appendInt(b, 20, int64(a.Kind)), nil
}

func encodeTensor(t *Tensor) ([]byte, error) {
	n, ok := elements(t.Shape)
	raw, have := rawValues(t)
	switch {
	case t.Type.size() == 0:
		return nil, fmt.Errorf("tensor %q: element type %s is not written: %w", t.Name, t.Type, ErrUnsupported)
	case !ok || len(t.Shape) > MaxRank:
		return nil, fmt.Errorf("tensor %q: shape %v: %w", t.Name, t.Shape, ErrTooLarge)
	case have != n:
		return nil, fmt.Errorf("tensor %q: %d values, shape %v needs %d: %w", t.Name, have, t.Shape, n, ErrMalformed)
	}
	var b []byte
	for _, d := range t.Shape {
		b = appendInt(b, 1, int64(d))
	}
	b = appendInt(b, 2, int64(t.Type))
	if t.Name != "" {
		b = appendString(b, 8, t.Name)
	}
	return appendBytes(b, 9, raw), nil
}

// rawValues returns the values as raw_data holds them, and their number.
func rawValues(t *Tensor) ([]byte, int) {
	var raw []byte
	switch t.Type {
	case Float32:
		for _, v := range t.Float32 {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		return raw, len(t.Float32)
	case Float64:
		for _, v := range t.Float64 {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		}
		return raw, len(t.Float64)
	case Int64:
		for _, v := range t.Int64 {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
		return raw, len(t.Int64)
	case Int32:
		for _, v := range t.Int32 {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
		}
	case Bool:
		for _, v := range t.Int32 {
			raw = append(raw, byte(v&1))
		}
	}
	return raw, len(t.Int32)
}

func encodeValueInfo(v ValueInfo) []byte {
	tensor := appendInt(nil, 1, int64(v.Type))
	if v.Shape != nil {
		var shape []byte
		for _, d := range v.Shape {
			var dim []byte
			switch {
			case d.Size >= 0:
				dim = appendInt(nil, 1, int64(d.Size))
			case d.Name != "":
				dim = appendString(nil, 2, d.Name)
			}
			shape = appendBytes(shape, 1, dim)
		}
		tensor = appendBytes(tensor, 2, shape)
	}
	return appendBytes(appendString(nil, 1, v.Name), 2, appendBytes(nil, 1, tensor))
}

func appendInt(b []byte, number protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(v))
}

func appendString(b []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
}
