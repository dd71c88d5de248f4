/* join.c - from offers to a home: its turns, and what is told of it. */
#include "core/node/join_in.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US    100000
#define DEATHS_MAX 3u

uint64_t join_now_ms(const struct join *j)
{
    return qn_env_mono_us(j->conf.env) / 1000;
}

void join_tell(struct join *j, const char *fmt, ...)
{
    char line[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (strncmp(line, j->last, sizeof j->last - 1) == 0) return; /* said already */
    snprintf(j->last, sizeof j->last, "%.199s", line);
    j->conf.log(j->conf.arg, line);
}

void join_end_with(struct join *j, enum join_end how, qn_rc rc, const struct qn_why *why)
{
    if (j->stage == JOIN_OVER) return;
    j->stage = JOIN_OVER;
    event_del(j->tick);
    event_del(j->soon);
    j->conf.end(j->conf.arg, how, rc, why);
}

bool join_child(struct join *j, qn_rc rc, const struct qn_why *why)
{
    if (++j->deaths < DEATHS_MAX && rc == QN_E_SYSTEM) {
        join_tell(j, "sync: %s; once more", why->text);
        return true;
    }
    join_end_with(j, JOIN_FAILED, rc, why);
    return false;
}

void join_turn_soon(struct join *j)
{
    const struct timeval now = { 0, 1 }; /* not at once: a loop looks at its sockets before */
    event_add(j->soon, &now);
}

void join_turn(struct join *j)
{
    if (j->turning) return; /* a fetch that moves by being asked for */
    j->turning = true;
    j->work = 0;
    switch (j->stage) {
    case JOIN_LOOK: join_look(j); break;
    case JOIN_MANIFEST: join_manifest_fetch(j); break;
    case JOIN_READ: join_manifest_read(j); break;
    case JOIN_PARTS: join_parts_turn(j); break;
    case JOIN_FULL: join_full_turn(j); break;
    case JOIN_RESTORE: join_restore_wait(j); break;
    case JOIN_OVER: break;
    }
    j->work_max = QN_MAX(j->work_max, j->work);
    j->turning = false;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    join_turn(arg);
}

qn_rc join_open(const struct join_conf *conf, struct join **ret, struct qn_why *why)
{
    const struct timeval every = { 0, TICK_US };
    struct join *j = calloc(1, sizeof *j);
    char hex[9], path[1100];
    QN_ASSERT(j != NULL);
    j->conf = *conf;
    snprintf(j->home, sizeof j->home, "%s", conf->home);
    qn_hex(conf->chain.b, 4, hex);
    snprintf(j->proto, sizeof j->proto, OFFER_PROTOCOL, hex);
    snprintf(path, sizeof path, "%s/joining", j->home);
    qn_rc rc = qn_dir_make(path, why);
    if (rc) {
        free(j);
        return rc;
    }
    j->begun_ms = join_now_ms(j);
    j->kept = join_kept_open(j->home);
    j->has_before = join_kept_chosen(j->home, &j->before);
    join_watch(j);
    j->tick = event_new(conf->base, -1, EV_PERSIST, on_tick, j);
    j->soon = event_new(conf->base, -1, 0, on_tick, j);
    QN_ASSERT(j->tick != NULL && j->soon != NULL);
    event_add(j->tick, &every);
    *ret = j;
    return QN_OK;
}

void join_detach(struct join *j)
{
    if (!j) return;
    if (j->stage != JOIN_OVER) {
        event_del(j->tick);
        event_del(j->soon);
    }
    j->stage = JOIN_OVER;
    join_unwatch(j);
}

void join_close(struct join *j)
{
    if (!j) return;
    join_peers_fini(j);
    join_drop(j);
    join_kept_free(j->kept);
    event_free(j->tick);
    event_free(j->soon);
    free(j);
}

struct join_info join_info(const struct join *j)
{
    static const char *const STAGES[] = { "looking for a snapshot",
                                          "fetching a manifest",
                                          "reading a manifest",
                                          "fetching parts",
                                          "the disk is full, waits for room",
                                          "restoring",
                                          "done" };
    struct join_info info = { .stage = STAGES[j->stage],
                              .height = j->at.height,
                              .done = j->here,
                              .total = j->part_cnt,
                              .bytes = j->bytes,
                              .bytes_total = j->bytes_total,
                              .refused = j->bad_cnt,
                              .put_off = j->later_cnt,
                              .proven = j->part_cnt ? j->part_cnt - j->proven_to : 0,
                              .work_max = j->work_max };
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++)
        info.offers += j->peers[i].no && j->peers[i].cnt;
    if (j->stage == JOIN_RESTORE && !aside_busy(j->conf.aside, &info.done, &info.total))
        info.done = info.total;
    return info;
}

void join_text(const struct join *j, char dst[JOIN_TEXT])
{
    struct join_info i = join_info(j);
    if (i.height == 0 && j->waits[0])
        snprintf(dst, JOIN_TEXT, "%s: %s", i.stage, j->waits);
    else if (i.height == 0)
        snprintf(dst, JOIN_TEXT, "%s, %u peers offer one", i.stage, i.offers);
    else if (i.total == 0)
        snprintf(dst, JOIN_TEXT, "snapshot of block %" PRIu64 ": %s", i.height, i.stage);
    else
        snprintf(dst, JOIN_TEXT,
                 "snapshot of block %" PRIu64 ": %s, %" PRIu64 " of %" PRIu64 ", %.1f of %.1f MB",
                 i.height, i.stage, i.done, i.total, (double)i.bytes / 1e6,
                 (double)i.bytes_total / 1e6);
}
