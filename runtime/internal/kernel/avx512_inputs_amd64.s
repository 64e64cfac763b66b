//go:build !noasm && !purego

#include "textflag.h"
#include "go_asm.h"

// DI inputsAVX512, SI the block's sources, CX blocks left, the last one apart
// R8 activations, R9 their high plane, R10 blocks, R11 permutations, R12 constants
// AX and BX are free; in quantise R13 counts blocks and R14 saturations

#define INPUTS(orders) \
	MOVQ in+0(FP), DI                               \
	MOVQ mem+8(FP), DX                              \
	MOVQ src_base+16(FP), SI                        \
	MOVQ Memory_Buffers+Buffers_Activations8(DX), R8 \
	MOVQ R8, R9                                     \
	ADDQ inputsAVX512_plane(DI), R9                 \
	MOVQ inputsAVX512_blocks(DI), R10               \
	MOVQ inputsAVX512_blocks+8(DI), CX              \
	MOVQ orders(DI), R11

#define BROADCAST(value, to) \
	MOVL value, AX           \
	VPBROADCASTD AX, to

// func gather7AVX512(in *inputsAVX512, mem *Memory, src []uint8)
TEXT ·gather7AVX512(SB), NOSPLIT, $0-40
	INPUTS(inputsAVX512_gathers)
	XORL R14, R14
	BROADCAST($0x7F7F7F7F, Z31)
	SUBQ $1, CX
	JLT  leave
	JEQ  last

block:
	VMOVDQU64 (SI), Z0

gather:
	KMOVQ inputBlock_read(R10), K1
	VMOVDQU64 (R11), Z1
	MOVL inputBlock_at(R10), BX
	VPCMPUB $6, Z31, Z0, K1, K2
	VPMINUB Z31, Z0, Z0
	VPERMB Z0, Z1, Z0
	VMOVDQU64 Z0, (R8)(BX*1)
	KMOVQ K2, AX
	POPCNTQ AX, AX
	ADDQ AX, R14
	ADDQ $64, SI
	ADDQ $64, R11
	ADDQ $inputBlock__size, R10
	SUBQ $1, CX
	JGT  block
	JLT  leave

last:
	KMOVQ inputsAVX512_last(DI), K1
	VMOVDQU8.Z (SI), K1, Z0
	JMP  gather

leave:
	MOVQ R14, Memory_Saturations(DX)
	VZEROUPPER
	RET

// func gather14AVX512(in *inputsAVX512, mem *Memory, src []uint16)
TEXT ·gather14AVX512(SB), NOSPLIT, $0-40
	INPUTS(inputsAVX512_gathers)
	XORL R14, R14
	BROADCAST($0x3FFF3FFF, Z31)
	BROADCAST($0x007F007F, Z30)
	SUBQ $1, CX
	JLT  leave
	JEQ  last

block:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 64(SI), Z1

gather:
	KMOVD inputBlock_read(R10), K1
	KMOVD inputBlock_read+4(R10), K2
	VMOVDQU64 (R11), Z4
	MOVL inputBlock_at(R10), BX
	VPCMPUW $6, Z31, Z0, K1, K1
	VPCMPUW $6, Z31, Z1, K2, K2
	KUNPCKDQ K1, K2, K1
	VPMINUW Z31, Z0, Z0
	VPMINUW Z31, Z1, Z1
	VPSRLW $7, Z0, Z2
	VPSRLW $7, Z1, Z3
	VPANDD Z30, Z0, Z0
	VPANDD Z30, Z1, Z1
	VPACKUSWB Z1, Z0, Z0
	VPACKUSWB Z3, Z2, Z2
	VPERMB Z0, Z4, Z0
	VPERMB Z2, Z4, Z2
	VMOVDQU64 Z0, (R8)(BX*1)
	VMOVDQU64 Z2, (R9)(BX*1)
	KMOVQ K1, AX
	POPCNTQ AX, AX
	ADDQ AX, R14
	ADDQ $128, SI
	ADDQ $64, R11
	ADDQ $inputBlock__size, R10
	SUBQ $1, CX
	JGT  block
	JLT  leave

last:
	KMOVD inputsAVX512_last(DI), K1
	KMOVD inputsAVX512_last+4(DI), K2
	VMOVDQU16.Z (SI), K1, Z0
	VMOVDQU16.Z 64(SI), K2, Z1
	JMP  gather

leave:
	MOVQ R14, Memory_Saturations(DX)
	VZEROUPPER
	RET

// Loads four vectors of the block into Z0 to Z3, of the last one what there is.
#define LOAD_BLOCK(whole, loaded) \
	TESTQ CX, CX                             \
	JNE   whole                              \
	MOVQ  inputsAVX512_last(DI), AX          \
	KMOVW AX, K1                             \
	VMOVUPS.Z (SI), K1, Z0                   \
	SHRQ  $16, AX                            \
	KMOVW AX, K1                             \
	VMOVUPS.Z 64(SI), K1, Z1                 \
	SHRQ  $16, AX                            \
	KMOVW AX, K1                             \
	VMOVUPS.Z 128(SI), K1, Z2                \
	SHRQ  $16, AX                            \
	KMOVW AX, K1                             \
	VMOVUPS.Z 192(SI), K1, Z3                \
	JMP   loaded                             \
whole:                                       \
	VMOVUPS (SI), Z0                         \
	VMOVUPS 64(SI), Z1                       \
	VMOVUPS 128(SI), Z2                      \
	VMOVUPS 192(SI), Z3                      \
loaded:

#define CONSTANT(which, k) (256*which + 64*k)(R12)

// The exact way: vector k of the block from u to integers. Z20 is r, K6 collects what is not finite and R14
// saturations. Z26 is Q, Z27 is 1.0.
#define EXACT(k, u) \
	VFPCLASSPSZ $0x99, u, K1                             \
	KORW K1, K6, K6                                     \
	VMULPS Z20, u, Z21                                  \
	VRNDSCALEPS $9, Z21, Z21                            \
	VFNMADD231PS CONSTANT(const_inputScale, k), Z21, u  \
	VCMPPS $13, CONSTANT(const_inputHalf, k), u, K1     \
	VADDPS Z27, Z21, K1, Z21                            \
	VMOVUPS CONSTANT(const_inputZero, k), Z22           \
	VADDPS Z22, Z21, Z21                                \
	VXORPS Z23, Z23, Z23                                \
	VCMPPS $1, Z23, Z21, K1                             \
	VCMPPS $14, Z26, Z21, K2                            \
	KUNPCKWD K1, K2, K1                                 \
	KMOVD K1, AX                                        \
	POPCNTL AX, AX                                      \
	ADDQ AX, BX                                         \
	VMAXPS Z23, Z21, Z21                                \
	VMINPS Z26, Z21, Z21                                \
	VCVTTPS2DQ Z21, u

// The fast way to 7 bits: vector k from u to v; Z8 collects the bits of v that v + 2e does not share.
#define FAST7(k, u) \
	VMOVUPS CONSTANT(const_inputReciprocal, k), Z4      \
	VFMADD213PS CONSTANT(const_inputOffset, k), Z4, u   \
	VCVTPS2DQ.RD_SAE u, u                               \
	VPADDD Z31, u, Z5                                   \
	VPTERNLOGD $0xF6, Z5, u, Z8 // Z8 | (u ^ Z5)

#define RECIPROCAL7(k) \
	VMULPS CONSTANT(const_inputReciprocal, k), Z25, Z20

// func quantise7AVX512(in *inputsAVX512, mem *Memory, src []float32, block int) int
TEXT ·quantise7AVX512(SB), NOSPLIT, $0-56
	INPUTS(inputsAVX512_quantises)
	MOVQ inputsAVX512_constants(DI), R12
	MOVQ block+40(FP), R13
	SUBQ R13, CX
	SUBQ $1, CX
	JLT  leave
	MOVQ R13, AX
	SHLQ $8, AX // 64 float32
	ADDQ AX, SI
	LEAQ (AX)(AX*4), BX // inputConstants arrays of them
	ADDQ BX, R12
	SHRQ $2, AX
	ADDQ AX, R11
	SHRQ $2, AX
	ADDQ AX, R10
	MOVQ $0x2222222222222222, AX
	KMOVQ AX, K3
	KADDQ K3, K3, K4
	KADDQ K4, K4, K5
	BROADCAST($(2*const_quantiseGuard), Z31)
	BROADCAST($0xFF000000, Z30)

block:
	CMPL inputBlock_how(R10), $const_quantiseFast
	JNE  exactly
	LOAD_BLOCK(fast, fastLoaded)
	VPXORD Z8, Z8, Z8
	FAST7(0, Z0)
	FAST7(1, Z1)
	FAST7(2, Z2)
	FAST7(3, Z3)

	// The high bytes of lane i of the four side by side.
	VPSRLD $24, Z0, Z0
	VPSRLD $16, Z1, Z1
	VPSRLD $8, Z2, Z2
	VMOVDQU8 Z1, K3, Z0
	VMOVDQU8 Z2, K4, Z0
	VMOVDQU8 Z3, K5, Z0
	VPTESTMD Z30, Z8, K1
	VPMOVB2M Z0, K2
	KORTESTQ K1, K2
	JNE  exactly

store:
	VMOVDQU64 (R11), Z1
	VPERMB Z0, Z1, Z0
	MOVL inputBlock_at(R10), BX
	VMOVDQU64 Z0, (R8)(BX*1)
	ADDQ $256, SI
	ADDQ $(256*const_inputConstants), R12
	ADDQ $64, R11
	ADDQ $inputBlock__size, R10
	INCQ R13
	SUBQ $1, CX
	JGE  block

leave:
	MOVQ R13, ret+48(FP)
	VZEROUPPER
	RET

exactly:
	CMPL inputBlock_how(R10), $const_quantiseSlow
	JEQ  leave
	KXORW K6, K6, K6
	XORL BX, BX
	BROADCAST($0x33800000, Z25) // 2⁻²⁴
	BROADCAST($0x42FE0000, Z26) // 127
	BROADCAST($0x3F800000, Z27)
	LOAD_BLOCK(exact, exactLoaded)
	RECIPROCAL7(0)
	EXACT(0, Z0)
	RECIPROCAL7(1)
	EXACT(1, Z1)
	RECIPROCAL7(2)
	EXACT(2, Z2)
	RECIPROCAL7(3)
	EXACT(3, Z3)
	KORTESTW K6, K6
	JNE  leave
	ADDQ BX, Memory_Saturations(DX)
	VPSLLD $8, Z1, Z1
	VPSLLD $16, Z2, Z2
	VPSLLD $24, Z3, Z3
	VPORD Z1, Z0, Z0
	VPTERNLOGD $0xFE, Z3, Z2, Z0
	JMP  store

// The exact way again, for 14 bits and for what does not saturate: vector k from u to integers, q = floor + z +
// [remainder ≥ s/2]. Adding MAGIC while rounding down leaves the floor in the low bits. Numbers that are out of
// range, or none, give integers with a bit above the fourteenth; Z8 collects them.
#define FAST14(k, u) \
	VMOVUPS CONSTANT(const_inputReciprocal, k), Z4      \
	VFMADD213PS.RD_SAE Z31, u, Z4                       \
	VSUBPS Z31, Z4, Z5                                  \
	VFNMADD231PS CONSTANT(const_inputScale, k), Z5, u   \
	VCMPPS $13, CONSTANT(const_inputHalf, k), u, K1     \
	VPADDD CONSTANT(const_inputOffset, k), Z4, u        \
	VPADDD Z30, u, K1, u                                \
	VPORD u, Z8, Z8

// func quantise14AVX512(in *inputsAVX512, mem *Memory, src []float32, block int) int
TEXT ·quantise14AVX512(SB), NOSPLIT, $0-56
	INPUTS(inputsAVX512_quantises)
	MOVQ inputsAVX512_constants(DI), R12
	MOVQ block+40(FP), R13
	SUBQ R13, CX
	SUBQ $1, CX
	JLT  leave
	MOVQ R13, AX
	SHLQ $8, AX
	ADDQ AX, SI
	LEAQ (AX)(AX*4), BX
	ADDQ BX, R12
	SHRQ $2, AX
	ADDQ AX, R11
	SHRQ $2, AX
	ADDQ AX, R10
	BROADCAST($0x4B400000, Z31) // MAGIC
	BROADCAST($1, Z30)
	BROADCAST($0xFFFFC000, Z29)
	BROADCAST($0x007F007F, Z28)

block:
	CMPL inputBlock_how(R10), $const_quantiseFast
	JNE  leave
	LOAD_BLOCK(fast, fastLoaded)
	VPXORD Z8, Z8, Z8
	FAST14(0, Z0)
	FAST14(1, Z1)
	FAST14(2, Z2)
	FAST14(3, Z3)
	VPTESTMD Z29, Z8, K1
	KORTESTW K1, K1
	JNE  exactly

store:
	VPACKUSDW Z1, Z0, Z0
	VPACKUSDW Z3, Z2, Z2
	VMOVDQU64 (R11), Z4
	VPSRLW $7, Z0, Z1
	VPSRLW $7, Z2, Z3
	VPANDD Z28, Z0, Z0
	VPANDD Z28, Z2, Z2
	VPACKUSWB Z3, Z1, Z1
	VPACKUSWB Z2, Z0, Z0
	VPERMB Z0, Z4, Z0
	VPERMB Z1, Z4, Z1
	MOVL inputBlock_at(R10), BX
	VMOVDQU64 Z0, (R8)(BX*1)
	VMOVDQU64 Z1, (R9)(BX*1)
	ADDQ $256, SI
	ADDQ $(256*const_inputConstants), R12
	ADDQ $64, R11
	ADDQ $inputBlock__size, R10
	INCQ R13
	SUBQ $1, CX
	JGE  block

leave:
	MOVQ R13, ret+48(FP)
	VZEROUPPER
	RET

exactly:
	KXORW K6, K6, K6
	XORL BX, BX
	BROADCAST($0x467FFC00, Z26) // 16383
	BROADCAST($0x3F800000, Z27)
	LOAD_BLOCK(exact, exactLoaded)
	VMOVUPS CONSTANT(const_inputReciprocal, 0), Z20
	EXACT(0, Z0)
	VMOVUPS CONSTANT(const_inputReciprocal, 1), Z20
	EXACT(1, Z1)
	VMOVUPS CONSTANT(const_inputReciprocal, 2), Z20
	EXACT(2, Z2)
	VMOVUPS CONSTANT(const_inputReciprocal, 3), Z20
	EXACT(3, Z3)
	KORTESTW K6, K6
	JNE  leave
	ADDQ BX, Memory_Saturations(DX)
	JMP  store
