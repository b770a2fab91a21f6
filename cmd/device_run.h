/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_DEVICE_RUN_H
#define CMD_DEVICE_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/device.h"
#include "auth/device_find.h"
#include "auth/fleet.h"
#include "auth/iddata.h"
#include "cmd/cmd.h"
#include "keystore/pubkey.h"
#include "lib/db.h"
#include "lib/err.h"

/* What the commands about devices work with, and how a person's words become devices, keys and identities. */

struct device_run {
    const struct cmd *cmd;
    const char *tenant; /* --tenant; "" */
    struct db *db;
    struct fleet fleet;
    bool is_late; /* the workflow engine was told in vain */
};

/* CMD_DATABASE, CMD_SCHEMA: cmd_fail() has said why. Always to be closed. */
enum cmd_exit device_run_open(const struct cmd *cmd, struct device_run *out);
void device_run_close(struct device_run *run);

/* Room for a line that says to a person what is wrong. */
#define DEVICE_WHY_SIZE 480

/* The one device that text names (device_find()). ERR_INVALID, and why says what is wrong; storage errors */
enum err device_run_find(const struct device_run *run, const char *text, char why[DEVICE_WHY_SIZE],
                         struct device **out);

/*
 * Which of the device's sets is to get this status: the one that key names (an id, or the first 8 or more digits of a
 * device_key_name); with NULL the only one that waits or, of a device of which none waits, the accepted or only one.
 * Borrowed from device. ERR_INVALID, and why
 */
enum err device_run_choose(const struct device *device, const char *key, enum device_status status,
                           char why[DEVICE_WHY_SIZE], struct auth_set **out);

/* Give the set that status. *changed: it had another one. ERR_INVALID, and why; storage errors */
enum err device_run_decide(struct device_run *run, const struct device *device, const struct auth_set *set,
                           enum device_status status, char why[DEVICE_WHY_SIZE], bool *changed);

/* An identity that a person writes: NAME=VALUE ..., or one JSON object. ERR_INVALID, and why */
enum err device_run_identity(const char *const *words, size_t n, char why[DEVICE_WHY_SIZE], struct iddata *out);

/* Bits that an RSA key of a device must have. */
int device_run_rsa_bits(const struct cmd *cmd);

/* The public key in a PEM file. ERR_INVALID, and why */
enum err device_run_pubkey(const struct cmd *cmd, const char *path, char why[DEVICE_WHY_SIZE], struct pubkey **out);

/* Let the identity in with this key when it asks. *changed: it was not so already. ERR_INVALID, and why; storage */
enum err device_run_preauthorize(struct device_run *run, const struct iddata *id, const struct pubkey *key, bool force,
                                 char why[DEVICE_WHY_SIZE], char **device_id, bool *changed);

/* A change that the workflow engine does not know of yet is one: said once, and from then on it is not waited for. */
enum err device_run_told(struct device_run *run, enum err e);

#endif
