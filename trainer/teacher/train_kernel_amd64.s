//go:build amd64 && !noasm && !purego

#include "textflag.h"

// The specification of each function is the generic one of the same name in train_kernel_generic.go;
// multiplications and additions are kept apart so that the bits are the same.

// func accumulateAVX2(dst, m, values *float32, rows *int32, n, width int)
TEXT ·accumulateAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ m+8(FP), SI
	MOVQ values+16(FP), R8
	MOVQ rows+24(FP), R9
	MOVQ n+32(FP), R10
	MOVQ width+40(FP), CX
	MOVQ CX, R11
	SHLQ $2, R11         // bytes of a row

columns64:
	CMPQ    CX, $64
	JLT     columns32
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	VMOVUPS 128(DI), Y4
	VMOVUPS 160(DI), Y5
	VMOVUPS 192(DI), Y6
	VMOVUPS 224(DI), Y7
	XORQ    BX, BX

row64:
	MOVL         (R9)(BX*4), AX
	IMULQ        R11, AX
	VBROADCASTSS (R8)(BX*4), Y15
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
	CMPQ         BX, R10
	JLT          row64
	VMOVUPS      Y0, (DI)
	VMOVUPS      Y1, 32(DI)
	VMOVUPS      Y2, 64(DI)
	VMOVUPS      Y3, 96(DI)
	VMOVUPS      Y4, 128(DI)
	VMOVUPS      Y5, 160(DI)
	VMOVUPS      Y6, 192(DI)
	VMOVUPS      Y7, 224(DI)
	ADDQ         $256, DI
	ADDQ         $256, SI
	SUBQ         $64, CX
	JMP          columns64

columns32:
	CMPQ    CX, $32
	JLT     columns8
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	XORQ    BX, BX

row32:
	MOVL         (R9)(BX*4), AX
	IMULQ        R11, AX
	VBROADCASTSS (R8)(BX*4), Y15
	VMULPS       (SI)(AX*1), Y15, Y8
	VMULPS       32(SI)(AX*1), Y15, Y9
	VMULPS       64(SI)(AX*1), Y15, Y10
	VMULPS       96(SI)(AX*1), Y15, Y11
	VADDPS       Y8, Y0, Y0
	VADDPS       Y9, Y1, Y1
	VADDPS       Y10, Y2, Y2
	VADDPS       Y11, Y3, Y3
	INCQ         BX
	CMPQ         BX, R10
	JLT          row32
	VMOVUPS      Y0, (DI)
	VMOVUPS      Y1, 32(DI)
	VMOVUPS      Y2, 64(DI)
	VMOVUPS      Y3, 96(DI)
	ADDQ         $128, DI
	ADDQ         $128, SI
	SUBQ         $32, CX

columns8:
	CMPQ    CX, $8
	JLT     done
	VMOVUPS (DI), Y0
	XORQ    BX, BX

row8:
	MOVL         (R9)(BX*4), AX
	IMULQ        R11, AX
	VBROADCASTSS (R8)(BX*4), Y15
	VMULPS       (SI)(AX*1), Y15, Y8
	VADDPS       Y8, Y0, Y0
	INCQ         BX
	CMPQ         BX, R10
	JLT          row8
	VMOVUPS      Y0, (DI)
	ADDQ         $32, DI
	ADDQ         $32, SI
	SUBQ         $8, CX
	JMP          columns8

done:
	VZEROUPPER
	RET

// func updateAVX2(c *stepConstants, weights, first, second, gradient *float32, n int)
TEXT ·updateAVX2(SB), NOSPLIT, $0-48
	MOVQ         c+0(FP), AX
	MOVQ         weights+8(FP), DI
	MOVQ         first+16(FP), R8
	MOVQ         second+24(FP), R9
	MOVQ         gradient+32(FP), SI
	MOVQ         n+40(FP), CX
	VBROADCASTSS (AX), Y0    // keep1
	VBROADCASTSS 4(AX), Y1   // take1
	VBROADCASTSS 8(AX), Y2   // keep2
	VBROADCASTSS 12(AX), Y3  // take2
	VBROADCASTSS 16(AX), Y4  // unbias2
	VBROADCASTSS 20(AX), Y5  // epsilon
	VBROADCASTSS 24(AX), Y6  // rate
	VBROADCASTSS 28(AX), Y7  // keep
	VBROADCASTSS 32(AX), Y8  // tiny
	VPCMPEQD     Y9, Y9, Y9
	VPSRLD       $1, Y9, Y9  // all but the sign
	XORQ         BX, BX
	JMP          test

loop:
	VMOVUPS (SI)(BX*4), Y10      // gradient
	VMULPS  (R8)(BX*4), Y0, Y11
	VMULPS  Y10, Y1, Y12
	VADDPS  Y12, Y11, Y11        // first moment
	VANDPS  Y9, Y11, Y12
	VCMPPS  $1, Y8, Y12, Y12     // |moment| < tiny
	VANDNPS Y11, Y12, Y11
	VMOVUPS Y11, (R8)(BX*4)
	VMULPS  Y10, Y10, Y10
	VMULPS  Y10, Y3, Y10
	VMULPS  (R9)(BX*4), Y2, Y12
	VADDPS  Y10, Y12, Y12        // second moment
	VCMPPS  $1, Y8, Y12, Y13
	VANDNPS Y12, Y13, Y12
	VMOVUPS Y12, (R9)(BX*4)
	VSQRTPS Y12, Y12
	VMULPS  Y12, Y4, Y12
	VADDPS  Y5, Y12, Y12
	VDIVPS  Y12, Y11, Y11
	VMULPS  Y11, Y6, Y11
	VMULPS  (DI)(BX*4), Y7, Y12
	VSUBPS  Y11, Y12, Y12
	VMOVUPS Y12, (DI)(BX*4)
	ADDQ    $8, BX

test:
	CMPQ BX, CX
	JLT  loop
	VZEROUPPER
	RET
