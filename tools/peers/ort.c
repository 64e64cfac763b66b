//go:build cgo && linux

#include "ort.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

// The interface is a table of pointers to functions whose order is fixed for ever; a library gives it for every
// version up to its own. These are the places of the functions that are used here.
enum {
	api_version = 8,
	at_error_message = 2,
	at_create_env = 3,
	at_create_session = 7,
	at_create_options = 10,
	at_optimised_path = 11,
	at_execution_mode = 13,
	at_disable_arena = 19,
	at_optimisation_level = 23,
	at_intra_threads = 24,
	at_inter_threads = 25,
	at_create_tensor = 49,
	at_cpu_memory = 69,
	at_release_status = 93,
	at_release_session = 95,
	at_release_value = 96,
	at_release_options = 100,
	at_run = 133,
	at_create_binding = 134,
	at_release_binding = 135,
	at_bind_input = 136,
	at_bind_output = 137,
};

enum { severity_error = 3, sequential = 0, all_optimisations = 99, float32 = 1, uint8 = 2, device_allocator = 0, memory_default = 0 };

typedef struct {
	const void *const *(*get_api)(uint32_t version);
	const char *(*version)(void);
} api_base;

struct ort_library {
	const api_base *base;
	const void *const *api;
	void *env, *memory;
};

struct ort_session {
	ort_library *library;
	void *session;
	size_t frames, row; // row: bytes of a batch
	ort_shape shape;
	unsigned char *data; // frames + 1 batches; the last one is ort_answer's
	float *outputs;
	void **inputs, **bindings; // a value and a binding for each batch of data
	void *output;
};

// call casts a place of the table to a type of function.
#define call(library, place, ...) ((void *(*)(__VA_ARGS__))(library)->api[place])

static void release(const ort_library *l, int place, void *object) {
	if (object) ((void (*)(void *))l->api[place])(object);
}

// check turns a status, null for success, into 0 or −1 and a message.
static int check(ort_library *l, void *status, char *error, size_t length) {
	if (!status) return 0;
	snprintf(error, length, "%s", ((const char *(*)(const void *))l->api[at_error_message])(status));
	release(l, at_release_status, status);
	return -1;
}

int ort_open(const char *path, ort_library **library, char *error, size_t length) {
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(error, length, "%s", dlerror());
		return -1;
	}
	const api_base *(*base)(void) = (const api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
	ort_library *l = calloc(1, sizeof *l);
	if (base) l->base = base();
	if (l->base) l->api = l->base->get_api(api_version);
	if (!l->api) {
		snprintf(error, length, "%s has no interface of version %d", path, api_version);
		free(l);
		return -1;
	}
	void *s = call(l, at_create_env, int, const char *, void **)(severity_error, "peers", &l->env);
	if (!s) s = call(l, at_cpu_memory, int, int, void **)(device_allocator, memory_default, &l->memory);
	*library = l;
	return check(l, s, error, length);
}

const char *ort_version(const ort_library *l) { return l->base->version(); }

// options returns the status of making the options of a session. Without the arena the small networks here run a few
// per cent faster, the large ones as fast.
static void *options(ort_library *l, const char *optimised, void **o) {
	void *s = call(l, at_create_options, void **)(o);
	if (!s) s = call(l, at_execution_mode, void *, int)(*o, sequential);
	if (!s) s = call(l, at_optimisation_level, void *, int)(*o, all_optimisations);
	if (!s) s = call(l, at_intra_threads, void *, int)(*o, 1);
	if (!s) s = call(l, at_inter_threads, void *, int)(*o, 1);
	if (!s) s = call(l, at_disable_arena, void *)(*o);
	if (!s && optimised) s = call(l, at_optimised_path, void *, const char *)(*o, optimised);
	return s;
}

// tensor returns the status of making a value of memory that stays the caller's.
static void *tensor(ort_library *l, void *data, size_t bytes, size_t batch, size_t width, int type, void **value) {
	const int64_t dims[2] = {(int64_t)batch, (int64_t)width};
	return call(l, at_create_tensor, const void *, void *, size_t, const int64_t *, size_t, int, void **)(
		l->memory, data, bytes, dims, 2, type, value);
}

// values returns the status of making all values of a session.
static void *values(ort_session *t, const void *frames) {
	const ort_shape h = t->shape;
	t->row = h.inputs * h.batch * (h.bytes ? 1 : sizeof(float));
	t->data = aligned_alloc(64, ((t->frames + 1) * t->row + 127) / 64 * 64);
	memcpy(t->data, frames, t->frames * t->row);
	memcpy(t->data + t->frames * t->row, frames, t->row);
	t->outputs = calloc(h.batch * h.outputs, sizeof(float));
	t->inputs = calloc(t->frames + 1, sizeof(void *));
	t->bindings = calloc(t->frames + 1, sizeof(void *));
	ort_library *l = t->library;
	void *s = tensor(l, t->outputs, h.batch * h.outputs * sizeof(float), h.batch, h.outputs, float32, &t->output);
	for (size_t k = 0; !s && k <= t->frames; k++) {
		s = tensor(l, t->data + k * t->row, t->row, h.batch, h.inputs, h.bytes ? uint8 : float32, &t->inputs[k]);
		if (!s) s = call(l, at_create_binding, void *, void **)(t->session, &t->bindings[k]);
		if (!s) s = call(l, at_bind_input, void *, const char *, const void *)(t->bindings[k], "input", t->inputs[k]);
		if (!s) s = call(l, at_bind_output, void *, const char *, const void *)(t->bindings[k], "output", t->output);
	}
	return s;
}

int ort_load(ort_library *l, const char *model, const char *optimised, ort_shape shape, const void *frames, size_t count,
             ort_session **session, char *error, size_t length) {
	ort_session *t = calloc(1, sizeof *t);
	t->library = l;
	t->frames = count;
	t->shape = shape;
	void *o = NULL;
	void *s = options(l, optimised, &o);
	if (!s) s = call(l, at_create_session, const void *, const char *, const void *, void **)(l->env, model, o, &t->session);
	release(l, at_release_options, o);
	if (!s) s = values(t, frames);
	if (check(l, s, error, length)) {
		ort_close(t);
		return -1;
	}
	*session = t;
	return 0;
}

// infer runs the graph on one of the batches. Bindings save a few per cent against names and values in each call.
static inline void *infer(ort_session *t, size_t frame) {
	return call(t->library, at_run, void *, const void *, const void *)(t->session, NULL, t->bindings[frame]);
}

int ort_run(ort_session *t, size_t first, size_t count, int64_t *each, char *error, size_t length) {
	int64_t before = each ? nanoseconds() : 0;
	for (size_t k = 0, frame = first % t->frames; k < count; k++) {
		void *s = infer(t, frame);
		if (s) return check(t->library, s, error, length);
		if (++frame == t->frames) frame = 0;
		if (each) {
			const int64_t now = nanoseconds();
			each[k] = now - before;
			before = now;
		}
	}
	return 0;
}

int ort_answer(ort_session *t, const void *batch, char *error, size_t length) {
	memcpy(t->data + t->frames * t->row, batch, t->row);
	return check(t->library, infer(t, t->frames), error, length);
}

const float *ort_outputs(const ort_session *t) { return t->outputs; }

void ort_close(ort_session *t) {
	ort_library *l = t->library;
	for (size_t k = 0; t->bindings && k <= t->frames; k++) {
		release(l, at_release_binding, t->bindings[k]);
		release(l, at_release_value, t->inputs[k]);
	}
	release(l, at_release_value, t->output);
	release(l, at_release_session, t->session);
	free(t->bindings);
	free(t->inputs);
	free(t->outputs);
	free(t->data);
	free(t);
}
