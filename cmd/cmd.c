/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cmd/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cmd/help.h"
#include "cmd/nearest.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define DEFAULT_FILE "/etc/mintd/mintd.yaml"

const struct cmd_option cmd_globals[] = {
    {"config", "FILE", "the configuration file (mintd: " DEFAULT_FILE ", if it is there)", NULL, false, false},
    {"db", "URL", "the database, sqlite:PATH or postgresql://...", "db", false, false},
    {"log-level", "LEVEL", "debug, info, warn or error", "log_level", false, false},
    {"log-format", "FORMAT", "text or json", "log_format", false, false},
    {"debug", NULL, "the same as --log-level debug", NULL, false, false},
    {"help", NULL, "this text", NULL, false, false},
    {"version", NULL, "the version", NULL, false, false},
    {0},
};

/* The command line while it is read. */
struct parser {
    struct cmd *cmd;
    char **argv;
    int argc, next;
    const char *group; /* the first word of a command of two */
    bool wants_help;
    bool only_words; /* "--" was there */
};

static bool is_linked(const struct cmd *cmd)
{
    return cmd->program->role != ROLE_MINTD;
}

static const struct command *find_command(const struct program *program, const char *group, const char *word)
{
    AUTO(mem_free) char *name = group != NULL ? mem_printf("%s %s", group, word) : mem_strdup(word);
    for (const struct command *const *c = program->commands; *c != NULL; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static bool is_group(const struct program *program, const char *word)
{
    size_t len = strlen(word);
    for (const struct command *const *c = program->commands; *c != NULL; c++)
        if (strncmp((*c)->name, word, len) == 0 && (*c)->name[len] == ' ')
            return true;
    return false;
}

static enum cmd_exit unknown_command(const struct parser *p, const char *word)
{
    const struct program *program = p->cmd->program;
    if (program->missing != NULL)
        return cmd_fail(p->cmd, CMD_USAGE, "%s", program->missing);
    AUTO(mem_free) char *typed = p->group != NULL ? mem_printf("%s %s", p->group, word) : mem_strdup(word);
    struct nearest nearest = {.typed = typed};
    for (const struct command *const *c = program->commands; *c != NULL; c++)
        nearest_consider(&nearest, (*c)->name);
    if (nearest.best != NULL)
        return cmd_fail(p->cmd, CMD_USAGE, "there is no command \"%.60s\"; did you mean \"%s\"?", typed, nearest.best);
    return cmd_fail(p->cmd, CMD_USAGE, "there is no command \"%.60s\" (see %s --help)", typed, program->name);
}

static enum cmd_exit parse_word(struct parser *p, const char *word)
{
    struct cmd *cmd = p->cmd;
    if (cmd->command == NULL && p->group == NULL && strcmp(word, "help") == 0) {
        p->wants_help = true;
        return CMD_OK;
    }
    if (cmd->command == NULL) {
        cmd->command = find_command(cmd->program, p->group, word);
        if (cmd->command != NULL)
            return CMD_OK;
        if (p->group != NULL || !is_group(cmd->program, word))
            return unknown_command(p, word);
        p->group = word;
        return CMD_OK;
    }
    if (cmd->args_n >= cmd->command->args_max)
        return cmd_fail(cmd, CMD_USAGE, "%s does not take \"%.40s\" (see %s %s --help)", cmd->command->name, word,
                        cmd->program->name, cmd->command->name);
    cmd->arg[cmd->args_n++] = word;
    return CMD_OK;
}

static const struct cmd_option *find_option(const struct cmd_option *options, const char *name, size_t len)
{
    for (const struct cmd_option *o = options; o != NULL && o->name != NULL; o++)
        if (strncmp(o->name, name, len) == 0 && o->name[len] == '\0')
            return o;
    return NULL;
}

static enum cmd_exit unknown_option(const struct cmd *cmd, const char *name, size_t len)
{
    AUTO(mem_free) char *typed = mem_strndup(name, len);
    struct nearest nearest = {.typed = typed};
    const struct cmd_option *own = cmd->command != NULL ? cmd->command->options : NULL;
    for (const struct cmd_option *o = own; o != NULL && o->name != NULL; o++)
        nearest_consider(&nearest, o->name);
    for (const struct cmd_option *o = cmd_globals; o->name != NULL; o++)
        nearest_consider(&nearest, o->name);
    if (nearest.best != NULL)
        return cmd_fail(cmd, CMD_USAGE, "there is no option --%.40s; did you mean --%s?", typed, nearest.best);
    return cmd_fail(cmd, CMD_USAGE, "there is no option --%.40s (see %s %s --help)", typed, cmd->program->name,
                    cmd->command != NULL ? cmd->command->name : "");
}

/* Keep a copy of the value; a secret is wiped from what `ps` shows. The last one of a name counts. */
static enum cmd_exit give(struct cmd *cmd, const struct cmd_option *option, char *value)
{
    size_t i = 0;
    while (i < cmd->given_n && cmd->given[i].option != option)
        i++;
    if (i == CMD_OPTIONS_MAX)
        return cmd_fail(cmd, CMD_USAGE, "too many options");
    mem_wipe(&cmd->given[i].value);
    cmd->given[i].option = option;
    cmd->given[i].value = mem_strdup(value);
    cmd->given_n += i == cmd->given_n;
    if (option->is_secret)
        explicit_bzero(value, strlen(value));
    return CMD_OK;
}

/* --name VALUE, --name=VALUE, --name; one dash does as well. */
static enum cmd_exit parse_option(struct parser *p, char *text)
{
    static char on[] = "true";
    struct cmd *cmd = p->cmd;
    char *name = text + 1 + (text[1] == '-');
    size_t len = strcspn(name, "=");
    char *value = name[len] == '=' ? name + len + 1 : NULL;
    if (strcmp(name, "h") == 0 || strcmp(name, "v") == 0)
        return give(cmd, find_option(cmd_globals, *name == 'h' ? "help" : "version", *name == 'h' ? 4 : 7), on);
    const struct cmd_option *option = cmd->command != NULL ? find_option(cmd->command->options, name, len) : NULL;
    if (option == NULL)
        option = find_option(cmd_globals, name, len);
    if (option == NULL)
        return unknown_option(cmd, name, len);
    if (option->arg == NULL)
        return give(cmd, option, value != NULL ? value : on);
    if (value == NULL && p->next < p->argc)
        value = p->argv[p->next++];
    if (value == NULL)
        return cmd_fail(cmd, CMD_USAGE, "--%s needs a value: --%s %s", option->name, option->name, option->arg);
    return give(cmd, option, value);
}

static enum cmd_exit parse_line(struct parser *p)
{
    enum cmd_exit code = CMD_OK;
    while (code == CMD_OK && p->next < p->argc) {
        char *text = p->argv[p->next++];
        bool is_option = !p->only_words && text[0] == '-' && text[1] != '\0';
        if (is_option && strcmp(text, "--") == 0)
            p->only_words = true;
        else
            code = is_option ? parse_option(p, text) : parse_word(p, text);
    }
    return code;
}

static void print_help(const struct parser *p)
{
    const struct program *program = p->cmd->program;
    if (p->cmd->command != NULL)
        help_command(program, p->cmd->command, stdout);
    else if (p->group != NULL)
        help_group(program, p->group, stdout);
    else
        help_program(program, stdout);
}

/* Required options and the right number of arguments. */
static enum cmd_exit check_line(const struct cmd *cmd)
{
    const struct command *command = cmd->command;
    for (const struct cmd_option *o = command->options; o != NULL && o->name != NULL; o++) {
        if (!o->is_required || cmd_value(cmd, o->name) != NULL)
            continue;
        if (!is_linked(cmd))
            return cmd_fail(cmd, CMD_USAGE, "%s needs --%s %s (see %s %s --help)", command->name, o->name, o->arg,
                            cmd->program->name, command->name);
        fprintf(stderr, "Required flag \"%s\" not set\n\n", o->name);
        help_command(cmd->program, command, stderr);
        return CMD_USAGE;
    }
    if (cmd->args_n < command->args_min)
        return cmd_fail(cmd, CMD_USAGE, "%s needs %s (see %s %s --help)", command->name, command->args,
                        cmd->program->name, command->name);
    return CMD_OK;
}

/* What is asked interactively answers with its result, not with a diary of how it got there. */
static void set_up_log(const struct cmd *cmd)
{
    enum log_level level = LOG_INFO;
    if (!log_level_parse(cmd->config->log_level, &level))
        level = LOG_INFO;
    bool is_asked = cmd_value(cmd, "log-level") != NULL || cmd_is_on(cmd, "debug");
    if (!cmd->command->is_service && !is_asked && level < LOG_WARN)
        level = LOG_WARN;
    log_setup(level, strcmp(cmd->config->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT);
}

/* What is wrong with the configuration is said before it is known, and collectors of JSON should find JSON there. */
static void set_up_first_log(const struct cmd *cmd)
{
    const char *format = cmd_value(cmd, "log-format");
    const char *variables[] = {"MINTD_LOG_FORMAT", is_linked(cmd) ? "LOG_FORMAT" : NULL};
    for (size_t i = 0; i < 2 && (format == NULL || *format == '\0') && variables[i] != NULL; i++)
        format = getenv(variables[i]);
    bool is_json = format != NULL && (strcmp(format, "json") == 0 || strcmp(format, "ndjson") == 0);
    log_setup(LOG_INFO, is_json ? LOG_JSON : LOG_TEXT);
}

static enum cmd_exit load_config(struct cmd *cmd)
{
    set_up_first_log(cmd);
    const char *file = cmd_value(cmd, "config");
    if (file == NULL && !is_linked(cmd) && access(DEFAULT_FILE, F_OK) == 0)
        file = DEFAULT_FILE;
    if (config_load(cmd->program->role, file, &cmd->config) != ERR_OK)
        return CMD_USAGE;
    for (size_t i = 0; i < cmd->given_n; i++)
        if (cmd->given[i].option->key != NULL &&
            config_set(cmd->config, cmd->given[i].option->key, cmd->given[i].value) != ERR_OK)
            return CMD_USAGE;
    if (cmd_is_on(cmd, "debug") && config_set(cmd->config, "log_level", "debug") != ERR_OK)
        return CMD_USAGE;
    set_up_log(cmd);
    config_warn(cmd->config);
    return CMD_OK;
}

static enum cmd_exit run(struct parser *p)
{
    struct cmd *cmd = p->cmd;
    enum cmd_exit code = parse_line(p);
    if (code != CMD_OK)
        return code;
    if (cmd_is_on(cmd, "version"))
        return version_command.run(cmd);
    bool wants_help = p->wants_help || cmd_is_on(cmd, "help");
    if (cmd->command == NULL && p->group == NULL && !wants_help)
        cmd->command = cmd->program->initial;
    if (cmd->command == NULL && cmd->program->missing != NULL && !wants_help)
        return cmd_fail(cmd, CMD_USAGE, "%s", cmd->program->missing);
    if (cmd->command == NULL || wants_help) {
        print_help(p);
        return CMD_OK;
    }
    code = check_line(cmd);
    if (code == CMD_OK && !cmd->command->is_bare)
        code = load_config(cmd);
    return code == CMD_OK ? cmd->command->run(cmd) : code;
}

int cmd_main(const struct program *program, int argc, char **argv)
{
    struct cmd cmd = {.program = program};
    struct parser parser = {.cmd = &cmd, .argv = argv, .argc = argc, .next = 1};
    enum cmd_exit code = run(&parser);
    if (fflush(stdout) != 0 && code == CMD_OK)
        code = cmd_fail(&cmd, CMD_USAGE, "the output cannot be written");
    for (size_t i = 0; i < cmd.given_n; i++)
        mem_wipe(&cmd.given[i].value);
    config_free(&cmd.config);
    return (int)code;
}

const char *cmd_value(const struct cmd *cmd, const char *name)
{
    for (size_t i = 0; i < cmd->given_n; i++)
        if (strcmp(cmd->given[i].option->name, name) == 0)
            return cmd->given[i].value;
    return NULL;
}

bool cmd_is_on(const struct cmd *cmd, const char *name)
{
    const char *value = cmd_value(cmd, name);
    return value != NULL && strcasecmp(value, "false") != 0 && strcmp(value, "0") != 0;
}

enum cmd_exit cmd_fail(const struct cmd *cmd, enum cmd_exit code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (cmd->config != NULL && cmd->command->is_service)
        log_error(text, LOG_STR("command", cmd->command->name));
    else if (is_linked(cmd))
        fprintf(stderr, "%s\n", text);
    else
        fprintf(stderr, "%s: %s\n", cmd->program->name, text);
    return code;
}
