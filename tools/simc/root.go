package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// env is what every subcommand shares: streams, the flags of the root, progress.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	verbose        bool
	quiet          bool
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	message := strings.TrimPrefix(err.Error(), "Error: ")
	fmt.Fprintf(stderr, "simc: %s\n", message)
	return exitCode(err)
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "simc",
		Short: "Sparse implicit models for small machines: fit, compile, prove, run",
		Long: `simc fits a sparse implicit model to a trained network, compiles it into one file that carries its
own proofs, and runs it in integers with the same bits on every machine.

  data + teacher --fit--> model.sim --compile--> model.simb --run--> answers

Start with 'simc demo'. Exit codes: 0 done, 1 failed, 2 wrong usage or a missing file, 3 refused input.`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q; 'simc --help' lists them", args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; 'simc %s --help' tells the flags", err, cmd.Name())
	})
	flags := root.PersistentFlags()
	flags.BoolVar(&e.json, "json", false, "print one JSON object on standard output")
	flags.BoolVarP(&e.verbose, "verbose", "v", false, "tell more: a line per pass, section or check")
	flags.BoolVarP(&e.quiet, "quiet", "q", false, "no progress on standard error")
	for _, add := range []func(*env) *cobra.Command{
		newDemo, newTeach, newFit, newConvert, newCompile, newInspect, newVerify, newRun, newEval, newBench,
	} {
		command := add(e)
		command.Args = usageArgs(command.Args)
		root.AddCommand(command)
	}
	root.AddCommand(newMan(root))
	return root
}

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(cmd, args); err != nil {
			return usagef("%v; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// newMan writes the manual pages of all commands.
func newMan(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write manual pages into a folder",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFolder(args[0]); err != nil {
				return err
			}
			return doc.GenManTree(root, &doc.GenManHeader{Title: "SIMC", Section: "1", Source: "simc"}, args[0])
		},
	}
}

// emit prints the object of --json.
func (e *env) emit(object any) error {
	encoder := json.NewEncoder(e.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object)
}

// say prints a line for people, unless --json asked for an object alone.
func (e *env) say(format string, args ...any) {
	if !e.json {
		fmt.Fprintf(e.stdout, format+"\n", args...)
	}
}

// note prints a line on standard error.
func (e *env) note(format string, args ...any) {
	if !e.quiet {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}
