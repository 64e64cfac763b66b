package format_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// TestSpecificationSuffices compiles a reader in C that was written from SPEC.md, PACKED.md and PREFIX.md alone and compares what
// it computes with the self-test of every golden that it can read, and of random models.
func TestSpecificationSuffices(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is not installed")
	}
	dir := t.TempDir()
	reader := filepath.Join(dir, "reader")
	build := exec.Command(gcc, "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined,address", "-fno-sanitize-recover", "-o", reader, "testdata/creader/reader.c")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	files, err := filepath.Glob("simb/testdata/v*/*.simb")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for seed := range uint64(30) {
		codec := []simb.Codec{simb.CodecRaw, simb.CodecPacked, simb.CodecPrefix}[seed%3]
		data, err := simb.Encode(simbtest.Random(simbtest.NewRand(seed), simbtest.Options{SelfTests: 2}), simb.EncodeOptions{Codec: codec})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(dir, fmt.Sprintf("random%d.simb", seed)))
		if err := os.WriteFile(files[len(files)-1], data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compared := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := simb.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(reader, name).CombinedOutput()
		if strings.Contains(name, "huff0") {
			if err == nil || !strings.Contains(string(out), "feature") {
				t.Errorf("%s: %s", name, out)
			}
			continue
		}
		var want strings.Builder
		fmt.Fprintf(&want, "%s, sequence %d\n", map[bool]string{true: "signed", false: "not signed"}[file.Signed()], file.Meta().Sequence)
		for _, test := range file.Meta().SelfTest {
			want.WriteString("outputs")
			for _, y := range test.Outputs {
				fmt.Fprintf(&want, " %d", y)
			}
			fmt.Fprintf(&want, " saturations %d states %08x\n", test.Saturations, test.StateDigest)
		}
		if err != nil || string(out) != want.String() {
			t.Errorf("%s: %v\n%swant\n%s", name, err, out, want.String())
		}
		compared++
	}
	t.Logf("%d files read in C", compared)
	refuseInC(t, reader, dir)
}

// refuseInC spoils files in ways that the reader in C has to find.
func refuseInC(t *testing.T, reader, dir string) {
	for _, c := range []struct {
		name, file string
		field      int
		vector     bool
		says       string
	}{
		{"activations of 45 bits", "v2/one-output-packed", 7, false, "a width"},
		{"a signature with a flipped bit", "v1/signed-7-raw", 5, true, "the checksum of the signature"},
		{"another checksum of the signature", "v1/signed-7-raw", 6, false, "the checksum of the signature"},
		{"another digest", "v1/signed-7-raw", 4, true, "the digest"},
		{"another sequence", "v1/signed-7-raw", 22, false, "the digest"},
		{"another payload", "v2/signed-7-packed-derived", 26, true, "the digest"},
	} {
		data, err := os.ReadFile("simb/testdata/" + c.file + ".simb")
		if err != nil {
			t.Fatal(err)
		}
		layout, _ := simbtest.Parse(data)
		at := layout.Fields[c.field][0]
		if c.vector {
			at = layout.Vectors[c.field][0]
		}
		data[at] ^= 0x2A
		name := filepath.Join(dir, "spoilt.simb")
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(reader, name).CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "reader: "+c.says) {
			t.Errorf("%s: %s", c.name, out)
		}
	}
}
