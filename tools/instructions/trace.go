package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A log of qemu (-d in_asm,exec,nochain) says for each translation block its instructions, once, when it is
// translated, and has a line for each execution of a block:
//
//	IN: runtime.main
//	0x00089d80:  f94003e0  ldr      x0, [sp]
//
//	Trace 0: 0x7f572c000200 [0000000001009331/0000000000089d80/00000001/00000200] runtime.main
//
// The number after Trace is the guest's thread. The numbers in brackets name the block, the second of them is
// its address; the number before them is used again for others. What counts lies between the probe's calls of
// begin and end, but for what Go's scheduler does when it takes the thread away for a moment, as it does every
// ten milliseconds: it comes in through a function's check of the stack.

// block is a translated block.
type block struct {
	address      uint64
	instructions int
	function     string
}

// trace reads a log as it is written.
type trace struct {
	blocks  map[string]*block // by their numbers in brackets
	pending map[uint64]int    // instructions of blocks that were translated and not yet executed, by address
	last    *block            // that the first thread began last

	counting  bool
	scheduler bool             // at work since a check of the stack
	functions map[string]int64 // instructions that the first thread has executed, by function
}

// The functions of the probe that open and close what counts.
const (
	beginFunction = "main.begin"
	endFunction   = "main.end"

	stackCheck = "runtime.morestack"
	ourModule  = "github.com/sparse-implicit/sim/"
)

var (
	traceLine   = []byte("Trace ")
	firstThread = []byte("0")
	stoppedLine = []byte("Stopped execution of TB chain before ")
	blockLine   = []byte("IN:")
	addressLine = []byte("0x")
)

// readTrace reads a log to its end.
func readTrace(log io.Reader) (*trace, error) {
	t := &trace{blocks: map[string]*block{}, pending: map[uint64]int{}, functions: map[string]int64{}}
	lines := bufio.NewScanner(bufio.NewReaderSize(log, 1<<20))
	var open uint64 // address of the block whose instructions are being listed
	length := 0
	for lines.Scan() {
		line := lines.Bytes()
		switch {
		case bytes.HasPrefix(line, traceLine):
			if err := t.executed(line[len(traceLine):]); err != nil {
				return nil, err
			}
		case bytes.HasPrefix(line, addressLine):
			if length == 0 {
				digits, _, _ := bytes.Cut(line[2:], []byte(":"))
				address, err := strconv.ParseUint(string(digits), 16, 64)
				if err != nil {
					return nil, fmt.Errorf("log line %q: %w", line, err)
				}
				open = address
			}
			length++
			t.pending[open] = length
		case bytes.HasPrefix(line, blockLine):
			length = 0
		case bytes.HasPrefix(line, stoppedLine):
			t.stopped(line[len(stoppedLine):])
		}
	}
	return t, lines.Err()
}

// executed counts one execution of a block, from its line behind "Trace ".
func (t *trace) executed(line []byte) error {
	thread, _, _ := bytes.Cut(line, []byte(":"))
	_, of, _ := bytes.Cut(line, []byte("["))
	numbers, function, _ := bytes.Cut(of, []byte("]"))
	b := t.blocks[string(numbers)]
	if b == nil {
		var err error
		if b, err = t.translated(numbers); err != nil {
			return fmt.Errorf("log line %q: %w", line, err)
		}
		b.function = string(bytes.TrimSpace(function))
		t.blocks[string(numbers)] = b
	}
	if !bytes.Equal(thread, firstThread) {
		return nil
	}
	t.last = b
	switch {
	case b.function == beginFunction:
		t.counting = true
	case b.function == endFunction:
		t.counting = false
	case strings.HasPrefix(b.function, stackCheck):
		t.scheduler = true
	case strings.HasPrefix(b.function, ourModule):
		t.scheduler = false
	}
	t.count(b, 1)
	return nil
}

// translated returns a block that is executed for the first time.
func (t *trace) translated(numbers []byte) (*block, error) {
	fields := bytes.Split(numbers, []byte("/"))
	if len(fields) != 4 {
		return nil, fmt.Errorf("%d numbers in brackets, want 4", len(fields))
	}
	address, err := strconv.ParseUint(string(fields[1]), 16, 64)
	if err != nil {
		return nil, err
	}
	instructions := t.pending[address]
	if instructions == 0 {
		return nil, fmt.Errorf("no instructions were listed at %#x", address)
	}
	return &block{address: address, instructions: instructions}, nil
}

// stopped takes a block back that a signal kept from running: qemu begins it again.
func (t *trace) stopped(line []byte) {
	_, of, _ := bytes.Cut(line, []byte("["))
	digits, _, _ := bytes.Cut(of, []byte("]"))
	address, err := strconv.ParseUint(string(digits), 16, 64)
	if err == nil && t.last != nil && t.last.address == address {
		t.count(t.last, -1)
	}
}

func (t *trace) count(b *block, times int64) {
	if t.counting && !t.scheduler && b.function != beginFunction {
		t.functions[b.function] += times * int64(b.instructions)
	}
}
