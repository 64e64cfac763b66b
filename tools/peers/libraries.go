package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// libraries are the peers that this machine has.
type libraries struct {
	onnxruntime, xnnpack string // paths; empty: not here
	found                []peer
	skipped              []skipped
}

// peer is a library that takes part.
type peer struct {
	Name string `json:"name"`

	// As the library tells it, or as its symbols do.
	Version string `json:"version"`

	// The file, or the name by which the system's loader finds it.
	Library string `json:"library"`
}

// skipped is a peer that is left out.
type skipped struct {
	Name string `json:"name"`

	// What is missing and how to get it.
	Reason string `json:"reason"`
}

// ortPackage is what npm calls the package that has ONNX Runtime's library.
const ortPackage = "onnxruntime-node"

// How peers are got.
const (
	getOnnxRuntime = "run with --install, which lets npm fetch " + ortPackage + ", or name a libonnxruntime.so with --onnxruntime"
	getXNNPACK     = "install Debian 12's libxnnpack0, or name a libXNNPACK.so of 2022-02 with --xnnpack"
)

// findLibraries opens the peers that flags or the system name.
func findLibraries(f flags) libraries {
	var l libraries
	probe := func(name, path, get string, open func(string) (string, error)) string {
		version, err := open(path)
		if err != nil {
			l.skipped = append(l.skipped, skipped{name, fmt.Sprintf("%v; %s", err, get)})
			return ""
		}
		l.found = append(l.found, peer{name, version, path})
		return path
	}
	l.onnxruntime = probe("ONNX Runtime", firstOf(f.onnxruntime, fetched(f.dir), "libonnxruntime.so.1"), getOnnxRuntime, probeOnnxRuntime)
	l.xnnpack = probe("XNNPACK", firstOf(f.xnnpack, "libXNNPACK.so.0"), getXNNPACK, probeXNNPACK)
	return l
}

func firstOf(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// fetched returns the library that npm has put into a folder, or "".
func fetched(dir string) string {
	processor := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	pattern := filepath.Join(dir, "node_modules", ortPackage, "bin", "napi-v*", runtime.GOOS, processor, "libonnxruntime.so*")
	found, _ := filepath.Glob(pattern)
	if len(found) == 0 {
		return ""
	}
	absolute, err := filepath.Abs(found[len(found)-1])
	if err != nil {
		return ""
	}
	return absolute
}

// install lets npm fetch ONNX Runtime into a folder, unless it is there.
func install(ctx context.Context, dir string, say func(string, ...any)) error {
	if fetched(dir) != "" {
		return nil
	}
	say("npm fetches %s into %s", ortPackage, dir)
	command := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", ortPackage)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("npm could not fetch %s: %w", ortPackage, err)
	}
	return nil
}
