//go:build amd64 && !noasm && !purego

#include "textflag.h"

// The specification of each function is the generic one of the same name in kernel_generic.go;
// multiplications and additions are kept apart so that the bits are the same. A line is 64 float32.

// func gatherAVX2(dst, lines *float32, cols *int32, weights *float32, n int)
TEXT ·gatherAVX2(SB), NOSPLIT, $0-40
	MOVQ    dst+0(FP), DI
	MOVQ    lines+8(FP), SI
	MOVQ    cols+16(FP), R8
	MOVQ    weights+24(FP), R9
	MOVQ    n+32(FP), CX
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	VMOVUPS 128(DI), Y4
	VMOVUPS 160(DI), Y5
	VMOVUPS 192(DI), Y6
	VMOVUPS 224(DI), Y7
	XORQ    BX, BX

gatherLoop:
	MOVLQSX      (R8)(BX*4), AX
	SHLQ         $8, AX
	VBROADCASTSS (R9)(BX*4), Y15
	VMULPS       (SI)(AX*1), Y15, Y8
	VMULPS       32(SI)(AX*1), Y15, Y9
	VMULPS       64(SI)(AX*1), Y15, Y10
	VMULPS       96(SI)(AX*1), Y15, Y11
	VADDPS       Y8, Y0, Y0
	VADDPS       Y9, Y1, Y1
	VADDPS       Y10, Y2, Y2
	VADDPS       Y11, Y3, Y3
	VMULPS       128(SI)(AX*1), Y15, Y8
	VMULPS       160(SI)(AX*1), Y15, Y9
	VMULPS       192(SI)(AX*1), Y15, Y10
	VMULPS       224(SI)(AX*1), Y15, Y11
	VADDPS       Y8, Y4, Y4
	VADDPS       Y9, Y5, Y5
	VADDPS       Y10, Y6, Y6
	VADDPS       Y11, Y7, Y7
	INCQ         BX
	CMPQ         BX, CX
	JLT          gatherLoop
	VMOVUPS      Y0, (DI)
	VMOVUPS      Y1, 32(DI)
	VMOVUPS      Y2, 64(DI)
	VMOVUPS      Y3, 96(DI)
	VMOVUPS      Y4, 128(DI)
	VMOVUPS      Y5, 160(DI)
	VMOVUPS      Y6, 192(DI)
	VMOVUPS      Y7, 224(DI)
	VZEROUPPER
	RET

// func dotsAVX2(dst, line, lines *float32, cols *int32, n int)
TEXT ·dotsAVX2(SB), NOSPLIT, $0-40
	MOVQ    dst+0(FP), DI
	MOVQ    line+8(FP), DX
	MOVQ    lines+16(FP), SI
	MOVQ    cols+24(FP), R8
	MOVQ    n+32(FP), CX
	VMOVUPS (DX), Y0
	VMOVUPS 32(DX), Y1
	VMOVUPS 64(DX), Y2
	VMOVUPS 96(DX), Y3
	VMOVUPS 128(DX), Y4
	VMOVUPS 160(DX), Y5
	VMOVUPS 192(DX), Y6
	VMOVUPS 224(DX), Y7
	XORQ    BX, BX

dotsLoop:
	MOVLQSX      (R8)(BX*4), AX
	SHLQ         $8, AX
	VMULPS       (SI)(AX*1), Y0, Y8
	VMULPS       32(SI)(AX*1), Y1, Y9
	VMULPS       64(SI)(AX*1), Y2, Y10
	VMULPS       96(SI)(AX*1), Y3, Y11
	VADDPS       Y9, Y8, Y8
	VADDPS       Y11, Y10, Y10
	VMULPS       128(SI)(AX*1), Y4, Y12
	VMULPS       160(SI)(AX*1), Y5, Y13
	VMULPS       192(SI)(AX*1), Y6, Y14
	VMULPS       224(SI)(AX*1), Y7, Y15
	VADDPS       Y13, Y12, Y12
	VADDPS       Y15, Y14, Y14
	VADDPS       Y10, Y8, Y8
	VADDPS       Y14, Y12, Y12
	VADDPS       Y12, Y8, Y8
	VEXTRACTF128 $1, Y8, X9
	VADDPS       X9, X8, X8
	VHADDPS      X8, X8, X8
	VHADDPS      X8, X8, X8
	VMOVSS       X8, (DI)(BX*4)
	INCQ         BX
	CMPQ         BX, CX
	JLT          dotsLoop
	VZEROUPPER
	RET

// func scatterAVX2(lines, line *float32, cols *int32, weights *float32, n int)
TEXT ·scatterAVX2(SB), NOSPLIT, $0-40
	MOVQ    lines+0(FP), SI
	MOVQ    line+8(FP), DX
	MOVQ    cols+16(FP), R8
	MOVQ    weights+24(FP), R9
	MOVQ    n+32(FP), CX
	VMOVUPS (DX), Y0
	VMOVUPS 32(DX), Y1
	VMOVUPS 64(DX), Y2
	VMOVUPS 96(DX), Y3
	VMOVUPS 128(DX), Y4
	VMOVUPS 160(DX), Y5
	VMOVUPS 192(DX), Y6
	VMOVUPS 224(DX), Y7
	XORQ    BX, BX

scatterLoop:
	MOVLQSX      (R8)(BX*4), AX
	SHLQ         $8, AX
	VBROADCASTSS (R9)(BX*4), Y15
	VMULPS       Y0, Y15, Y8
	VMULPS       Y1, Y15, Y9
	VMULPS       Y2, Y15, Y10
	VMULPS       Y3, Y15, Y11
	VADDPS       (SI)(AX*1), Y8, Y8
	VADDPS       32(SI)(AX*1), Y9, Y9
	VADDPS       64(SI)(AX*1), Y10, Y10
	VADDPS       96(SI)(AX*1), Y11, Y11
	VMOVUPS      Y8, (SI)(AX*1)
	VMOVUPS      Y9, 32(SI)(AX*1)
	VMOVUPS      Y10, 64(SI)(AX*1)
	VMOVUPS      Y11, 96(SI)(AX*1)
	VMULPS       Y4, Y15, Y8
	VMULPS       Y5, Y15, Y9
	VMULPS       Y6, Y15, Y10
	VMULPS       Y7, Y15, Y11
	VADDPS       128(SI)(AX*1), Y8, Y8
	VADDPS       160(SI)(AX*1), Y9, Y9
	VADDPS       192(SI)(AX*1), Y10, Y10
	VADDPS       224(SI)(AX*1), Y11, Y11
	VMOVUPS      Y8, 128(SI)(AX*1)
	VMOVUPS      Y9, 160(SI)(AX*1)
	VMOVUPS      Y10, 192(SI)(AX*1)
	VMOVUPS      Y11, 224(SI)(AX*1)
	INCQ         BX
	CMPQ         BX, CX
	JLT          scatterLoop
	VZEROUPPER
	RET
