#!/usr/bin/env python3
"""Writes the golden files of this folder with NumPy. The tests hold the same numbers, written out.

    python3 make_goldens.py        (numpy 1.24 and later)
"""
import os
import zipfile

import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))

small = np.array([[0, 1, 2], [3, 100, 127]])
signed = np.array([[0, -1, 2], [-3, 100, -128]])
floats = np.array([[0.0, -0.5, 2.25], [1e-3, 1234.5, -65504.0]])
bools = np.array([[True, False, False], [False, True, True]])

arrays = {}
for order in "<>":
    side = "le" if order == "<" else "be"
    for kind, sizes, values in (("f", (2, 4, 8), floats), ("i", (1, 2, 4, 8), signed), ("u", (1, 2, 4, 8), small)):
        for size in sizes:
            arrays[f"{kind}{size}_{side}"] = values.astype(f"{order}{kind}{size}")
arrays["b1"] = bools
arrays["fortran2"] = np.asfortranarray(signed.astype("<i2"))
arrays["fortran3"] = np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4))
arrays["fortran3_be"] = np.asfortranarray(np.arange(24, dtype=">i8").reshape(2, 3, 4))
arrays["scalar"] = np.float64(2.5)
arrays["vector"] = np.arange(5, dtype="<u2")
arrays["empty"] = np.zeros((3, 0, 2), "<f4")
arrays["halves"] = np.array([0x0000, 0x8000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF, 0x7C00, 0xFC00, 0x7E00], "<u2").view("<f2")
arrays["beyond"] = np.array([2**63, 2**64 - 1], "<u8")
arrays["widest"] = np.array([-(2**63), 2**63 - 1], "<i8")
arrays["fraction"] = np.array([1.0, 2.5])
arrays["huge"] = np.array([1e300, -1e300, 1e-300])


def save(name, members, compression):
    """An NPZ whose bytes do not depend on the clock, as np.savez writes it otherwise."""
    with zipfile.ZipFile(name, "w", compression) as z:
        for key, value in members.items():
            with z.open(zipfile.ZipInfo(key + ".npy"), "w", force_zip64=True) as f:
                np.lib.format.write_array(f, np.asanyarray(value))


save("stored.npz", arrays, zipfile.ZIP_STORED)
np.savez_compressed("deflated.npz", **arrays)

refused = {
    "object": np.array([{"a": 1}, None], dtype=object),
    "structured": np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f4")]),
    "complex": np.array([1 + 2j]),
    "text": np.array(["a", "bc"]),
    "bytes": np.array([b"a", b"bc"]),
    "date": np.array(["2020-01-01"], dtype="datetime64[D]"),
}
save("refused.npz", refused, zipfile.ZIP_DEFLATED)

for version in ((1, 0), (2, 0), (3, 0)):
    with open(f"version{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, np.arange(6, dtype="<f4").reshape(2, 3), version=version)
