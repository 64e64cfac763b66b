"""Makes the NPZ files of this folder with NumPy: python3 make_goldens.py"""
import numpy as np

x = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 3)
np.savez_compressed("images.npz", X_train=x, y_train=np.array([1, 0]), X_test=np.asfortranarray(255 - x[:1]), y_test=np.array([1], np.uint8))

rows = np.array([[-1.5, 2], [0, 300], [4, 7]], np.float32)
np.savez("rows.npz", X_train=rows, y_train=np.array([[2], [0], [1]], np.int64), X_test=rows[:2] * 2, y_test=np.array([0, 2], np.int64).reshape(2, 1))
np.savez("targets.npz", X_train=rows.astype(np.float64), y_train=np.array([[0.5, 1], [2, -3], [0, 0]]), X_test=rows[:1], y_test=np.array([[9.0, 8]]))
np.savez("floats.npz", X_train=rows, y_train=np.array([2.0, 0, 1]), X_test=rows, y_test=np.array([2.0, 0, 1]))
np.savez("bytes.npz", X_train=np.array([[0, 255], [7, 8]], np.uint8), y_train=np.array([0, 1]), X_test=np.array([[9, 1]], np.uint8), y_test=np.array([1]))
