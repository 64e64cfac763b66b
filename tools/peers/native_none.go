//go:build !cgo || !linux

package main

import "errors"

var errNotNative = errors.New("this program was built without cgo, or not for Linux: peers in C cannot be opened")

func probeOnnxRuntime(string) (string, error) { return "", errNotNative }

func probeXNNPACK(string) (string, error) { return "", errNotNative }

func openOnnxRuntime(recipe, [][]float32) (engine, error) { return nil, errNotNative }

func openXNNPACK(recipe, [][]float32) (engine, error) { return nil, errNotNative }
