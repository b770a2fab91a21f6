/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cmd/prompt.h"

#include <poll.h>
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

/* One byte of stdin as soon as there is one. A signal ends the wait whenever it came: it is blocked but in ppoll(). */
static ssize_t read_byte(char *out, const sigset_t *waiting)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return ppoll(&in, 1, NULL, waiting) == 1 ? read(STDIN_FILENO, out, 1) : -1;
}

/*
 * One line of stdin without its end; nothing behind it is taken. NULL: too long, a NUL in it, an error or a signal.
 *   waiting  the signal mask while it waits, NULL for the one there is
 */
static char *read_line(const sigset_t *waiting)
{
    char line[LINE_SIZE];
    size_t len = 0;
    ssize_t n;
    while ((n = read_byte(line + len, waiting)) == 1 && line[len] != '\n' && len < sizeof line - 1)
        len++;
    bool is_whole = n == 0 || (n == 1 && line[len] == '\n');
    char *text = is_whole && memchr(line, '\0', len) == NULL ? mem_strndup(line, len) : NULL;
    explicit_bzero(line, sizeof line);
    return text;
}

static char *read_unseen(const sigset_t *waiting)
{
    struct termios shown;
    tcgetattr(STDIN_FILENO, &shown);
    struct termios unseen = shown;
    unseen.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
    fputs("Enter password: ", stderr);
    char *line = read_line(waiting);
    fputc('\n', stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    return line;
}

/* Interrupted at any time, the terminal gets its echo back before the program goes. */
static char *ask(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    enum { COUNT = sizeof signals / sizeof *signals };
    struct sigaction old[COUNT];
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT; i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    for (size_t i = 0; i < COUNT; i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = catch_signal}, &old[i]);
    char *line = read_unseen(&before);
    for (size_t i = 0; i < COUNT; i++)
        sigaction(signals[i], &old[i], NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
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
    *password = is_piped ? read_line(NULL) : ask();
    return *password != NULL ? CMD_OK : cmd_fail(cmd, failed, "no password could be read");
}
