/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/err.h"

static const struct {
    const char *name;
    int status;
    const char *text;
} rows[] = {
#define ERR_ROW(name, status, text) {#name, status, text},
    ERR_LIST(ERR_ROW)
#undef ERR_ROW
};

const char *err_name(enum err e)
{
    return rows[e].name;
}

int err_status(enum err e)
{
    return rows[e].status;
}

const char *err_text(enum err e)
{
    return rows[e].text;
}
