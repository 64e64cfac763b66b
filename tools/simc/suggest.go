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
		var names []string
		for _, found := range flagNames.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
			names = append(names, found[1])
		}
		if near := nearest(mistyped, names); near != "" {
			return usagef("%w; did you mean --%s?", err, near)
		}
	}
	return usagef("%w; '%s --help' tells the flags", err, cmd.CommandPath())
}

// nearest returns the name that differs least from a mistyped one, by at most two letters and half of
// them; empty when there is none.
func nearest(mistyped string, names []string) string {
	best, least := "", min(2, len(mistyped)/2)+1
	for _, name := range names {
		if d := editDistance(name, mistyped); d < least {
			best, least = name, d
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
