/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/docfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/mem.h"

enum { BLOCK = 65536, END = -1 };

struct docfile {
    int fd;
    int error; /* errno of a read that failed */
    uint8_t block[BLOCK];
    size_t pos, size; /* of what is in block */
    bool at_end;
    bool is_array;
    bool has_docs;  /* of the array: one was read */
    bool is_closed; /* the array */
    int64_t line;
    char *text; /* of the document */
    size_t len, room;
};

static enum err fail(enum err e, char why[DOCFILE_WHY_SIZE], const char *text)
{
    snprintf(why, DOCFILE_WHY_SIZE, "%s", text);
    return e;
}

/* Read until the block is full or the file ends: what a pipe gives at once may be a single byte. */
static void fill(struct docfile *file)
{
    file->pos = file->size = 0;
    while (!file->at_end && file->size < BLOCK) {
        ssize_t n = read(file->fd, file->block + file->size, BLOCK - file->size);
        if (n < 0 && errno == EINTR)
            continue;
        file->error = n < 0 ? errno : 0;
        file->at_end = n <= 0;
        file->size += n > 0 ? (size_t)n : 0;
    }
}

/* The next byte, which stays the next one; END behind the last. */
static int peek(struct docfile *file)
{
    if (file->pos == file->size)
        fill(file);
    return file->pos < file->size ? file->block[file->pos] : END;
}

static int get(struct docfile *file)
{
    int c = peek(file);
    file->pos += c != END;
    file->line += c == '\n';
    return c;
}

static int skip_blank(struct docfile *file)
{
    int c;
    while ((c = peek(file)) == ' ' || c == '\t' || c == '\r' || c == '\n')
        get(file);
    return c;
}

/* What is too long is counted, not kept. */
static void keep(struct docfile *file, int c)
{
    if (file->len >= DOCFILE_DOC_MAX) {
        file->len = DOCFILE_DOC_MAX + 1;
        return;
    }
    if (file->len == file->room) {
        file->room = file->room > 0 ? file->room * 2 : 4096;
        file->text = mem_resize(file->text, file->room, 1);
    }
    file->text[file->len++] = (char)c;
}

static bool has_prefix(const struct docfile *file, const char *prefix, size_t len)
{
    return file->size >= len && memcmp(file->block, prefix, len) == 0;
}

/* What the first bytes say that the file is, when it is not what we read. */
static const char *find_fault(struct docfile *file)
{
    if (has_prefix(file, "\x1f\x8b", 2))
        return "is compressed: unpack it with gunzip";
    if (has_prefix(file, "\x28\xb5\x2f\xfd", 4) || has_prefix(file, "BZh", 3) || has_prefix(file, "\xfd\x37zX", 4))
        return "is compressed: unpack it";
    if (memchr(file->block, '\0', file->size < 4 ? file->size : 4) != NULL)
        return "is not text: mongodump's BSON, or UTF-16? mongoexport writes JSON in UTF-8";
    if (has_prefix(file, "\xef\xbb\xbf", 3))
        file->pos = 3;
    int c = skip_blank(file);
    if (c == '{' || c == '[' || c == END)
        return NULL;
    return "does not begin with a JSON document: mongoexport --type=json writes what is read here";
}

static enum err open_fd(struct docfile *file, const char *path, char why[DOCFILE_WHY_SIZE])
{
    bool is_stdin = strcmp(path, "-") == 0;
    file->fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (file->fd < 0 || fstat(file->fd, &st) != 0)
        return fail(ERR_IO, why, strerror(errno));
    return S_ISDIR(st.st_mode) ? fail(ERR_IO, why, strerror(EISDIR)) : ERR_OK;
}

enum err docfile_open(const char *path, char why[DOCFILE_WHY_SIZE], struct docfile **out)
{
    AUTO(docfile_free) struct docfile *file = mem_calloc(1, sizeof *file);
    file->line = 1;
    TRY(open_fd(file, path, why));
    fill(file);
    const char *fault = find_fault(file);
    if (file->error != 0)
        return fail(ERR_IO, why, strerror(file->error));
    if (fault != NULL)
        return fail(ERR_IO, why, fault);
    file->is_array = peek(file) == '[';
    if (file->is_array)
        get(file);
    *out = MOVE(file);
    return ERR_OK;
}

void docfile_free(struct docfile **file)
{
    if (*file == NULL)
        return;
    if ((*file)->fd >= 0)
        close((*file)->fd);
    explicit_bzero((*file)->block, BLOCK);
    if ((*file)->text != NULL)
        explicit_bzero((*file)->text, (*file)->room);
    free((*file)->text);
    free(*file);
    *file = NULL;
}

static void give(const struct docfile *file, int64_t line, struct docfile_doc *out)
{
    bool is_long = file->len > DOCFILE_DOC_MAX;
    *out = (struct docfile_doc){.text = is_long ? NULL : file->text,
                                .len = is_long ? 0 : file->len,
                                .line = line,
                                .is_long = is_long};
}

static enum err broken(const struct docfile *file, char why[DOCFILE_WHY_SIZE], const char *text)
{
    snprintf(why, DOCFILE_WHY_SIZE, "line %lld: %s", (long long)file->line, text);
    return ERR_JSON;
}

/* To the end of the object that begins here, by its braces outside of strings. */
static bool take_object(struct docfile *file)
{
    int depth = 0;
    bool in_string = false;
    do {
        int c = get(file);
        if (c == END)
            return false;
        keep(file, c);
        if (in_string && c == '\\' && (c = get(file)) != END) {
            keep(file, c);
            continue;
        }
        in_string ^= c == '"';
        if (!in_string)
            depth += (c == '{') - (c == '}');
    } while (depth > 0);
    return true;
}

static enum err next_of_array(struct docfile *file, char why[DOCFILE_WHY_SIZE], struct docfile_doc *out)
{
    if (file->is_closed)
        return ERR_NOT_FOUND;
    int c = skip_blank(file);
    if (file->has_docs && c == ',') {
        get(file);
        c = skip_blank(file);
    } else if (c == ']') {
        get(file);
        file->is_closed = skip_blank(file) == END;
        return file->is_closed ? ERR_NOT_FOUND : broken(file, why, "there is more behind the array");
    } else if (file->has_docs && c != END) {
        return broken(file, why, "a comma or the end of the array is missing");
    }
    if (c == END)
        return broken(file, why, "the file ends inside the array");
    if (c != '{')
        return broken(file, why, "the array holds something else than documents");
    int64_t line = file->line;
    file->has_docs = true;
    if (!take_object(file))
        return broken(file, why, "the file ends inside a document");
    give(file, line, out);
    return ERR_OK;
}

static enum err next_line(struct docfile *file, struct docfile_doc *out)
{
    if (skip_blank(file) == END)
        return ERR_NOT_FOUND;
    int64_t line = file->line;
    for (int c = get(file); c != END && c != '\n'; c = get(file))
        keep(file, c);
    give(file, line, out);
    return ERR_OK;
}

enum err docfile_next(struct docfile *file, char why[DOCFILE_WHY_SIZE], struct docfile_doc *out)
{
    file->len = 0;
    struct docfile_doc doc;
    enum err e = file->is_array ? next_of_array(file, why, &doc) : next_line(file, &doc);
    if (file->error != 0)
        return fail(ERR_IO, why, strerror(file->error));
    if (e == ERR_OK)
        *out = doc;
    return e;
}
