/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cmd/prompt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "lib/mem.h"

enum { LINE_SIZE = 1024 };

static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
    caught = number;
}

/* One line of stdin without its end, byte by byte so that nothing behind it is taken. NULL: too long, a NUL in it, or an error. */
static char *read_line(void)
{
    char line[LINE_SIZE];
    size_t len = 0;
    ssize_t n;
    while ((n = read(STDIN_FILENO, line + len, 1)) == 1 && line[len] != '\n' && len < sizeof line - 1)
        len++;
    bool is_whole = n == 0 || (n == 1 && line[len] == '\n');
    char *text = is_whole && memchr(line, '\0', len) == NULL ? mem_strndup(line, len) : NULL;
    explicit_bzero(line, sizeof line);
    return text;
}

/* Interrupted, the terminal gets its echo back before the program goes. */
static char *read_unseen(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    enum { COUNT = sizeof signals / sizeof *signals };
    struct sigaction old[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = catch_signal}, &old[i]);
    struct termios shown;
    tcgetattr(STDIN_FILENO, &shown);
    struct termios unseen = shown;
    unseen.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
    fputs("Enter password: ", stderr);
    char *line = read_line();
    fputc('\n', stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    for (size_t i = 0; i < COUNT; i++)
        sigaction(signals[i], &old[i], NULL);
    if (caught != 0)
        raise(caught);
    return line;
}

enum cmd_exit prompt_password(const struct cmd *cmd, enum cmd_exit failed, char **password)
{
    const char *given = cmd_value(cmd, "password");
    if (given != NULL && *given != '\0') {
        *password = mem_strdup(given);
        return CMD_OK;
    }
    bool is_piped = cmd_is_on(cmd, "password-stdin");
    if (!is_piped && isatty(STDIN_FILENO) != 1)
        return cmd_fail(cmd, failed, "stdin is not a terminal");
    *password = is_piped ? read_line() : read_unseen();
    return *password != NULL ? CMD_OK : cmd_fail(cmd, failed, "no password could be read");
}
