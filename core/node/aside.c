/* aside.c - forking, and hearing what became of it. */
#include "core/node/aside.h"

#include "core/env/env.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT      8u
#define WORDS_MAX (256u << 10)
#define NICE      5 /* blocks first */
#define SILENT_MS 120000
#define TICKS                                                                                      \
    60u /* in that time: a node that was stopped itself misses one, and then listens first */

struct outcome {
    uint64_t ticket; /* 0: taken */
    qn_rc rc;
    json_t *result;
    char why[sizeof(struct qn_why)];
};

struct aside {
    struct event_base *base;
    void (*changed)(void *arg);
    void *arg;
    char what[48];
    pid_t pid;   /* 0: nothing runs */
    pid_t dying; /* killed for standing still, and maybe stuck in the kernel: not waited for */
    int fd;      /* what it says; in the child: where it says it */
    struct event *ev, *tick;
    uint32_t silent_ms, silent; /* silent: ticks since it said something, or worked */
    uint64_t used;
    struct qn_buf in;
    uint64_t ticket, done, total;
    char reading[64]; /* what it may die of */
    struct outcome kept[KEPT];
};

struct aside *aside_new(struct event_base *base, void (*changed)(void *arg), void *arg)
{
    struct aside *a = calloc(1, sizeof *a);
    QN_ASSERT(a != NULL);
    *a = (struct aside){
        .base = base, .changed = changed, .arg = arg, .fd = -1, .silent_ms = SILENT_MS
    };
    return a;
}

/* --- the child ---------------------------------------------------------------------------------------------------- */

static void say(int fd, json_t *line QN_TAKES)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t len = text ? strlen(text) : 0;
    if (text) text[len++] = '\n'; /* over its end: it goes by length from here */
    for (size_t put = 0; put < len;) {
        ssize_t n = write(fd, text + put, len - put);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break; /* the node is gone, and so are we in a moment */
        put += (size_t)n;
    }
    free(text);
    json_decref(line);
}

void aside_say(struct aside *self, uint64_t done, uint64_t total)
{
    say(self->fd, json_pack("{s:I, s:I}", "done", (json_int_t)done, "total", (json_int_t)total));
}

void aside_reading(struct aside *self, const char *what)
{
    say(self->fd, json_pack("{s:s}", "reading", what));
}

static _Noreturn void child(struct aside *a, int fd, pid_t parent, aside_fn fn, void *arg)
{
    struct qn_why why = { "" };
    json_t *result = NULL;
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* it died before we asked to be told */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C in a terminal is for the node, which takes us along */
    /* Sockets, the lock of the home, the event queue: all the node's. */
    if (fd != 3 && dup2(fd, 3) < 0) _exit(1);
    if (close_range(4, ~0u, 0)) _exit(1);
    if (nice(NICE) == -1) errno = 0;
    a->fd = 3;
    qn_rc rc = fn(arg, a, &result, &why);
    say(3, json_pack("{s:i, s:s, s:o}", "rc", (int)rc, "why", why.text, "result",
                     result ? result : json_null()));
    _exit(0); /* nothing of the node's is flushed or undone here */
}

/* --- the node ------------------------------------------------------------------------------------------------------- */

static void keep(struct aside *a, qn_rc rc, json_t *result QN_TAKES, const char *why)
{
    struct outcome *o = &a->kept[a->ticket % KEPT];
    json_decref(o->result);
    *o = (struct outcome){ .ticket = a->ticket, .rc = rc, .result = result };
    snprintf(o->why, sizeof o->why, "%s", why);
}

static void take_line(struct aside *a, const char *line, size_t len, bool *ret_last)
{
    json_t *said = json_loadb(line, len, 0, NULL), *rc = json_object_get(said, "rc");
    if (json_is_integer(rc)) {
        const char *why = json_string_value(json_object_get(said, "why"));
        int code = (int)json_integer_value(rc);
        bool known = code >= 0 && code < QN_RC_CNT;
        keep(a, known ? (qn_rc)code : QN_E_SYSTEM, json_incref(json_object_get(said, "result")),
             why ? why : "");
        *ret_last = true;
    } else if (json_object_get(said, "reading")) {
        snprintf(a->reading, sizeof a->reading, "%s",
                 json_string_value(json_object_get(said, "reading")));
    } else {
        a->done = (uint64_t)json_integer_value(json_object_get(said, "done"));
        a->total = (uint64_t)json_integer_value(json_object_get(said, "total"));
    }
    json_decref(said);
}

/* Its last word: how it ended. */
static int bury(struct aside *a)
{
    int how = 0;
    if (a->pid > 0)
        while (waitpid(a->pid, &how, 0) < 0 && errno == EINTR)
            ;
    if (a->ev) event_free(a->ev);
    if (a->tick) event_free(a->tick);
    if (a->fd >= 0) close(a->fd);
    qn_buf_free(&a->in);
    a->ev = a->tick = NULL;
    a->fd = -1;
    a->pid = 0;
    return how;
}

/* It is gone without a word. */
static void keep_death(struct aside *a, int how)
{
    char why[160];
    int sig = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    bool fault = sig == SIGSEGV || sig == SIGBUS || sig == SIGABRT || sig == SIGFPE ||
                 sig == SIGILL || (WIFEXITED(how) && WEXITSTATUS(how)); /* a sanitizer's exit */
    if (fault && a->reading[0]) {
        snprintf(why, sizeof why, "%s is damaged so that reading it is fatal (signal %d)",
                 a->reading, sig);
        keep(a, QN_E_CORRUPT, NULL, why);
    } else {
        keep(a, QN_E_SYSTEM, NULL, "the process that did the work died");
    }
}

static void on_said(evutil_socket_t fd, short what, void *arg)
{
    struct aside *a = arg;
    uint8_t some[4096];
    bool last = false;
    (void)what;
    ssize_t n = read((int)fd, some, sizeof some);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    a->silent = 0;
    if (n > 0) {
        qn_buf_put(&a->in, some, (size_t)n);
        const uint8_t *end;
        while (a->in.len && (end = memchr(a->in.ptr, '\n', a->in.len))) {
            size_t len = (size_t)(end - a->in.ptr) + 1;
            take_line(a, (const char *)a->in.ptr, len - 1, &last);
            memmove(a->in.ptr, a->in.ptr + len, a->in.len - len);
            a->in.len -= len;
        }
        if (!last && a->in.len <= WORDS_MAX) {
            a->changed(a->arg);
            return;
        }
    }
    kill(a->pid, SIGKILL); /* it is at its end already */
    int how = bury(a);
    if (!last) keep_death(a, how);
    a->changed(a->arg);
}

static void reap(struct aside *a)
{
    if (a->dying && waitpid(a->dying, NULL, WNOHANG) != 0) a->dying = 0;
}

/* What a child has used of a processor, in the kernel's ticks; 0: it cannot be told. */
static uint64_t used(pid_t pid)
{
    char path[64];
    struct qn_buf file = { 0 };
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (qn_file_read(path, 4096, &file, NULL) == QN_OK) {
        qn_buf_u8(&file, 0);
        const char *end = strrchr((const char *)file.ptr, ')'); /* of its name */
        if (!end || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                           &kernel) != 2)
            user = kernel = 0;
    }
    qn_buf_free(&file);
    return user + kernel;
}

static void on_silence(evutil_socket_t fd, short what, void *arg)
{
    struct aside *a = arg;
    char why[100];
    (void)fd, (void)what;
    uint64_t now = used(a->pid);
    if (now != a->used) a->silent = 0;
    a->used = now;
    if (++a->silent <= TICKS) return;
    snprintf(why, sizeof why, "the process that did the work stood still for %u s and was killed",
             (a->silent_ms + 999) / 1000);
    keep(a, QN_E_SYSTEM, NULL, why);
    kill(a->pid, SIGKILL);
    reap(a);
    a->dying = a->pid;
    a->pid = 0;
    bury(a);
    a->changed(a->arg);
}

void aside_patience(struct aside *a, uint32_t ms)
{
    a->silent_ms = ms;
}

qn_rc aside_start(struct aside *a, const char *what, aside_fn fn, void *arg, uint64_t *ret_ticket,
                  struct qn_why *why)
{
    int pipes[2];
    if (a->pid) return qn_why(why, QN_E_BUSY, "%s is under way", a->what);
    reap(a);
    if (pipe2(pipes, O_CLOEXEC))
        return qn_why(why, qn_err_errno(errno), "pipe: %s", strerror(errno));
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) child(a, pipes[1], parent, fn, arg);
    int err = errno;
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return qn_why(why, QN_E_SYSTEM, "fork: %s", strerror(err));
    }
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    a->pid = pid;
    a->fd = pipes[0];
    a->ticket++;
    a->done = a->total = 0;
    a->reading[0] = 0;
    snprintf(a->what, sizeof a->what, "%s", what);
    a->ev = event_new(a->base, a->fd, EV_READ | EV_PERSIST, on_said, a);
    QN_ASSERT(a->ev != NULL);
    event_add(a->ev, NULL);
    uint32_t every = QN_MAX(a->silent_ms / TICKS, 1u);
    const struct timeval tick = { every / 1000, (suseconds_t)(every % 1000) * 1000 };
    a->silent = 0;
    a->tick = event_new(a->base, -1, EV_PERSIST, on_silence, a);
    QN_ASSERT(a->tick != NULL);
    event_add(a->tick, &tick);
    *ret_ticket = a->ticket;
    return QN_OK;
}

qn_rc aside_result(struct aside *a, uint64_t ticket, json_t **ret, struct qn_why *why)
{
    struct outcome *o = &a->kept[ticket % KEPT];
    if (a->pid && ticket == a->ticket) return qn_why(why, QN_E_AGAIN, "%s is under way", a->what);
    if (ticket == 0 || o->ticket != ticket) return qn_why(why, QN_E_NOTFOUND, "no such work");
    o->ticket = 0;
    qn_rc rc = o->rc;
    if (rc) {
        qn_why(why, rc, "%s", o->why);
        json_decref(o->result);
    } else {
        *ret = o->result;
    }
    o->result = NULL;
    return rc;
}

void aside_end(struct aside *a, uint64_t ticket)
{
    if (a->pid && a->ticket == ticket) kill(a->pid, SIGKILL); /* on_said hears of it */
}

const char *aside_busy(const struct aside *a, uint64_t *ret_done, uint64_t *ret_total)
{
    if (ret_done) *ret_done = a->done;
    if (ret_total) *ret_total = a->total;
    return a->pid ? a->what : NULL;
}

void aside_free(struct aside *a)
{
    if (!a) return;
    if (a->pid) kill(a->pid, SIGKILL);
    bury(a);
    reap(a);
    for (unsigned i = 0; i < KEPT; i++)
        json_decref(a->kept[i].result);
    free(a);
}
