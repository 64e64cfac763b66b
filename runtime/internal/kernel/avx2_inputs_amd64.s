//go:build !noasm && !purego

#include "textflag.h"
#include "go_asm.h"

// The registers:
//	R8     the frame         AX CX  what is at hand
//	R9 R10 the group, the end
//	R11    the groups        SI     source
//	R12    the constants     DI R13 the planes of activations, low and high
//	BX     the group's constants
//	DX     saturations
//	Y11    −½
//	Y12    Q, the largest q, in every int16; Y13 the bits that it has not; Y14 −1
//	Y15    what undoes the order of VPACKSSDW and VPACKUSWB

#define CONSTANT(k, part) (k*128+32*part)(BX)

// FILL fills a register with an int32.
#define FILL(value, X, Y) \
	MOVL         $value, AX \
	VMOVD        AX, X      \
	VPBROADCASTD X, Y

// ENTER loads the frame.
#define ENTER \
	MOVQ f+0(FP), R8                       \
	MOVQ inputFrameAVX2_groups(R8), R11    \
	MOVQ inputFrameAVX2_constants(R8), R12 \
	MOVQ inputFrameAVX2_source(R8), SI     \
	MOVQ inputFrameAVX2_low(R8), DI        \
	MOVQ inputFrameAVX2_high(R8), R13      \
	MOVQ inputFrameAVX2_group(R8), R9      \
	MOVQ inputFrameAVX2_end(R8), R10       \
	MOVQ inputFrameAVX2_saturations(R8), DX \
	MOVQ R9, AX                            \
	SHLQ $5, AX                            \
	ADDQ AX, DI                            \
	ADDQ AX, R13

// LEAVE tells how far it has come.
#define LEAVE \
	MOVQ R9, inputFrameAVX2_group(R8)       \
	MOVQ DX, inputFrameAVX2_saturations(R8) \
	VZEROUPPER                              \
	RET

// PREPARE loads what QUANTISE needs; largest is Q twice.
#define PREPARE(largest) \
	FILL(0xBF000000, X11, Y11)    \
	FILL(largest, X12, Y12)       \
	VPCMPEQW Y14, Y14, Y14        \
	VPXOR    Y14, Y12, Y13        \
	VMOVDQU  unpackAVX2<>(SB), Y15

// QUANTISE makes t + z of 8 numbers in V, as int32; of those that are not finite or far off something far off.
#define QUANTISE(part, U, V, W) \
	VMOVUPS      (32*part)(SI), U                       \
	VMOVUPS      CONSTANT(const_groupReciprocal, part), V \
	VFMADD213PS  Y11, U, V                              \ // u·r − ½
	VCVTPS2DQ    V, V                                   \ // k
	VCVTDQ2PS    V, W                                   \
	VFNMADD231PS CONSTANT(const_groupScale, part), W, U \ // the remainder
	VCMPPS       $0x1D, CONSTANT(const_groupHalf, part), U, U \ // −1 where it is s/2 or more
	VPSUBD       U, V, V                                \
	VPADDD       CONSTANT(const_groupZero, part), V, V

// QUANTISE32 makes the 32 numbers of a group t + z in Y0 and Y1, as int16 in the order of VPACKSSDW, and jumps
// where one is not in [0, Q].
#define QUANTISE32(outside) \
	MOVL      inputGroup_constants(R11)(R9*8), BX \
	ADDQ      R12, BX         \
	QUANTISE(0, Y4, Y0, Y5)   \
	QUANTISE(1, Y6, Y1, Y7)   \
	QUANTISE(2, Y4, Y2, Y5)   \
	QUANTISE(3, Y6, Y3, Y7)   \
	VPACKSSDW Y1, Y0, Y0      \
	VPACKSSDW Y3, Y2, Y1      \
	VPOR      Y1, Y0, Y2      \
	VPTEST    Y13, Y2         \
	JNE       outside

// OUTSIDE clamps Y0 and Y1 to [0, Q] and counts, or jumps where VPACKSSDW had to saturate.
#define OUTSIDE(far) \
	VPSUBW    Y14, Y0, Y2   \ // 2¹⁵−1 and −2¹⁵ become the two least
	VPSUBW    Y14, Y1, Y3   \
	VPMINSW   Y3, Y2, Y2    \
	VPSLLW    $15, Y14, Y3  \
	VPSUBW    Y14, Y3, Y3   \
	VPCMPGTW  Y3, Y2, Y2    \
	VPMOVMSKB Y2, AX        \
	CMPL      AX, $-1       \
	JNE       far           \
	VPXOR     Y5, Y5, Y5    \
	VPMAXSW   Y5, Y0, Y2    \
	VPMAXSW   Y5, Y1, Y3    \
	VPMINSW   Y12, Y2, Y2   \
	VPMINSW   Y12, Y3, Y3   \
	VPCMPEQW  Y2, Y0, Y4    \
	VPCMPEQW  Y3, Y1, Y5    \
	VMOVDQA   Y2, Y0        \
	VMOVDQA   Y3, Y1        \
	VPACKSSWB Y5, Y4, Y4    \
	VPERMD    Y4, Y15, Y4   \
	VPMOVMSKB Y4, AX        \
	COUNT

// COUNT counts the inputs that are read and have no bit in AX.
#define COUNT \
	NOTL    AX                           \
	ANDL    inputGroup_read(R11)(R9*8), AX \
	POPCNTL AX, AX                       \
	ADDQ    AX, DX

// PLANES makes of 32 int16 in A and B the low plane in A and the high one in C, in the order of VPACKUSWB.
#define PLANES(A, B, C, D) \
	VPSRLW    $7, A, C           \
	VPSRLW    $7, B, D           \
	VPACKUSWB D, C, C            \
	VPSLLW    $9, A, A           \
	VPSLLW    $9, B, B           \
	VPSRLW    $9, A, A           \
	VPSRLW    $9, B, B           \
	VPACKUSWB B, A, A

// func quantise7AVX2(f *inputFrameAVX2)
// It is windows.quantiseInputs for groups of 32 sources, see farZero for why.
TEXT ·quantise7AVX2(SB), NOSPLIT, $0-8
	ENTER
	PREPARE(0x007F007F)
	CMPQ R9, R10
	JAE  done7

next7:
	QUANTISE32(outside7)

store7:
	VPACKUSWB Y1, Y0, Y0
	VPERMD Y0, Y15, Y0
	VMOVDQU Y0, (DI)
	ADDQ $128, SI
	ADDQ $32, DI
	INCQ R9
	CMPQ R9, R10
	JB   next7

done7:
	LEAVE

outside7:
	OUTSIDE(done7)
	JMP store7

// func quantise14AVX2(f *inputFrameAVX2)
// It is the same for 14 bits.
TEXT ·quantise14AVX2(SB), NOSPLIT, $0-8
	ENTER
	PREPARE(0x3FFF3FFF)
	CMPQ R9, R10
	JAE  done14

next14:
	QUANTISE32(outside14)

store14:
	PLANES(Y0, Y1, Y2, Y3)
	VPERMD Y0, Y15, Y0
	VPERMD Y2, Y15, Y2
	VMOVDQU Y0, (DI)
	VMOVDQU Y2, (R13)
	ADDQ $128, SI
	ADDQ $32, DI
	ADDQ $32, R13
	INCQ R9
	CMPQ R9, R10
	JB   next14

done14:
	LEAVE

outside14:
	OUTSIDE(done14)
	JMP store14

// func gather7AVX2(f *inputFrameAVX2)
// It is gatherWindows for groups of 32 sources.
TEXT ·gather7AVX2(SB), NOSPLIT, $0-8
	ENTER
	FILL(0x7F7F7F7F, X12, Y12)
	CMPQ R9, R10
	JAE  gathered7

gather7:
	VMOVDQU (SI), Y0
	VPMOVMSKB Y0, AX // above 127
	ANDL inputGroup_read(R11)(R9*8), AX
	POPCNTL AX, AX
	ADDQ AX, DX
	VPMINUB Y12, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	INCQ R9
	CMPQ R9, R10
	JB   gather7

gathered7:
	LEAVE

// func gather14AVX2(f *inputFrameAVX2)
// It is gatherWindows for groups of 32 sources.
TEXT ·gather14AVX2(SB), NOSPLIT, $0-8
	ENTER
	FILL(0x3FFF3FFF, X12, Y12)
	CMPQ R9, R10
	JAE  gathered14

gather14:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPMINUW Y12, Y0, Y2
	VPMINUW Y12, Y1, Y3
	VPCMPEQW Y2, Y0, Y0
	VPCMPEQW Y3, Y1, Y1
	VPACKSSWB Y1, Y0, Y0
	VPERMQ $0xD8, Y0, Y0
	VPMOVMSKB Y0, AX
	COUNT
	PLANES(Y2, Y3, Y0, Y1)
	VPERMQ $0xD8, Y0, Y0
	VPERMQ $0xD8, Y2, Y2
	VMOVDQU Y2, (DI)
	VMOVDQU Y0, (R13)
	ADDQ $64, SI
	ADDQ $32, DI
	ADDQ $32, R13
	INCQ R9
	CMPQ R9, R10
	JB   gather14

gathered14:
	LEAVE

DATA unpackAVX2<>+0(SB)/8, $0x0000000400000000
DATA unpackAVX2<>+8(SB)/8, $0x0000000500000001
DATA unpackAVX2<>+16(SB)/8, $0x0000000600000002
DATA unpackAVX2<>+24(SB)/8, $0x0000000700000003
GLOBL unpackAVX2<>(SB), RODATA|NOPTR, $32
