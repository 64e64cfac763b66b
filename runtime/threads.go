package runtime

import (
	"runtime"

	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// WithThreads lets every session of the model compute with n goroutines, the calling one among them: the
// rows of a level, and of a loop's sweep, are shared out. It is for models of a hundred thousand weights and
// more, on processors that have nothing else to do; levels of less than some thousand weights are not worth
// sharing and stay with the caller. The bits are the same, and an inference allocates nothing. Less than 2 is
// the default, one; WithInPlace is not shared.
//
// Between inferences the goroutines sleep. They end with Session.Close, or when the session is no longer
// reachable. GOMAXPROCS bounds how many run at once.
func WithThreads(n int) Option { return func(c *config) { c.threads = n } }

// recruit gives a session its team.
func (s *Session) recruit() {
	s.memory.Team = kernel.NewTeam(s.model.engine, s.model.threads-1)
	if s.memory.Team != nil {
		s.dismissal = runtime.AddCleanup(s, (*kernel.Team).Close, s.memory.Team)
	}
}

// Close ends the goroutines of a session WithThreads; without, it does nothing. The session can be used
// further, alone.
func (s *Session) Close() {
	if s.memory.Team == nil {
		return
	}
	s.dismissal.Stop()
	s.memory.Team.Close()
	s.memory.Team = nil
}
