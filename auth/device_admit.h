/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_ADMIT_H
#define AUTH_DEVICE_ADMIT_H

#include <stdbool.h>

#include "auth/device.h"
#include "auth/fleet.h"
#include "lib/err.h"

/*
 * What operators and the workflow engine decide about devices (contract/deviceauth 5). Each is one transaction with its
 * events; ERR_WORKFLOW means that it was done and that the engine learns of it later.
 *   request_id  of the HTTP request, for the events
 */

/*
 * Preauthorize a key of a device, which is then let in when it asks (contract/deviceauth 5.1; design 8.6).
 *   force     also when the device is known: its set of this key is, or becomes, preauthorized
 *   id        receives the device's id; the caller frees it
 *   conflict  receives the known device on ERR_DEVICE_EXISTS; the caller frees it
 */
enum err device_admit_preauthorize(const struct fleet *fleet, const struct device_identity *identity, bool force,
                                   const char *request_id, char **id, struct device **conflict);

/*
 * Accept, reject or set back a set (contract/deviceauth 5.2). ERR_OK also when it had that status.
 * ERR_AUTH_SET_NOT_FOUND, ERR_DEVICE_MISMATCH, ERR_DEVICE_TRANSITION, ERR_DEVICE_LIMIT
 */
enum err device_admit_set_status(const struct fleet *fleet, const char *tenant, const char *device_id,
                                 const char *set_id, enum device_status status, const char *request_id);

/*
 * Delete a set of the device; a device that was only preauthorized goes with its last one (contract/deviceauth 5.3;
 * design 8.6). ERR_AUTH_SET_NOT_FOUND, also when it is another device's
 */
enum err device_admit_delete_set(const struct fleet *fleet, const char *tenant, const char *device_id,
                                 const char *set_id, const char *request_id);

/*
 * Decommission: its tokens are dead at once, and the workflow engine is asked to have it removed everywhere, which ends
 * with device_admit_delete(). Without an engine it is deleted here and now. ERR_DEVICE_NOT_FOUND
 */
enum err device_admit_decommission(const struct fleet *fleet, const char *tenant, const char *device_id,
                                   const char *request_id);

/* Remove a device with all that belongs to it. ERR_DEVICE_NOT_FOUND */
enum err device_admit_delete(const struct fleet *fleet, const char *tenant, const char *device_id);

/* Note that the device was provisioned, or is to be again. ERR_DEVICE_NOT_FOUND */
enum err device_admit_set_provisioned(const struct fleet *fleet, const char *tenant, const char *device_id,
                                      bool is_provisioned);

/* Revoke the token of a set. ERR_NOT_FOUND */
enum err device_admit_revoke(const struct fleet *fleet, const char *tenant, const char *jti);

/* Revoke the tokens of a device or, with NULL, of the tenant. */
enum err device_admit_revoke_all(const struct fleet *fleet, const char *tenant, const char *device_id);

#endif
