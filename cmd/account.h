/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_ACCOUNT_H
#define CMD_ACCOUNT_H

#include "cmd/cmd.h"
#include "lib/err.h"

/* What user.c and useradm.c do in the same way under other names of options. */

/* Ask for the password if need be, create the user, print the id and nothing else on stdout. id may be NULL. */
enum cmd_exit account_create(struct cmd *cmd, const char *email, const char *id);

/* Ask for the password if need be, set it; all tokens of the user die. Silent. */
enum cmd_exit account_set_password(struct cmd *cmd, const char *email, const char *tenant);

/* Why a user could not be changed, for a person: the client's text, save where that says nothing. */
const char *account_why(enum err e);

#endif
