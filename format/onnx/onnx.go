// Package onnx reads and writes the part of the ONNX format that feed-forward networks need: one
// graph of nodes, its initializers, inputs and outputs.
//
// It promises that Decode never panics and never allocates out of proportion to its argument,
// whatever the bytes; that what it cannot represent (external data, sparse tensors, subgraphs, element
// types beyond those of Type) is refused by name instead of being dropped; and that Encode writes the
// same bytes for the same graph everywhere. It works on the protocol-buffer wire format alone. It must
// not know what an operator means, nor anything of models or training.
package onnx

import (
	"errors"
	"fmt"
	"math"
)

// Errors that Decode and Encode wrap.
var (
	ErrMalformed   = errors.New("malformed ONNX file")
	ErrUnsupported = errors.New("unsupported ONNX content")
	ErrTooLarge    = errors.New("ONNX file beyond the size limits")
)

// Type numbers the element type of a tensor as TensorProto.DataType does.
type Type int32

// The element types that tensors may have.
const (
	Float32 Type = 1
	Int32   Type = 6
	Int64   Type = 7
	Bool    Type = 9
	Float64 Type = 11
)

var typeNames = [...]string{
	"undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64",
	"uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
	"float8e5m2fnuz", "uint4", "int4", "float4e2m1",
}

// String returns the type's common name.
func (t Type) String() string {
	if t >= 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("element type %d", int32(t))
}

// size returns the bytes of one element in raw_data, 0 for types that are not supported.
func (t Type) size() int {
	switch t {
	case Bool:
		return 1
	case Float32, Int32:
		return 4
	case Float64, Int64:
		return 8
	}
	return 0
}

// Tensor is a constant array, row-major. The values lie in the slice that the type names; Bool uses
// Int32 with 0 and 1. A tensor without dimensions is a scalar with one element.
type Tensor struct {
	Name    string
	Type    Type
	Shape   []int
	Float32 []float32
	Float64 []float64
	Int32   []int32
	Int64   []int64
}

// NewTensor returns a float32 tensor; Encode refuses it when len(values) is not the product of shape.
func NewTensor(name string, shape []int, values []float32) *Tensor {
	return &Tensor{Name: name, Type: Float32, Shape: shape, Float32: values}
}

// NewIntTensor returns an int64 tensor, as the shape input of Reshape needs.
func NewIntTensor(name string, shape []int, values []int64) *Tensor {
	return &Tensor{Name: name, Type: Int64, Shape: shape, Int64: values}
}

// Len returns the number of elements, the product of the dimensions; 0 when it does not fit.
func (t *Tensor) Len() int {
	n, ok := elements(t.Shape)
	if !ok {
		return 0
	}
	return n
}

// Floats returns the elements as float64, exact for every type but int64 beyond 2⁵³.
func (t *Tensor) Floats() []float64 {
	switch t.Type {
	case Float32:
		return widen(t.Float32)
	case Float64:
		return widen(t.Float64)
	case Int64:
		return widen(t.Int64)
	}
	return widen(t.Int32)
}

// Ints returns the elements of an integer or bool tensor, and whether it is one.
func (t *Tensor) Ints() ([]int64, bool) {
	switch t.Type {
	case Int64:
		return t.Int64, true
	case Int32, Bool:
		values := make([]int64, len(t.Int32))
		for i, v := range t.Int32 {
			values[i] = int64(v)
		}
		return values, true
	}
	return nil, false
}

func widen[V float32 | float64 | int32 | int64](values []V) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// elements multiplies the dimensions; false when one is negative or the product exceeds 2³¹−1.
func elements(shape []int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > math.MaxInt32 {
			return 0, false
		}
		if n > 0 && d > math.MaxInt32/n {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Dim is one dimension of a graph input or output: a size, or a name (Size −1) when it is symbolic. A
// dimension of which the file says nothing has Size −1 and no name.
type Dim struct {
	Size int
	Name string
}

// ValueInfo declares a graph input or output. Shape is nil when the file does not say.
type ValueInfo struct {
	Name  string
	Type  Type // any ONNX element type, supported or not
	Shape []Dim
}

// AttributeKind says which field of an Attribute holds its value; the numbers are those of
// AttributeProto.AttributeType.
type AttributeKind int32

// The kinds of attributes.
const (
	AttributeFloat   AttributeKind = 1
	AttributeInt     AttributeKind = 2
	AttributeString  AttributeKind = 3
	AttributeTensor  AttributeKind = 4
	AttributeFloats  AttributeKind = 6
	AttributeInts    AttributeKind = 7
	AttributeStrings AttributeKind = 8
)

// Attribute is a named constant of a node.
type Attribute struct {
	Name    string
	Kind    AttributeKind
	Float   float32
	Int     int64
	String  string
	Tensor  *Tensor
	Floats  []float32
	Ints    []int64
	Strings []string
}

// FloatAttribute returns a float attribute, as Gemm's alpha.
func FloatAttribute(name string, v float32) Attribute {
	return Attribute{Name: name, Kind: AttributeFloat, Float: v}
}

// IntAttribute returns an integer attribute, as Gemm's transB.
func IntAttribute(name string, v int64) Attribute {
	return Attribute{Name: name, Kind: AttributeInt, Int: v}
}

// TensorAttribute returns a tensor attribute, as Constant's value.
func TensorAttribute(name string, t *Tensor) Attribute {
	return Attribute{Name: name, Kind: AttributeTensor, Tensor: t}
}

// Node is one operator application. An empty input name is an optional input left out.
type Node struct {
	Op         string
	Name       string
	Domain     string // "" is ONNX's own; others are kept for the reader to refuse
	Inputs     []string
	Outputs    []string
	Attributes []Attribute
}

// Attribute returns the attribute of that name, or nil.
func (n *Node) Attribute(name string) *Attribute {
	for i := range n.Attributes {
		if n.Attributes[i].Name == name {
			return &n.Attributes[i]
		}
	}
	return nil
}

// Graph is a network: nodes in topological order over named tensors.
type Graph struct {
	Name            string
	Producer        string
	ProducerVersion string
	IRVersion       int64 // Encode writes DefaultIRVersion for 0
	Opset           int64 // version of ONNX's own operators; Encode writes DefaultOpset for 0
	Nodes           []Node
	Initializers    []*Tensor
	Inputs          []ValueInfo // old files list initializers here too, see FreeInputs
	Outputs         []ValueInfo
}

// What Encode writes where the graph leaves it open.
const (
	DefaultIRVersion = 7
	DefaultOpset     = 13
	DefaultProducer  = "sim"
)

// Initializer returns the initializer of that name, or nil.
func (g *Graph) Initializer(name string) *Tensor {
	for _, t := range g.Initializers {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// FreeInputs returns the graph inputs that have no initializer: what a caller must supply.
func (g *Graph) FreeInputs() []ValueInfo {
	constant := make(map[string]bool, len(g.Initializers))
	for _, t := range g.Initializers {
		constant[t.Name] = true
	}
	var free []ValueInfo
	for _, v := range g.Inputs {
		if !constant[v.Name] {
			free = append(free, v)
		}
	}
	return free
}
