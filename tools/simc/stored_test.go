package main

import (
	"archive/zip"
	"bytes"
	"slices"
	"testing"
)

// stored is an NPZ archive of the given arrays.
func stored(t *testing.T, arrays map[string][]byte) []byte {
	t.Helper()
	var names []string
	for name := range arrays {
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		member, err := w.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := member.Write(arrays[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
