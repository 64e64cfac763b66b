package runtime

import (
	"os"
	"strings"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// KernelVariable is the environment variable that forces a kernel by name, for all models that are
// loaded without WithInPlace.
const KernelVariable = "SIM_KERNEL"

// config is what the options of Load decide.
type config struct {
	inPlace bool
	kernel  string // empty: the best one
	limits  []simb.Option
	margins bool   // WithMargins
	least   uint64 // WithMinSequence
	updates bool   // WithUpdates
	warm    bool   // WithWarmStart
	threads int    // WithThreads
	batches bool   // WithBatches
}

// Option changes what Load does.
type Option func(*config)

// WithInPlace packs nothing: rows are walked where they lie in the file, which costs a few times the
// time of the packed form and no memory: what Load takes from the heap then does not depend on the number
// of weights (BenchmarkLoadInPlace; tools/inplace measures processes). The bytes are never written, so they
// may lie in flash, in a mapped file or in the program itself, at any address; they must stay unchanged as
// long as the model is in use. Streams that the file holds compressed are decompressed at load
// (`simc compile --codec raw` leaves them as they are).
func WithInPlace() Option { return func(c *config) { c.inPlace = true } }

// WithKernel forces a kernel by name, one of Kernels, whatever SIM_KERNEL says; with WithInPlace it has no
// effect. Without it Load takes the kernel that it expects to be fastest for the model on this processor.
func WithKernel(name string) Option { return func(c *config) { c.kernel = name } }

// Kernels returns the names of the kernels that this processor can run, the best first. The last one is
// "portable". All give the same bits.
func Kernels() []string { return kernel.Names() }

// WithMaxBytes refuses files of more than n bytes.
func WithMaxBytes(n int) Option { return withLimit(simb.WithMaxBytes(n)) }

// WithMaxInputs refuses models of more than n inputs.
func WithMaxInputs(n int) Option { return withLimit(simb.WithMaxInputs(n)) }

// WithMaxStates refuses models of more than n states.
func WithMaxStates(n int) Option { return withLimit(simb.WithMaxStates(n)) }

// WithMaxOutputs refuses models of more than n outputs.
func WithMaxOutputs(n int) Option { return withLimit(simb.WithMaxOutputs(n)) }

// WithMaxNonzeros refuses models of more than n weights.
func WithMaxNonzeros(n int) Option { return withLimit(simb.WithMaxNonzeros(n)) }

// WithMaxOperations refuses models whose inference may take more than n multiply-accumulates: a bound on
// the time that a file from elsewhere can cost.
func WithMaxOperations(n uint64) Option { return withLimit(simb.WithMaxOperations(n)) }

// WithMaxMemory refuses files that would take more than n bytes of heap to open: for boards.
func WithMaxMemory(n int) Option { return withLimit(simb.WithMaxMemory(n)) }

// WithMaxTables refuses models of more than n activation tables.
func WithMaxTables(n int) Option { return withLimit(simb.WithMaxTables(n)) }

// WithMaxSelfTests refuses files that bundle more than n self-tests.
func WithMaxSelfTests(n int) Option { return withLimit(simb.WithMaxSelfTests(n)) }

func withLimit(limit simb.Option) Option {
	return func(c *config) { c.limits = append(c.limits, limit) }
}

// Load verifies a compiled model and prepares it for this processor. Whatever the bytes, it does not
// panic, and what it accepts can be run without a further check. Apart from WithInPlace nothing of data
// is kept.
//
// Errors are those of format/simb, for errors.Is: ErrNotSimb, ErrVersion, ErrFeature, ErrCorrupt,
// ErrTooLarge, ErrSignature; and ErrKernel when SIM_KERNEL names a kernel that is not there.
func Load(data []byte, options ...Option) (*Model, error) {
	c := newConfig(options)
	if c.least > 0 {
		return nil, errUnsigned
	}
	file, err := simb.Open(data, c.limits...)
	if err != nil {
		return nil, err
	}
	return loaded(file, c)
}

func newConfig(options []Option) config {
	c := config{kernel: os.Getenv(KernelVariable)}
	for _, option := range options {
		option(&c)
	}
	return c
}

// loaded prepares a model of a file that has been verified.
func loaded(file *simb.File, c config) (*Model, error) {
	s := file.Streams()
	streams := &kernel.Streams{Lengths: s.Lengths, Gaps: s.Gaps, Values: s.Values, Low: s.Low}
	m, err := newModel(file.Meta(), streams, file.MACs(), c)
	if err != nil {
		return nil, err
	}
	m.decompressed, m.sequence = decompressed(file), file.Meta().Sequence
	if c.updates {
		m.columns = kernel.NewColumns(&m.program, streams, m.engine, m.nanoseconds, c.warm)
	}
	if c.margins {
		m.margins = newMargins(file.Meta(), &m.program, streams, m.bounds)
	}
	return m, nil
}

// decompressed returns how many bytes of the weights' streams do not lie in the file as they are used.
func decompressed(file *simb.File) int {
	total := 0
	for _, section := range file.Sections() {
		if strings.HasPrefix(section.Name, "weights.") && section.Coding != "raw" {
			total += section.Length
		}
	}
	return total
}
