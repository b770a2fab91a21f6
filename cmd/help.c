/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/help.h"

#include <string.h>

#include "cmd/config_table.h"
#include "lib/auto.h"
#include "lib/mem.h"

enum { COLUMN = 26 };

static void print_commands(const struct program *program, const char *prefix, FILE *out)
{
    fputs("\nCommands:\n", out);
    int width = COLUMN - 6;
    for (const struct command *const *c = program->commands; *c != NULL; c++)
        width = (int)strlen((*c)->name) > width ? (int)strlen((*c)->name) : width;
    for (const struct command *const *c = program->commands; *c != NULL; c++)
        if (strncmp((*c)->name, prefix, strlen(prefix)) == 0)
            fprintf(out, "  %-*s %s\n", width, (*c)->name, (*c)->summary);
}

/* The default of an option that sets a configuration key. */
static const char *initial(const struct program *program, const struct cmd_option *option)
{
    const struct config_key *key = option->key != NULL ? config_table_find("", option->key) : NULL;
    if (key == NULL)
        return NULL;
    if (program->role == ROLE_DEVICEAUTH && key->linked_devices != NULL)
        return key->linked_devices;
    return program->role != ROLE_MINTD && key->linked != NULL ? key->linked : key->initial;
}

static void print_options(const struct program *program, const char *title, const struct cmd_option *options, FILE *out)
{
    if (options == NULL || options->name == NULL)
        return;
    fprintf(out, "\n%s:\n", title);
    for (const struct cmd_option *o = options; o->name != NULL; o++) {
        AUTO(mem_free)
        char *left = mem_printf("--%s%s%s", o->name, o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
        const char *value = initial(program, o);
        fprintf(out, "  %-*s %s", COLUMN, left, o->help);
        if (value != NULL && *value != '\0')
            fprintf(out, " (default %s)", value);
        fputs(o->is_required ? " (required)\n" : "\n", out);
    }
}

static void print_examples(const struct program *program, const char *examples, FILE *out)
{
    fputs("\nExamples:\n", out);
    for (const char *p = examples; *p != '\0';) {
        size_t len = strcspn(p, "\n");
        fputs("  ", out);
        for (size_t i = 0; i < len; i++) {
            bool is_name = p[i] == '$' && p[i + 1] == '0';
            if (is_name)
                fputs(program->name, out);
            else
                fputc(p[i], out);
            i += is_name;
        }
        fputc('\n', out);
        p += len + (p[len] == '\n');
    }
}

void help_program(const struct program *program, FILE *out)
{
    fprintf(out, "Usage: %s [OPTIONS] COMMAND [OPTIONS]\n\n%s\n", program->name, program->about);
    print_commands(program, "", out);
    print_options(program, "Options", cmd_globals, out);
    fprintf(out, "\n%s COMMAND --help says more about a command.\n", program->name);
}

void help_group(const struct program *program, const char *group, FILE *out)
{
    AUTO(mem_free) char *prefix = mem_printf("%s ", group);
    fprintf(out, "Usage: %s %s COMMAND [OPTIONS]\n", program->name, group);
    print_commands(program, prefix, out);
    fprintf(out, "\n%s %s COMMAND --help says more about a command.\n", program->name, group);
}

void help_command(const struct program *program, const struct command *command, FILE *out)
{
    fprintf(out, "Usage: %s %s", program->name, command->name);
    for (const struct cmd_option *o = command->options; o != NULL && o->name != NULL; o++)
        if (o->is_required)
            fprintf(out, " --%s %s", o->name, o->arg);
    fprintf(out, " [OPTIONS]%s%s\n\n%s\n", command->args != NULL ? " " : "", command->args != NULL ? command->args : "",
            command->summary);
    if (command->details != NULL)
        fprintf(out, "\n%s\n", command->details);
    print_options(program, "Options", command->options, out);
    print_options(program, "Options of every command", cmd_globals, out);
    print_examples(program, command->examples, out);
}
