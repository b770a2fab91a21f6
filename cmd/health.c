/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http.h"

#include <stdio.h>

#include "cmd/cmd.h"
#include "lib/auto.h"
#include "lib/mem.h"

enum { TIMEOUT_MS = 5000, REPLY_MAX = 64 * 1024 };

/* Where the server of this configuration answers on this machine; ":8081" listens everywhere, so also here. */
static char *own_url(const struct config *config)
{
    const char *address = *config->internal_listen != '\0' ? config->internal_listen : config->listen;
    const char *service = config->role == ROLE_DEVICEAUTH ? "devauth" : "useradm";
    return mem_printf("http://%s%s/api/internal/v1/%s/health", *address == ':' ? "127.0.0.1" : "", address, service);
}

static enum cmd_exit run(struct cmd *cmd)
{
    const char *given = cmd_value(cmd, "url");
    AUTO(mem_free) char *url = given != NULL ? mem_strdup(given) : own_url(cmd->config);
    struct http_request request = {.method = "GET", .url = url, .timeout_ms = TIMEOUT_MS, .reply_max = REPLY_MAX};
    char why[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    if (http_request(&request, why, &reply) != ERR_OK)
        return cmd_fail(cmd, CMD_USAGE, "%s: %s", url, why);
    if (reply.status < 200 || reply.status > 299)
        return cmd_fail(cmd, CMD_USAGE, "%s answers %d", url, reply.status);
    printf("healthy: %s\n", url);
    return CMD_OK;
}

static const struct cmd_option options[] = {
    {"url", "URL", "ask there instead of where the configuration has the server listen", NULL, false, false},
    {0},
};

const struct command health_command = {
    .name = "health",
    .summary = "Ask the running server whether it is well; exit code 1 when it is not.",
    .details = "The server is well when it answers and reaches its database. For HEALTHCHECK, and for probes that run "
               "a program.",
    .examples = "$0 health\n$0 health --url http://127.0.0.1:8081/api/internal/v1/useradm/health",
    .options = options,
    .run = run,
};
