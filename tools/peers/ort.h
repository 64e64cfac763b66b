// ONNX Runtime through its C interface, opened at run time: nothing of it is needed to build.
#ifndef SIM_PEERS_ORT_H
#define SIM_PEERS_ORT_H

#include <stddef.h>
#include <stdint.h>

typedef struct ort_library ort_library;
typedef struct ort_session ort_session;

// ort_shape says how a session is called: batches of so many rows of floats or, with bytes, of uint8. The
// outputs are floats.
typedef struct {
	size_t inputs, outputs, batch;
	int bytes;
} ort_shape;

// Every function that can fail returns 0, or −1 with a message in error.

int ort_open(const char *path, ort_library **library, char *error, size_t length);
const char *ort_version(const ort_library *library);

// ort_load makes a session of one thread that runs nodes in order, with all optimisations of the graph. frames holds count
// batches, which are copied into values of the session. Where optimised is not null, the graph that is really run is
// written there.
int ort_load(ort_library *library, const char *model, const char *optimised, ort_shape shape, const void *frames,
             size_t count, ort_session **session, char *error, size_t length);

// ort_run runs count inferences, of the frames in rotation beginning with first. Where each is not null it receives
// the nanoseconds of each of them.
int ort_run(ort_session *session, size_t first, size_t count, int64_t *each, char *error, size_t length);

// ort_answer runs one inference of a batch that is not among the frames.
int ort_answer(ort_session *session, const void *batch, char *error, size_t length);

// ort_outputs returns where the outputs of the last inference lie.
const float *ort_outputs(const ort_session *session);

void ort_close(ort_session *session);

#endif
