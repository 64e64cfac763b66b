package main

import (
	"runtime"
	"slices"
	"time"

	"github.com/sparse-implicit/sim/trainer/dataset"
)

// Measurements take at most measureRuns inferences or measureTime, whichever ends first.
const (
	measureWarmup = 200
	measureRuns   = 20000
	measureTime   = 300 * time.Millisecond
	measureBurst  = 2 * time.Microsecond
)

// measure returns the median and the 99th percentile of the time of one inference in nanoseconds, and
// the allocations per inference, over samples of a part.
func measure(c candidate, part dataset.Part, features int) (p50, p99, allocs float64) {
	if part.Samples == 0 {
		return 0, 0, 0
	}
	sample := func(k int) []float32 {
		s := k % part.Samples
		return part.X[s*features : (s+1)*features]
	}
	return timeRuns(func(k int) { _, _ = c.answer(sample(k)) })
}

// timeRuns times calls of run one by one; those that take less than measureBurst in bursts about as long, since
// reading the clock takes some fifty nanoseconds. A percentile is then one of bursts.
func timeRuns(run func(k int)) (p50, p99, allocs float64) {
	start := time.Now()
	for k := range measureWarmup {
		run(k)
	}
	burst := max(1, int(measureBurst*measureWarmup/max(1, time.Since(start))))
	times := make([]float64, 0, measureRuns)
	end := time.Now().Add(measureTime)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for k := range measureRuns {
		start := time.Now()
		for j := range burst {
			run(k*burst + j)
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/float64(burst))
		if k%64 == 63 && time.Now().After(end) {
			break
		}
	}
	runtime.ReadMemStats(&after)
	allocs = float64((after.Mallocs - before.Mallocs) / uint64(len(times)*burst)) // whole ones: the runtime's own are spread thin
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100], allocs
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
