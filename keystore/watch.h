/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_WATCH_H
#define KEYSTORE_WATCH_H

#include "lib/err.h"

/*
 * A thread that calls back when a directory may have changed: on inotify events (a file closed after writing, moved,
 * deleted; an overflow counts as a change), every 2 s without any (network file systems, overlayfs, Kubernetes `..data`
 * swaps), and when kicked. Events that arrive together give one call. It starts and keeps polling also where inotify is
 * not to be had.
 */
struct watch;

#define WATCH_POLL_MS 2000

/* Start watching dir; changed(arg) runs on the watching thread only. ERR_INTERNAL when no thread can be had. */
enum err watch_start(const char *dir, void (*changed)(void *arg), void *arg, struct watch **out);

/* Ask for a call now: async-signal-safe, coalesced. */
void watch_kick(struct watch *watch);

/* Stop the thread and wait for a call under way. */
void watch_stop(struct watch **watch);

#endif
