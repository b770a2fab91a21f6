/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t fixed_ms = -1;

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_ms(void)
{
    int64_t fixed = atomic_load_explicit(&fixed_ms, memory_order_relaxed);
    return fixed >= 0 ? fixed : read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_s(void)
{
    return clock_ms() / 1000;
}

int64_t clock_mono_ms(void)
{
    int64_t fixed = atomic_load_explicit(&fixed_ms, memory_order_relaxed);
    return fixed >= 0 ? fixed : read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

void clock_set(int64_t ms)
{
    atomic_store(&fixed_ms, ms < 0 ? -1 : ms);
}

void clock_rfc3339(int64_t ms, char out[CLOCK_RFC3339_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t len = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (ms % 1000 != 0) {
        len += (size_t)snprintf(out + len, CLOCK_RFC3339_SIZE - len, ".%03d", (int)(ms % 1000));
        while (out[len - 1] == '0')
            len--;
    }
    snprintf(out + len, CLOCK_RFC3339_SIZE - len, "Z");
}
