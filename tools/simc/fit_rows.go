package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/sparse-implicit/sim/trainer"
	"github.com/spf13/cobra"
)

// rowFlags say how the row problems are posed.
type rowFlags struct {
	penalty string
	lambda2 float64
	group   groupShape
	gramMiB int
}

func (r *rowFlags) add(command *cobra.Command) {
	f := command.Flags()
	f.StringVar(&r.penalty, "penalty", "l1", "penalty of the row problems: l1, elastic, perspective, group, or exact (targets matched exactly at the least l1)")
	f.Float64Var(&r.lambda2, "lambda2", 0, "second number of the penalty: elastic: the ridge (default 0.01); perspective: λ₀ (0.01); group: the groups' share (0.5)")
	f.IntVar(&r.gramMiB, "gram", 0, "MiB that the Gram of all states and inputs may take (default 275: 6,000 of them); beyond it rows are solved on candidate inputs, with the same certificate")
	f.Var(&r.group, "group", "rows x columns of a group of weights: 16x128, 8x32 or 4x64 (default 16x128; penalty group only)")
}

// exact reports whether the penalty needs no λ.
func (r *rowFlags) exact() bool { return r.penalty == string(trainer.PenaltyExact) }

func (r *rowFlags) set(o *trainer.Options) {
	o.Penalty, o.Lambda2 = trainer.Penalty(r.penalty), r.lambda2
	o.GramBytes = min(max(r.gramMiB, -1), math.MaxInt>>20) << 20
	o.GroupRows, o.GroupColumns = r.group.rows, r.group.columns
}

// groupShape is a flag like 16x128.
type groupShape struct{ rows, columns int }

func (g *groupShape) String() string {
	if g.rows == 0 {
		return ""
	}
	return fmt.Sprintf("%dx%d", g.rows, g.columns)
}

func (g *groupShape) Type() string { return "RxC" }

func (g *groupShape) Set(text string) error {
	var rest string
	n, _ := fmt.Sscanf(strings.ToLower(text)+" ", "%dx%d%s", &g.rows, &g.columns, &rest)
	if n != 2 || g.rows < 1 || g.columns < 1 {
		return fmt.Errorf("write it as 16x128: rows x columns")
	}
	return nil
}
