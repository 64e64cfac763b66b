package simb

// sectionID numbers the sections of a file. Numbers are never reused; a reader skips none: an unknown
// section is refused unless the file says that it is optional (numbers from 0x8000).
type sectionID uint16

// The sections. The comment gives the element and what it counts.
const (
	sectionLengths sectionID = 1 // varints: entries of each row
	sectionGaps    sectionID = 2 // varints: columns
	sectionValues  sectionID = 3 // int8: weights, or their upper planes
	sectionLow     sectionID = 4 // int8: lower planes, rows of two planes only

	sectionInputGap   sectionID = 10 // uint32 per input: source index − previous − 1
	sectionInputScale sectionID = 11 // float32 per input
	sectionInputZero  sectionID = 12 // int32 per input
	sectionInputLo    sectionID = 13 // float32 per input
	sectionInputHi    sectionID = 14 // float32 per input

	sectionStateSource    sectionID = 20 // uint32 per state
	sectionStateScale     sectionID = 21 // float32 per state
	sectionStateZero      sectionID = 22 // uint16 per state
	sectionStateLo        sectionID = 23 // uint16 per state
	sectionStateHi        sectionID = 24 // uint16 per state
	sectionStateSaturates sectionID = 25 // uint8 per state
	sectionStateKind      sectionID = 26 // uint8 per state
	sectionStateTable     sectionID = 27 // uint16 per state of kind tanh or sigmoid
	sectionStateParameter sectionID = 28 // float32 per state of kind clipped relu, leaky relu or hard tanh
	sectionNegativeM      sectionID = 29 // int32 per state of kind leaky relu
	sectionNegativeS      sectionID = 30 // uint8 per state of kind leaky relu

	sectionRowPlanes sectionID = 40 // uint8 per row
	sectionRowBias   sectionID = 41 // int32 per row
	sectionRowM      sectionID = 42 // int32 per row
	sectionRowS      sectionID = 43 // uint8 per row

	sectionTableKind    sectionID = 50 // uint8 per table
	sectionTableStep    sectionID = 51 // float32 per table
	sectionTableEntries sectionID = 52 // uint16, 256 or 257 per table

	sectionSegmentStates sectionID = 60 // uint32 per segment
	sectionSegmentSweeps sectionID = 61 // uint32 per segment

	sectionTestSeed        sectionID = 70 // uint64 per case
	sectionTestOutputs     sectionID = 71 // int32, one per output and case
	sectionTestSaturations sectionID = 72 // uint64 per case
	sectionTestDigest      sectionID = 73 // uint32 per case

	sectionKappa              sectionID = 80 // float32, one
	sectionPerron             sectionID = 81 // float32 per state
	sectionPerronResidual     sectionID = 82 // float32 per state
	sectionReachLo            sectionID = 83 // float32 per state
	sectionReachHi            sectionID = 84 // float32 per state
	sectionBoxState           sectionID = 85 // float32 per state
	sectionBoxResidual        sectionID = 86 // float32 per row
	sectionBoxStart           sectionID = 87 // float32 per state
	sectionBoxOutput          sectionID = 88 // float32 per output
	sectionCalibratedState    sectionID = 89 // float32 per state
	sectionCalibratedResidual sectionID = 90 // float32 per row
	sectionCalibratedStart    sectionID = 91 // float32 per state
	sectionCalibratedOutput   sectionID = 92 // float32 per output
	sectionLipschitz          sectionID = 93 // float32 per output
	sectionGain               sectionID = 94 // float32 per state
	sectionGainResidual       sectionID = 95 // float32 per row

	firstOptionalSection sectionID = 0x8000
)

// sectionInfo describes one known section.
type sectionInfo struct {
	id      sectionID
	element int
	name    string
}

// knownSections lists the sections in the order in which a file holds them.
var knownSections = []sectionInfo{
	{sectionLengths, 1, "weights.lengths"}, {sectionGaps, 1, "weights.gaps"}, {sectionValues, 1, "weights.values"}, {sectionLow, 1, "weights.low"},
	{sectionInputGap, 4, "input.gap"}, {sectionInputScale, 4, "input.scale"}, {sectionInputZero, 4, "input.zero"}, {sectionInputLo, 4, "input.lo"}, {sectionInputHi, 4, "input.hi"},
	{sectionStateSource, 4, "state.source"}, {sectionStateScale, 4, "state.scale"}, {sectionStateZero, 2, "state.zero"}, {sectionStateLo, 2, "state.lo"}, {sectionStateHi, 2, "state.hi"},
	{sectionStateSaturates, 1, "state.saturates"}, {sectionStateKind, 1, "state.kind"}, {sectionStateTable, 2, "state.table"}, {sectionStateParameter, 4, "state.parameter"},
	{sectionNegativeM, 4, "state.negative_m"}, {sectionNegativeS, 1, "state.negative_s"},
	{sectionRowPlanes, 1, "row.planes"}, {sectionRowBias, 4, "row.bias"}, {sectionRowM, 4, "row.m"}, {sectionRowS, 1, "row.s"},
	{sectionTableKind, 1, "table.kind"}, {sectionTableStep, 4, "table.step"}, {sectionTableEntries, 2, "table.entries"},
	{sectionSegmentStates, 4, "segment.states"}, {sectionSegmentSweeps, 4, "segment.sweeps"},
	{sectionTestSeed, 8, "test.seed"}, {sectionTestOutputs, 4, "test.outputs"}, {sectionTestSaturations, 8, "test.saturations"}, {sectionTestDigest, 4, "test.digest"},
	{sectionKappa, 4, "well_posed.kappa"}, {sectionPerron, 4, "well_posed.v"}, {sectionPerronResidual, 4, "well_posed.residual"},
	{sectionReachLo, 4, "reach.lo"}, {sectionReachHi, 4, "reach.hi"},
	{sectionBoxState, 4, "box.state"}, {sectionBoxResidual, 4, "box.residual"}, {sectionBoxStart, 4, "box.start"}, {sectionBoxOutput, 4, "box.output"},
	{sectionCalibratedState, 4, "calibrated.state"}, {sectionCalibratedResidual, 4, "calibrated.residual"}, {sectionCalibratedStart, 4, "calibrated.start"}, {sectionCalibratedOutput, 4, "calibrated.output"},
	{sectionLipschitz, 4, "lipschitz.output"}, {sectionGain, 4, "lipschitz.gain"}, {sectionGainResidual, 4, "lipschitz.residual"},
}

// describe returns what is known of a section.
func describe(id sectionID) (sectionInfo, bool) {
	for _, s := range knownSections {
		if s.id == id {
			return s, true
		}
	}
	return sectionInfo{}, false
}
