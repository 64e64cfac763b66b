package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

var flagNames = regexp.MustCompile(`(?m)^ *(?:-\w, )?--([\w-]+)`)

// flagError is a usage error about a command's flags, with the flag that may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	if mistyped, unknown := strings.CutPrefix(err.Error(), "unknown flag: --"); unknown {
		if near := nearestFlag(cmd, mistyped); near != "" {
			return usagef("%w; did you mean --%s?", err, near)
		}
	}
	return usagef("%w; '%s --help' tells the flags", err, cmd.CommandPath())
}

// nearestFlag returns the flag of a command whose name differs least from a mistyped one, by at most two
// letters; empty when there is none.
func nearestFlag(cmd *cobra.Command, mistyped string) string {
	best, least := "", 3
	for _, found := range flagNames.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
		if d := editDistance(found[1], mistyped); d < least {
			best, least = found[1], d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete or replace that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
