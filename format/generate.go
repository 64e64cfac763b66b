// Package format is the home of the file formats: SPEC.md says what a compiled model is, to the bit. The
// packages below it read, write and check models; this one holds nothing but the generator's line.
package format

//go:generate flatc --go --go-namespace fb -o internal simb.fbs
//go:generate flatc --binary --schema -o simb/testdata simb.fbs
