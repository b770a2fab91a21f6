/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/open.h"
#include "keystore/key.h"
#include "keystore/keyname.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "lib/rand.h"

/* Others may take a number between a look at the directory and the write. */
enum { TRIES = 1000 };

/* Where a new key goes. */
struct place {
    const struct config_tokens *keys; /* what is said of them */
    char *path;
    int fd;
    struct match *pattern;
    int64_t highest; /* kid in the directory; 0: none */
    int64_t wanted;
    bool is_taken; /* wanted is there already */
};

static void place_release(struct place *place)
{
    if (place->fd >= 0)
        close(place->fd);
    match_free(&place->pattern);
    mem_free(&place->path);
}

static enum cmd_exit io_failed(const struct cmd *cmd, const char *what, const char *path)
{
    return cmd_fail(cmd, CMD_KEYS, "%s %s: %s", what, path, strerror(errno));
}

/* The key directory is made on the first use; its parent must be there. */
static enum cmd_exit open_dir(const struct cmd *cmd, struct place *place)
{
    if (mkdir(place->path, 0700) == 0)
        fprintf(stderr, "made the key directory %s\n", place->path);
    else if (errno != EEXIST)
        return io_failed(cmd, "cannot make the key directory", place->path);
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return place->fd >= 0 ? CMD_OK : io_failed(cmd, "cannot open the key directory", place->path);
}

static enum cmd_exit compile(const struct cmd *cmd, struct place *place)
{
    char why[128] = "";
    const char *pattern = place->keys->server_priv_key_filename_pattern;
    enum err e = match_new(pattern, !place->keys->pattern_compat, why, sizeof why, &place->pattern);
    if (e == ERR_OK)
        return CMD_OK;
    return cmd_fail(cmd, CMD_USAGE, "%s: %s%s%s", pattern, err_text(e), *why != '\0' ? ": " : "", why);
}

static enum cmd_exit scan(const struct cmd *cmd, struct place *place)
{
    int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL)
        return io_failed(cmd, "cannot read the key directory", place->path);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        int64_t kid = 0;
        if (keyname_kid(place->pattern, entry->d_name, &kid) != ERR_OK)
            continue;
        place->highest = kid > place->highest ? kid : place->highest;
        place->is_taken = place->is_taken || kid == place->wanted;
    }
    closedir(dir);
    return CMD_OK;
}

/* A pattern without any choice but the number, as a literal: private\.id\. is private.id. */
static char *literal(const char *pattern, size_t len)
{
    AUTO(mem_free) char *text = mem_calloc(len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_escaped = pattern[i] == '\\' && i + 1 < len && ispunct((unsigned char)pattern[i + 1]);
        if (!is_escaped && strchr("\\^$|?*+()[]{}/", pattern[i]) != NULL)
            return NULL;
        i += is_escaped;
        text[n++] = pattern[i];
    }
    return MOVE(text);
}

/* The file name that a pattern of the form prefix([0-9]*)suffix has for a kid; NULL when it is of another form. */
static char *name_for(const struct place *place, const char *pattern, int64_t kid)
{
    static const char *const groups[] = {"([0-9]*)", "([0-9]+)", "(\\d*)", "(\\d+)"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const char *group = strstr(pattern, groups[i]);
        if (group == NULL)
            continue;
        const char *rest = group + strlen(groups[i]);
        const char *start = pattern + (*pattern == '^');
        size_t rest_len = strlen(rest);
        rest_len -= rest_len > 0 && rest[rest_len - 1] == '$';
        AUTO(mem_free) char *prefix = literal(start, (size_t)(group - start));
        AUTO(mem_free) char *suffix = literal(rest, rest_len);
        if (prefix == NULL || suffix == NULL)
            return NULL;
        AUTO(mem_free) char *name = mem_printf("%s%" PRId64 "%s", prefix, kid, suffix);
        int64_t read_back = 0;
        bool is_right = keyname_kid(place->pattern, name, &read_back) == ERR_OK && read_back == kid;
        return is_right ? MOVE(name) : NULL;
    }
    return NULL;
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* The file appears whole or not at all, and never in the place of another. ERR_KEY_EXISTS; ERR_IO with errno */
static enum err write_new(int dir, const char *name, const char *pem)
{
    char uuid[RAND_UUID_SIZE];
    rand_uuid(uuid);
    AUTO(mem_free) char *tmp = mem_printf(".mintd-%s.new", uuid);
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ERR_IO;
    bool is_linked = write_all(fd, pem, strlen(pem)) && fsync(fd) == 0 && linkat(dir, tmp, dir, name, 0) == 0;
    int cause = errno;
    close(fd);
    unlinkat(dir, tmp, 0);
    if (!is_linked) {
        errno = cause;
        return cause == EEXIST ? ERR_KEY_EXISTS : ERR_IO;
    }
    return fsync(dir) == 0 ? ERR_OK : ERR_IO;
}

static enum cmd_exit report_write(const struct cmd *cmd, enum err e, const char *dir, const char *name)
{
    if (e == ERR_IO)
        return cmd_fail(cmd, CMD_KEYS, "cannot write %s/%s: %s", dir, name, strerror(errno));
    return cmd_fail(cmd, CMD_KEYS, "%s/%s: %s", dir, name, err_text(e));
}

/* One try: ERR_KEY_EXISTS in *e says that another took the number. */
static enum cmd_exit generate_once(const struct cmd *cmd, struct place *place, const char *pem, enum err *e)
{
    enum cmd_exit code = scan(cmd, place);
    if (code != CMD_OK)
        return code;
    if (place->is_taken)
        return cmd_fail(cmd, CMD_KEYS, "%s has a key file with the id %" PRId64 " already", place->path, place->wanted);
    int64_t kid = place->wanted > 0 ? place->wanted : place->highest + 1;
    if (kid > KEY_KID_MAX)
        return cmd_fail(cmd, CMD_KEYS, "there is no key id after %" PRId64 "; choose one with --kid", place->highest);
    const char *pattern = place->keys->server_priv_key_filename_pattern;
    AUTO(mem_free) char *name = name_for(place, pattern, kid);
    if (name == NULL)
        return cmd_fail(cmd, CMD_USAGE, "no file name can be made from the pattern %s; choose one with --out FILE",
                        pattern);
    *e = write_new(place->fd, name, pem);
    if (*e == ERR_OK)
        printf("%s/%s kid %" PRId64 "\n", place->path, name, kid);
    else if (*e != ERR_KEY_EXISTS || place->wanted > 0)
        return report_write(cmd, *e, place->path, name);
    return CMD_OK;
}

static enum cmd_exit generate(const struct cmd *cmd, const char *pem, int64_t kid)
{
    enum role service;
    enum cmd_exit code = open_service(cmd, &service);
    if (code != CMD_OK)
        return code;
    const struct config_tokens *keys = config_keys(cmd->config, service);
    bool has_dir = *keys->key_directory != '\0';
    AUTO(place_release)
    struct place place = {
        .keys = keys,
        .path = has_dir ? mem_strdup(keys->key_directory) : keyname_dir(keys->server_priv_key_path),
        .fd = -1,
        .wanted = kid,
    };
    code = compile(cmd, &place);
    if (code == CMD_OK)
        code = open_dir(cmd, &place);
    enum err e = ERR_KEY_EXISTS;
    for (int i = 0; code == CMD_OK && e == ERR_KEY_EXISTS && i < TRIES; i++)
        code = generate_once(cmd, &place, pem, &e);
    if (code == CMD_OK && e != ERR_OK)
        return cmd_fail(cmd, CMD_KEYS, "others took every key id that was tried");
    return code;
}

static enum cmd_exit generate_out(const struct cmd *cmd, const char *pem, const char *out)
{
    AUTO(mem_free) char *path = keyname_dir(out);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return io_failed(cmd, "cannot open the directory", path);
    enum err e = write_new(dir, keyname_base(out), pem);
    close(dir);
    if (e != ERR_OK)
        return report_write(cmd, e, path, keyname_base(out));
    printf("%s\n", out);
    return CMD_OK;
}

static enum cmd_exit run(struct cmd *cmd)
{
    const char *type = cmd_value(cmd, "type");
    const char *text = cmd_value(cmd, "kid");
    const char *out = cmd_value(cmd, "out");
    char *end = NULL;
    errno = 0;
    long long kid = text != NULL ? strtoll(text, &end, 10) : 0;
    bool is_kid =
        text == NULL || (isdigit((unsigned char)*text) && *end == '\0' && errno == 0 && kid >= 1 && kid <= KEY_KID_MAX);
    if (!is_kid)
        return cmd_fail(cmd, CMD_USAGE, "--kid is %.20s, must be from 1 to %" PRId64 " (0 is the default key)", text,
                        KEY_KID_MAX);
    if (text != NULL && out != NULL)
        return cmd_fail(cmd, CMD_USAGE, "--kid and --out exclude each other: the file's name has the id");
    if (out != NULL && *keyname_base(out) == '\0')
        return cmd_fail(cmd, CMD_USAGE, "--out must name a file");
    AUTO(mem_wipe) char *pem = NULL;
    enum err e = key_generate(type, &pem);
    if (e == ERR_KEY_TYPE)
        return cmd_fail(cmd, CMD_USAGE,
                        "--type is %.20s, must be rsa2048, rsa3072, rsa4096, es256, es384, es512 or ed25519", type);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_KEYS, "the key could not be made: %s", err_text(e));
    return out != NULL ? generate_out(cmd, pem, out) : generate(cmd, pem, kid);
}

static const struct cmd_option options[] = {
    {"type", "TYPE", "rsa2048, rsa3072, rsa4096, es256, es384, es512 or ed25519", NULL, true, false},
    {"kid", "N", "the key id; without it the one after the highest", NULL, false, false},
    {"out", "FILE", "write this file instead of one in the key directory", NULL, false, false},
    OPEN_SERVICE_OPTION,
    {0},
};

const struct command keys_generate_command = {
    .name = "keys generate",
    .summary = "Make a key in the key directory and print its file and id.",
    .details = "The file has mode 0600, appears whole or not at all, and never replaces another. Unless "
               "server_priv_key_path names\n"
               "the signing key, the new one signs at once, also in a server that is running.",
    .examples = "$0 keys generate --type ed25519\n$0 keys generate --type rsa3072 --kid 20260101\n"
                "$0 keys generate --type es256 --out keys/private.pem",
    .options = options,
    .run = run,
};
