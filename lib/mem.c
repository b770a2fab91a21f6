/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *present(void *p)
{
    if (p == NULL)
        mem_none();
    return p;
}

void mem_none(void)
{
    fputs("mintd: out of memory\n", stderr);
    abort();
}

void *mem_calloc(size_t n, size_t size)
{
    return present(calloc(n > 0 ? n : 1, size > 0 ? size : 1));
}

void *mem_resize(void *p, size_t n, size_t size)
{
    return present(reallocarray(p, n > 0 ? n : 1, size > 0 ? size : 1));
}

char *mem_strdup(const char *s)
{
    return s == NULL ? NULL : present(strdup(s));
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_calloc(len + 1, 1);
    if (len > 0)
        memcpy(copy, s, len);
    return copy;
}

char *mem_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return present(len < 0 ? NULL : text);
}

FILE *mem_open(char **text, size_t *len)
{
    return present(open_memstream(text, len));
}

void mem_close(FILE **stream)
{
    bool is_cut = ferror(*stream) != 0;
    if (fclose(*stream) != 0 || is_cut)
        mem_none();
    *stream = NULL;
}

void mem_free(char **p)
{
    free(*p);
    *p = NULL;
}

void mem_wipe(char **p)
{
    if (*p != NULL)
        explicit_bzero(*p, strlen(*p));
    mem_free(p);
}

void mem_keep(void)
{
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}
