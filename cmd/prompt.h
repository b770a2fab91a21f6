/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_PROMPT_H
#define CMD_PROMPT_H

#include "cmd/cmd.h"

/*
 * The password for a command: that of --password unless it is empty; with --password-stdin the first line of stdin;
 * otherwise it is asked for on stderr and read from the terminal without echo (contract/useradm 7).
 *   failed  the exit code when there is none
 * The caller frees *password (mem_wipe). cmd_fail() has said why on any other code than CMD_OK.
 */
enum cmd_exit prompt_password(const struct cmd *cmd, enum cmd_exit failed, char **password);

#endif
