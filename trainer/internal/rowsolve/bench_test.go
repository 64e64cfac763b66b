package rowsolve

import (
	"fmt"
	"testing"
)

// BenchmarkPublishedRows solves the 122 rows of the published problem; cpu-s/op is what all cores
// together spent.
func BenchmarkPublishedRows(b *testing.B) {
	s := readStates(b)
	g := s.gram()
	for _, lambda := range []float64{0.05, 0.005, 0.0005} {
		b.Run(fmt.Sprint(lambda), func(b *testing.B) {
			ab, cd := s.rows(lambda)
			problems := append(ab, cd...)
			before := userSeconds()
			for b.Loop() {
				if _, err := SolveAll(g, problems, nil, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((userSeconds()-before)/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(b.N*len(problems))/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkGram adds the published states (2,000 samples of 896 features and 122 targets).
func BenchmarkGram(b *testing.B) {
	s := readStates(b)
	g := NewGram(s.n+s.p, s.n+s.q)
	before := userSeconds()
	for b.Loop() {
		g.Add(s.features, s.targets, s.m)
	}
	b.ReportMetric((userSeconds()-before)/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(b.N*s.m)/b.Elapsed().Seconds(), "samples/s")
}
