package simb

import "math/bits"

// A packed file has one section, which holds all others as one string of bits: SPEC.md, section 3.2. Every
// number is coded with what is known of its neighbours, and no section costs a line of the directory.
// Sections are decoded to the bytes that they have in a file that is not packed.

// form is what the elements of a section are, for coding them.
type form uint8

const (
	unsigned  form = iota
	signed         // two's complement
	real           // float32
	arbitrary      // of which nothing is known
)

func formOf(id sectionID) form {
	switch id {
	case sectionInputZero, sectionRowBias, sectionTestOutputs:
		return signed
	case sectionInputScale, sectionInputLo, sectionInputHi, sectionStateScale, sectionStateParameter, sectionTableStep:
		return real
	case sectionTestDigest:
		return arbitrary
	case sectionRelaxedTree:
		return unsigned
	}
	if id >= sectionKappa {
		return real
	}
	return unsigned
}

// otherOf returns the section beside which the numbers of a section are coded, where there is one: residuals of
// one row are much alike.
func otherOf(id sectionID) (other sectionID, has bool) {
	switch id {
	case sectionCalibratedResidual, sectionGainResidual:
		return sectionBoxResidual, true
	}
	return 0, false
}

// packedLayout tells how many elements each section of a packed file has, from the header and from what the
// sections before it hold.
type packedLayout struct {
	*header
	kinds, planes    []byte // sections state.kind and row.planes; nil: zeros
	segments, sweeps []byte // sections segment.states and segment.sweeps; the same
}

// note keeps what later sections depend on.
func (l *packedLayout) note(id sectionID, raw []byte) {
	switch id {
	case sectionStateKind:
		l.kinds = raw
	case sectionRowPlanes:
		l.planes = raw
	case sectionSegmentStates:
		l.segments = raw
	case sectionSegmentSweeps:
		l.sweeps = raw
	}
}

// readable returns how many columns each row may read by the schedule, no more than there are: a state of
// a level the inputs and the states of earlier segments, one of a loop also those of its loop.
func (l *packedLayout) readable() []uint32 {
	limits := make([]uint32, l.states+l.outputs)
	states, sweeps := elements{l.segments, 4}, elements{l.sweeps, 4}
	first, i := uint64(0), uint64(0)
	for k := range int(l.header.segments) {
		end := min(first+states.uint(k), l.states)
		limit := first
		if sweeps.uint(k) > 0 {
			limit = end
		}
		for ; i < end; i++ {
			limits[i] = uint32(l.inputs + limit)
		}
		first = end
	}
	for ; i < uint64(len(limits)); i++ {
		limits[i] = uint32(l.inputs + l.states)
	}
	return limits
}

// nodeBits is how many bits the number of a tree's nodes, less one, has in a packed file.
const nodeBits = 20

// elements returns the number of elements of a section with one size for all, 0 for one that the file
// cannot have, 1 for a tree, which tells its own.
func (l *packedLayout) elements(info sectionInfo) int {
	if info.claim != 0 && info.claim&l.claims == 0 || l.derived && derivable(info.id) {
		return 0
	}
	switch info.id {
	case sectionStateTable:
		return l.ofKind(Kind.tabulated)
	case sectionStateParameter:
		return l.ofKind(Kind.parametrised)
	case sectionNegativeM, sectionNegativeS:
		return l.ofKind(func(k Kind) bool { return k == LeakyReLU })
	}
	exactly, _ := l.header.elements(info.count)
	return int(exactly)
}

func (l *packedLayout) ofKind(has func(Kind) bool) int {
	if l.kinds == nil {
		if has(Identity) {
			return int(l.states)
		}
		return 0
	}
	total := 0
	for _, k := range l.kinds {
		if has(Kind(k)) {
			total++
		}
	}
	return total
}

// twoPlanes reports whether row i has two weight planes.
func (l *packedLayout) twoPlanes(i int) bool { return l.planes != nil && l.planes[i] == 2 }

// planesOf returns how many weight planes row i has, 1 or 2: others are refused later.
func (l *packedLayout) planesOf(i int) int {
	if l.twoPlanes(i) {
		return 2
	}
	return 1
}

// packedSections are the sections in the order in which a packed file holds them, before the weights.
func packedSections() []sectionInfo {
	for k, info := range knownSections {
		if info.id >= sectionInputGap {
			return knownSections[k:]
		}
	}
	panic("unreachable: the list has such sections")
}

// columnModel codes the elements of one section: whether one is the one before it again (with another
// section beside it: the one in the same place there), and if not, it as its form says.
type columnModel struct {
	form  form
	other elements   // zeros without another section
	aside bool       // whether there is one
	same  [2]context // by whether the last one was
	ints  [2]*numberModel
	float *floatModel
}

func newColumnModel(info sectionInfo, sections map[sectionID][]byte) *columnModel {
	m := &columnModel{form: formOf(info.id), same: [2]context{even, even}}
	if other, has := otherOf(info.id); has && sections[other] != nil {
		m.other, m.aside = elements{sections[other], info.element}, true
	}
	if m.form == real {
		m.float = newFloatModel()
		return m
	}
	m.ints[0] = newNumberModel(1, slowLimit, false)
	if info.element == 8 {
		m.ints[1] = newNumberModel(1, slowLimit, false)
	}
	return m
}

func (m *columnModel) write(w *bitWriter, column elements, count int) {
	if m.float != nil {
		m.float.writeHead(w, column, m.other, count)
	}
	last, again := uint64(0), uint32(0)
	for k := range count {
		v := column.uint(k)
		if m.aside {
			last = m.other.uint(k)
		}
		repeated := uint32(0)
		if v == last {
			repeated = 1
		}
		w.bit(&m.same[again], repeated, slowLimit)
		if again = repeated; repeated == 0 {
			m.writeOne(w, v, m.other.uint(k))
			last = v
		}
	}
}

func (m *columnModel) writeOne(w *bitWriter, v, other uint64) {
	switch m.form {
	case real:
		m.float.write(w, uint32(v), uint32(other))
	case signed:
		m.ints[0].write(w, 0, zigzag(int32(uint32(v))))
	case arbitrary:
		w.plain(uint32(v), 32)
	default:
		m.ints[0].write(w, 0, uint32(v))
		if m.ints[1] != nil {
			m.ints[1].write(w, 0, uint32(v>>32))
		}
	}
}

// read fills a column of elements of the given size. It gives a reason when a number does not fit.
func (m *columnModel) read(r *bitReader, column []byte, element int) (reason string) {
	if m.float != nil && !m.float.readHead(r) {
		return "a column of numbers with impossible mantissas"
	}
	last, again := uint64(0), uint32(0)
	for k := range len(column) / element {
		if m.aside {
			last = m.other.uint(k)
		}
		if again = r.bit(&m.same[again], slowLimit); again == 0 {
			v, ok := m.readOne(r, m.other.uint(k))
			if !ok || bits.Len64(v) > 8*element {
				return "a number that its element cannot hold"
			}
			last = v
		}
		for b := range element {
			column[k*element+b] = byte(last >> (8 * b))
		}
	}
	return ""
}

func (m *columnModel) readOne(r *bitReader, other uint64) (uint64, bool) {
	switch m.form {
	case real:
		v, ok := m.float.read(r, uint32(other))
		return uint64(v), ok
	case signed:
		return uint64(uint32(unzigzag(m.ints[0].read(r, 0)))), true
	case arbitrary:
		return uint64(r.plain(32)), true
	}
	v := uint64(m.ints[0].read(r, 0))
	if m.ints[1] != nil {
		v |= uint64(m.ints[1].read(r, 0)) << 32
	}
	return v, true
}

// pack codes sections, by id and decoded as in other files; a section of zeros is absent.
func pack(h *header, sections map[sectionID][]byte) []byte {
	w := newBitWriter()
	l := &packedLayout{header: h}
	l.eachColumn(sections, w.plain, func(info sectionInfo, raw []byte, count int) {
		newColumnModel(info, sections).write(w, elements{raw, info.element}, count)
	})
	packWeights(w, l, sections)
	return w.finish()
}

// eachColumn writes which sections there are, and how many elements those have that do not follow from the rest,
// by number, and each section's elements by column.
func (l *packedLayout) eachColumn(sections map[sectionID][]byte, number func(v uint32, bits int), column func(info sectionInfo, raw []byte, count int)) {
	for _, info := range packedSections() {
		count := l.elements(info)
		if count == 0 {
			continue
		}
		raw := sections[info.id]
		if raw == nil {
			number(0, 1)
			continue
		}
		number(1, 1)
		if info.count == perNode {
			count = len(raw)
			number(uint32(count-1), nodeBits)
		}
		column(info, raw, count)
		l.note(info.id, raw)
	}
}

// unpacked is what has been decoded of a packed section.
type unpacked struct {
	layout   *packedLayout
	room     []byte // for decoded bytes, what is left of it
	sections map[sectionID][]byte
	sizes    []SectionInfo
	coding   string
	stored   int        // bytes that these sections take
	place    func() int // how many stored bytes have been taken
}

func newUnpacked(h *header, room []byte, coding string, place func() int) unpacked {
	return unpacked{
		layout: &packedLayout{header: h}, room: room, sizes: make([]SectionInfo, 0, len(knownSections)/2), sections: make(map[sectionID][]byte, len(knownSections)/2), coding: coding, place: place}
}

// unpacker decodes a packed section.
type unpacker struct {
	unpacked
	r *bitReader
}

// unpack decodes a packed section to exactly len(room) bytes. It gives a reason, and the place in stored,
// when stored does not hold exactly that.
func unpack(h *header, stored, room []byte) (sections map[sectionID][]byte, sizes []SectionInfo, at int, reason string) {
	r := newBitReader(stored)
	u := &unpacker{newUnpacked(h, room, "packed", r.place), r}
	reason = u.eachColumn(r.plain, func(info sectionInfo, raw []byte) string {
		return newColumnModel(info, u.sections).read(r, raw, info.element)
	})
	if reason != "" {
		return nil, nil, u.place(), reason
	}
	if reason := u.weights(); reason != "" {
		return nil, nil, u.place(), reason
	}
	switch {
	case len(u.room) > 0:
		return nil, nil, u.place(), tooShort
	case !u.r.ended():
		return nil, nil, u.place(), "bytes are missing or left over"
	}
	return u.sections, u.sizes, 0, ""
}

// eachColumn reads what packedLayout.eachColumn writes; column reads elements until raw is full.
func (u *unpacked) eachColumn(number func(bits int) uint32, column func(info sectionInfo, raw []byte) (reason string)) (reason string) {
	for _, info := range packedSections() {
		count := u.layout.elements(info)
		if count == 0 || number(1) == 0 {
			continue
		}
		if info.count == perNode {
			count = int(number(nodeBits)) + 1
		}
		if uint64(count)*uint64(info.element) > uint64(len(u.room)) {
			return tooLong
		}
		raw := u.room[:count*info.element]
		if reason := column(info, raw); reason != "" {
			return reason
		}
		u.layout.note(info.id, raw)
		u.take(info, len(raw))
	}
	return ""
}

// take makes the next n bytes of the room a section.
func (u *unpacked) take(info sectionInfo, n int) {
	before := u.stored
	u.stored = u.place()
	u.sizes = append(u.sizes, SectionInfo{info.name, n, u.stored - before, u.coding})
	u.sections[info.id] = u.room[:n:n]
	u.room = u.room[n:]
}
