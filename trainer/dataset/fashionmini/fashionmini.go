// Package fashionmini carries a small stratified part of FashionMNIST inside the program: 6,000
// training and 1,000 test images of 28 × 28 bytes in ten classes, as gzipped IDX files with MNIST's
// names, and their licence (MIT).
//
// It promises nothing but the bytes and must not know how they are read; package dataset reads them.
package fashionmini

import (
	"embed"
	"io/fs"
)

//go:embed data
var data embed.FS

// Files returns a read-only folder with train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz,
// t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz and LICENSE.
func Files() fs.FS {
	files, err := fs.Sub(data, "data")
	if err != nil {
		panic("unreachable: data is a valid folder name")
	}
	return files
}
