/* progress.c - how far long work has come. */
#include "core/cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define FIRST_US  500000 /* who waits less sees nothing */
#define REDRAW_US 100000
#define LINE_US   10000000

void qn_progress_begin(struct qn_progress *p, const struct qn_cli *cli)
{
    bool tty = isatty(STDERR_FILENO);
    *p =
        (struct qn_progress){ .next_us = qn_env_mono_us(qn_env_real()) + (tty ? FIRST_US : LINE_US),
                              .off = cli->json || cli->quiet,
                              .tty = tty };
}

void qn_progress(struct qn_progress *p, const char *fmt, ...)
{
    char line[80]; /* no more: a longer one would wrap, and not be redrawn */
    va_list args;
    if (!p || p->off) return;
    uint64_t now_us = qn_env_mono_us(qn_env_real());
    if (now_us < p->next_us) return;
    p->next_us = now_us + (p->tty ? REDRAW_US : LINE_US);
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    fprintf(stderr, p->tty ? "\r\033[K%s" : "%s\n", line);
    fflush(stderr);
    p->shown = p->tty;
}

void qn_progress_end(struct qn_progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}
