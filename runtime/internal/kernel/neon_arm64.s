//go:build !noasm && !purego

#include "go_asm.h"
#include "textflag.h"
#include "neon_arm64.h"

// MULTIPLY1 to MULTIPLY3 add the products of 16 weights and 16 activations to 4 sums, in up to three
// instructions, so that those of several registers can be interleaved.

// func runNEONDot(f *windowFrame)
//
// It is interpret, in windows_generic.go, for processors with dot products.
#define MULTIPLY1(w, q, temporary, sum) SDOT(w, q, sum)
#define MULTIPLY2(w, q, temporary)
#define MULTIPLY3(temporary, sum)
TEXT ·runNEONDot(SB), NOSPLIT, $0-8
	MOVD f+0(FP), R0
#include "neon_execute_arm64.h"

// func runNEON(f *windowFrame)
//
// It is interpret, in windows_generic.go, without dot products. Two products of 7 bits each fit in 16:
// 2·127·127 < 2¹⁵. So pairOff has put the entries 0 and 1 of rows into the lower half of a register, 2 and 3
// into the upper one: the halves' products add up lane by lane, then neighbouring lanes to a row's sum.
#undef MULTIPLY1
#undef MULTIPLY2
#undef MULTIPLY3
#define MULTIPLY1(w, q, temporary, sum) SMULLB(w, q, temporary)
#define MULTIPLY2(w, q, temporary) SMLAL2B(w, q, temporary)
#define MULTIPLY3(temporary, sum) SADALPH(temporary, sum)
TEXT ·runNEON(SB), NOSPLIT, $0-8
	MOVD f+0(FP), R0
#include "neon_execute_arm64.h"
