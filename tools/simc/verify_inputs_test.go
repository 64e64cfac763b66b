package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/verify"
)

// TestVerifyProvesAtRows proves at a few rows and compares with what run answers there.
func TestVerifyProvesAtRows(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	sim := mustWrite(t, in("m.sim"), encodedSmall(t))
	must(t, "compile", sim)
	rows := mustWrite(t, in("rows.csv"), []byte("a,b,c\n0.5,0.25,1\n0,1,0\n1,1,1\n"))
	var report struct {
		Inputs           []verify.Proof `json:"inputs"`
		ProvedEqualShare *float64       `json:"proved_equal_share"`
	}
	if err := json.Unmarshal([]byte(must(t, "verify", in("m.simb"), "--against", sim, "--input", rows, "--radius", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	var decided strings.Builder
	for k, p := range report.Inputs {
		if p.Row != k+1 || p.Decision == nil || p.Margin == nil || p.Radius == nil || p.ProvedEqual == nil || len(p.ErrorBound) == 0 {
			t.Fatalf("row %d: %+v", k+1, p)
		}
		fmt.Fprintln(&decided, *p.Decision)
	}
	if want := must(t, "run", in("m.simb"), "--in", rows, "--classes"); decided.String() != want || report.ProvedEqualShare == nil {
		t.Errorf("decided %q, run decides %q; share %v", decided.String(), want, report.ProvedEqualShare)
	}
	if text := must(t, "verify", in("m.simb"), "--input", rows); !strings.Contains(text, "row 3") || !strings.Contains(text, "decides") || strings.Contains(text, "radius") {
		t.Errorf("in words: %s", text)
	}
	for rows, says := range map[string]string{"1,nan,0\n": "row 1", "1,2\n": "3 inputs"} {
		var stdout, stderr bytes.Buffer
		code := execute(context.Background(), []string{"verify", in("m.simb"), "--input", "-"}, strings.NewReader(rows), &stdout, &stderr)
		if code != 3 || !strings.Contains(stderr.String(), says) {
			t.Errorf("%q: code %d, %s", rows, code, stderr.String())
		}
	}
}
