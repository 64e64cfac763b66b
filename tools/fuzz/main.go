// Command fuzz runs every fuzz target of the module for a time and prints what each of them did:
//
//	go run ./tools/fuzz -for 30m              all of them together
//	go run ./tools/fuzz -each 8s              each of them
//	go run ./tools/fuzz -each 1m -run Verify  those whose package and name match
//
// A target that finds something leaves the input in its package's testdata/fuzz, where every later test runs
// it: give it a name that says what it is, mend what it shows, and commit both. Inputs that led to new
// code are kept in Go's build cache, so that each run goes on from the last one.
//
// It exits with 1 when a target finds something or cannot be run.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"time"
)

func main() {
	total := flag.Duration("for", 0, "time for all targets together, divided evenly")
	each := flag.Duration("each", 10*time.Second, "time for each target, where -for is not given")
	pattern := flag.String("run", "", "regular expression of package and target, as format/simb.FuzzOpen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *total, *each, *pattern); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		stop()
		os.Exit(1)
	}
}

// target is one fuzz function.
type target struct{ pack, name string }

// String names the target as the pattern matches it.
func (t target) String() string {
	return strings.TrimPrefix(t.pack, module) + "." + t.name
}

func run(ctx context.Context, total, each time.Duration, pattern string) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	targets, err := list(ctx, wanted)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no target matches %q", pattern)
	}
	if total > 0 {
		each = max(total/time.Duration(len(targets)), time.Second).Round(time.Second)
	}
	width := 0
	for _, t := range targets {
		width = max(width, len(t.String()))
	}
	fmt.Printf("%d targets, %v each\n%-*s %12s %10s %8s %8s\n", len(targets), each, width, "target", "executions", "per second", "new", "corpus")
	failed := 0
	for _, t := range targets {
		output, err := fuzz(ctx, t, each)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		c, verdict := judge(output, err)
		fmt.Printf("%-*s %12d %10.0f %8d %8d  %s\n", width, t, c.executions, c.perSecond(), c.fresh, c.corpus, verdict)
		if verdict == found {
			failed++
			fmt.Printf("%s\n", tail(output, 60))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets found something, see above and the inputs in testdata/fuzz", failed, len(targets))
	}
	return nil
}

// module is what all packages begin with.
const module = "github.com/sparse-implicit/sim/"

var declared = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// list returns all targets of the module that match, in the order of packages, files and sources.
func list(ctx context.Context, wanted *regexp.Regexp) ([]target, error) {
	const files = `{{$d := .}}{{range .TestGoFiles}}{{$d.ImportPath}} {{$d.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d.ImportPath}} {{$d.Dir}}/{{.}}{{"\n"}}{{end}}`
	output, err := command(ctx, "list", "-f", files, module+"...")
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, output)
	}
	var targets []target
	for _, line := range strings.Split(string(output), "\n") {
		pack, file, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, match := range declared.FindAllSubmatch(source, -1) {
			if t := (target{pack, string(match[1])}); wanted.MatchString(t.String()) {
				targets = append(targets, t)
			}
		}
	}
	return targets, nil
}

// fuzz runs one target and returns what it printed.
func fuzz(ctx context.Context, t target, each time.Duration) ([]byte, error) {
	// A single input that takes minutes is a finding too; nothing else would end it.
	ctx, cancel := context.WithTimeoutCause(ctx, each+5*time.Minute, errors.New("it does not end"))
	defer cancel()
	output, err := command(ctx, "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "-fuzzminimizetime", "20x", t.pack)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return output, err
}

func command(ctx context.Context, arguments ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "go", arguments...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = time.Minute
	return c.CombinedOutput()
}

// tail returns the last lines of an output.
func tail(output []byte, lines int) []byte {
	all := bytes.Split(bytes.TrimSpace(output), []byte("\n"))
	return bytes.Join(all[max(len(all)-lines, 0):], []byte("\n"))
}
