/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/config.h"
#include "lib/auto.h"
#include "lib/mem.h"

/* A configuration that is accepted prints as text that is accepted and prints the same again. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    config_print(config, out);
    fclose(out);
    return text;
}

static void round_trip(enum role role, const char *data, size_t size)
{
    AUTO(config_free) struct config *config = NULL;
    if (config_parse(role, data, size, &config) != ERR_OK)
        return;
    AUTO(mem_free) char *first = print(config);
    AUTO(config_free) struct config *again = NULL;
    if (config_parse(role, first, strlen(first), &again) != ERR_OK)
        abort();
    AUTO(mem_free) char *second = print(again);
    if (strcmp(first, second) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_to(-1);
    round_trip(ROLE_MINTD, (const char *)data, size);
    round_trip(ROLE_USERADM, (const char *)data, size);
    return 0;
}
