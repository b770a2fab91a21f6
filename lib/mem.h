/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_MEM_H
#define LIB_MEM_H

#include <stddef.h>
#include <stdio.h>

/*
 * Memory that is always there: when the system has none left these say so on stderr and abort, so callers never check.
 * What they return is freed with mem_free() or free().
 */

/* Say that there is no memory and abort: for what libraries allocate for us. */
_Noreturn void mem_none(void);

/* n * size zeroed bytes; aborts on overflow of the product too. */
void *mem_calloc(size_t n, size_t size);

/* Grow or shrink *p, an array of n elements of size bytes each. */
void *mem_resize(void *p, size_t n, size_t size);

/* A copy of the string s; NULL stays NULL. */
char *mem_strdup(const char *s);

/* A copy of len bytes, with a NUL behind them. */
char *mem_strndup(const char *s, size_t len);

/* A new string by printf's rules. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A stream into a new string, which is there after mem_close(): *text, that the caller frees, of *len bytes. */
FILE *mem_open(char **text, size_t *len);
void mem_close(FILE **stream);

/* Free *p and set it to NULL; takes the address of any char pointer, so it is an AUTO handler for strings. */
void mem_free(char **p);

/* As mem_free(), after wiping the string: for passwords, tokens and key material. */
void mem_wipe(char **p);

/*
 * Before threads start: memory that was freed is kept for the next request, up to 1 MiB for each arena of malloc. By
 * default every thread would give back and take again the same pages all the time.
 */
void mem_keep(void);

#endif
