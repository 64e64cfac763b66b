package npz

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Float32 returns the numbers in C order (last axis fastest), whatever order the file has. Wider
// numbers are rounded to nearest; a float64 beyond float32's range becomes ±Inf, as in NumPy. NaN and
// Inf pass: what they mean is the caller's to say. Booleans are 0 and 1.
func (a *Array) Float32() ([]float32, error) {
	get, err := a.floatReader()
	if err != nil {
		return nil, err
	}
	out := make([]float32, a.Len())
	a.each(func(to, from int) { out[to] = get(from) })
	return out, nil
}

// Int64 returns the numbers in C order. Floats must be whole and at most 2⁵³ in magnitude, unsigned
// numbers at most 2⁶³ − 1; anything else is an error that wraps ErrMalformed and names the place.
func (a *Array) Int64() ([]int64, error) {
	order := a.byteOrder()
	out := make([]int64, a.Len())
	bad := -1
	a.each(func(to, from int) {
		bits := a.bits(order, from)
		v, ok := int64(bits), true
		switch a.Kind {
		case 'i':
			shift := 64 - 8*a.Size
			v = v << shift >> shift
		case 'u':
			ok = bits <= math.MaxInt64
		case 'b':
			v = min(v, 1)
		case 'f':
			v, ok = wholeFloat(a.float(bits))
		}
		if !ok && (bad < 0 || to < bad) {
			bad = to
		}
		out[to] = v
	})
	if bad >= 0 {
		return nil, fmt.Errorf("element %d is not a whole number that int64 can hold: %w", bad, ErrMalformed)
	}
	return out, nil
}

func wholeFloat(f float64) (int64, bool) {
	if !(math.Abs(f) <= 1<<53) || f != math.Trunc(f) {
		return 0, false
	}
	return int64(f), true
}

func (a *Array) byteOrder() binary.ByteOrder {
	if a.bigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// bits returns the stored bits of element k, upper bits zero.
func (a *Array) bits(order binary.ByteOrder, k int) uint64 {
	b := a.raw[k*a.Size:]
	switch a.Size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(order.Uint16(b))
	case 4:
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

// float interprets the bits of a float of the array's size.
func (a *Array) float(bits uint64) float64 {
	switch a.Size {
	case 2:
		return float64(halfToFloat(uint16(bits)))
	case 4:
		return float64(math.Float32frombits(uint32(bits)))
	}
	return math.Float64frombits(bits)
}

// floatReader returns the function that reads element k as a float32. Data sets are tens of millions
// of bytes or float32 numbers, so these two have their own.
func (a *Array) floatReader() (func(k int) float32, error) {
	order, raw := a.byteOrder(), a.raw
	switch {
	case a.Kind == 'f' && a.Size == 4:
		return func(k int) float32 { return math.Float32frombits(order.Uint32(raw[4*k:])) }, nil
	case a.Kind == 'f':
		return func(k int) float32 { return float32(a.float(a.bits(order, k))) }, nil
	case a.Kind == 'b':
		return func(k int) float32 { return float32(min(raw[k], 1)) }, nil
	case a.Kind == 'u' && a.Size == 1:
		return func(k int) float32 { return float32(raw[k]) }, nil
	case a.Kind == 'u':
		return func(k int) float32 { return float32(a.bits(order, k)) }, nil
	case a.Kind == 'i':
		shift := 64 - 8*a.Size
		return func(k int) float32 { return float32(int64(a.bits(order, k)) << shift >> shift) }, nil
	}
	return nil, fmt.Errorf("element kind %q is unknown: %w", a.Kind, ErrMalformed)
}

// each calls visit for every element with its place in C order and its place in the file.
func (a *Array) each(visit func(to, from int)) {
	n := a.Len()
	if !a.fortran || len(a.Shape) < 2 {
		for k := range n {
			visit(k, k)
		}
		return
	}
	strides := make([]int, len(a.Shape))
	for axis, step := 0, 1; axis < len(a.Shape); axis++ {
		strides[axis] = step
		step *= a.Shape[axis]
	}
	index := make([]int, len(a.Shape))
	from := 0
	for to := range n {
		visit(to, from)
		for axis := len(index) - 1; axis >= 0; axis-- {
			index[axis]++
			from += strides[axis]
			if index[axis] < a.Shape[axis] {
				break
			}
			from -= index[axis] * strides[axis]
			index[axis] = 0
		}
	}
}

// halfToFloat widens an IEEE 754 half, exactly.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := int(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormals: fraction·2⁻²⁴
		v := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0xFF<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | uint32(exponent+127-15)<<23 | fraction<<13)
}
