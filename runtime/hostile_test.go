package runtime

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// goldens returns the files that every version of the runtime must run.
func goldens(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.FromSlash("../format/simb/testdata/v*/*.simb"))
	if err != nil || len(names) < 5 {
		t.Fatalf("%d goldens of format/simb found: %v", len(names), err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = data
	}
	return files
}

func TestGoldensAnswerAsTheyAlwaysDid(t *testing.T) {
	for name, data := range goldens(t) {
		for _, options := range [][]Option{nil, {WithInPlace()}} {
			model, err := Load(data, options...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(model.selfTest) == 0 {
				t.Errorf("%s: it bundles no self-test", name)
			}
			if err := model.SelfTest(); err != nil {
				t.Errorf("%s, %s: %v", name, model.Kernel(), err)
			}
		}
	}
}

// exercise loads data in both ways and, when it is accepted, runs every entry point: whatever the bytes,
// both ways agree and nothing panics. It reports whether the file was accepted.
func exercise(t testing.TB, data []byte) bool {
	t.Helper()
	limits := []Option{WithMaxOperations(1 << 20), WithMaxInputs(1 << 12), WithMaxStates(1 << 12), WithMaxOutputs(1 << 12)}
	packed, err := Load(data, limits...)
	inPlace, inPlaceErr := Load(data, append(limits, WithInPlace())...)
	if (err == nil) != (inPlaceErr == nil) {
		t.Fatalf("packed: %v, in place: %v", err, inPlaceErr)
	}
	if err != nil {
		return false
	}
	for _, model := range []*Model{packed, inPlace} {
		if exact := model.WorkspaceSize().Bytes(); model.memoryIsExact() && exact != model.MemorySize() {
			t.Fatalf("%s: the workspace has %d bytes, MemorySize is %d", model.Kernel(), exact, model.MemorySize())
		}
	}
	for _, inputs := range [][]float32{make([]float32, packed.Inputs()), reals(&dice{7}, &simb.Model{SourceInputs: packed.Inputs()})} {
		var seen []any
		for _, model := range []*Model{packed, inPlace} {
			s, y, states := model.NewSession(), make([]float32, model.Outputs()), make([]uint16, model.States())
			if err := s.Infer(y, inputs); err != nil {
				t.Fatal(err)
			}
			if err := s.CopyStates(states); err != nil {
				t.Fatal(err)
			}
			class := -1
			if model.Decision() != DecideNone {
				if class, err = s.Decide(inputs); err != nil {
					t.Fatal(err)
				}
			}
			seen = append(seen, []any{y, states, s.Stats(), class})
		}
		if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
			t.Fatalf("the ways to run it disagree (-packed +in place):\n%s", diff)
		}
	}
	_ = packed.SelfTest() // may well fail, must not panic
	return true
}

// Files made wrong with the digest made right again: what Load accepts can be run.
func TestMutatedFilesAreRefusedOrRun(t *testing.T) {
	count := 2_000
	if os.Getenv("SIM_LONG") != "" {
		count = 100_000
	} else {
		t.Log("2,000 files; SIM_LONG=1 takes 100,000")
	}
	rng := simbtest.NewRand(3)
	var valid [][]byte
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		for _, codec := range []simb.Codec{simb.CodecRaw, simb.CodecHuff0, simb.CodecPacked, simb.CodecPrefix} {
			valid = append(valid, encode(t, simbtest.Random(rng, simbtest.Options{Width: width, Inputs: 5, States: 12, Outputs: 3, SelfTests: 1}), codec))
		}
	}
	accepted := 0
	for k := range count {
		if exercise(t, simbtest.Mutate(rng, valid[k%len(valid)])) {
			accepted++
		}
	}
	t.Logf("%d of %d accepted and run", accepted, count)
	if accepted == 0 || accepted == count {
		t.Errorf("%d of %d mutated files were accepted; the test has lost its force", accepted, count)
	}
}

// Files of every kind, with one number at an edge.
func FuzzEdgesRun(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(simbtest.File(simbtest.NewRand(seed)), seed)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		exercise(t, simbtest.Edge(simbtest.NewRand(seed), data))
	})
}

func FuzzLoadedFilesRun(f *testing.F) {
	for _, data := range goldens(f) {
		f.Add(data)
	}
	for seed := range uint64(16) {
		f.Add(simbtest.File(simbtest.NewRand(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) { exercise(t, simbtest.FixDigest(data)) })
}
