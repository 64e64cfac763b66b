package kernel

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// guarded returns a copy of s that ends where a page begins that must not be touched, so that a read or a write
// behind its end is a fault.
func guarded[T any](t *testing.T, s []T) []T {
	t.Helper()
	if len(s) == 0 {
		return s
	}
	page, bytes := os.Getpagesize(), len(s)*int(unsafe.Sizeof(s[0]))
	room := (bytes + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, room+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skipf("this system maps no memory: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	if err := syscall.Mprotect(memory[room:], syscall.PROT_NONE); err != nil {
		t.Skipf("this system protects no memory: %v", err)
	}
	to := unsafe.Slice((*T)(unsafe.Pointer(&memory[room-bytes])), len(s))
	copy(to, s)
	return to
}

// guardMemory moves all buffers, and what is packed, in front of such pages.
func guardMemory(t *testing.T, e Engine, mem *Memory) {
	b := &mem.Buffers
	b.Activations8, b.Next8 = guarded(t, b.Activations8), guarded(t, b.Next8)
	b.Activations16, b.Next16 = guarded(t, b.Activations16), guarded(t, b.Next16)
	b.External, b.Outputs = guarded(t, b.External), guarded(t, b.Outputs)
	if w, ok := e.(*windows); ok {
		w.data, w.constants, w.initial, w.tables = guarded(t, w.data), guarded(t, w.constants), guarded(t, w.initial), guarded(t, w.tables)
		w.starts, w.visits, w.commands = guarded(t, w.starts), guarded(t, w.visits), guarded(t, w.commands)
	}
}

// No kernel reads or writes behind the end of a buffer, of its inputs or of what it packed.
func TestNothingIsTouchedBehindTheEndOfABuffer(t *testing.T) {
	programs := 60
	if testing.Short() {
		programs = 15
	}
	for seed := range uint64(programs) {
		rng := rand.New(rand.NewPCG(seed, 7))
		p, s := randomProgram(rng, randomShape(rng))
		want := packWordsOf(p, s)
		for name, e := range engines(p, s) {
			mem := newMemory(e)
			guardMemory(t, e, mem)
			src := randomSource(rng, p)
			src.real, src.narrow, src.wide, src.plan = guarded(t, src.real), guarded(t, src.narrow), guarded(t, src.wide), guarded(t, src.plan)
			for way := range 3 {
				if diff := cmp.Diff(infer(p, want, newMemory(want), &src, way), infer(p, e, mem, &src, way)); diff != "" {
					t.Fatalf("seed %d, %s: %s", seed, name, diff)
				}
			}
		}
	}
}
