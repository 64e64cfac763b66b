//go:build !noasm && !purego

#include "textflag.h"
#include "go_asm.h"

// The registers of runAVX2:
//	R8  the frame                      AX DX CX  what is at hand
//	R9  the command, R10 the last's end
//	R11 the budget
//	R12 activations, R13 their high plane
//	R14 the command's flags
//	R15 saturations
//	BX  the slice's constants
//	SI  the starts, DI the data of the next step
//	Y0 Y1    the sums, low and high; with 14 bits Y2 Y3 those of the high plane of activations
//	Y11 0x80 in every byte, Y12 highHalf in every int32, Y14 −1, Y15 1 in every int16

// CONST is an array of a slice's constants.
#define CONST(k) (k*32)(BX)

// GATHER gathers from the window at at+start of a plane of activations, into A, what the indices in Y8 say,
// and those in Y9: of its halves of 16 bytes either gives 0 where an index is the other's.
#define GATHER(plane, start, A) \
	VBROADCASTI128 (plane)(start*1), A    \
	VPSHUFB        Y8, A, A               \
	VBROADCASTI128 16(plane)(start*1), Y10 \
	VPSHUFB        Y9, Y10, Y10           \
	VPOR           Y10, A, A

// INDICES loads the indices of a step: for the low halves of windows as they are packed, for the high ones
// with another sign.
#define INDICES(at) \
	VMOVDQU at(DI), Y8   \
	VPXOR   Y8, Y11, Y9

// MULTIPLY2 adds to sum the products of what two steps gathered in A and B with their weights at v and w: pairs
// as int16, which pairSteps allows, then fours as int32.
#define MULTIPLY2(A, B, v, w, T, U, sum) \
	VPMADDUBSW v(DI), A, T  \
	VPMADDUBSW w(DI), B, U  \
	VPADDW     U, T, T      \
	VPMADDWD   Y15, T, T    \
	VPADDD     T, sum, sum

// STEPS7 adds to sum two steps of 7 bits and one plane of weights.
#define STEPS7(at, starts, sum) \
	MOVL starts(SI), AX       \
	INDICES(at)               \
	GATHER(R12, AX, Y4)       \
	MOVL (starts+4)(SI), AX   \
	INDICES(at+64)            \
	GATHER(R12, AX, Y5)       \
	MULTIPLY2(Y4, Y5, at+32, at+96, Y4, Y5, sum)

// GATHER14 gathers for two steps, a stride apart, from both planes of activations: Y4 Y5 from the low one,
// Y6 Y7 from the high one.
#define GATHER14(stride) \
	MOVL (SI), AX        \
	INDICES(0)           \
	GATHER(R12, AX, Y4)  \
	GATHER(R13, AX, Y6)  \
	MOVL 4(SI), AX       \
	INDICES(stride)      \
	GATHER(R12, AX, Y5)  \
	GATHER(R13, AX, Y7)

// STEPS advances behind two steps.
#define STEPS(stride) \
	ADDQ $8, SI         \
	ADDQ $(2*stride), DI

// WIDE multiplies 4 accumulators, the rows offset/4 to offset/4+3, and shifts them: T is t, as int64. The
// accumulators are low + bias + 128·high, arrays of 32 bytes at SP.
#define WIDE(offset, T, A, B, C, D) \
	VPMOVSXDQ offset(SP), T      \
	VPMOVSXDQ (offset+32)(SP), A \
	VPMOVSXDQ (offset+64)(SP), B \
	VPSLLQ    $7, A, A           \
	VPADDQ    B, T, T            \
	VPADDQ    A, T, T            \
	VPMOVSXDQ (const_constMultiplier*32+offset)(BX), A    \
	VPMOVSXDQ (const_constNegative*32+offset)(BX), B      \
	VBLENDVPD T, B, A, A         \
	VPMOVSXDQ (const_constShift*32+offset)(BX), B         \
	VPMOVSXDQ (const_constNegativeShift*32+offset)(BX), C \
	VBLENDVPD T, C, B, B         \
	VPMULUDQ  A, T, C            \ // acc·M = (acc mod 2³²)·M + 2³²·(acc >> 32)·M, modulo 2⁶⁴
	VPSRLQ    $32, T, T          \
	VPMULUDQ  A, T, T            \
	VPSLLQ    $32, T, T          \
	VPADDQ    C, T, T            \
	VPSRLQ    $63, Y14, A        \ // 1
	VPSLLVQ   B, A, C            \
	VPSRLQ    $1, C, C           \ // 2^(S−1)
	VPADDQ    C, T, T            \
	VPSLLQ    $63, Y14, A        \ // an arithmetic shift: logically of T + 2⁶³, less what that adds
	VPXOR     A, T, T            \
	VPSRLVQ   B, T, T            \
	VPSRLVQ   B, A, A            \
	VPSUBQ    A, T, T

// MULTIPLY computes t = ((acc·M >> (S−1)) + 1) >> 1 into Y5, for acc in Y0, M in Y2 and S in Y3 of highHalf at
// least: then the high halves of products are all that counts, of the even rows in Y5, of the odd ones in Y6.
#define MULTIPLY \
	VPSUBD   Y12, Y3, Y3       \
	VPMULDQ  Y2, Y0, Y5        \
	VPSRLQ   $32, Y0, Y6       \
	VPSRLQ   $32, Y2, Y2       \
	VPMULDQ  Y2, Y6, Y6        \
	VPSRLQ   $32, Y5, Y5       \
	VPBLENDD $0xAA, Y6, Y5, Y5 \
	VPSRAVD  Y3, Y5, Y5        \
	VPSUBD   Y14, Y5, Y5       \
	VPSRAD   $1, Y5, Y5

// COUNT counts where t in Y5 is below Y6 or above Y7 and that is a saturation.
#define COUNT \
	VPCMPGTD  Y5, Y6, Y8                         \
	VPCMPGTD  Y7, Y5, Y9                         \
	VPAND     CONST(const_constCountLow), Y8, Y8  \
	VPAND     CONST(const_constCountHigh), Y9, Y9 \
	VPOR      Y9, Y8, Y8                         \
	VMOVMSKPS Y8, AX                             \
	POPCNTL   AX, AX                             \
	ADDQ      AX, R15

// CLAMP makes t in Y5 q, by the limits Y6 and Y7.
#define CLAMP \
	VPMAXSD Y6, Y5, Y5                     \
	VPMINSD Y7, Y5, Y5                     \
	VPADDD  CONST(const_constZero), Y5, Y5

// NARROW makes 8 int32 in Y5 as many int16 in X5.
#define NARROW \
	VEXTRACTI128 $1, Y5, X6 \
	VPACKUSDW    X6, X5, X5

// SATURATE makes 4 int64 fit int32: most is 2³¹−1, least −2³¹.
#define SATURATE(T, most, least, A) \
	VPCMPGTQ  most, T, A      \
	VBLENDVPD A, most, T, T   \
	VPCMPGTQ  T, least, A     \
	VBLENDVPD A, least, T, T

// BROADCAST fills a register with an int32.
#define BROADCAST(value, X, Y) \
	MOVL         $value, AX \
	VMOVD        AX, X      \
	VPBROADCASTD X, Y

// COPY copies CX bytes, a multiple of 8, from SI to DI.
#define COPY(again, done) \
	CMPQ CX, $0      \
	JEQ  done        \
again: \
	MOVQ -8(SI)(CX*1), AX \
	MOVQ AX, -8(DI)(CX*1) \
	SUBQ $8, CX           \
	JNE  again            \
done:

// func runAVX2(f *windowFrame)
// It is interpret, for 8 rows and windows of 32 bytes. Slices of what models do most have a way of their
// own, see flagPlain.
TEXT ·runAVX2(SB), NOSPLIT, $96-8
	MOVQ f+0(FP), R8
	MOVQ windowFrame_progress(R8), DX
	MOVL progress_command(DX), R9
	MOVL progress_end(DX), R10
	SHLQ $6, R9
	SHLQ $6, R10
	ADDQ windowFrame_commands(R8), R9
	ADDQ windowFrame_commands(R8), R10
	MOVL progress_budget(DX), R11
	MOVQ windowFrame_activations(R8), R12
	MOVQ windowFrame_plane(R8), R13
	ADDQ R12, R13
	XORL R15, R15
	VPCMPEQD Y14, Y14, Y14
	VPSRLW $15, Y14, Y15
	VPSLLW $15, Y14, Y11
	VPACKSSWB Y11, Y11, Y11
	BROADCAST(const_highHalf, X12, Y12)
	JMP  next

advance:
	ADDQ $command__size, R9

next:
	CMPQ R9, R10
	JAE  done
	TESTL R11, R11
	JLT  done

command:
	MOVL command_flags(R9), R14
	MOVL command_steps(R9), CX
	SUBL CX, R11
	MOVL command_start(R9), SI
	SHLQ $2, SI
	ADDQ windowFrame_starts(R8), SI
	MOVL command_data(R9), DI
	ADDQ windowFrame_data(R8), DI
	MOVL command_constants(R9), BX
	ADDQ windowFrame_constants(R8), BX
	TESTL $const_flagPlain, R14
	JEQ  general

	VMOVDQU CONST(const_constBias), Y0
	TESTL CX, CX
	JEQ  plainDone

plain:
	STEPS7(0, 0, Y0)
	STEPS(64)
	SUBL $2, CX
	JNE  plain

plainDone:
	VMOVDQU CONST(const_constMultiplier), Y2
	VMOVDQU CONST(const_constShift), Y3
	MULTIPLY
	VMOVDQU CONST(const_constLow), Y6
	VMOVDQU CONST(const_constHigh), Y7
	TESTL $const_flagCounts, R14
	JEQ  plainClamp
	COUNT

plainClamp:
	CLAMP
	NARROW
	VPACKUSWB X5, X5, X5
	MOVL command_dest(R9), CX
	VMOVQ X5, (R12)(CX*1)
	ADDQ $command__size, R9
	CMPQ R9, R10
	JAE  done
	TESTL R11, R11
	JGE  command
	JMP  done

general:
	MOVL command_op(R9), AX
	CMPL AX, $const_opBegin
	JEQ  begin
	CMPL AX, $const_opEnd
	JEQ  end
	VPXOR Y1, Y1, Y1
	CMPL AX, $const_opSweep
	JEQ  resume
	TESTL $const_flagTwoPlanes, R14
	JNE  twoPlanes
	VMOVDQU CONST(const_constBias), Y0

onePlane:
	CMPQ windowFrame_wide(R8), $0
	JNE  onePlane14
	TESTL CX, CX
	JEQ  accumulated

onePlane7:
	STEPS7(0, 0, Y0)
	STEPS(64)
	SUBL $2, CX
	JNE  onePlane7

accumulated:
	// The sums are in Y0 and, of two planes of weights, Y1.
	CMPL command_op(R9), $const_opExternal
	JEQ  external
	TESTL $const_flagHighHalf, R14
	JEQ  requantiseWide

	VMOVDQU CONST(const_constMultiplier), Y2
	VMOVDQU CONST(const_constShift), Y3
	TESTL $const_flagNegative, R14
	JNE  negative

multiply:
	MULTIPLY

requantised:
	// t is in Y5.
	CMPL command_op(R9), $const_opOutput
	JEQ  output
	TESTL $const_flagTable, R14
	JNE  table
	VMOVDQU CONST(const_constLow), Y6
	VMOVDQU CONST(const_constHigh), Y7
	TESTL $const_flagCounts, R14
	JEQ  clamp
	COUNT

clamp:
	CLAMP

store:
	// q is in Y5: its planes go to AX and DX.
	NARROW
	CMPQ windowFrame_wide(R8), $0
	JNE  store14
	VPACKUSWB X5, X5, X5
	VMOVQ X5, AX
	CMPL command_op(R9), $const_opSweep
	JEQ  sweep7
	MOVL command_dest(R9), CX
	MOVQ AX, (R12)(CX*1)
	JMP  advance

store14:
	VPSRLW $7, X5, X6
	VPSLLW $9, X5, X5
	VPSRLW $9, X5, X5
	VPACKUSWB X6, X5, X5
	VMOVQ X5, AX
	VPEXTRQ $1, X5, DX
	CMPL command_op(R9), $const_opSweep
	JEQ  sweep14
	MOVL command_dest(R9), CX
	MOVQ AX, (R12)(CX*1)
	MOVQ DX, (R13)(CX*1)
	JMP  advance

sweep7:
	MOVL command_next(R9), DI
	ADDQ windowFrame_next(R8), DI
	MOVL command_current(R9), CX
	MOVQ AX, (DI)
	XORQ (R12)(CX*1), AX
	JEQ  advance
	JMP  moved

sweep14:
	MOVL command_next(R9), DI
	ADDQ windowFrame_next(R8), DI
	MOVL command_current(R9), CX
	MOVQ AX, (DI)
	XORQ (R12)(CX*1), AX
	ADDQ windowFrame_nextPlane(R8), DI
	MOVQ DX, (DI)
	XORQ (R13)(CX*1), DX
	ORQ  DX, AX
	JEQ  advance

moved:
	MOVQ windowFrame_progress(R8), DX
	MOVL $1, progress_moved(DX)
	JMP  advance

output:
	MOVL command_dest(R9), DI
	ADDQ windowFrame_outputs(R8), DI
	VMOVDQU Y5, (DI)
	JMP  advance

negative:
	VMOVDQU CONST(const_constNegative), Y5
	VMOVDQU CONST(const_constNegativeShift), Y6
	VBLENDVPS Y0, Y5, Y2, Y2
	VBLENDVPS Y0, Y6, Y3, Y3
	JMP  multiply

external:
	MOVL command_dest(R9), DI
	ADDQ windowFrame_external(R8), DI
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	JMP  advance

resume:
	// A sweep: what comes from outside of the loop is there.
	MOVL command_dest(R9), DX
	ADDQ windowFrame_external(R8), DX
	VMOVDQU (DX), Y0
	TESTL $const_flagTwoPlanes, R14
	JEQ  onePlane
	VMOVDQU 32(DX), Y1
	JMP  twoPlanesLoaded

onePlane14:
	VPXOR Y2, Y2, Y2
	TESTL CX, CX
	JEQ  onePlane14done

onePlane14loop:
	GATHER14(64)
	MULTIPLY2(Y4, Y5, 32, 96, Y4, Y5, Y0)
	MULTIPLY2(Y6, Y7, 32, 96, Y6, Y7, Y2)
	STEPS(64)
	SUBL $2, CX
	JNE  onePlane14loop

onePlane14done:
	VPSLLD $7, Y2, Y2
	VPADDD Y2, Y0, Y0
	JMP  accumulated

twoPlanes:
	VPXOR Y0, Y0, Y0

twoPlanesLoaded:
	TESTL CX, CX
	JEQ  accumulated
	CMPQ windowFrame_wide(R8), $0
	JNE  twoPlanes14

twoPlanes7:
	MOVL (SI), AX
	INDICES(0)
	GATHER(R12, AX, Y4)
	MOVL 4(SI), AX
	INDICES(96)
	GATHER(R12, AX, Y5)
	MULTIPLY2(Y4, Y5, 32, 128, Y6, Y7, Y1)
	MULTIPLY2(Y4, Y5, 64, 160, Y4, Y5, Y0)
	STEPS(96)
	SUBL $2, CX
	JNE  twoPlanes7
	JMP  accumulated

twoPlanes14:
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

twoPlanes14loop:
	GATHER14(96)
	MULTIPLY2(Y4, Y5, 32, 128, Y8, Y9, Y1)
	MULTIPLY2(Y4, Y5, 64, 160, Y4, Y5, Y0)
	MULTIPLY2(Y6, Y7, 32, 128, Y8, Y9, Y3)
	MULTIPLY2(Y6, Y7, 64, 160, Y6, Y7, Y2)
	STEPS(96)
	SUBL $2, CX
	JNE  twoPlanes14loop
	VPSLLD $7, Y2, Y2
	VPADDD Y2, Y0, Y0
	VPSLLD $7, Y3, Y3
	VPADDD Y3, Y1, Y1
	JMP  accumulated

requantiseWide:
	// In int64, four rows at a time. The bias of one plane of weights is in the sum.
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	TESTL $const_flagTwoPlanes, R14
	JEQ  spill
	VMOVDQU Y1, Y2
	VMOVDQU CONST(const_constBias), Y3

spill:
	VMOVDQU Y0, (SP)
	VMOVDQU Y2, 32(SP)
	VMOVDQU Y3, 64(SP)
	WIDE(0, Y5, Y7, Y8, Y9, Y10)
	WIDE(16, Y6, Y7, Y8, Y9, Y10)
	CMPL command_op(R9), $const_opOutput
	JEQ  join
	VPSRLQ $33, Y14, Y7
	VPXOR Y14, Y7, Y8
	SATURATE(Y5, Y7, Y8, Y9)
	SATURATE(Y6, Y7, Y8, Y9)

join:
	VSHUFPS $0x88, Y6, Y5, Y5
	VPERMQ $0xD8, Y5, Y5
	JMP  requantised

table:
	MOVQ windowFrame_tables(R8), DX
	CMPQ windowFrame_wide(R8), $0
	JNE  table14

	// quant.LookUp7: two entries are loaded, the first one is kept.
	BROADCAST(127, X6, Y6)
	VPMINSD Y6, Y5, Y5
	VPXOR Y14, Y6, Y6
	VPMAXSD Y6, Y5, Y5
	VPSUBD Y6, Y5, Y5
	VPADDD CONST(const_constTable), Y5, Y5
	VMOVDQA Y14, Y7
	VPGATHERDD Y7, (DX)(Y5*2), Y8
	VPSLLD $16, Y8, Y5
	VPSRLD $16, Y5, Y5
	JMP  store

table14:
	// quant.LookUp14: left and right in one load, of which VPMADDWD makes right·l − left·l.
	BROADCAST(32767, X6, Y6)
	VPMINSD Y6, Y5, Y5
	VPXOR Y14, Y6, Y6
	VPMAXSD Y6, Y5, Y5
	VPSUBD Y6, Y5, Y5
	VPSRLD $8, Y5, Y7
	VPADDD CONST(const_constTable), Y7, Y7
	VMOVDQA Y14, Y9
	VPGATHERDD Y9, (DX)(Y7*2), Y8
	VPSLLD $24, Y5, Y5
	VPSRLD $24, Y5, Y5 // l
	VPXOR Y6, Y6, Y6
	VPSUBD Y5, Y6, Y6
	VPSLLD $16, Y5, Y5
	VPBLENDW $0x55, Y6, Y5, Y5
	VPMADDWD Y5, Y8, Y5
	BROADCAST(128, X6, Y6)
	VPADDD Y6, Y5, Y5
	VPSRAD $8, Y5, Y5
	VPSLLD $16, Y8, Y8
	VPSRLD $16, Y8, Y8
	VPADDD Y8, Y5, Y5
	JMP  store

begin:
	// beginLoop.
	MOVL command_initial(R9), SI
	ADDQ windowFrame_initial(R8), SI
	MOVL command_dest(R9), DX
	LEAQ (R12)(DX*1), DI
	MOVL command_count(R9), CX
	COPY(beginLow, beginLowDone)
	CMPQ windowFrame_wide(R8), $0
	JEQ  begun
	MOVL command_count(R9), CX
	ADDQ CX, SI
	LEAQ (R13)(DX*1), DI
	COPY(beginHigh, beginHighDone)

begun:
	MOVQ windowFrame_progress(R8), DX
	MOVL $0, progress_moved(DX)
	MOVL $0, progress_sweep(DX)
	JMP  advance

end:
	// endSweep.
	MOVQ windowFrame_next(R8), SI
	MOVL command_dest(R9), DX
	LEAQ (R12)(DX*1), DI
	MOVL command_count(R9), CX
	COPY(endLow, endLowDone)
	CMPQ windowFrame_wide(R8), $0
	JEQ  ended
	MOVL command_count(R9), CX
	ADDQ windowFrame_nextPlane(R8), SI
	LEAQ (R13)(DX*1), DI
	COPY(endHigh, endHighDone)

ended:
	MOVQ windowFrame_progress(R8), DX
	INCQ progress_sweeps(DX)
	MOVL progress_sweep(DX), AX
	INCL AX
	MOVL AX, progress_sweep(DX)
	MOVL progress_moved(DX), CX
	MOVL $0, progress_moved(DX)
	TESTL CX, CX
	JEQ  advance
	CMPL AX, command_limit(R9)
	JAE  advance
	MOVL command_target(R9), R9
	SHLQ $6, R9
	ADDQ windowFrame_commands(R8), R9
	JMP  next

done:
	MOVQ windowFrame_progress(R8), DX
	SUBQ windowFrame_commands(R8), R9
	SHRQ $6, R9
	MOVL R9, progress_command(DX)
	MOVL R11, progress_budget(DX)
	ADDQ R15, progress_saturations(DX)
	VZEROUPPER
	RET
