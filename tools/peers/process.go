package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// processArgument starts the program as a process that makes one engine, measures itself and ends.
const processArgument = "process"

// footprint is what an engine costs a process that has nothing else to do.
type footprint struct {
	// From opening library and file to the first answer
	StartNs int64 `json:"start_ns"`
	// By how much the resident memory grew
	Resident int64 `json:"resident_bytes"`
	// Libraries that were loaded on the way
	Mapped []string `json:"mapped"`
}

// task is what such a process gets.
type task struct {
	Recipe recipe

	// How many numbers its frame has.
	Inputs int
}

// measureProcess is the process: it makes the engine, runs one inference and prints a footprint.
func measureProcess(argument string, stdout io.Writer) error {
	var t task
	if err := json.Unmarshal([]byte(argument), &t); err != nil {
		return err
	}
	frame := make([]float32, t.Inputs)
	for j := range frame {
		frame[j] = 0.5
	}
	libraries, err := mappedLibraries()
	if err != nil {
		return err
	}
	before, err := residentBytes()
	if err != nil {
		return err
	}
	start := time.Now()
	e, err := t.Recipe.open([][]float32{frame})
	if err != nil {
		return err
	}
	if err := e.run(0, 1, nil); err != nil {
		return err
	}
	f := footprint{StartNs: time.Since(start).Nanoseconds()}
	after, err := residentBytes()
	if err != nil {
		return err
	}
	f.Resident = after - before
	all, err := mappedLibraries()
	if err != nil {
		return err
	}
	for _, name := range all {
		if !slices.Contains(libraries, name) {
			f.Mapped = append(f.Mapped, name)
		}
	}
	return json.NewEncoder(stdout).Encode(f)
}

// processRuns is how many processes are measured; the medians count.
const processRuns = 5

// freshProcess measures an engine in processes of its own.
func freshProcess(ctx context.Context, r recipe, inputs int) (footprint, error) {
	program, err := os.Executable()
	if err != nil {
		return footprint{}, err
	}
	argument, err := json.Marshal(task{r, inputs})
	if err != nil {
		return footprint{}, err
	}
	var start, resident []float64
	var f footprint
	for range processRuns {
		command := exec.CommandContext(ctx, program, processArgument, string(argument))
		var said bytes.Buffer
		command.Stderr = &said
		output, err := command.Output()
		if err != nil {
			return footprint{}, fmt.Errorf("a process for %s: %w %s", r.File, err, bytes.TrimSpace(said.Bytes()))
		}
		if err := json.Unmarshal(output, &f); err != nil {
			return footprint{}, err
		}
		start, resident = append(start, float64(f.StartNs)), append(resident, float64(f.Resident))
	}
	f.StartNs, f.Resident = int64(median(start)), int64(median(resident))
	return f, nil
}

// residentBytes returns VmRSS of this process; 0 where there is no /proc.
func residentBytes() (int64, error) {
	content, err := os.ReadFile("/proc/self/status")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(content) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmRSS:" {
			kilobytes, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no line VmRSS")
}

// mappedLibraries returns the shared libraries of this process; none where there is no /proc.
func mappedLibraries() ([]string, error) {
	content, err := os.ReadFile("/proc/self/maps")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range bytes.Lines(content) {
		_, name, found := strings.Cut(string(bytes.TrimSpace(line)), "/")
		if found && strings.Contains(name, ".so") && !slices.Contains(names, "/"+name) {
			names = append(names, "/"+name)
		}
	}
	return names, nil
}
