// XNNPACK's operators for fully connected layers, opened at run time: nothing of it is needed to build.
#ifndef SIM_PEERS_XNN_H
#define SIM_PEERS_XNN_H

#include <stddef.h>
#include <stdint.h>

typedef struct xnn_library xnn_library;
typedef struct xnn_net xnn_net;

// xnn_layer is one layer, y = clamp(W x + b): W is outputs × inputs, row-major. Either weights and biases are int8
// and int32, with scales and zero points; or both are float32 and the scales unused.
typedef struct {
	size_t inputs, outputs;
	const void *weights, *biases;
	float input_scale, weight_scale, output_scale;
	int8_t input_zero, output_zero;
	float float_min; // 0 for relu, in floats; in integers output_zero is −128 then, and the range's end does it
} xnn_layer;

// Every function that can fail returns 0, or −1 with a message in error.

// xnn_library_open opens the library. Those from 2022-04 on take other arguments and are refused.
int xnn_library_open(const char *path, xnn_library **library, char *error, size_t length);

// xnn_net_load makes a chain of layers for batches of so many rows; bytes says that they are quantised. frames holds
// count batches, which are copied.
int xnn_net_load(xnn_library *library, const xnn_layer *layers, size_t depth, size_t batch, int bytes, const void *frames,
                 size_t count, xnn_net **net, char *error, size_t length);

// xnn_net_run runs count inferences, of the frames in rotation beginning with first. Where each is not null it
// receives the nanoseconds of each of them.
int xnn_net_run(xnn_net *net, size_t first, size_t count, int64_t *each, char *error, size_t length);

// xnn_net_answer runs one inference of a batch that is not among the frames.
int xnn_net_answer(xnn_net *net, const void *batch, char *error, size_t length);

// xnn_net_outputs returns where the outputs of the last inference lie, int8 or float32.
const void *xnn_net_outputs(const xnn_net *net);

void xnn_net_close(xnn_net *net);

#endif
