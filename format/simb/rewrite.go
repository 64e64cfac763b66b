package simb

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Encode writes a model anew; what is here writes a file anew whose sections stay as they are stored.

// frameContents is everything that a frame holds, apart from the digest, by field id.
type frameContents struct {
	scalars [fieldCount]uint64
	vectors [fieldCount][]byte // contents; nil: absent
}

// setSignature puts a signature and its checksum in place.
func (c *frameContents) setSignature(signature []byte) {
	c.vectors[fieldSignature] = signature
	c.scalars[fieldSignatureCRC] = uint64(crc32.Checksum(signature, castagnoli))
}

// read returns what the frame holds. Fields that this version does not know cannot be carried over.
func (f *frame) read() (*frameContents, error) {
	if id, found := f.laterField(); found {
		return nil, fmt.Errorf("the file has the field %d of a later version; use a newer release: %w", id, ErrFeature)
	}
	c := &frameContents{}
	for id, field := range frameFields {
		switch {
		case field.kind == scalarField:
			c.scalars[id] = f.uint(id)
		case f.inTable[id].len() > 0:
			c.vectors[id] = f.bytes(id)
		}
	}
	return c, nil
}

// laterField returns the first field in use whose id this version does not know.
func (f *frame) laterField() (id int, found bool) {
	table := int64(binary.LittleEndian.Uint32(f.data))
	vtable := table - int64(int32(binary.LittleEndian.Uint32(f.data[table:])))
	size := int64(binary.LittleEndian.Uint16(f.data[vtable:]))
	for slot := int64(4 + 2*fieldCount); slot < size; slot += 2 {
		if binary.LittleEndian.Uint16(f.data[vtable+slot:]) != 0 {
			return int(slot-4) / 2, true
		}
	}
	return 0, false
}

// rewritten returns a new file with the contents of this one, changed, and the digest that they have.
// Sections stay as they are stored, bit for bit.
func (f *frame) rewritten(change func(*frameContents)) ([]byte, error) {
	c, err := f.read()
	if err != nil {
		return nil, err
	}
	change(c)
	return c.write(), nil
}

// write lays the contents out as Encode does, byte for byte, and fills in the digest.
func (c *frameContents) write() []byte {
	b := flatbuffers.NewBuilder(len(c.vectors[fieldPayload]) + 4096)
	var offsets [fieldCount]flatbuffers.UOffsetT
	for _, id := range [...]int{fieldPayload, fieldSections, fieldCompiler, fieldSourceHash, fieldDigest, fieldSignature} {
		switch content := c.vectors[id]; {
		case content == nil:
		case id == fieldCompiler:
			offsets[id] = b.CreateString(string(content))
		case id == fieldSections:
			b.StartVector(sectionSize, len(content)/sectionSize, 4)
			for k := len(content) - 1; k >= 0; k-- {
				b.PlaceByte(content[k])
			}
			offsets[id] = b.EndVector(len(content) / sectionSize)
		default:
			offsets[id] = b.CreateByteVector(content)
		}
	}
	b.StartObject(fieldCount)
	for id, field := range frameFields {
		switch {
		case offsets[id] != 0:
			b.PrependUOffsetTSlot(id, offsets[id], 0)
		case field.kind == scalarField:
			prependScalar(b, id, field.size, c.scalars[id])
		}
	}
	b.FinishWithFileIdentifier(b.EndObject(), []byte("SIMB"))
	data := b.FinishedBytes()
	stamp(data)
	return data
}

// prependScalar adds a scalar field, unless it is 0.
func prependScalar(b *flatbuffers.Builder, id, size int, v uint64) {
	switch size {
	case 1:
		b.PrependByteSlot(id, byte(v), 0)
	case 2:
		b.PrependUint16Slot(id, uint16(v), 0)
	case 4:
		b.PrependUint32Slot(id, uint32(v), 0)
	case 8:
		b.PrependUint64Slot(id, v, 0)
	default:
		panic("unreachable: a scalar of another size")
	}
}

// SetSequence returns a copy of a compiled model that counts its releases anew, with the digest that goes
// with it. A signature is left out: it was of other content.
//
// Errors: those of Open, within the limits of the options; ErrFeature as Sign has it.
func SetSequence(data []byte, sequence uint64, options ...Option) ([]byte, error) {
	file, err := Open(data, options...)
	if err != nil {
		return nil, err
	}
	return file.frame.rewritten(func(c *frameContents) {
		c.scalars[fieldSequence] = sequence
		c.vectors[fieldSignature], c.scalars[fieldSignatureCRC] = nil, 0
	})
}
