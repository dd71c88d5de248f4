/* node.c - one thread, one loop: blocks, jobs, API; from `quoin up` to a clean stop. */
#include "core/node/node_in.h"

#include "core/net/net.h"
#include "core/net/net_desk.h"
#include "core/net/share.h"
#include "core/node/aside.h"
#include "core/node/evidence.h"
#include "core/node/join.h"
#include "core/node/scrub.h"
#include "core/node/sends.h"
#include "core/node/snaps.h"
#include "ledger/state/gov.h"
#include "ledger/sync/home.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

const char *qn_node_home(struct qn_node *node)
{
    return node->opts->home;
}

bool qn_node_signs(const struct qn_node *node)
{
    return node->armed.may;
}

const char *qn_node_lost_key(const struct qn_node *node)
{
    return node->armed.lost;
}

const struct qn_hash *qn_node_validator(struct qn_node *node)
{
    return &node->validator.pub;
}

const struct qn_steps *qn_node_steps(struct qn_node *node)
{
    return node->steps;
}

struct qn_chain *qn_node_chain(struct qn_node *node)
{
    return qn_replica_chain(node->replica);
}

struct qn_replica *qn_node_replica(struct qn_node *node)
{
    return node->replica;
}

uint64_t qn_node_started_ms(struct qn_node *node)
{
    return node->started_ms;
}

void qn_node_stop(struct qn_node *node)
{
    struct timeval soon = { 0, 50000 }; /* the answer leaves first */
    event_base_loopexit(node->base, &soon);
}

struct share *qn_node_share(struct qn_node *node)
{
    return node->share;
}

struct aside *qn_node_aside(struct qn_node *node)
{
    return node->aside;
}

struct scrub *qn_node_scrub(struct qn_node *node)
{
    return node->scrub;
}

struct snaps *qn_node_snaps(struct qn_node *node)
{
    return node->snaps;
}

struct join *qn_node_join(struct qn_node *node)
{
    return node->join;
}

struct net_desk *qn_node_desk(struct qn_node *node)
{
    return node->desk;
}

struct qn_net *qn_node_net(struct qn_node *node)
{
    return node->net;
}

void qn_node_kick(struct qn_node *node)
{
    struct timeval now = { 0, 0 };
    event_add(node->turn, &now);
}

void qn_node_on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct qn_node *node = arg;
    char id[48], hash_hex[65];
    unsigned idx = 0;
    if (f->block.header.height == node->opts->trust_height &&
        !qn_hash_eq(hash, &node->opts->trust) && !qn_hash_is_zero(&node->opts->trust) &&
        node->rc == QN_OK)
        node->rc = qn_why(&node->why, QN_E_FOREIGN,
                          "block %" PRIu64 " of this chain is not the one that is trusted",
                          f->block.header.height);
    qn_steps_note(node->steps, qn_node_chain(node));
    if (!node->api) return;
    qn_node_tell_modules(node);
    if (!qn_api_heard(node->api)) return;
    qn_hex(hash->b, 32, hash_hex);
    json_t *block =
        json_pack("{s:I, s:s, s:i, s:I}", "height", (json_int_t)f->block.header.height, "hash",
                  hash_hex, "txs", (int)f->block.txs.cnt, "t_ms", (json_int_t)f->block.header.t_ms);
    snprintf(id, sizeof id, "%" PRIu64 ".%u", f->block.header.height, idx++);
    qn_api_event(node->api, id, "block", block);
    json_decref(block);
    for (uint32_t i = 0; i <= f->receipts.cnt; i++) {
        const struct qn_event *events =
            i < f->receipts.cnt ? f->receipts.ptr[i].events.ptr : f->events.ptr;
        uint32_t cnt = i < f->receipts.cnt ? f->receipts.ptr[i].events.cnt : f->events.cnt;
        for (uint32_t k = 0; k < cnt; k++) {
            char topic[65];
            json_t *one = qn_to_json(qn_event_record(), &events[k]);
            json_t *data =
                json_loads(json_string_value(json_object_get(one, "data")), /* is JSON itself */
                           JSON_DECODE_ANY, NULL);
            if (data) json_object_set_new(one, "data", data);
            snprintf(topic, sizeof topic, "%.*s", (int)events[k].topic.len,
                     (const char *)events[k].topic.ptr);
            snprintf(id, sizeof id, "%" PRIu64 ".%u", f->block.header.height, idx++);
            qn_api_event(node->api, id, topic, one);
            json_decref(one);
        }
    }
}

/* Whether this build can execute the block that comes next; else it is not this node's to make or to vote on. */
static qn_rc version_ok(struct qn_node *node, struct qn_why *why)
{
    const struct qn_view *view = qn_chain_view(qn_node_chain(node));
    uint32_t next = qn_gov_next(view);
    if (next <= QN_RECORD_VERSION) return QN_OK;
    return qn_why(why, QN_E_ABSENT,
                  "block %" PRIu64
                  " is of record version %u, this build knows %u: install a newer one",
                  qn_view_height(view) + 1, next, QN_RECORD_VERSION);
}

/* Wakes as a millisecond of the wall clock begins: a block's time, which is cut to those, is then when its leader began with it. */
static void turn_in(struct qn_node *node, uint64_t wait_ms)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t us = wait_ms * 1000;
    if (us) us += 1000 - (uint64_t)now.tv_nsec / 1000 % 1000;
    const struct timeval tv = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };
    event_base_update_cache_time(node->base); /* else from when this turn of the loop began */
    event_add(node->turn, &tv);
}

static void on_turn(int fd, short what, void *arg)
{
    struct qn_node *node = arg;
    uint64_t wait_ms;
    (void)fd;
    (void)what;
    if (node->rc == QN_OK) node->rc = version_ok(node, &node->why);
    if (node->rc == QN_OK) node->rc = qn_replica_turn(node->replica, &wait_ms, &node->why);
    if (node->rc) { /* the disk is no longer to be trusted: stop, the next start recovers */
        event_base_loopbreak(node->base);
        return;
    }
    if (node->snaps) snaps_turn(node->snaps);
    if (node->scrub) scrub_turn(node->scrub);
    if (node->rc) { /* what is in memory is not to be trusted */
        event_base_loopbreak(node->base);
        return;
    }
    qn_api_retry(node->api);
    uint64_t now_us = qn_env_mono_us(qn_env_real());
    if (now_us - node->watched_us > 5000000) { /* the unit's watchdog waits 30 s */
        node->watched_us = now_us;
        qn_node_notify("WATCHDOG=1");
        qn_node_say_news(node);
        qn_evidence_report(node->replica, node->net ? qn_net_coded(node->net) : NULL,
                           &node->validator, qn_env_now_ms(qn_env_real()));
    }
    turn_in(node, wait_ms);
}

/* A peer said something: what follows from it should not wait for the clock. */
void qn_node_on_net(void *arg)
{
    struct qn_node *node = arg;
    if (node->turn) qn_node_kick(node);
}

/* Told to end: at any time since qn_node_up began, as what came early waited. A second time changes nothing. */
static void on_signal(int fd, short what, void *arg)
{
    struct qn_node *node = arg;
    struct signalfd_siginfo info;
    (void)what;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info) return;
    node->told_to_end = true;
    event_base_loopbreak(node->base);
}

static bool joining(const struct qn_node *node)
{
    return strcmp(node->chain_home, node->opts->home) != 0;
}

static qn_rc write_file(const struct qn_node *node, const char *name, const char *text,
                        struct qn_why *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", node->opts->home, name);
    return qn_file_write(path, QN_SPAN_STR(text), 0600, why);
}

/* What one run leaves to the next of the same `up`: who joined by a snapshot opens the chain that it left. */
struct again {
    bool yes, by_blocks, ran;
    char api[32], listen[80]; /* where it is known by now */
};

/* Where this run listened, for the next. */
static void note_again(struct qn_node *node, struct again *again)
{
    const char *listen = node->opts->listen, *colon = listen ? strrchr(listen, ':') : NULL;
    again->yes = node->again;
    again->by_blocks = node->by_blocks;
    snprintf(again->api, sizeof again->api, "127.0.0.1:%u", qn_api_port(node->api));
    if (colon && colon - listen < 64)
        snprintf(again->listen, sizeof again->listen, "%.*s:%u", (int)(colon - listen), listen,
                 qn_host_port(qn_net_host(node->net)));
}

static sigset_t end_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

static qn_rc run(const struct qn_up_opts *opts, struct again *again, struct qn_why *ret_why)
{
    struct qn_node *node = calloc(1, sizeof *node);
    QN_ASSERT(node != NULL);
    node->opts = opts;
    node->by_blocks = again->by_blocks;
    node->lock_fd = node->told_fd = -1;
    uint64_t begin = qn_env_mono_us(qn_env_real());
    struct qn_why why = { "" };
    char addr[64] = "", cookie[65], socket_path[4096], api[32];
    uint8_t secret[32];
    bool fresh = false;
    struct rlimit files = { 8192, 8192 };
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = QN_MIN(files.rlim_max, (rlim_t)8192);
    setrlimit(RLIMIT_NOFILE, &files); /* a thousand clients and then some */
    signal(SIGPIPE, SIG_IGN);
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_node_pick_modules(node, &why);
    if (rc == QN_OK) rc = qn_node_check_join(node, &why);
    if (rc == QN_OK) rc = qn_node_lock(node, &why);
    if (rc == QN_OK && qn_env_now_ms(qn_env_real()) < UINT64_C(1700000000000))
        rc = qn_why(&why, QN_E_CLOCK, "this machine's clock says a time before November 2023");
    if (rc) goto out;
    struct event_config *precise = event_config_new();
    event_config_set_flag(precise, EVENT_BASE_FLAG_PRECISE_TIMER); /* else by 4 ms, cut to whole */
    node->base = event_base_new_with_config(precise);
    event_config_free(precise);
    QN_ASSERT(node->base != NULL);
    sigset_t ends = end_signals();
    node->told_fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    QN_ASSERT(node->told_fd >= 0);
    node->told = event_new(node->base, node->told_fd, EV_READ | EV_PERSIST, on_signal, node);
    rc = qn_node_open_net(node, &why);
    if (rc == QN_OK) rc = qn_node_open_chain(node, addr, &fresh, &why);
    if (rc == QN_OK) rc = qn_node_open_share(node, &why);
    if (rc) goto out;
    qn_node_open_desk(node);
    node->aside = aside_new(node->base, qn_node_on_share, node);
    if (joining(node))
        rc = qn_node_open_join(node, &why);
    else
        rc = qn_node_open_snaps(node, &why);
    if (rc) goto out;
    if (!joining(node)) qn_node_open_scrub(node);
    node->started_ms = qn_env_now_ms(qn_env_real());
    qn_node_open_sends(node);
    node->turn = event_new(node->base, -1, 0, on_turn, node);
    event_add(node->told, NULL);
    rc = qn_node_open_jobs(node, &why);
    if (rc == QN_OK) rc = qn_node_start_modules(node, &why);
    if (rc) goto out;
    qn_env_random(qn_env_real(), secret, sizeof secret);
    qn_hex(secret, sizeof secret, cookie);
    snprintf(socket_path, sizeof socket_path, "%s/api.sock", opts->home);
    struct qn_api_conf conf = { .base = node->base,
                                .env = qn_env_real(),
                                .node = node,
                                .ops = &QN_NODE_OPS,
                                .jobs = node->jobs,
                                .home = opts->home,
                                .socket = socket_path,
                                .addr = opts->api,
                                .cookie = cookie };
    rc = qn_api_open(&conf, &node->api, &why);
    if (rc == QN_OK) rc = write_file(node, "cookie", cookie, &why);
    snprintf(api, sizeof api, "127.0.0.1:%u", rc == QN_OK ? qn_api_port(node->api) : 0);
    if (rc == QN_OK) rc = write_file(node, "api", api, &why);
    if (rc) goto out;
    uint64_t wait_ms;
    rc = version_ok(node, &why);
    if (rc == QN_OK) rc = qn_replica_turn(node->replica, &wait_ms, &why); /* the first block */
    if (rc == QN_OK) rc = node->rc;
    if (rc) goto out;
    qn_node_kick(node);
    if (again->ran)
        qn_node_say_joined(node);
    else
        qn_node_say_ready(node, addr, fresh, qn_env_mono_us(qn_env_real()) - begin);
    again->ran = true;
    qn_node_notify("READY=1");
    if (!node->told_to_end) event_base_dispatch(node->base);
    if (node->again && !node->told_to_end)
        note_again(node, again);
    else
        qn_node_notify("STOPPING=1");
    rc = node->rc;
    why = node->why;
out:
    qn_api_close(node->api);
    node->api = NULL;
    aside_free(node->aside);
    join_detach(node->join);
    qn_jobs_free(node->jobs);
    qn_node_stop_modules(node);
    share_detach(node->share);
    qn_net_close(node->net);
    net_desk_close(node->desk);
    share_close(node->share);
    snaps_close(node->snaps);
    scrub_close(node->scrub);
    join_close(node->join);
    sends_close(node->sends);
    qn_replica_close(node->replica);
    qn_steps_close(node->steps);
    if (node->turn) event_free(node->turn);
    if (node->told) event_free(node->told);
    if (node->told_fd >= 0) close(node->told_fd);
    if (node->base) event_base_free(node->base);
    if (node->lock_fd >= 0) close(node->lock_fd);
    qn_key_wipe(&node->validator);
    qn_key_wipe(&node->network);
    if (rc == QN_E_AGAIN && node->told_to_end) rc = QN_OK; /* before it had a chain */
    free(node);
    *ret_why = why;
    return rc;
}

void qn_node_hold_signals(void)
{
    sigset_t set = end_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

qn_rc qn_node_up(const struct qn_up_opts *opts, struct qn_why *why)
{
    struct qn_up_opts o = *opts;
    struct again again = { .yes = false };
    qn_rc rc;
    if (!o.sync) o.sync = "auto";
    qn_node_hold_signals();
    do {
        again.yes = false;
        rc = run(&o, &again, why);
        if (!again.yes) break;
        o.api = again.api;
        if (*again.listen) o.listen = again.listen;
    } while (rc == QN_OK);
    return rc;
}
