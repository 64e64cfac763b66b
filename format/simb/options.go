package simb

// Limits caps what Open accepts, before anything is allocated for it.
type Limits struct {
	Bytes       int    // of the file
	Inputs      int    // of the source model, and of the plan
	States      int    // of the source model, and of the plan
	Outputs     int    //
	Nonzeros    int    // stored weights
	Operations  uint64 // multiply-accumulates of one inference
	SelfTests   int    // bundled cases
	TableCount  int    // activation tables
	DecodedSize int    // decoded bytes of all sections together
}

// DefaultLimits is what Open uses where no option says otherwise: far above what small machines run, far
// below what would hurt a server.
func DefaultLimits() Limits {
	return Limits{
		Bytes: 64 << 20, Inputs: 1 << 20, States: 1 << 20, Outputs: 1 << 20, Nonzeros: 1 << 26,
		Operations: 1 << 36, SelfTests: 64, TableCount: 256, DecodedSize: 1 << 29,
	}
}

// Option changes a limit of Open.
type Option func(*Limits)

// WithMaxBytes refuses files of more than n bytes.
func WithMaxBytes(n int) Option { return func(l *Limits) { l.Bytes = n } }

// WithMaxInputs refuses models of more than n inputs.
func WithMaxInputs(n int) Option { return func(l *Limits) { l.Inputs = n } }

// WithMaxStates refuses models of more than n states.
func WithMaxStates(n int) Option { return func(l *Limits) { l.States = n } }

// WithMaxOutputs refuses models of more than n outputs.
func WithMaxOutputs(n int) Option { return func(l *Limits) { l.Outputs = n } }

// WithMaxNonzeros refuses models of more than n weights.
func WithMaxNonzeros(n int) Option { return func(l *Limits) { l.Nonzeros = n } }

// WithMaxOperations refuses models whose inference may take more than n multiply-accumulates.
func WithMaxOperations(n uint64) Option { return func(l *Limits) { l.Operations = n } }
