package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Decode reads an ONNX file. Fields it does not know are skipped; imports of other operator sets are
// not kept. The result shares no memory with data.
//
// Errors wrap ErrMalformed (not a protocol buffer, or inconsistent), ErrUnsupported (external data,
// sparse tensors, subgraphs, element types beyond those of Type) or ErrTooLarge.
func Decode(data []byte, options ...Option) (*Graph, error) {
	d := &decoder{limits: DefaultLimits()}
	for _, set := range options {
		set(&d.limits)
	}
	if len(data) > d.limits.Bytes {
		return nil, fmt.Errorf("%d bytes, at most %d are read: %w", len(data), max(d.limits.Bytes, 0), ErrTooLarge)
	}
	g, err := d.model(data)
	if err != nil {
		return nil, err
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	return g, nil
}

// decoder counts what it builds, so that a small file cannot become a large structure.
type decoder struct {
	limits Limits
	items  int
}

func (d *decoder) count(n int) error {
	d.items += n
	if d.items > d.limits.Items {
		return fmt.Errorf("more than %d nodes, names, attributes and dimensions: %w", d.limits.Items, ErrTooLarge)
	}
	return nil
}

// room checks the number of elements of a tensor or list.
func (d *decoder) room(elements int) error {
	if elements > d.limits.Elements {
		return fmt.Errorf("%d elements, at most %d are read: %w", elements, max(d.limits.Elements, 0), ErrTooLarge)
	}
	return nil
}

func (d *decoder) model(data []byte) (*Graph, error) {
	out := &Graph{}
	seen := false
	err := walk(data, "the model", func(f field) (err error) {
		switch f.number {
		case 1:
			out.IRVersion, err = f.int64()
		case 2:
			out.Producer, err = f.string()
		case 3:
			out.ProducerVersion, err = f.string()
		case 7:
			if seen {
				return fmt.Errorf("a second graph: %w", ErrMalformed)
			}
			seen = true
			err = d.graph(f, out)
		case 8:
			err = opset(f, out)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !seen {
		return nil, fmt.Errorf("no graph inside, this is not an ONNX model: %w", ErrMalformed)
	}
	return out, nil
}

func opset(f field, g *Graph) error {
	var domain string
	var version int64
	err := f.message("opset_import", func(f field) (err error) {
		switch f.number {
		case 1:
			domain, err = f.string()
		case 2:
			version, err = f.int64()
		}
		return err
	})
	if standardDomain(domain) {
		g.Opset = version
	}
	return err
}

func standardDomain(domain string) bool { return domain == "" || domain == "ai.onnx" }

func (d *decoder) graph(f field, g *Graph) error {
	return f.message("the graph", func(f field) (err error) {
		switch f.number {
		case 1:
			var n Node
			n, err = d.node(f)
			g.Nodes = append(g.Nodes, n)
		case 2:
			g.Name, err = f.string()
		case 5:
			var t *Tensor
			t, err = d.tensor(f)
			g.Initializers = append(g.Initializers, t)
		case 11:
			var v ValueInfo
			v, err = d.valueInfo(f)
			g.Inputs = append(g.Inputs, v)
		case 12:
			var v ValueInfo
			v, err = d.valueInfo(f)
			g.Outputs = append(g.Outputs, v)
		case 15:
			return fmt.Errorf("a sparse initializer (%q): store it as a dense tensor: %w", sparseName(f), ErrUnsupported)
		}
		return err
	})
}

// sparseName finds the name of a SparseTensorProto: it is that of its values.
func sparseName(f field) string {
	name := ""
	_ = f.message("sparse_initializer", func(f field) error {
		if f.number != 1 {
			return nil
		}
		return f.message("values", func(f field) (err error) {
			if f.number == 8 {
				name, err = f.string()
			}
			return err
		})
	})
	return name
}

func (d *decoder) node(f field) (Node, error) {
	var n Node
	if err := d.count(1); err != nil {
		return n, err
	}
	err := f.message("a node", func(f field) (err error) {
		var s string
		switch f.number {
		case 1, 2:
			if err = d.count(1); err != nil {
				return err
			}
			s, err = f.string()
			if f.number == 1 {
				n.Inputs = append(n.Inputs, s)
			} else {
				n.Outputs = append(n.Outputs, s)
			}
		case 3:
			n.Name, err = f.string()
		case 4:
			n.Op, err = f.string()
		case 5:
			var a Attribute
			a, err = d.attribute(f)
			n.Attributes = append(n.Attributes, a)
		case 7:
			n.Domain, err = f.string()
		}
		return err
	})
	if err != nil {
		return n, fmt.Errorf("node %q (%s): %w", n.Name, n.Op, err)
	}
	if standardDomain(n.Domain) {
		n.Domain = ""
	}
	return n, nil
}

func (d *decoder) valueInfo(f field) (ValueInfo, error) {
	var v ValueInfo
	if err := d.count(1); err != nil {
		return v, err
	}
	err := f.message("a graph input or output", func(f field) (err error) {
		switch f.number {
		case 1:
			v.Name, err = f.string()
		case 2:
			err = f.message("type", func(f field) error {
				if f.number != 1 { // sequences, maps and optionals: their readers find no shape
					return nil
				}
				return f.message("tensor_type", func(f field) (err error) {
					switch f.number {
					case 1:
						var t int64
						t, err = f.int64()
						v.Type = Type(t)
					case 2:
						v.Shape, err = d.shape(f)
					}
					return err
				})
			})
		}
		return err
	})
	if err != nil {
		return v, fmt.Errorf("graph input or output %q: %w", v.Name, err)
	}
	return v, nil
}

func (d *decoder) shape(f field) ([]Dim, error) {
	dims := []Dim{}
	err := f.message("shape", func(f field) error {
		if f.number != 1 {
			return nil
		}
		if len(dims) >= d.limits.Rank {
			return fmt.Errorf("more than %d dimensions: %w", d.limits.Rank, ErrTooLarge)
		}
		if err := d.count(1); err != nil {
			return err
		}
		dim := Dim{Size: -1}
		err := f.message("dim", func(f field) (err error) {
			switch f.number {
			case 1:
				var size int64
				size, err = f.int64()
				if err == nil && (size < 0 || size > 1<<31-1) {
					size = -1 // some exporters write a negative size where they mean "any"
				}
				dim.Size = int(size)
			case 2:
				dim.Name, err = f.string()
			}
			return err
		})
		if dim.Size >= 0 {
			dim.Name = ""
		}
		dims = append(dims, dim)
		return err
	})
	return dims, err
}

// check finds names given twice, which would make the graph ambiguous.
func (g *Graph) check() error {
	names := make([]string, 0, len(g.Initializers))
	for _, t := range g.Initializers {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	for i, name := range names {
		if name == "" {
			return fmt.Errorf("an initializer has no name: %w", ErrMalformed)
		}
		if i > 0 && names[i-1] == name {
			return fmt.Errorf("two initializers are named %q: %w", name, ErrMalformed)
		}
	}
	return nil
}

// field is one field of a message, its value not yet looked into.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64 // also the bits of fixed32 and fixed64
	bytes  []byte
}

// walk calls visit for every field of a message. what stands in errors.
func walk(data []byte, what string, visit func(field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%s: %w: %w", what, protowire.ParseError(n), ErrMalformed)
		}
		data = data[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.varint = uint64(v)
		case protowire.Fixed64Type:
			f.varint, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return fmt.Errorf("%s: field %d: %w: %w", what, number, protowire.ParseError(n), ErrMalformed)
		}
		data = data[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func (f field) message(what string, visit func(field) error) error {
	if err := f.want(protowire.BytesType, what); err != nil {
		return err
	}
	return walk(f.bytes, what, visit)
}

func (f field) want(kind protowire.Type, what string) error {
	if f.kind != kind {
		return fmt.Errorf("field %d (%s) has wire type %d instead of %d: %w", f.number, what, f.kind, kind, ErrMalformed)
	}
	return nil
}

func (f field) string() (string, error) {
	return string(f.bytes), f.want(protowire.BytesType, "a string")
}

func (f field) int64() (int64, error) {
	return int64(f.varint), f.want(protowire.VarintType, "an integer")
}
