package npz

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// WriteNPY writes values, in C order, as a little-endian float32 array of this shape (NPY version 1,
// numbers from a multiple of 64 bytes on, as NumPy writes them). The same input gives the same bytes.
func WriteNPY(w io.Writer, shape []int, values []float32) error {
	dims, elements := "", 1
	for _, d := range shape {
		if d < 0 {
			return fmt.Errorf("shape %v has a negative dimension", shape)
		}
		dims += fmt.Sprintf("%d, ", d)
		elements *= d
	}
	if elements != len(values) {
		return fmt.Errorf("%d numbers do not fill shape %v", len(values), shape)
	}
	dims = strings.TrimSuffix(dims, " ")
	if len(shape) != 1 { // a tuple of one keeps its comma
		dims = strings.TrimSuffix(dims, ",")
	}
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", dims)
	start := len(magic) + 4
	padded := (start+len(header)+1+63)/64*64 - start
	if padded > math.MaxUint16 {
		return fmt.Errorf("shape has too many dimensions (%d)", len(shape))
	}
	head := append([]byte(magic), 1, 0)
	head = binary.LittleEndian.AppendUint16(head, uint16(padded))
	head = append(head, header...)
	head = append(head, strings.Repeat(" ", padded-len(header)-1)+"\n"...)
	out := bufio.NewWriter(w)
	if _, err := out.Write(head); err != nil {
		return err
	}
	var b [4]byte
	for _, v := range values {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		if _, err := out.Write(b[:]); err != nil {
			return err
		}
	}
	return out.Flush()
}
