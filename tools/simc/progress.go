package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress returns a callback for the stage of a long command: a bar on a terminal, otherwise a line
// each time another quarter is done. done ≥ total closes the stage. A nil callback is never returned.
func (e *env) progress(stage string) func(done, total int) {
	if e.quiet {
		return func(int, int) {}
	}
	if isTerminal(e.stderr) {
		return barProgress(e.stderr, stage)
	}
	return lineProgress(e.stderr, stage)
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func barProgress(w io.Writer, stage string) func(done, total int) {
	var bar *progressbar.ProgressBar
	return func(done, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(stage),
				progressbar.OptionSetWidth(30), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(50*time.Millisecond))
		}
		_ = bar.Set(min(done, total))
	}
}

func lineProgress(w io.Writer, stage string) func(done, total int) {
	told := 0
	return func(done, total int) {
		if total <= 0 {
			return
		}
		quarter := 4 * done / total
		if quarter > told {
			told = quarter
			fmt.Fprintf(w, "%s: %d of %d\n", stage, done, total)
		}
	}
}
