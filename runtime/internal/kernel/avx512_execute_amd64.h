// The body of the functions of avx512_amd64.s. With WIDE activations have 14 bits, else 7. It is interpret, for
// groups of slices.
//
// DI windows, SI Memory, DX progress
// R8 activations, R9 their high plane
// R13 the command, R14 the one to stop before
// R10 visits, BX how many; R11 steps; R12 constants; CX steps of a slice, later flags
// Z16 to Z26 a window, and what is on the way
// Z0 to Z15 the sums of a group, later Z0 to Z7: of slice s Z_s; with two planes the low ones to Z3, then the high ones
// K7 the even lanes; Z28 a permutation; Z29 to Z31 are 1, 33 and 127 in every lane

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
	VMOVDQU32 packed<>(SB), Z28
	BROADCAST($1, Z29)
	BROADCAST($33, Z30)
	BROADCAST($127, Z31)

next:
	CMPQ R13, R14
	JAE  leave
	CMPL progress_budget(DX), $0
	JLT  leave
	MOVL command_steps(R13), AX
	SUBL AX, progress_budget(DX)
	MOVL command_op(R13), AX
	CMPL AX, $const_opBegin
	JEQ  begin
	CMPL AX, $const_opEnd
	JEQ  end

	MOVL command_start(R13), AX
	LEAQ (AX)(AX*2), R10 // windowVisit has 12 bytes
	SHLQ $2, R10
	ADDQ windows_visits(DI), R10
	MOVL command_count(R13), BX
	MOVL command_data(R13), R11
	ADDQ windows_data(DI), R11
	MOVL command_constants(R13), R12
	ADDQ windows_constants(DI), R12
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1
	VPXOR X2, X2, X2
	VPXOR X3, X3, X3
	VPXOR X4, X4, X4
	VPXOR X5, X5, X5
	VPXOR X6, X6, X6
	VPXOR X7, X7, X7
	VPXOR X8, X8, X8
	VPXOR X9, X9, X9
	VPXOR X10, X10, X10
	VPXOR X11, X11, X11
	VPXOR X12, X12, X12
	VPXOR X13, X13, X13
	VPXOR X14, X14, X14
	VPXOR X15, X15, X15
	TESTQ BX, BX
	JEQ  summed
	TESTL $const_flagTwoPlanes, command_flags(R13)
	JNE  twoPlanes

#ifdef WIDE
	CMPL command_slices(R13), $4
	JA   many

	// Up to four slices have two pairs of sums each, in turn.
few:
	MOVL windowVisit_start(R10), AX
	WINDOW
	WIDE1(0, Z0, Z8, Z4, Z12, few0, few1)
	CMPL command_slices(R13), $1
	JEQ  fewNext
	WIDE1(1, Z1, Z9, Z5, Z13, few2, few3)
	WIDE1(2, Z2, Z10, Z6, Z14, few4, few5)
	WIDE1(3, Z3, Z11, Z7, Z15, few6, few7)

fewNext:
	ADDQ $windowVisit__size, R10
	DECL BX
	JNE  few
	VPADDD Z4, Z0, Z0
	VPADDD Z5, Z1, Z1
	VPADDD Z6, Z2, Z2
	VPADDD Z7, Z3, Z3
	VPADDD Z12, Z8, Z8
	VPADDD Z13, Z9, Z9
	VPADDD Z14, Z10, Z10
	VPADDD Z15, Z11, Z11
	JMP  summed

many:
	MOVL windowVisit_start(R10), AX
	WINDOW
	WIDE1(0, Z0, Z8, Z0, Z8, many0, many1)
	WIDE1(1, Z1, Z9, Z1, Z9, many2, many3)
	WIDE1(2, Z2, Z10, Z2, Z10, many4, many5)
	WIDE1(3, Z3, Z11, Z3, Z11, many6, many7)
	WIDE1(4, Z4, Z12, Z4, Z12, many8, many9)
	WIDE1(5, Z5, Z13, Z5, Z13, many10, many11)
	WIDE1(6, Z6, Z14, Z6, Z14, many12, many13)
	WIDE1(7, Z7, Z15, Z7, Z15, many14, many15)
	ADDQ $windowVisit__size, R10
	DECL BX
	JNE  many
	JMP  summed

	// Of slice s Z_s has Σ w_lo·q_lo, Z_{s+4} Σ w_hi·q_lo, Z_{s+8} Σ w_lo·q_hi, Z_{s+12} Σ w_hi·q_hi.
twoPlanes:
	MOVL windowVisit_start(R10), AX
	WINDOW
	WIDE2(0, Z0, Z4, Z8, Z12, two0, two1)
	WIDE2(1, Z1, Z5, Z9, Z13, two2, two3)
	WIDE2(2, Z2, Z6, Z10, Z14, two4, two5)
	WIDE2(3, Z3, Z7, Z11, Z15, two6, two7)
	ADDQ $windowVisit__size, R10
	DECL BX
	JNE  twoPlanes

summed:
	JOIN_WIDE(Z8, Z0)
	JOIN_WIDE(Z9, Z1)
	JOIN_WIDE(Z10, Z2)
	JOIN_WIDE(Z11, Z3)
	JOIN_WIDE(Z12, Z4)
	JOIN_WIDE(Z13, Z5)
	JOIN_WIDE(Z14, Z6)
	JOIN_WIDE(Z15, Z7)
#else
one:
	MOVL windowVisit_start(R10), AX
	WINDOW
	NARROW1(0, Z0, Z8, one0, one1)
	CMPL command_slices(R13), $1
	JEQ  oneNext
	NARROW1(1, Z1, Z9, one2, one3)
	NARROW1(2, Z2, Z10, one4, one5)
	NARROW1(3, Z3, Z11, one6, one7)
	CMPL command_slices(R13), $4
	JBE  oneNext
	NARROW1(4, Z4, Z12, one8, one9)
	NARROW1(5, Z5, Z13, one10, one11)
	NARROW1(6, Z6, Z14, one12, one13)
	NARROW1(7, Z7, Z15, one14, one15)

oneNext:
	ADDQ $windowVisit__size, R10
	DECL BX
	JNE  one
	JMP  summed

twoPlanes:
	MOVL windowVisit_start(R10), AX
	WINDOW
	NARROW2(0, Z0, Z4, Z8, Z12, two0, two1)
	NARROW2(1, Z1, Z5, Z9, Z13, two2, two3)
	NARROW2(2, Z2, Z6, Z10, Z14, two4, two5)
	NARROW2(3, Z3, Z7, Z11, Z15, two6, two7)
	ADDQ $windowVisit__size, R10
	DECL BX
	JNE  twoPlanes

summed:
	VPADDD Z8, Z0, Z0
	VPADDD Z9, Z1, Z1
	VPADDD Z10, Z2, Z2
	VPADDD Z11, Z3, Z3
	VPADDD Z12, Z4, Z4
	VPADDD Z13, Z5, Z5
	VPADDD Z14, Z6, Z6
	VPADDD Z15, Z7, Z7
#endif

	// What most models have: levels and sweeps of one plane without tables, whose accumulators below zero are like others,
	// and multipliers of which the high half suffices. R11 is what the sums start from, R10 bytes apart; BX is where the
	// results go to.
	MOVL command_flags(R13), CX
	MOVL CX, AX
	ANDL $(const_flagTwoPlanes+const_flagTable+const_flagNegative+const_flagHighHalf), AX
	CMPL AX, $const_flagHighHalf
	JNE  each
	MOVQ R12, R11 // constBias is 0
	MOVQ $(64*const_constants), R10
	MOVL command_dest(R13), BX
	MOVL command_op(R13), AX
	CMPL AX, $const_opLevel
	JEQ  quick
	CMPL AX, $const_opSweep
	JNE  each
	MOVQ Memory_Buffers+Buffers_External(SI), R11
	ADDQ BX, R11
	MOVQ $128, R10
	XORL BX, BX

quick:
	MOVL command_slices(R13), AX
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	VPXORD Z27, Z27, Z27
	REQUANTISE(0, Z0, Z16)
	REQUANTISE_IF(1, Z1, Z17, firstFour)
	REQUANTISE_IF(2, Z2, Z18, firstFour)
	REQUANTISE_IF(3, Z3, Z19, firstFour)

firstFour:
	PACK
	CMPL command_op(R13), $const_opSweep
	JEQ  firstFourSwept
	STORE

firstFourStored:
	CMPL AX, $4
	JBE  stored
	ADDL $64, BX
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	REQUANTISE(4, Z4, Z16)
	REQUANTISE_IF(5, Z5, Z17, lastFour)
	REQUANTISE_IF(6, Z6, Z18, lastFour)
	REQUANTISE_IF(7, Z7, Z19, lastFour)

lastFour:
	PACK
	CMPL command_op(R13), $const_opSweep
	JEQ  lastFourSwept
	STORE

stored:
	VPMOVD2M Z27, K1
	KORTESTW K1, K1
	JNE  each
	ADDQ $command__size, R13
	JMP  next

firstFourSwept:
	STORE_SWEPT(firstFourStored)
	JMP  firstFourStored

lastFourSwept:
	STORE_SWEPT(stored)
	JMP  stored

	// The rest; and once more what saturates, which is rare, to be counted. Sums of slices that there are not are zero.
each:
	MOVL command_flags(R13), CX
	LEAQ 63(SP), R10
	ANDQ $~63, R10
	VMOVDQA64 Z0, (R10)
	VMOVDQA64 Z1, 64(R10)
	VMOVDQA64 Z2, 128(R10)
	VMOVDQA64 Z3, 192(R10)
	VMOVDQA64 Z4, 256(R10)
	VMOVDQA64 Z5, 320(R10)
	VMOVDQA64 Z6, 384(R10)
	VMOVDQA64 Z7, 448(R10)
	MOVL command_slices(R13), BX
	MOVL command_dest(R13), R11

	// One slice after the other: the sums at R10 become results there, or go to R11 in Outputs or External.
slice:
	VMOVDQA64 (R10), Z0
	VPXORD Z2, Z2, Z2
	TESTL $const_flagTwoPlanes, CX
	JEQ  sumsLoaded
	VMOVDQA64 256(R10), Z2

sumsLoaded:
	CMPL command_op(R13), $const_opSweep
	JNE  bias
	MOVQ Memory_Buffers+Buffers_External(SI), AX
	VPADDD (AX)(R11*1), Z0, Z0
	VPADDD 64(AX)(R11*1), Z2, Z2
	ADDQ $128, R11
	JMP  accumulated

bias:
	TESTL $const_flagTwoPlanes, CX
	JNE  accumulated
	VPADDD (64*const_constBias)(R12), Z0, Z0

accumulated:
	CMPL command_op(R13), $const_opExternal
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
	CMPL command_op(R13), $const_opOutput
	JEQ  exactOutput
	VPMOVSQD Z4, Y4 // what does not fit is clamped anyway, or else looked up at an end of the table
	VPMOVSQD Z5, Y5
	VINSERTI64X4 $1, Y5, Z4, Z0
	JMP  requantised

exactOutput:
	VPMOVQD Z4, Y4
	VPMOVQD Z5, Y5
	VINSERTI64X4 $1, Y5, Z4, Z0

requantised:
	CMPL command_op(R13), $const_opOutput
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
	KMOVD K1, AX
	POPCNTL AX, AX
	ADDQ AX, progress_saturations(DX)

addZero:
	VPADDD (64*const_constZero)(R12), Z6, Z0

state:
	VMOVDQA64 Z0, (R10)

sliceDone:
	ADDQ $64, R10
	ADDQ $(64*const_constants), R12
	DECL BX
	JNE  slice

	// All results are there: states are packed and stored, four slices at a time.
	MOVL command_op(R13), AX
	CMPL AX, $const_opOutput
	JEQ  grouped
	CMPL AX, $const_opExternal
	JEQ  grouped
	LEAQ 63(SP), R10
	ANDQ $~63, R10
	MOVL command_dest(R13), BX
	CMPL AX, $const_opLevel
	MOVL command_slices(R13), AX
	JEQ  four
	XORL BX, BX

four:
	VMOVDQA64 (R10), Z16
	VMOVDQA64 64(R10), Z17
	VMOVDQA64 128(R10), Z18
	VMOVDQA64 192(R10), Z19
	PACK
	CMPL command_op(R13), $const_opSweep
	JEQ  fourSwept
	STORE

fourStored:
	ADDQ $256, R10
	ADDQ $64, BX
	SUBL $4, AX
	JG   four

grouped:
	ADDQ $command__size, R13
	JMP  next

fourSwept:
	STORE_SWEPT(fourStored)
	JMP  fourStored

storeOutput:
	MOVQ Memory_Buffers+Buffers_Outputs(SI), AX
	VMOVDQU32 Z0, (AX)(R11*1)
	ADDQ $64, R11
	JMP  sliceDone

storeExternal:
	MOVQ Memory_Buffers+Buffers_External(SI), AX
	VMOVDQU32 Z0, (AX)(R11*1)
	VMOVDQU32 Z2, 64(AX)(R11*1)
	ADDQ $128, R11
	JMP  sliceDone

	// Each lane loads an entry and the one after it.
table:
	MOVQ windows_tables(DI), AX
	KXNORW K1, K1, K1
#ifdef WIDE
	VPSLLD $15, Z29, Z4
	VPSUBD Z29, Z4, Z5 // 2¹⁵ − 1
	VPMINSD Z5, Z0, Z0
	VPTERNLOGD $0x55, Z5, Z5, Z5 // −2¹⁵
	VPMAXSD Z5, Z0, Z0
	VPADDD Z4, Z0, Z0 // u
	VPSRLD $8, Z0, Z6
	VPADDD (64*const_constTable)(R12), Z6, Z6
	VPGATHERDD (AX)(Z6*2), K1, Z7
	VPSLLD $24, Z0, Z0
	VPSRLD $24, Z0, Z0 // l
	VPSRLD $16, Z7, Z8
	VPSLLD $16, Z7, Z7
	VPSRLD $16, Z7, Z7
	VPSUBD Z7, Z8, Z8
	VPMULLD Z0, Z8, Z8
	VPSLLD $7, Z29, Z4
	VPADDD Z4, Z8, Z8
	VPSRAD $8, Z8, Z8
	VPADDD Z7, Z8, Z0
#else
	VPMINSD Z31, Z0, Z0
	VPTERNLOGD $0x55, Z31, Z31, Z4 // −128
	VPMAXSD Z4, Z0, Z0
	VPSUBD Z4, Z0, Z0
	VPADDD (64*const_constTable)(R12), Z0, Z6
	VPGATHERDD (AX)(Z6*2), K1, Z0
	VPANDD Z31, Z0, Z0 // an entry is at most 127, and the next one is not wanted
#endif
	JMP  state

begin:
	MOVL command_initial(R13), AX
	ADDQ windows_initial(DI), AX
	MOVL command_dest(R13), BX
	MOVL command_count(R13), CX
#ifdef WIDE
	MOVQ CX, R10
#endif

beginStates:
	VMOVDQU64 (AX), Z0
	VMOVDQU64 Z0, (R8)(BX*1)
#ifdef WIDE
	VMOVDQU64 (AX)(R10*1), Z1
	VMOVDQU64 Z1, (R9)(BX*1)
#endif
	ADDQ $64, AX
	ADDQ $64, BX
	SUBL $64, CX
	JNE  beginStates
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
#endif

endStates:
	VMOVDQU64 (AX), Z0
	VMOVDQU64 Z0, (R8)(BX*1)
#ifdef WIDE
	VMOVDQU64 (AX)(R10*1), Z1
	VMOVDQU64 Z1, (R9)(BX*1)
#endif
	ADDQ $64, AX
	ADDQ $64, BX
	SUBL $64, CX
	JNE  endStates
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
