// Command simc fits, converts, compiles, inspects, verifies, runs and measures sparse implicit models.
// Each subcommand is a thin caller of the packages above; a file per subcommand.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage (missing files and folders too), 3 refused input.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
