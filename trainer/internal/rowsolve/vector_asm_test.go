//go:build amd64 && !noasm && !purego

package rowsolve

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestAssemblyGivesTheBitsOfTheGenericKernels compares over all lengths around the unrolling.
func TestAssemblyGivesTheBitsOfTheGenericKernels(t *testing.T) {
	if !haveAVX2 {
		t.Skip("this processor has no AVX2 and FMA")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		var in [5][]float64
		for i := range in {
			in[i] = make([]float64, n+3)
			for k := range in[i] {
				in[i][k] = random.NormFloat64()
			}
		}
		both := func(name string, run func(v [5][]float64) float64) {
			t.Helper()
			results := [2]float64{}
			var outs [2][5][]float64
			for which := range 2 {
				haveAVX2 = which == 0
				for i := range in {
					outs[which][i] = append([]float64{}, in[i]...)
				}
				var views [5][]float64
				for i := range views {
					views[i] = outs[which][i][1 : n+1]
				}
				results[which] = run(views)
			}
			haveAVX2 = true
			if math.Float64bits(results[0]) != math.Float64bits(results[1]) {
				t.Errorf("%s of %d: %v by assembly, %v by Go", name, n, results[0], results[1])
			}
			for i := range in {
				for k := range in[i] {
					if math.Float64bits(outs[0][i][k]) != math.Float64bits(outs[1][i][k]) {
						t.Fatalf("%s of %d: argument %d differs at %d: %v by assembly, %v by Go", name, n, i, k-1, outs[0][i][k], outs[1][i][k])
					}
				}
			}
		}
		both("dot", func(v [5][]float64) float64 { return dot(v[0], v[1]) })
		both("axpy", func(v [5][]float64) float64 { axpy(0.3, v[0], v[1]); return 0 })
		both("axpy4", func(v [5][]float64) float64 {
			axpy4(&[4]float64{0.1, -0.2, 0.3, 0.7}, v[0], v[1], v[2], v[3], v[4])
			return 0
		})
		both("rotate", func(v [5][]float64) float64 { rotate(0.6, 0.8, v[0], v[1], v[2]); return 0 })
	}
}

func TestAssemblyTileGivesTheBitsOfTheGenericOne(t *testing.T) {
	if !haveAVX2 {
		t.Skip("this processor has no AVX2 and FMA")
	}
	random := rand.New(rand.NewPCG(3, 4))
	a, b := make([]float64, blockSamples*tileCols), make([]float64, blockSamples*tileCols)
	for i := range a {
		a[i], b[i] = float64(float32(random.NormFloat64())), float64(float32(random.NormFloat64()))
	}
	for _, density := range []float64{0, 0.01, 0.5, 1} {
		var list []int32
		for s := range blockSamples {
			if random.Float64() < density {
				list = append(list, int32(s))
			}
		}
		for half := range 2 {
			var fast, slow [tileRows * tileCols]float64
			tile(&fast, a[half*tileRows:], b, list)
			tileGeneric(&slow, a[half*tileRows:], b, list)
			if fast != slow {
				t.Errorf("density %v, half %d: assembly and Go differ", density, half)
			}
			if !haveAVX512 {
				continue
			}
			var wide, second [2][tileRows * tileCols]float64
			tile2(&wide, a[half*tileRows:], b, a, list)
			haveAVX512 = false
			tile2(&second, a[half*tileRows:], b, a, list)
			haveAVX512 = true
			if wide != second || wide[0] != slow {
				t.Errorf("density %v, half %d: the wide tile differs", density, half)
			}
		}
	}
}

func TestAssemblyAddsTilesAsTheGenericOne(t *testing.T) {
	if !haveAVX2 {
		t.Skip("this processor has no AVX2 and FMA")
	}
	random := rand.New(rand.NewPCG(5, 6))
	for stride := tileCols; stride < 40; stride++ {
		var acc [tileRows * tileCols]float64
		for i := range acc {
			acc[i] = random.NormFloat64()
		}
		fast := make([]float64, (tileRows-1)*stride+tileCols)
		for i := range fast {
			fast[i] = random.NormFloat64()
		}
		slow := append([]float64{}, fast...)
		addTile(fast, stride, &acc)
		addTileGeneric(slow, stride, &acc)
		for i := range fast {
			if fast[i] != slow[i] {
				t.Fatalf("stride %d: entry %d is %v by assembly, %v by Go", stride, i, fast[i], slow[i])
			}
		}
	}
}
