/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_EVENT_H
#define AUTH_DEVICE_EVENT_H

#include "auth/device.h"
#include "auth/fleet.h"
#include "lib/db.h"
#include "lib/err.h"

/*
 * The calls of the workflow engine that changes of devices cause (contract/deviceauth 5.5), queued in the transaction
 * tx. Without an engine these do nothing.
 */

/* What inventory learns of an identity, as JSON: [{"name", "value", "scope"}, ...]. The caller frees it. */
char *device_event_attributes(const char *id_data);

/* A device became known: inventory learns its identity. */
enum err device_event_identity(const struct fleet *fleet, struct db *tx, const struct device *device,
                               const char *request_id);

/*
 * The device has another status because of set: it is provisioned when it is accepted for the first time, else
 * inventory learns the status.
 */
enum err device_event_status(const struct fleet *fleet, struct db *tx, const struct device *device,
                             const struct auth_set *set, const char *request_id);

/* A preauthorized device lost its last set and is gone. */
enum err device_event_gone(const struct fleet *fleet, struct db *tx, const struct device *device,
                           const char *request_id);

/* The device is to be removed everywhere. */
enum err device_event_decommission(const struct fleet *fleet, struct db *tx, const struct device *device,
                                   const char *request_id);

/* It was seen after a day: inventory learns when. */
enum err device_event_seen(const struct fleet *fleet, struct db *tx, const char *tenant, const char *device_id,
                           int64_t seen_ms, const char *request_id);

#endif
