/* nat.c - the process that talks to the router, and the node that listens to it. */
#include "core/net/nat.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIRE     3
#define LINE     400
#define TRY_S    12  /* one exchange with a router */
#define AGAIN_S  600 /* after none, or a failure */
#define CLOSE_S  5
#define MEMORY   (256u << 20)
#define END_MS   1500
#define PATIENCE 15 /* s, beyond what the process gives itself */

/* --- the process ------------------------------------------------------------------------------------------------ */

/* A call with one argument so: equal to `is`, or (masked) with none of its bits. */
static bool allow_with(scmp_filter_ctx ctx, int call, unsigned arg, enum scmp_compare how,
                       uint64_t is)
{
    const struct scmp_arg_cmp cmp = { .arg = arg, .op = how, .datum_a = is, .datum_b = 0 };
    return !seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, 1, &cmp);
}

/* What talking over sockets takes, and nothing else: no file, no program, no other process, no page that runs. What a router's bytes could make of us
 * has nowhere to go. Anything else is answered with EACCES, which the libraries take as one more thing that did not work. */
static bool allow(scmp_filter_ctx ctx)
{
    static const int CALLS[] = {
        SCMP_SYS(connect),
        SCMP_SYS(bind),
        SCMP_SYS(sendto),
        SCMP_SYS(sendmsg),
        SCMP_SYS(sendmmsg),
        SCMP_SYS(recvfrom),
        SCMP_SYS(recvmsg),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(getsockname),
        SCMP_SYS(getpeername),
        SCMP_SYS(shutdown),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(select),
        SCMP_SYS(pselect6),
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(close),
        SCMP_SYS(fcntl),
        SCMP_SYS(brk),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(time),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep),
        SCMP_SYS(alarm),
        SCMP_SYS(setitimer),
        SCMP_SYS(getrandom),
        SCMP_SYS(futex),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
    };
    static const int PAGES[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
    static const int FAMILIES[] = { AF_INET, AF_INET6 };
    bool ok = true;
    for (size_t i = 0; ok && i < QN_COUNT(CALLS); i++)
        ok = !seccomp_rule_add(ctx, SCMP_ACT_ALLOW, CALLS[i], 0);
    for (size_t i = 0; ok && i < QN_COUNT(PAGES); i++)
        ok = allow_with(ctx, PAGES[i], 2, SCMP_CMP_MASKED_EQ, PROT_EXEC);
    for (size_t i = 0; ok && i < QN_COUNT(FAMILIES); i++)
        ok = allow_with(ctx, SCMP_SYS(socket), 0, SCMP_CMP_EQ, (uint64_t)FAMILIES[i]);
    /* Which interfaces there are, and bytes that wait: by number, for an ioctl can be anything. */
    static const unsigned long ASKS[] = { SIOCGIFADDR,  SIOCGIFCONF, SIOCGIFFLAGS,
                                          SIOCGIFINDEX, FIONREAD,    FIONBIO };
    for (size_t i = 0; ok && i < QN_COUNT(ASKS); i++)
        ok = allow_with(ctx, SCMP_SYS(ioctl), 1, SCMP_CMP_EQ, ASKS[i]);
    return ok;
}

static bool lock_in(void)
{
    const struct rlimit none = { 0, 0 };
    scmp_filter_ctx ctx = NULL;
    bool ok = !setrlimit(RLIMIT_CORE, &none) && !setrlimit(RLIMIT_FSIZE, &none) &&
              !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef QN_SANITIZED /* their shadow is larger than any memory, and they read /proc */
    const struct rlimit memory = { MEMORY, MEMORY };
    int nowhere = open("/dev/null", O_WRONLY); /* miniupnpc has words for people */
    ok = ok && !setrlimit(RLIMIT_AS, &memory) && nowhere >= 0 &&
         dup2(nowhere, STDERR_FILENO) == STDERR_FILENO &&
         dup2(nowhere, STDOUT_FILENO) == STDOUT_FILENO && !close(nowhere);
    ctx = seccomp_init(SCMP_ACT_ERRNO(EACCES));
    ok = ok && ctx && allow(ctx) && !seccomp_load(ctx);
#else
    ctx = seccomp_init(SCMP_ACT_ALLOW);
    ok = ok && ctx && !seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(execve), 0) &&
         !seccomp_load(ctx);
    (void)allow;
#endif
    if (ctx) seccomp_release(ctx);
    return ok;
}

static void say(const struct net_nat_map *map, qn_rc rc, const struct qn_why *why)
{
    char line[LINE], ip[NET_ADDR_TEXT];
    net_ip_print(&map->outside.ip, ip);
    int len = rc ? snprintf(line, sizeof line, "no %s", why->text)
                 : snprintf(line, sizeof line, "open %d %s %u %u", (int)map->kind, ip,
                            map->outside.port, map->lease_s);
    if (len > 0) (void)!send(WIRE, line, QN_MIN((size_t)len, sizeof line - 1), MSG_NOSIGNAL);
}

int qn_nat_main(void)
{
    char line[LINE];
    unsigned port;
    int used = 0;
    struct net_nat_conf conf;
    struct net_nat_map map = { .kind = NET_NAT_OFF };
    struct qn_why why = { "" };
    static const struct net_ip NONE;
    ssize_t n = recv(WIRE, line, sizeof line - 1, 0);
    if (n <= 0) return 1;
    line[n] = 0;
    if (sscanf(line, "%u %n", &port, &used) != 1 || !port || port > 65535 ||
        net_nat_parse(line + used, &conf, &why))
        return 1;
    signal(SIGINT, SIG_IGN);  /* a Ctrl-C is for the node, whose end we see */
    signal(SIGTERM, SIG_IGN); /* and so is a stop of the service */
    signal(SIGXFSZ, SIG_IGN); /* what would grow a file does not, and ends nothing */
    struct net_ip gateway;
    if (net_ip_eq(&conf.gateway, &NONE) && net_nat_gateway(&gateway)) conf.gateway = gateway;
    if (!lock_in()) return 1;
    for (;;) {
        alarm(TRY_S); /* a router that drips its answer ends this process */
        qn_rc rc = net_nat_open(&conf, (uint16_t)port, &map, &why);
        alarm(0);
        say(&map, rc, &why);
        uint32_t wait_s = rc             ? AGAIN_S
                          : !map.lease_s ? NET_NAT_LEASE_S / 2
                                         : QN_MIN(QN_MAX(map.lease_s, 4u), 86400u) / 2;
        struct pollfd pfd = { .fd = WIRE, .events = POLLIN };
        if (poll(&pfd, 1, (int)wait_s * 1000) == 0) continue;
        alarm(CLOSE_S); /* the node is gone, or going */
        net_nat_close(&map);
        return 0;
    }
}

/* --- the node ------------------------------------------------------------------------------------------------------ */

struct qn_nat {
    struct qn_nat_conf conf;
    pid_t pid; /* 0: none runs */
    int fd;
    struct event *read, *timer;
    bool open;
    struct net_addr outside;
    char text[LINE];
};

static void later(struct qn_nat *nat, uint32_t s)
{
    const struct timeval tv = { (time_t)s, 0 };
    event_add(nat->timer, &tv);
}

static void gone(struct qn_nat *nat)
{
    if (nat->open && nat->conf.changed) nat->conf.changed(nat->conf.arg, NULL);
    nat->open = false;
}

static void bury(struct qn_nat *nat)
{
    if (nat->read) event_free(nat->read);
    if (nat->fd >= 0) close(nat->fd);
    nat->read = NULL;
    nat->fd = -1;
    if (nat->pid) kill(nat->pid, SIGKILL);
    while (nat->pid && waitpid(nat->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    nat->pid = 0;
}

/* "open KIND IP PORT LEASE" or "no WHY": short lines of a process that may have lost its mind. */
static bool take(struct qn_nat *nat, const char *line)
{
    char ip[NET_ADDR_TEXT], where[NET_ADDR_TEXT];
    unsigned kind, port, lease;
    struct net_addr a;
    if (strncmp(line, "no ", 3) == 0) {
        gone(nat);
        snprintf(nat->text, sizeof nat->text, "%.200s", line + 3);
        for (char *c = nat->text; *c; c++)
            if (*c < ' ' || *c > '~') *c = '?';
        later(nat, AGAIN_S + TRY_S + PATIENCE);
        return true;
    }
    if (sscanf(line, "open %u %55s %u %u", &kind, ip, &port, &lease) != 4 ||
        (kind != NET_NAT_PMP && kind != NET_NAT_UPNP) || !net_ip_parse(ip, &a.ip) || !port ||
        port > 65535)
        return false;
    a.port = (uint16_t)port;
    net_addr_print(&a, where);
    enum net_range range = net_ip_range(&a.ip);
    snprintf(nat->text, sizeof nat->text, "port opened by %s: %s%s",
             kind == NET_NAT_PMP ? "NAT-PMP" : "UPnP", where,
             range == NET_PUBLIC ? "" : ", but another router is before this one");
    later(nat, QN_MIN(lease ? lease : NET_NAT_LEASE_S, 86400u) + TRY_S + PATIENCE);
    bool same = nat->open && net_addr_eq(&nat->outside, &a);
    nat->open = true;
    nat->outside = a;
    if (!same && nat->conf.changed) nat->conf.changed(nat->conf.arg, &a);
    return true;
}

static void failed(struct qn_nat *nat, const char *why)
{
    bury(nat);
    gone(nat);
    snprintf(nat->text, sizeof nat->text, "%s", why);
    later(nat, AGAIN_S);
}

static void on_said(evutil_socket_t fd, short what, void *arg)
{
    struct qn_nat *nat = arg;
    char line[LINE];
    (void)what;
    ssize_t n = recv((int)fd, line, sizeof line - 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    line[n > 0 ? n : 0] = 0;
    if (n <= 0 || !take(nat, line)) failed(nat, "the router's answers were too much");
}

static _Noreturn void child(int fd)
{
    char self[] = "quoin", verb[] = "worker", kind[] = "nat";
    char *argv[] = { self, verb, kind, NULL }, *env[] = { NULL };
    sigset_t none;
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(fd, WIRE) < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(null, 2) < 0 || close_range(WIRE + 1, ~0u, 0))
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    execve("/proc/self/exe", argv, env);
    _exit(127);
}

static const char *words(const struct net_nat_conf *how, char dst[LINE])
{
    static const char *const NAMES[] = { [NET_NAT_OFF] = "off",
                                         [NET_NAT_AUTO] = "auto",
                                         [NET_NAT_PMP] = "natpmp",
                                         [NET_NAT_UPNP] = "upnp" };
    static const struct net_ip NONE;
    char ip[NET_ADDR_TEXT] = "";
    if (!net_ip_eq(&how->gateway, &NONE)) net_ip_print(&how->gateway, ip);
    snprintf(dst, LINE, "%s%s%s%s", NAMES[how->kind], ip[0] || how->url[0] ? ":" : "", ip,
             how->url);
    return dst;
}

static void start(struct qn_nat *nat)
{
    int pair[2];
    char line[LINE + 16], how[LINE];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        failed(nat, "no process could be started");
        return;
    }
    int len = snprintf(line, sizeof line, "%u %s", nat->conf.port, words(&nat->conf.how, how));
    (void)!send(pair[0], line, (size_t)len, MSG_NOSIGNAL);
    pid_t pid = fork();
    if (pid == 0) child(pair[1]);
    close(pair[1]);
    nat->fd = pair[0];
    if (pid < 0) {
        failed(nat, "no process could be started");
        return;
    }
    nat->pid = pid;
    nat->read = event_new(nat->conf.base, nat->fd, EV_READ | EV_PERSIST, on_said, nat);
    QN_ASSERT(nat->read != NULL);
    event_add(nat->read, NULL);
    later(nat, TRY_S + PATIENCE);
}

/* Either nothing runs and it is time again, or what runs has been silent for too long. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct qn_nat *nat = arg;
    (void)fd, (void)what;
    if (nat->pid)
        failed(nat, "the router does not come to an end");
    else
        start(nat);
}

struct qn_nat *qn_nat_open(const struct qn_nat_conf *conf)
{
    struct qn_nat *nat = calloc(1, sizeof *nat);
    QN_ASSERT(nat != NULL);
    nat->conf = *conf;
    nat->fd = -1;
    snprintf(nat->text, sizeof nat->text, "asking the router");
    nat->timer = event_new(conf->base, -1, 0, on_timer, nat);
    QN_ASSERT(nat->timer != NULL);
    start(nat);
    return nat;
}

void qn_nat_close(struct qn_nat *nat)
{
    if (!nat) return;
    event_free(nat->timer);
    if (nat->read) event_free(nat->read);
    nat->read = NULL;
    if (nat->fd >= 0) {
        shutdown(nat->fd, SHUT_RDWR); /* which it sees, whoever else was forked meanwhile */
        close(nat->fd);
    }
    nat->fd = -1;
    for (int ms = 0; nat->pid && ms < END_MS; ms += 10) {
        if (waitpid(nat->pid, NULL, WNOHANG) != 0) nat->pid = 0;
        if (nat->pid) usleep(10000);
    }
    /* One that still waits for its router ends by itself, five seconds after it began to. */
    free(nat);
}

const char *qn_nat_text(const struct qn_nat *nat)
{
    return nat->text;
}
