//go:build !noasm && !purego

#include "textflag.h"
#include "go_asm.h"

// Registers: R8 row, R9 rows left, R10 quads, R11 activations, R12 plane, R13 counts, DI outputs, R15 quad,
// CX quads left, SI the plane of activations that is read.

// INTERLEAVE loads the four activations of a quad and leaves four times sixteen samples in Z24 to Z27, in each
// 32 bits the four activations of a sample.
#define INTERLEAVE \
	MOVL 0(R15), AX             \
	MOVL 4(R15), BX             \
	VMOVDQU64 (SI)(AX*1), Z16   \
	VMOVDQU64 (SI)(BX*1), Z17   \
	MOVL 8(R15), AX             \
	MOVL 12(R15), BX            \
	VMOVDQU64 (SI)(AX*1), Z18   \
	VMOVDQU64 (SI)(BX*1), Z19   \
	VPUNPCKLBW Z17, Z16, Z20    \
	VPUNPCKHBW Z17, Z16, Z21    \
	VPUNPCKLBW Z19, Z18, Z22    \
	VPUNPCKHBW Z19, Z18, Z23    \
	VPUNPCKLWD Z22, Z20, Z24    \
	VPUNPCKHWD Z22, Z20, Z25    \
	VPUNPCKLWD Z23, Z21, Z26    \
	VPUNPCKHWD Z23, Z21, Z27

#define DOT(weights, a, b, c, d) \
	VPBROADCASTD weights(R15), Z28 \
	VPDPBUSD Z28, Z24, a        \
	VPDPBUSD Z28, Z25, b        \
	VPDPBUSD Z28, Z26, c        \
	VPDPBUSD Z28, Z27, d

// QUADS adds the quads of row R8: Z0 to Z3 get the sums of the one plane of weights, or of the high one.
#define QUADS(next, done) \
	MOVL batchRow_first(R8), R15 \
	LEAQ (R15)(R15*2), R15      \
	LEAQ (R10)(R15*8), R15      \
	MOVL batchRow_outer(R8), CX \
	TESTL CX, CX                \
	JEQ done                    \
next:                               \
	INTERLEAVE                  \
	DOT(quad_weight, Z0, Z1, Z2, Z3) \
	ADDQ $quad__size, R15       \
	DECL CX                     \
	JNE next                    \
done:

// QUADS2 is QUADS for two planes of weights: Z4 to Z7 get the sums of the low one.
#define QUADS2(next, done) \
	MOVL batchRow_first(R8), R15 \
	LEAQ (R15)(R15*2), R15      \
	LEAQ (R10)(R15*8), R15      \
	MOVL batchRow_outer(R8), CX \
	TESTL CX, CX                \
	JEQ done                    \
next:                               \
	INTERLEAVE                  \
	DOT(quad_weight, Z0, Z1, Z2, Z3) \
	DOT(quad_low, Z4, Z5, Z6, Z7) \
	ADDQ $quad__size, R15       \
	DECL CX                     \
	JNE next                    \
done:

#define ZERO \
	VPXORQ Z0, Z0, Z0           \
	VPXORQ Z1, Z1, Z1           \
	VPXORQ Z2, Z2, Z2           \
	VPXORQ Z3, Z3, Z3           \
	VPXORQ Z4, Z4, Z4           \
	VPXORQ Z5, Z5, Z5           \
	VPXORQ Z6, Z6, Z6           \
	VPXORQ Z7, Z7, Z7

// SHIFT makes sums of the upper plane of activations count 128 times.
#define SHIFT \
	VPSLLD $7, Z0, Z0           \
	VPSLLD $7, Z1, Z1           \
	VPSLLD $7, Z2, Z2           \
	VPSLLD $7, Z3, Z3           \
	VPSLLD $7, Z4, Z4           \
	VPSLLD $7, Z5, Z5           \
	VPSLLD $7, Z6, Z6           \
	VPSLLD $7, Z7, Z7

#define FRAME \
	MOVQ f+0(FP), AX            \
	MOVQ batchFrame_rows(AX), R8 \
	MOVQ batchFrame_count(AX), R9 \
	MOVQ batchFrame_quads(AX), R10 \
	MOVQ batchFrame_activations(AX), R11 \
	MOVQ batchFrame_plane(AX), R12 \
	MOVQ batchFrame_counts(AX), R13 \
	MOVQ batchFrame_outputs(AX), DI

// ACCUMULATE1 and ACCUMULATE2 sum row R8 over both planes of activations, or the only one.
#define ACCUMULATE1(wide, wideDone, narrow, next, done) \
	ZERO                        \
	TESTQ R12, R12              \
	JEQ narrow                  \
	LEAQ (R11)(R12*1), SI       \
	QUADS(wide, wideDone)       \
	SHIFT                       \
narrow:                             \
	MOVQ R11, SI                \
	QUADS(next, done)

#define ACCUMULATE2(wide, wideDone, narrow, next, done) \
	ZERO                        \
	TESTQ R12, R12              \
	JEQ narrow                  \
	LEAQ (R11)(R12*1), SI       \
	QUADS2(wide, wideDone)      \
	SHIFT                       \
narrow:                             \
	MOVQ R11, SI                \
	QUADS2(next, done)

// func batchSumsAVX512(f *batchFrame, sums *sampleSums)
// It is sumBatch.
TEXT ·batchSumsAVX512(SB), NOSPLIT, $0-16
	FRAME
	MOVQ sums+8(FP), DI
	TESTL $const_batchTwoPlanes, batchRow_flags(R8)
	JNE  two
	ACCUMULATE1(wide1, wideDone1, narrow1, next1, done1)
	JMP  store
two:
	ACCUMULATE2(wide2, wideDone2, narrow2, next2, done2)
store:
	VMOVDQU64 Z0, (sampleSums_high+0)(DI)
	VMOVDQU64 Z1, (sampleSums_high+64)(DI)
	VMOVDQU64 Z2, (sampleSums_high+128)(DI)
	VMOVDQU64 Z3, (sampleSums_high+192)(DI)
	VMOVDQU64 Z4, (sampleSums_low+0)(DI)
	VMOVDQU64 Z5, (sampleSums_low+64)(DI)
	VMOVDQU64 Z6, (sampleSums_low+128)(DI)
	VMOVDQU64 Z7, (sampleSums_low+192)(DI)
	VZEROUPPER
	RET

// PRODUCTS1 leaves acc·M of the even samples of a in Z16 and of the odd ones in Z17.
#define PRODUCTS1(a) \
	VPADDD Z14, a, a            \
	VPMULDQ Z8, a, Z16          \
	VPSRLQ $32, a, Z17          \
	VPMULDQ Z8, Z17, Z17

// PRODUCTS2 is PRODUCTS1 for bias + 128·high + low.
#define PRODUCTS2(high, low) \
	VPSLLQ $32, high, Z16       \
	VPSRAQ $32, Z16, Z16        \
	VPSRAQ $32, high, Z17       \
	VPSLLQ $32, low, Z18        \
	VPSRAQ $32, Z18, Z18        \
	VPSRAQ $32, low, Z19        \
	VPSLLQ $7, Z16, Z16         \
	VPSLLQ $7, Z17, Z17         \
	VPADDQ Z18, Z16, Z16        \
	VPADDQ Z19, Z17, Z17        \
	VPADDQ Z14, Z16, Z16        \
	VPADDQ Z14, Z17, Z17        \
	VPMULLQ Z8, Z16, Z16        \
	VPMULLQ Z8, Z17, Z17

#define ROUND \
	VPADDQ Z9, Z16, Z16         \
	VPADDQ Z9, Z17, Z17         \
	VPSRAQ X10, Z16, Z16        \
	VPSRAQ X10, Z17, Z17

// COUNT counts what is clamped of t, for samples whose counts lie at offset at.
#define COUNT(t, at, none) \
	VPCMPQ $1, Z11, t, K4       \
	VPCMPQ $6, Z12, t, K5       \
	KANDB K2, K4, K4            \
	KANDB K3, K5, K5            \
	KORTESTB K4, K5             \
	JEQ none                    \
	KORB K4, K5, K4             \
	VMOVDQU64 at(R13), Z18      \
	VPADDQ Z15, Z18, K4, Z18    \
	VMOVDQU64 Z18, at(R13)      \
none:

// STATES clamps and leaves sixteen states in a.
#define STATES(a, at, uncounted, even, odd) \
	ROUND                       \
	TESTL $const_batchCounts, batchRow_flags(R8) \
	JEQ uncounted               \
	COUNT(Z16, at, even)        \
	COUNT(Z17, at+64, odd)      \
uncounted:                          \
	VPMAXSQ Z11, Z16, Z16       \
	VPMAXSQ Z11, Z17, Z17       \
	VPMINSQ Z12, Z16, Z16       \
	VPMINSQ Z12, Z17, Z17       \
	VPSLLQ $32, Z17, Z17        \
	VPBLENDMD Z17, Z16, K1, a   \
	VPADDD Z13, a, a

#define OUTPUTS(at) \
	ROUND                       \
	VPSLLQ $32, Z17, Z17        \
	VPBLENDMD Z17, Z16, K1, Z16 \
	VMOVDQU64 Z16, at(DI)(DX*1)

// func batchRowsAVX512(f *batchFrame)
// It is runBatch.
TEXT ·batchRowsAVX512(SB), NOSPLIT, $0-8
	FRAME
	MOVL  $0xAAAA, AX
	KMOVW AX, K1
	MOVL  $1, AX
	VPBROADCASTQ AX, Z15

row:
	MOVL batchRow_multiplier(R8), AX
	VPBROADCASTQ AX, Z8
	MOVL batchRow_shift(R8), CX
	VMOVD CX, X10
	DECL CX
	MOVL $1, AX
	SHLQ CX, AX
	VPBROADCASTQ AX, Z9
	MOVLQSX batchRow_low(R8), AX
	VPBROADCASTQ AX, Z11
	MOVLQSX batchRow_high(R8), AX
	VPBROADCASTQ AX, Z12
	MOVL batchRow_zero(R8), AX
	VPBROADCASTD AX, Z13
	MOVL batchRow_countLow(R8), AX
	KMOVB AX, K2
	MOVL batchRow_countHigh(R8), AX
	KMOVB AX, K3
	MOVL batchRow_dest(R8), DX
	MOVLQSX batchRow_bias(R8), AX
	TESTL $const_batchTwoPlanes, batchRow_flags(R8)
	JNE  two

	VPBROADCASTD AX, Z14
	ACCUMULATE1(wide1, wideDone1, narrow1, next1, done1)
	TESTL $const_batchOutput, batchRow_flags(R8)
	JNE  outputs1
	PRODUCTS1(Z0)
	STATES(Z0, 0, u10, e10, o10)
	PRODUCTS1(Z1)
	STATES(Z1, 128, u11, e11, o11)
	PRODUCTS1(Z2)
	STATES(Z2, 256, u12, e12, o12)
	PRODUCTS1(Z3)
	STATES(Z3, 384, u13, e13, o13)
	JMP  store

outputs1:
	PRODUCTS1(Z0)
	OUTPUTS(0)
	PRODUCTS1(Z1)
	OUTPUTS(64)
	PRODUCTS1(Z2)
	OUTPUTS(128)
	PRODUCTS1(Z3)
	OUTPUTS(192)
	JMP  following

two:
	VPBROADCASTQ AX, Z14
	ACCUMULATE2(wide2, wideDone2, narrow2, next2, done2)
	TESTL $const_batchOutput, batchRow_flags(R8)
	JNE  outputs2
	PRODUCTS2(Z0, Z4)
	STATES(Z0, 0, u20, e20, o20)
	PRODUCTS2(Z1, Z5)
	STATES(Z1, 128, u21, e21, o21)
	PRODUCTS2(Z2, Z6)
	STATES(Z2, 256, u22, e22, o22)
	PRODUCTS2(Z3, Z7)
	STATES(Z3, 384, u23, e23, o23)
	JMP  store

outputs2:
	PRODUCTS2(Z0, Z4)
	OUTPUTS(0)
	PRODUCTS2(Z1, Z5)
	OUTPUTS(64)
	PRODUCTS2(Z2, Z6)
	OUTPUTS(128)
	PRODUCTS2(Z3, Z7)
	OUTPUTS(192)
	JMP  following

store: // packing undoes the order that unpacking made
	VPACKSSDW Z1, Z0, Z0
	VPACKSSDW Z3, Z2, Z2
	LEAQ (R11)(DX*1), SI
	TESTQ R12, R12
	JNE  wide
	VPACKUSWB Z2, Z0, Z0
	VMOVDQU64 Z0, (SI)
	JMP  following

wide:
	VPSRLW $7, Z0, Z1
	VPSRLW $7, Z2, Z3
	VPACKUSWB Z3, Z1, Z1
	VMOVDQU64 Z1, (SI)(R12*1)
	MOVL $0x007F007F, AX
	VPBROADCASTD AX, Z16
	VPANDQ Z16, Z0, Z0
	VPANDQ Z16, Z2, Z2
	VPACKUSWB Z2, Z0, Z0
	VMOVDQU64 Z0, (SI)

following:
	ADDQ $batchRow__size, R8
	DECQ R9
	JNE  row
	VZEROUPPER
	RET

// LOAD takes sixteen columns of samples i, 16+i, 32+i and 48+i.
#define LOAD(x, z) \
	VMOVDQU (AX), x             \
	VINSERTI32X4 $1, (BX), z, z \
	VINSERTI32X4 $2, (CX), z, z \
	VINSERTI32X4 $3, (DX), z, z \
	ADDQ R10, AX                \
	ADDQ R10, BX                \
	ADDQ R10, CX                \
	ADDQ R10, DX

#define PAIR(a, b, low, high) \
	VPUNPCKLBW b, a, low        \
	VPUNPCKHBW b, a, high

#define TOUPPER \
	PAIR(Z0, Z8, Z16, Z17)      \
	PAIR(Z1, Z9, Z18, Z19)      \
	PAIR(Z2, Z10, Z20, Z21)     \
	PAIR(Z3, Z11, Z22, Z23)     \
	PAIR(Z4, Z12, Z24, Z25)     \
	PAIR(Z5, Z13, Z26, Z27)     \
	PAIR(Z6, Z14, Z28, Z29)     \
	PAIR(Z7, Z15, Z30, Z31)

#define TOLOWER \
	PAIR(Z16, Z24, Z0, Z1)      \
	PAIR(Z17, Z25, Z2, Z3)      \
	PAIR(Z18, Z26, Z4, Z5)      \
	PAIR(Z19, Z27, Z6, Z7)      \
	PAIR(Z20, Z28, Z8, Z9)      \
	PAIR(Z21, Z29, Z10, Z11)    \
	PAIR(Z22, Z30, Z12, Z13)    \
	PAIR(Z23, Z31, Z14, Z15)

// func transposeAVX512(to, from *uint8, stride, count uintptr)
// It is transposeBatch. Interleaving the vectors i and i+8 four times transposes 16 by 16 bytes.
TEXT ·transposeAVX512(SB), NOSPLIT, $0-32
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ stride+16(FP), R10
	MOVQ count+24(FP), R9
	MOVQ R10, R11
	SHLQ $4, R11

columns:
	MOVQ SI, AX
	LEAQ (AX)(R11*1), BX
	LEAQ (BX)(R11*1), CX
	LEAQ (CX)(R11*1), DX
	LOAD(X0, Z0)
	LOAD(X1, Z1)
	LOAD(X2, Z2)
	LOAD(X3, Z3)
	LOAD(X4, Z4)
	LOAD(X5, Z5)
	LOAD(X6, Z6)
	LOAD(X7, Z7)
	LOAD(X8, Z8)
	LOAD(X9, Z9)
	LOAD(X10, Z10)
	LOAD(X11, Z11)
	LOAD(X12, Z12)
	LOAD(X13, Z13)
	LOAD(X14, Z14)
	LOAD(X15, Z15)
	TOUPPER
	TOLOWER
	TOUPPER
	TOLOWER
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VMOVDQU64 Z4, 256(DI)
	VMOVDQU64 Z5, 320(DI)
	VMOVDQU64 Z6, 384(DI)
	VMOVDQU64 Z7, 448(DI)
	VMOVDQU64 Z8, 512(DI)
	VMOVDQU64 Z9, 576(DI)
	VMOVDQU64 Z10, 640(DI)
	VMOVDQU64 Z11, 704(DI)
	VMOVDQU64 Z12, 768(DI)
	VMOVDQU64 Z13, 832(DI)
	VMOVDQU64 Z14, 896(DI)
	VMOVDQU64 Z15, 960(DI)
	ADDQ $16, SI
	ADDQ $1024, DI
	SUBQ $16, R9
	JHI  columns
	VZEROUPPER
	RET
