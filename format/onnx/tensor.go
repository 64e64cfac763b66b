package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// rawTensor is a TensorProto whose values still lie in whatever fields the writer chose.
type rawTensor struct {
	tensor   Tensor
	external bool
	segment  bool
	raw      []byte
	hasRaw   bool
	floats   []float32
	doubles  []float64
	ints     []int64 // int32_data and int64_data
	narrow   bool    // ints came from int32_data
	other    bool    // string_data or uint64_data
}

func (d *decoder) tensor(f field) (*Tensor, error) {
	r := rawTensor{}
	if err := d.count(1); err != nil {
		return nil, err
	}
	err := f.message("a tensor", func(f field) error { return d.tensorField(f, &r) })
	if err == nil {
		n, _ := elements(r.tensor.Shape) // what overflows is for fill to say
		err = d.room(n)
	}
	if err == nil {
		err = r.fill()
	}
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", r.tensor.Name, err)
	}
	return &r.tensor, nil
}

func (d *decoder) tensorField(f field, r *rawTensor) (err error) {
	switch f.number {
	case 1:
		return d.dims(f, &r.tensor)
	case 2:
		var t int64
		t, err = f.int64()
		r.tensor.Type = Type(t)
	case 3:
		r.segment = true
	case 4:
		r.floats, err = appendFloats(r.floats, f)
	case 5, 7:
		r.narrow = f.number == 5
		r.ints, err = appendInts(r.ints, f)
	case 6, 11:
		r.other = true
	case 8:
		r.tensor.Name, err = f.string()
	case 9:
		r.raw, r.hasRaw, err = f.bytes, true, f.want(protowire.BytesType, "raw_data")
	case 10:
		r.doubles, err = appendDoubles(r.doubles, f)
	case 13:
		r.external = true
	case 14:
		var location int64
		location, err = f.int64()
		r.external = r.external || location != 0
	}
	return err
}

// maxDimBytes is how many bytes a packed dimension takes at most.
const maxDimBytes = 10

func (d *decoder) dims(f field, t *Tensor) error {
	if len(f.bytes) > maxDimBytes*MaxRank { // before a list of millions is made of it
		return fmt.Errorf("more than %d dimensions: %w", d.limits.Rank, ErrTooLarge)
	}
	sizes, err := appendInts(nil, f)
	if err != nil {
		return err
	}
	if len(t.Shape)+len(sizes) > d.limits.Rank {
		return fmt.Errorf("more than %d dimensions: %w", d.limits.Rank, ErrTooLarge)
	}
	for _, size := range sizes {
		if size < 0 || size > math.MaxInt32 {
			return fmt.Errorf("dimension %d is not a size: %w", size, ErrMalformed)
		}
		t.Shape = append(t.Shape, int(size))
	}
	return d.count(len(sizes))
}

// fill moves the values into the slice that the type asks for and checks their number.
func (r *rawTensor) fill() error {
	t := &r.tensor
	n, ok := elements(t.Shape)
	switch {
	case r.external:
		return fmt.Errorf("its data is in another file: save the model with its weights inside: %w", ErrUnsupported)
	case r.segment:
		return fmt.Errorf("it is stored in segments: %w", ErrUnsupported)
	case t.Type.size() == 0:
		return fmt.Errorf("element type %s; float32, float64, int32, int64 and bool are read: %w", t.Type, ErrUnsupported)
	case !ok:
		return fmt.Errorf("shape %v has too many elements: %w", t.Shape, ErrTooLarge)
	case r.hasRaw && len(r.raw) > 0 && (len(r.floats)+len(r.doubles)+len(r.ints) > 0 || r.other):
		return fmt.Errorf("values in raw_data and in a typed field: %w", ErrMalformed)
	case len(r.raw) > 0:
		return r.fillRaw(n)
	}
	return r.fillTyped(n)
}

func (r *rawTensor) fillRaw(n int) error {
	t := &r.tensor
	size := t.Type.size()
	if len(r.raw)/size != n || len(r.raw)%size != 0 {
		return fmt.Errorf("%d bytes of raw_data, shape %v of %s needs %d: %w", len(r.raw), t.Shape, t.Type, int64(n)*int64(size), ErrMalformed)
	}
	switch t.Type {
	case Float32:
		t.Float32 = make([]float32, n)
		for i := range t.Float32 {
			t.Float32[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.raw[4*i:]))
		}
	case Float64:
		t.Float64 = make([]float64, n)
		for i := range t.Float64 {
			t.Float64[i] = math.Float64frombits(binary.LittleEndian.Uint64(r.raw[8*i:]))
		}
	case Int32:
		t.Int32 = make([]int32, n)
		for i := range t.Int32 {
			t.Int32[i] = int32(binary.LittleEndian.Uint32(r.raw[4*i:]))
		}
	case Int64:
		t.Int64 = make([]int64, n)
		for i := range t.Int64 {
			t.Int64[i] = int64(binary.LittleEndian.Uint64(r.raw[8*i:]))
		}
	case Bool:
		t.Int32 = make([]int32, n)
		for i, b := range r.raw {
			if b != 0 {
				t.Int32[i] = 1
			}
		}
	}
	return nil
}

func (r *rawTensor) fillTyped(n int) error {
	t := &r.tensor
	have, fits := 0, false
	switch t.Type {
	case Float32:
		t.Float32, have, fits = r.floats, len(r.floats), len(r.ints)+len(r.doubles) == 0
	case Float64:
		t.Float64, have, fits = r.doubles, len(r.doubles), len(r.ints)+len(r.floats) == 0
	case Int64:
		t.Int64, have, fits = r.ints, len(r.ints), len(r.floats)+len(r.doubles) == 0 && !r.narrow
	case Int32, Bool:
		have, fits = len(r.ints), len(r.floats)+len(r.doubles) == 0 && (r.narrow || len(r.ints) == 0)
		t.Int32 = make([]int32, have)
		for i, v := range r.ints {
			if t.Type == Bool && v != 0 {
				v = 1
			}
			t.Int32[i] = int32(v)
		}
	}
	if !fits || r.other {
		return fmt.Errorf("its values are in a field that does not belong to %s: %w", t.Type, ErrMalformed)
	}
	if have != n {
		return fmt.Errorf("%d values, shape %v needs %d: %w", have, t.Shape, n, ErrMalformed)
	}
	if n == 0 {
		t.Float32, t.Float64, t.Int32, t.Int64 = nil, nil, nil, nil
	}
	return nil
}

// appendInts reads a repeated integer field, packed or not.
func appendInts(to []int64, f field) ([]int64, error) {
	if f.kind == protowire.VarintType {
		return append(to, int64(f.varint)), nil
	}
	if err := f.want(protowire.BytesType, "integers"); err != nil {
		return to, err
	}
	for data := f.bytes; len(data) > 0; {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 {
			return to, fmt.Errorf("field %d: %w: %w", f.number, protowire.ParseError(n), ErrMalformed)
		}
		to, data = append(to, int64(v)), data[n:]
	}
	return to, nil
}

func appendFloats(to []float32, f field) ([]float32, error) {
	if f.kind == protowire.Fixed32Type {
		return append(to, math.Float32frombits(uint32(f.varint))), nil
	}
	if err := f.want(protowire.BytesType, "floats"); err != nil {
		return to, err
	}
	if len(f.bytes)%4 != 0 {
		return to, fmt.Errorf("field %d: %d bytes of float32: %w", f.number, len(f.bytes), ErrMalformed)
	}
	for i := 0; i < len(f.bytes); i += 4 {
		to = append(to, math.Float32frombits(binary.LittleEndian.Uint32(f.bytes[i:])))
	}
	return to, nil
}

func appendDoubles(to []float64, f field) ([]float64, error) {
	if f.kind == protowire.Fixed64Type {
		return append(to, math.Float64frombits(f.varint)), nil
	}
	if err := f.want(protowire.BytesType, "doubles"); err != nil {
		return to, err
	}
	if len(f.bytes)%8 != 0 {
		return to, fmt.Errorf("field %d: %d bytes of float64: %w", f.number, len(f.bytes), ErrMalformed)
	}
	for i := 0; i < len(f.bytes); i += 8 {
		to = append(to, math.Float64frombits(binary.LittleEndian.Uint64(f.bytes[i:])))
	}
	return to, nil
}
