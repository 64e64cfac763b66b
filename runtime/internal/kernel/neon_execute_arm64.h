// What runNEON and runNEONDot share: R0 is the frame.
//
//	R1  the command, R2 where to stop         R3  the budget        R4  activations, R5 bytes to their next plane
//	R6  data of the step, R7 its start        R8  constants         R9  not zero: something has moved
//	R10 the progress                          R11 flags, R12 the operation, R13 steps left
//	R19 data, R20 starts, R21 constants, R22 commands, R23 activations of 14 bits
//	V14 32; V15 saturations; V24, V25 the low or only sums; V26, V27 the high ones

	MOVD windowFrame_progress(R0), R10
	MOVD windowFrame_commands(R0), R22
	MOVD windowFrame_activations(R0), R4
	MOVD windowFrame_plane(R0), R5
	MOVD windowFrame_data(R0), R19
	MOVD windowFrame_starts(R0), R20
	MOVD windowFrame_constants(R0), R21
	MOVD windowFrame_wide(R0), R23
	MOVWU progress_command(R10), R1
	MOVWU progress_end(R10), R2
	MOVW progress_budget(R10), R3
	MOVWU progress_moved(R10), R9
	ADD R1<<6, R22, R1
	ADD R2<<6, R22, R2
	VEOR V15.B16, V15.B16, V15.B16
	MOVD $32, R14
	VDUP R14, V14.S4
	B next

following:
	ADD $command__size, R1

next:
	CMP R2, R1
	BHS return
	TBNZ $31, R3, return
	LDPW command_op(R1), (R12, R11)
	LDPW command_steps(R1), (R13, R7)
	LDPW command_data(R1), (R6, R8)
	SUBW R13, R3
	CMPW $const_opBegin, R12
	BEQ begin
	CMPW $const_opEnd, R12
	BEQ end
	ADD R7<<2, R20, R7
	ADD R6, R19, R6
	ADD R8, R21, R8

	VEOR V24.B16, V24.B16, V24.B16
	VEOR V25.B16, V25.B16, V25.B16
	VEOR V26.B16, V26.B16, V26.B16
	VEOR V27.B16, V27.B16, V27.B16
	CBNZ R23, accumulate14
	TBNZ $const_twoPlanesBit, R11, accumulate7Two

	// Σ w·q of 7 bits: two steps at a time, loads in the order that costs an in-order core the least (tools/mca).
	TBZ $0, R13, pairs
	MOVWU.P 4(R7), R14
	ADD R14, R4, R14
	VLD1.P 64(R6), [V16.B16, V17.B16, V18.B16, V19.B16]
	VLD1 (R14), [V0.B16, V1.B16, V2.B16]
	VTBL V16.B16, [V0.B16, V1.B16, V2.B16], V16.B16
	VTBL V17.B16, [V0.B16, V1.B16, V2.B16], V17.B16
	MULTIPLY1(18, 16, 6, 24)
	MULTIPLY1(19, 17, 7, 25)
	MULTIPLY2(18, 16, 6)
	MULTIPLY2(19, 17, 7)
	MULTIPLY3(6, 24)
	MULTIPLY3(7, 25)

pairs:
	LSR $1, R13
	CBZ R13, accumulated

pair:
	LDPW.P 8(R7), (R14, R15)
	VLD1.P 64(R6), [V16.B16, V17.B16, V18.B16, V19.B16]
	SUB $1, R13
	ADD R14, R4, R14
	ADD R15, R4, R15
	VLD1 (R14), [V0.B16, V1.B16, V2.B16]
	VLD1 (R15), [V3.B16, V4.B16, V5.B16]
	VLD1.P 64(R6), [V20.B16, V21.B16, V22.B16, V23.B16]
	VTBL V16.B16, [V0.B16, V1.B16, V2.B16], V16.B16
	VTBL V17.B16, [V0.B16, V1.B16, V2.B16], V17.B16
	VTBL V20.B16, [V3.B16, V4.B16, V5.B16], V20.B16
	VTBL V21.B16, [V3.B16, V4.B16, V5.B16], V21.B16
	MULTIPLY1(18, 16, 6, 24)
	MULTIPLY1(19, 17, 7, 25)
	MULTIPLY1(22, 20, 8, 26)
	MULTIPLY1(23, 21, 9, 27)
	MULTIPLY2(18, 16, 6)
	MULTIPLY2(19, 17, 7)
	MULTIPLY2(22, 20, 8)
	MULTIPLY2(23, 21, 9)
	MULTIPLY3(6, 24)
	MULTIPLY3(7, 25)
	MULTIPLY3(8, 26)
	MULTIPLY3(9, 27)
	CBNZ R13, pair
	VADD V26.S4, V24.S4, V24.S4
	VADD V27.S4, V25.S4, V25.S4
	B accumulated

	// Σ w_lo·q and Σ w_hi·q of 7 bits.
accumulate7Two:
	CBZ R13, accumulated

step7Two:
	MOVWU.P 4(R7), R14
	VLD1.P 64(R6), [V16.B16, V17.B16, V18.B16, V19.B16]
	SUB $1, R13
	ADD R14, R4, R14
	VLD1 (R14), [V0.B16, V1.B16, V2.B16]
	VLD1.P 32(R6), [V20.B16, V21.B16]
	VTBL V16.B16, [V0.B16, V1.B16, V2.B16], V16.B16
	VTBL V17.B16, [V0.B16, V1.B16, V2.B16], V17.B16
	MULTIPLY1(18, 16, 6, 26)
	MULTIPLY1(19, 17, 7, 27)
	MULTIPLY1(20, 16, 8, 24)
	MULTIPLY1(21, 17, 9, 25)
	MULTIPLY2(18, 16, 6)
	MULTIPLY2(19, 17, 7)
	MULTIPLY2(20, 16, 8)
	MULTIPLY2(21, 17, 9)
	MULTIPLY3(6, 26)
	MULTIPLY3(7, 27)
	MULTIPLY3(8, 24)
	MULTIPLY3(9, 25)
	CBNZ R13, step7Two
	B accumulated

	// Σ w·q of 14 bits: V26 and V27 sum up w·q_hi.
accumulate14:
	TBNZ $const_twoPlanesBit, R11, accumulate14Two
	CBZ R13, accumulated

step14:
	MOVWU.P 4(R7), R14
	VLD1.P 64(R6), [V16.B16, V17.B16, V18.B16, V19.B16]
	SUB $1, R13
	ADD R14, R4, R14
	ADD R14, R5, R15
	VLD1 (R14), [V0.B16, V1.B16, V2.B16]
	VLD1 (R15), [V3.B16, V4.B16, V5.B16]
	VTBL V16.B16, [V0.B16, V1.B16, V2.B16], V20.B16
	VTBL V17.B16, [V0.B16, V1.B16, V2.B16], V21.B16
	VTBL V16.B16, [V3.B16, V4.B16, V5.B16], V22.B16
	VTBL V17.B16, [V3.B16, V4.B16, V5.B16], V23.B16
	MULTIPLY1(18, 20, 6, 24)
	MULTIPLY1(19, 21, 7, 25)
	MULTIPLY1(18, 22, 8, 26)
	MULTIPLY1(19, 23, 9, 27)
	MULTIPLY2(18, 20, 6)
	MULTIPLY2(19, 21, 7)
	MULTIPLY2(18, 22, 8)
	MULTIPLY2(19, 23, 9)
	MULTIPLY3(6, 24)
	MULTIPLY3(7, 25)
	MULTIPLY3(8, 26)
	MULTIPLY3(9, 27)
	CBNZ R13, step14
	VSHL $7, V26.S4, V26.S4
	VSHL $7, V27.S4, V27.S4
	VADD V26.S4, V24.S4, V24.S4
	VADD V27.S4, V25.S4, V25.S4
	B accumulated

	// Both planes of weights times both of activations: V28 to V31 sum up products with q_hi.
accumulate14Two:
	CBZ R13, accumulated
	VEOR V28.B16, V28.B16, V28.B16
	VEOR V29.B16, V29.B16, V29.B16
	VEOR V30.B16, V30.B16, V30.B16
	VEOR V31.B16, V31.B16, V31.B16

step14Two:
	MOVWU.P 4(R7), R14
	VLD1.P 64(R6), [V16.B16, V17.B16, V18.B16, V19.B16]
	SUB $1, R13
	ADD R14, R4, R14
	ADD R14, R5, R15
	VLD1 (R14), [V0.B16, V1.B16, V2.B16]
	VLD1 (R15), [V3.B16, V4.B16, V5.B16]
	VTBL V16.B16, [V0.B16, V1.B16, V2.B16], V20.B16
	VTBL V17.B16, [V0.B16, V1.B16, V2.B16], V21.B16
	VTBL V16.B16, [V3.B16, V4.B16, V5.B16], V22.B16
	VTBL V17.B16, [V3.B16, V4.B16, V5.B16], V23.B16
	VLD1.P 32(R6), [V16.B16, V17.B16]
	MULTIPLY1(18, 20, 6, 26)
	MULTIPLY1(19, 21, 7, 27)
	MULTIPLY1(18, 22, 8, 30)
	MULTIPLY1(19, 23, 9, 31)
	MULTIPLY1(16, 20, 10, 24)
	MULTIPLY1(17, 21, 11, 25)
	MULTIPLY1(16, 22, 12, 28)
	MULTIPLY1(17, 23, 13, 29)
	MULTIPLY2(18, 20, 6)
	MULTIPLY2(19, 21, 7)
	MULTIPLY2(18, 22, 8)
	MULTIPLY2(19, 23, 9)
	MULTIPLY2(16, 20, 10)
	MULTIPLY2(17, 21, 11)
	MULTIPLY2(16, 22, 12)
	MULTIPLY2(17, 23, 13)
	MULTIPLY3(6, 26)
	MULTIPLY3(7, 27)
	MULTIPLY3(8, 30)
	MULTIPLY3(9, 31)
	MULTIPLY3(10, 24)
	MULTIPLY3(11, 25)
	MULTIPLY3(12, 28)
	MULTIPLY3(13, 29)
	CBNZ R13, step14Two
	VSHL $7, V28.S4, V28.S4
	VSHL $7, V29.S4, V29.S4
	VSHL $7, V30.S4, V30.S4
	VSHL $7, V31.S4, V31.S4
	VADD V28.S4, V24.S4, V24.S4
	VADD V29.S4, V25.S4, V25.S4
	VADD V30.S4, V26.S4, V26.S4
	VADD V31.S4, V27.S4, V27.S4

	// The sums are complete but for what comes from outside a loop, or else the bias of one plane.
accumulated:
	MOVWU command_dest(R1), R14
	VLD1 (R8), [V28.S4, V29.S4] // bias
	CMPW $const_opSweep, R12
	BNE notSweep
	MOVD windowFrame_external(R0), R15
	ADD R14, R15, R15
	VLD1 (R15), [V16.S4, V17.S4, V18.S4, V19.S4]
	VADD V16.S4, V24.S4, V24.S4
	VADD V17.S4, V25.S4, V25.S4
	VADD V18.S4, V26.S4, V26.S4
	VADD V19.S4, V27.S4, V27.S4
	B requantise

notSweep:
	TBNZ $const_twoPlanesBit, R11, maybeExternal
	VADD V28.S4, V24.S4, V24.S4
	VADD V29.S4, V25.S4, V25.S4

maybeExternal:
	CMPW $const_opExternal, R12
	BNE requantise
	MOVD windowFrame_external(R0), R15
	ADD R14, R15, R15
	VST1 [V24.S4, V25.S4, V26.S4, V27.S4], (R15)
	B following

	// V0 to V3 become acc·M, two rows each. V16 and V17 are M, V18 and V19 −S, of four rows each.
requantise:
	ADD $(32*const_constMultiplier), R8, R15
	VLD1 (R15), [V16.S4, V17.S4, V18.S4, V19.S4]
	TBNZ $const_twoPlanesBit, R11, products64
	TBZ $const_negativeBit, R11, products32
	CMLTS(24, 4)
	CMLTS(25, 5)
	ADD $(32*const_constNegative), R8, R15
	VLD1 (R15), [V20.S4, V21.S4, V22.S4, V23.S4]
	VBIT V4.B16, V20.B16, V16.B16
	VBIT V5.B16, V21.B16, V17.B16
	VBIT V4.B16, V22.B16, V18.B16
	VBIT V5.B16, V23.B16, V19.B16

products32:
	SMULLS(16, 24, 0)
	SMULL2S(16, 24, 1)
	SMULLS(17, 25, 2)
	SMULL2S(17, 25, 3)
	TBZ $const_highHalfBit, R11, shift

	// The high halves suffice: see highHalf.
	VUZP2 V1.S4, V0.S4, V0.S4
	VUZP2 V3.S4, V2.S4, V1.S4
	VADD V14.S4, V18.S4, V18.S4
	VADD V14.S4, V19.S4, V19.S4
	SRSHLS(18, 0, 0)
	SRSHLS(19, 1, 1)
	CMPW $const_opOutput, R12
	BNE states
	B storeOutputs

	// (acc·M + 2^(S−1)) >> S: the rounding shift adds without overflow.
shift:
	SSHLLS(0, 18, 4)
	SSHLL2S(0, 18, 5)
	SSHLLS(0, 19, 6)
	SSHLL2S(0, 19, 7)
	SRSHLD(4, 0, 0)
	SRSHLD(5, 1, 1)
	SRSHLD(6, 2, 2)
	SRSHLD(7, 3, 3)
	CMPW $const_opOutput, R12
	BEQ output
	SQXTND(0, 0) // clamps and tables lie within 32 bits: what saturates here is clamped there
	SQXTN2D(1, 0)
	SQXTND(2, 1)
	SQXTN2D(3, 1)

	// V0 and V1 are t, of four rows each.
states:
	TBNZ $const_tableBit, R11, table
	ADD $(32*const_constLow), R8, R15
	VLD1.P 64(R15), [V4.S4, V5.S4, V6.S4, V7.S4] // low, high
	VLD1.P 32(R15), [V8.S4, V9.S4] // zero
	TBZ $const_countsBit, R11, clamp
	VLD1 (R15), [V20.S4, V21.S4, V22.S4, V23.S4] // −1 where a clamp at low, at high counts
	CMGTS(0, 4, 10)
	CMGTS(1, 5, 11)
	CMGTS(6, 0, 12)
	CMGTS(7, 1, 13)
	VAND V20.B16, V10.B16, V10.B16
	VAND V21.B16, V11.B16, V11.B16
	VAND V22.B16, V12.B16, V12.B16
	VAND V23.B16, V13.B16, V13.B16
	VADD V10.S4, V11.S4, V10.S4
	VADD V12.S4, V13.S4, V12.S4
	VSUB V10.S4, V15.S4, V15.S4
	VSUB V12.S4, V15.S4, V15.S4

clamp:
	SMAXS(4, 0, 0)
	SMAXS(5, 1, 1)
	SMINS(6, 0, 0)
	SMINS(7, 1, 1)
	VADD V8.S4, V0.S4, V0.S4
	VADD V9.S4, V1.S4, V1.S4

	// V0 and V1 are q, of four rows each: its lower plane goes to R15, the upper one to R16.
store:
	VUZP1 V1.H8, V0.H8, V0.H8
	VUSHR $7, V0.H8, V1.H8
	VUZP1 V1.B16, V0.B16, V0.B16
	VMOV V0.D[0], R15
	AND $0x7F7F7F7F7F7F7F7F, R15
	VMOV V0.D[1], R16
	CMPW $const_opSweep, R12
	BEQ storeNext
	MOVD R15, (R4)(R14)
	CBZ R23, following
	ADD R5, R14
	MOVD R16, (R4)(R14)
	B following

storeNext:
	LDPW command_next(R1), (R14, R17)
	MOVD windowFrame_next(R0), R24
	MOVD R15, (R24)(R14)
	MOVD (R4)(R17), R25
	EOR R25, R15
	ORR R15, R9
	CBZ R23, following
	MOVD windowFrame_nextPlane(R0), R25
	ADD R25, R14
	MOVD R16, (R24)(R14)
	ADD R5, R17
	MOVD (R4)(R17), R25
	EOR R25, R16
	ORR R16, R9
	B following

output:
	VUZP1 V1.S4, V0.S4, V0.S4
	VUZP1 V3.S4, V2.S4, V1.S4

storeOutputs:
	MOVD windowFrame_outputs(R0), R15
	ADD R14, R15
	VST1 [V0.S4, V1.S4], (R15)
	B following

	// Two planes: acc = bias + 128·high + low takes 64 bits; V20 to V23 are those of two rows each. Then
	// acc·M = lower half·M + (upper half·M << 32).
products64:
	SSHLLS(7, 26, 20)
	SSHLL2S(7, 26, 21)
	SSHLLS(7, 27, 22)
	SSHLL2S(7, 27, 23)
	SADDWS(24, 20, 20)
	SADDW2S(24, 21, 21)
	SADDWS(25, 22, 22)
	SADDW2S(25, 23, 23)
	SADDWS(28, 20, 20)
	SADDW2S(28, 21, 21)
	SADDWS(29, 22, 22)
	SADDW2S(29, 23, 23)
	VUZP1 V21.S4, V20.S4, V24.S4
	VUZP1 V23.S4, V22.S4, V25.S4
	VUZP2 V21.S4, V20.S4, V26.S4
	VUZP2 V23.S4, V22.S4, V27.S4
	TBZ $const_negativeBit, R11, multiply64
	CMLTS(26, 4)
	CMLTS(27, 5)
	ADD $(32*const_constNegative), R8, R15
	VLD1 (R15), [V20.S4, V21.S4, V22.S4, V23.S4]
	VBIT V4.B16, V20.B16, V16.B16
	VBIT V5.B16, V21.B16, V17.B16
	VBIT V4.B16, V22.B16, V18.B16
	VBIT V5.B16, V23.B16, V19.B16

multiply64:
	MULS(16, 26, 26)
	MULS(17, 27, 27)
	UMULLS(16, 24, 0)
	UMULL2S(16, 24, 1)
	UMULLS(17, 25, 2)
	UMULL2S(17, 25, 3)
	SHLLS(26, 4)
	SHLL2S(26, 5)
	SHLLS(27, 6)
	SHLL2S(27, 7)
	VADD V4.D2, V0.D2, V0.D2
	VADD V5.D2, V1.D2, V1.D2
	VADD V6.D2, V2.D2, V2.D2
	VADD V7.D2, V3.D2, V3.D2
	B shift

	// Tables: V0 and V1 become t, clamped and counted from the beginning of the domain, then the entry.
table:
	MOVD windowFrame_tables(R0), R15
	ADD $(32*const_constTable), R8, R16
	VLD1 (R16), [V8.S4, V9.S4]
	MOVD $-128, R16
	MOVD $127, R17
	CBZ R23, domain
	MOVD $-32768, R16
	MOVD $32767, R17

domain:
	VDUP R16, V4.S4
	VDUP R17, V5.S4
	SMAXS(4, 0, 0)
	SMAXS(4, 1, 1)
	SMINS(5, 0, 0)
	SMINS(5, 1, 1)
	VSUB V4.S4, V0.S4, V0.S4
	VSUB V4.S4, V1.S4, V1.S4
	CBNZ R23, entries14
	VADD V0.S4, V8.S4, V8.S4
	VADD V1.S4, V9.S4, V9.S4
	B entries

entries14:
	VUSHR $8, V0.S4, V4.S4
	VUSHR $8, V1.S4, V5.S4
	VADD V4.S4, V8.S4, V8.S4
	VADD V5.S4, V9.S4, V9.S4

	// V8 and V9 count entries; V4 and V5 become an entry and, in the upper half, the one after it.
#define ENTRY(index, k, to) \
	VMOV index.S[k], R16 \
	ADD R16<<1, R15, R16 \
	VLD1 (R16), to.S[k]

entries:
	ENTRY(V8, 0, V4)
	ENTRY(V8, 1, V4)
	ENTRY(V8, 2, V4)
	ENTRY(V8, 3, V4)
	ENTRY(V9, 0, V5)
	ENTRY(V9, 1, V5)
	ENTRY(V9, 2, V5)
	ENTRY(V9, 3, V5)
#undef ENTRY
	MOVD $0xFFFF, R16
	VDUP R16, V6.S4
	VAND V6.B16, V4.B16, V2.B16
	VAND V6.B16, V5.B16, V3.B16
	CBNZ R23, interpolate
	VMOV V2.B16, V0.B16
	VMOV V3.B16, V1.B16
	B store

	// left + ((right − left)·l + 128) >> 8
interpolate:
	MOVD $0xFF, R16
	VDUP R16, V6.S4
	VAND V6.B16, V0.B16, V0.B16
	VAND V6.B16, V1.B16, V1.B16
	VUSHR $16, V4.S4, V4.S4
	VUSHR $16, V5.S4, V5.S4
	VSUB V2.S4, V4.S4, V4.S4
	VSUB V3.S4, V5.S4, V5.S4
	MULS(0, 4, 4)
	MULS(1, 5, 5)
	SRSHRS8(4, 4)
	SRSHRS8(5, 5)
	VADD V2.S4, V4.S4, V0.S4
	VADD V3.S4, V5.S4, V1.S4
	B store

	// The beginning of a loop: beginLoop.
begin:
	MOVD windowFrame_initial(R0), R15
	MOVWU command_initial(R1), R14
	ADD R14, R15
	MOVWU command_dest(R1), R14
	ADD R4, R14
	MOVWU command_count(R1), R16
	MOVD R16, R17
	MOVD R14, R24

initialLow:
	MOVD.P 8(R15), R25
	MOVD.P R25, 8(R14)
	SUBS $8, R17
	BNE initialLow
	MOVW ZR, progress_sweep(R10)
	MOVD ZR, R9
	CBZ R23, following
	ADD R5, R24

initialHigh:
	MOVD.P 8(R15), R25
	MOVD.P R25, 8(R24)
	SUBS $8, R16
	BNE initialHigh
	B following

	// The end of a sweep: endSweep.
end:
	MOVD windowFrame_next(R0), R15
	MOVWU command_dest(R1), R14
	ADD R4, R14
	MOVWU command_count(R1), R16
	MOVD windowFrame_nextPlane(R0), R17
	ADD R17, R15, R24
	ADD R5, R14, R25
	MOVD R16, R17

copyLow:
	MOVD.P 8(R15), R26
	MOVD.P R26, 8(R14)
	SUBS $8, R17
	BNE copyLow
	CBZ R23, copied

copyHigh:
	MOVD.P 8(R24), R26
	MOVD.P R26, 8(R25)
	SUBS $8, R16
	BNE copyHigh

copied:
	MOVD progress_sweeps(R10), R14
	ADD $1, R14
	MOVD R14, progress_sweeps(R10)
	MOVWU progress_sweep(R10), R14
	ADD $1, R14
	MOVW R14, progress_sweep(R10)
	LDPW command_limit(R1), (R15, R16)
	CBZ R9, following
	MOVD ZR, R9
	CMPW R15, R14
	BHS following
	ADD R16<<6, R22, R1
	B next

return:
	SUB R22, R1
	LSR $6, R1
	MOVW R1, progress_command(R10)
	MOVW R3, progress_budget(R10)
	CMP $0, R9
	CSET NE, R9
	MOVW R9, progress_moved(R10)
	VADDV V15.S4, V15
	VMOV V15.S[0], R14
	MOVD progress_saturations(R10), R15
	ADD R14, R15
	MOVD R15, progress_saturations(R10)
	RET
