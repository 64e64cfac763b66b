package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}, {[]float64{1, 100, 2, 3}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
	hundred := make([]int64, 100)
	for k := range hundred {
		hundred[k] = int64(100 - k)
	}
	for _, c := range []struct {
		values []int64
		share  float64
		want   float64
	}{{nil, 0.99, 0}, {[]int64{7}, 0.99, 7}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0.5, 50}, {[]int64{5, 1, 9}, 0.99, 9}} {
		if got := percentile(c.values, c.share); got != c.want {
			t.Errorf("the %v percentile of %v is %v, want %v", c.share, c.values, got, c.want)
		}
	}
}

// A machine that is slower for some rounds changes medians, but not the ratios of engines that shared them.
func TestRatiosArePairedByRound(t *testing.T) {
	a := timing{rounds: []float64{400, 20, 3000}}
	b := timing{rounds: []float64{100, 10, 1000}}
	if got := ratio(a, b); got != 3 {
		t.Errorf("ratio %v, want 3", got)
	}
	if got := ratio(b, b); got != 1 {
		t.Errorf("ratio %v to itself, want 1", got)
	}
}

func TestFramesAreTakenInRotation(t *testing.T) {
	var seen []int
	each := make([]int64, 5)
	err := rotate([]int{10, 11, 12}, 4, 5, each, func(frame int) error {
		seen = append(seen, frame)
		time.Sleep(time.Microsecond)
		return nil
	})
	if err != nil || !slices.Equal(seen, []int{11, 12, 10, 11, 12}) {
		t.Errorf("frames %v, error %v", seen, err)
	}
	if slices.Min(each) < 1000 {
		t.Errorf("inferences of at least 1,000 ns took %v", each)
	}
	failed := errors.New("failed")
	if err := rotate([]int{1}, 0, 3, nil, func(int) error { return failed }); err != failed {
		t.Errorf("error %v", err)
	}
}

// counted is an engine that takes a while and writes down what it is asked to do.
type counted struct {
	name   string
	took   time.Duration
	log    *[]string
	failAt int
	calls  int
}

func (c *counted) run(_, count int, each []int64) error {
	c.calls++
	if c.failAt > 0 && c.calls >= c.failAt {
		return errors.New(c.name + " failed")
	}
	for end := time.Now().Add(time.Duration(count) * c.took); time.Now().Before(end); {
	}
	for k := range each {
		each[k] = c.took.Nanoseconds()
	}
	*c.log = append(*c.log, c.name)
	return nil
}

func (*counted) answer([]float32) (int, error) { return 0, nil }
func (*counted) close()                        {}

func TestEnginesTakeTurns(t *testing.T) {
	var log []string
	engines := []engine{&counted{name: "a", took: 100 * time.Microsecond, log: &log}, &counted{name: "b", took: 400 * time.Microsecond, log: &log}}
	timings, err := measure(context.Background(), engines, 0)
	if err != nil {
		t.Fatal(err)
	}
	for k, least := range []float64{100e3, 400e3} {
		if len(timings[k].rounds) != minRounds {
			t.Errorf("engine %d had %d rounds, want %d", k, len(timings[k].rounds), minRounds)
		}
		if slices.Min(timings[k].rounds) < least {
			t.Errorf("engine %d: a round says %v ns for an inference of %v ns", k, slices.Min(timings[k].rounds), least)
		}
		if rounds := (minRounds + singleShare - 1) / singleShare; len(timings[k].singles) < rounds*minRuns {
			t.Errorf("engine %d: only %d single inferences", k, len(timings[k].singles))
		}
	}
	// Who was last in a round is first in the next one.
	if turns := len(slices.Compact(log)); turns < minRounds || turns > minRounds+3 {
		t.Errorf("the engines took turns %d times in %d rounds", turns, minRounds)
	}
}

func TestAFailureEndsTheMeasurement(t *testing.T) {
	var log []string
	e := &counted{name: "a", took: time.Millisecond, log: &log, failAt: 5}
	if _, err := measure(context.Background(), []engine{e}, 0); err == nil {
		t.Error("no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := measure(ctx, []engine{&counted{name: "b", took: time.Millisecond, log: &log}}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the context has ended", err)
	}
}
