package main

import (
	"regexp"
	"strconv"
	"time"
)

// counts are the figures of a target's last line of progress.
type counts struct {
	elapsed       time.Duration
	executions    int64
	fresh, corpus int // inputs that led to new code in this run, and all that are kept
}

func (c counts) perSecond() float64 {
	return float64(c.executions) / max(c.elapsed.Seconds(), 1)
}

// What can be said of a run.
const (
	nothing  = "nothing found"
	deadline = "nothing found; the fuzzer reported its own deadline"
	found    = "FOUND SOMETHING"
)

var (
	progress = regexp.MustCompile(`(?m)^fuzz: elapsed: (\S+), execs: (\d+) \(\d+/sec\), new interesting: (\d+) \(total: (\d+)\)`)
	expired  = regexp.MustCompile(`(?m)^ *context deadline exceeded`)
	failing  = regexp.MustCompile(`Failing input|panic|fatal error|--- FAIL: Fuzz\w+/`)
)

// judge reads what a run printed. Before Go 1.27 the fuzzer's coordinator can report its own deadline as a
// failure (golang/go#75804): that message without a failing input is no finding.
func judge(output []byte, err error) (counts, string) {
	var c counts
	if all := progress.FindAllSubmatch(output, -1); len(all) > 0 {
		last := all[len(all)-1]
		c.elapsed, _ = time.ParseDuration(string(last[1]))
		c.executions, _ = strconv.ParseInt(string(last[2]), 10, 64)
		c.fresh, _ = strconv.Atoi(string(last[3]))
		c.corpus, _ = strconv.Atoi(string(last[4]))
	}
	switch {
	case err == nil:
		return c, nothing
	case expired.Match(output) && !failing.Match(output):
		return c, deadline
	}
	return c, found
}
