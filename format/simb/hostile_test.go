package simb_test

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// typed reports whether an error of Open is one of those that it promises.
func typed(err error) bool {
	for _, target := range []error{simb.ErrNotSimb, simb.ErrVersion, simb.ErrFeature, simb.ErrCorrupt, simb.ErrTooLarge, simb.ErrSignature} {
		if errors.Is(err, target) {
			var c *simb.CorruptError
			return target != simb.ErrCorrupt || errors.As(err, &c) && c.Section != "" && c.Reason != ""
		}
	}
	return false
}

// small returns a small file of every feature.
func small(t testing.TB, codec simb.Codec) []byte {
	o := simbtest.Options{Width: quant.Width14, Inputs: 3, States: 9, Outputs: 2, Density: 0.6, SelfTests: 1}
	for seed := uint64(0); ; seed++ {
		m := simbtest.Random(simbtest.NewRand(seed), o)
		if loops, _ := m.LoopStates(); loops > 0 && m.Certificates.Box != nil && m.Certificates.V != nil {
			return encode(t, m, codec)
		}
	}
}

func TestEverySingleBitFlipIsRefused(t *testing.T) {
	for _, codec := range codecs {
		data := small(t, codec)
		for at := range data {
			for bit := range 8 {
				if testing.Short() && bit != at%8 {
					continue
				}
				data[at] ^= 1 << bit
				if _, err := simb.Open(data); err == nil || !typed(err) {
					t.Errorf("codec %d: byte %d, bit %d flipped: %v", codec, at, bit, err)
				}
				data[at] ^= 1 << bit
			}
		}
		open(t, data)
		t.Logf("codec %d: the flips of %d bytes refused", codec, len(data))
	}
}

func TestEveryTruncationAndGrowthIsRefused(t *testing.T) {
	for _, codec := range codecs {
		data := small(t, codec)
		for n := range data {
			if _, err := simb.Open(data[:n:n]); err == nil || !typed(err) {
				t.Errorf("codec %d: the first %d bytes: %v", codec, n, err)
			}
		}
		for n := range 64 {
			grown := append(bytes.Clone(data), make([]byte, n+1)...)
			if _, err := simb.Open(grown); err == nil || !typed(err) {
				t.Errorf("codec %d: %d bytes more: %v", codec, n+1, err)
			}
		}
	}
}

// TestDigestMadeRightAgain checks that FixDigest and FixChecksums restore what they should, or the tests below test nothing.
func TestDigestMadeRightAgain(t *testing.T) {
	for _, codec := range codecs {
		data := small(t, codec)
		if !bytes.Equal(simbtest.FixDigest(data), data) || !bytes.Equal(simbtest.FixChecksums(data), data) {
			t.Errorf("codec %d: putting things right changes what is right", codec)
		}
		l, ok := simbtest.Parse(data)
		if !ok {
			t.Fatal("the file is not recognised")
		}
		if codec.Packs() {
			continue // a weight is not a byte of it
		}
		data[l.Sections[2].Payload[0]]++ // a weight
		if codec == simb.CodecRaw {
			open(t, simbtest.FixChecksums(data))
		}
		var corrupt *simb.CorruptError
		if _, err := simb.Open(simbtest.FixDigest(data)); !errors.As(err, &corrupt) || corrupt.Section == "digest" {
			t.Errorf("codec %d: with a right digest: %v", codec, err)
		}
	}
}

// heapSlack is what Open may allocate beyond its budget: tables of the decompressor, buffers, errors.
const heapSlack = 1 << 20

// checkHostile opens a file and, when it is accepted, uses everything in it. It returns the bytes that
// Open allocated.
func checkHostile(t *testing.T, data []byte) (file *simb.File, allocated uint64, err error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	file, err = simb.Open(data, simb.WithMaxOperations(1<<20))
	runtime.ReadMemStats(&after)
	allocated = after.TotalAlloc - before.TotalAlloc
	if budget := uint64(256*len(data) + 4<<20 + heapSlack); allocated > budget {
		t.Errorf("Open allocated %d bytes for a file of %d", allocated, len(data))
	}
	if err != nil {
		if file != nil || !typed(err) {
			t.Errorf("file %v with the error %v", file != nil, err)
		}
		return nil, allocated, err
	}
	m := file.Model()
	if err := m.Validate(); err != nil {
		t.Errorf("Open accepts what Validate refuses: %v", err)
	}
	inputs := make([]uint16, len(m.Inputs))
	simb.SelfTestInputs(7, m.Width, inputs)
	simbtest.Run(m, inputs)
	again, err := simb.Encode(m, simb.EncodeOptions{})
	if err != nil {
		t.Errorf("Encode refuses what Open accepts: %v", err)
	}
	if _, err := simb.Open(again); err != nil {
		t.Errorf("Open refuses what Encode wrote: %v", err)
	}
	return file, allocated, nil
}

// TestMutatedFilesWithRightDigests is the test that matters: the digest keeps accidents out, not
// adversaries, so behind it everything must hold by itself.
func TestMutatedFilesWithRightDigests(t *testing.T) {
	count := 3000
	if testing.Short() {
		count = 1000 // for emulators
	}
	if os.Getenv("SIM_LONG") != "" {
		count = 100_000
	} else {
		t.Logf("SIM_LONG is not set: %d files in place of 100000", count)
	}
	rng := simbtest.NewRand(11)
	var accepted, refused int
	var most uint64
	reasons := map[string]int{}
	var valid []byte
	for k := range count {
		if k%50 == 0 {
			o := simbtest.Options{NoLoops: k%100 == 0, Derived: k%100 == 0, Relaxed: k%200 == 0}
			valid = encode(t, simbtest.Random(rng, o), codecs[rng.IntN(len(codecs))])
		}
		data := simbtest.Mutate(rng, valid)
		_, allocated, err := checkHostile(t, data)
		most = max(most, allocated)
		if err == nil {
			accepted++
			continue
		}
		refused++
		var c *simb.CorruptError
		if errors.As(err, &c) {
			reasons[c.Section]++
		}
		if t.Failed() {
			t.Fatalf("file %d", k)
		}
	}
	t.Logf("%d files with right digests: %d refused, %d accepted and used in full; Open allocated at most %d bytes", count, refused, accepted, most)
	if reasons["digest"]*4 > refused || accepted*50 < count || len(reasons) < 25 {
		t.Errorf("the mutations do not reach behind the digest: %d accepted, %v", accepted, reasons)
	}
	if testing.Verbose() {
		t.Log(reasons)
	}
}
