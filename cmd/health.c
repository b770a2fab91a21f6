/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define HEALTH_PATH "/api/internal/v1/useradm/health"

enum { TIMEOUT_S = 5 };

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void free_found(struct addrinfo **found)
{
    if (*found != NULL)
        freeaddrinfo(*found);
}

/* A connection to "host:port" or "[host]:port"; -1 when there is none. */
static int connect_to(const char *address)
{
    const char *colon = strrchr(address, ':');
    bool is_bracketed = *address == '[' && colon != NULL && colon > address + 1;
    AUTO(mem_free)
    char *host = colon == NULL ? mem_strdup(address)
                               : mem_strndup(address + is_bracketed, (size_t)(colon - address) - 2 * is_bracketed);
    AUTO(free_found) struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, colon == NULL ? "80" : colon + 1, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval limit = {.tv_sec = TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, found->ai_addr, found->ai_addrlen) == 0)
        return fd;
    close_fd(&fd);
    return -1;
}

/* The status of GET address path; 0 when no such answer came. */
static int get(const char *address, const char *path)
{
    AUTO(close_fd) int fd = connect_to(address);
    if (fd < 0)
        return 0;
    AUTO(mem_free)
    char *request = mem_printf("GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", path, address);
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return 0;
    char line[sizeof "HTTP/1.1 200"] = "";
    int status = 0;
    if (recv(fd, line, sizeof line - 1, MSG_WAITALL) != sizeof line - 1)
        return 0;
    return sscanf(line, "HTTP/1.%*1[01] %3d", &status) == 1 ? status : 0;
}

/* Where the server of this configuration answers on this machine; ":8081" listens everywhere, so also here. */
static enum cmd_exit run(struct cmd *cmd)
{
    const struct config *config = cmd->config;
    const char *own = *config->internal_listen != '\0' ? config->internal_listen : config->listen;
    AUTO(mem_free) char *address = mem_printf("%s%s", *own == ':' ? "127.0.0.1" : "", own);
    int status = get(address, HEALTH_PATH);
    if (status == 0)
        return cmd_fail(cmd, CMD_USAGE, "http://%s%s does not answer", address, HEALTH_PATH);
    if (status < 200 || status > 299)
        return cmd_fail(cmd, CMD_USAGE, "http://%s%s answers %d", address, HEALTH_PATH, status);
    printf("healthy: http://%s%s\n", address, HEALTH_PATH);
    return CMD_OK;
}

const struct command health_command = {
    .name = "health",
    .summary = "Ask the running server whether it is well; exit code 1 when it is not.",
    .details = "The server is well when it answers and reaches its database. For HEALTHCHECK, and for probes that run "
               "a program.",
    .examples = "$0 health",
    .run = run,
};
