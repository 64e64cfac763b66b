//go:build amd64 && !noasm && !purego

#include "textflag.h"

// The specification of each function is the generic one of the same name in vector_generic.go;
// multiplications and additions are kept apart so that the bits are the same (tileAVX2 fuses them,
// because products of two float32 are exact). They are here for BenchmarkGram, where they are worth
// a factor of eight, and for BenchmarkPublishedRows, a factor of two.

// func dotAVX2(x, y *float64, n int) float64
TEXT ·dotAVX2(SB), NOSPLIT, $0-32
	MOVQ   x+0(FP), SI
	MOVQ   y+8(FP), DI
	MOVQ   n+16(FP), CX
	VXORPD Y0, Y0, Y0
	VXORPD Y1, Y1, Y1
	VXORPD Y2, Y2, Y2
	VXORPD Y3, Y3, Y3
	SUBQ   $16, CX
	JLT    dotFold

dotLoop:
	VMOVUPD (SI), Y4
	VMOVUPD 32(SI), Y5
	VMOVUPD 64(SI), Y6
	VMOVUPD 96(SI), Y7
	VMULPD  (DI), Y4, Y4
	VMULPD  32(DI), Y5, Y5
	VMULPD  64(DI), Y6, Y6
	VMULPD  96(DI), Y7, Y7
	VADDPD  Y4, Y0, Y0
	VADDPD  Y5, Y1, Y1
	VADDPD  Y6, Y2, Y2
	VADDPD  Y7, Y3, Y3
	ADDQ    $128, SI
	ADDQ    $128, DI
	SUBQ    $16, CX
	JGE     dotLoop

dotFold:
	VADDPD       Y1, Y0, Y0
	VADDPD       Y3, Y2, Y2
	VADDPD       Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPD       X1, X0, X0
	VPERMILPD    $1, X0, X1
	VADDSD       X1, X0, X0
	ADDQ         $16, CX
	JZ           dotDone

dotTail:
	VMOVSD (SI), X4
	VMULSD (DI), X4, X4
	VADDSD X4, X0, X0
	ADDQ   $8, SI
	ADDQ   $8, DI
	DECQ   CX
	JNZ    dotTail

dotDone:
	VMOVSD X0, ret+24(FP)
	VZEROUPPER
	RET

// func axpyAVX2(a float64, x, y *float64, n int)
TEXT ·axpyAVX2(SB), NOSPLIT, $0-32
	VBROADCASTSD a+0(FP), Y0
	MOVQ         x+8(FP), SI
	MOVQ         y+16(FP), DI
	MOVQ         n+24(FP), CX
	SUBQ         $16, CX
	JLT          axpyFours

axpyLoop:
	VMULPD  (SI), Y0, Y1
	VMULPD  32(SI), Y0, Y2
	VMULPD  64(SI), Y0, Y3
	VMULPD  96(SI), Y0, Y4
	VADDPD  (DI), Y1, Y1
	VADDPD  32(DI), Y2, Y2
	VADDPD  64(DI), Y3, Y3
	VADDPD  96(DI), Y4, Y4
	VMOVUPD Y1, (DI)
	VMOVUPD Y2, 32(DI)
	VMOVUPD Y3, 64(DI)
	VMOVUPD Y4, 96(DI)
	ADDQ    $128, SI
	ADDQ    $128, DI
	SUBQ    $16, CX
	JGE     axpyLoop

axpyFours:
	ADDQ $12, CX
	JLT  axpyRest

axpyFour:
	VMULPD  (SI), Y0, Y1
	VADDPD  (DI), Y1, Y1
	VMOVUPD Y1, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	SUBQ    $4, CX
	JGE     axpyFour

axpyRest:
	ADDQ $4, CX
	JZ   axpyDone

axpyOne:
	VMULSD (SI), X0, X1
	VADDSD (DI), X1, X1
	VMOVSD X1, (DI)
	ADDQ   $8, SI
	ADDQ   $8, DI
	DECQ   CX
	JNZ    axpyOne

axpyDone:
	VZEROUPPER
	RET

// func axpy4AVX2(a *[4]float64, x0, x1, x2, x3, y *float64, n int)
TEXT ·axpy4AVX2(SB), NOSPLIT, $0-56
	MOVQ         a+0(FP), AX
	VBROADCASTSD (AX), Y0
	VBROADCASTSD 8(AX), Y1
	VBROADCASTSD 16(AX), Y2
	VBROADCASTSD 24(AX), Y3
	MOVQ         x0+8(FP), R8
	MOVQ         x1+16(FP), R9
	MOVQ         x2+24(FP), R10
	MOVQ         x3+32(FP), R11
	MOVQ         y+40(FP), DI
	MOVQ         n+48(FP), CX
	XORQ         BX, BX
	SUBQ         $8, CX
	JLT          axpy4Fours

axpy4Loop:
	VMULPD  (R8)(BX*1), Y0, Y4
	VMULPD  32(R8)(BX*1), Y0, Y5
	VMULPD  (R9)(BX*1), Y1, Y6
	VMULPD  32(R9)(BX*1), Y1, Y7
	VADDPD  (DI)(BX*1), Y4, Y4
	VADDPD  32(DI)(BX*1), Y5, Y5
	VMULPD  (R10)(BX*1), Y2, Y8
	VMULPD  32(R10)(BX*1), Y2, Y9
	VADDPD  Y6, Y4, Y4
	VADDPD  Y7, Y5, Y5
	VMULPD  (R11)(BX*1), Y3, Y10
	VMULPD  32(R11)(BX*1), Y3, Y11
	VADDPD  Y8, Y4, Y4
	VADDPD  Y9, Y5, Y5
	VADDPD  Y10, Y4, Y4
	VADDPD  Y11, Y5, Y5
	VMOVUPD Y4, (DI)(BX*1)
	VMOVUPD Y5, 32(DI)(BX*1)
	ADDQ    $64, BX
	SUBQ    $8, CX
	JGE     axpy4Loop

axpy4Fours:
	ADDQ $4, CX
	JLT  axpy4Rest

	VMULPD  (R8)(BX*1), Y0, Y4
	VMULPD  (R9)(BX*1), Y1, Y6
	VADDPD  (DI)(BX*1), Y4, Y4
	VMULPD  (R10)(BX*1), Y2, Y8
	VADDPD  Y6, Y4, Y4
	VMULPD  (R11)(BX*1), Y3, Y10
	VADDPD  Y8, Y4, Y4
	VADDPD  Y10, Y4, Y4
	VMOVUPD Y4, (DI)(BX*1)
	ADDQ    $32, BX
	SUBQ    $4, CX

axpy4Rest:
	ADDQ $4, CX
	JZ   axpy4Done

axpy4One:
	VMULSD (R8)(BX*1), X0, X4
	VMULSD (R9)(BX*1), X1, X6
	VADDSD (DI)(BX*1), X4, X4
	VMULSD (R10)(BX*1), X2, X8
	VADDSD X6, X4, X4
	VMULSD (R11)(BX*1), X3, X10
	VADDSD X8, X4, X4
	VADDSD X10, X4, X4
	VMOVSD X4, (DI)(BX*1)
	ADDQ   $8, BX
	DECQ   CX
	JNZ    axpy4One

axpy4Done:
	VZEROUPPER
	RET

// func rotateAVX2(c, s float64, dst, x, v *float64, n int)
TEXT ·rotateAVX2(SB), NOSPLIT, $0-48
	VBROADCASTSD c+0(FP), Y0
	VBROADCASTSD s+8(FP), Y1
	MOVQ         dst+16(FP), DI
	MOVQ         x+24(FP), SI
	MOVQ         v+32(FP), DX
	MOVQ         n+40(FP), CX
	SUBQ         $4, CX
	JLT          rotateRest

rotateFour:
	VMOVUPD (SI), Y2
	VMOVUPD (DX), Y3
	VMULPD  Y2, Y0, Y4
	VMULPD  Y3, Y1, Y5
	VMULPD  Y3, Y0, Y6
	VMULPD  Y2, Y1, Y7
	VADDPD  Y5, Y4, Y4
	VSUBPD  Y7, Y6, Y6
	VMOVUPD Y4, (DI)
	VMOVUPD Y6, (DX)
	ADDQ    $32, SI
	ADDQ    $32, DX
	ADDQ    $32, DI
	SUBQ    $4, CX
	JGE     rotateFour

rotateRest:
	ADDQ $4, CX
	JZ   rotateDone

rotateOne:
	VMOVSD (SI), X2
	VMOVSD (DX), X3
	VMULSD X2, X0, X4
	VMULSD X3, X1, X5
	VMULSD X3, X0, X6
	VMULSD X2, X1, X7
	VADDSD X5, X4, X4
	VSUBSD X7, X6, X6
	VMOVSD X4, (DI)
	VMOVSD X6, (DX)
	ADDQ   $8, SI
	ADDQ   $8, DX
	ADDQ   $8, DI
	DECQ   CX
	JNZ    rotateOne

rotateDone:
	VZEROUPPER
	RET

// func tileAVX2(acc *[32]float64, a, b *float64, list *int32, n int)
TEXT ·tileAVX2(SB), NOSPLIT, $0-40
	MOVQ   acc+0(FP), DI
	MOVQ   a+8(FP), SI
	MOVQ   b+16(FP), BX
	MOVQ   list+24(FP), DX
	MOVQ   n+32(FP), CX
	VXORPD Y0, Y0, Y0
	VXORPD Y1, Y1, Y1
	VXORPD Y2, Y2, Y2
	VXORPD Y3, Y3, Y3
	VXORPD Y4, Y4, Y4
	VXORPD Y5, Y5, Y5
	VXORPD Y6, Y6, Y6
	VXORPD Y7, Y7, Y7
	TESTQ  CX, CX
	JZ     tileDone

tileLoop:
	MOVL         (DX), AX
	SHLQ         $6, AX
	VMOVUPD      (BX)(AX*1), Y8
	VMOVUPD      32(BX)(AX*1), Y9
	VBROADCASTSD (SI)(AX*1), Y10
	VBROADCASTSD 8(SI)(AX*1), Y11
	VBROADCASTSD 16(SI)(AX*1), Y12
	VBROADCASTSD 24(SI)(AX*1), Y13
	VFMADD231PD  Y8, Y10, Y0
	VFMADD231PD  Y9, Y10, Y1
	VFMADD231PD  Y8, Y11, Y2
	VFMADD231PD  Y9, Y11, Y3
	VFMADD231PD  Y8, Y12, Y4
	VFMADD231PD  Y9, Y12, Y5
	VFMADD231PD  Y8, Y13, Y6
	VFMADD231PD  Y9, Y13, Y7
	ADDQ         $4, DX
	DECQ         CX
	JNZ          tileLoop

tileDone:
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VMOVUPD Y4, 128(DI)
	VMOVUPD Y5, 160(DI)
	VMOVUPD Y6, 192(DI)
	VMOVUPD Y7, 224(DI)
	VZEROUPPER
	RET

// func addTileAVX2(dst *float64, stride int, acc *[32]float64)
TEXT ·addTileAVX2(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    stride+8(FP), DX
	MOVQ    acc+16(FP), SI
	SHLQ    $3, DX
	VMOVUPD (DI), Y0
	VMOVUPD 32(DI), Y1
	VADDPD  (SI), Y0, Y0
	VADDPD  32(SI), Y1, Y1
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 32(DI)
	ADDQ    DX, DI
	VMOVUPD (DI), Y2
	VMOVUPD 32(DI), Y3
	VADDPD  64(SI), Y2, Y2
	VADDPD  96(SI), Y3, Y3
	VMOVUPD Y2, (DI)
	VMOVUPD Y3, 32(DI)
	ADDQ    DX, DI
	VMOVUPD (DI), Y4
	VMOVUPD 32(DI), Y5
	VADDPD  128(SI), Y4, Y4
	VADDPD  160(SI), Y5, Y5
	VMOVUPD Y4, (DI)
	VMOVUPD Y5, 32(DI)
	ADDQ    DX, DI
	VMOVUPD (DI), Y6
	VMOVUPD 32(DI), Y7
	VADDPD  192(SI), Y6, Y6
	VADDPD  224(SI), Y7, Y7
	VMOVUPD Y6, (DI)
	VMOVUPD Y7, 32(DI)
	VZEROUPPER
	RET

// func tile2AVX512(acc *[2][32]float64, a, b0, b1 *float64, list *int32, n int)
//
// Eight chains of fused additions, as tileAVX2 has, twice as wide: with addTile worth a factor of 1.5 in BenchmarkGram.
TEXT ·tile2AVX512(SB), NOSPLIT, $0-48
	MOVQ   acc+0(FP), DI
	MOVQ   a+8(FP), SI
	MOVQ   b0+16(FP), BX
	MOVQ   b1+24(FP), R8
	MOVQ   list+32(FP), DX
	MOVQ   n+40(FP), CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7
	TESTQ  CX, CX
	JZ     tile2Done

tile2Loop:
	MOVL         (DX), AX
	SHLQ         $6, AX
	VMOVUPD      (BX)(AX*1), Z8
	VMOVUPD      (R8)(AX*1), Z9
	VBROADCASTSD (SI)(AX*1), Z10
	VBROADCASTSD 8(SI)(AX*1), Z11
	VBROADCASTSD 16(SI)(AX*1), Z12
	VBROADCASTSD 24(SI)(AX*1), Z13
	VFMADD231PD  Z8, Z10, Z0
	VFMADD231PD  Z9, Z10, Z4
	VFMADD231PD  Z8, Z11, Z1
	VFMADD231PD  Z9, Z11, Z5
	VFMADD231PD  Z8, Z12, Z2
	VFMADD231PD  Z9, Z12, Z6
	VFMADD231PD  Z8, Z13, Z3
	VFMADD231PD  Z9, Z13, Z7
	ADDQ         $4, DX
	DECQ         CX
	JNZ          tile2Loop

tile2Done:
	VMOVUPD Z0, (DI)
	VMOVUPD Z1, 64(DI)
	VMOVUPD Z2, 128(DI)
	VMOVUPD Z3, 192(DI)
	VMOVUPD Z4, 256(DI)
	VMOVUPD Z5, 320(DI)
	VMOVUPD Z6, 384(DI)
	VMOVUPD Z7, 448(DI)
	VZEROUPPER
	RET
