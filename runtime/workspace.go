package runtime

import "github.com/sparse-implicit/sim/runtime/internal/kernel"

// Workspace is the memory that a session works in, for callers who want to own it: static arrays, one
// arena for several models. Which buffers are used depends on the model and its kernel; WorkspaceSize gives
// their lengths, and the others must be empty. Their content need not be zero; it is the session's until
// the last inference.
type Workspace struct {
	Activations8  []uint8  // inputs and states
	Next8         []uint8  // models with loops: a sweep's results
	Activations16 []uint16 // inputs and states of 14 bits, where the kernel holds them in one piece
	Next16        []uint16 // as Next8, for Activations16
	External      []int64  // models with loops: what a loop gets from outside
	Outputs       []int32  // kernels that compute states and outputs in one go
}

// WorkspaceSize is the length of each buffer of a Workspace.
type WorkspaceSize struct {
	// Elements, not bytes.
	Activations8, Next8, Activations16, Next16, External, Outputs int
}

// Bytes returns the sum of the buffers' sizes.
func (s WorkspaceSize) Bytes() int {
	return s.Activations8 + s.Next8 + 2*s.Activations16 + 2*s.Next16 + 8*s.External + 4*s.Outputs
}

// WorkspaceSize returns the lengths that NewSessionWith demands.
func (m *Model) WorkspaceSize() WorkspaceSize { return WorkspaceSize(m.engine.Sizes()) }

// NewSession returns a session with memory of its own: WorkspaceSize().Bytes() bytes.
func (m *Model) NewSession() *Session {
	size := m.WorkspaceSize()
	return m.session(&Workspace{
		Activations8: make([]uint8, size.Activations8), Next8: make([]uint8, size.Next8),
		Activations16: make([]uint16, size.Activations16), Next16: make([]uint16, size.Next16),
		External: make([]int64, size.External), Outputs: make([]int32, size.Outputs),
	})
}

// NewSessionWith returns a session that works in the caller's memory and allocates nothing else than
// the Session itself and, for a model loaded WithUpdates, UpdateBytes() more. A buffer whose length is not that of WorkspaceSize is a *LengthError.
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
		{"Workspace.Outputs", len(w.Outputs), size.Outputs},
	} {
		if buffer.got != buffer.want {
			return nil, &LengthError{Argument: buffer.name, Got: buffer.got, Want: buffer.want}
		}
	}
	return m.session(w), nil
}

func (m *Model) session(w *Workspace) *Session {
	s := &Session{model: m, memory: kernel.Memory{Buffers: kernel.Buffers(*w)}, updates: m.newUpdates()}
	if m.threads > 1 {
		s.recruit()
	}
	return s
}
