//go:build cgo && linux

#include "xnn.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum { extra = 16 }; // bytes that the library may read beyond the end of an input

typedef void *operator;

// What is used of the library, as it was in 2022-02.
struct xnn_library {
	int (*initialize)(const void *allocator);
	int (*create_qs8)(size_t, size_t, size_t, size_t, int8_t, float, float, const int8_t *, const int32_t *, int8_t, float,
	                  int8_t, int8_t, uint32_t, operator *);
	int (*setup_qs8)(operator, size_t, const int8_t *, int8_t *, void *);
	int (*create_f32)(size_t, size_t, size_t, size_t, const float *, const float *, float, float, uint32_t, operator *);
	int (*setup_f32)(operator, size_t, const float *, float *, void *);
	int (*run)(operator, void *);
	int (*delete)(operator);
};

struct xnn_net {
	xnn_library *library;
	size_t depth, batch, frames, row; // row: bytes of a batch
	int bytes;
	unsigned char *data; // frames + 1 batches; the last one is xnn_net_answer's
	operator *operators;
	void **values; // the output of each layer
};

static int fail(char *error, size_t length, const char *what, int status) {
	snprintf(error, length, "%s: status %d", what, status);
	return -1;
}

int xnn_library_open(const char *path, xnn_library **library, char *error, size_t length) {
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(error, length, "%s", dlerror());
		return -1;
	}
	static const char *const later[] = {"xnn_reshape_fully_connected_nc_qs8", "xnn_init_code_cache", "xnn_init_weights_cache", "xnn_create_weights_cache"};
	for (size_t k = 0; k < sizeof later / sizeof *later; k++)
		if (dlsym(handle, later[k])) {
			snprintf(error, length, "%s has %s: it is newer than the interface of 2022-02 that is used here", path, later[k]);
			return -1;
		}
	xnn_library *l = calloc(1, sizeof *l);
	const struct { const char *name; void **to; } symbols[] = {
		{"xnn_initialize", (void **)&l->initialize},
		{"xnn_create_fully_connected_nc_qs8", (void **)&l->create_qs8},
		{"xnn_setup_fully_connected_nc_qs8", (void **)&l->setup_qs8},
		{"xnn_create_fully_connected_nc_f32", (void **)&l->create_f32},
		{"xnn_setup_fully_connected_nc_f32", (void **)&l->setup_f32},
		{"xnn_run_operator", (void **)&l->run},
		{"xnn_delete_operator", (void **)&l->delete},
	};
	for (size_t k = 0; k < sizeof symbols / sizeof *symbols; k++)
		if (!(*symbols[k].to = dlsym(handle, symbols[k].name))) {
			snprintf(error, length, "%s has no %s", path, symbols[k].name);
			return -1;
		}
	const int status = l->initialize(NULL);
	if (status) return fail(error, length, "xnn_initialize", status);
	*library = l;
	return 0;
}

static int create(xnn_net *n, const xnn_layer *y, operator *o) {
	if (!n->bytes)
		return n->library->create_f32(y->inputs, y->outputs, y->inputs, y->outputs, y->weights, y->biases, y->float_min, INFINITY, 0, o);
	return n->library->create_qs8(y->inputs, y->outputs, y->inputs, y->outputs, y->input_zero, y->input_scale, y->weight_scale,
	                              y->weights, y->biases, y->output_zero, y->output_scale, -128, 127, 0, o);
}

// setup binds an operator to where its input and output lie; null is the pool of threads: none.
static inline int setup(xnn_net *n, size_t layer, const void *input) {
	if (!n->bytes) return n->library->setup_f32(n->operators[layer], n->batch, input, n->values[layer], NULL);
	return n->library->setup_qs8(n->operators[layer], n->batch, input, n->values[layer], NULL);
}

int xnn_net_load(xnn_library *l, const xnn_layer *layers, size_t depth, size_t batch, int bytes, const void *frames,
                 size_t count, xnn_net **net, char *error, size_t length) {
	xnn_net *n = calloc(1, sizeof *n);
	const size_t size = bytes ? 1 : sizeof(float);
	n->library = l, n->depth = depth, n->batch = batch, n->bytes = bytes, n->frames = count;
	n->row = batch * layers[0].inputs * size;
	n->data = calloc((count + 1) * n->row + extra, 1);
	memcpy(n->data, frames, count * n->row);
	memcpy(n->data + count * n->row, frames, n->row);
	n->operators = calloc(depth, sizeof *n->operators);
	n->values = calloc(depth, sizeof *n->values);
	for (size_t k = 0; k < depth; k++) {
		n->values[k] = calloc(batch * layers[k].outputs * size + extra, 1);
		int status = create(n, &layers[k], &n->operators[k]);
		if (!status) status = setup(n, k, k ? n->values[k - 1] : n->data);
		if (status) {
			xnn_net_close(n);
			return fail(error, length, "a fully connected layer", status);
		}
	}
	*net = n;
	return 0;
}

// infer runs all layers on one of the batches. Setting the first operator up anew costs no more than copying the batch
// to where it is bound.
static inline int infer(xnn_net *n, size_t frame) {
	int status = setup(n, 0, n->data + frame * n->row);
	for (size_t k = 0; !status && k < n->depth; k++) status = n->library->run(n->operators[k], NULL);
	return status;
}

int xnn_net_run(xnn_net *n, size_t first, size_t count, int64_t *each, char *error, size_t length) {
	int64_t before = each ? nanoseconds() : 0;
	for (size_t k = 0, frame = first % n->frames; k < count; k++) {
		const int status = infer(n, frame);
		if (status) return fail(error, length, "running", status);
		if (++frame == n->frames) frame = 0;
		if (each) {
			const int64_t now = nanoseconds();
			each[k] = now - before;
			before = now;
		}
	}
	return 0;
}

int xnn_net_answer(xnn_net *n, const void *batch, char *error, size_t length) {
	memcpy(n->data + n->frames * n->row, batch, n->row);
	const int status = infer(n, n->frames);
	return status ? fail(error, length, "running", status) : 0;
}

const void *xnn_net_outputs(const xnn_net *n) { return n->values[n->depth - 1]; }

void xnn_net_close(xnn_net *n) {
	for (size_t k = 0; k < n->depth; k++) {
		if (n->operators[k]) n->library->delete(n->operators[k]);
		free(n->values[k]);
	}
	free(n->operators);
	free(n->values);
	free(n->data);
	free(n);
}
