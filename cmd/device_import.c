/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd/bulk.h"
#include "cmd/device_run.h"
#include "keystore/pubkey.h"
#include "lib/auto.h"
#include "lib/csv.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/json_go.h"
#include "lib/json_scan.h"
#include "lib/mem.h"

/* `device import`: preauthorize what a file lists, as CSV or as a JSON object a line. */

struct source {
    struct device_run *run;
    struct bulk bulk;
    FILE *file;
    char *dir; /* that paths of key files begin in */
    bool force;
};

/* What a record says. */
struct record {
    struct iddata id;
    char *pubkey; /* PEM, or the path of its file */
};

static void record_release(struct record *record)
{
    iddata_release(&record->id);
    mem_free(&record->pubkey);
}

static enum err fault(char why[DEVICE_WHY_SIZE], const char *text)
{
    snprintf(why, DEVICE_WHY_SIZE, "%s", text);
    return ERR_INVALID;
}

static enum err read_key(const struct source *source, const char *text, char why[DEVICE_WHY_SIZE], struct pubkey **out)
{
    char detail[PUBKEY_WHY_SIZE];
    if (strncmp(text, "-----BEGIN", strlen("-----BEGIN")) != 0) {
        AUTO(mem_free) char *path = *text == '/' ? mem_strdup(text) : mem_printf("%s/%s", source->dir, text);
        return device_run_pubkey(source->run->cmd, path, why, out);
    }
    if (pubkey_parse(text, strlen(text), device_run_rsa_bits(source->run->cmd), detail, out) == ERR_OK)
        return ERR_OK;
    return fault(why, detail);
}

/* Storage errors; all else is the record's fault, which is reported and forgotten. */
static enum err take(struct source *source, int64_t line, enum err e, const struct record *record,
                     char why[DEVICE_WHY_SIZE])
{
    bool changed = false;
    AUTO(pubkey_free) struct pubkey *key = NULL;
    AUTO(mem_free) char *id = NULL;
    if (e == ERR_OK && record->pubkey == NULL)
        e = fault(why, "it has no pubkey");
    if (e == ERR_OK)
        e = read_key(source, record->pubkey, why, &key);
    if (e == ERR_OK)
        e = device_run_preauthorize(source->run, &record->id, key, source->force, why, &id, &changed);
    if (e == ERR_OK)
        bulk_done(&source->bulk, changed);
    else if (e == ERR_INVALID)
        bulk_failed(&source->bulk, line, why);
    return e == ERR_INVALID ? ERR_OK : e;
}

static enum err read_identity(const char *text, size_t len, char why[DEVICE_WHY_SIZE], struct iddata *out)
{
    char detail[JSON_SCAN_WHY_SIZE];
    iddata_release(out);
    if (iddata_parse(text, len, detail, out) != ERR_OK)
        return fault(why, detail);
    bool is_empty = strcmp(out->text, "{}") == 0 || strcmp(out->text, "null") == 0;
    return is_empty ? fault(why, "its identity is empty") : ERR_OK;
}

/* A member of an object; others than these are none of ours. */
static enum err read_member(struct json_span name, struct json_span value, char why[DEVICE_WHY_SIZE],
                            struct record *record)
{
    if (json_scan_is_field(name, "identity_data"))
        return read_identity(value.at, value.len, why, &record->id);
    bool is_text = json_scan_is_field(name, "id_data");
    if (!is_text && !json_scan_is_field(name, "pubkey"))
        return ERR_OK;
    if (json_scan_kind(value) != JSON_SCAN_STRING)
        return fault(why, is_text ? "id_data is no text" : "pubkey is no text");
    size_t len = 0;
    AUTO(mem_free) char *text = json_scan_string(value, &len);
    if (is_text)
        return read_identity(text, len, why, &record->id);
    mem_free(&record->pubkey);
    record->pubkey = MOVE(text);
    return ERR_OK;
}

static enum err read_object(const char *text, size_t len, char why[DEVICE_WHY_SIZE], struct record *record)
{
    char detail[JSON_SCAN_WHY_SIZE];
    struct json_span rest, name, value;
    if (json_scan_check(text, len, detail, &rest) != ERR_OK)
        return fault(why, detail);
    if (json_scan_kind(rest) != JSON_SCAN_OBJECT)
        return fault(why, "not a JSON object");
    while (json_scan_member(&rest, &name, &value))
        TRY(read_member(name, value, why, record));
    return record->id.text != NULL ? ERR_OK : fault(why, "it has no identity_data");
}

static enum err import_json(struct source *source)
{
    AUTO(mem_free) char *buf = NULL;
    size_t size = 0;
    ssize_t len;
    enum err e = ERR_OK;
    for (int64_t line = 1; e == ERR_OK && (len = getline(&buf, &size, source->file)) >= 0; line++) {
        if (strspn(buf, " \t\r\n") == (size_t)len)
            continue;
        char why[DEVICE_WHY_SIZE] = "";
        AUTO(record_release) struct record record = {0};
        e = take(source, line, read_object(buf, (size_t)len, why, &record), &record, why);
    }
    return e;
}

/* A record under the names that the first one gave. */
static enum err read_row(const struct csv *names, const struct csv *row, char why[DEVICE_WHY_SIZE],
                         struct record *record)
{
    AUTO(json_release) json_t *id = json_object();
    if (row->n > names->n)
        return fault(why, "it has more fields than the first line");
    for (size_t i = 0; i < row->n; i++) {
        if (*row->field[i] == '\0')
            continue;
        bool is_key = strcmp(names->field[i], "pubkey") == 0;
        if (is_key)
            record->pubkey = mem_strdup(row->field[i]);
        else if (json_object_set_new(id, names->field[i], json_string(row->field[i])) != 0)
            return fault(why, "it is not UTF-8");
    }
    size_t len = 0;
    AUTO(mem_free) char *text = json_go_dump(id, JSON_GO_SORTED, &len);
    return read_identity(text, len, why, &record->id);
}

/* Exactly one pubkey, no name twice. */
static bool is_head(const struct csv *names)
{
    bool has_key = false;
    for (size_t i = 0; i < names->n; i++) {
        has_key = has_key || strcmp(names->field[i], "pubkey") == 0;
        for (size_t j = 0; j < i; j++)
            if (strcmp(names->field[i], names->field[j]) == 0)
                return false;
    }
    return has_key && names->n > 1;
}

static enum cmd_exit import_csv(struct source *source, enum err *e)
{
    AUTO(csv_release) struct csv names;
    csv_begin(&names, source->file);
    if (csv_next(&names) != ERR_OK || !is_head(&names))
        return cmd_fail(source->run->cmd, CMD_USAGE,
                        "%s: neither JSON objects nor CSV, whose first line names attributes and pubkey: mac,pubkey",
                        source->bulk.path);
    AUTO(csv_release) struct csv row = {.file = source->file, .line = names.line};
    enum err read = csv_next(&row);
    for (; *e == ERR_OK && read == ERR_OK; read = csv_next(&row)) {
        char why[DEVICE_WHY_SIZE] = "";
        AUTO(record_release) struct record record = {0};
        *e = take(source, row.at, read_row(&names, &row, why, &record), &record, why);
    }
    if (*e == ERR_OK && read == ERR_INVALID)
        bulk_failed(&source->bulk, row.at, "a quote is not closed, or it is too long: the rest was not read");
    return CMD_OK;
}

/* The directory of a file; the working directory for stdin. */
static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
}

static enum cmd_exit import_all(struct source *source, const char *path)
{
    enum err e = ERR_OK;
    bulk_begin(&source->bulk, source->run->cmd, path, "preauthorized");
    int first = getc(source->file);
    ungetc(first, source->file);
    enum cmd_exit code = CMD_OK;
    if (first == '{')
        e = import_json(source);
    else
        code = import_csv(source, &e);
    return code == CMD_OK ? bulk_end(&source->bulk, e) : code;
}

static enum cmd_exit run(struct cmd *cmd)
{
    const char *path = cmd->arg[0];
    bool is_stdin = strcmp(path, "-") == 0;
    AUTO(device_run_close) struct device_run run;
    enum cmd_exit code = device_run_open(cmd, &run);
    if (code != CMD_OK)
        return code;
    AUTO(mem_free) char *dir = dir_of(path);
    struct source source = {.run = &run, .dir = dir, .force = cmd_is_on(cmd, "force")};
    source.file = is_stdin ? stdin : fopen(path, "re");
    if (source.file == NULL)
        return cmd_fail(cmd, CMD_USAGE, "%s: %s", path, strerror(errno));
    code = import_all(&source, path);
    if (!is_stdin)
        fclose(source.file);
    return code;
}

static const struct cmd_option options[] = {
    {"force", NULL, "also keys of devices that are known; their other keys stay what they are", NULL, false, false},
    {"tenant", "TENANT", "the devices of this tenant", NULL, false, false},
    {0},
};

const struct command device_import_command = {
    .name = "device import",
    .args = "FILE",
    .args_min = 1,
    .args_max = 1,
    .summary = "Preauthorize all the devices that a file lists.",
    .details =
        "The file (- is stdin) is one of\n"
        "  CSV         the first line names the columns: pubkey, and the attributes of the identity; an empty field "
        "is\n"
        "              an attribute that the device does not have; all values are texts\n"
        "  JSON lines  {\"identity_data\":{\"mac\":\"02:...\"},\"pubkey\":\"...\"}; also id_data, the identity as a "
        "text\n"
        "pubkey is the public key in PEM, or the path of its file, seen from the directory of the list.\n"
        "\n"
        "Devices that are accepted or preauthorized with this key already count as such: run it again after an end on\n"
        "the way (exit code 9). Exit code 8: some lines failed, stderr says why and where.",
    .examples = "$0 device import delivery.csv\njq -c . <devices.json | $0 device import -",
    .options = options,
    .run = run,
};
