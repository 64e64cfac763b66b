#!/usr/bin/env python3
"""Writes the golden files of this folder with NumPy and the standard library, from SIM.md alone.

    python3 make_goldens.py

mixed.sim holds every activation once, a self-loop, a loop of two states and all optional tensors, its
tensors in alphabetical order and its header not padded; mixed.npz holds the same model as dense arrays.
The equilibria for three inputs, computed in longdouble by plain iteration, are in mixed.csv.
"""
import csv
import json
import os
import struct

import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))
n, p, q = 7, 3, 2
A = np.zeros((n, n), "<f4")
A[0, 0] = 0.5                      # a self-loop
A[1, 2], A[2, 1] = 3.0, -0.125     # a loop of two, with ‖A‖∞ ≥ 1 and λ(|A|) < 1
A[3, 0], A[4, 1], A[4, 3], A[5, 4], A[6, 5], A[6, 0] = 1.5, -2.0, 0.25, 0.75, -1.0, 0.3
B = np.zeros((n, p), "<f4")
B[0, 0], B[1, 1], B[2, 2], B[3, 0], B[3, 2], B[5, 1], B[6, 2] = 1.0, -0.5, 2.0, -1.5, 0.1, 0.4, 1.25
C = np.zeros((q, n), "<f4")
C[0, 3], C[0, 6], C[1, 4], C[1, 5], C[1, 2] = 1.0, -0.5, 2.0, 0.7, 0.2
D = np.zeros((q, p), "<f4")
D[1, 0] = -0.3
b = np.array([0.1, 0, -0.2, 0.3, 0, 0.05, -0.6], "<f4")
d = np.array([0.5, -0.25], "<f4")
kind = np.array([1, 3, 4, 2, 0, 5, 6], "u1")
param = np.array([[0, 0], [0.1, 0], [-0.75, 0.75], [0, 2.5], [0, 0], [0, 0], [0, 0]], "<f4")
lo, hi = np.array([-1, -2, 0], "<f4"), np.array([1, 2, 0.5], "<f4")


def csr(m):
    rows, cols = np.nonzero(m)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=m.shape[0]))])
    return indptr.astype("<i4"), cols.astype("<i4"), m[rows, cols]


tensors = {"b": b, "d": d, "activation.kind": kind, "activation.param": param, "input.lo": lo, "input.hi": hi,
           "state.lo": np.full(n, -3, "<f4"), "state.hi": np.full(n, 4, "<f4"),
           "weight.scale": np.linspace(0.5, 2, n + q).astype("<f4")}
for name, m in (("A", A), ("B", B), ("C", C), ("D", D)):
    tensors[name + ".indptr"], tensors[name + ".indices"], tensors[name + ".data"] = csr(m)
tensors["note"] = np.arange(3, dtype="<f8")  # unknown to the reader

header = {"__metadata__": {"format": "sim", "version": "1", "n": "7", "p": "3", "q": "2", "decision": "argmax",
                           "provenance.seed": "17", "provenance.teacher": "by hand, Größe 7", "unknown": "kept by nobody"}}
body = b""
for name in sorted(tensors):
    t = tensors[name]
    header[name] = {"data_offsets": [len(body), len(body) + t.nbytes], "shape": list(t.shape),
                    "dtype": {"<f4": "F32", "<i4": "I32", "|u1": "U8", "<f8": "F64"}[t.dtype.str]}
    body += t.tobytes()
text = json.dumps(header, indent=1).encode()
with open("mixed.sim", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + body)

np.savez_compressed("mixed.npz", A=np.asfortranarray(A), B=B.astype("<f8"), C=C, D=D, b=b, d=d.reshape(-1, 1),
                    input_lo=lo, input_hi=hi, activation_kind=kind, activation_param=param)
np.savez_compressed("plain.npz", A=np.zeros((2, 2)), B=np.eye(2), C=np.array([[1, -1]]), D=np.zeros((1, 2)))

L = np.longdouble


def phi(z):
    c = param.astype(L)
    return np.array([max(z[0], L(0)), z[1] if z[1] >= 0 else z[1] * c[1, 0], min(max(z[2], c[2, 0]), c[2, 1]),
                     min(max(z[3], L(0)), c[3, 1]), z[4], np.tanh(z[5]), 1 / (1 + np.exp(-z[6]))])


with open("mixed.csv", "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    for u in ([0.5, -1.25, 0.125], [-1, 2, 0.5], [1, 0.75, 0]):
        u = np.array(u, L)
        x = np.zeros(n, L)
        for _ in range(400):
            x = phi(A.astype(L) @ x + B.astype(L) @ u + b)
        y = C.astype(L) @ x + D.astype(L) @ u + d
        out.writerow([repr(float(v)) for v in np.concatenate([u, x, y])])
