package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// stage is a part of a long command, as progress names it.
type stage struct {
	name string // what is being done: "fit: reading states"
	unit string // what is counted, for people; empty: the count says nothing to them, percents are told
}

// fitStages names the stages that the trainer reports.
var fitStages = map[string]stage{
	"moments": {"fit: gathering states", "samples"},
	"rows":    {"fit: solving row problems", ""},
	"remove":  {"fit: removing weights", ""},
	"refit":   {"fit: refitting what is kept", ""},
	"tune":    {"fit: fine-tuning", "epochs"},
}

// fitStage returns the stage that the trainer calls by this name.
func fitStage(name string) stage {
	if s, known := fitStages[name]; known {
		return s
	}
	return stage{name: "fit: " + name}
}

// progress returns a callback for a stage: a bar on a terminal, otherwise a line at its
// end, and in a long one each time another quarter is done. What is done never shows as more than the total, whatever was estimated. A nil
// callback is never returned.
func (e *env) progress(s stage) func(done, total int) {
	switch {
	case e.quiet:
		return func(int, int) {}
	case isTerminal(e.stderr):
		return e.barProgress(s)
	}
	return lineProgress(e.stderr, s)
}

func isTerminal(w any) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// bar is a bar on the terminal.
type bar struct {
	shown *progressbar.ProgressBar
	total int
}

// clearBar removes the bar, so that a line can be printed.
func (e *env) clearBar() {
	if e.bar != nil {
		_ = e.bar.shown.Clear()
		e.bar = nil
	}
}

func (e *env) barProgress(s stage) func(done, total int) {
	var mine *bar
	return func(done, total int) {
		if total <= 0 {
			return
		}
		if mine == nil || mine.total != total {
			mine = &bar{newBar(e.stderr, s, total), total}
		}
		if e.bar != mine {
			e.clearBar()
			e.bar = mine
		}
		_ = mine.shown.Set(min(done, total))
	}
}

func newBar(w io.Writer, s stage, total int) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(s.name), progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(50 * time.Millisecond),
	}
	if s.unit != "" {
		options = append(options, progressbar.OptionShowCount())
	}
	return progressbar.NewOptions(total, options...)
}

func lineProgress(w io.Writer, s stage) func(done, total int) {
	const quiet = time.Second
	told, last := 0, time.Now()
	return func(done, total int) {
		if total <= 0 {
			return
		}
		done = min(done, total)
		quarter := 4 * done / total
		if quarter <= told || quarter < 4 && time.Since(last) < quiet {
			return
		}
		told, last = quarter, time.Now()
		if s.unit == "" {
			fmt.Fprintf(w, "%s: %d %%\n", s.name, 100*done/total)
		} else {
			fmt.Fprintf(w, "%s: %d of %d %s\n", s.name, done, total, s.unit)
		}
	}
}
