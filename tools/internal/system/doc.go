// Package system holds the tests that cross the house: from a network's file to the answers of its
// compiled model, through packages that must not know each other. It has no code of its own.
package system
