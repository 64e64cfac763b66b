package runtime

import (
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// Workspace is the memory that a session works in, for callers who want to own it: static arrays, one
// arena for several models. Buffers of the model's own width are used, those of the other must be
// empty. Their content need not be zero; it is the session's until the last inference.
type Workspace struct {
	Activations8  []uint8  // 7-bit models: every input that is read and every state
	Next8         []uint8  // 7-bit models with loops: a sweep's results
	Activations16 []uint16 // 14-bit models: as Activations8
	Next16        []uint16 // 14-bit models with loops: as Next8
	External      []int64  // models with loops: what a loop gets from outside
}

// WorkspaceSize is the length of each buffer of a Workspace.
type WorkspaceSize struct {
	Activations8, Next8, Activations16, Next16, External int
}

// Bytes returns the sum of the buffers' sizes.
func (s WorkspaceSize) Bytes() int {
	return s.Activations8 + s.Next8 + 2*s.Activations16 + 2*s.Next16 + 8*s.External
}

// WorkspaceSize returns the lengths that NewSessionWith demands.
func (m *Model) WorkspaceSize() WorkspaceSize {
	activations, loop := m.program.Activations(), m.program.LargestLoop()
	if m.program.Width == quant.Width7 {
		return WorkspaceSize{Activations8: activations, Next8: loop, External: loop}
	}
	return WorkspaceSize{Activations16: activations, Next16: loop, External: loop}
}

// NewSession returns a session with memory of its own: MemorySize bytes.
func (m *Model) NewSession() *Session {
	size := m.WorkspaceSize()
	return m.session(&Workspace{
		Activations8: make([]uint8, size.Activations8), Next8: make([]uint8, size.Next8),
		Activations16: make([]uint16, size.Activations16), Next16: make([]uint16, size.Next16),
		External: make([]int64, size.External),
	})
}

// NewSessionWith returns a session that works in the caller's memory and allocates nothing else than
// the Session itself. A buffer whose length is not that of WorkspaceSize is a *LengthError.
func (m *Model) NewSessionWith(w *Workspace) (*Session, error) {
	size := m.WorkspaceSize()
	for _, buffer := range [...]struct {
		name      string
		got, want int
	}{
		{"Workspace.Activations8", len(w.Activations8), size.Activations8},
		{"Workspace.Next8", len(w.Next8), size.Next8},
		{"Workspace.Activations16", len(w.Activations16), size.Activations16},
		{"Workspace.Next16", len(w.Next16), size.Next16},
		{"Workspace.External", len(w.External), size.External},
	} {
		if buffer.got != buffer.want {
			return nil, &LengthError{Argument: buffer.name, Got: buffer.got, Want: buffer.want}
		}
	}
	return m.session(w), nil
}

func (m *Model) session(w *Workspace) *Session {
	return &Session{
		model:    m,
		memory7:  kernel.Memory[uint8]{Activations: w.Activations8, Next: w.Next8, External: w.External},
		memory14: kernel.Memory[uint16]{Activations: w.Activations16, Next: w.Next16, External: w.External},
	}
}
