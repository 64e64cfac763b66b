// Command edge is an application for a small board: a compiled model in the program itself, frames of
// sensor data on standard input, one decision a line on standard output.
//
//	producer | edge > decisions
//	producer | edge -stats > decisions     frames, saturations and peak memory on standard error
//
// A frame is one byte for each input of the model: 0 is the lower end of the input's declared box, 255
// the upper end. For a model of FashionMNIST that is the 784 bytes of an image.
//
// The embedded model is the demo's, with raw streams so that it is walked where it lies. Another one:
//
//	simc demo --out simc-demo
//	simc compile simc-demo/model.sim --codec raw -o runtime/examples/edge/model.simb
//
//	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -ldflags "-s -w" ./runtime/examples/edge
package main

import (
	"bytes"
	_ "embed"
	"errors"
	"io"
	"os"
	"strconv"

	simrt "github.com/sparse-implicit/sim/runtime"
)

//go:embed model.simb
var compiled []byte

func main() {
	counted, err := decideAll(os.Stdin, os.Stdout)
	if err != nil {
		os.Stderr.WriteString("edge: " + err.Error() + "\n")
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "-stats" {
		os.Stderr.WriteString(counted.String() + peakMemory())
	}
}

// decideAll reads frames to the end of input and writes the class of each on a line of its own.
func decideAll(input io.Reader, output io.Writer) (counted counts, err error) {
	model, err := simrt.Load(compiled, simrt.WithInPlace())
	if err != nil {
		return counted, err
	}
	if err := model.SelfTest(); err != nil {
		return counted, err
	}
	session := model.NewSession()
	frame, u := make([]byte, model.Inputs()), make([]float32, model.Inputs())
	lo, step := make([]float32, len(u)), make([]float32, len(u))
	for j := range u {
		low, high := model.InputBox(j)
		lo[j], step[j] = low, (high-low)/255
	}
	var line []byte
	for {
		if _, err = io.ReadFull(input, frame); err != nil {
			break
		}
		for j, v := range frame {
			u[j] = lo[j] + float32(step[j]*float32(v)) // rounded twice everywhere: never fused
		}
		class, err := session.Decide(u)
		if err != nil {
			return counted, err
		}
		counted.frames++
		counted.saturations += session.Stats().Saturations
		line = append(strconv.AppendInt(line[:0], int64(class), 10), '\n')
		if _, err := output.Write(line); err != nil {
			return counted, err
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return counted, errors.New("the input ends within frame " + strconv.Itoa(counted.frames) + "; a frame has " + strconv.Itoa(len(frame)) + " bytes")
	}
	if err != io.EOF {
		return counted, err
	}
	return counted, nil
}

// counts is what -stats reports of the inferences.
type counts struct {
	frames      int
	saturations uint64
}

func (c counts) String() string {
	return "frames " + strconv.Itoa(c.frames) + ", saturations " + strconv.FormatUint(c.saturations, 10) + "\n"
}

// peakMemory returns the line of Linux that tells the largest resident memory so far.
func peakMemory() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(status) {
		if bytes.HasPrefix(line, []byte("VmHWM:")) {
			return string(line)
		}
	}
	return ""
}
