package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
)

func TestASizeIsThatOfTheCompiledFile(t *testing.T) {
	dir := t.TempDir()
	data := smallCSV(t, dir, "data.csv", signs)
	teacher, out, compiled := filepath.Join(dir, "t.onnx"), filepath.Join(dir, "m.sim"), filepath.Join(dir, "m.simb")
	must(t, "teach", "--data", data, "--hidden", "6,4", "--epochs", "5", "-o", teacher)
	for _, size := range []int{400, 480} {
		var fitted struct{ Bytes int }
		stdout := must(t, "fit", "--teacher", teacher, "--data", data, "--size", fmt.Sprint(size), "--epochs", "3", "--json", "-o", out)
		if err := json.Unmarshal([]byte(stdout), &fitted); err != nil {
			t.Fatal(err)
		}
		var file struct {
			Bytes int `json:"file_bytes"`
		}
		if err := json.Unmarshal([]byte(must(t, "compile", out, "--json", "-o", compiled)), &file); err != nil {
			t.Fatal(err)
		}
		if file.Bytes != fitted.Bytes || file.Bytes > size {
			t.Errorf("%d bytes were asked for, fit tells %d, compile wrote %d", size, fitted.Bytes, file.Bytes)
		}
	}
}
