package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/spf13/cobra"
)

// keygenReport is what `keygen --json` prints.
type keygenReport struct {
	Private   string `json:"private"` // paths
	Public    string `json:"public"`
	PublicKey string `json:"public_key"` // hexadecimal
}

func newKeygen(e *env) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "keygen",
		Short: "Make a pair of keys to sign compiled models with",
		Long: `Keygen makes an Ed25519 key from the system's randomness and writes NAME.key, the private half that signs, for
its owner alone to read, and NAME.pub, the public half that devices and 'simc verify' check with. Each is one
line of text: sim-ed25519-private or sim-ed25519-public, a blank, 64 hexadecimal digits. Neither file is ever
overwritten. Keep the private one off the devices and out of the repository.`,
		Example: `  simc keygen -o release
  simc sign model.simb --key release.key --sequence 1
  simc verify model.simb --key release.pub`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return runKeygen(e, output)
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "signing", "path of both files without .key and .pub")
	return command
}

func runKeygen(e *env, output string) error {
	report := keygenReport{Private: output + ".key", Public: output + ".pub"}
	for _, path := range []string{report.Private, report.Public} {
		if err := needFolder(filepath.Dir(path)); err != nil {
			return err
		}
		if _, err := os.Lstat(path); err == nil {
			return usagef("%s exists: a key is never overwritten; choose another name with -o", path)
		}
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	if err := writeNew(report.Private, simb.FormatPrivateKey(private), 0o600); err != nil {
		return err
	}
	if err := writeNew(report.Public, simb.FormatPublicKey(public), 0o644); err != nil {
		_ = os.Remove(report.Private)
		return err
	}
	report.PublicKey = hex.EncodeToString(public)
	if e.json {
		return e.emit(report)
	}
	e.say("%s signs: keep it secret", report.Private)
	e.say("%s checks: %s", report.Public, report.PublicKey)
	return nil
}

// writeNew writes a file that must not be there yet. One that could not be written whole is removed.
func writeNew(path string, data []byte, mode fs.FileMode) (err error) {
	writing.Lock()
	defer writing.Unlock()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s exists: a key is never overwritten; choose another name with -o", path)
	}
	if err != nil {
		return usagef("%s cannot be written: %w", path, err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

// signReport is what `sign --json` prints.
type signReport struct {
	File      string `json:"file"`
	FileBytes int    `json:"file_bytes"`
	Sequence  uint64 `json:"sequence"`
	Digest    string `json:"digest_sha256"`
	PublicKey string `json:"public_key"`
}

func newSign(e *env) *cobra.Command {
	var key, output string
	var sequence uint64
	command := &cobra.Command{
		Use:   "sign MODEL.simb",
		Short: "Sign a compiled model",
		Long: `Sign puts an Ed25519 signature of the file's digest into the file, in place of one that it may have; nothing
else of it changes. The file is verified as on a device first. With --sequence the counter of releases in the
file is set before it is signed: a device that loads models with a least sequence refuses older ones. The new
file is written aside and renamed into place.`,
		Example: `  simc sign model.simb --key release.key --sequence 2`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return usagef("--key is missing: the private key that 'simc keygen' made")
			}
			var counter *uint64
			if cmd.Flags().Changed("sequence") {
				counter = &sequence
			}
			return runSign(e, args[0], key, output, counter)
		},
	}
	f := command.Flags()
	f.StringVar(&key, "key", "", "private key (NAME.key of 'simc keygen')")
	f.StringVarP(&output, "output", "o", "", "file to write (default: the model itself)")
	f.Uint64Var(&sequence, "sequence", 0, "counter of releases to put into the file (default: as it is)")
	return command
}

func runSign(e *env, path, keyPath, output string, sequence *uint64) error {
	if output == "" {
		output = path
	}
	if err := writable(output, keyPath); err != nil {
		return err
	}
	key, err := loadPrivateKey(keyPath)
	if err != nil {
		return err
	}
	data, err := readFile(path)
	if err != nil {
		return err
	}
	signed, err := signedFile(e, path, data, key, sequence)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	file, err := simb.Open(signed)
	if err != nil {
		return fmt.Errorf("the signed file does not open: %w", err)
	}
	public := key.Public().(ed25519.PublicKey)
	if err := simb.VerifySignature(file, public); err != nil {
		return fmt.Errorf("the new signature: %w", err)
	}
	if err := writeFile(output, signed); err != nil {
		return err
	}
	report := signReport{output, len(signed), file.Meta().Sequence, fmt.Sprintf("%x", file.Digest()), hex.EncodeToString(public)}
	if e.json {
		return e.emit(report)
	}
	e.say("%s: %d bytes, sequence %d, signed for the public key %s", report.File, report.FileBytes, report.Sequence, report.PublicKey)
	return nil
}

// signedFile returns a file with a signature and, where one is given, another sequence.
func signedFile(e *env, path string, data []byte, key ed25519.PrivateKey, sequence *uint64) ([]byte, error) {
	if sequence == nil {
		return simb.Sign(data, key)
	}
	file, err := simb.Open(data)
	if err != nil {
		return nil, err
	}
	if before := file.Meta().Sequence; before > *sequence {
		e.note("note: %s had the sequence %d; devices that have taken it will refuse %d", path, before, *sequence)
	}
	if data, err = simb.SetSequence(data, *sequence); err != nil {
		return nil, err
	}
	return simb.Sign(data, key)
}

func loadPrivateKey(path string) (ed25519.PrivateKey, error) {
	return loadKey(path, simb.ParsePrivateKey)
}

func loadPublicKey(path string) (ed25519.PublicKey, error) {
	return loadKey(path, simb.ParsePublicKey)
}

func loadKey[K any](path string, parse func([]byte) (K, error)) (key K, err error) {
	text, err := readFile(path)
	if err != nil {
		return key, err
	}
	if key, err = parse(text); err != nil {
		return key, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
