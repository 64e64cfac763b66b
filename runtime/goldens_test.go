package runtime

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// TestGoldensAnswerTheSameEverywhere runs the files of the releases, as their bytes lie there, on every kernel
// and in place, and compares with what format/simb pins of them: every activation, both widths, every codec.
func TestGoldensAnswerTheSameEverywhere(t *testing.T) {
	folder := filepath.Join("..", "format", "simb", "testdata")
	text, err := os.ReadFile(filepath.Join(folder, "answers.txt"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	asked := 0
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if files[name] == nil {
			paths, err := filepath.Glob(filepath.Join(folder, "v*", name+".simb"))
			if err != nil || len(paths) != 1 {
				t.Fatalf("%s: %v, %v", name, paths, err)
			}
			if files[name], err = os.ReadFile(paths[0]); err != nil {
				t.Fatal(err)
			}
		}
		for way, model := range everyWay(t, files[name]) {
			var input, answered string
			var k int
			if _, err := fmt.Sscanf(rest, "%s %d", &input, &k); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			switch input {
			case "seed":
				answered = integerAnswer(t, model, uint64(k))
			case "quarter":
				answered = realAnswer(t, model, k)
			}
			if got := fmt.Sprintf("%s %d %s", input, k, answered); got != rest {
				t.Errorf("%s, %s:\n got  %s\n want %s", name, way, got, rest)
			}
			asked++
		}
	}
	if len(files) < 30 || asked < 500 {
		t.Errorf("%d files, %d answers", len(files), asked)
	}
}

// everyWay loads a file for each kernel, and in place.
func everyWay(t *testing.T, data []byte) map[string]*Model {
	t.Helper()
	ways := map[string][]Option{kernelInPlace: {WithInPlace()}}
	for _, name := range kernel.Names() {
		ways[name] = []Option{WithKernel(name)}
	}
	models := map[string]*Model{}
	for way, options := range ways {
		model, err := Load(data, options...)
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		models[way] = model
	}
	return models
}

func integerAnswer(t *testing.T, model *Model, seed uint64) (answer string) {
	plan := make([]uint16, len(model.inputs))
	simb.SelfTestInputs(seed, model.program.Width, plan)
	s, y := model.NewSession(), make([]int32, model.Outputs())
	var err error
	if model.Width() == 7 {
		src := make([]uint8, model.Inputs())
		for k, in := range model.inputs {
			src[in.Source] = uint8(plan[k])
		}
		err = s.InferQ7(y, src)
	} else {
		src := make([]uint16, model.Inputs())
		for k, in := range model.inputs {
			src[in.Source] = plan[k]
		}
		err = s.InferQ14(y, src)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range y {
		answer += fmt.Sprintf(" %d", v)
	}
	return fmt.Sprintf("saturations %d states %08x outputs%s", s.Stats().Saturations, s.stateDigest(), answer)
}

func realAnswer(t *testing.T, model *Model, quarter int) (answer string) {
	src := make([]float32, model.Inputs())
	for _, in := range model.inputs {
		src[in.Source] = float32(float64(in.Lo) + float64(float64(quarter)/4*(float64(in.Hi)-float64(in.Lo))))
	}
	s, y := model.NewSession(), make([]float32, model.Outputs())
	if err := s.Infer(y, src); err != nil {
		t.Fatal(err)
	}
	for _, v := range y {
		answer += fmt.Sprintf(" %08x", math.Float32bits(v))
	}
	return fmt.Sprintf("saturations %d reals%s", s.Stats().Saturations, answer)
}
