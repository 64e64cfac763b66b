// Package image writes the models that tools measure when they are given none.
package image

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// Files writes the models of simbtest.Image, of 7 and of 14 bits, into a folder and returns their names.
func Files(folder string) (files []string, err error) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		data, err := simb.Encode(simbtest.Image(width), simb.EncodeOptions{Codec: simb.CodecRaw})
		if err != nil {
			return nil, err
		}
		name := filepath.Join(folder, "image-"+strconv.Itoa(int(width))+".simb")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, err
		}
		files = append(files, name)
	}
	return files, nil
}
