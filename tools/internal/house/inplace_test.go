package house

import (
	"go/ast"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// plainFiles is the whole path of an inference in place: what whoever ports it to a smaller machine must read.
var plainFiles = []string{"inplace.go", "inplace_walk.go", "inputs.go", "row.go", "streams.go"}

func TestTheInPlacePathIsPlainGo(t *testing.T) {
	const folder = "runtime/internal/kernel"
	allowed := []string{`"` + module + `/format/quant"`, `"math"`}
	found := 0
	for _, file := range sources(t) {
		if path.Dir(file.path) != folder || !slices.Contains(plainFiles, path.Base(file.path)) {
			continue
		}
		found++
		for _, spec := range file.syntax.Imports {
			if !slices.Contains(allowed, spec.Path.Value) {
				t.Errorf("%s imports %s; the in-place path has %s", file.path, spec.Path.Value, strings.Join(allowed, " and "))
			}
		}
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.DeferStmt, *ast.MapType:
				t.Errorf("%s: goroutines, channels, defer and maps are not for the in-place path", file.fset.Position(n.Pos()))
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "make" || name.Name == "new" || name.Name == "append") {
					t.Errorf("%s: %s allocates", file.fset.Position(n.Pos()), name.Name)
				}
			}
			return true
		})
	}
	if found != len(plainFiles) {
		t.Errorf("%d of the files %v are there", found, plainFiles)
	}
}

// With the tag purego, as with noasm, the kernels are Go alone.
func TestThePureGoBuildHasNoAssemblyAndNothingUnsafe(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	for _, tag := range []string{"purego", "noasm"} {
		listed := goCommand(t, repository(t), "list", "-tags", tag, "-f", "{{.SFiles}} {{.Imports}}", "./runtime/...")
		for _, name := range []string{".s]", ".s ", "unsafe"} {
			if strings.Contains(listed, name) {
				t.Errorf("with the tag %s the runtime has %q:\n%s", tag, name, listed)
			}
		}
		goCommand(t, repository(t), "build", "-tags", tag, "-gcflags=-d=checkptr", "./runtime/...")
	}
}
