package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sparse-implicit/sim/format/quant"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/spf13/cobra"
)

// benchReport is what `bench --json` prints.
type benchReport struct {
	Kernels     []kernelTiming `json:"kernels"`
	LoadNs      float64        `json:"load_ns"`
	RAMBytes    int            `json:"ram_bytes"`
	PackedBytes int            `json:"packed_bytes"`
	NNZ         int            `json:"nnz"`
}

type kernelTiming struct {
	Kernel string  `json:"kernel"`
	NsP50  float64 `json:"ns_p50"`
	NsP99  float64 `json:"ns_p99"`
	Allocs float64 `json:"allocs"`
}

func newBench(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "bench MODEL.simb",
		Short: "Time a compiled model on this machine: per kernel, median and 99th percentile",
		Long: `Bench times one inference at a time, one thread, inputs already quantised, on random inputs of the whole
range, by every kernel that this processor can run and in place; and loading, which verifies, packs and chooses a
kernel. Quote ratios: machines differ and are shared.`,
		Example: `  simc bench model.simb --json`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return runBench(e, args[0]) },
	}
}

func runBench(e *env, path string) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	file, err := openCompiled(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	report := benchReport{NNZ: file.NNZ()}
	chosen, err := simrt.Load(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	report.RAMBytes, report.PackedBytes = chosen.MemorySize(), chosen.PackedBytes()
	for _, option := range everyKernel() {
		m, err := simrt.Load(data, option)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		report.Kernels = append(report.Kernels, timeModel(m, m.Kernel()))
	}
	report.LoadNs = timeLoad(data)
	if e.json {
		return e.emit(report)
	}
	e.say("%-20s %10s %10s %8s %14s", "kernel", "ns p50", "ns p99", "allocs", "MACs/s")
	for _, k := range report.Kernels {
		e.say("%-20s %10.0f %10.0f %8g %14.3g", k.Kernel, k.NsP50, k.NsP99, k.Allocs, float64(file.MACs())/k.NsP50*1e9)
	}
	e.say("load, verify and pack for %q: %.0f ns; working memory %d bytes, packed %d bytes, %d nonzeros", chosen.Kernel(), report.LoadNs, report.RAMBytes, report.PackedBytes, report.NNZ)
	return nil
}

// everyKernel returns the options that force each kernel, and the one that runs in place.
func everyKernel() []simrt.Option {
	var options []simrt.Option
	for _, name := range simrt.Kernels() {
		options = append(options, simrt.WithKernel(name))
	}
	return append(options, simrt.WithInPlace())
}

// timeModel times inferences from quantised random inputs.
func timeModel(m *simrt.Model, name string) kernelTiming {
	const frames = 64
	rng := rand.New(rand.NewPCG(1, 1))
	p, session, dst := m.Inputs(), m.NewSession(), make([]int32, m.Outputs())
	var run func(k int)
	if quant.Width(m.Width()) == quant.Width7 {
		src := make([]uint8, frames*p)
		for j := range src {
			src[j] = uint8(rng.IntN(128))
		}
		run = func(k int) { _ = session.InferQ7(dst, src[k%frames*p:k%frames*p+p]) }
	} else {
		src := make([]uint16, frames*p)
		for j := range src {
			src[j] = uint16(rng.IntN(1 << 14))
		}
		run = func(k int) { _ = session.InferQ14(dst, src[k%frames*p:k%frames*p+p]) }
	}
	t := kernelTiming{Kernel: name}
	t.NsP50, t.NsP99, t.Allocs = timeRuns(run)
	return t
}

// timeLoad returns the median time of loading from memory.
func timeLoad(data []byte) float64 {
	const runs = 21
	var times [runs]float64
	for k := range times {
		start := time.Now()
		_, _ = simrt.Load(data)
		times[k] = float64(time.Since(start).Nanoseconds())
	}
	return median(times[:])
}
