package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
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
		programs = 24
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

// Around zero, where the multiplier changes, and around both clamps.
func TestStatesWithoutBranchesAreTheSame(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		p, _ := randomProgram(rng, randomShape(rng))
		for i := range p.States {
			row := &p.Rows[i]
			for _, around := range []float64{0, float64(row.Lo) - float64(row.Zero), float64(row.Hi) - float64(row.Zero)} {
				for _, m := range []quant.Multiplier{row.Multiplier, row.Negative} {
					for offset := int64(-3); offset <= 3; offset++ {
						acc := int64(around/m.Ratio()) + offset
						if max(acc, -acc) > min(row.Multiplier.AccumulatorLimit(), row.Negative.AccumulatorLimit()) {
							continue
						}
						q, saturated := p.branchless(row, acc)
						if want, counted := p.state(row, acc); q != want || saturated != counted {
							t.Fatalf("seed %d, %+v, accumulator %d: %d, %d counted, want %d, %d", seed, *row, acc, q, saturated, want, counted)
						}
					}
				}
			}
		}
	}
}

// More rows than a word can number.
func TestUpdatesOfManyRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	p, s := randomProgram(rng, shape{
		width: quant.Width7, inputs: 50, outputs: 1 << 16, entries: 3, twoPlanes: 50,
		segments: []Segment{{First: 0, End: 40}, {First: 40, End: 50, Sweeps: 9}, {First: 50, End: 90}},
	})
	portable := packWordsOf(p, s)
	c := NewColumns(p, s, portable, math.Inf(1), false)
	if c.words != nil {
		t.Fatal("the rows of this program fit into words")
	}
	current, full := make([]uint16, len(p.Inputs)), newMemory(portable)
	u := newUpdater(c, current)
	for range 20 {
		changes := randomChanges(rng, p, current)
		clear(changes.clipped)
		for i, k := range changes.inputs {
			current[k] = changes.values[i]
		}
		if diff := cmp.Diff(infer(p, portable, full, &source{plan: current}, 2), u.update(changes)); diff != "" {
			t.Fatalf("(-full +update):\n%s", diff)
		}
	}
}

func TestStreamsTakeTheMemoryThatTheySay(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 5))
		p, streams := randomProgram(rng, randomShape(rng))
		for _, warm := range []bool{false, true} {
			c := NewColumns(p, streams, packWordsOf(p, streams), 0, warm)
			s := c.NewStream()
			bytes := 2*cap(s.current) + 8*cap(s.sums) + 8*cap(s.sweep) + 4*cap(s.outputs) + cap(s.marks) + cap(s.clipped) +
				2*cap(s.before) + cap(s.moved) + 8*cap(s.moves) + 16*cap(s.records)
			if bytes != c.StreamBytes() {
				t.Errorf("seed %d: %d bytes, StreamBytes says %d", seed, bytes, c.StreamBytes())
			}
		}
	}
}
