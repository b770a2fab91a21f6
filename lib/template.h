/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_TEMPLATE_H
#define LIB_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/*
 * The part of Go's text/template that operators write into a configuration:
 *
 *   {{.Record.Text}}, {{.}}            the value of a field; in a "with" names start there, those behind $ do not
 *   {{with .Record}}, {{if .A.Flag}}   ... {{else if eq .A.Text "x" "y"}} ... {{else}} ... {{end}}
 *   eq, ne, not                        in such a condition; texts are "quoted" or `raw`
 *   {{- ... -}}                        white space before and behind goes
 *
 * Everything is checked when it is parsed, the names and types of fields included, so that rendering cannot fail.
 */
struct template;

enum template_kind { TEMPLATE_TEXT, TEMPLATE_FLAG, TEMPLATE_RECORD };

/* What a template can name. Records are listed too; they are there or not. */
struct template_field {
    const char *path; /* "Record.Text"; NULL ends a list */
    enum template_kind kind;
};

/* The value of a field, in the order of the list. */
struct template_value {
    const char *text; /* of a text; NULL: "" */
    bool is_set;      /* a flag; of a record, that it is there */
};

#define TEMPLATE_WHY_SIZE 192

/* Bytes of a template at most; of a text that is put in, at most (the rest is cut); room for what becomes of them. */
#define TEMPLATE_SOURCE_MAX 1024
#define TEMPLATE_VALUE_MAX 255
#define TEMPLATE_OUT_SIZE 2048

/*
 * Parse source. fields is borrowed, for good.
 *   why  receives what is wrong, with its position in bytes, from 1
 * ERR_PATTERN
 */
enum err template_parse(const char *source, const struct template_field *fields, char why[TEMPLATE_WHY_SIZE],
                        struct template **out);
void template_free(struct template **t);

/* What it renders to when it names no field; otherwise NULL. Borrowed. */
const char *template_constant(const struct template *t);

/* Render it; returns the length of what is in out. */
size_t template_render(const struct template *t, const struct template_value *values, char out[TEMPLATE_OUT_SIZE]);

#endif
