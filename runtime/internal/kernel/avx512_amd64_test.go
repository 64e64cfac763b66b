//go:build !noasm && !purego

package kernel

func init() {
	if usableAVX512() {
		for name, window := range map[string]int{"avx512, near": 64, "avx512, far": 128} {
			moreEngines[name] = func(p *Program, s *Streams) Engine { return packWindowsAVX512(p, s, window) }
		}
	}
}
