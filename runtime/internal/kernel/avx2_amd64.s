//go:build !noasm && !purego

#include "textflag.h"
#include "go_asm.h"

// The registers of runAVX2:
//	R8  the frame                      AX DX CX  what is at hand
//	R9  the command, R10 the last's end
//	R11 the budget
//	R12 activations, R13 their high plane
//	R14 the command's flags
//	R15 1: activations of 14 bits
//	BX  the slice's constants
//	SI  the starts, DI the data of the next step
//	Y0 Y1    the sums, low and high; with 14 bits Y2 Y3 those of the high plane of activations
//	Y12 highHalf in every int32, Y13 0x7F in every byte, Y14 −1, Y15 1 in every int16

// The arrays of a slice's constants.
#define CONST(k) (k*32)(BX)

// WINDOWS loads the windows of two steps from a plane of activations.
#define STARTS \
	MOVL (SI), AX  \
	MOVL 4(SI), DX

#define WINDOWS(plane, A, B) \
	VBROADCASTI128 (plane)(AX*1), A \
	VBROADCASTI128 (plane)(DX*1), B

// DOT adds to sum, of two steps, the products of the gathered activations A and B with the weights that lie
// at w, the step's stride apart: pairs as int16, which pairSteps allows, fours as int32.
#define DOT(A, B, w, stride, T, U, sum) \
	VPMADDUBSW w(DI), A, T          \
	VPMADDUBSW (w+stride)(DI), B, U \
	VPADDW     U, T, T              \
	VPMADDWD   Y15, T, T            \
	VPADDD     T, sum, sum

#define PERMUTE(stride, A, B) \
	VPSHUFB (DI), A, A       \
	VPSHUFB stride(DI), B, B

// STEPS2 advances behind two steps.
#define STEPS2(stride) \
	ADDQ $8, SI          \
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

// func runAVX2(f *frameAVX2)
// It is interpret, for 8 rows and windows of 16 bytes.
TEXT ·runAVX2(SB), NOSPLIT, $96-8
	MOVQ f+0(FP), R8
	MOVQ frameAVX2_progress(R8), DX
	MOVL progress_command(DX), R9
	MOVL progress_end(DX), R10
	SHLQ $6, R9
	SHLQ $6, R10
	ADDQ frameAVX2_commands(R8), R9
	ADDQ frameAVX2_commands(R8), R10
	MOVL progress_budget(DX), R11
	MOVQ frameAVX2_activations(R8), R12
	MOVQ frameAVX2_plane(R8), R13
	ADDQ R12, R13
	MOVQ frameAVX2_wide(R8), R15
	VPCMPEQD Y14, Y14, Y14
	VPSRLW $15, Y14, Y15
	VPSRLW $9, Y14, Y13
	VPACKUSWB Y13, Y13, Y13
	BROADCAST(const_highHalf, X12, Y12)

next:
	CMPQ R9, R10
	JAE  done
	TESTL R11, R11
	JLT  done
	MOVL command_op(R9), AX
	MOVL command_flags(R9), R14
	MOVL command_steps(R9), CX
	SUBL CX, R11
	CMPL AX, $const_opBegin
	JEQ  begin
	CMPL AX, $const_opEnd
	JEQ  end

	// A slice.
	MOVL command_start(R9), SI
	SHLQ $2, SI
	ADDQ frameAVX2_starts(R8), SI
	MOVL command_data(R9), DI
	ADDQ frameAVX2_data(R8), DI
	MOVL command_constants(R9), BX
	ADDQ frameAVX2_constants(R8), BX
	CMPL AX, $const_opSweep
	JEQ  resume
	VPXOR Y1, Y1, Y1
	TESTL $const_flagTwoPlanes, R14
	JNE  twoPlanes
	VMOVDQU CONST(const_constBias), Y0

onePlane:
	TESTL R15, R15
	JNE  onePlane14
	SUBL $4, CX
	JLT  onePlane7rest

onePlane7:
	STARTS
	WINDOWS(R12, Y4, Y5)
	MOVL 8(SI), AX
	MOVL 12(SI), DX
	WINDOWS(R12, Y6, Y7)
	PERMUTE(64, Y4, Y5)
	VPSHUFB 128(DI), Y6, Y6
	VPSHUFB 192(DI), Y7, Y7
	DOT(Y4, Y5, 32, 64, Y4, Y5, Y0)
	DOT(Y6, Y7, 160, 64, Y6, Y7, Y1)
	ADDQ $16, SI
	ADDQ $256, DI
	SUBL $4, CX
	JGE  onePlane7

onePlane7rest:
	CMPL CX, $-4
	JEQ  onePlane7done
	STARTS
	WINDOWS(R12, Y4, Y5)
	PERMUTE(64, Y4, Y5)
	DOT(Y4, Y5, 32, 64, Y4, Y5, Y0)

onePlane7done:
	VPADDD Y1, Y0, Y0
	JMP  accumulated

onePlane14:
	VPXOR Y2, Y2, Y2
	TESTL CX, CX
	JEQ  onePlane14done

onePlane14loop:
	STARTS
	WINDOWS(R12, Y4, Y5)
	WINDOWS(R13, Y6, Y7)
	VMOVDQU (DI), Y8
	VMOVDQU 64(DI), Y9
	VPSHUFB Y8, Y4, Y4
	VPSHUFB Y9, Y5, Y5
	VPSHUFB Y8, Y6, Y6
	VPSHUFB Y9, Y7, Y7
	DOT(Y4, Y5, 32, 64, Y4, Y5, Y0)
	DOT(Y6, Y7, 32, 64, Y6, Y7, Y2)
	STEPS2(64)
	SUBL $2, CX
	JNE  onePlane14loop

onePlane14done:
	VPSLLD $7, Y2, Y2
	VPADDD Y2, Y0, Y0
	JMP  accumulated

resume:
	// A sweep: what comes from outside of the loop is there.
	MOVL command_dest(R9), DX
	ADDQ frameAVX2_external(R8), DX
	VMOVDQU (DX), Y0
	TESTL $const_flagTwoPlanes, R14
	JNE  resumeTwo
	VPXOR Y1, Y1, Y1
	JMP  onePlane

resumeTwo:
	VMOVDQU 32(DX), Y1
	JMP  twoPlanesLoaded

twoPlanes:
	VPXOR Y0, Y0, Y0

twoPlanesLoaded:
	TESTL CX, CX
	JEQ  accumulated
	TESTL R15, R15
	JNE  twoPlanes14

twoPlanes7:
	STARTS
	WINDOWS(R12, Y4, Y5)
	PERMUTE(96, Y4, Y5)
	DOT(Y4, Y5, 32, 96, Y6, Y7, Y1)
	DOT(Y4, Y5, 64, 96, Y4, Y5, Y0)
	STEPS2(96)
	SUBL $2, CX
	JNE  twoPlanes7
	JMP  accumulated

twoPlanes14:
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

twoPlanes14loop:
	STARTS
	WINDOWS(R12, Y4, Y5)
	WINDOWS(R13, Y6, Y7)
	VMOVDQU (DI), Y8
	VMOVDQU 96(DI), Y9
	VPSHUFB Y8, Y4, Y4
	VPSHUFB Y9, Y5, Y5
	VPSHUFB Y8, Y6, Y6
	VPSHUFB Y9, Y7, Y7
	DOT(Y4, Y5, 32, 96, Y8, Y9, Y1)
	DOT(Y4, Y5, 64, 96, Y4, Y5, Y0)
	DOT(Y6, Y7, 32, 96, Y8, Y9, Y3)
	DOT(Y6, Y7, 64, 96, Y6, Y7, Y2)
	STEPS2(96)
	SUBL $2, CX
	JNE  twoPlanes14loop
	VPSLLD $7, Y2, Y2
	VPADDD Y2, Y0, Y0
	VPSLLD $7, Y3, Y3
	VPADDD Y3, Y1, Y1

accumulated:
	// The sums are in Y0 and, of two planes of weights, Y1.
	MOVL command_op(R9), AX
	CMPL AX, $const_opExternal
	JEQ  external
	TESTL $const_flagHighHalf, R14
	JEQ  requantiseWide

	// t = ((acc·M >> (S−1)) + 1) >> 1, of which the high halves of products are all that counts: of the
	// even rows in Y5, of the odd ones in Y6.
	VMOVDQU CONST(const_constMultiplier), Y2
	VMOVDQU CONST(const_constShift), Y3
	TESTL $const_flagNegative, R14
	JEQ  multiply
	VMOVDQU CONST(const_constNegative), Y5
	VMOVDQU CONST(const_constNegativeShift), Y6
	VBLENDVPS Y0, Y5, Y2, Y2
	VBLENDVPS Y0, Y6, Y3, Y3

multiply:
	VPSUBD Y12, Y3, Y3
	VPMULDQ Y2, Y0, Y5
	VPSRLQ $32, Y0, Y6
	VPSRLQ $32, Y2, Y2
	VPMULDQ Y2, Y6, Y6
	VPSRLQ $32, Y5, Y5
	VPBLENDD $0xAA, Y6, Y5, Y5
	VPSRAVD Y3, Y5, Y5
	VPSUBD Y14, Y5, Y5
	VPSRAD $1, Y5, Y5

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
	VPCMPGTD Y5, Y6, Y8
	VPCMPGTD Y7, Y5, Y9
	VPAND CONST(const_constCountLow), Y8, Y8
	VPAND CONST(const_constCountHigh), Y9, Y9
	VPOR Y9, Y8, Y8
	VMOVMSKPS Y8, AX
	POPCNTL AX, AX
	MOVQ frameAVX2_progress(R8), DX
	ADDQ AX, progress_saturations(DX)

clamp:
	VPMAXSD Y6, Y5, Y5
	VPMINSD Y7, Y5, Y5
	VPADDD CONST(const_constZero), Y5, Y5

store:
	// q is in Y5: its planes go to AX and DX.
	VEXTRACTI128 $1, Y5, X6
	VPACKUSDW X6, X5, X5
	VPSRLW $7, X5, X6
	VPACKUSWB X6, X6, X6
	VMOVQ X6, DX
	TESTL R15, R15
	JEQ  storeLow
	VPAND X13, X5, X5
	VPSLLW $8, X5, X5
	VPSRLW $8, X5, X5

storeLow:
	VPACKUSWB X5, X5, X5
	VMOVQ X5, AX
	CMPL command_op(R9), $const_opSweep
	JEQ  sweep
	MOVL command_dest(R9), CX
	MOVQ AX, (R12)(CX*1)
	TESTL R15, R15
	JEQ  advance
	MOVQ DX, (R13)(CX*1)

advance:
	ADDQ $command__size, R9
	JMP  next

sweep:
	MOVL command_next(R9), DI
	ADDQ frameAVX2_next(R8), DI
	MOVL command_current(R9), CX
	MOVQ AX, (DI)
	XORQ (R12)(CX*1), AX
	TESTL R15, R15
	JEQ  compare
	ADDQ frameAVX2_nextPlane(R8), DI
	MOVQ DX, (DI)
	XORQ (R13)(CX*1), DX
	ORQ DX, AX

compare:
	TESTQ AX, AX
	JEQ  advance
	MOVQ frameAVX2_progress(R8), DX
	MOVL $1, progress_moved(DX)
	JMP  advance

output:
	MOVL command_dest(R9), DI
	ADDQ frameAVX2_outputs(R8), DI
	VMOVDQU Y5, (DI)
	JMP  advance

external:
	MOVL command_dest(R9), DI
	ADDQ frameAVX2_external(R8), DI
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	JMP  advance

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
	CMPL AX, $const_opOutput
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
	MOVQ frameAVX2_tables(R8), DX
	TESTL R15, R15
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
	ADDQ frameAVX2_initial(R8), SI
	MOVL command_dest(R9), DX
	LEAQ (R12)(DX*1), DI
	MOVL command_count(R9), CX
	COPY(beginLow, beginLowDone)
	TESTL R15, R15
	JEQ  begun
	MOVL command_count(R9), CX
	ADDQ CX, SI
	LEAQ (R13)(DX*1), DI
	COPY(beginHigh, beginHighDone)

begun:
	MOVQ frameAVX2_progress(R8), DX
	MOVL $0, progress_moved(DX)
	MOVL $0, progress_sweep(DX)
	JMP  advance

end:
	// endSweep.
	MOVQ frameAVX2_next(R8), SI
	MOVL command_dest(R9), DX
	LEAQ (R12)(DX*1), DI
	MOVL command_count(R9), CX
	COPY(endLow, endLowDone)
	TESTL R15, R15
	JEQ  ended
	MOVL command_count(R9), CX
	ADDQ frameAVX2_nextPlane(R8), SI
	LEAQ (R13)(DX*1), DI
	COPY(endHigh, endHighDone)

ended:
	MOVQ frameAVX2_progress(R8), DX
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
	ADDQ frameAVX2_commands(R8), R9
	JMP  next

done:
	MOVQ frameAVX2_progress(R8), DX
	SUBQ frameAVX2_commands(R8), R9
	SHRQ $6, R9
	MOVL R9, progress_command(DX)
	MOVL R11, progress_budget(DX)
	VZEROUPPER
	RET
