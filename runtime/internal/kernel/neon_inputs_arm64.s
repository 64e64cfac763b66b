//go:build !noasm && !purego

#include "go_asm.h"
#include "textflag.h"
#include "neon_arm64.h"

// BLOCK makes the address of a block out of that of the first one, R1 is the number of the block.
#define BLOCK(shift, register) ADD R1<<shift, register, register

// COUNTED subtracts what V31 has gathered, −1 for each saturation, from the frame's count.
#define COUNTED(count) \
	VADDV V31.S4, V31 \
	VMOV V31.S[0], R8 \
	NEGW R8, R8 \
	MOVD count(R0), R9 \
	ADD R8, R9, R9 \
	MOVD R9, count(R0)

// QUANTISE4 turns 4 real inputs, u, into integers; u, the scratch, is overwritten. half becomes all ones where
// the integer is certain.
#define QUANTISE4(u, U, reciprocal, Half, half, integer, certain) \
	VFMLA reciprocal.S4, U.S4, Half.S4 \
	FCVTMSS(half, integer) \
	SCVTFS(integer, u) \
	FSUBS4(u, half, half) \
	FABDS4(29, half, half) \
	FCMGES4(half, certain, half)

// func quantiseNEON(f *neonQuantise)
//
// It is windows.Quantise for whole blocks of 16 inputs. It stops at a block of which it is not certain; see
// packNEONInputs for when it is.
TEXT ·quantiseNEON(SB), NOSPLIT, $0-8
	MOVD f+0(FP), R0
	MOVD neonQuantise_block(R0), R1
	MOVD neonQuantise_end(R0), R2
	MOVD neonQuantise_src(R0), R3
	MOVD neonQuantise_params(R0), R4
	MOVD neonQuantise_dst(R0), R5
	MOVD neonQuantise_plane(R0), R6
	MOVD neonQuantise_largest(R0), R7
	BLOCK(6, R3)
	MOVD $192, R8
	MADD R8, R4, R1, R4
	BLOCK(4, R5)
	ADD R5, R6
	CMP $127, R7
	CSET NE, R10
	VDUP R7, V28.H8
	MOVD $0x3F000000, R8
	VDUP R8, V29.S4
	VEOR V30.B16, V30.B16, V30.B16
	VEOR V31.B16, V31.B16, V31.B16
	MOVD $0x7F, R8
	VDUP R8, V27.B16

block:
	CMP R2, R1
	BHS done
	VLD1.P 64(R3), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R4), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R4), [V16.S4, V17.S4, V18.S4, V19.S4]
	VLD1.P 64(R4), [V20.S4, V21.S4, V22.S4, V23.S4]
	QUANTISE4(0, V0, V4, V16, 16, 4, 20)
	QUANTISE4(1, V1, V5, V17, 17, 5, 21)
	QUANTISE4(2, V2, V6, V18, 18, 6, 22)
	QUANTISE4(3, V3, V7, V19, 19, 7, 23)
	VAND V16.B16, V17.B16, V16.B16
	VAND V18.B16, V19.B16, V18.B16
	VAND V16.B16, V18.B16, V16.B16
	VMOV V16.D[0], R8
	VMOV V16.D[1], R9
	AND R8, R9
	CMN $1, R9
	BNE done
	SQXTNS(4, 4)
	SQXTN2S(5, 4)
	SQXTNS(6, 6)
	SQXTN2S(7, 6)
	CMHIH(28, 4, 16)
	CMHIH(28, 6, 17)
	SMAXH(30, 4, 4)
	SMAXH(30, 6, 6)
	SMINH(28, 4, 4)
	SMINH(28, 6, 6)
	VADD V16.H8, V17.H8, V16.H8
	SADALPH(16, 31)
	VUZP1 V6.B16, V4.B16, V0.B16
	ADD $1, R1
	CBNZ R10, planes
	VST1.P [V0.B16], 16(R5)
	B block

planes:
	VUSHR $7, V4.H8, V4.H8
	VUSHR $7, V6.H8, V6.H8
	VAND V27.B16, V0.B16, V0.B16
	VUZP1 V6.B16, V4.B16, V1.B16
	VST1.P [V0.B16], 16(R5)
	VST1.P [V1.B16], 16(R6)
	B block

done:
	MOVD R1, neonQuantise_block(R0)
	COUNTED(neonQuantise_saturations)
	RET

// func gather7NEON(f *neonGather)
//
// It is gatherWindows for whole blocks of 16 inputs of 7 bits.
TEXT ·gather7NEON(SB), NOSPLIT, $0-8
	MOVD f+0(FP), R0
	MOVD neonGather_src(R0), R3
	MOVD neonGather_limits(R0), R4
	MOVD neonGather_dst(R0), R5
	MOVD neonGather_block(R0), R1
	MOVD neonGather_end(R0), R2
	BLOCK(4, R3)
	BLOCK(4, R4)
	BLOCK(4, R5)
	VEOR V31.B16, V31.B16, V31.B16

block:
	CMP R2, R1
	BHS done
	ADD $1, R1
	VLD1.P 16(R3), [V0.B16]
	VLD1.P 16(R4), [V1.B16]
	CMHIB(1, 0, 2)
	VUMIN V1.B16, V0.B16, V0.B16
	SADDLPB(2, 2)
	VST1.P [V0.B16], 16(R5)
	SADALPH(2, 31)
	B block

done:
	MOVD R1, neonGather_block(R0)
	COUNTED(neonGather_saturations)
	RET

// func gather14NEON(f *neonGather)
//
// It is gatherWindows for whole blocks of 16 inputs of 14 bits.
TEXT ·gather14NEON(SB), NOSPLIT, $0-8
	MOVD f+0(FP), R0
	MOVD neonGather_src(R0), R3
	MOVD neonGather_limits(R0), R4
	MOVD neonGather_dst(R0), R5
	MOVD neonGather_block(R0), R1
	MOVD neonGather_end(R0), R2
	BLOCK(5, R3)
	BLOCK(5, R4)
	BLOCK(4, R5)
	MOVD neonGather_plane(R0), R6
	ADD R5, R6
	MOVD $0x7F, R8
	VDUP R8, V27.B16
	VEOR V31.B16, V31.B16, V31.B16

block:
	CMP R2, R1
	BHS done
	ADD $1, R1
	VLD1.P 32(R3), [V0.H8, V1.H8]
	VLD1.P 32(R4), [V2.H8, V3.H8]
	CMHIH(2, 0, 4)
	CMHIH(3, 1, 5)
	VUMIN V2.H8, V0.H8, V0.H8
	VUMIN V3.H8, V1.H8, V1.H8
	VADD V4.H8, V5.H8, V4.H8
	SADALPH(4, 31)
	VUZP1 V1.B16, V0.B16, V2.B16
	VUSHR $7, V0.H8, V0.H8
	VUSHR $7, V1.H8, V1.H8
	VUZP1 V1.B16, V0.B16, V3.B16
	VAND V27.B16, V2.B16, V2.B16
	VST1.P [V2.B16], 16(R5)
	VST1.P [V3.B16], 16(R6)
	B block

done:
	MOVD R1, neonGather_block(R0)
	COUNTED(neonGather_saturations)
	RET
