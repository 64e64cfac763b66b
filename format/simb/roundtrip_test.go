package simb_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

var codecs = []simb.Codec{simb.CodecRaw, simb.CodecHuff0, simb.CodecPacked, simb.CodecPrefix}

func encode(t testing.TB, m *simb.Model, codec simb.Codec) []byte {
	t.Helper()
	data, err := simb.Encode(m, simb.EncodeOptions{Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func open(t testing.TB, data []byte, options ...simb.Option) *simb.File {
	t.Helper()
	file, err := simb.Open(data, options...)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWhatIsEncodedIsWhatIsOpened(t *testing.T) {
	for seed := range uint64(120) {
		m := simbtest.Random(simbtest.NewRand(seed), simbtest.Options{NoLoops: seed%4 == 0, Derived: seed%4 == 0, Relaxed: seed%8 == 0})
		if err := m.Validate(); err != nil {
			t.Fatalf("seed %d: the generator's model is not valid: %v", seed, err)
		}
		for _, codec := range codecs {
			data := encode(t, m, codec)
			if again := encode(t, m, codec); !bytes.Equal(data, again) {
				t.Fatalf("seed %d: two encodings differ", seed)
			}
			file := open(t, data)
			if diff := cmp.Diff(m, file.Model()); diff != "" {
				t.Fatalf("seed %d: %s", seed, diff)
			}
			if file.MACs() != m.MACs() || file.RAMBytes() != m.RAMBytes() || file.Nonzeros() != m.Weights.Stored() || file.Signed() {
				t.Fatalf("seed %d: MACs %d, RAM %d, nonzeros %d, signed %v", seed, file.MACs(), file.RAMBytes(), file.Nonzeros(), file.Signed())
			}
			for _, test := range file.Meta().SelfTest {
				if diff := cmp.Diff(test, simbtest.Case(file.Model(), test.Seed)); diff != "" {
					t.Fatalf("seed %d: %s", seed, diff)
				}
			}
		}
	}
}

// TestLargeChunks covers sections of more than one chunk, and the heap that a file keeps.
func TestLargeChunks(t *testing.T) {
	m := simbtest.Random(simbtest.NewRand(1), simbtest.Options{Width: quant.Width7, Inputs: 3000, States: 300, Outputs: 10, Density: 0.3, NoLoops: true})
	if m.Weights.Stored() < 2<<17 {
		t.Fatalf("only %d weights", m.Weights.Stored())
	}
	for _, codec := range codecs {
		data := encode(t, m, codec)
		if diff := cmp.Diff(m, open(t, data).Model()); diff != "" {
			t.Errorf("codec %d: %s", codec, diff)
		}
		t.Logf("codec %d: %d weights in %d bytes", codec, m.Weights.Stored(), len(data))
	}
}

func TestRawStreamsAliasTheFile(t *testing.T) {
	m := simbtest.Random(simbtest.NewRand(2), simbtest.Options{})
	data := encode(t, m, simb.CodecRaw)
	for _, stream := range [][]byte{open(t, data).Streams().Lengths, open(t, data).Streams().Gaps, open(t, data).Streams().Values} {
		at := bytes.Index(data, stream)
		if at < 0 || &data[at] != &stream[0] || cap(stream) != len(stream) {
			t.Errorf("a raw stream is not the file's own bytes, or can be appended to")
		}
	}
}

// TestOpenAtAnyAddress opens a file at every alignment: embedded files lie anywhere.
func TestOpenAtAnyAddress(t *testing.T) {
	m := simbtest.Random(simbtest.NewRand(3), simbtest.Options{})
	data := encode(t, m, simb.CodecHuff0)
	room := make([]byte, len(data)+16)
	for shift := range 16 {
		copy(room[shift:], data)
		if diff := cmp.Diff(m, open(t, room[shift:shift+len(data):shift+len(data)]).Model()); diff != "" {
			t.Errorf("shifted by %d: %s", shift, diff)
		}
	}
}

func TestInfoTellsWhereTheBytesAre(t *testing.T) {
	m := simbtest.Random(simbtest.NewRand(4), simbtest.Options{Width: quant.Width7, Inputs: 784, States: 112, Outputs: 10, Density: 0.062, NoLoops: true, OnePlane: true, NoClaims: true, Kinds: []simb.Kind{simb.ReLU}, SelfTests: 2})
	for _, codec := range codecs {
		data := encode(t, m, codec)
		info := open(t, data).Info()
		sum := info.FrameBytes
		for _, s := range info.Sections {
			sum += s.Stored
			t.Logf("%-18s %-6s %6d %6d", s.Name, s.Coding, s.Length, s.Stored)
		}
		if sum != len(data) || info.Bytes != len(data) || info.FormatVersion != info.MinimumReader || info.MinimumReader != []int{1, 1, 2, 4}[codec] {
			t.Errorf("%+v do not add up to %d bytes", info, len(data))
		}
		if want := []string{"[]", "[huff0]", "[packed]", "[prefix]"}[codec]; fmt.Sprint(info.Required) != want {
			t.Errorf("features %v, want %s", info.Required, want)
		}
		t.Logf("codec %d: %d weights, %d bytes, frame %d", codec, m.Weights.Stored(), len(data), info.FrameBytes)
	}
}

// TestSectionsDecodeAsSpecified decodes every section by a second decoder, written from SPEC.md and RFC
// 8878, and compares checksums and streams.
func TestSectionsDecodeAsSpecified(t *testing.T) {
	blocks := 0
	for seed := range uint64(60) {
		o := simbtest.Options{}
		if seed%3 == 0 {
			o = simbtest.Options{Inputs: 300, States: 100}
		}
		o.NoLoops, o.Derived, o.Relaxed = seed%5 == 0, seed%5 == 0, seed%10 == 0
		data := encode(t, simbtest.Random(simbtest.NewRand(seed), o), codecs[seed%3])
		sections, ok := simbtest.Decoded(data)
		streams := open(t, data).Streams()
		if !ok || !bytes.Equal(sections[1], streams.Lengths) || !bytes.Equal(sections[2], streams.Gaps) || !bytes.Equal(sections[3], streams.Values) || !bytes.Equal(sections[4], streams.Low) {
			t.Fatalf("seed %d: the two decoders differ", seed)
		}
		for _, s := range open(t, data).Sections() {
			if s.Coding == "planes" {
				blocks++
			}
		}
	}
	t.Logf("%d sections in planes", blocks)
}
