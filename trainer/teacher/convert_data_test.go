package teacher

import (
	"bufio"
	"encoding/csv"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/onnx"
)

// dataDirectory finds the data beside the repository, or skips the test.
func dataDirectory(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "..", "shared", "data"}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s, which is not there", filepath.Join(parts...))
	}
	return path
}

func readGraph(t *testing.T, path string) *onnx.Graph {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, err := onnx.Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return g
}

// readBox reads lines lo,hi with or without that header.
func readBox(t *testing.T, path string) [][2]float32 {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(bufio.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var box [][2]float32
	for _, line := range lines {
		lo, err := strconv.ParseFloat(line[0], 32)
		if err != nil {
			continue // the header
		}
		hi, err := strconv.ParseFloat(line[1], 32)
		if err != nil {
			t.Fatal(err)
		}
		box = append(box, [2]float32{float32(lo), float32(hi)})
	}
	return box
}

func TestACASXuNetworksConvertExactly(t *testing.T) {
	directory := dataDirectory(t, "onnx", "acasxu")
	networks, err := filepath.Glob(filepath.Join(directory, "*.onnx"))
	if err != nil || len(networks) != 9 {
		t.Fatalf("%d networks, want 9 (%v)", len(networks), err)
	}
	boxes, err := filepath.Glob(filepath.Join(directory, "box_*.csv"))
	if err != nil || len(boxes) != 5 {
		t.Fatalf("%d boxes, want 5 (%v)", len(boxes), err)
	}
	random := rand.New(rand.NewPCG(5, 6))
	var inputs [][]float32
	for _, path := range boxes {
		inputs = append(inputs, boxSamples(random, readBox(t, path), 20)...)
	}
	for _, path := range networks {
		t.Run(filepath.Base(path), func(t *testing.T) {
			g := readGraph(t, path)
			m, _, err := Convert(g, ConvertOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if m.States() != 300 || m.Inputs() != 5 || m.Outputs() != 5 {
				t.Errorf("%d inputs, %d states, %d outputs, want 5, 300, 5", m.Inputs(), m.States(), m.Outputs())
			}
			t.Logf("largest difference %.2g of the largest output", compare(t, g, m, inputs, 1e-5))
			n, _, err := ToNetwork(g)
			if err != nil {
				t.Fatal(err)
			}
			compareNetwork(t, g, n, inputs[:20], 1e-5)
		})
	}
}

func TestTheAutoencoderConvertsExactly(t *testing.T) {
	g := readGraph(t, filepath.Join(dataDirectory(t, "onnx", "mlperf_tiny"), "ad01_autoencoder.onnx"))
	m, _, err := Convert(g, ConvertOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Its inputs are log-mel energies in decibels.
	inputs := boxSamples(rand.New(rand.NewPCG(7, 8)), uniformBox(640, -30, 30), 12)
	t.Logf("%d states, %d nonzeros, largest difference %.2g of the largest output", m.States(), m.NNZ().Total(), compare(t, g, m, inputs, 1e-5))
	n, _, err := ToNetwork(g)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(n.Layers), 10; got != want {
		t.Errorf("%d layers, want %d", got, want)
	}
	compareNetwork(t, g, n, inputs[:4], 1e-5)
}

func TestConvolutionalNetworksAreRefusedByNode(t *testing.T) {
	for _, c := range []struct {
		path []string
		says []string
	}{
		{[]string{"onnx", "mlperf_tiny", "ic01_resnet8_cifar10.onnx"}, []string{`node "input_1_nchw" (Transpose)`, "AveragePool", "Conv"}},
		{[]string{"weights", "cifar100_resnet20.onnx"}, []string{"(Conv)"}},
		{[]string{"onnx", "gesture5", "model.onnx"}, []string{`node "/conv_block/conv_block.0/Conv" (Conv)`, "MaxPool"}},
	} {
		t.Run(c.path[len(c.path)-1], func(t *testing.T) {
			_, _, err := Convert(readGraph(t, dataDirectory(t, c.path...)), ConvertOptions{})
			if !errors.Is(err, ErrUnsupported) {
				t.Fatalf("error %v, want ErrUnsupported", err)
			}
			t.Log(err)
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func TestConversionIsReproducible(t *testing.T) {
	g := supportedGraphs["skip connections"]()
	first, _, err := Convert(g, ConvertOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		m, _, err := Convert(g, ConvertOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, m); diff != "" {
			t.Fatalf("two conversions of one graph differ:\n%s", diff)
		}
	}
}
