/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/import_deviceauth.h"
#include "auth/import_useradm.h"
#include "cmd/account.h"
#include "cmd/cmd.h"
#include "cmd/import_report.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/docfile.h"
#include "lib/extjson.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/migrate.h"

/* Documents, and bytes of them, that one transaction writes: what is lost at most when it fails, and held in memory. */
enum { BATCH_DOCS = 500, BATCH_BYTES = 4 << 20 };

struct input {
    const char *path;
    const struct import_collection *collection;
    struct docfile *file;
};

struct import {
    const struct cmd *cmd;
    const struct import_collection *table;
    struct input inputs[CMD_ARGS_MAX];
    struct db *db;   /* that is written to */
    struct db *real; /* of a dry run: what is there; NULL: db itself */
    struct import_report *report;

    const struct import_collection *collection; /* of the batch */
    struct {
        void *row;
        int64_t line;
        struct import_verdict verdict;
    } batch[BATCH_DOCS];
    size_t batch_n, batch_bytes;
};

static void drop_batch(struct import *import)
{
    for (size_t i = 0; i < import->batch_n; i++)
        import->collection->release(&import->batch[i].row);
    import->batch_n = import->batch_bytes = 0;
}

static void import_free(struct import **import)
{
    for (size_t i = 0; i < CMD_ARGS_MAX; i++)
        docfile_free(&(*import)->inputs[i].file);
    drop_batch(*import);
    import_report_free(&(*import)->report);
    db_free(&(*import)->db);
    db_free(&(*import)->real);
    free(*import);
    *import = NULL;
}

static const struct import_collection *find_collection(const struct import_collection *table, const char *name,
                                                       size_t len)
{
    for (const struct import_collection *c = table; c->name != NULL; c++)
        if (strncmp(c->name, name, len) == 0 && c->name[len] == '\0')
            return c;
    return NULL;
}

/* The one that the user names, or that the file is called like: DIR/users.json holds users. */
static enum cmd_exit choose_collection(const struct import *import, struct input *input)
{
    const char *name = cmd_value(import->cmd, "collection");
    bool is_named = name != NULL;
    if (!is_named) {
        const char *slash = strrchr(input->path, '/');
        name = slash != NULL ? slash + 1 : input->path;
    }
    input->collection = find_collection(import->table, name, is_named ? strlen(name) : strcspn(name, "."));
    if (input->collection != NULL)
        return CMD_OK;
    char known[128] = "";
    for (const struct import_collection *c = import->table; c->name != NULL; c++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", *known != '\0' ? ", " : "", c->name);
    if (is_named)
        return cmd_fail(import->cmd, CMD_USAGE, "there is no collection \"%.60s\" to import, only %s", name, known);
    return cmd_fail(import->cmd, CMD_USAGE,
                    "%s: the name does not say what it holds: call it like one of %s (users.json), or use --collection",
                    input->path, known);
}

/* Every file is opened and looked at before the first document is written. */
static enum cmd_exit open_inputs(struct import *import)
{
    for (size_t i = 0; i < import->cmd->args_n; i++) {
        struct input *input = &import->inputs[i];
        char why[DOCFILE_WHY_SIZE];
        input->path = import->cmd->arg[i];
        enum cmd_exit code = choose_collection(import, input);
        if (code != CMD_OK)
            return code;
        if (docfile_open(input->path, why, &input->file) != ERR_OK)
            return cmd_fail(import->cmd, CMD_USAGE, "%s: %s", input->path, why);
    }
    return CMD_OK;
}

/* A file that nobody else sees and that is gone with its connection. */
static enum err open_scratch(struct db **out)
{
    const char *tmp = getenv("TMPDIR");
    AUTO(mem_free) char *dir = mem_printf("%s/mintd-dry-run-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return ERR_IO;
    AUTO(mem_free) char *url = mem_printf("sqlite:%s/db", dir);
    char why[256];
    AUTO(db_free) struct db *db = NULL;
    enum err e = db_open(url, 1, why, sizeof why, &db);
    if (e == ERR_OK)
        e = migrate_run(db, migrate_list, NULL);
    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", NULL}; *end != NULL; end++) {
        AUTO(mem_free) char *path = mem_printf("%s/db%s", dir, *end);
        unlink(path);
    }
    rmdir(dir);
    if (e == ERR_OK)
        *out = MOVE(db);
    return e;
}

/* A dry run writes to a scratch database, after copying there what stands in the way of each document. */
static enum cmd_exit open_databases(struct import *import)
{
    enum cmd_exit code = open_db(import->cmd, OPEN_CURRENT, 1, &import->db);
    if (code != CMD_OK || !cmd_is_on(import->cmd, "dry-run"))
        return code;
    import->real = MOVE(import->db);
    if (open_scratch(&import->db) != ERR_OK)
        return cmd_fail(import->cmd, CMD_IMPORT, "no room for the dry run in $TMPDIR or /tmp");
    return CMD_OK;
}

static enum err write_batch(struct db *tx, void *arg)
{
    struct import *import = arg;
    for (size_t i = 0; i < import->batch_n; i++) {
        const void *row = import->batch[i].row;
        if (import->real != NULL)
            TRY(import->collection->copy(import->real, tx, row));
        TRY(import->collection->write(tx, row, &import->batch[i].verdict));
    }
    return ERR_OK;
}

static enum err flush_batch(struct import *import)
{
    if (import->batch_n == 0)
        return ERR_OK;
    enum err e = db_tx(import->db, write_batch, import);
    for (size_t i = 0; e == ERR_OK && i < import->batch_n; i++)
        import_report_add(import->report, import->batch[i].line, import->batch[i].verdict);
    drop_batch(import);
    import_report_progress(import->report);
    return e;
}

static void *decode(const struct import *import, const struct docfile_doc *doc, struct import_verdict *verdict)
{
    AUTO(json_release) json_t *document = NULL;
    *verdict = (struct import_verdict){IMPORT_SKIPPED, "the document is longer than 4 MiB"};
    if (doc->is_long)
        return NULL;
    verdict->why = "not a JSON document in one line (truncated, --pretty, or not UTF-8?)";
    if (extjson_parse(doc->text, doc->len, &document) != ERR_OK)
        return NULL;
    return import->collection->decode(document, verdict);
}

static enum err take(struct import *import, const struct docfile_doc *doc)
{
    struct import_verdict verdict;
    void *row = decode(import, doc, &verdict);
    if (row == NULL) {
        import_report_add(import->report, doc->line, verdict);
        return ERR_OK;
    }
    import->batch[import->batch_n].row = row;
    import->batch[import->batch_n++].line = doc->line;
    import->batch_bytes += doc->len;
    return import->batch_n == BATCH_DOCS || import->batch_bytes >= BATCH_BYTES ? flush_batch(import) : ERR_OK;
}

static enum cmd_exit import_file(struct import *import, struct input *input)
{
    char why[DOCFILE_WHY_SIZE];
    struct docfile_doc doc;
    enum err read;
    enum err e = ERR_OK;
    import->collection = input->collection;
    import_report_file(import->report, input->collection, input->path);
    while (e == ERR_OK && (read = docfile_next(input->file, why, &doc)) == ERR_OK)
        e = take(import, &doc);
    if (e == ERR_OK)
        e = flush_batch(import);
    docfile_free(&input->file);
    import_report_clear(import->report);
    if (e != ERR_OK)
        return cmd_fail(import->cmd, CMD_IMPORT, "%s: the import stopped: %s", input->path, account_why(e));
    if (read != ERR_NOT_FOUND)
        return cmd_fail(import->cmd, CMD_IMPORT, "%s: the import stopped: %s", input->path, why);
    return CMD_OK;
}

/* By collection in the table's order: tokens need their users. */
static enum cmd_exit import_files(struct import *import)
{
    enum cmd_exit code = CMD_OK;
    for (const struct import_collection *c = import->table; c->name != NULL; c++)
        for (size_t i = 0; code == CMD_OK && i < import->cmd->args_n; i++)
            if (import->inputs[i].collection == c)
                code = import_file(import, &import->inputs[i]);
    import_report_print(import->report);
    if (import->real != NULL)
        printf("\nA dry run: nothing was written.\n");
    if (code != CMD_OK)
        return code;
    return import_report_count(import->report, IMPORT_SKIPPED) > 0 ? CMD_SKIPPED : CMD_OK;
}

static enum cmd_exit run(struct cmd *cmd, const struct import_collection *table)
{
    AUTO(import_free) struct import *import = mem_calloc(1, sizeof *import);
    import->cmd = cmd;
    import->table = table;
    import->report = import_report_new();
    enum cmd_exit code = open_inputs(import);
    if (code == CMD_OK)
        code = open_databases(import);
    return code == CMD_OK ? import_files(import) : code;
}

static enum cmd_exit run_useradm(struct cmd *cmd)
{
    return run(cmd, import_useradm);
}

static enum cmd_exit run_deviceauth(struct cmd *cmd)
{
    return run(cmd, import_deviceauth);
}

#define EXIT_CODES                                                                                                     \
    "Exit code 0: everything was taken, was there, or had expired; 8: some documents were skipped, the output says "   \
    "why\n"                                                                                                            \
    "and where; 9: it stopped on the way, and what the table counts as taken is stored; 1: a file is not what it "     \
    "should\n"                                                                                                         \
    "be, and nothing was written."

static const struct cmd_option options[] = {
    {"collection", "NAME", "what the files hold, whatever they are called", NULL, false, false},
    {"dry-run", NULL, "write nothing, only say what would become of each document", NULL, false, false},
    {0},
};

const struct command import_useradm_command = {
    .name = "import useradm",
    .args = "FILE...",
    .args_min = 1,
    .args_max = CMD_ARGS_MAX,
    .summary = "Take users, tokens and settings from mongoexport's files of the original useradm.",
    .details = "Each file holds one collection, a JSON document a line or one array of them (--jsonArray), and is "
               "called like it:\n"
               "users.json, tokens.json, settings.json, user_settings.json; --collection says it of files with other "
               "names, and of\n"
               "stdin (-). Their order does not matter.\n"
               "\n"
               "Passwords keep working, and so do tokens with the original's key files in the key directory. What is "
               "here already\n"
               "is never changed: the same document again counts as there, one that differs is skipped. A second run "
               "takes what a\n"
               "first one could not. A server may run meanwhile.\n"
               "\n" EXIT_CODES,
    .examples = "mongoexport --db useradm --collection users --out users.json\n"
                "$0 import useradm --dry-run users.json tokens.json settings.json user_settings.json\n"
                "mongoexport --db useradm --collection users | $0 import useradm --collection users -",
    .options = options,
    .run = run_useradm,
};

const struct command import_deviceauth_command = {
    .name = "import deviceauth",
    .args = "FILE...",
    .args_min = 1,
    .args_max = CMD_ARGS_MAX,
    .summary = "Take devices, their keys, tokens and limits from mongoexport's files of the original deviceauth.",
    .details =
        "Each file holds one collection, a JSON document a line or one array of them (--jsonArray), and is "
        "called like it:\n"
        "devices.json, auth_sets.json, tokens.json, limits.json; --collection says it of files with other names, "
        "and of\n"
        "stdin (-). Their order does not matter.\n"
        "\n"
        "Devices keep their ids and need not be admitted again. Tokens keep working with the original's key as "
        "the default\n"
        "key (default_key_path of the section deviceauth). What is here already is never changed: the same document "
        "again\n"
        "counts as there, one that differs is skipped. A second run takes what a first one could not. A server may "
        "run\n"
        "meanwhile; the workflow engine is told nothing, as it knows these devices. A limit of 0 lets no device be "
        "accepted,\n"
        "as in schema 2.0.2; leave out limits.json of an older one, where 0 stood for none.\n"
        "\n" EXIT_CODES,
    .examples = "mongoexport --db deviceauth --collection devices --out devices.json\n"
                "$0 import deviceauth --dry-run devices.json auth_sets.json tokens.json limits.json\n"
                "mongoexport --db deviceauth --collection devices | $0 import deviceauth --collection devices -",
    .options = options,
    .run = run_deviceauth,
};
