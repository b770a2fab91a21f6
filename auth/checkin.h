/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_CHECKIN_H
#define AUTH_CHECKIN_H

#include "auth/device.h"
#include "auth/fleet.h"
#include "lib/err.h"

/*
 * When devices were last seen (contract/deviceauth 3.2, 3.3). Noting it costs neither a row nor an allocation: it is
 * kept in memory of a fixed size and written in batches, every CHECKIN_EVERY_MS and at the end, so that a crash loses
 * no more than that. Inventory is told when it was last told a day ago, in one transaction with the note that it was.
 */
struct checkin;

#define CHECKIN_EVERY_MS 10000

/* Start the thread that writes. fleet is borrowed and must live longer; its checkin may be set to this one. */
enum err checkin_start(const struct fleet *fleet, struct checkin **out);

/* Write what is left, and stop. */
void checkin_stop(struct checkin **checkin);

/* The device was seen now. Does not block; checkin may be NULL. */
void checkin_note(struct checkin *checkin, const char *device_id);

/* Give the device the time that is not written yet, if there is one; checkin may be NULL. */
void checkin_overlay(struct checkin *checkin, struct device *device);

/* Write now. Storage errors: nothing is forgotten, the next time writes it */
enum err checkin_write(struct checkin *checkin);

#endif
