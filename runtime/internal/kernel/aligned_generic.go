//go:build !(amd64 || arm64) || noasm || purego

package kernel

import "slices"

// aligned returns a copy; nothing needs it at a cache line.
func aligned(data []byte) []byte { return slices.Clone(data) }
