/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>

/* Milliseconds since the Unix epoch: what tokens and rows are stamped with. Steps when the system's time is set. */
int64_t clock_ms(void);

/* The same in whole seconds, rounded down: JWT NumericDate (RFC 7519 section 2). */
int64_t clock_s(void);

/* Milliseconds of a clock that never steps: deadlines and cache ages. */
int64_t clock_mono_ms(void);

/* Nanoseconds of the clock that never steps: durations for histograms. */
int64_t clock_mono_ns(void);

/* Tests: stop both clocks at ms (they then move only by further calls); a negative ms lets them run again. */
void clock_set(int64_t ms);

/* Bytes that clock_rfc3339() writes at most, NUL included. */
#define CLOCK_RFC3339_SIZE 32

/*
 * Write ms as RFC 3339 in UTC, milliseconds with trailing zeros cut ("2026-11-21T09:05:05.12Z"; contract/useradm 1.1).
 */
void clock_rfc3339(int64_t ms, char out[CLOCK_RFC3339_SIZE]);

#endif
