/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_CHANGE_H
#define AUTH_DEVICE_CHANGE_H

#include "auth/device.h"
#include "auth/fleet.h"
#include "lib/db.h"
#include "lib/err.h"

/* Steps that a device's own requests and operators' decisions share; each runs in the caller's transaction tx. */

/* Whether one more device of tenant may be accepted (contract/deviceauth 5.6). ERR_DEVICE_LIMIT */
enum err device_change_check_limit(struct db *tx, const char *tenant);

/* Insert a device without sets that has this identity, and queue its event. ERR_DB_RETRY: somebody was faster */
enum err device_change_insert(const struct fleet *fleet, struct db *tx, struct device *device, const char *id_hash,
                              const char *request_id);

/* Give the device a new set; *set is borrowed from the device. ERR_DB_RETRY: somebody was faster */
enum err device_change_add_set(struct db *tx, struct device *device, const char *pubkey, const char *key_hash,
                               enum device_status status, struct auth_set **set);

/*
 * Give one of the device's sets another status. Accepting it rejects the accepted one; leaving "accepted" kills the
 * device's tokens (contract/deviceauth 5.2; design 8.8).
 */
enum err device_change_set(struct db *tx, struct device *device, struct auth_set *set, enum device_status status);

/* Give the device this status because of set: written, with its event, when it is another one. */
enum err device_change_status(const struct fleet *fleet, struct db *tx, struct device *device,
                              enum device_status status, const struct auth_set *set, const char *request_id);

#endif
