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

#define JOIN_WIDE(high, low) \
	VPSLLD $7, high, high                               \
	VPADDD high, low, low

// A constant of slice s.
#define CONSTANT(which, s) (64*which + 64*const_constants*s)(R12)

// Slice s of a level or sweep, R11 what its sums start from and R10 bytes on to the next slice's: the sums acc become
// results q by the high halves of products, as at highHalf in avx512_execute_amd64.h. In the sign bits of Z27 gather
// those of (t − low) & countLow and (high − t) & countHigh: whether anything saturates.

#define REQUANTISE(s, acc, q) \
	VPADDD (R11), acc, Z20                              \
	ADDQ R10, R11                                       \
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

// Packs the results of four slices in Z16 to Z19 into Z16.
#define PACK \
	VPACKSSDW Z17, Z16, Z16                             \
	VPACKSSDW Z19, Z18, Z18                             \
	VPACKUSWB Z18, Z16, Z16                             \
	VPERMD Z16, Z28, Z16

// Stores the states of a level at BX.
#define STORE \
	VMOVDQU64 Z16, (R8)(BX*1)

// A sweep's results wait aside, at BX from where those of the group are: progress.moved tells whether they differ from
// the states.
#define STORE_SWEPT(same) \
	MOVL command_next(R13), CX                          \
	ADDQ Memory_Buffers+Buffers_Next8(SI), CX           \
	VMOVDQU64 Z16, (CX)(BX*1)                           \
	MOVL command_current(R13), CX                       \
	ADDQ BX, CX                                         \
	VPCMPB $4, (R8)(CX*1), Z16, K1                      \
	KORTESTQ K1, K1                                     \
	JEQ same                                            \
	MOVL $1, progress_moved(DX)

// A window of 64 bytes of 7 bits.
#define WINDOW \
	VMOVDQU64 (R8)(AX*1), Z16

// The steps of slice s at a window in one plane of weights; sums a and b in turn hide what a dot
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

// func execute7AVX512(w *windows, mem *Memory, p *progress)
TEXT ·execute7AVX512(SB), NOSPLIT, $576-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"

#undef WINDOW
#undef NARROW1
#undef NARROW2

// A window of 128 bytes of 7 bits.
#define WINDOW \
	VMOVDQU64 (R8)(AX*1), Z16                           \
	VMOVDQU64 64(R8)(AX*1), Z17

#define NARROW1(s, a, b, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VPERMI2B Z17, Z16, Z18                              \
	VPDPBUSD 64(R11), Z18, a                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JEQ done                                            \
	VMOVDQU64 (R11), Z18                                \
	VPERMI2B Z17, Z16, Z18                              \
	VPDPBUSD 64(R11), Z18, b                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

#define NARROW2(s, lowA, highA, lowB, highB, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VPERMI2B Z17, Z16, Z18                              \
	VPDPBUSD 64(R11), Z18, highA                        \
	VPDPBUSD 128(R11), Z18, lowA                        \
	ADDQ $192, R11                                      \
	DECL CX                                             \
	JEQ done                                            \
	VMOVDQU64 (R11), Z18                                \
	VPERMI2B Z17, Z16, Z18                              \
	VPDPBUSD 64(R11), Z18, highB                        \
	VPDPBUSD 128(R11), Z18, lowB                        \
	ADDQ $192, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

// func execute7AVX512Far(w *windows, mem *Memory, p *progress)
TEXT ·execute7AVX512Far(SB), NOSPLIT, $576-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"

#undef WINDOW
#undef NARROW1
#undef NARROW2
#define WIDE
#undef PACK
#undef STORE
#undef STORE_SWEPT

// The same for 14 bits: into Z16, and the high plane into Z17.
#define PACK \
	VPACKUSDW Z17, Z16, Z16                             \
	VPACKUSDW Z19, Z18, Z18                             \
	VPSRLW $7, Z16, Z17                                 \
	VPSRLW $7, Z18, Z19                                 \
	VPSLLW $9, Z16, Z16                                 \
	VPSLLW $9, Z18, Z18                                 \
	VPSRLW $9, Z16, Z16                                 \
	VPSRLW $9, Z18, Z18                                 \
	VPACKUSWB Z18, Z16, Z16                             \
	VPACKUSWB Z19, Z17, Z17                             \
	VPERMD Z16, Z28, Z16                                \
	VPERMD Z17, Z28, Z17

#define STORE \
	VMOVDQU64 Z16, (R8)(BX*1)                           \
	VMOVDQU64 Z17, (R9)(BX*1)

#define STORE_SWEPT(same) \
	MOVL command_next(R13), CX                          \
	ADDQ Memory_Buffers+Buffers_Next8(SI), CX           \
	VMOVDQU64 Z16, (CX)(BX*1)                           \
	ADDQ windows_next(DI), CX                           \
	VMOVDQU64 Z17, (CX)(BX*1)                           \
	MOVL command_current(R13), CX                       \
	ADDQ BX, CX                                         \
	VPCMPB $4, (R8)(CX*1), Z16, K1                      \
	VPCMPB $4, (R9)(CX*1), Z17, K2                      \
	KORTESTQ K1, K2                                     \
	JEQ same                                            \
	MOVL $1, progress_moved(DX)

// A window of 64 bytes of 14 bits, and of their high plane.
#define WINDOW \
	VMOVDQU64 (R8)(AX*1), Z16                           \
	VMOVDQU64 (R9)(AX*1), Z17

// One plane of weights at a window.
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

// func execute14AVX512(w *windows, mem *Memory, p *progress)
TEXT ·execute14AVX512(SB), NOSPLIT, $576-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"

#undef WINDOW
#undef WIDE1
#undef WIDE2

// A window of 128 bytes of 14 bits, and of their high plane.
#define WINDOW \
	VMOVDQU64 (R8)(AX*1), Z16                           \
	VMOVDQU64 64(R8)(AX*1), Z17                         \
	VMOVDQU64 (R9)(AX*1), Z22                           \
	VMOVDQU64 64(R9)(AX*1), Z23

#define WIDE1(s, lowA, highA, lowB, highB, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VMOVDQA64 Z18, Z20                                  \
	VPERMI2B Z17, Z16, Z20                              \
	VPERMI2B Z23, Z22, Z18                              \
	VMOVDQU64 64(R11), Z19                              \
	VPDPBUSD Z19, Z20, lowA                             \
	VPDPBUSD Z19, Z18, highA                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JEQ done                                            \
	VMOVDQU64 (R11), Z18                                \
	VMOVDQA64 Z18, Z20                                  \
	VPERMI2B Z17, Z16, Z20                              \
	VPERMI2B Z23, Z22, Z18                              \
	VMOVDQU64 64(R11), Z19                              \
	VPDPBUSD Z19, Z20, lowB                             \
	VPDPBUSD Z19, Z18, highB                            \
	ADDQ $128, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

#define WIDE2(s, lowLow, highLow, lowHigh, highHigh, step, done) \
	MOVBLZX (windowVisit_counts+s)(R10), CX             \
	TESTL CX, CX                                        \
	JEQ done                                            \
step:                                                       \
	VMOVDQU64 (R11), Z18                                \
	VMOVDQA64 Z18, Z20                                  \
	VPERMI2B Z17, Z16, Z20                              \
	VPERMI2B Z23, Z22, Z18                              \
	VMOVDQU64 64(R11), Z19                              \
	VMOVDQU64 128(R11), Z21                             \
	VPDPBUSD Z21, Z20, lowLow                           \
	VPDPBUSD Z19, Z20, highLow                          \
	VPDPBUSD Z21, Z18, lowHigh                          \
	VPDPBUSD Z19, Z18, highHigh                         \
	ADDQ $192, R11                                      \
	DECL CX                                             \
	JNE step                                            \
done:

// func execute14AVX512Far(w *windows, mem *Memory, p *progress)
TEXT ·execute14AVX512Far(SB), NOSPLIT, $576-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"
