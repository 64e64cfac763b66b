package simb

// Limits caps what Open accepts. Counts are checked before anything is allocated for them.
type Limits struct {
	Bytes      int    // of the file
	Memory     int    // heap that Open and the File may take, in bytes
	Inputs     int    // of the source model, and so of the plan
	States     int    // of the source model, and so of the plan
	Outputs    int    // of the model
	Nonzeros   int    // stored weights
	Operations uint64 // multiply-accumulates of one inference, and computations of a state
	SelfTests  int    // bundled cases
	Tables     int    // activation tables
}

// DefaultLimits is what Open uses where no option says otherwise: far above what small machines run, far
// below what would hurt a server.
func DefaultLimits() Limits {
	return Limits{
		Bytes: 64 << 20, Memory: 512 << 20, Inputs: 1 << 20, States: 1 << 20, Outputs: 1 << 20, Nonzeros: 1 << 26,
		Operations: 1 << 36, SelfTests: 64, Tables: 256,
	}
}

// Option changes a limit of Open.
type Option func(*Limits)

// WithMaxBytes refuses files of more than n bytes.
func WithMaxBytes(n int) Option { return func(l *Limits) { l.Bytes = n } }

// WithMaxMemory refuses files for which Open would have to take more than n bytes of heap. Whatever n
// is, it takes no more than 256 times the file's size and 4 MiB.
func WithMaxMemory(n int) Option { return func(l *Limits) { l.Memory = n } }

// WithMaxInputs refuses models of more than n inputs.
func WithMaxInputs(n int) Option { return func(l *Limits) { l.Inputs = n } }

// WithMaxStates refuses models of more than n states.
func WithMaxStates(n int) Option { return func(l *Limits) { l.States = n } }

// WithMaxOutputs refuses models of more than n outputs.
func WithMaxOutputs(n int) Option { return func(l *Limits) { l.Outputs = n } }

// WithMaxNonzeros refuses models of more than n weights.
func WithMaxNonzeros(n int) Option { return func(l *Limits) { l.Nonzeros = n } }

// WithMaxOperations refuses models whose inference may take more than n multiply-accumulates, or may
// compute states more than n times.
func WithMaxOperations(n uint64) Option { return func(l *Limits) { l.Operations = n } }

// WithMaxSelfTests refuses files that bundle more than n self-test cases.
func WithMaxSelfTests(n int) Option { return func(l *Limits) { l.SelfTests = n } }

// WithMaxTables refuses models of more than n activation tables.
func WithMaxTables(n int) Option { return func(l *Limits) { l.Tables = n } }
