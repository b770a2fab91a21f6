/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/key.h"
#include "keystore/keyname.h"
#include "lib/auto.h"
#include "lib/mem.h"

/* Input: a pattern, a line end, a file name. An id that is found is in range and stands in the name, digit by digit. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_digits(const char *name, int64_t kid)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)kid);
    return strstr(name, digits) != NULL;
}

static void try(const char *pattern, bool whole, const char *name)
{
    AUTO(match_free) struct match *m = NULL;
    char why[160] = "";
    if (match_new(pattern, whole, why, sizeof why, &m) != ERR_OK)
        return;
    int64_t kid = -1;
    if (keyname_kid(m, name, &kid) != ERR_OK)
        return;
    if (kid < 0 || kid > KEY_KID_MAX || !has_digits(name, kid))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_free) char *pattern = mem_strndup((const char *)data, size);
    char *end = strchr(pattern, '\n');
    if (end == NULL)
        return 0;
    *end = '\0';
    try(pattern, true, end + 1);
    try(pattern, false, end + 1);
    return 0;
}
