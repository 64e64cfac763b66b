package main

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"
)

const lines = `fuzz: elapsed: 0s, gathering baseline coverage: 0/44 completed
fuzz: elapsed: 3s, execs: 10426 (3475/sec), new interesting: 149 (total: 193)
fuzz: elapsed: 1m18s, execs: 153293 (14985/sec), new interesting: 590 (total: 634)
`

func TestARunIsJudgedByWhatItPrints(t *testing.T) {
	all := counts{elapsed: 78 * time.Second, executions: 153293, fresh: 590, corpus: 634}
	failed := errors.New("exit status 1")
	for _, c := range []struct {
		name, output string
		err          error
		counts       counts
		verdict      string
	}{
		{"a quiet run", lines + "PASS\nok  	example	78.1s\n", nil, all, nothing},
		{"the fuzzer's own deadline", lines + "--- FAIL: FuzzOpen (78.02s)\n    context deadline exceeded\nFAIL\n", failed, all, deadline},
		{"a failing input", lines + "--- FAIL: FuzzOpen (0.79s)\n    --- FAIL: FuzzOpen (0.00s)\n    \n    Failing input written to testdata/fuzz/FuzzOpen/04\n", failed, all, found},
		{"a failing input and the deadline", lines + "    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzOpen/04\n", failed, all, found},
		{"a panic and the deadline", lines + "panic: runtime error\n    context deadline exceeded\n", failed, all, found},
		{"a seed that fails", "--- FAIL: FuzzOpen (0.00s)\n    --- FAIL: FuzzOpen/seed#3 (0.00s)\n        context deadline exceeded\n", failed, counts{}, found},
		{"a package that does not compile", "# example\n./x.go:1: undefined\n", failed, counts{}, found},
		{"a run that does not end", lines, errors.New("it does not end"), all, found},
	} {
		if got, verdict := judge([]byte(c.output), c.err); got != c.counts || verdict != c.verdict {
			t.Errorf("%s: %+v, %q; want %+v, %q", c.name, got, verdict, c.counts, c.verdict)
		}
	}
	if got := all.perSecond(); got < 1965 || got > 1966 {
		t.Errorf("%g executions per second", got)
	}
}

func TestTheModulesTargetsAreFoundAndRun(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a package and fuzzes for a second")
	}
	targets, err := list(context.Background(), regexp.MustCompile(`^format/(quant|npz)\.`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FuzzInputFromReal", "FuzzRead", "FuzzMember"} {
		if !slices.ContainsFunc(targets, func(t target) bool { return t.name == want }) {
			t.Errorf("%s is not among %v", want, targets)
		}
	}
	if err := run(context.Background(), 0, time.Second, "FuzzInputFromReal$"); err != nil {
		t.Error(err)
	}
	for _, pattern := range []string{"Nothing", "("} {
		if run(context.Background(), 0, time.Second, pattern) == nil {
			t.Errorf("-run %q is accepted", pattern)
		}
	}
}
