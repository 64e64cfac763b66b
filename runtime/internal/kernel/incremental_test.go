package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// changes is one step of a stream of updates: inputs in plan order, with those that count as clamped.
type changes struct {
	inputs  []int
	values  []uint16
	clipped []uint8
}

// randomChanges changes none of the inputs, one, a few, all, or some of them twice; far or by a step.
func randomChanges(rng *rand.Rand, p *Program, current []uint16) changes {
	var c changes
	n := len(current)
	if n == 0 {
		return c
	}
	count := []int{0, 1, 1 + n/20, n, 2 * n}[rng.IntN(5)]
	near := rng.IntN(2) == 0
	for i := range count {
		k := rng.IntN(n)
		if count == n {
			k = i
		}
		q := rng.IntN(int(p.Width.Max()) + 1)
		if near {
			q = min(max(int(current[k])+rng.IntN(3)-1, 0), int(p.Width.Max()))
		}
		c.inputs, c.values = append(c.inputs, k), append(c.values, uint16(q))
		c.clipped = append(c.clipped, uint8(rng.IntN(8)/7))
	}
	return c
}

// updater runs a stream of updates beside what a full inference says.
type updater struct {
	stream *Stream
	mem    *Memory
}

func newUpdater(c *Columns, start []uint16) *updater {
	u := &updater{c.NewStream(), newMemory(c.engine)}
	u.stream.SetAll(u.mem, func(k int) (uint16, uint8) { return start[k], 0 })
	return u
}

func (u *updater) update(c changes) answer {
	p := u.stream.columns.program
	for i, k := range c.inputs {
		u.stream.Set(u.mem, k, c.values[i], c.clipped[i])
	}
	u.stream.States(u.mem)
	a := answer{States: make([]uint16, p.States), Outputs: make([]int32, p.Outputs()), NotFinite: -1}
	half := len(a.Outputs) / 2
	u.stream.Outputs(u.mem, a.Outputs[:half], 0)
	u.stream.Outputs(u.mem, a.Outputs[half:], half)
	u.stream.columns.engine.CopyStates(u.mem, a.States)
	a.Sweeps, a.Saturations = u.mem.Sweeps, u.mem.Saturations
	return a
}

// costs are what full passes are said to take, in units of the portable kernel: never to be used, like
// it, far less, nothing.
var costs = []float64{math.Inf(1), 1, 0.1, 0}

// compareUpdates runs a stream of updates on every engine, for every cost, and after each of them a full inference of
// the portable kernel. It counts in seen what the streams did.
func compareUpdates(t *testing.T, rng *rand.Rand, p *Program, s *Streams, steps int, seen map[string]int) {
	t.Helper()
	portable := packWordsOf(p, s)
	full := newMemory(portable)
	current, clipped := make([]uint16, len(p.Inputs)), make([]uint8, len(p.Inputs))
	for k := range current {
		current[k] = uint16(rng.IntN(int(p.Width.Max()) + 1))
	}
	updaters := map[string]*updater{}
	all := engines(p, s)
	all[Portable] = portable
	for name, e := range all {
		for _, cost := range costs {
			updaters[fmt.Sprintf("%s, %g", name, cost)] = newUpdater(NewColumns(p, s, e, cost*portableCost(p, s), false), current)
		}
	}
	for step := range steps {
		c := randomChanges(rng, p, current)
		for i, k := range c.inputs {
			current[k], clipped[k] = c.values[i], c.clipped[i]
		}
		want := infer(p, portable, full, &source{plan: current}, 2)
		for _, flag := range clipped {
			want.Saturations += uint64(flag)
		}
		again := rng.IntN(20) == 0
		for name, u := range updaters {
			valid := u.stream.valid
			if diff := cmp.Diff(want, u.update(c)); diff != "" {
				t.Fatalf("%s, step %d, %d changes, %d of %d segments valid before (-full +update):\n%s", name, step, len(c.inputs), valid, len(p.Segments), diff)
			}
			count(seen, valid, u.stream)
			if again {
				u.stream.SetAll(u.mem, func(k int) (uint16, uint8) { return current[k], clipped[k] })
			}
		}
	}
}

func count(seen map[string]int, valid int, s *Stream) {
	all := len(s.records) + 1
	switch {
	case valid == all && s.own:
		seen["incremental"]++
	case s.own:
		seen["made anew"]++
	case valid == all && s.valid > 0:
		seen["handed over on the way"]++
	case valid == all:
		seen["handed over at once"]++
	case s.valid > 0:
		seen["incremental in part"]++
	default:
		seen["full"]++
	}
}

func TestUpdatesGiveTheBitsOfAFullInference(t *testing.T) {
	seen := map[string]int{}
	programs := 200
	if testing.Short() {
		programs = 40
	}
	for seed := range uint64(programs) {
		rng := rand.New(rand.NewPCG(seed, 2))
		shape := randomShape(rng)
		p, s := randomProgram(rng, shape)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { compareUpdates(t, rng, p, s, 30, seen) })
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, shape)
		}
	}
	for _, what := range []string{"incremental", "made anew", "handed over on the way", "handed over at once", "incremental in part", "full"} {
		if seen[what] < 20 {
			t.Errorf("%q only %d times; the test has lost its force", what, seen[what])
		}
	}
	t.Logf("%v", seen)
}
