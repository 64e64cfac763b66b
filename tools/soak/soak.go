package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"
)

const (
	collectorClock = 2 * time.Minute // after so long without a collection Go makes one
	residentSlack  = 1 << 20         // bytes by which resident memory may differ
)

// report is what a soak has seen between its first pass and its last.
type report struct {
	inferences  int
	took        time.Duration
	mallocs     uint64
	collections uint32
	resident    residence
	sum         uint64
}

// residence is resident memory in bytes; zeros where it is not known.
type residence struct{ first, last, most int64 }

// soak runs at least n inferences in whole passes and writes a line now and then.
func (w *work) soak(n int, progress io.Writer) (report, error) {
	first, err := w.run()
	if err != nil {
		return report{}, err
	}
	passes := (n + w.pass() - 1) / w.pass()
	r := report{inferences: passes * w.pass(), sum: first}
	status := openStatus()
	defer status.close()
	var line []byte
	if line, err = tell(progress, make([]byte, 0, 64), 0, 1); err != nil { // everything that grows once has grown
		return report{}, err
	}
	runtime.GC()
	r.resident.first = status.resident()
	r.resident.most = r.resident.first
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	every := max(passes/100, 1)
	for k := range passes {
		sum, err := w.run()
		if err != nil {
			return report{}, err
		}
		if sum != first {
			return report{}, fmt.Errorf("pass %d: %w", k+2, errChanged)
		}
		if k%every == 0 || k == passes-1 {
			r.resident.last = status.resident()
			r.resident.most = max(r.resident.most, r.resident.last)
		}
		if k%(10*every) == 0 && k > 0 {
			if line, err = tell(progress, line, k, passes); err != nil {
				return report{}, err
			}
		}
	}
	r.took = time.Since(began)
	runtime.ReadMemStats(&after)
	r.mallocs, r.collections = after.Mallocs-before.Mallocs, after.NumGC-before.NumGC
	return r, nil
}

// tell writes how far the soak is, without allocating.
func tell(progress io.Writer, line []byte, done, all int) ([]byte, error) {
	line = strconv.AppendInt(line[:0], int64(100*done/all), 10)
	line = append(line, " %\n"...)
	_, err := progress.Write(line)
	return line, err
}

// judge returns what is wrong, or nil.
func (r report) judge() error {
	// A collection that Go's clock forces allocates for itself, seen: once.
	if r.mallocs > uint64(r.collections) {
		return fmt.Errorf("%d allocations", r.mallocs)
	}
	if allowed := uint32(r.took / collectorClock); r.collections > allowed {
		return fmt.Errorf("%d collections of garbage in %v, Go's clock makes %d", r.collections, r.took, allowed)
	}
	if r.resident.most > r.resident.first+residentSlack {
		return fmt.Errorf("resident memory grew from %d to %d bytes", r.resident.first, r.resident.most)
	}
	return nil
}

// String returns the lines of the table.
func (r report) String() string {
	resident := "not known on this system"
	if r.resident.first > 0 {
		resident = fmt.Sprintf("%d KiB at first, %d KiB at last, %d KiB at most", r.resident.first>>10, r.resident.last>>10, r.resident.most>>10)
	}
	return fmt.Sprintf("%d inferences in %v, %.0f ns each\nallocations   %d\ncollections   %d (Go's clock makes one every %v)\nresident      %s\nchecksum      %016x in every pass\n",
		r.inferences, r.took.Round(time.Millisecond), float64(r.took.Nanoseconds())/float64(r.inferences), r.mallocs, r.collections, collectorClock, resident, r.sum)
}

// status reads /proc/self/status again and again without allocating.
type status struct {
	file   *os.File // nil where there is none
	buffer [8 << 10]byte
}

func openStatus() *status {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return &status{}
	}
	return &status{file: file}
}

func (s *status) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// resident returns VmRSS in bytes, or 0 where it is not known.
func (s *status) resident() int64 {
	if s.file == nil {
		return 0
	}
	n, err := s.file.ReadAt(s.buffer[:], 0)
	if err != nil && err != io.EOF {
		return 0
	}
	_, rest, found := bytes.Cut(s.buffer[:n], []byte("VmRSS:"))
	if !found {
		return 0
	}
	kilobytes := int64(0)
	for _, c := range bytes.TrimLeft(rest, " \t") {
		if c < '0' || c > '9' {
			break
		}
		kilobytes = 10*kilobytes + int64(c-'0')
	}
	return kilobytes << 10
}
