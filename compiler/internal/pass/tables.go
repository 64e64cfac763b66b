package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// table returns the index of the table for a kind, building it at first use.
func (p *Program) table(kind simb.Kind, row *simb.Row) uint16 {
	for k := range p.Tables {
		if p.Tables[k].Kind == kind {
			return uint16(k)
		}
	}
	p.Tables = append(p.Tables, newTable(p.Options.Width, kind, quant.TableStep(uint8(kind), p.Options.Width), row))
	return uint16(len(p.Tables) - 1)
}

// newTable builds the table of a function for states with the row's scale and zero point.
func newTable(width quant.Width, kind simb.Kind, step float32, row *simb.Row) simb.Table {
	table := simb.Table{Kind: kind, Step: step, Entries: make([]uint16, width.TableLen())}
	lo, _ := width.TableDomain()
	activation := model.Activation{Kind: model.Kind(kind)}
	for k := range table.Entries {
		var value float64
		if width == quant.Width14 {
			value = interpolated(activation, float64(float64(lo+int64(k)*256)*float64(step)), float64(256*float64(step)))
		} else {
			value = activation.Apply(float64(float64(lo+int64(k)) * float64(step)))
		}
		entry := math.Floor(value/float64(row.Scale)+0.5) + float64(row.Zero)
		table.Entries[k] = uint16(min(max(entry, 0), float64(width.Max())))
	}
	return table
}

// interpolated returns what a table should hold at x so that lines between entries a spacing apart err
// as much on one side of φ as on the other: a line lies on the inner side of a curve by an eighth of the
// second difference, so both its ends give way by half of that.
func interpolated(a model.Activation, x, spacing float64) float64 {
	middle := a.Apply(x)
	second := float64(a.Apply(x-spacing)-middle) - float64(middle-a.Apply(x+spacing))
	return middle - float64(second/16)
}

// tableError bounds |s·(T(t) − z) − φ(step·t)| over the domain, and beyond it against the function's
// limits.
func tableError(width quant.Width, table *simb.Table, row *simb.Row) float64 {
	lo, hi := width.TableDomain()
	phi := model.Activation{Kind: model.Kind(table.Kind)}
	worth := func(t int64) float64 {
		return float64(float64(row.Scale) * float64(quant.LookUp(width, table.Entries, t)-int32(row.Zero)))
	}
	limits := interval{0, 1}
	if table.Kind == simb.Tanh {
		limits.lo = -1
	}
	worst := max(math.Abs(worth(lo)-limits.lo), math.Abs(limits.hi-worth(hi)))
	for t := lo; t <= hi; t++ {
		worst = max(worst, math.Abs(worth(t)-phi.Apply(float64(float64(t)*float64(table.Step)))))
	}
	return worst + slack
}
