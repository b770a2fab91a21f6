/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/peers.h"

#include <stdio.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/http.h"
#include "lib/mem.h"

enum { REPLY_MAX = 64 * 1024 };

static bool is_set(const char *addr)
{
    return addr != NULL && *addr != '\0';
}

/* One peer, until then on the clock that never steps. */
static enum err check(const char *name, const char *addr, const char *path, int64_t until_ns, char why[PEERS_WHY_SIZE])
{
    if (!is_set(addr))
        return ERR_OK;
    AUTO(mem_free) char *url = peers_url(addr, path);
    int64_t left_ms = (until_ns - clock_mono_ns()) / 1000000;
    const struct http_request request = {.method = "GET",
                                         .url = url,
                                         .timeout_ms = left_ms > 0 ? left_ms : 1,
                                         .reply_max = REPLY_MAX};
    char cause[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    if (http_request(&request, cause, &reply) == ERR_OK) {
        if (reply.status >= 200 && reply.status < 300)
            return ERR_OK;
        snprintf(cause, sizeof cause, "it answers %d", reply.status);
    }
    snprintf(why, PEERS_WHY_SIZE, "%s service unhealthy: %s", name, cause);
    return ERR_UNAVAILABLE;
}

bool peers_has_any(const struct peers *peers)
{
    return is_set(peers->inventory_addr) || is_set(peers->orchestrator_addr) || is_set(peers->tenantadm_addr);
}

enum err peers_check(const struct peers *peers, char why[PEERS_WHY_SIZE])
{
    const int64_t until_ns = clock_mono_ns() + INT64_C(1000000) * PEERS_HEALTH_MS;
    TRY(check("Inventory", peers->inventory_addr, "/api/internal/v1/inventory/health", until_ns, why));
    TRY(check("Workflows", peers->orchestrator_addr, "/api/v1/health", until_ns, why));
    return check("Tenantadm", peers->tenantadm_addr, "/api/internal/v1/tenantadm/health", until_ns, why);
}

char *peers_url(const char *addr, const char *path)
{
    size_t len = strlen(addr);
    while (len > 0 && addr[len - 1] == '/')
        len--;
    return mem_printf("%s%.*s%s", strstr(addr, "://") != NULL ? "" : "http://", (int)len, addr, path);
}

bool peers_is_header(const char *text, size_t max)
{
    size_t len = 0;
    while (text[len] >= ' ' && text[len] <= '~')
        len++;
    return text[len] == '\0' && len <= max;
}
