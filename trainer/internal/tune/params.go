package tune

import (
	"cmp"
	"math"
	"slices"
)

// Adam's constants (arXiv 1412.6980).
const (
	beta1   = 0.9
	beta2   = 0.999
	epsilon = 1e-8
	tiny    = 1e-30 // moments below become 0: subnormal numbers are slow
	oldAge  = 8_000 // steps after which a weight's moments need no correction
)

// entry is one weight with the optimiser's state.
type entry struct {
	feature         int32
	age             int32 // steps since it came
	weight          float32
	moment1, second float32
}

// params are the entries of a plan, by their place in its cols.
type params struct {
	weights, moment1, second []float32
	age                      []int32
	place                    []int // of the net's k-th weight, counted row by row

	unbias1, unbias2 []float32 // by age: 1/(1−β₁ᵃ), 1/√(1−β₂ᵃ)
}

// lay makes net, plan and params of the rows' entries, sorting them by feature.
func (t *tuner) lay(rows [][]entry) {
	for i, row := range rows {
		slices.SortFunc(row, func(a, b entry) int { return cmp.Compare(a.feature, b.feature) })
		t.net.Rows[i] = Row{make([]int32, len(row)), make([]float32, len(row))}
		for k, e := range row {
			t.net.Rows[i].Support[k], t.net.Rows[i].Weights[k] = e.feature, e.weight
		}
	}
	p := &t.params
	t.plan, p.place = newPlan(t.net)
	count := len(t.plan.cols)
	p.weights, p.moment1, p.second = make([]float32, count), make([]float32, count), make([]float32, count)
	p.age = make([]int32, count)
	k := 0
	for _, row := range rows {
		for _, e := range row {
			at := p.place[k]
			p.weights[at], p.moment1[at], p.second[at], p.age[at] = e.weight, e.moment1, e.second, e.age
			k++
		}
	}
	for _, s := range t.shards {
		s.gradient = make([]float32, count)
	}
	if p.unbias1 == nil {
		for a := range oldAge + 1 {
			p.unbias1 = append(p.unbias1, float32(1/(1-math.Pow(beta1, float64(a+1)))))
			p.unbias2 = append(p.unbias2, float32(1/math.Sqrt(1-math.Pow(beta2, float64(a+1)))))
		}
	}
}

// entries returns the rows' entries as they are now, by feature.
func (t *tuner) entries() [][]entry {
	rows := make([][]entry, len(t.net.Rows))
	p := &t.params
	for i, r := range t.net.Rows {
		rows[i] = make([]entry, len(r.Support))
		first := t.plan.rows[i].first
		for k, j := range r.Support {
			at := p.place[first+k]
			rows[i][k] = entry{j, p.age[at], p.weights[at], p.moment1[at], p.second[at]}
		}
	}
	return rows
}

// update is one step of Adam with the gradient summed over shards; each weight has the age since it came.
func (t *tuner) update(shards int) {
	rate := float32(t.options.LearningRate * halfCosine(float64(t.step)/float64(t.steps)))
	t.step++
	const block = 2048
	p := &t.params
	t.parallel((len(p.weights)+block-1)/block, func(b int) {
		for k := b * block; k < min((b+1)*block, len(p.weights)); k++ {
			g := float32(0)
			for _, s := range t.shards[:shards] {
				g += s.gradient[k]
			}
			m := float32(beta1*p.moment1[k]) + float32((1-beta1)*g)
			v := float32(beta2*p.second[k]) + float32((1-beta2)*float32(g*g))
			if m < tiny && m > -tiny {
				m = 0
			}
			if v < tiny {
				v = 0
			}
			p.moment1[k], p.second[k] = m, v
			age := p.age[k]
			root := float32(p.unbias2[age] * float32(math.Sqrt(float64(v))))
			p.weights[k] -= float32(float32(rate*p.unbias1[age]) * (m / (root + epsilon)))
			p.age[k] = min(age+1, oldAge)
		}
	})
	if t.options.Kappa > 0 {
		t.confine()
	}
}

// halfCosine falls from 1 at 0 to 0 at 1 along (1 + cos πt)/2.
func halfCosine(t float64) float64 { return (1 + math.Cos(math.Pi*t)) / 2 }
