/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_WINDOW_H
#define LIB_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How often did it happen in this minute? Counters of events by key, each over fixed windows of time: window number
 * unix time / interval, so that all keys of one interval start anew at the same moment.
 *
 * Memory is bounded and taken once: a table of slots. A slot whose window is over is free for another key. When there
 * is none for a new key, that key is not counted until one is over; keys that have a slot go on being counted
 * exactly. Any thread may call; the table has many locks.
 */
struct window;

/* Room for about that many keys in one window. */
struct window *window_new(size_t keys);
void window_free(struct window **w);

/*
 * Count one event of key (any bytes; a key has always the same interval).
 *   interval_ms  > 0
 *   count        receives how many there were in this window, with this one
 *   left_ms      receives how long the window still lasts, > 0
 * false: there is no room for the key; count is 0
 */
bool window_count(struct window *w, const void *key, size_t len, int64_t interval_ms, int64_t *count, int64_t *left_ms);

#endif
