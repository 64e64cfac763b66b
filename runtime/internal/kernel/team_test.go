package kernel

import (
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// TestMain cuts phases into small parts, so that small models are shared out too.
func TestMain(m *testing.M) {
	partEntries, partSteps = 16, 3
	os.Exit(m.Run())
}

// teamwork is a program whose phases have several parts: a level, a loop, and outputs.
func teamwork(width quant.Width) (*Program, *Streams) {
	return randomProgram(rand.New(rand.NewPCG(3, uint64(width))), shape{
		width: width, inputs: 300, outputs: 100, entries: 40,
		segments: []Segment{{End: 200}, {First: 200, End: 300, Sweeps: 9}, {First: 300, End: 400}},
	})
}

func TestATeamAllocatesNothing(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		p, s := teamwork(width)
		all := engines(p, s)
		all[Portable] = packWordsOf(p, s)
		for name, e := range all {
			Divide(e)
			team := NewTeam(e, 3)
			if team == nil {
				continue
			}
			mem := newMemory(e)
			mem.Team = team
			dst, plan := make([]int32, p.Outputs()), make([]uint16, len(p.Inputs))
			if allocs := testing.AllocsPerRun(200, func() { e.SetInputs(mem, plan); e.States(mem); e.Outputs(mem, dst) }); allocs != 0 {
				t.Errorf("%s, %d bits: %g allocations", name, width, allocs)
			}
			team.Close()
		}
	}
}

// Parts are really taken by others: a team whose caller waits is given all of them.
func TestATeamTakesParts(t *testing.T) {
	p, s := teamwork(quant.Width7)
	e := packWordsOf(p, s)
	Divide(e)
	for phase, count := range e.(divided).parts() {
		if phase%2 == 0 && count < 2 {
			t.Errorf("phase %d has %d parts; the test needs more", phase, count)
		}
	}
	team := NewTeam(e, 2)
	defer team.Close()
	mem := newMemory(e)
	e.SetInputs(mem, make([]uint16, len(p.Inputs)))
	mem.Team = team
	team.begin(mem)
	team.done.Store(0)
	team.word.Store(0)
	team.call()
	for team.done.Load() < team.counts[0] {
		runtime.Gosched() // the helpers alone
	}
	team.end()
}

func TestOnlyWhatCanBeDividedHasATeam(t *testing.T) {
	p, s := teamwork(quant.Width7)
	if NewTeam(InPlace(p, s), 2) != nil || NewTeam(packWordsOf(p, s), 0) != nil {
		t.Error("a team that has nothing to do")
	}
}
