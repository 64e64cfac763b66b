//go:build !noasm && !purego

#include "textflag.h"
#include "go_asm.h"

// Step k of those at R10 and R11: gathers and multiplies. First 7 bits and one plane of weights.
#define NARROW1(k, sum) \
	MOVL (4*k)(R10), AX                      \
	VMOVDQU64 (128*k)(R11), Z4               \
	VMOVDQU64 (R8)(AX*1), Z5                 \
	VPERMI2B 64(R8)(AX*1), Z5, Z4            \
	VPDPBUSD (128*k+64)(R11), Z4, sum

#define NARROW2 \
	MOVL (R10), AX                           \
	VMOVDQU64 (R11), Z4                      \
	VMOVDQU64 (R8)(AX*1), Z5                 \
	VPERMI2B 64(R8)(AX*1), Z5, Z4            \
	VPDPBUSD 64(R11), Z4, Z2                 \
	VPDPBUSD 128(R11), Z4, Z0

#define WIDE1(k, low, high) \
	MOVL (4*k)(R10), AX                      \
	VMOVDQU64 (128*k)(R11), Z4               \
	VMOVDQA64 Z4, Z5                         \
	VMOVDQU64 (R8)(AX*1), Z6                 \
	VMOVDQU64 (R9)(AX*1), Z7                 \
	VPERMI2B 64(R8)(AX*1), Z6, Z4            \
	VPERMI2B 64(R9)(AX*1), Z7, Z5            \
	VMOVDQU64 (128*k+64)(R11), Z6            \
	VPDPBUSD Z6, Z4, low                     \
	VPDPBUSD Z6, Z5, high

#define WIDE2 \
	MOVL (R10), AX                           \
	VMOVDQU64 (R11), Z4                      \
	VMOVDQA64 Z4, Z5                         \
	VMOVDQU64 (R8)(AX*1), Z6                 \
	VMOVDQU64 (R9)(AX*1), Z7                 \
	VPERMI2B 64(R8)(AX*1), Z6, Z4            \
	VPERMI2B 64(R9)(AX*1), Z7, Z5            \
	VMOVDQU64 64(R11), Z6                    \
	VMOVDQU64 128(R11), Z7                   \
	VPDPBUSD Z6, Z4, Z2                      \
	VPDPBUSD Z6, Z5, Z3                      \
	VPDPBUSD Z7, Z4, Z0                      \
	VPDPBUSD Z7, Z5, Z1

// func execute7AVX512(w *windows, mem *Memory, p *progress)
TEXT ·execute7AVX512(SB), NOSPLIT, $0-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"

#define WIDE

// func execute14AVX512(w *windows, mem *Memory, p *progress)
TEXT ·execute14AVX512(SB), NOSPLIT, $0-24
	MOVQ w+0(FP), DI
	MOVQ mem+8(FP), SI
	MOVQ p+16(FP), DX
#include "avx512_execute_amd64.h"
