package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	simrt "github.com/sparse-implicit/sim/runtime"
)

// measure maps a file, loads it in place and runs one inference.
func measure(name string) (cost, error) {
	f, err := os.Open(name)
	if err != nil {
		return cost{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return cost{}, err
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return cost{}, fmt.Errorf("%s: it cannot be mapped: %w", name, err)
	}
	defer syscall.Munmap(data)
	debug.SetGCPercent(-1)
	runtime.GC()
	var before, loaded, kept runtime.MemStats
	runtime.ReadMemStats(&before)
	model, err := simrt.Load(data, simrt.WithInPlace())
	if err != nil {
		return cost{}, err
	}
	session := model.NewSession()
	runtime.ReadMemStats(&loaded)
	u, y := make([]float32, model.Inputs()), make([]float32, model.Outputs())
	if err := session.Infer(y, u); err != nil {
		return cost{}, err
	}
	runtime.GC()
	runtime.ReadMemStats(&kept)
	c := cost{HeapLoad: int64(loaded.TotalAlloc - before.TotalAlloc), HeapKept: int64(kept.HeapAlloc) - int64(before.HeapAlloc)}
	if c.Anonymous, err = status("RssAnon:"); err != nil {
		return cost{}, err
	}
	c.Resident, err = status("VmHWM:")
	runtime.KeepAlive(session)
	return c, err
}

// status returns a line of /proc/self/status in bytes.
func status(name string) (int64, error) {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(content) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == name {
			kilobytes, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no line %s", name)
}
