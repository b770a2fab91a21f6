/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_HAZARD_H
#define KEYSTORE_HAZARD_H

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Hazard slots (Michael 2004): a reader writes down which object it uses, whoever replaced the object frees it when
 * nobody has it written down any more. Readers never wait for writers. The slots are the process's; HAZARD_SLOTS
 * objects may be held at the same time.
 */
#define HAZARD_SLOTS 1024

/* The object that *current names, safe from being freed until hazard_release(*slot). */
void *hazard_acquire(_Atomic(void *) *current, void **slot);
void hazard_release(void *slot);

/* Whether a reader holds it. Once nothing names the object any more and this has said no, it stays no. */
bool hazard_is_held(const void *object);

#endif
