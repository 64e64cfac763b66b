//go:build (amd64 || arm64) && !noasm && !purego

package kernel

import "unsafe"

// aligned returns a copy that begins at a cache line.
func aligned(data []byte) []byte {
	room := make([]byte, len(data)+cacheLine-1)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(room))) % cacheLine)
	return append(room[skip:skip], data...)
}
