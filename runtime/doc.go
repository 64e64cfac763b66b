// Package runtime runs compiled models; users import it as simrt. Load verifies a file, a Session
// computes with it:
//
//	m, err := simrt.Load(data)
//	s := m.NewSession()
//	err = s.Infer(y, u)          // or InferQ7, InferQ14: integers in, integers out
//	class, err := s.Decide(u)    // the file's decision rule, in integers
//	err = s.Update(y, changed, values) // WithUpdates: what an Infer of the changed inputs would give, for less
//
// LoadSigned takes only files that the owner of a key has signed, WithMinSequence none that is older than
// allowed. Session.Margin tells how far the inputs may move before a decision can change.
//
// It promises the same bits on every machine and from every kernel; no allocation in an inference; no
// more working memory than MemorySize; no more multiply-accumulates than MACs; and that after Load no
// input can make it panic or read outside its memory. A Model is safe for concurrent use, a Session
// belongs to one goroutine.
//
// It knows compiled files alone: never training, compiling or float models. An inference uses no
// reflection, no formatting and no floating point but the conversions of its inputs and outputs.
package runtime
