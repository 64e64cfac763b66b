package simb

// sectionID numbers the sections of a file. Numbers are never reused. An unknown section is refused, or
// skipped when its number says that it is optional (0x8000 and above).
type sectionID uint16

// The sections. The comment gives the element and what it counts.
const (
	sectionLengths sectionID = 1 // varints: entries of each row
	sectionGaps    sectionID = 2 // varints: columns
	sectionValues  sectionID = 3 // int8: weights, or their upper planes
	sectionLow     sectionID = 4 // int8: lower planes, rows of two planes only
	sectionPacked  sectionID = 5 // all other sections, of a packed file

	sectionInputGap   sectionID = 10 // uint32 per input: source index − previous − 1
	sectionInputScale sectionID = 11 // float32 per input
	sectionInputZero  sectionID = 12 // int32 per input
	sectionInputLo    sectionID = 13 // float32 per input
	sectionInputHi    sectionID = 14 // float32 per input

	sectionStateSource    sectionID = 20 // uint32 per state: source index − previous − 1, modulo 2³²
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

	sectionRelaxedTree               sectionID = 96  // uint8 per node; absent: one leaf
	sectionRelaxedOutput             sectionID = 97  // float32 per output
	sectionRelaxedRealised           sectionID = 98  // float32 per output
	sectionRelaxedCalibrated         sectionID = 99  // float32 per output
	sectionRelaxedCalibratedRealised sectionID = 100 // float32 per output

	firstOptionalSection sectionID = 0x8000
)

// basis says how many elements a section has in terms of the header's counts. It bounds a section's decoded length before anything of it is decoded.
type basis uint8

const (
	one             basis = iota // exactly one
	perInput                     // one per input of the plan
	perState                     // one per state
	perOutput                    // one per output
	perRow                       // one per state and output
	perWeight                    // one per stored weight
	perTable                     // one per table
	entriesPerTable              // 256 or 257 per table
	perSegment                   // one per segment
	perCase                      // one per self-test case
	outputsPerCase               // one per output and self-test case
	upToStates                   // at most one per state
	upToWeights                  // at most one per stored weight
	varintPerRow                 // one to five bytes per row
	varintPerWeight              // one to five bytes per stored weight
	allOthers                    // what all other sections have together
	perNode                      // one per node of the tree: 1 to mostNodes
)

// sectionInfo describes one known section.
type sectionInfo struct {
	id      sectionID
	element int // bytes of an element
	name    string
	count   basis
	claim   uint8 // the claim without which the section must be absent, or 0
}

// knownSections lists the sections in the order in which a file holds them.
var knownSections = [...]sectionInfo{
	{sectionLengths, 1, "weights.lengths", varintPerRow, 0},
	{sectionGaps, 1, "weights.gaps", varintPerWeight, 0},
	{sectionValues, 1, "weights.values", perWeight, 0},
	{sectionLow, 1, "weights.low", upToWeights, 0},
	{sectionPacked, 1, "packed", allOthers, 0},
	{sectionInputGap, 4, "input.gap", perInput, 0},
	{sectionInputScale, 4, "input.scale", perInput, 0},
	{sectionInputZero, 4, "input.zero", perInput, 0},
	{sectionInputLo, 4, "input.lo", perInput, 0},
	{sectionInputHi, 4, "input.hi", perInput, 0},
	{sectionStateSource, 4, "state.source", perState, 0},
	{sectionStateScale, 4, "state.scale", perState, 0},
	{sectionStateZero, 2, "state.zero", perState, 0},
	{sectionStateLo, 2, "state.lo", perState, 0},
	{sectionStateHi, 2, "state.hi", perState, 0},
	{sectionStateSaturates, 1, "state.saturates", perState, 0},
	{sectionStateKind, 1, "state.kind", perState, 0},
	{sectionStateTable, 2, "state.table", upToStates, 0},
	{sectionStateParameter, 4, "state.parameter", upToStates, 0},
	{sectionNegativeM, 4, "state.negative_m", upToStates, 0},
	{sectionNegativeS, 1, "state.negative_s", upToStates, 0},
	{sectionRowPlanes, 1, "row.planes", perRow, 0},
	{sectionRowBias, 4, "row.bias", perRow, 0},
	{sectionRowM, 4, "row.m", perRow, 0},
	{sectionRowS, 1, "row.s", perRow, 0},
	{sectionTableKind, 1, "table.kind", perTable, 0},
	{sectionTableStep, 4, "table.step", perTable, 0},
	{sectionTableEntries, 2, "table.entries", entriesPerTable, 0},
	{sectionSegmentStates, 4, "segment.states", perSegment, 0},
	{sectionSegmentSweeps, 4, "segment.sweeps", perSegment, 0},
	{sectionTestSeed, 8, "test.seed", perCase, 0},
	{sectionTestOutputs, 4, "test.outputs", outputsPerCase, 0},
	{sectionTestSaturations, 8, "test.saturations", perCase, 0},
	{sectionTestDigest, 4, "test.digest", perCase, 0},
	{sectionKappa, 4, "well_posed.kappa", one, claimWellPosed},
	{sectionPerron, 4, "well_posed.v", perState, claimWellPosed},
	{sectionPerronResidual, 4, "well_posed.residual", perState, claimWellPosed},
	{sectionReachLo, 4, "reach.lo", perState, claimReach},
	{sectionReachHi, 4, "reach.hi", perState, claimReach},
	{sectionBoxState, 4, "box.state", perState, claimBox},
	{sectionBoxResidual, 4, "box.residual", perRow, claimBox},
	{sectionBoxStart, 4, "box.start", perState, claimBox},
	{sectionBoxOutput, 4, "box.output", perOutput, claimBox},
	{sectionCalibratedState, 4, "calibrated.state", perState, claimCalibrated},
	{sectionCalibratedResidual, 4, "calibrated.residual", perRow, claimCalibrated},
	{sectionCalibratedStart, 4, "calibrated.start", perState, claimCalibrated},
	{sectionCalibratedOutput, 4, "calibrated.output", perOutput, claimCalibrated},
	{sectionLipschitz, 4, "lipschitz.output", perOutput, claimLipschitz},
	{sectionGain, 4, "lipschitz.gain", perState, claimLipschitz},
	{sectionGainResidual, 4, "lipschitz.residual", perRow, claimLipschitz},
	{sectionRelaxedTree, 1, "relaxed.tree", perNode, claimRelaxed},
	{sectionRelaxedOutput, 4, "relaxed.output", perOutput, claimRelaxed},
	{sectionRelaxedRealised, 4, "relaxed.realised", perOutput, claimRelaxed},
	{sectionRelaxedCalibrated, 4, "relaxed.calibrated", perOutput, claimRelaxedCalibrated},
	{sectionRelaxedCalibratedRealised, 4, "relaxed.calibrated_realised", perOutput, claimRelaxedCalibrated},
}

// derivable reports whether a section belongs to a claim's witness that follows from the rest of the file,
// where no state is in a loop.
func derivable(id sectionID) bool {
	switch id {
	case sectionReachLo, sectionReachHi, sectionBoxState, sectionBoxStart, sectionCalibratedState, sectionCalibratedStart, sectionGain:
		return true
	}
	return false
}

// placeInList is where knownSections has a section, one more.
var placeInList = func() (places [sectionRelaxedCalibratedRealised + 1]uint8) {
	for k, s := range knownSections {
		places[s.id] = uint8(k + 1)
	}
	return places
}()

// describe returns what is known of a section.
func describe(id sectionID) (sectionInfo, bool) {
	if int(id) >= len(placeInList) || placeInList[id] == 0 {
		return sectionInfo{}, false
	}
	return knownSections[placeInList[id]-1], true
}
