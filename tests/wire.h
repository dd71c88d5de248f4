/* wire.h - real faults for real processes: N network namespaces, each with one TUN device, and this process as all that lies between them. It
 * delays, loses and cuts packets by direction. The kernel's own netem does the same where it is built in; this needs /dev/net/tun and root. Two
 * hosts see plain IP, so that everything above, TCP's own recovery too, is what it would be between two machines.
 *
 * Host i has the address 20.(i+1).0.1 in a /8: public and each of another /16, as hosts of the world are; nothing here reaches the world. */
#ifndef QN_TESTS_WIRE_H
#define QN_TESTS_WIRE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WIRE_MAX = 16, WIRE_MTU = 1500, WIRE_QUEUE = 4096 /* packets, as a router's */ };

struct wire_packet {
    uint64_t due_us;
    uint16_t len;
    uint8_t b[WIRE_MTU];
};

/* One direction of one pair. */
struct wire_way {
    uint64_t delay_us;
    uint32_t loss_ppm;
    bool cut;
    uint32_t head, cnt;
    struct wire_packet **queue; /* WIRE_QUEUE of them */
};

struct wire {
    uint32_t cnt;
    int tun[WIRE_MAX], ns[WIRE_MAX]; /* ns: of the namespace, for setns */
    uint64_t rng, carried, lost;
    struct wire_way way[WIRE_MAX][WIRE_MAX];
};

static inline uint64_t wire_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static inline int wire_device(uint32_t i)
{
    struct ifreq req = { 0 };
    struct sockaddr_in sin = { .sin_family = AF_INET };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC),
        sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(req.ifr_name, sizeof req.ifr_name, "wire");
    req.ifr_flags = IFF_TUN | IFF_NO_PI;
    bool ok = fd >= 0 && sock >= 0 && ioctl(fd, TUNSETIFF, &req) == 0;
    req.ifr_flags = IFF_UP | IFF_RUNNING;
    sin.sin_addr.s_addr = htonl(20u << 24 | (i + 1) << 16 | 1);
    struct ifreq addr = req, mask = req, mtu = req, lo = req;
    memcpy(&addr.ifr_addr, &sin, sizeof sin);
    sin.sin_addr.s_addr = htonl(255u << 24);
    memcpy(&mask.ifr_netmask, &sin, sizeof sin);
    mtu.ifr_mtu = WIRE_MTU;
    snprintf(lo.ifr_name, sizeof lo.ifr_name, "lo");
    ok = ok && ioctl(sock, SIOCSIFADDR, &addr) == 0 && ioctl(sock, SIOCSIFNETMASK, &mask) == 0 &&
         ioctl(sock, SIOCSIFMTU, &mtu) == 0 && ioctl(sock, SIOCSIFFLAGS, &req) == 0 &&
         ioctl(sock, SIOCSIFFLAGS, &lo) == 0;
    int saved = errno;
    if (sock >= 0) close(sock);
    if (ok) return fd;
    if (fd >= 0) close(fd);
    errno = saved;
    return -1;
}

static inline bool wire_enter(int ns)
{
    return setns(ns, CLONE_NEWNET) == 0;
}

/* wire_open makes cnt hosts without delay or loss. False: this system does not allow it, errno says why; the caller is back in its own
 * namespace either way. */
static inline bool wire_open(struct wire *w, uint32_t cnt)
{
    *w = (struct wire){ .cnt = cnt, .rng = 1 };
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    bool ok = home >= 0 && cnt <= WIRE_MAX;
    for (uint32_t i = 0; ok && i < cnt; i++) {
        ok = unshare(CLONE_NEWNET) == 0 && (w->tun[i] = wire_device(i)) >= 0 &&
             (w->ns[i] = open("/proc/self/ns/net", O_RDONLY)) >= 0;
        for (uint32_t k = 0; ok && k < cnt; k++)
            ok = (w->way[i][k].queue = calloc(WIRE_QUEUE, sizeof *w->way[i][k].queue)) != NULL;
    }
    int saved = errno;
    if (home >= 0) {
        if (!wire_enter(home)) exit(1);
        close(home);
    }
    errno = saved;
    return ok;
}

/* wire_set changes every way from `from` to `to`, -1 meaning all. */
static inline void wire_set(struct wire *w, const char *what, uint64_t value, int from, int to)
{
    for (uint32_t i = 0; i < w->cnt; i++)
        for (uint32_t k = 0; k < w->cnt; k++) {
            if ((from >= 0 && (uint32_t)from != i) || (to >= 0 && (uint32_t)to != k)) continue;
            struct wire_way *way = &w->way[i][k];
            if (strcmp(what, "delay") == 0) way->delay_us = value;
            if (strcmp(what, "loss") == 0) way->loss_ppm = (uint32_t)value;
            if (strcmp(what, "cut") == 0) way->cut = value != 0;
        }
}

static inline void wire_take(struct wire *w, uint32_t from, uint64_t now_us)
{
    static uint8_t b[65536];
    for (ssize_t n; (n = read(w->tun[from], b, sizeof b)) > 0;) {
        uint32_t to = b[17] - 1u;
        if (n < 20 || n > WIRE_MTU || b[0] >> 4 != 4 || b[16] != 20 || to >= w->cnt) continue;
        struct wire_way *way = &w->way[from][to];
        w->rng = w->rng * 6364136223846793005u + 1442695040888963407u;
        struct wire_packet *p = NULL;
        if (!way->cut && (w->rng >> 33) % 1000000 >= way->loss_ppm && way->cnt < WIRE_QUEUE)
            p = malloc(sizeof *p);
        if (!p) {
            w->lost++;
            continue;
        }
        p->due_us = now_us + way->delay_us;
        p->len = (uint16_t)n;
        memcpy(p->b, b, (size_t)n);
        way->queue[(way->head + way->cnt++) % WIRE_QUEUE] = p;
        w->carried++;
    }
}

/* Delivers what is due; us until the next is, at most a second. What is on its way when a way is cut is lost, too. */
static inline uint64_t wire_give(struct wire *w, uint64_t now_us)
{
    uint64_t wait_us = 1000000;
    for (uint32_t i = 0; i < w->cnt; i++)
        for (uint32_t k = 0; k < w->cnt; k++) {
            struct wire_way *way = &w->way[i][k];
            while (way->cnt) {
                struct wire_packet *p = way->queue[way->head];
                if (p->due_us > now_us) {
                    if (p->due_us - now_us < wait_us) wait_us = p->due_us - now_us;
                    break;
                }
                if (!way->cut && write(w->tun[k], p->b, p->len) != p->len) w->lost++;
                free(p);
                way->head = (way->head + 1) % WIRE_QUEUE;
                way->cnt--;
            }
        }
    return wait_us;
}

/* wire_run carries packets until `control` ends. Each of its lines is WHAT VALUE FROM TO: "delay 50000 * *" in us, "loss 20000 0 *" in ppm,
 * "cut 1 0 2" and "cut 0 * *". */
static inline void wire_run(struct wire *w, int control)
{
    struct pollfd p[WIRE_MAX + 1] = { 0 };
    char line[256];
    size_t have = 0;
    for (uint32_t i = 0; i < w->cnt; i++)
        p[i] = (struct pollfd){ .fd = w->tun[i], .events = POLLIN };
    p[w->cnt] = (struct pollfd){ .fd = control, .events = POLLIN };
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
    /* The delay is the wire's, not that of what else runs here; where it is not allowed, it is not. */
    const struct sched_param first = { .sched_priority = 1 };
    (void)sched_setscheduler(0, SCHED_FIFO, &first);
    for (;;) {
        uint64_t wait_us = wire_give(w, wire_now_us());
        const struct timespec ts = { (time_t)(wait_us / 1000000),
                                     (long)(wait_us % 1000000) * 1000 };
        if (ppoll(p, w->cnt + 1, &ts, NULL) < 0 && errno != EINTR) return;
        for (uint32_t i = 0; i < w->cnt; i++)
            if (p[i].revents & POLLIN) wire_take(w, i, wire_now_us());
        if (!p[w->cnt].revents) continue;
        ssize_t n = read(control, line + have, sizeof line - 1 - have);
        if (n <= 0) return;
        have += (size_t)n;
        line[have] = 0;
        for (char *end; (end = strchr(line, '\n')) != NULL;) {
            char what[16], from[8], to[8];
            unsigned long value;
            if (sscanf(line, "%15s %lu %7s %7s", what, &value, from, to) == 4)
                wire_set(w, what, value, from[0] == '*' ? -1 : atoi(from),
                         to[0] == '*' ? -1 : atoi(to));
            have -= (size_t)(end + 1 - line);
            memmove(line, end + 1, have + 1);
        }
        if (have == sizeof line - 1) have = 0; /* no line is so long */
    }
}

#endif
