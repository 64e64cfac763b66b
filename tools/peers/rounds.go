package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// clock tells the nanoseconds since its last lap.
type clock struct {
	start time.Time
	last  time.Duration
}

func startClock() clock { return clock{start: time.Now()} }

func (c *clock) lap() int64 {
	now := time.Since(c.start)
	ns := (now - c.last).Nanoseconds()
	c.last = now
	return ns
}

// How engines take turns.
const (
	roundTime   = time.Millisecond // of one engine in one round
	minRuns     = 8                // inferences in a round, however long they take
	minWarm     = 2                // inferences before it, untimed, which fetch from memory what others displaced
	warmShare   = 8                // or an eighth of the round's
	minRounds   = 15
	singleShare = 4 // in every fourth round inferences are timed one by one, too
	maxSingles  = 1e6
)

// timing is what rounds tell of one engine, in nanoseconds per inference.
type timing struct {
	rounds  []float64 // the mean of each round
	singles []int64   // single inferences, the reading of the clock included
}

// measure lets engines take turns in rounds for about so many seconds. In each round every engine makes as many
// inferences as take it roundTime, or minRuns. All timings have the same rounds, so that they can be compared round by round:
// what disturbs the machine for longer than a round disturbs all engines alike.
func measure(ctx context.Context, engines []engine, seconds float64) ([]timing, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	counts := make([]int, len(engines))
	for k, e := range engines {
		var err error
		if counts[k], err = runsOf(e); err != nil {
			return nil, err
		}
	}
	timings := make([]timing, len(engines))
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for round := 0; round < minRounds || time.Now().Before(end); round++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for turn := range engines {
			k := (turn + round) % len(engines) // nobody always follows the same one
			if err := timings[k].round(engines[k], round, counts[k]); err != nil {
				return nil, err
			}
		}
	}
	return timings, nil
}

// runsOf returns how many inferences of an engine fill a round.
func runsOf(e engine) (int, error) {
	for count := 1; ; count *= 2 {
		start := time.Now()
		if err := e.run(0, count, nil); err != nil {
			return 0, err
		}
		if elapsed := time.Since(start); elapsed > roundTime/2 {
			return max(minRuns, int(float64(count)*float64(roundTime)/float64(elapsed))), nil
		}
	}
}

func (t *timing) round(e engine, round, count int) error {
	if err := e.run(round, max(minWarm, count/warmShare), nil); err != nil {
		return err
	}
	start := time.Now()
	if err := e.run(round, count, nil); err != nil {
		return err
	}
	t.rounds = append(t.rounds, float64(time.Since(start).Nanoseconds())/float64(count))
	if round%singleShare != 0 || len(t.singles) > maxSingles {
		return nil
	}
	each := make([]int64, count)
	if err := e.run(round, count, each); err != nil {
		return err
	}
	t.singles = append(t.singles, each...)
	return nil
}

// median returns the middle of values, the mean of two where there are two; 0 for none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// percentile returns the smallest of values that at least the share of them do not exceed; 0 for none.
func percentile(values []int64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(share*float64(len(sorted)) + 0.999999)
	return float64(sorted[min(max(rank, 1), len(sorted))-1])
}

// ratio returns the median of how many times as long as b's the rounds of a took.
func ratio(a, b timing) float64 {
	ratios := make([]float64, min(len(a.rounds), len(b.rounds)))
	for k := range ratios {
		ratios[k] = a.rounds[k] / b.rounds[k]
	}
	return median(ratios)
}
