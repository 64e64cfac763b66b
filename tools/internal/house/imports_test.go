package house

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sparse-implicit/sim"

// Third parties, by what the rules call them.
const (
	flatbuffers = "github.com/google/flatbuffers/go"
	huff0       = "github.com/klauspost/compress/huff0"
	protowire   = "google.golang.org/protobuf/encoding/protowire"
	gonum       = "gonum.org/v1/gonum/..."
	graph       = "gonum.org/v1/gonum/graph/..."
	cpu         = "golang.org/x/sys/cpu"
)

// rules says what the packages of a folder may import besides the standard library: folders of this
// module, or import paths of others; "/..." stands for everything below. The longest folder that holds
// a package gives its rule. A folder without a rule may import the standard library only.
var rules = map[string][]string{
	"format":               {},
	"format/sparse":        {},
	"format/quant":         {},
	"format/npz":           {},
	"format/model":         {"format/sparse", "format/npz"},
	"format/internal/fb":   {flatbuffers},
	"format/simb":          {"format/sparse", "format/quant", "format/internal/fb", flatbuffers, huff0},
	"format/simb/simbtest": {"format/simb", "format/sparse", "format/quant", "format/internal/fb", flatbuffers, huff0},
	"format/verify":        {"format/simb", "format/model", "format/sparse", "format/quant"},
	"format/onnx":          {protowire},

	"compiler": {"compiler/...", "format/model", "format/quant", "format/simb", "format/sparse", graph},

	"runtime":                 {"runtime/internal/...", "format/simb", "format/quant", cpu},
	"runtime/internal/kernel": {"format/quant", cpu}, // the number rules have one place
	"runtime/examples":        {"runtime"},

	"trainer":                     {"trainer/...", "format/model", "format/quant", "format/npz", "format/sparse", gonum},
	"trainer/teacher":             {"format/onnx", "format/model", "format/sparse", "trainer/dataset", cpu, gonum},
	"trainer/dataset":             {"format/npz", "trainer/dataset/fashionmini"},
	"trainer/dataset/fashionmini": {},
	"trainer/internal":            {"trainer/internal/...", "format/model", "format/sparse", "format/quant", cpu, gonum},

	"tools": {"..."},
}

// never lists what some folders must not import even from the standard library, and why.
var never = map[string]map[string]string{
	"runtime/internal/kernel": {"fmt": "no formatting in the inference path", "reflect": "no reflection", "unsafe": "the portable kernel is plain Go", "os": "a kernel knows no system"},
	"runtime":                 {"fmt": "no formatting in the inference path", "reflect": "no reflection", "encoding/json": "it reflects", "log": "it formats", "unsafe": "not needed"},
	"runtime/examples/edge":   {"fmt": "the application is to stay small", "flag": "it formats", "log": "it formats"},
	"format/quant":            {"math/rand": "exact rules only", "unsafe": "not needed"},
	"format/simb":             {"unsafe": "untrusted bytes are read with checks", "encoding/json": "it reflects"},
}

func TestImportsPointTheWayOfTheHouse(t *testing.T) {
	arrows := 0
	for _, file := range sources(t) {
		folder := path.Dir(file.path)
		for _, spec := range file.syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			arrows++
			if imported == "unsafe" && leftOut(file.syntax, "purego") && leftOut(file.syntax, "noasm") {
				continue // hands memory to assembly
			}
			if reason := forbidden(folder, imported); reason != "" {
				t.Errorf("%s imports %q: %s", file.path, imported, reason)
			}
		}
	}
	if arrows < 100 {
		t.Errorf("only %d imports were found; the test looks at the wrong place", arrows)
	}
}

// forbidden returns why a package in folder must not import a path, or "".
func forbidden(folder, imported string) string {
	if imported == "C" {
		return "no cgo in this module"
	}
	if reason := never[folder][imported]; reason != "" {
		return reason
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return ""
	}
	rule := ruleOf(folder)
	target := strings.TrimPrefix(imported, module+"/")
	if slices.ContainsFunc(rules[rule], func(allowed string) bool { return matches(allowed, target) }) {
		return ""
	}
	return "the rule of " + rule + " allows only " + strings.Join(append([]string{"the standard library"}, rules[rule]...), ", ")
}

// leftOut reports whether a file's build constraint leaves it out where the tag is set, whatever else is.
func leftOut(file *ast.File, tag string) bool {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if expr, err := constraint.Parse(comment.Text); err == nil && constraint.IsGoBuild(comment.Text) {
				return !expr.Eval(func(t string) bool { return t == tag || t == "amd64" || t == "arm64" })
			}
		}
	}
	return false
}

// ruleOf returns the longest folder with a rule that holds this one.
func ruleOf(folder string) string {
	for ; folder != "."; folder = path.Dir(folder) {
		if _, found := rules[folder]; found {
			return folder
		}
	}
	return "."
}

func matches(allowed, target string) bool {
	if prefix, all := strings.CutSuffix(allowed, "..."); all {
		return strings.HasPrefix(target+"/", prefix)
	}
	return allowed == target
}

func TestTheRulesForbidWhatTheHouseForbids(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		allowed          bool
	}{
		{"format/simb", module + "/runtime", false},
		{"format/quant", module + "/format/sparse", false},
		{"format/model", module + "/format/simb", false},
		{"runtime", module + "/compiler", false},
		{"runtime", module + "/format/model", false},
		{"runtime", "gonum.org/v1/gonum/mat", false},
		{"runtime", "fmt", false},
		{"runtime/internal/kernel", module + "/format/simb", false},
		{"compiler/internal/pass", module + "/trainer", false},
		{"compiler/internal/pass", "gonum.org/v1/gonum/mat", false},
		{"compiler/internal/pass", "gonum.org/v1/gonum/graph/topo", true},
		{"trainer", module + "/compiler", false},
		{"trainer/internal/rowsolve", module + "/runtime", false},
		{"format/somethingnew", module + "/format/model", false},
		{"elsewhere", "github.com/spf13/cobra", false},
		{"format/sparse", "C", false},
		{"trainer/internal/rowsolve", "gonum.org/v1/gonum/mat", true},
		{"tools/simc", "github.com/spf13/cobra", true},
		{"tools/simc", module + "/runtime", true},
		{"runtime", module + "/runtime/internal/kernel", true},
	} {
		if reason := forbidden(c.folder, c.imported); (reason == "") != c.allowed {
			t.Errorf("%s importing %s: %q", c.folder, c.imported, reason)
		}
	}
}

func TestPanicsSayThatTheyAreUnreachable(t *testing.T) {
	for _, file := range sources(t) {
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall {
				return true
			}
			name, isName := call.Fun.(*ast.Ident)
			if !isName || name.Name != "panic" {
				return true
			}
			said := false
			for _, argument := range call.Args {
				ast.Inspect(argument, func(n ast.Node) bool {
					literal, isLiteral := n.(*ast.BasicLit)
					said = said || isLiteral && strings.Contains(literal.Value, "unreachable")
					return true
				})
			}
			if !said {
				t.Errorf("%s: a panic without the word \"unreachable\"; input must never lead to one", file.fset.Position(call.Pos()))
			}
			return true
		})
	}
}

func TestNoFileOutgrowsItsSubject(t *testing.T) {
	for _, file := range sources(t) {
		if file.size > 20<<10 && !ast.IsGenerated(file.syntax) {
			t.Errorf("%s has %d bytes; above 20 KiB it has two subjects", file.path, file.size)
		}
	}
}

// source is one Go file of the module that is not a test.
type source struct {
	path   string // from the repository's root, with slashes
	size   int
	fset   *token.FileSet
	syntax *ast.File
}

// sources parses all Go files of the module for every system and processor, without tests and testdata.
func sources(t *testing.T) []source {
	t.Helper()
	root := repository(t)
	var found []source
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(root, name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		found = append(found, source{filepath.ToSlash(relative), len(content), fset, syntax})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// enter skips the folders that the go command skips, and nested modules.
func enter(root, folder string) error {
	base := filepath.Base(folder)
	if folder == root {
		return nil
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// repository returns the root of the module.
func repository(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module "+module+"\n") {
			return folder
		}
		if folder == filepath.Dir(folder) {
			t.Fatal("no go.mod of " + module + " above the test")
		}
		folder = filepath.Dir(folder)
	}
}
