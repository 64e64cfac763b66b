package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// keysOf lists the keys of a JSON value with their places, each once: results[].file.
func keysOf(value any) []string {
	found := map[string]bool{}
	var walk func(place string, value any)
	walk = func(place string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, inner := range v {
				at := strings.TrimPrefix(place+"."+key, ".")
				found[at] = true
				walk(at, inner)
			}
		case []any:
			for _, inner := range v {
				walk(place+"[]", inner)
			}
		}
	}
	walk("", value)
	return slices.Sorted(maps.Keys(found))
}

// prefixed puts a place before each of several keys.
func prefixed(place, keys string) string {
	return place + strings.Join(strings.Fields(keys), " "+place)
}

const (
	resultKeys = "file kind accuracy agreement nnz file_bytes ram_bytes macs ns_p50 ns_p99 allocs"
	matrixKeys = "A B C D b d"
)

// TestJSONKeysAreStable runs every command with --json and pins the keys of its object, all of them.
func TestJSONKeysAreStable(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	data, real := smallCSV(t, dir, "data.csv", signs), smallCSV(t, dir, "real.csv", sums)
	frames := mustWrite(t, in("frames.csv"), []byte("0.1,0.2,0.3\n-1,0,1\n"))
	results := "results seconds " + prefixed("results[].", resultKeys)
	for _, c := range []struct{ args, keys string }{
		{"teach --data " + data + " --hidden 8,8 --epochs 3 -o " + in("t.onnx"), "file parameters epochs loss seconds"},
		{"teach --data " + real + " --hidden 8 --epochs 3 -o " + in("r.onnx"), "file parameters epochs loss seconds"},
		{"fit --teacher " + in("t.onnx") + " --data " + data + " --nnz 60 -o " + in("m.sim"),
			"file nnz nnz_by lambda structure objective_ab objective_cd gap_max norm_a seconds_gram seconds_rows seconds_refine seconds_tune epochs way weight_bits fits " + prefixed("nnz_by.", matrixKeys)},
		{"convert " + in("t.onnx") + " -o " + in("c.sim"), "file inputs states outputs nnz nnz_by notes " + prefixed("nnz_by.", matrixKeys)},
		{"compile " + in("m.sim"),
			"file file_bytes ram_bytes macs levels loops bits nnz well_posed well_posed.kind well_posed.kappa error_bound_box error_bound_calibrated error_bound_realised proof lipschitz weights weights.one_plane_rows weights.two_plane_rows weights.samples weights.agreement weights.largest_error passes passes[].name passes[].detail"},
		{"verify " + in("m.simb"), "ok checks checks[].name checks[].ok checks[].detail"},
		{"verify " + in("m.simb") + " --against " + in("m.sim") + " --samples 10", "ok checks checks[].name checks[].ok checks[].detail error_observed"},
		{"verify " + in("m.simb") + " --against " + in("m.sim") + " --radius --input " + frames, "ok checks checks[].name checks[].ok checks[].detail inputs proved_equal_share " +
			prefixed("inputs[].", "row decision margin radius radius_lipschitz proved_equal error_bound")},
		{"eval " + in("t.onnx") + " " + in("m.sim") + " " + in("m.simb") + " --data " + data, results + " results[].recalls results[].balanced_accuracy"},
		{"eval " + in("r.onnx") + " --data " + real, results + " results[].r2 results[].mse results[].rmse results[].r2_first"},
		{"bench " + in("m.simb"), "kernels load_ns ram_bytes packed_bytes nnz " + prefixed("kernels[].", "kernel ns_p50 ns_p99 allocs")},
		{"run " + in("m.simb") + " --in " + frames, "rows outputs"},
		{"run " + in("m.simb") + " --classes --in " + frames, "rows classes"},
		{"run " + in("m.simb") + " --in " + frames + " --out " + in("a.npy"), "rows file"},
		{"inspect " + in("t.onnx"), "file file_bytes kind nodes parameters"},
		{"inspect " + in("c.sim"), "file file_bytes kind inputs states outputs nnz nnz_by steps activations decision provenance provenance.source provenance.onnx.graph provenance.onnx.producer " + prefixed("nnz_by.", matrixKeys)},
		{"inspect " + in("m.simb"), `file file_bytes kind inputs inputs_read states outputs bits nnz steps ram_bytes macs schedule decision
			error_bound_box error_bound_calibrated error_bound_relaxed relaxed_boxes error_bound_relaxed_calibrated lipschitz self_tests sequence compiler source_sha256 digest_sha256 signed
			bytes_by ` + prefixed("bytes_by.", "weights inputs rows claims self_test frame")},
		{"keygen -o " + in("k"), "private public public_key"},
		{"sign " + in("m.simb") + " --key " + in("k.key") + " --sequence 5", "file file_bytes sequence digest_sha256 public_key"},
		{"verify " + in("m.simb") + " --key " + in("k.pub"), "ok checks checks[].name checks[].ok checks[].detail"},
		{"man " + t.TempDir(), "folder"},
	} {
		var object map[string]any
		stdout := must(t, append(strings.Fields(c.args), "--json", "-q")...)
		if err := json.Unmarshal([]byte(stdout), &object); err != nil {
			t.Fatalf("simc %s: not one JSON object: %v\n%s", c.args, err, stdout)
		}
		want := strings.Fields(c.keys)
		slices.Sort(want)
		if got := keysOf(object); !slices.Equal(got, want) {
			t.Errorf("simc %s:\n has  %v\n want %v", c.args, got, want)
		}
	}
}

// object runs a command with --json into a value.
func object[T any](t *testing.T, args ...string) T {
	t.Helper()
	var value T
	stdout := must(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(stdout), &value); err != nil {
		t.Fatalf("simc %s: %v\n%s", strings.Join(args, " "), err, stdout)
	}
	return value
}

// TestEvalTellsNullWhereNothingIsPromised checks kinds, and which columns are null.
func TestEvalTellsNullWhereNothingIsPromised(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	data := smallCSV(t, dir, "data.csv", signs)
	must(t, "teach", "--data", data, "--hidden", "8", "--epochs", "60", "-o", in("t.onnx"))
	must(t, "fit", "--teacher", in("t.onnx"), "--data", data, "--nnz", "40", "-o", in("m.sim"))
	must(t, "compile", in("m.sim"))
	rows := object[evalReport](t, "eval", in("t.onnx"), in("m.sim"), in("m.simb"), "--data", data).Results
	for k, want := range []string{"onnx ram=null macs=40", "sim ram=null macs=null", "simb ram macs"} {
		got := rows[k].Kind + " ram"
		if rows[k].RAMBytes == nil {
			got += "=null"
		}
		got += " macs"
		switch {
		case rows[k].MACs == nil:
			got += "=null"
		case rows[k].Kind == "onnx":
			got += fmt.Sprintf("=%d", *rows[k].MACs) // 3×8 + 8×2 weights
		}
		if got != want {
			t.Errorf("row %d: %s, want %s", k, got, want)
		}
		if rows[k].Accuracy == nil || *rows[k].Accuracy < 0.85 || *rows[k].Accuracy > 1 {
			t.Errorf("row %d of a separable problem: %+v", k, rows[k])
		}
		if rows[k].NNZ > 50 || rows[k].FileBytes == 0 || rows[k].R2 != nil || len(rows[k].Recalls) != 2 {
			t.Errorf("row %d: %+v", k, rows[k])
		}
	}
	if *rows[0].Agreement != 1 {
		t.Errorf("the first file agrees with itself by %g", *rows[0].Agreement)
	}
}
