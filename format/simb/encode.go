package simb

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/sparse-implicit/sim/format/internal/fb"
	"github.com/sparse-implicit/sim/format/quant"
)

// Versions of this reader and writer.
const (
	FormatVersion = 4 // the newest that Open reads and Encode writes
	ReaderVersion = 1 // the oldest; what Encode writes without packing, deriving or relaxed bounds is of it
)

// Which certificates the file holds; bits of the field `claims`.
const (
	claimReach             = 1 << 0
	claimBox               = 1 << 1
	claimCalibrated        = 1 << 2
	claimLipschitz         = 1 << 3
	claimWellPosed         = 1 << 4
	claimRelaxed           = 1 << 5
	claimRelaxedCalibrated = 1 << 6
	knownClaims            = 1<<7 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EncodeOptions says how sections are stored.
type EncodeOptions struct {
	Codec Codec
}

// Encode writes a model, after the same checks of meaning that Open makes. The same model and options
// give the same bytes on every machine.
func Encode(m *Model, o EncodeOptions) ([]byte, error) {
	if o.Codec > CodecPrefix {
		return nil, fmt.Errorf("codec %d is unknown: choose packed, prefix, huff0 or raw", o.Codec)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	w := &sectionWriter{inPlace: o.Codec == CodecRaw, planes: planeEncoder{compress: o.Codec == CodecHuff0}}
	if o.Codec.Packs() {
		w.packed = map[sectionID][]byte{}
	}
	w.weights(m)
	w.inputs(m)
	w.states(m)
	w.rows(m)
	w.tables(m)
	w.schedule(m)
	w.selfTests(m)
	claims := w.certificates(&m.Certificates)
	if w.packed != nil {
		w.pack(m, claims, o.Codec)
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.frame(m, claims, nil), nil
}

// sectionWriter collects sections and their stored bytes.
type sectionWriter struct {
	inPlace  bool                 // keep the weights' streams raw
	packed   map[sectionID][]byte // of a packed file, the sections to pack
	planes   planeEncoder
	features uint64 // that the sections' coding uses
	sections []sectionEntry
	payload  []byte
	err      error
}

// add stores one section, raw or as byte planes, whichever is smaller. One of nothing but zero bytes is
// left out, which means the same; the weights' streams are left out only when they are empty.
func (w *sectionWriter) add(id sectionID, raw []byte) {
	zero := true
	for _, b := range raw {
		zero = zero && b == 0
	}
	if len(raw) == 0 || zero && id > sectionLow {
		return
	}
	if w.packed != nil {
		w.packed[id] = raw
		return
	}
	info, _ := describe(id)
	entry := sectionEntry{id: id, codec: storedRaw, element: uint8(info.element), length: uint32(len(raw)), crc: crc32.Checksum(raw, castagnoli)}
	stored := raw
	if !w.inPlace || id > sectionLow {
		if planes, huff0 := w.planes.encode(raw, info.element); len(planes) < len(raw) {
			entry.codec, stored = storedPlanes, planes
			if huff0 {
				w.features |= featureHuff0
			}
		}
	}
	w.append(entry, len(raw), stored)
}

// append adds a section as it is stored to the file.
func (w *sectionWriter) append(entry sectionEntry, decoded int, stored []byte) {
	if uint64(decoded) > maxFile || uint64(len(w.payload))+uint64(len(stored)) > maxFile {
		w.err = tooLarge("bytes of sections and more", uint64(len(w.payload))+uint64(decoded), maxFile)
		return
	}
	entry.stored = uint32(len(stored))
	w.sections = append(w.sections, entry)
	w.payload = append(w.payload, stored...)
}

// pack adds the one section of a packed file.
func (w *sectionWriter) pack(m *Model, claims uint8, codec Codec) {
	h := &header{
		inputs: uint64(len(m.Inputs)), states: uint64(m.States()), outputs: uint64(m.Outputs()), nonzeros: uint64(m.Weights.Stored()),
		tables: uint64(len(m.Tables)), segments: uint64(len(m.Schedule)), tests: uint64(len(m.SelfTest)),
		claims: claims, width: m.Width, derived: m.Certificates.Derived,
	}
	code, coding, feature := pack, uint8(storedBits), featurePacked
	if codec == CodecPrefix {
		code, coding, feature = packPrefix, storedPrefix, featurePrefix
	}
	stored := code(h, w.packed)
	crc, length := uint32(0), 0
	for _, info := range append(packedSections(), knownSections[:4]...) {
		crc = crc32.Update(crc, castagnoli, w.packed[info.id])
		length += len(w.packed[info.id])
	}
	w.features |= feature
	w.append(sectionEntry{id: sectionPacked, codec: coding, element: 1, length: uint32(min(length, maxFile)), crc: crc}, length, stored)
}

// maxFile bounds what Encode writes, below the 2 GiB of a flatbuffer.
const maxFile = 1<<31 - 1<<20

// column collects the elements of one section.
type column []byte

func (c *column) u8(v uint8)    { *c = append(*c, v) }
func (c *column) u16(v uint16)  { *c = binary.LittleEndian.AppendUint16(*c, v) }
func (c *column) u32(v uint32)  { *c = binary.LittleEndian.AppendUint32(*c, v) }
func (c *column) u64(v uint64)  { *c = binary.LittleEndian.AppendUint64(*c, v) }
func (c *column) f32(v float32) { c.u32(math.Float32bits(v)) }

func (w *sectionWriter) weights(m *Model) {
	var lengths, gaps, values, low column
	for i := range m.Rows {
		cols, weights := m.Weights.Row(i)
		lengths = appendVarint(lengths, uint32(len(cols)))
		previous := int32(-1)
		for k, j := range cols {
			gaps = appendVarint(gaps, uint32(j-previous-1))
			previous = j
			if m.Rows[i].Planes == 1 {
				values.u8(uint8(weights[k]))
				continue
			}
			h, l := quant.SplitPlanes(weights[k])
			values.u8(uint8(h))
			low.u8(uint8(l))
		}
	}
	w.add(sectionLengths, lengths)
	w.add(sectionGaps, gaps)
	w.add(sectionValues, values)
	w.add(sectionLow, low)
}

func (w *sectionWriter) inputs(m *Model) {
	var gap, scale, zero, lo, hi column
	previous := int32(-1)
	for _, input := range m.Inputs {
		gap.u32(uint32(input.Source - previous - 1))
		previous = input.Source
		scale.f32(input.Scale)
		zero.u32(uint32(input.Zero))
		lo.f32(input.Lo)
		hi.f32(input.Hi)
	}
	w.add(sectionInputGap, gap)
	w.add(sectionInputScale, scale)
	w.add(sectionInputZero, zero)
	w.add(sectionInputLo, lo)
	w.add(sectionInputHi, hi)
}

func (w *sectionWriter) states(m *Model) {
	var source, scale, zero, lo, hi, saturates, kind, table, parameter, negativeM, negativeS column
	previous := int32(-1)
	for i := range m.States() {
		row := &m.Rows[i]
		source.u32(uint32(m.SourceState[i] - previous - 1))
		previous = m.SourceState[i]
		scale.f32(row.Scale)
		zero.u16(row.Zero)
		lo.u16(row.Lo)
		hi.u16(row.Hi)
		saturates.u8(row.Saturates)
		kind.u8(uint8(row.Kind))
		if row.Kind.tabulated() {
			table.u16(row.Table)
		}
		if row.Kind.parametrised() {
			parameter.f32(row.Parameter)
		}
		if row.Kind == LeakyReLU {
			negativeM.u32(uint32(row.Negative.M))
			negativeS.u8(row.Negative.S)
		}
	}
	w.add(sectionStateSource, source)
	w.add(sectionStateScale, scale)
	w.add(sectionStateZero, zero)
	w.add(sectionStateLo, lo)
	w.add(sectionStateHi, hi)
	w.add(sectionStateSaturates, saturates)
	w.add(sectionStateKind, kind)
	w.add(sectionStateTable, table)
	w.add(sectionStateParameter, parameter)
	w.add(sectionNegativeM, negativeM)
	w.add(sectionNegativeS, negativeS)
}

func (w *sectionWriter) rows(m *Model) {
	var planes, bias, multiplier, shift column
	for i := range m.Rows {
		row := &m.Rows[i]
		planes.u8(row.Planes)
		bias.u32(uint32(row.Bias))
		multiplier.u32(uint32(row.Multiplier.M))
		shift.u8(row.Multiplier.S)
	}
	w.add(sectionRowPlanes, planes)
	w.add(sectionRowBias, bias)
	w.add(sectionRowM, multiplier)
	w.add(sectionRowS, shift)
}

func (w *sectionWriter) tables(m *Model) {
	var kind, step, entries column
	for k := range m.Tables {
		kind.u8(uint8(m.Tables[k].Kind))
		step.f32(m.Tables[k].Step)
		for _, v := range m.Tables[k].Entries {
			entries.u16(v)
		}
	}
	w.add(sectionTableKind, kind)
	w.add(sectionTableStep, step)
	w.add(sectionTableEntries, entries)
}

func (w *sectionWriter) schedule(m *Model) {
	var states, sweeps column
	for _, segment := range m.Schedule {
		states.u32(uint32(segment.States))
		sweeps.u32(segment.Sweeps)
	}
	w.add(sectionSegmentStates, states)
	w.add(sectionSegmentSweeps, sweeps)
}

func (w *sectionWriter) selfTests(m *Model) {
	var seed, outputs, saturations, digest column
	for _, test := range m.SelfTest {
		seed.u64(test.Seed)
		for _, y := range test.Outputs {
			outputs.u32(uint32(y))
		}
		saturations.u64(test.Saturations)
		digest.u32(test.StateDigest)
	}
	w.add(sectionTestSeed, seed)
	w.add(sectionTestOutputs, outputs)
	w.add(sectionTestSaturations, saturations)
	w.add(sectionTestDigest, digest)
}

// certificates stores what is claimed and returns the bits that say so.
func (w *sectionWriter) certificates(c *Certificates) (claims uint8) {
	floats := func(id sectionID, values []float32) {
		var raw column
		for _, v := range values {
			raw.f32(v)
		}
		w.add(id, raw)
	}
	if c.V != nil {
		claims |= claimWellPosed
		floats(sectionKappa, []float32{c.Kappa})
		floats(sectionPerron, c.V)
		floats(sectionPerronResidual, c.VResidual)
	}
	if c.ReachLo != nil || c.Derived && c.Box != nil {
		claims |= claimReach
		floats(sectionReachLo, c.ReachLo)
		floats(sectionReachHi, c.ReachHi)
	}
	for _, e := range []struct {
		certificate *ErrorCertificate
		claim       uint8
		first       sectionID
	}{{c.Box, claimBox, sectionBoxState}, {c.Calibrated, claimCalibrated, sectionCalibratedState}} {
		if e.certificate == nil {
			continue
		}
		claims |= e.claim
		for k, values := range e.certificate.columns() {
			floats(e.first+sectionID(k), *values)
		}
	}
	if c.Lipschitz != nil {
		claims |= claimLipschitz
		floats(sectionLipschitz, c.Lipschitz)
		floats(sectionGain, c.Gain)
		floats(sectionGainResidual, c.GainResidual)
	}
	if e := c.Relaxed; e != nil {
		claims |= claimRelaxed
		w.add(sectionRelaxedTree, e.Tree)
		floats(sectionRelaxedOutput, e.Output)
		floats(sectionRelaxedRealised, e.Realised)
	}
	if e := c.RelaxedCalibrated; e != nil {
		claims |= claimRelaxedCalibrated
		floats(sectionRelaxedCalibrated, e.Output)
		floats(sectionRelaxedCalibratedRealised, e.Realised)
	}
	return claims
}

// columns returns the certificate's vectors in the order of their sections.
func (e *ErrorCertificate) columns() [4]*[]float32 {
	return [4]*[]float32{&e.State, &e.Residual, &e.Start, &e.Output}
}

// features returns the bits that a reader of this model must know, whatever its coding.
func (m *Model) features() uint64 {
	var bits uint64
	if len(m.Tables) > 0 {
		bits |= featureTables
	}
	if loops, _ := m.LoopStates(); loops > 0 {
		bits |= featureLoops
	}
	for i := range m.Rows {
		if m.Rows[i].Planes == 2 {
			bits |= featurePlanes
		}
	}
	if m.Certificates.Derived {
		bits |= featureDerived
	}
	if m.Certificates.Relaxed != nil || m.Certificates.RelaxedCalibrated != nil {
		bits |= featureRelaxed
	}
	return bits
}

// frame builds the flatbuffer around the sections, with a signature or none, and fills in its digest.
func (w *sectionWriter) frame(m *Model, claims uint8, signature []byte) []byte {
	b := flatbuffers.NewBuilder(len(w.payload) + 4096)
	payload := b.CreateByteVector(w.payload)
	fb.FileStartSectionsVector(b, len(w.sections))
	for k := len(w.sections) - 1; k >= 0; k-- {
		s := w.sections[k]
		fb.CreateSection(b, uint16(s.id), s.codec, s.element, s.length, s.stored, s.crc)
	}
	sections := b.EndVector(len(w.sections))
	compiler := b.CreateString(m.Compiler)
	var source flatbuffers.UOffsetT
	if m.SourceHash != ([32]byte{}) {
		source = b.CreateByteVector(m.SourceHash[:])
	}
	digest := b.CreateByteVector(make([]byte, sha256.Size))
	var signed flatbuffers.UOffsetT
	if signature != nil {
		signed = b.CreateByteVector(signature)
	}
	features := m.features() | w.features
	version := readerFor(features)
	fb.FileStart(b)
	fb.FileAddFormatVersion(b, version)
	fb.FileAddMinimumReader(b, version)
	fb.FileAddFeaturesRequired(b, features)
	fb.FileAddDigest(b, digest)
	if signature != nil {
		fb.FileAddSignature(b, signed)
		fb.FileAddSignatureCrc(b, crc32.Checksum(signature, castagnoli))
	}
	fb.FileAddWidth(b, uint8(m.Width))
	fb.FileAddDecision(b, uint8(m.Decision))
	fb.FileAddClaims(b, claims)
	fb.FileAddSourceInputs(b, uint32(m.SourceInputs))
	fb.FileAddSourceStates(b, uint32(m.SourceStates))
	fb.FileAddInputs(b, uint32(len(m.Inputs)))
	fb.FileAddStates(b, uint32(m.States()))
	fb.FileAddOutputs(b, uint32(m.Outputs()))
	fb.FileAddNonzeros(b, uint32(m.Weights.Stored()))
	fb.FileAddTables(b, uint32(len(m.Tables)))
	fb.FileAddSegments(b, uint32(len(m.Schedule)))
	fb.FileAddTests(b, uint32(len(m.SelfTest)))
	fb.FileAddOutputScale(b, m.OutputScale)
	fb.FileAddRamBytes(b, uint64(m.RAMBytes()))
	fb.FileAddMacs(b, m.MACs())
	fb.FileAddSequence(b, m.Sequence)
	if source != 0 {
		fb.FileAddSourceHash(b, source)
	}
	fb.FileAddCompiler(b, compiler)
	fb.FileAddSections(b, sections)
	fb.FileAddPayload(b, payload)
	b.FinishWithFileIdentifier(fb.FileEnd(b), []byte("SIMB"))
	data := b.FinishedBytes()
	stamp(data)
	return data
}

// stamp computes the digest of a complete file and puts it in place.
func stamp(data []byte) {
	f, err := parseFrame(data)
	if err != nil {
		panic("unreachable: the writer's own frame is refused: " + err.Error())
	}
	sum := f.computeDigest()
	copy(f.bytes(fieldDigest), sum[:])
}
