/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_OPEN_H
#define CMD_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/plan.h"
#include "cmd/cmd.h"
#include "keystore/keyring.h"
#include "lib/db.h"
#include "lib/ratelimit.h"

/* Opening what commands work with, so that each of them fails with the same line. */

enum open_mode {
    OPEN_OLDER,   /* a missing SQLite file is made; the schema is not newer than this program's */
    OPEN_CURRENT, /* the database is there and has exactly this program's schema */
};

/* Whether the database is a SQLite file that is not there yet. */
bool open_is_new(const struct cmd *cmd);

/* CMD_DATABASE, CMD_SCHEMA: cmd_fail() has said why. */
enum cmd_exit open_db(const struct cmd *cmd, enum open_mode mode, size_t connections, struct db **out);

/* Bring the schema up to date; steps (may be NULL) receives how many were run. CMD_DATABASE, CMD_SCHEMA: as above */
enum cmd_exit open_migrate(const struct cmd *cmd, struct db *db, int *steps);

/* Whose keys and tokens a command is about: --service says it, or the program's name. CMD_USAGE: cmd_fail() */
enum cmd_exit open_service(const struct cmd *cmd, enum role *out);

/* An option for that. */
#define OPEN_SERVICE_OPTION                                                                                            \
    {                                                                                                                  \
        "service", "NAME", "useradm or deviceauth: whose keys (default useradm)", NULL, false, false                   \
    }

/*
 * The key ring of people's tokens (ROLE_USERADM) or of devices', which is the same where they share their keys.
 * CMD_KEYS: the key ring has logged why.
 */
enum cmd_exit open_ring(const struct cmd *cmd, enum role service, struct keyring **out);

/* The plans of the plan file, or the built-in one when there is no such file. CMD_USAGE: it is broken, cmd_fail() */
enum cmd_exit open_plans(const struct cmd *cmd, struct plan_list **out);

/* Say so when the configuration names a plan file that is not there. */
void open_warn_of_plans(const struct config *config, const struct plan_list *plans);

/* The rate limits of verified calls of people; NULL when they are off. CMD_KEYS: cmd_fail() has said why. */
enum cmd_exit open_limits(const struct cmd *cmd, enum role service, struct ratelimit **out);

#endif
