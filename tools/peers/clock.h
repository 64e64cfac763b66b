#ifndef SIM_PEERS_CLOCK_H
#define SIM_PEERS_CLOCK_H

#include <stdint.h>
#include <time.h>

// nanoseconds reads the monotonic clock.
static inline int64_t nanoseconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
