//go:build !noasm && !purego

#include "textflag.h"
#include "go_asm.h"

// packed undoes what VPACKSSDW and VPACKUSWB do with the order of four vectors.
DATA packed<>+0(SB)/8, $0x0000000400000000
DATA packed<>+8(SB)/8, $0x0000000c00000008
DATA packed<>+16(SB)/8, $0x0000000500000001
DATA packed<>+24(SB)/8, $0x0000000d00000009
DATA packed<>+32(SB)/8, $0x0000000600000002
DATA packed<>+40(SB)/8, $0x0000000e0000000a
DATA packed<>+48(SB)/8, $0x0000000700000003
DATA packed<>+56(SB)/8, $0x0000000f0000000b
GLOBL packed<>(SB), NOPTR|RODATA, $64

#define BROADCAST(value, to) \
	MOVL value, AX                                      \
	VPBROADCASTD AX, to

// The steps of slice s at a window of 7 bits, Z16, in one plane of weights; sums a and b in turn hide what a dot
// product takes.
#define NARROW1(s, a, b, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VPERMB Z16, Z18, Z18                                \
	VPDPBUSD 64(R11), Z18, a                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JEQ done                                            \
	VMOVDQU64 (R11), Z18                                \
	VPERMB Z16, Z18, Z18                                \
	VPDPBUSD 64(R11), Z18, b                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

// The same in two planes of weights.
#define NARROW2(s, lowA, highA, lowB, highB, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VPERMB Z16, Z18, Z18                                \
	VPDPBUSD 64(R11), Z18, highA                        \
	VPDPBUSD 128(R11), Z18, lowA                        \
	ADDQ $192, R11                                      \
	DECL CX                                             \
	JEQ done                                            \
	VMOVDQU64 (R11), Z18                                \
	VPERMB Z16, Z18, Z18                                \
	VPDPBUSD 64(R11), Z18, highB                        \
	VPDPBUSD 128(R11), Z18, lowB                        \
	ADDQ $192, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

// One plane of weights at a window of 14 bits, Z16 and its high plane Z17.
#define WIDE1(s, lowA, highA, lowB, highB, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VMOVDQU64 64(R11), Z19                              \
	VPERMB Z16, Z18, Z20                                \
	VPERMB Z17, Z18, Z18                                \
	VPDPBUSD Z19, Z20, lowA                             \
	VPDPBUSD Z19, Z18, highA                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JEQ done                                            \
	VMOVDQU64 (R11), Z18                                \
	VMOVDQU64 64(R11), Z19                              \
	VPERMB Z16, Z18, Z20                                \
	VPERMB Z17, Z18, Z18                                \
	VPDPBUSD Z19, Z20, lowB                             \
	VPDPBUSD Z19, Z18, highB                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

// Two planes of weights; lowHigh is Σ w_lo·q_hi.
#define WIDE2(s, lowLow, highLow, lowHigh, highHigh, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VMOVDQU64 64(R11), Z19                              \
	VMOVDQU64 128(R11), Z21                             \
	VPERMB Z16, Z18, Z20                                \
	VPERMB Z17, Z18, Z18                                \
	VPDPBUSD Z21, Z20, lowLow                           \
	VPDPBUSD Z19, Z20, highLow                          \
	VPDPBUSD Z21, Z18, lowHigh                          \
	VPDPBUSD Z19, Z18, highHigh                         \
	ADDQ $192, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

#define JOIN_WIDE(high, low) \
	VPSLLD $7, high, high                               \
	VPADDD high, low, low

// Slice s of a level: the sums acc become results q, high halves as at highHalf below. The sign bits of Z27 say whether
// anything saturates: of (t − low) & countLow and of (high − t) & countHigh.
#define CONSTANT(which, s) (64*which + 64*const_constants*s)(R12)

#define REQUANTISE(s, acc, q) \
	VPADDD CONSTANT(const_constBias, s), acc, Z20       \
	VMOVDQU32 CONSTANT(const_constShift, s), Z22        \
	VPSRLQ $32, Z20, Z21                                \
	VPMULDQ CONSTANT(const_constMultiplier, s), Z20, Z20 \
	VPMULDQ (4 + 64*const_constMultiplier + 64*const_constants*s)(R12), Z21, Z21 \
	VPSUBD Z30, Z22, Z22                                \
	VMOVSHDUP Z20, K7, Z21                              \
	VPSRAVD Z22, Z21, Z21                               \
	VPADDD Z29, Z21, Z21                                \
	VPSRAD $1, Z21, Z21                                 \
	VMOVDQU32 CONSTANT(const_constLow, s), Z22          \
	VMOVDQU32 CONSTANT(const_constHigh, s), Z23         \
	VPSUBD Z22, Z21, Z24                                \
	VPSUBD Z21, Z23, Z25                                \
	VPMAXSD Z22, Z21, q                                 \
	VPMINSD Z23, q, q                                   \
	VPTERNLOGD $0xF8, CONSTANT(const_constCountLow, s), Z24, Z27 \
	VPTERNLOGD $0xF8, CONSTANT(const_constCountHigh, s), Z25, Z27 \
	VPADDD CONSTANT(const_constZero, s), q, q

#define REQUANTISE_IF(s, acc, q, enough) \
	CMPL AX, $s                                         \
	JEQ enough                                          \
	REQUANTISE(s, acc, q)

// Packs the results of four slices in Z16 to Z19 and stores them at BX.
#define JOIN_FOUR \
	VPACKSSDW Z17, Z16, Z16 \
	VPACKSSDW Z19, Z18, Z18 \
	VPACKUSWB Z18, Z16, Z16 \
	VPERMD Z16, Z28, Z16

#define PACK \
	JOIN_FOUR \
	VMOVDQU64 Z16, (R8)(BX*1)

// func execute7AVX512(w *windows, mem *Memory, p *progress)
TEXT ·execute7AVX512(SB), NOSPLIT, $576-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"

#define WIDE
#undef JOIN_FOUR
#undef PACK

#define JOIN_FOUR \
	VPACKUSDW Z17, Z16, Z16 \
	VPACKUSDW Z19, Z18, Z18 \
	VPSRLW $7, Z16, Z17 \
	VPSRLW $7, Z18, Z19 \
	VPSLLW $9, Z16, Z16 \
	VPSLLW $9, Z18, Z18 \
	VPSRLW $9, Z16, Z16 \
	VPSRLW $9, Z18, Z18 \
	VPACKUSWB Z18, Z16, Z16 \
	VPACKUSWB Z19, Z17, Z17 \
	VPERMD Z16, Z28, Z16 \
	VPERMD Z17, Z28, Z17

#define PACK \
	JOIN_FOUR \
	VMOVDQU64 Z16, (R8)(BX*1) \
	VMOVDQU64 Z17, (R9)(BX*1)

// func execute14AVX512(w *windows, mem *Memory, p *progress)
TEXT ·execute14AVX512(SB), NOSPLIT, $576-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"
