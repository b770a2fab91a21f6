/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_ADDON_H
#define AUTH_ADDON_H

#include <stddef.h>

#include "lib/err.h"

/* Room for the client's text. */
#define ADDON_WHY_SIZE 64

/*
 * Whether a device's token says that its tenant has the add-on that a path needs, or is on trial (contract/deviceauth
 * 3.3, c). The token was verified before.
 *   uri  X-Forwarded-Uri; NULL needs nothing
 *   why  receives the client's text
 * ERR_ADDON
 */
enum err addon_check(const char *token, size_t len, const char *uri, char why[ADDON_WHY_SIZE]);

#endif
