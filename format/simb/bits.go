package simb

// A packed file is one string of bits, each coded by an adaptive probability in an arithmetic coder with
// 32-bit integers: SPEC.md, section 3.2. Everything here is exact, so that the same bits come out on
// every machine.

// Contexts that follow fast changes, as the sizes of weights from row to row, weigh the last
// fastLimit bits; all others slowLimit.
const (
	fastLimit = 20
	slowLimit = 127
)

// context is an adaptive probability that a bit is one: p/2¹⁶ after n bits, n at most the limit, as p·2¹⁶ + n.
type context uint32

// even is the context that nothing has been seen of.
const even context = 1 << 31

// rates holds 2¹⁶/(n + 3/2), rounded down: how far the bit after n others moves a probability. It is as long
// as n can be, so that looking one up needs no check.
var rates = func() (table [1 << 8]int64) {
	for n := range table {
		table[n] = 1 << 17 / int64(2*n+3)
	}
	return table
}()

// share returns the part of 4096 that a one gets, 1 to 4095.
func (c context) share() uint32 { return max(uint32(c)>>20, 1) }

// seen moves the probability toward a bit, 1 or 0, without a branch on it: nothing predicts it. p stays below
// 2¹⁶ because rates do.
func (c context) seen(bit, limit uint32) context {
	p, n := int64(c>>16), uint32(uint8(c))
	p += (int64(bit)<<16 - p) * rates[uint8(n)] >> 16
	if n < limit {
		n++
	}
	return context(uint32(p)<<16 | n)
}

// bitWriter codes bits: the interval [low, low + size) narrows with each.
type bitWriter struct {
	low  uint64
	size uint32
	out  []byte
}

func newBitWriter() *bitWriter { return &bitWriter{size: 1<<32 - 1} }

func (w *bitWriter) bit(c *context, bit, limit uint32) {
	ones := (w.size >> 12) * c.share()
	*c = c.seen(bit, limit)
	w.narrow(ones, bit)
}

// plain codes the lowest `count` bits of v, each as likely as not, the highest first.
func (w *bitWriter) plain(v uint32, count int) {
	for k := count - 1; k >= 0; k-- {
		w.narrow(w.size>>1, v>>k&1)
	}
}

// narrow takes the lower part of the interval, of the given size, for a one and the upper for a zero.
func (w *bitWriter) narrow(ones, bit uint32) {
	if bit != 0 {
		w.size = ones
	} else {
		w.low += uint64(ones)
		w.size -= ones
	}
	for w.size < 1<<24 {
		w.shift()
	}
}

// shift moves the top byte of low out, after adding a carry to what is out.
func (w *bitWriter) shift() {
	if w.low>>32 != 0 {
		w.carry()
	}
	w.out = append(w.out, byte(w.low>>24))
	w.low, w.size = w.low<<8&(1<<32-1), w.size<<8
}

func (w *bitWriter) carry() {
	for k := len(w.out) - 1; k >= 0; k-- {
		w.out[k]++
		if w.out[k] != 0 {
			break
		}
	}
	w.low &= 1<<32 - 1
}

// finish returns the shortest string of bytes that, with zeros behind it, lies in the interval.
func (w *bitWriter) finish() []byte {
	for free := 32; free > 0; free -= 8 {
		if at := (w.low + 1<<free - 1) >> free << free; at < w.low+uint64(w.size) {
			w.low = at
			break
		}
	}
	for range 4 {
		w.shift()
	}
	end := len(w.out)
	for left := 4; left > 0 && end > 0 && w.out[end-1] == 0; left-- {
		end--
	}
	return w.out[:end]
}

// bitReader decodes what bitWriter coded. Behind the last byte it reads zeros, and counts them.
type bitReader struct {
	data []byte
	at   int // bytes taken, those behind the end included
	code uint32
	size uint32
}

func newBitReader(data []byte) *bitReader {
	r := &bitReader{data: data, size: 1<<32 - 1}
	for range 4 {
		r.code = r.code<<8 | r.next()
	}
	return r
}

func (r *bitReader) next() uint32 {
	at := r.at
	r.at++
	if at < len(r.data) {
		return uint32(r.data[at])
	}
	return 0
}

// decide takes the part of the interval that the code lies in: one has all bits set when it is that of the
// ones. There is no branch on it, which nothing could predict.
func decide(code, size, ones uint32) (newCode, newSize, one uint32) {
	above := uint64(code) - uint64(ones)
	one = uint32(above >> 32)
	return uint32(above) + ones&one, (size-ones)&^one | ones&one, one
}

func (r *bitReader) bit(c *context, limit uint32) (bit uint32) {
	now := *c
	code, size, one := decide(r.code, r.size, r.size>>12*now.share())
	*c = now.seen(one&1, limit)
	for size < 1<<24 {
		code, size = code<<8|r.next(), size<<8
	}
	r.code, r.size = code, size
	return one & 1
}

func (r *bitReader) plain(count int) (v uint32) {
	code, size := r.code, r.size
	for range count {
		var one uint32
		code, size, one = decide(code, size, size>>1)
		v = v<<1 | one&1
		for size < 1<<24 {
			code, size = code<<8|r.next(), size<<8
		}
	}
	r.code, r.size = code, size
	return v
}

// place returns how many bytes of the data have been taken.
func (r *bitReader) place() int { return min(r.at, len(r.data)) }

// ended reports whether the data ended where the bits did: none left over, none but the zeros that the
// writer leaves out missing.
func (r *bitReader) ended() bool { return r.at >= len(r.data) && r.at <= len(r.data)+4 }
