package simb

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Slots of flatc's binary schema (reflection.fbs), in bytes of a vtable, and the base types used here.
const (
	schemaObjects, schemaIdent, schemaRoot        = 4, 8, 12
	objectName, objectFields, objectSize          = 4, 6, 12
	fieldName, fieldType, fieldID, fieldOffset    = 4, 6, 8, 10
	typeBase, typeElement, typeIndex              = 4, 6, 8
	typeUByte, typeUShort, typeUInt, typeULong    = 4, 6, 8, 10
	typeFloat, typeString, typeVector, typeObject = 11, 13, 14, 15
)

var scalarSizes = map[byte]int{typeUByte: 1, typeUShort: 2, typeUInt: 4, typeULong: 8, typeFloat: 4}

func child(t *flatbuffers.Table, slot flatbuffers.VOffsetT) *flatbuffers.Table {
	at := flatbuffers.UOffsetT(t.Offset(slot))
	return &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + at)}
}

func children(t *flatbuffers.Table, slot flatbuffers.VOffsetT) []*flatbuffers.Table {
	at := flatbuffers.UOffsetT(t.Offset(slot))
	var out []*flatbuffers.Table
	for k := range t.VectorLen(at) {
		out = append(out, &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Vector(at) + flatbuffers.UOffsetT(4*k))})
	}
	return out
}

func text(t *flatbuffers.Table, slot flatbuffers.VOffsetT) string {
	return string(t.ByteVector(t.Pos + flatbuffers.UOffsetT(t.Offset(slot))))
}

// TestFrameDescriptionIsTheSchema holds frameFields, by which untrusted files are walked, against what
// flatc made of simb.fbs.
func TestFrameDescriptionIsTheSchema(t *testing.T) {
	data, err := os.ReadFile("testdata/simb.bfbs")
	if err != nil {
		t.Fatal(err)
	}
	schema := &flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
	if ident := text(schema, schemaIdent); ident != "SIMB" {
		t.Errorf("identifier %q", ident)
	}
	objects := children(schema, schemaObjects)
	root := child(schema, schemaRoot)
	if name := text(root, objectName); name != "fb.File" {
		t.Fatalf("root %q", name)
	}
	fields := children(root, objectFields)
	if len(fields) != fieldCount || len(frameFields) != fieldCount {
		t.Fatalf("the schema has %d fields, the reader %d", len(fields), len(frameFields))
	}
	for _, f := range fields {
		id := f.GetUint16Slot(fieldID, 0)
		want, typ := frameFields[id], child(f, fieldType)
		if got := text(f, fieldName); got != want.name {
			t.Errorf("field %d is %s, the reader says %s", id, got, want.name)
		}
		base, element := typ.GetByteSlot(typeBase, 0), typ.GetByteSlot(typeElement, 0)
		got := frameField{want.name, scalarField, scalarSizes[base]}
		switch {
		case base == typeString:
			got.kind, got.size = stringField, 1
		case base == typeVector && element == typeUByte:
			got.kind, got.size = bytesField, 1
		case base == typeVector && element == typeObject:
			object := objects[typ.GetInt32Slot(typeIndex, -1)]
			got.kind, got.size = structsField, int(object.GetInt32Slot(objectSize, 0))
			checkSection(t, object)
		}
		if got != want {
			t.Errorf("field %d is %+v, the reader says %+v", id, got, want)
		}
	}
}

// checkSection holds parseEntry against the struct of the schema.
func checkSection(t *testing.T, object *flatbuffers.Table) {
	bytes := make([]byte, sectionSize)
	for k := range bytes {
		bytes[k] = byte(k + 1)
	}
	entry := parseEntry(bytes)
	read := map[string]uint64{
		"id": uint64(entry.id), "codec": uint64(entry.codec), "element": uint64(entry.element),
		"length": uint64(entry.length), "stored": uint64(entry.stored), "crc": uint64(entry.crc),
	}
	fields := children(object, objectFields)
	if len(fields) != len(read) {
		t.Errorf("the struct has %d fields, the reader %d", len(fields), len(read))
	}
	for _, f := range fields {
		var want uint64
		at := int(f.GetUint16Slot(fieldOffset, 0))
		for k := range scalarSizes[child(f, fieldType).GetByteSlot(typeBase, 0)] {
			want |= uint64(bytes[at+k]) << (8 * k)
		}
		if name := text(f, fieldName); read[name] != want {
			t.Errorf("%s lies at %d, the reader takes %#x", name, at, read[name])
		}
	}
}

// TestGeneratedFilesAreUpToDate runs flatc where it is installed.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	flatc, err := exec.LookPath("flatc")
	if err != nil {
		t.Skip("flatc is not installed")
	}
	dir := t.TempDir()
	for _, args := range [][]string{{"--go", "--go-namespace", "fb", "-o", dir}, {"--binary", "--schema", "-o", dir}} {
		command := exec.Command(flatc, append(args, "simb.fbs")...)
		command.Dir = ".." // the binary schema names the file as it was given
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("flatc: %v\n%s", err, out)
		}
	}
	for generated, committed := range map[string]string{"fb/File.go": "../internal/fb/File.go", "fb/Section.go": "../internal/fb/Section.go", "simb.bfbs": "testdata/simb.bfbs"} {
		want, err := os.ReadFile(filepath.Join(dir, generated))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(committed); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what flatc makes of simb.fbs: run go generate ./format", committed)
		}
	}
}

// TestNumbersOfTheFileNeverChange pins every number that a file holds.
func TestNumbersOfTheFileNeverChange(t *testing.T) {
	var names string
	for id, f := range frameFields {
		names += fmt.Sprintf("%d %s %d/%d\n", id, f.name, f.kind, f.size)
	}
	for _, s := range knownSections {
		names += fmt.Sprintf("%d %s %d %d %d\n", s.id, s.name, s.element, s.count, s.claim)
	}
	want, err := os.ReadFile("testdata/numbers.txt")
	if err != nil || names != string(want) {
		t.Errorf("testdata/numbers.txt differs from the fields and sections:\n%s", names)
	}
	for name, pair := range map[string][2]uint64{
		"identity": {uint64(Identity), 0}, "relu": {uint64(ReLU), 1}, "clipped relu": {uint64(ClippedReLU), 2}, "leaky relu": {uint64(LeakyReLU), 3},
		"hard tanh": {uint64(HardTanh), 4}, "tanh": {uint64(Tanh), 5}, "sigmoid": {uint64(Sigmoid), 6}, "kinds": {KindCount, 7},
		"no decision": {uint64(DecideNone), 0}, "argmax": {uint64(DecideArgmax), 1}, "argmin": {uint64(DecideArgmin), 2},
		"saturates low": {uint64(SaturatesLow), 1}, "saturates high": {uint64(SaturatesHigh), 2},
		"reach": {claimReach, 1}, "box": {claimBox, 2}, "calibrated": {claimCalibrated, 4}, "lipschitz": {claimLipschitz, 8}, "well-posed": {claimWellPosed, 16}, "relaxed": {claimRelaxed, 32}, "relaxed calibrated": {claimRelaxedCalibrated, 64}, "claims": {knownClaims, 127},
		"huff0": {featureHuff0, 1}, "tables": {featureTables, 2}, "loops": {featureLoops, 4}, "two planes": {featurePlanes, 8}, "packed": {featurePacked, 16}, "derived": {featureDerived, 32}, "relaxed bounds": {featureRelaxed, 64}, "prefix": {featurePrefix, 128}, "features": {knownFeatures, 255},
		"raw": {storedRaw, 0}, "planes": {storedPlanes, 1}, "bits": {storedBits, 2}, "words": {storedPrefix, 3}, "raw chunk": {chunkRaw, 0}, "huff0 chunk": {chunkHuff0, 1}, "run chunk": {chunkRun, 2}, "chunk": {chunkSize, 131072},
		"tree": {mostNodes, 1 << 20}, "depth": {mostDepth, 512}, "cuts": {mostCut, 254},
		"format": {FormatVersion, 4}, "reader": {ReaderVersion, 1},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %d, files have %d", name, pair[0], pair[1])
		}
	}
	last := sectionID(0)
	for _, s := range knownSections {
		if s.id <= last {
			t.Errorf("section %s does not ascend", s.name)
		}
		last = s.id
	}
}
