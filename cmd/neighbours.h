/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_NEIGHBOURS_H
#define CMD_NEIGHBOURS_H

#include "auth/fleet.h"
#include "auth/peers.h"
#include "cmd/config.h"
#include "lib/err.h"

/* What runs beside a server of devices: calls of the workflow engine, the writing of check-ins, who knows tenants. */

/* Start what the configuration asks for, and let the fleet know it. */
enum err neighbours_start(const struct config *config, struct fleet *fleet);

/* The server is about to stop. */
void neighbours_hurry(const struct config *config, struct fleet *fleet);

/* Stop what was started, if anything was. */
void neighbours_stop(struct fleet *fleet);

/* Whom health asks, borrowed from config. */
struct peers neighbours_peers(const struct config *config);

#endif
