/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_ENROL_H
#define AUTH_DEVICE_ENROL_H

#include "auth/claims.h"
#include "auth/device.h"
#include "auth/fleet.h"
#include "lib/err.h"

/*
 * Let a device in whose request has the right form and signature: find or make its record and its authentication set,
 * accept a preauthorized one, and give it a token when the set is accepted (contract/deviceauth 2.7). Repeating a
 * request changes nothing.
 *   plan        what the token says of the tenant
 *   request_id  of the HTTP request
 *   may_block   false: only a device that was let in before gets its token, and only where that makes nobody wait
 *               (db_prompt()) and signing is fast; for all else ERR_WOULD_BLOCK
 * The caller frees *token (mem_wipe). ERR_WOULD_BLOCK. ERR_DEVICE_UNAUTHORIZED: the set is not accepted, or the device
 * is being decommissioned. ERR_UNAUTHORIZED: preauthorized, but the tenant's limit is reached. ERR_WORKFLOW: recorded,
 * but the workflow engine does not know yet. ERR_SIGN, ERR_KEY_NONE, storage errors
 */
enum err device_enrol(const struct fleet *fleet, const struct device_identity *identity, const struct claims_plan *plan,
                      const char *request_id, bool may_block, char **token);

#endif
