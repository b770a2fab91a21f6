/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

/* "2025-11-21T09:05:05.120Z", with its NUL */
enum { TIME_SIZE = 25 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static _Atomic enum log_level min_level = LOG_INFO;
static _Atomic enum log_format line_format = LOG_TEXT;
static _Atomic int line_fd = STDERR_FILENO;

/* A JSON string. Bytes over 0x7f pass as they are: the text came in as UTF-8 or is shown as it came. */
static void put_quoted(FILE *out, const char *s)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\u%04x", *p);
        else
            fputc(*p, out);
    }
    fputc('"', out);
}

static bool is_plain(const char *s)
{
    return *s != '\0' && strpbrk(s, " \"\\=") == NULL && strspn(s, "\x7f") == 0 &&
           strcspn(s, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18"
                      "\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f") == strlen(s);
}

/* All three digits of the milliseconds, unlike clock_rfc3339(): columns line up, and lines sort as text. */
static void format_time(int64_t ms, char out[TIME_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t len = strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, TIME_SIZE - len, ".%03uZ", (unsigned)(ms % 1000));
}

static void put_json(FILE *out, enum log_level level, const char *msg, const struct log_field *fields)
{
    char now[TIME_SIZE];
    format_time(clock_ms(), now);
    fprintf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", now, level_names[level]);
    put_quoted(out, msg);
    for (const struct log_field *f = fields; f->key != NULL; f++) {
        fprintf(out, ",\"%s\":", f->key);
        if (f->str != NULL)
            put_quoted(out, f->str);
        else
            fprintf(out, "%lld", (long long)f->num);
    }
    fputs("}\n", out);
}

static void put_text(FILE *out, enum log_level level, const char *msg, const struct log_field *fields)
{
    char now[TIME_SIZE];
    format_time(clock_ms(), now);
    fprintf(out, "%s %-5s %s", now, level_names[level], msg);
    for (const struct log_field *f = fields; f->key != NULL; f++) {
        fprintf(out, " %s=", f->key);
        if (f->str == NULL)
            fprintf(out, "%lld", (long long)f->num);
        else if (is_plain(f->str))
            fputs(f->str, out);
        else
            put_quoted(out, f->str);
    }
    fputc('\n', out);
}

static void write_all(int fd, const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, line, len);
        if (n <= 0)
            return;
        line += n;
        len -= (size_t)n;
    }
}

void log_setup(enum log_level level, enum log_format format)
{
    min_level = level;
    line_format = format;
}

bool log_enabled(enum log_level level)
{
    return level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *out)
{
    if (strcasecmp(name, "warning") == 0)
        name = "warn";
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++)
        if (strcasecmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

void log_line(enum log_level level, const char *msg, const struct log_field *fields)
{
    if (!log_enabled(level))
        return;
    char *line = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&line, &len);
    if (out == NULL)
        return;
    if (line_format == LOG_JSON)
        put_json(out, level, msg, fields);
    else
        put_text(out, level, msg, fields);
    if (fclose(out) == 0)
        write_all(line_fd, line, len);
    free(line);
}

void log_to(int fd)
{
    line_fd = fd;
}
