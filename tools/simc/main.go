// Command simc fits, converts, compiles, inspects, verifies, runs and measures sparse implicit models.
// Each subcommand is a thin caller of the packages above; a file per subcommand.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage (missing files and folders too), 3 refused input.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// patience is how long an interrupted command may take to end by itself.
const patience = 500 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ended := make(chan int, 1)
	go func() { ended <- execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) }()
	select {
	case code := <-ended:
		os.Exit(code)
	case <-ctx.Done():
	}
	select {
	case code := <-ended:
		os.Exit(code)
	case <-time.After(patience):
		writing.Lock() // a file that is being written is finished first, and none is begun any more
		fmt.Fprintln(os.Stderr, "simc: interrupted")
		os.Exit(exitFailed)
	}
}
