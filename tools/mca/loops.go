package main

import (
	"slices"
	"strings"
)

// target is an architecture with the processors that LLVM models.
type target struct {
	arch, triple string
	attributes   string // for the disassembler: everything that a kernel may use
	cpus         []string
	loops        []loop
}

// loop names the loops that count in a function: those that multiply. Each instruction named adds up so many
// products.
type loop struct {
	function   string // how its name begins, within package kernel
	multiplies map[string]int
	only       []string // processors that have the instructions; nil for all
}

var targets = []target{
	{
		arch: "arm64", triple: "aarch64", attributes: "+v8.2a,+dotprod", cpus: []string{"cortex-a53", "cortex-a72", "neoverse-n1"},
		loops: []loop{
			{"dot32", map[string]int{"madd": 1}, nil},
			{"dot64", map[string]int{"smaddl": 1, "madd": 1}, nil},
			{"walk32", map[string]int{"madd": 1}, nil},
			{"walk64", map[string]int{"smaddl": 1, "madd": 1}, nil},
			// Vectors of four rows: a dot product of 16 bytes, or half of them widened.
			{"runNEONDot", map[string]int{"sdot": 16, "udot": 16}, []string{"neoverse-n1"}},
			{"runNEON", map[string]int{"smull": 8, "smull2": 8, "smlal": 8, "smlal2": 8}, nil},
		},
	},
	{
		arch: "amd64", triple: "x86_64", attributes: "", cpus: []string{"haswell", "znver3", "icelake-server"},
		loops: []loop{
			{"dot32", map[string]int{"imull": 1}, nil},
			{"dot64", map[string]int{"imull": 1, "imulq": 1}, nil},
			{"walk32", map[string]int{"imull": 1}, nil},
			{"walk64", map[string]int{"imull": 1, "imulq": 1}, nil},
			// Vectors of 8 and of 16 rows, four products of each.
			{"runAVX2", map[string]int{"vpmaddubsw": 32}, nil},
			{"execute7AVX512", map[string]int{"vpdpbusd": 64}, []string{"icelake-server"}},
			{"execute14AVX512", map[string]int{"vpdpbusd": 64}, []string{"icelake-server"}},
		},
	},
}

// runsOn reports whether a processor has the instructions of a loop.
func (l *loop) runsOn(cpu string) bool { return l.only == nil || slices.Contains(l.only, cpu) }

// look returns the first entry for a function, or nil.
func (t target) look(function string) *loop {
	for k := range t.loops {
		if strings.HasPrefix(function, t.loops[k].function) {
			return &t.loops[k]
		}
	}
	return nil
}

// products returns how many products a turn adds up.
func (l *loop) products(body []instruction) (count int) {
	for _, i := range body {
		count += l.multiplies[i.name()]
	}
	return count
}
