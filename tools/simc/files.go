package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// writing is held while a file is written, so that an interrupt leaves no half of one.
var writing sync.Mutex

// writeFile writes a file aside, in the same folder, and renames it into place, so that a failure
// leaves what was there.
func writeFile(path string, data []byte) (err error) {
	writing.Lock()
	defer writing.Unlock()
	if err := needFolder(filepath.Dir(path)); err != nil {
		return err
	}
	aside, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("cannot write beside %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = aside.Close()
			_ = os.Remove(aside.Name())
		}
	}()
	if _, err = aside.Write(data); err != nil {
		return err
	}
	if err = aside.Chmod(0o644); err != nil {
		return err
	}
	if err = aside.Sync(); err != nil {
		return err
	}
	if err = aside.Close(); err != nil {
		return err
	}
	return os.Rename(aside.Name(), path)
}

// needFolder checks that a folder is there.
func needFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("%s: no such folder; make it first", path)
	case err != nil:
		return usageError{err}
	case !info.IsDir():
		return usagef("%s is a file, a folder is needed", path)
	}
	return nil
}

// writable checks before the work starts that a file can be made at path, and that it is none of the
// files that are read.
func writable(path string, sources ...string) error {
	if err := needFolder(filepath.Dir(path)); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return usagef("%s is a folder, a file is to be written", path)
	}
	for _, source := range sources {
		if other, otherErr := os.Stat(source); err == nil && otherErr == nil && os.SameFile(info, other) {
			return usagef("%s is read and would be overwritten; choose another output", path)
		}
	}
	writing.Lock()
	defer writing.Unlock()
	probe, err := os.CreateTemp(filepath.Dir(path), ".simc-*")
	if err != nil {
		return usagef("no file can be written in the folder %s: %w", filepath.Dir(path), err)
	}
	_ = probe.Close()
	return os.Remove(probe.Name())
}

// readFile reads a file that the user named.
func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s: no such file", path)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return data, nil
}

// beside returns path with another extension.
func beside(path, extension string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + extension
}
