package simb

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// spec is SPEC.md, whose tables are held against the code: a number in one of them alone is an error.
func spec(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// specTable returns the rows of the table of SPEC.md that has this header, cell by cell.
func specTable(t *testing.T, header ...string) [][]string {
	t.Helper()
	var rows [][]string
	inside := false
	for line := range strings.Lines(spec(t)) {
		line = strings.TrimSpace(line)
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case len(cells) >= len(header) && slices.Equal(cells[:len(header)], header):
			inside = true
		case inside && !strings.HasPrefix(line, "|---"):
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("SPEC.md has no table with the header %v", header)
	}
	return rows
}

func list(cell string) []string {
	var items []string
	for _, item := range strings.Split(cell, ", ") {
		items = append(items, strings.Trim(strings.TrimSpace(item), "`"))
	}
	return items
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatalf("SPEC.md: %q is no number", text)
	}
	return n
}

var numbered = regexp.MustCompile(`(\d+) ([a-z][a-z -]*[a-z])`)

// named returns the numbers that a cell gives to words, as "0 none, 1 argmax".
func named(t *testing.T, cell string) map[string]int {
	t.Helper()
	numbers := map[string]int{}
	for _, match := range numbered.FindAllStringSubmatch(cell, -1) {
		numbers[match[2]] = number(t, match[1])
	}
	return numbers
}

func compare(t *testing.T, what string, written, code map[string]int) {
	t.Helper()
	if !maps.Equal(written, code) {
		t.Errorf("%s: SPEC.md has %v, the code %v", what, written, code)
	}
}

var elementSizes = map[string]int{"u8": 1, "i8": 1, "varint": 1, "u16": 2, "u32": 4, "i32": 4, "f32": 4, "u64": 8}

// TestTheFrameIsThatOfTheSpecification compares every field's id, name and type.
func TestTheFrameIsThatOfTheSpecification(t *testing.T) {
	rows := specTable(t, "id", "field", "type", "meaning")
	if len(rows) != fieldCount {
		t.Errorf("SPEC.md has %d fields, the code %d", len(rows), fieldCount)
	}
	for k, row := range rows {
		id, name := number(t, row[0]), strings.Trim(row[1], "`")
		want := frameField{name: name}
		switch size, scalar := elementSizes[row[2]]; {
		case scalar:
			want.kind, want.size = scalarField, size
		case row[2] == "string":
			want.kind, want.size = stringField, 1
		case row[2] == "Section[]":
			want.kind, want.size = structsField, sectionSize
		case strings.HasSuffix(row[2], "u8") || row[2] == "u8[]":
			want.kind, want.size = bytesField, 1
		default:
			t.Errorf("field %d: SPEC.md has the type %q", id, row[2])
		}
		if id != k || id >= fieldCount || frameFields[id] != want {
			t.Errorf("line %d: SPEC.md has the field %d as %+v", k, id, want)
		}
		switch name {
		case "decision":
			compare(t, name, named(t, row[3]), map[string]int{"none": int(DecideNone), "argmax": int(DecideArgmax), "argmin": int(DecideArgmin)})
		case "claims":
			compare(t, name, named(t, strings.SplitN(row[3], ";", 2)[0]), claimBits(t))
		}
	}
}

// claimBits returns the bits of the claims by their names, from the table that TestClaimsAreThoseOfTheSpecification
// holds against the code.
func claimBits(t *testing.T) map[string]int {
	t.Helper()
	bits := map[string]int{}
	for _, row := range specTable(t, "bit", "ids", "sections", "how many") {
		bit, name, _ := strings.Cut(row[0], " ")
		bits[name] = number(t, bit)
	}
	return bits
}

func TestFeaturesAreThoseOfTheSpecification(t *testing.T) {
	written, code := map[string]int{}, map[string]int{}
	for _, row := range specTable(t, "bit", "name", "set when") {
		written[row[1]] = number(t, row[0])
	}
	for bit, name := range featureNames {
		code[name] = bit
	}
	compare(t, "features", written, code)
	if knownFeatures != 1<<len(featureNames)-1 {
		t.Errorf("the known features are %#x, %d have names", knownFeatures, len(featureNames))
	}
}

// TestSectionsAreThoseOfTheSpecification compares every section's id, name and element; those of claims
// have a table of their own.
func TestSectionsAreThoseOfTheSpecification(t *testing.T) {
	written := map[string]bool{}
	for _, row := range specTable(t, "id", "section", "element", "how many", "meaning") {
		names, elements := list(row[1]), list(row[2])
		ids := list(row[0])
		if !strings.Contains(row[1], "`") { // a range of claims
			continue
		}
		if len(ids) != len(names) {
			t.Fatalf("SPEC.md: %d ids for %d names: %v", len(ids), len(names), row)
		}
		for k, name := range names {
			element := elements[min(k, len(elements)-1)]
			written[fmt.Sprintf("%d %s of %d bytes", number(t, ids[k]), name, elementSizes[element])] = true
		}
		switch names[0] {
		case "state.kind":
			compare(t, names[0], named(t, row[4]), map[string]int{
				"identity": int(Identity), "relu": int(ReLU), "clipped relu": int(ClippedReLU), "leaky relu": int(LeakyReLU),
				"hard tanh": int(HardTanh), "tanh": int(Tanh), "sigmoid": int(Sigmoid),
			})
		case "state.saturates":
			if !strings.Contains(row[4], "bit 0: reaching below lo") || !strings.Contains(row[4], "bit 1: above hi") || SaturatesLow != 1<<0 || SaturatesHigh != 1<<1 {
				t.Errorf("saturation bits: SPEC.md says %q, the code has %d and %d", row[4], SaturatesLow, SaturatesHigh)
			}
		}
	}
	code := map[string]bool{}
	for _, s := range knownSections {
		// Those of claims have no line here, for they are f32, but where they are not.
		if line := fmt.Sprintf("%d %s of %d bytes", s.id, s.name, s.element); s.claim == 0 || s.element != 4 {
			code[line] = true
		}
	}
	compareSets(t, written, code)
}

// TestClaimsAreThoseOfTheSpecification compares bits, ids and names; a name that begins with a point goes on
// from the one before.
func TestClaimsAreThoseOfTheSpecification(t *testing.T) {
	written, code := map[string]bool{}, map[string]bool{}
	for _, row := range specTable(t, "bit", "ids", "sections", "how many") {
		bit, _, _ := strings.Cut(row[0], " ")
		ids, names := list(row[1]), list(row[2])
		if first, last, isRange := strings.Cut(row[1], " to "); isRange {
			ids = nil
			for id := number(t, first); id <= number(t, last); id++ {
				ids = append(ids, strconv.Itoa(id))
			}
		}
		if len(ids) != len(names) {
			t.Fatalf("SPEC.md: %d ids for %d names: %v", len(ids), len(names), row)
		}
		claim, _, _ := strings.Cut(names[0], ".")
		for k, name := range names {
			if strings.HasPrefix(name, ".") {
				name = claim + name
			}
			written[fmt.Sprintf("%d %s of the claim %d", number(t, ids[k]), name, number(t, bit))] = true
		}
	}
	for _, s := range knownSections {
		if s.claim != 0 {
			code[fmt.Sprintf("%d %s of the claim %d", s.id, s.name, s.claim)] = true
		}
	}
	compareSets(t, written, code)
}

func compareSets(t *testing.T, written, code map[string]bool) {
	t.Helper()
	for _, line := range slices.Sorted(maps.Keys(written)) {
		if !code[line] {
			t.Errorf("SPEC.md alone has %s", line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(code)) {
		if !written[line] {
			t.Errorf("the code alone has %s", line)
		}
	}
}

func TestCodingsAreThoseOfTheSpecification(t *testing.T) {
	tags := map[string]int{}
	for _, row := range specTable(t, "tag", "chunk", "what follows") {
		tags[row[1]] = number(t, row[0])
	}
	compare(t, "tags of chunks", tags, map[string]int{"raw": chunkRaw, "huff0": chunkHuff0, "run": chunkRun})
	text := spec(t)
	for _, says := range []string{
		fmt.Sprintf("**Coding %d, raw:**", storedRaw), fmt.Sprintf("**Coding %d, planes:**", storedPlanes), fmt.Sprintf("with coding %d for the one and %d for the other, which no other section has", storedBits, storedPrefix),
		fmt.Sprintf("chunks of %d decoded bytes", chunkSize), fmt.Sprintf("from 0x%X on it is skipped", firstOptionalSection),
		"the " + strconv.Itoa(signatureSize) + " of the signature", "`simb signature 1`", "`sim-ed25519-public `", "`sim-ed25519-private `", fmt.Sprintf("at most %d bytes of UTF-8", maxCompiler), fmt.Sprintf("A Section is %d bytes", sectionSize),
	} {
		if !strings.Contains(text, says) {
			t.Errorf("SPEC.md does not say %q", says)
		}
	}
}
