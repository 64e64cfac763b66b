package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/sparse-implicit/sim/compiler"
)

// env is what every subcommand shares: streams, the flags of the root, progress.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	verbose        bool
	quiet          bool
	bar            *bar // the one on the terminal now, or nil
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &checkedWriter{w: stdout}
	e := &env{stdin: stdin, stdout: out, stderr: stderr}
	root := newRoot(e)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	e.clearBar()
	if err == nil {
		err = out.err
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "simc: interrupted")
	default:
		fmt.Fprintf(stderr, "simc: %v\n", err)
	}
	return exitCode(err)
}

// checkedWriter keeps the first error of a stream, so that lines printed in passing cannot be lost unseen.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "simc",
		Short: "Sparse implicit models for small machines: fit, compile, prove, run",
		Long: `simc fits a sparse implicit model to a trained network, compiles it into one file that carries its
own proofs, and runs it in integers with the same bits on every machine.

  data + teacher --fit--> model.sim --compile--> model.simb --run--> answers

Start with 'simc demo'. Exit codes: 0 done, 1 failed, 2 wrong usage or a missing file, 3 refused input.`,
		Version:      strings.TrimPrefix(compiler.Version, "simc "),
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.ArbitraryArgs,
		RunE: helpOrUnknown,
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout) // before the completion command, which keeps it
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.BoolVar(&e.json, "json", false, "print one JSON object on standard output")
	flags.BoolVarP(&e.verbose, "verbose", "v", false, "tell more: a line per pass, section or check")
	flags.BoolVarP(&e.quiet, "quiet", "q", false, "no progress on standard error")
	for _, add := range []func(*env) *cobra.Command{
		newDemo, newTeach, newFit, newConvert, newCompile, newInspect, newVerify, newKeygen, newSign, newRun, newEval, newBench, newMan,
	} {
		command := add(e)
		command.Args = usageArgs(command.Args)
		root.AddCommand(command)
	}
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args, completion.RunE = cobra.ArbitraryArgs, helpOrUnknown
	}
	root.SetHelpCommand(newHelp(root))
	return root
}

// helpOrUnknown is what a command of subcommands does without one that it knows.
func helpOrUnknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, command := range parent.Commands() {
		names = append(names, command.Name())
	}
	if near := nearest(name, names); near != "" {
		return usagef("unknown command %q; did you mean %s?", name, near)
	}
	return usagef("unknown command %q; '%s --help' lists them", name, parent.CommandPath())
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			command, left, err := root.Find(args)
			if err != nil || len(left) > 0 {
				return unknownCommand(root, args[0])
			}
			command.InitDefaultHelpFlag()
			return command.Help()
		},
	}
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
func newMan(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write manual pages into a folder",
		Example: `  simc man /usr/local/share/man/man1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFolder(args[0]); err != nil {
				return err
			}
			if err := doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "SIMC", Section: "1", Source: "simc"}, args[0]); err != nil {
				return err
			}
			if e.json {
				return e.emit(map[string]string{"folder": args[0]})
			}
			return nil
		},
	}
}

// emit prints the object of --json.
func (e *env) emit(object any) error {
	e.clearBar()
	encoder := json.NewEncoder(e.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(object)
}

// say prints a line for people, unless --json asked for an object alone. Execute reports a line that
// could not be written.
func (e *env) say(format string, args ...any) {
	e.clearBar()
	if !e.json {
		fmt.Fprintf(e.stdout, format+"\n", args...)
	}
}

// note prints a line on standard error.
func (e *env) note(format string, args ...any) {
	e.clearBar()
	if !e.quiet {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}
