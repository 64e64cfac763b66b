package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// unsupportedAttributes names the fields of an AttributeProto that have no place in Attribute.
var unsupportedAttributes = map[protowire.Number]string{
	6: "a graph", 10: "a list of tensors", 11: "a list of graphs", 14: "a type", 15: "a list of types",
	21: "a reference to a function's attribute", 22: "a sparse tensor", 23: "a list of sparse tensors",
}

func (d *decoder) attribute(f field) (Attribute, error) {
	var a Attribute
	declared := AttributeKind(0)
	if err := d.count(1); err != nil {
		return a, err
	}
	err := f.message("an attribute", func(f field) (err error) {
		if what := unsupportedAttributes[f.number]; what != "" {
			return fmt.Errorf("it is %s: %w", what, ErrUnsupported)
		}
		switch f.number {
		case 1:
			a.Name, err = f.string()
		case 20:
			var kind int64
			kind, err = f.int64()
			declared = AttributeKind(kind)
		default:
			err = d.attributeValue(f, &a)
		}
		return err
	})
	if err == nil {
		err = a.settle(declared)
	}
	if err == nil {
		err = d.room(max(len(a.Floats), len(a.Ints), len(a.Strings)))
	}
	if err != nil {
		return a, fmt.Errorf("attribute %q: %w", a.Name, err)
	}
	return a, nil
}

func (d *decoder) attributeValue(f field, a *Attribute) (err error) {
	switch f.number {
	case 2:
		a.Kind, a.Float = AttributeFloat, math.Float32frombits(uint32(f.varint))
		return f.want(protowire.Fixed32Type, "a float")
	case 3:
		a.Kind = AttributeInt
		a.Int, err = f.int64()
	case 4:
		a.Kind = AttributeString
		a.String, err = f.string()
	case 5:
		a.Kind = AttributeTensor
		a.Tensor, err = d.tensor(f)
	case 7:
		a.Kind = AttributeFloats
		a.Floats, err = appendFloats(a.Floats, f)
	case 8:
		a.Kind = AttributeInts
		a.Ints, err = appendInts(a.Ints, f)
	case 9:
		a.Kind = AttributeStrings
		if err = d.count(1); err != nil {
			return err
		}
		var s string
		s, err = f.string()
		a.Strings = append(a.Strings, s)
	}
	return err
}

// settle reconciles the declared kind with the field that was present: a default value (0, an empty
// list) may be absent from the wire, and the oldest files declare no kind at all. Only the field of the
// final kind is kept.
func (a *Attribute) settle(declared AttributeKind) error {
	kind := declared
	if declared == 0 {
		kind = a.Kind
	}
	kept := Attribute{Name: a.Name, Kind: kind}
	switch kind {
	case AttributeFloat:
		kept.Float = a.Float
	case AttributeInt:
		kept.Int = a.Int
	case AttributeString:
		kept.String = a.String
	case AttributeTensor:
		if a.Tensor == nil {
			return fmt.Errorf("its tensor is missing: %w", ErrMalformed)
		}
		kept.Tensor = a.Tensor
	case AttributeFloats:
		kept.Floats = a.Floats
	case AttributeInts:
		kept.Ints = a.Ints
	case AttributeStrings:
		kept.Strings = a.Strings
	case 0:
		return fmt.Errorf("it has neither kind nor value: %w", ErrMalformed)
	default:
		return fmt.Errorf("kind %d is not read: %w", kind, ErrUnsupported)
	}
	*a = kept
	return nil
}
