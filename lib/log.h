/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One line an event, on stderr, written with one write(): either text (level, message, key=value) or a JSON object
 * (time, level, msg, then the fields). Values are escaped in both, so what a client sends cannot forge a line.
 * Tokens, passwords and key material are never passed here.
 *
 *   log_info("key accepted", LOG_STR("file", name), LOG_INT("kid", kid));
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends a list */
    const char *str; /* NULL: num is the value */
    int64_t num;
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .str = log_str(v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .num = (int64_t)(v)})
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})

/* A message and its fields; the end comes with the call, so that there may be no field at all. */
#define LOG_END ((struct log_field){.key = NULL})
#define LOG_CALL(level, msg, ...) log_line(level, msg, (const struct log_field[]){__VA_ARGS__})
#define log_debug(...) LOG_CALL(LOG_DEBUG, __VA_ARGS__, LOG_END)
#define log_info(...) LOG_CALL(LOG_INFO, __VA_ARGS__, LOG_END)
#define log_warn(...) LOG_CALL(LOG_WARN, __VA_ARGS__, LOG_END)
#define log_error(...) LOG_CALL(LOG_ERROR, __VA_ARGS__, LOG_END)

/* Lines below level are dropped. Before the first call: text, info. */
void log_setup(enum log_level level, enum log_format format);

/* Whether a line of this level would be written: spares the work of collecting its fields. */
bool log_enabled(enum log_level level);

/* Parse "debug", "info", "warn", "warning" or "error"; false when it is none of them. */
bool log_level_parse(const char *name, enum log_level *out);

/* Write one line; fields end with a NULL key. Use the macros above. */
void log_line(enum log_level level, const char *msg, const struct log_field *fields);

/* Send the lines to fd instead of stderr (2): for tests. */
void log_to(int fd);

/* Not NULL: the text of LOG_STR. */
static inline const char *log_str(const char *s)
{
    return s != NULL ? s : "";
}

#endif
