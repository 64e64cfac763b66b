// Package fb is flatc's output for format/simb.fbs, committed and regenerated in CI. Only the writer uses
// it; files are read by format/simb's own verifying parser.
package fb
