package simb_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// answersFile pins what every golden answers: a line for each golden and input. The integer inputs are made
// from a seed as for a self-test; the real ones lie in the declared box: quarter 0 is its lower end, 4 its
// upper one. The runtime's tests read the file too, so that it holds on every architecture and kernel.
const answersFile = "testdata/answers.txt"

// answers returns the lines of a golden, by what stands before their answers.
func answers(name string, m *simb.Model) (keys []string, lines map[string]string) {
	lines = map[string]string{}
	for k := range 4 {
		for _, a := range []func(*simb.Model, int) (input, answer string){fromSeed, fromReals} {
			input, answer := a(m, k+1)
			keys = append(keys, name+" "+input)
			lines[name+" "+input] = name + " " + input + " " + answer + "\n"
		}
	}
	return keys, lines
}

func fromReals(m *simb.Model, quarter int) (input, answer string) {
	q := make([]uint16, len(m.Inputs))
	saturations := uint64(0)
	for j, in := range m.Inputs {
		u := float32(float64(in.Lo) + float64(float64(quarter)/4*(float64(in.Hi)-float64(in.Lo))))
		integer, saturated := quant.InputFromReal(u, in.Scale, in.Zero, m.Width)
		if q[j] = uint16(integer); saturated {
			saturations++
		}
	}
	outputs, _, counted := simbtest.Run(m, q)
	for _, y := range outputs {
		answer += fmt.Sprintf(" %08x", math.Float32bits(quant.OutputToReal(y, m.OutputScale)))
	}
	return fmt.Sprintf("quarter %d", quarter), fmt.Sprintf("saturations %d reals%s", saturations+counted, answer)
}

func fromSeed(m *simb.Model, seed int) (input, answer string) {
	c := simbtest.Case(m, uint64(seed))
	for _, y := range c.Outputs {
		answer += fmt.Sprintf(" %d", y)
	}
	return fmt.Sprintf("seed %d", seed), fmt.Sprintf("saturations %d states %08x outputs%s", c.Saturations, c.StateDigest, answer)
}

// TestGoldensAnswerAsTheyAlwaysDid compares with the pinned lines; -goldens adds those of new goldens, and
// never changes one that is there.
func TestGoldensAnswerAsTheyAlwaysDid(t *testing.T) {
	pinned, err := os.ReadFile(answersFile)
	if err != nil && !*writeGoldens {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(pinned), "\n")
	found := map[string]string{}
	for _, line := range lines[:len(lines)-1] {
		found[strings.Join(strings.Fields(line)[:3], " ")] = line
	}
	text := string(pinned)
	for _, g := range goldens {
		m := open(t, golden(t, filepath.Join(goldenDir(version(g.codec, g.options)), g.name+".simb"))).Model()
		keys, got := answers(g.name, m)
		for _, key := range keys {
			switch want, known := found[key]; {
			case known && got[key] != want:
				t.Errorf("got  %swant %s", got[key], want)
			case !known && *writeGoldens:
				text += got[key]
			case !known:
				t.Errorf("no line begins with %q", key)
			}
			delete(found, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		t.Errorf("a line of no golden: %s", key)
	}
	if text != string(pinned) {
		if err := os.WriteFile(answersFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestThereIsAGoldenOfEveryKind: each activation alone at each width; all of them, loops and rows of two
// planes in each codec at each width; derived witnesses and signatures in each codec; never many bytes.
func TestThereIsAGoldenOfEveryKind(t *testing.T) {
	has, bytes := map[string]bool{}, 0
	for _, g := range goldens {
		data := golden(t, filepath.Join(goldenDir(version(g.codec, g.options)), g.name+".simb"))
		file := open(t, data)
		bytes += len(data)
		m, coded := file.Meta(), fmt.Sprintf("codec %d", g.codec)
		at := fmt.Sprintf("%s, %d bits", coded, m.Width)
		kinds := map[simb.Kind]bool{}
		for i := range m.Rows {
			if i < m.States() {
				kinds[m.Rows[i].Kind] = true
			}
			if m.Rows[i].Planes == 2 {
				has["two planes, "+at] = true
			}
		}
		for kind := range kinds {
			has[fmt.Sprintf("kind %d, %s", kind, at)] = true
			if len(kinds) == 1 {
				has[fmt.Sprintf("kind %d alone, %d bits", kind, m.Width)] = true
			}
		}
		if loops, _ := m.LoopStates(); loops > 0 {
			has["a loop, "+at] = true
		}
		if m.Certificates.Derived {
			has["derived, "+coded] = true
			has[fmt.Sprintf("derived, %d bits", m.Width)] = true
		}
		if file.Signed() {
			has["signed, "+coded] = true
		}
	}
	for _, codec := range codecs {
		coded := fmt.Sprintf("codec %d", codec)
		wants := []string{"derived, " + coded, "signed, " + coded}
		for _, width := range []quant.Width{quant.Width7, quant.Width14} {
			at := fmt.Sprintf("%s, %d bits", coded, width)
			wants = append(wants, "two planes, "+at, "a loop, "+at, fmt.Sprintf("derived, %d bits", width))
			for kind := range simb.Kind(simb.KindCount) {
				wants = append(wants, fmt.Sprintf("kind %d, %s", kind, at), fmt.Sprintf("kind %d alone, %d bits", kind, width))
			}
		}
		for _, want := range wants {
			if !has[want] {
				t.Errorf("no golden has: %s", want)
			}
		}
	}
	if bytes > 150_000 {
		t.Errorf("the goldens have %d bytes together", bytes)
	}
	if len(codecs) != 4 || !slices.Contains(codecs, simb.CodecPacked) {
		t.Errorf("codecs %v", codecs)
	}
}

// TestSignedGoldensAreOfTheirKey: their signatures hold for ever.
func TestSignedGoldensAreOfTheirKey(t *testing.T) {
	public, _ := testKey(1)
	names, err := filepath.Glob("testdata/v*/signed*.simb")
	if err != nil || len(names) < 3 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		if _, err := simb.OpenSigned(golden(t, name), public); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
