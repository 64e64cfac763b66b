package simb_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

var writeGoldens = flag.Bool("goldens", false, "write goldens that are missing; those that exist never change")

// goldenDir returns the folder of the goldens of a version.
func goldenDir(version int) string { return fmt.Sprintf("testdata/v%d", version) }

// goldens is how the files of testdata/v1 to v4 were made, by the version of reader that they need. Files
// of a released version must load for ever.
var goldens = append([]goldenFile{
	{"all-7-raw", 1, simb.CodecRaw, simbtest.Options{Width: quant.Width7, Inputs: 6, States: 20, Outputs: 3, SelfTests: 2}},
	{"all-7-huff0", 2, simb.CodecHuff0, simbtest.Options{Width: quant.Width7, Inputs: 40, States: 60, Outputs: 4, SelfTests: 2}},
	{"all-14-raw", 3, simb.CodecRaw, simbtest.Options{Width: quant.Width14, Inputs: 6, States: 20, Outputs: 3, SelfTests: 2}},
	{"all-14-huff0", 4, simb.CodecHuff0, simbtest.Options{Width: quant.Width14, Inputs: 40, States: 60, Outputs: 4, SelfTests: 2}},
	{"causal-relu-7-raw", 5, simb.CodecRaw, simbtest.Options{Width: quant.Width7, Inputs: 12, States: 16, Outputs: 5, NoLoops: true, OnePlane: true, NoClaims: true, Kinds: []simb.Kind{simb.ReLU}, SelfTests: 2}},
	{"causal-relu-14-huff0", 6, simb.CodecHuff0, simbtest.Options{Width: quant.Width14, Inputs: 12, States: 16, Outputs: 5, NoLoops: true, Kinds: []simb.Kind{simb.ReLU}, SelfTests: 2}},
	{"tables-7-raw", 7, simb.CodecRaw, simbtest.Options{Width: quant.Width7, Inputs: 4, States: 8, Outputs: 2, Kinds: []simb.Kind{simb.Tanh, simb.Sigmoid}, SelfTests: 2}},
	{"tables-14-raw", 8, simb.CodecRaw, simbtest.Options{Width: quant.Width14, Inputs: 4, States: 8, Outputs: 2, Kinds: []simb.Kind{simb.Tanh, simb.Sigmoid}, SelfTests: 2}},
	{"limits-14-raw", 9, simb.CodecRaw, simbtest.Options{Width: quant.Width14, Inputs: 4, States: 12, Outputs: 2, Kinds: []simb.Kind{simb.Identity, simb.ClippedReLU, simb.HardTanh, simb.LeakyReLU}, SelfTests: 2}},
	{"loops-7-raw", 10, simb.CodecRaw, simbtest.Options{Width: quant.Width7, Inputs: 5, States: 30, Outputs: 2, Density: 0.9, SelfTests: 2}},
	{"one-output", 11, simb.CodecRaw, simbtest.Options{Width: quant.Width7, Inputs: 1, States: 1, Outputs: 1, SelfTests: 1}},
	{"all-7-packed", 12, simb.CodecPacked, simbtest.Options{Width: quant.Width7, Inputs: 40, States: 60, Outputs: 4, SelfTests: 2}},
	{"all-14-packed", 13, simb.CodecPacked, simbtest.Options{Width: quant.Width14, Inputs: 40, States: 60, Outputs: 4, SelfTests: 2}},
	{"causal-7-packed", 14, simb.CodecPacked, simbtest.Options{Width: quant.Width7, Inputs: 30, States: 40, Outputs: 5, NoLoops: true, OnePlane: true, Derived: true, SelfTests: 2}},
	{"causal-14-huff0-derived", 15, simb.CodecHuff0, simbtest.Options{Width: quant.Width14, Inputs: 12, States: 16, Outputs: 5, NoLoops: true, Derived: true, SelfTests: 2}},
	{"relaxed-7-packed", 17, simb.CodecPacked, simbtest.Options{Width: quant.Width7, Inputs: 20, States: 30, Outputs: 5, NoLoops: true, Relaxed: true, Derived: true, SelfTests: 2}},
	{"relaxed-14-raw", 18, simb.CodecRaw, simbtest.Options{Width: quant.Width14, Inputs: 6, States: 12, Outputs: 3, NoLoops: true, Relaxed: true, SelfTests: 2}},
	{"relaxed-14-huff0", 19, simb.CodecHuff0, simbtest.Options{Width: quant.Width14, Inputs: 6, States: 40, Outputs: 3, NoLoops: true, Relaxed: true, SelfTests: 2}},
	{"one-output-packed", 16, simb.CodecPacked, simbtest.Options{Width: quant.Width7, Inputs: 1, States: 1, Outputs: 1, SelfTests: 1}},
	{"causal-7-raw-derived", 17, simb.CodecRaw, simbtest.Options{Width: quant.Width7, Inputs: 8, States: 10, Outputs: 3, NoLoops: true, Derived: true, SelfTests: 2}},
	{"causal-14-packed-derived", 18, simb.CodecPacked, simbtest.Options{Width: quant.Width14, Inputs: 8, States: 10, Outputs: 3, NoLoops: true, Derived: true, SelfTests: 2}},
	{"loops-14-huff0", 19, simb.CodecHuff0, simbtest.Options{Width: quant.Width14, Inputs: 5, States: 16, Outputs: 2, Density: 0.9, NoClaims: true, SelfTests: 2}},
	{"signed-7-raw", 20, simb.CodecRaw, simbtest.Options{Width: quant.Width7, Inputs: 3, States: 4, Outputs: 2, SelfTests: 1}},
	{"signed-14-huff0", 21, simb.CodecHuff0, simbtest.Options{Width: quant.Width14, Inputs: 3, States: 4, Outputs: 2, SelfTests: 1}},
	{"signed-7-packed-derived", 22, simb.CodecPacked, simbtest.Options{Width: quant.Width7, Inputs: 3, States: 4, Outputs: 2, NoLoops: true, Derived: true, SelfTests: 1}},
	{"all-7-prefix", 30, simb.CodecPrefix, simbtest.Options{Width: quant.Width7, Inputs: 20, States: 30, Outputs: 4, SelfTests: 2}},
	{"all-14-prefix", 31, simb.CodecPrefix, simbtest.Options{Width: quant.Width14, Inputs: 20, States: 30, Outputs: 4, SelfTests: 2}},
	{"causal-7-prefix", 32, simb.CodecPrefix, simbtest.Options{Width: quant.Width7, Inputs: 60, States: 40, Outputs: 5, Density: 0.2, NoLoops: true, OnePlane: true, Derived: true, SelfTests: 2}},
	{"relaxed-14-prefix", 33, simb.CodecPrefix, simbtest.Options{Width: quant.Width14, Inputs: 8, States: 12, Outputs: 3, NoLoops: true, Relaxed: true, Derived: true, SelfTests: 2}},
	{"one-output-prefix", 34, simb.CodecPrefix, simbtest.Options{Width: quant.Width7, Inputs: 1, States: 1, Outputs: 1, SelfTests: 1}},
	{"signed-7-prefix", 35, simb.CodecPrefix, simbtest.Options{Width: quant.Width7, Inputs: 3, States: 4, Outputs: 2, SelfTests: 1}},
}, activationGoldens()...)

// goldenFile says how a golden was made. One whose name begins with "signed" is signed by testKey(1).
type goldenFile struct {
	name    string
	seed    uint64
	codec   simb.Codec
	options simbtest.Options
}

// activationGoldens are small files of one activation each, of either width.
func activationGoldens() (files []goldenFile) {
	codecs := []struct {
		name  string
		codec simb.Codec
	}{{"raw", simb.CodecRaw}, {"huff0", simb.CodecHuff0}, {"packed", simb.CodecPacked}}
	for k, kind := range []string{"identity", "relu", "clipped-relu", "leaky-relu", "hard-tanh", "tanh", "sigmoid"} {
		for w, width := range []quant.Width{quant.Width7, quant.Width14} {
			c := codecs[(k+w)%len(codecs)]
			files = append(files, goldenFile{
				fmt.Sprintf("only-%s-%d-%s", kind, width, c.name), uint64(100 + 2*k + w), c.codec,
				simbtest.Options{Width: width, Inputs: 4, States: 7, Outputs: 2, Density: 0.6, Kinds: []simb.Kind{simb.Kind(k)}, NoClaims: true, SelfTests: 1},
			})
		}
	}
	return files
}

// made returns the bytes of a golden as this package writes them.
func (g goldenFile) made(t testing.TB, m *simb.Model) []byte {
	data := encode(t, m, g.codec)
	if !strings.HasPrefix(g.name, "signed") {
		return data
	}
	_, private := testKey(1)
	return sign(t, data, private)
}

// version returns the reader that a golden needs.
func version(codec simb.Codec, o simbtest.Options) int {
	if codec == simb.CodecPrefix {
		return 4
	}
	if o.Relaxed {
		return 3
	}
	if codec == simb.CodecPacked || o.Derived {
		return 2
	}
	return 1
}

func goldenNames(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/v*/*.simb")
	if err != nil || len(names) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	return names
}

func golden(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGoldensAreComplete writes missing goldens when asked to, and holds the list against the folder.
func TestGoldensAreComplete(t *testing.T) {
	for _, g := range goldens {
		path := filepath.Join(goldenDir(version(g.codec, g.options)), g.name+".simb")
		if _, err := os.Stat(path); err == nil || !*writeGoldens {
			continue
		}
		if err := os.WriteFile(path, g.made(t, simbtest.Random(simbtest.NewRand(g.seed), g.options)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if names := goldenNames(t); len(names) != len(goldens) {
		t.Errorf("%d goldens, the list has %d", len(names), len(goldens))
	}
}

func TestGoldensLoadForEver(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			needs := version(g.codec, g.options)
			data := golden(t, filepath.Join(goldenDir(needs), g.name+".simb"))
			file := open(t, data)
			if file.Info().MinimumReader != needs {
				t.Errorf("it is for readers of version %d", file.Info().MinimumReader)
			}
			m := file.Model()
			if again := g.made(t, m); !bytes.Equal(again, data) {
				t.Error("written again, the bytes differ")
			}
			if len(m.SelfTest) == 0 {
				t.Error("no self-test")
			}
			for _, test := range m.SelfTest {
				if diff := cmp.Diff(test, simbtest.Case(m, test.Seed)); diff != "" {
					t.Errorf("self-test: %s", diff)
				}
			}
			if m.Width == quant.Width7 != strings.Contains(g.name, "7") && !strings.HasPrefix(g.name, "one-output") {
				t.Errorf("width %d", m.Width)
			}
		})
	}
}

// TestGoldensCoverTheFormat makes sure that every section and every activation is in some golden.
func TestGoldensCoverTheFormat(t *testing.T) {
	sections, kinds, features := map[string]bool{}, map[simb.Kind]bool{}, map[string]bool{}
	for _, name := range goldenNames(t) {
		file := open(t, golden(t, name))
		for _, s := range file.Sections() {
			sections[s.Name] = true
			sections["packed"] = sections["packed"] || s.Coding == "packed" || s.Coding == "prefix"
		}
		for i := range file.Meta().States() {
			kinds[file.Meta().Rows[i].Kind] = true
		}
		for _, f := range file.Info().Required {
			features[f] = true
		}
	}
	for _, name := range simb.SectionNames() {
		if !sections[name] {
			t.Errorf("section %s is in no golden", name)
		}
	}
	if len(kinds) != simb.KindCount || len(features) != 8 {
		t.Errorf("kinds %v, features %v", kinds, features)
	}
}
