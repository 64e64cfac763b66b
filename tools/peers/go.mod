module github.com/sparse-implicit/sim/tools/peers

go 1.25.0

require (
	github.com/sparse-implicit/sim v0.0.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/google/flatbuffers v25.12.19+incompatible // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	golang.org/x/sys v0.46.0 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
)

replace github.com/sparse-implicit/sim => ../..
