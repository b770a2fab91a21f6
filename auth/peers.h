/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_PEERS_H
#define AUTH_PEERS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* Services that the device service works with: their addresses, "http://host:port/"; borrowed, NULL or "" for none. */
struct peers {
    const char *inventory_addr;
    const char *orchestrator_addr;
    const char *tenantadm_addr;
};

bool peers_has_any(const struct peers *peers);

#define PEERS_WHY_SIZE 512

/* Milliseconds that this may take in all. */
#define PEERS_HEALTH_MS 5000

/*
 * Ask each of them whether it is well (contract/deviceauth 1.4, row 14); blocks.
 * ERR_UNAVAILABLE: why says which is not
 */
enum err peers_check(const struct peers *peers, char why[PEERS_WHY_SIZE]);

/*
 * addr, with http:// where it has no scheme and without the slashes at its end, and path behind it; the caller frees it
 * (contract/deviceauth 6).
 */
char *peers_url(const char *addr, const char *path);

/* Whether text is fit for the value of a header: printable ASCII, no longer than max. */
bool peers_is_header(const char *text, size_t max);

#endif
