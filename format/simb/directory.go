package simb

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// sectionEntry is a line of the file's directory.
type sectionEntry struct {
	id      sectionID
	codec   uint8
	element uint8
	length  uint32 // decoded bytes
	stored  uint32 // bytes in the payload
	crc     uint32 // crc32c of the decoded bytes
	at      span   // in the file
}

func parseEntry(b []byte) sectionEntry {
	return sectionEntry{
		id: sectionID(binary.LittleEndian.Uint16(b)), codec: b[2], element: b[3],
		length: binary.LittleEndian.Uint32(b[4:]), stored: binary.LittleEndian.Uint32(b[8:]), crc: binary.LittleEndian.Uint32(b[12:]),
	}
}

// readDirectory checks every line against the payload and against what the header counts, before
// anything is decoded. It returns the known sections in order.
func (f *frame) readDirectory(h *header) ([]sectionEntry, error) {
	directory, payload := f.bytes(fieldSections), f.contents[fieldPayload]
	entries := make([]sectionEntry, 0, len(knownSections))
	at, last := payload.start, -1
	for k := 0; k < len(directory); k += sectionSize {
		entry, line := parseEntry(directory[k:]), int64(f.contents[fieldSections].start+k)
		if int(entry.id) <= last {
			return nil, corrupt("sections", line, "section %d after %d, they must ascend", entry.id, last)
		}
		last = int(entry.id)
		if uint64(entry.stored) > uint64(payload.end-at) {
			return nil, corrupt("sections", line, "section %d is longer than the payload", entry.id)
		}
		entry.at = span{at, at + int(entry.stored)}
		at = entry.at.end
		info, known := describe(entry.id)
		if !known && entry.id < firstOptionalSection {
			return nil, fmt.Errorf("section %d is unknown to this reader; use a newer release: %w", entry.id, ErrFeature)
		}
		if !known {
			continue
		}
		if err := h.checkEntry(entry, info, line); err != nil {
			return nil, err
		}
		entries = append(entries, entry)
		if entries[0].id == sectionPacked && len(entries) > 1 || entry.id == sectionPacked && len(entries) > 1 {
			return nil, corrupt(info.name, line, "a packed file has no section beside the packed one")
		}
	}
	if at != payload.end {
		return nil, corrupt("payload", int64(at), "%d bytes belong to no section", payload.end-at)
	}
	return entries, nil
}

// checkEntry checks one line of the directory.
func (h *header) checkEntry(entry sectionEntry, info sectionInfo, line int64) error {
	if int(entry.element) != info.element {
		return corrupt(info.name, line, "elements of %d bytes, they have %d", entry.element, info.element)
	}
	if info.claim != 0 && info.claim&h.claims == 0 {
		return corrupt(info.name, line, "it is present, but the claim that it belongs to is not made")
	}
	if h.derived && derivable(entry.id) {
		return corrupt(info.name, line, "it is present, but declared as derived")
	}
	least, most := h.elements(info.count)
	least, most = least*uint64(info.element), most*uint64(info.element)
	if n := uint64(entry.length); n == 0 || n%uint64(info.element) != 0 || n < least || n > most {
		return corrupt(info.name, line, "%d bytes, the model needs %d to %d", entry.length, least, most)
	}
	switch {
	case entry.codec > storedPrefix || (entry.codec >= storedBits) != (entry.id == sectionPacked):
		return corrupt(info.name, line, "coding %d is unknown", entry.codec)
	case entry.codec == storedRaw && entry.stored != entry.length:
		return corrupt(info.name, line, "%d bytes stored raw, %d declared", entry.stored, entry.length)
	}
	return nil
}

// sections decodes sections and keeps them by number.
type sections struct {
	decoded  map[sectionID][]byte
	features uint64        // that their coding uses
	sizes    []SectionInfo // for people
}

// decodeSections checks and decodes every section. Raw ones alias the file.
func (f *frame) decodeSections(h *header, entries []sectionEntry, heap *budget) (*sections, error) {
	s := &sections{decoded: make(map[sectionID][]byte, len(entries))}
	var decoder planeDecoder
	for _, entry := range entries {
		info, _ := describe(entry.id)
		raw := f.data[entry.at.start:entry.at.end:entry.at.end]
		if entry.codec != storedRaw {
			if err := heap.take(uint64(entry.length)); err != nil {
				return nil, err
			}
			decoded := make([]byte, entry.length)
			at, reason := 0, ""
			switch entry.codec {
			case storedBits:
				s.decoded, s.sizes, at, reason = unpack(h, raw, decoded)
			case storedPrefix:
				s.decoded, s.sizes, at, reason = unpackPrefix(h, raw, decoded)
			default:
				at, reason = decoder.decode(decoded, raw, info.element)
			}
			if reason != "" {
				return nil, corrupt(info.name, int64(entry.at.start+at), "%s", reason)
			}
			raw = decoded
		}
		if crc32.Checksum(raw, castagnoli) != entry.crc {
			return nil, corrupt(info.name, int64(entry.at.start), "its checksum differs")
		}
		switch entry.codec {
		case storedBits:
			s.features |= featurePacked
			continue
		case storedPrefix:
			s.features |= featurePrefix
			continue
		}
		s.decoded[entry.id] = raw
		s.sizes = append(s.sizes, SectionInfo{info.name, int(entry.length), int(entry.stored), []string{"raw", "planes"}[entry.codec]})
	}
	if decoder.huff0 {
		s.features |= featureHuff0
	}
	return s, nil
}
