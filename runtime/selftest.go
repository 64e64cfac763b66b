package runtime

import (
	"hash/crc32"
	"strconv"

	"github.com/sparse-implicit/sim/format/simb"
)

// SelfTest runs the inferences that the file bundles and compares outputs, states and saturations with
// those that the compiler computed. A difference is a *SelfTestError: the machine, the build or a kernel
// computes wrongly. It allocates a session of its own and may run at any time.
func (m *Model) SelfTest() error {
	s := m.NewSession()
	defer s.Close()
	inputs := make([]uint16, len(m.inputs))
	outputs := make([]int32, m.Outputs())
	for i := range m.selfTest {
		want := &m.selfTest[i]
		simb.SelfTestInputs(want.Seed, m.program.Width, inputs)
		s.inferPlan(outputs, inputs)
		for k, y := range outputs {
			if y != want.Outputs[k] {
				return &SelfTestError{Case: i, What: "output " + strconv.Itoa(k), Got: int64(y), Want: int64(want.Outputs[k])}
			}
		}
		if got := s.Stats().Saturations; got != want.Saturations {
			return &SelfTestError{Case: i, What: "saturations", Got: int64(got), Want: int64(want.Saturations)}
		}
		if got := s.stateDigest(); got != want.StateDigest {
			return &SelfTestError{Case: i, What: "digest of the states", Got: int64(got), Want: int64(want.StateDigest)}
		}
	}
	return nil
}

// inferPlan runs an inference from inputs in plan order, one for each input that is read.
func (s *Session) inferPlan(dst []int32, plan []uint16) {
	s.model.engine.SetInputs(&s.memory, plan)
	s.states()
	s.nextOutputs(dst)
}

// stateDigest returns the CRC-32C of the states as little-endian uint16.
func (s *Session) stateDigest() uint32 {
	states := make([]uint16, s.model.States())
	_ = s.CopyStates(states)
	bytes := make([]byte, 0, 2*len(states))
	for _, q := range states {
		bytes = append(bytes, byte(q), byte(q>>8))
	}
	return crc32.Checksum(bytes, crc32.MakeTable(crc32.Castagnoli))
}
