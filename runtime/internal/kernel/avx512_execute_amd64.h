// The body of the two functions of avx512_amd64.s. With WIDE activations have 14 bits, else 7.
//
// DI windows, SI Memory, DX progress
// R8 activations, R9 their high plane
// R13 the command, R14 the one to stop before
// R10 starts, R11 steps, BX how many; R12 constants, CX flags
// Z0 and Z2 the sums of a slice: of one plane, or of the low and the high one; then Z0 the results
// K7 the even lanes; Z29 to Z31 are 1, 33 and 127 in every lane

	MOVQ Memory_Buffers+Buffers_Activations8(SI), R8
	MOVQ R8, R9
	ADDQ windows_plane(DI), R9
	MOVQ windows_commands(DI), R13
	MOVL progress_end(DX), R14
	SHLQ $6, R14
	ADDQ R13, R14
	MOVL progress_command(DX), AX
	SHLQ $6, AX
	ADDQ AX, R13
	MOVL $0x5555, AX
	KMOVW AX, K7
	MOVL $1, AX
	VPBROADCASTD AX, Z29
	MOVL $33, AX
	VPBROADCASTD AX, Z30
	MOVL $127, AX
	VPBROADCASTD AX, Z31

next:
	CMPQ R13, R14
	JAE  leave
	CMPL progress_budget(DX), $0
	JLT  leave
	MOVL command_steps(R13), BX
	SUBL BX, progress_budget(DX)
	MOVL command_op(R13), AX
	CMPL AX, $const_opBegin
	JEQ  begin
	CMPL AX, $const_opEnd
	JEQ  end

	MOVL command_start(R13), R10
	SHLQ $2, R10
	ADDQ windows_starts(DI), R10
	MOVL command_data(R13), R11
	ADDQ windows_data(DI), R11
	MOVL command_constants(R13), R12
	ADDQ windows_constants(DI), R12
	MOVL command_flags(R13), CX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	CMPL AX, $const_opSweep
	JEQ  external
	TESTL $const_flagTwoPlanes, CX
	JNE  twoPlanes
	VMOVDQU32 (64*const_constBias)(R12), Z0
	JMP  onePlane

external:
	MOVL command_dest(R13), AX
	ADDQ Memory_Buffers+Buffers_External(SI), AX
	VMOVDQU32 (AX), Z0
	TESTL $const_flagTwoPlanes, CX
	JEQ  onePlane
	VMOVDQU32 64(AX), Z2
	JMP  twoPlanes

#ifdef WIDE
// Z0 Σ w·q_lo, Z2 Σ w·q_hi.
onePlane:
	SUBL $2, BX
	JLT  onePlaneOdd

onePlanePair:
	WIDE1(0, Z0, Z2)
	WIDE1(1, Z1, Z3)
	ADDQ $8, R10
	ADDQ $256, R11
	SUBL $2, BX
	JGE  onePlanePair

onePlaneOdd:
	CMPL BX, $-1
	JNE  onePlaneSum
	WIDE1(0, Z0, Z2)

onePlaneSum:
	VPADDD Z3, Z2, Z2
	VPADDD Z1, Z0, Z0
	VPSLLD $7, Z2, Z2
	VPADDD Z2, Z0, Z0
	VPXORD Z2, Z2, Z2 // what External has for one plane
	JMP  summed

// Z0 Σ w_lo·q_lo, Z1 Σ w_lo·q_hi, Z2 Σ w_hi·q_lo, Z3 Σ w_hi·q_hi.
twoPlanes:
	SUBL $1, BX
	JLT  twoPlanesSum

twoPlanesStep:
	WIDE2
	ADDQ $4, R10
	ADDQ $192, R11
	SUBL $1, BX
	JGE  twoPlanesStep

twoPlanesSum:
	VPSLLD $7, Z1, Z1
	VPADDD Z1, Z0, Z0
	VPSLLD $7, Z3, Z3
	VPADDD Z3, Z2, Z2
#else
onePlane:
	SUBL $2, BX
	JLT  onePlaneOdd

onePlanePair:
	NARROW1(0, Z0)
	NARROW1(1, Z1)
	ADDQ $8, R10
	ADDQ $256, R11
	SUBL $2, BX
	JGE  onePlanePair

onePlaneOdd:
	CMPL BX, $-1
	JNE  onePlaneSum
	NARROW1(0, Z0)

onePlaneSum:
	VPADDD Z1, Z0, Z0
	JMP  summed

// Z0 Σ w_lo·q, Z2 Σ w_hi·q.
twoPlanes:
	SUBL $1, BX
	JLT  summed

twoPlanesStep:
	NARROW2
	ADDQ $4, R10
	ADDQ $192, R11
	SUBL $1, BX
	JGE  twoPlanesStep
#endif

summed:
	MOVL command_op(R13), AX
	CMPL AX, $const_opExternal
	JEQ  storeExternal
	TESTL $const_flagHighHalf, CX
	JEQ  exact

	// t = (acc·M + 2^(S−1)) >> S with S at least 33: the low half of the product does not matter.
	VMOVDQU32 (64*const_constMultiplier)(R12), Z4
	VMOVDQU32 (64*const_constShift)(R12), Z5
	TESTL $const_flagNegative, CX
	JEQ  highHalf
	VPMOVD2M Z0, K1
	VMOVDQU32 (64*const_constNegative)(R12), K1, Z4
	VMOVDQU32 (64*const_constNegativeShift)(R12), K1, Z5

highHalf:
	VPSRLQ $32, Z4, Z6
	VPSRLQ $32, Z0, Z7
	VPMULDQ Z4, Z0, Z0
	VPMULDQ Z6, Z7, Z7
	VMOVSHDUP Z0, K7, Z7
	VPSUBD Z30, Z5, Z5
	VPSRAVD Z5, Z7, Z7
	VPADDD Z29, Z7, Z7
	VPSRAD $1, Z7, Z0
	JMP requantised

	// The same in 64 bits: the accumulators of the first eight rows in Z4, of the others in Z5.
exact:
	VPMOVSXDQ Y0, Z4
	VEXTRACTI64X4 $1, Z0, Y5
	VPMOVSXDQ Y5, Z5
	TESTL $const_flagTwoPlanes, CX
	JEQ  multipliers
	VPMOVSXDQ Y2, Z6
	VEXTRACTI64X4 $1, Z2, Y7
	VPMOVSXDQ Y7, Z7
	VPSLLQ $7, Z6, Z6
	VPSLLQ $7, Z7, Z7
	VPADDQ Z6, Z4, Z4
	VPADDQ Z7, Z5, Z5
	VPMOVSXDQ (64*const_constBias)(R12), Z6
	VPMOVSXDQ (64*const_constBias+32)(R12), Z7
	VPADDQ Z6, Z4, Z4
	VPADDQ Z7, Z5, Z5

multipliers:
	VPMOVSXDQ (64*const_constMultiplier)(R12), Z6
	VPMOVSXDQ (64*const_constMultiplier+32)(R12), Z7
	VPMOVSXDQ (64*const_constShift)(R12), Z8
	VPMOVSXDQ (64*const_constShift+32)(R12), Z9
	TESTL $const_flagNegative, CX
	JEQ  multiply
	VPMOVQ2M Z4, K1
	VPMOVQ2M Z5, K2
	VPMOVSXDQ (64*const_constNegative)(R12), K1, Z6
	VPMOVSXDQ (64*const_constNegative+32)(R12), K2, Z7
	VPMOVSXDQ (64*const_constNegativeShift)(R12), K1, Z8
	VPMOVSXDQ (64*const_constNegativeShift+32)(R12), K2, Z9

multiply:
	MOVL $1, AX
	VPBROADCASTQ AX, Z10
	VPMULLQ Z6, Z4, Z4
	VPMULLQ Z7, Z5, Z5
	VPSUBQ Z10, Z8, Z8
	VPSUBQ Z10, Z9, Z9
	VPSRAVQ Z8, Z4, Z4
	VPSRAVQ Z9, Z5, Z5
	VPADDQ Z10, Z4, Z4
	VPADDQ Z10, Z5, Z5
	VPSRAQ $1, Z4, Z4
	VPSRAQ $1, Z5, Z5
	MOVL command_op(R13), AX
	CMPL AX, $const_opOutput
	JEQ  exactOutput
	VPMOVSQD Z4, Y4 // what does not fit is clamped anyway, or else looked up at an end of the table
	VPMOVSQD Z5, Y5
	VINSERTI64X4 $1, Y5, Z4, Z0
	JMP  requantised

exactOutput:
	VPMOVQD Z4, Y4
	VPMOVQD Z5, Y5
	VINSERTI64X4 $1, Y5, Z4, Z0
	JMP  storeOutput

requantised:
	MOVL command_op(R13), AX
	CMPL AX, $const_opOutput
	JEQ  storeOutput
	TESTL $const_flagTable, CX
	JNE  table
	VMOVDQU32 (64*const_constLow)(R12), Z4
	VMOVDQU32 (64*const_constHigh)(R12), Z5
	VPMAXSD Z4, Z0, Z6
	VPMINSD Z5, Z6, Z6
	TESTL $const_flagCounts, CX
	JEQ  addZero
	VPCMPD $1, Z4, Z0, K1
	VPCMPD $6, Z5, Z0, K2
	VPTESTMD (64*const_constCountLow)(R12), Z29, K1, K1
	VPTESTMD (64*const_constCountHigh)(R12), Z29, K2, K2
	KUNPCKWD K1, K2, K1
	KMOVD K1, BX
	POPCNTL BX, BX
	ADDQ BX, progress_saturations(DX)

addZero:
	VPADDD (64*const_constZero)(R12), Z6, Z0

store:
#ifdef WIDE
	VPANDD Z31, Z0, Z1
	VPSRLD $7, Z0, Z0
	VPMOVDB Z1, X1
#endif
	VPMOVDB Z0, X0
	MOVL command_dest(R13), BX
	CMPL AX, $const_opLevel
	JNE  storeNext
#ifdef WIDE
	VMOVDQU X1, (R8)(BX*1)
	VMOVDQU X0, (R9)(BX*1)
#else
	VMOVDQU X0, (R8)(BX*1)
#endif
	ADDQ $command__size, R13
	JMP  next

	// A sweep's results wait aside; K1 and K2 are the rows that moved.
storeNext:
	MOVL command_next(R13), BX
	ADDQ Memory_Buffers+Buffers_Next8(SI), BX
	MOVL command_current(R13), CX
#ifdef WIDE
	VMOVDQU X1, (BX)
	ADDQ windows_next(DI), BX
	VMOVDQU X0, (BX)
	VPCMPB $4, (R8)(CX*1), X1, K1
	VPCMPB $4, (R9)(CX*1), X0, K2
	KORW K1, K2, K1
#else
	VMOVDQU X0, (BX)
	VPCMPB $4, (R8)(CX*1), X0, K1
#endif
	KMOVW K1, AX
	ORL  AX, progress_moved(DX)
	ADDQ $command__size, R13
	JMP  next

storeOutput:
	MOVL command_dest(R13), AX
	ADDQ Memory_Buffers+Buffers_Outputs(SI), AX
	VMOVDQU32 Z0, (AX)
	ADDQ $command__size, R13
	JMP  next

storeExternal:
	MOVL command_dest(R13), AX
	ADDQ Memory_Buffers+Buffers_External(SI), AX
	VMOVDQU32 Z0, (AX)
	VMOVDQU32 Z2, 64(AX)
	ADDQ $command__size, R13
	JMP  next

	// Each lane loads an entry and the one after it.
table:
	MOVQ windows_tables(DI), BX
	KXNORW K1, K1, K1
#ifdef WIDE
	MOVL $-32768, CX
	VPBROADCASTD CX, Z4
	VPMAXSD Z4, Z0, Z0
	VPTERNLOGD $0x55, Z4, Z4, Z5 // 32767
	VPMINSD Z5, Z0, Z0
	VPSUBD Z4, Z0, Z0 // u
	VPSRLD $8, Z0, Z6
	VPADDD (64*const_constTable)(R12), Z6, Z6
	VPGATHERDD (BX)(Z6*2), K1, Z7
	VPSLLD $24, Z0, Z0
	VPSRLD $24, Z0, Z0 // l
	VPSRLD $16, Z7, Z8
	VPSLLD $16, Z7, Z7
	VPSRLD $16, Z7, Z7
	VPSUBD Z7, Z8, Z8
	VPMULLD Z0, Z8, Z8
	MOVL $128, CX
	VPBROADCASTD CX, Z4
	VPADDD Z4, Z8, Z8
	VPSRAD $8, Z8, Z8
	VPADDD Z7, Z8, Z0
#else
	VPMINSD Z31, Z0, Z0
	VPTERNLOGD $0x55, Z31, Z31, Z4 // −128
	VPMAXSD Z4, Z0, Z0
	VPSUBD Z4, Z0, Z0
	VPADDD (64*const_constTable)(R12), Z0, Z6
	VPGATHERDD (BX)(Z6*2), K1, Z0
#endif
	JMP  store

begin:
	MOVL command_initial(R13), AX
	ADDQ windows_initial(DI), AX
	MOVL command_dest(R13), BX
	MOVL command_count(R13), CX
#ifdef WIDE
	MOVQ CX, R10

beginPlanes:
	VMOVDQU (AX), X0
	VMOVDQU (AX)(R10*1), X1
	VMOVDQU X0, (R8)(BX*1)
	VMOVDQU X1, (R9)(BX*1)
	ADDQ $16, AX
	ADDQ $16, BX
	SUBL $16, CX
	JNE  beginPlanes
#else
beginPlane:
	VMOVDQU (AX), X0
	VMOVDQU X0, (R8)(BX*1)
	ADDQ $16, AX
	ADDQ $16, BX
	SUBL $16, CX
	JNE  beginPlane
#endif
	MOVL $0, progress_moved(DX)
	MOVL $0, progress_sweep(DX)
	ADDQ $command__size, R13
	JMP  next

end:
	MOVQ Memory_Buffers+Buffers_Next8(SI), AX
	MOVL command_dest(R13), BX
	MOVL command_count(R13), CX
#ifdef WIDE
	MOVQ windows_next(DI), R10

endPlanes:
	VMOVDQU (AX), X0
	VMOVDQU (AX)(R10*1), X1
	VMOVDQU X0, (R8)(BX*1)
	VMOVDQU X1, (R9)(BX*1)
	ADDQ $16, AX
	ADDQ $16, BX
	SUBL $16, CX
	JNE  endPlanes
#else
endPlane:
	VMOVDQU (AX), X0
	VMOVDQU X0, (R8)(BX*1)
	ADDQ $16, AX
	ADDQ $16, BX
	SUBL $16, CX
	JNE  endPlane
#endif
	INCQ progress_sweeps(DX)
	MOVL progress_sweep(DX), AX
	INCL AX
	MOVL AX, progress_sweep(DX)
	MOVL progress_moved(DX), CX
	MOVL $0, progress_moved(DX)
	TESTL CX, CX
	JEQ  settled
	CMPL AX, command_limit(R13)
	JAE  settled
	MOVL command_target(R13), R13
	SHLQ $6, R13
	ADDQ windows_commands(DI), R13
	JMP  next

settled:
	ADDQ $command__size, R13
	JMP  next

leave:
	SUBQ windows_commands(DI), R13
	SHRQ $6, R13
	MOVL R13, progress_command(DX)
	VZEROUPPER
	RET
