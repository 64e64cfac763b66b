package simb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// TestRewrittenFilesAreThoseOfTheWriter holds the two ways to write a frame against each other, with and
// without a signature and a hash of the source.
func TestRewrittenFilesAreThoseOfTheWriter(t *testing.T) {
	signature := bytes.Repeat([]byte{7}, signatureSize)
	for name, m := range map[string]*Model{"tiny": tiny(), "looped": looped()} {
		for _, hash := range [][32]byte{{}, {1, 2, 3}} {
			m.SourceHash = hash
			plain, signed := build(m, nil, nil), build(m, nil, signature)
			for _, from := range [][]byte{plain, signed} {
				f, err := parseFrame(from)
				if err != nil {
					t.Fatal(err)
				}
				got, err := f.rewritten(func(c *frameContents) { c.setSignature(signature) })
				if err != nil || !bytes.Equal(got, signed) {
					t.Errorf("%s: signed anew, the bytes differ (%v)", name, err)
				}
				got, err = f.rewritten(func(c *frameContents) { c.vectors[fieldSignature], c.scalars[fieldSignatureCRC] = nil, 0 })
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%s: without a signature, the bytes differ (%v)", name, err)
				}
			}
		}
	}
}

// TestFieldsOfLaterVersionsAreNotLost gives the vtable one entry more: Open ignores it, nothing is rewritten.
func TestFieldsOfLaterVersionsAreNotLost(t *testing.T) {
	data := build(tiny(), nil, nil)
	table := int(binary.LittleEndian.Uint32(data))
	vtable := table - int(int32(binary.LittleEndian.Uint32(data[table:])))
	// A longer vtable behind everything else, which the table points to.
	later := append(bytes.Clone(data), data[vtable:vtable+4+2*fieldCount]...)
	later = append(later, 4, 0)
	binary.LittleEndian.PutUint16(later[len(data):], 4+2*fieldCount+2)
	binary.LittleEndian.PutUint32(later[table:], uint32(int32(table-len(data))))
	stamp(later)
	if _, err := Open(later); err != nil {
		t.Fatalf("a field of a later version: %v", err)
	}
	f, err := parseFrame(later)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.rewritten(func(*frameContents) {}); !errors.Is(err, ErrFeature) {
		t.Errorf("rewritten without the field: %v", err)
	}
	if _, err := SetSequence(later, 5); !errors.Is(err, ErrFeature) {
		t.Errorf("another sequence: %v", err)
	}
}
