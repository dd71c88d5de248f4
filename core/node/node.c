/* node.c - one thread, one loop: blocks, jobs, API; from `quoin up` to a clean stop. */
#include "core/node/node.h"

#include "core/crypto/hash.h"
#include "core/job/jobs.h"
#include "core/model/model.h"
#include "core/net/blob.h"
#include "core/net/net.h"
#include "core/net/net_desk.h"
#include "core/net/share.h"
#include "core/node/api.h"
#include "core/node/aside.h"
#include "core/node/evidence.h"
#include "core/node/join.h"
#include "core/node/rearm.h"
#include "core/node/scrub.h"
#include "core/node/sends.h"
#include "core/node/snaps.h"
#include "core/node/wallet.h"
#include "ledger/state/gov.h"
#include "ledger/state/stake.h"
#include "ledger/state/steps.h"
#include "ledger/sync/home.h"
#include "lua/bind/pure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MODULES_MAX 16
#define OWNER_QN    1000
#define FAUCET_QN   100000 /* a dev chain's purse for trying things out */
#define BOND_QN     10000  /* behind its first validator: who stakes less cannot stop the chain */
#define REPORT_QN   10     /* for the fees of what a validator reports about others */

struct qn_node {
    const struct qn_up_opts *opts;
    struct event_base *base;
    struct event *turn, *sigint, *sigterm;
    struct qn_replica *replica;
    struct sends *sends;
    struct qn_steps *steps;
    bool told_to_end; /* by a signal */
    bool may_sign;    /* beside this journal: core/node/rearm.h */
    struct qn_jobs *jobs;
    struct qn_api *api;
    struct qn_net *net; /* NULL: a network of one */
    struct share *share;
    struct net_desk *desk;
    struct aside *aside;
    struct scrub *scrub; /* NULL while it joins */
    struct snaps *snaps;
    struct join *join;     /* the home has no chain: its state is fetched; see want_snapshot */
    char chain_home[4000]; /* of the chain that is open: HOME, or HOME/joining until then */
    bool again,
        by_blocks; /* run once more, from what is there now; without looking for a snapshot */
    uint32_t fast_ppm;
    struct qn_key validator, network;
    int lock_fd;
    uint64_t started_ms, watched_us;
    uint32_t fork_said;
    bool twin_said;
    struct qn_exec_module exec[MODULES_MAX];
    void *self[MODULES_MAX]; /* of the modules in exec that were started */
    bool begun[MODULES_MAX];
    size_t exec_cnt;
    const struct qn_job_kind *kinds[MODULES_MAX + 2]; /* tables, NULL last */
    qn_rc rc;
    struct qn_why why;
};

const char *qn_node_home(struct qn_node *node)
{
    return node->opts->home;
}

bool qn_node_signs(const struct qn_node *node)
{
    return node->may_sign;
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

json_t *qn_node_modules(struct qn_node *node)
{
    const struct qn_module *mod;
    json_t *list = json_array();
    for (size_t i = 0; (mod = qn_module_at(i)); i++) {
        bool on = false;
        for (size_t k = 0; k < node->exec_cnt; k++)
            on |= node->exec[k].name == mod->name;
        json_array_append_new(list, json_pack("{s:s, s:b}", "name", mod->name, "on", on));
    }
    return list;
}

/* --- what calls may use ---------------------------------------------------------------------------------- */

static void kick(struct qn_node *node)
{
    struct timeval now = { 0, 0 };
    event_add(node->turn, &now);
}

static qn_rc op_tx_send(struct qn_node *node, struct qn_span tx, struct qn_hash *ret_id,
                        struct qn_why *why)
{
    qn_rc rc = qn_replica_submit(node->replica, tx, ret_id, why);
    if (rc == QN_OK && qn_replica_pooled(node->replica)) kick(node);
    return rc;
}

static qn_rc op_tx_offer(struct qn_node *node, struct qn_span tx, uint64_t *state,
                         struct qn_hash *ret_id, struct qn_why *why)
{
    return sends_put(node->sends, tx, state, ret_id, why);
}

/* Those of one turn were judged. */
static void on_sends(void *arg)
{
    struct qn_node *node = arg;
    if (node->api) qn_api_retry_soon(node->api);
    if (qn_replica_pooled(node->replica)) kick(node);
}

static qn_rc op_blob_put(struct qn_node *node, struct qn_span bytes, struct qn_hash *ret,
                         struct qn_why *why)
{
    return blob_put(node->opts->home, bytes, ret, why);
}

static qn_rc op_blob_path(struct qn_node *node, const struct qn_hash *hash, char *dst,
                          size_t dst_len, struct qn_why *why)
{
    return blob_path(node->opts->home, hash, dst, dst_len, why);
}

static qn_rc op_blob_keep(struct qn_node *node, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                          struct qn_why *why)
{
    return blob_keep(node->opts->home, fd, ret, ret_bytes, why);
}

static qn_rc op_key(struct qn_node *node, const char *name, struct qn_key *ret, struct qn_why *why)
{
    return qn_wallet_load(node->opts->home, name, ret, why);
}

struct later {
    void (*fn)(void *arg);
    void *arg;
};

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct later l = *(struct later *)arg;
    (void)fd;
    (void)what;
    free(arg);
    l.fn(l.arg);
}

static void op_later(struct qn_node *node, uint32_t ms, void (*fn)(void *arg), void *arg)
{
    const struct timeval when = { ms / 1000, (suseconds_t)(ms % 1000 * 1000) };
    struct later *l = malloc(sizeof *l);
    QN_ASSERT(l != NULL);
    *l = (struct later){ fn, arg };
    QN_ASSERT(event_base_once(node->base, -1, EV_TIMEOUT, on_later, l, &when) == 0);
}

static unsigned op_api(struct qn_node *node)
{
    return qn_api_port(node->api);
}

static qn_rc op_script(struct qn_node *node, const char *name, struct qn_span source,
                       const char *fn, const json_t *args, uint64_t gas, uint64_t *ret_gas,
                       json_t **ret, struct qn_why *why)
{
    (void)node;
    return qn_lua_pure(name, source, fn, args, gas, ret_gas, ret, why);
}

static const struct qn_node_ops OPS = { op_tx_send,   op_blob_put, op_blob_path,
                                        op_key,       op_later,    op_api,
                                        op_blob_keep, op_script,   op_tx_offer };

/* --- modules ------------------------------------------------------------------------------------------------ */

static struct qn_call_ctx ctx_of(struct qn_node *node, size_t idx, struct qn_arena *arena,
                                 uint64_t *state)
{
    return (struct qn_call_ctx){ .env = qn_env_real(),
                                 .view = qn_chain_view(qn_node_chain(node)),
                                 .node = node,
                                 .ops = &OPS,
                                 .jobs = node->jobs,
                                 .home = node->opts->home,
                                 .arena = arena,
                                 .self = node->self[idx],
                                 .local = true,
                                 .state = state };
}

static qn_rc start_modules(struct qn_node *node, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    for (size_t i = 0; rc == QN_OK && i < node->exec_cnt; i++) {
        const struct qn_module *mod = qn_module_find(node->exec[i].name);
        struct qn_arena arena = { .max = 64u << 20 };
        uint64_t state = 0;
        struct qn_call_ctx ctx = ctx_of(node, i, &arena, &state);
        if (mod->start) rc = mod->start(&ctx, &node->self[i], why);
        node->begun[i] = mod->start && rc == QN_OK;
        qn_arena_free(&arena);
    }
    return rc;
}

static void stop_modules(struct qn_node *node)
{
    for (size_t i = 0; i < node->exec_cnt; i++)
        if (node->begun[i]) qn_module_find(node->exec[i].name)->stop(node->self[i]);
}

void *qn_node_self(struct qn_node *node, const struct qn_call *call)
{
    for (size_t i = 0; i < node->exec_cnt; i++)
        for (const struct qn_call *c = qn_module_find(node->exec[i].name)->calls; c && c->name; c++)
            if (c == call) return node->self[i];
    return NULL;
}

const struct qn_route *qn_node_route(struct qn_node *node, const char *path, void **ret_self)
{
    for (size_t i = 0; i < node->exec_cnt; i++) {
        const struct qn_route *r = qn_module_find(node->exec[i].name)->routes;
        for (; r && r->prefix; r++) {
            if (strncmp(path, r->prefix, strlen(r->prefix)) != 0) continue;
            *ret_self = node->self[i];
            return r;
        }
    }
    return NULL;
}

/* --- the loop ---------------------------------------------------------------------------------------------- */

/* Modules look at what became final: a lease that ended stops its workload. */
static void tell_modules(struct qn_node *node)
{
    for (size_t i = 0; i < node->exec_cnt; i++) {
        const struct qn_module *mod = qn_module_find(node->exec[i].name);
        struct qn_arena arena = { .max = 64u << 20 };
        uint64_t state = 0;
        struct qn_call_ctx ctx = ctx_of(node, i, &arena, &state);
        if (mod->on_final) mod->on_final(&ctx);
        qn_arena_free(&arena);
    }
}

static void on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
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
    tell_modules(node);
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

static void on_job(void *arg, const struct qn_job_info *info)
{
    struct qn_node *node = arg;
    if (node->api && (info->state != QN_JOB_RUNNING || info->serving)) qn_api_retry(node->api);
}

static void on_answered(void *arg)
{
    struct qn_node *node = arg;
    if (node->api) qn_api_retry(node->api);
}

/* Tells systemd, when it asked to be told (sd_notify's datagram). */
static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    if (!path || strlen(path) >= sizeof sun.sun_path) return;
    memcpy(sun.sun_path, path, strlen(path));
    if (sun.sun_path[0] == '@') sun.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    ssize_t sent =
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)(void *)&sun, len);
    (void)sent; /* nobody listens: nothing is lost */
    close(fd);
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

/* Another chain than ours by a good certificate: once, and once more when it becomes known who signed both. */
static void say_fork(struct qn_node *node)
{
    const struct qn_fork *fork = qn_replica_fork(node->replica);
    struct qn_buf line = { 0 };
    uint32_t said = fork ? fork->cnt + 1 : 0;
    if (said == node->fork_said) return;
    node->fork_said = said;
    qn_fork_print(fork, &line);
    fprintf(stderr, "quoin: %.*s\n", (int)line.len, (const char *)line.ptr);
    qn_buf_free(&line);
}

/* Our key votes elsewhere: said once. */
static void say_twin(struct qn_node *node)
{
    if (node->twin_said || !qn_replica_info(node->replica).twin) return;
    node->twin_said = true;
    fputs("quoin: this validator's key votes on another machine as well, which costs the stake: "
          "this node signs no more. Stop one of "
          "the two, then start the other again\n",
          stderr);
}

/* How far it is behind, when it is: to the log, each time it is another. */
static void say_sync(struct qn_node *node)
{
    struct qn_replica_info info = qn_replica_info(node->replica);
    if (node->join || !info.syncing) return;
    if (info.peer_oldest > info.height + 1)
        fprintf(stderr,
                "quoin: sync: no peer has block %" PRIu64 " any more, the first is %" PRIu64
                ": begin with a fresh home, by a snapshot\n",
                info.height + 1, info.peer_oldest);
    else
        fprintf(stderr, "quoin: sync: block %" PRIu64 " of %" PRIu64 "\n", info.height,
                info.peer_height);
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
        notify("WATCHDOG=1");
        say_sync(node);
        say_fork(node);
        say_twin(node);
        qn_evidence_report(node->replica, node->net ? qn_net_coded(node->net) : NULL,
                           &node->validator, qn_env_now_ms(qn_env_real()));
    }
    struct timeval tv = { (time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000) };
    event_add(node->turn, &tv);
}

/* A peer said something: what follows from it should not wait for the clock. */
static void on_net(void *arg)
{
    struct qn_node *node = arg;
    if (node->turn) kick(node);
}

static void on_signal(int sig, short what, void *arg)
{
    struct qn_node *node = arg;
    (void)sig;
    (void)what;
    node->told_to_end = true;
    event_base_loopbreak(node->base);
}

/* --- start -------------------------------------------------------------------------------------------------- */

static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, name, n) == 0) return true;
        at += n + (at[n] == ',');
    }
    return false;
}

static qn_rc check_names(const char *list, struct qn_why *why)
{
    char name[65];
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)QN_MIN(n, (size_t)64), at);
        if (!qn_module_find(name))
            return qn_why(
                why, QN_E_USAGE,
                "there is no module \"%s\" in this build; quoin config modules lists them", name);
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

static qn_rc pick_modules(struct qn_node *node, struct qn_why *why)
{
    const struct qn_module *mod;
    qn_rc rc = check_names(node->opts->enable, why);
    if (rc == QN_OK) rc = check_names(node->opts->disable, why);
    for (size_t i = 0; rc == QN_OK && (mod = qn_module_at(i)); i++) {
        if ((node->opts->enable && !listed(node->opts->enable, mod->name)) ||
            listed(node->opts->disable, mod->name))
            continue;
        QN_ASSERT(node->exec_cnt < MODULES_MAX);
        node->exec[node->exec_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    }
    return rc;
}

static qn_rc lock_home(struct qn_node *node, struct qn_why *why)
{
    char path[4096], text[32] = "";
    qn_rc rc = qn_dir_make(node->opts->home, why);
    if (rc) return rc;
    snprintf(path, sizeof path, "%s/lock", node->opts->home);
    node->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (node->lock_fd < 0) return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(node->lock_fd, LOCK_EX | LOCK_NB)) {
        ssize_t n = pread(node->lock_fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        return qn_why(why, QN_E_BUSY, "a node runs on %s already, pid %.20s", node->opts->home,
                      text);
    }
    int n = snprintf(text, sizeof text, "%d", (int)getpid());
    if (ftruncate(node->lock_fd, 0) || pwrite(node->lock_fd, text, (size_t)n, 0) != n)
        return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    return QN_OK;
}

static qn_rc key_of(struct qn_node *node, const char *name, struct qn_key *ret, bool *ret_new,
                    struct qn_why *why)
{
    qn_rc rc = qn_wallet_load(node->opts->home, name, ret, why);
    *ret_new = rc == QN_E_NOTFOUND;
    return *ret_new ? qn_wallet_new(node->opts->home, name, NULL, ret, why) : rc;
}

/* A genesis of our own: one validator, one owner, and a purse for trying things out. */
static void own_genesis(struct qn_node *node, const struct qn_hash *owner,
                        const struct qn_hash *faucet, struct qn_buf *ret)
{
    struct qn_grant grants[] = { { *owner, QN_UQN(OWNER_QN * QN_UQN_PER_QN) },
                                 { *faucet, QN_UQN(FAUCET_QN * QN_UQN_PER_QN) },
                                 { qn_acct_key(&node->validator.pub),
                                   QN_UQN(REPORT_QN * QN_UQN_PER_QN) } };
    struct qn_genesis_bond bond = { .owner = *owner, .amount = QN_UQN(BOND_QN * QN_UQN_PER_QN) };
    char name[16];
    snprintf(name, sizeof name, "dev-%02x%02x", owner->b[0], owner->b[1]);
    struct qn_genesis genesis = { .name = QN_SPAN_STR(name),
                                  .t_ms = qn_env_now_ms(qn_env_real()),
                                  .dev = true };
    genesis.validators.cnt = genesis.bonds.cnt = 1;
    genesis.validators.ptr = &node->validator.pub;
    genesis.bonds.ptr = &bond;
    genesis.grants.cnt = QN_COUNT(grants);
    genesis.grants.ptr = grants;
    qn_encode(qn_genesis_record(), &genesis, ret);
}

static bool has_chain(const struct qn_node *node)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/journal/seg-0000000000.qj", node->opts->home);
    return access(path, F_OK) == 0;
}

/* Whether this start begins a chain of its own. */
static bool begins(const struct qn_node *node)
{
    return !has_chain(node) && !node->opts->genesis && !node->opts->join;
}

/* A chain that is younger holds less than a snapshot's bodies do. */
static bool wants_snapshot(const struct qn_node *node, const struct qn_genesis *g)
{
    const char *sync = node->opts->sync ? node->opts->sync : "auto";
    if (has_chain(node) || !node->opts->join || node->by_blocks || strcmp(sync, "blocks") == 0)
        return false;
    return strcmp(sync, "snapshot") == 0 || g->t_ms + QN_TX_SPAN_MS < qn_env_now_ms(qn_env_real());
}

static qn_rc read_genesis(const char *path, struct qn_buf *ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis g;
    qn_rc rc = qn_file_read(path, 1u << 20, ret, why);
    if (rc == QN_OK && qn_decode(qn_genesis_record(), qn_buf_get(ret), &arena, &g, NULL))
        rc = qn_why(why, QN_E_CONFIG, "%s is not a genesis", path);
    qn_arena_free(&arena);
    return rc;
}

/* A genesis that is named for a home with a chain must be that chain's. */
static qn_rc check_genesis(struct qn_node *node, struct qn_why *why)
{
    const char *path = node->opts->genesis;
    struct qn_buf bytes = { 0 };
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis genesis;
    char here[65], there[65];
    qn_rc rc = path ? read_genesis(path, &bytes, why) : QN_OK;
    if (rc == QN_OK && path)
        rc = qn_decode(qn_genesis_record(), qn_buf_get(&bytes), &arena, &genesis, why);
    if (rc || !path) goto out;
    struct qn_hash is = qn_chain_id(qn_node_chain(node)), wanted = qn_genesis_hash(&genesis);
    qn_hex(is.b, 32, here);
    qn_hex(wanted.b, 32, there);
    if (!qn_hash_eq(&is, &wanted))
        rc = qn_why(why, QN_E_FOREIGN,
                    "%s holds chain %.8s, %s is of chain %.8s: take another --home, or leave "
                    "--genesis out",
                    node->opts->home, here, path, there);
out:
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
    return rc;
}

/* What only a joined peer can give is not asked for without one. */
static qn_rc check_join(const struct qn_node *node, struct qn_why *why)
{
    const struct qn_up_opts *o = node->opts;
    if (has_chain(node) || o->join) return QN_OK;
    if (o->sync && strcmp(o->sync, "snapshot") == 0)
        return qn_why(why, QN_E_USAGE, "--sync snapshot needs --join: who gives it");
    if (!qn_hash_is_zero(&o->trust) && !o->genesis)
        return qn_why(why, QN_E_USAGE, "--trust needs --join: a new chain has no such block");
    return QN_OK;
}

/* Waits for peers, and until then for the signal to end: later, a chain that is being opened is better killed than waited for. */
static qn_rc ask_genesis(struct qn_node *node, struct qn_buf *ret, struct qn_why *why)
{
    event_add(node->sigint, NULL);
    event_add(node->sigterm, NULL);
    qn_rc rc = qn_net_genesis(node->net, &node->told_to_end, ret, why);
    event_del(node->sigint);
    event_del(node->sigterm);
    return rc;
}

/* The genesis for a home that has no chain yet: of the file named, of those joined, or our own. */
static qn_rc find_genesis(struct qn_node *node, const struct qn_hash *owner,
                          const struct qn_hash *faucet, struct qn_buf *ret, struct qn_why *why)
{
    bool there = has_chain(node); /* then the chain has its own */
    if (node->opts->genesis) return there ? QN_OK : read_genesis(node->opts->genesis, ret, why);
    if (node->opts->join) return there ? QN_OK : ask_genesis(node, ret, why);
    own_genesis(node, owner, faucet, ret);
    return QN_OK;
}

/* Whether the chain is the one that is trusted, as far as that can be said of what is here. */
static qn_rc check_trust(struct qn_node *node, struct qn_why *why)
{
    const struct qn_up_opts *o = node->opts;
    struct qn_chain *chain = qn_node_chain(node);
    struct qn_arena arena = { .max = 64u << 20 };
    struct qn_frame f;
    struct qn_hash is = qn_chain_id(chain);
    bool known = o->trust_height == 0;
    if (qn_hash_is_zero(&o->trust)) return QN_OK;
    if (o->trust_height && qn_chain_frame(chain, o->trust_height, &arena, &f, NULL) == QN_OK) {
        is = qn_header_hash(&f.block.header);
        known = true;
    }
    qn_arena_free(&arena);
    if (!known || qn_hash_eq(&is, &o->trust)) return QN_OK;
    return qn_why(why, QN_E_FOREIGN,
                  "block %" PRIu64 " of this chain is not the one that is trusted",
                  o->trust_height);
}

/* A validator that does not sign; who has no stake is none, and needs no word of it. */
static void say_silent(const struct qn_node *node)
{
    struct qn_arena arena = { .max = 1u << 20 };
    const struct qn_hash id = qn_acct_key(&node->validator.pub);
    struct qn_validator v;
    if (!node->may_sign &&
        qn_stake_get(qn_chain_view(qn_replica_chain(node->replica)), &id, &arena, &v) == QN_OK)
        fprintf(stderr,
                "quoin: this validator does not sign: its journal was restored or is another's; "
                "see quoin help validator rearm\n");
    qn_arena_free(&arena);
}

static qn_rc open_chain(struct qn_node *node, char addr[64], bool *ret_new, struct qn_why *why)
{
    struct qn_key owner, faucet;
    struct qn_buf bytes = { 0 };
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis genesis;
    bool fresh = false;
    qn_rc rc = key_of(node, "owner", &owner, ret_new, why);
    if (rc == QN_OK) rc = key_of(node, "faucet", &faucet, &fresh, why);
    if (rc == QN_OK) rc = key_of(node, "validator", &node->validator, &fresh, why);
    if (rc == QN_OK) rc = qn_home_settle(node->opts->home, why);
    if (rc) return rc;
    struct qn_hash owner_acct = qn_acct_key(&owner.pub), faucet_acct = qn_acct_key(&faucet.pub);
    qn_key_wipe(&owner);
    qn_key_wipe(&faucet);
    rc = find_genesis(node, &owner_acct, &faucet_acct, &bytes, why);
    if (rc == QN_OK && bytes.len)
        rc = qn_decode(qn_genesis_record(), qn_buf_get(&bytes), &arena, &genesis, why);
    if (rc) goto out;
    bool joins = bytes.len && wants_snapshot(node, &genesis);
    if (bytes.len) node->fast_ppm = genesis.fast_ppm;
    snprintf(node->chain_home, sizeof node->chain_home, "%s%s", node->opts->home,
             joins ? "/joining" : "");
    if (joins)
        qn_home_sweep(node->chain_home);
    else
        rc = qn_rearm_open(
            &(struct qn_rearm){ node->opts->home, &node->validator.pub, begins(node), fresh },
            &node->may_sign, why);
    if (rc) goto out;
    struct qn_replica_conf conf = { .chain = { .home = node->chain_home,
                                               .env = qn_env_real(),
                                               .modules = node->exec,
                                               .module_cnt = node->exec_cnt,
                                               .vm = qn_contract_vm_get(),
                                               .genesis = bytes.len ? &genesis : NULL,
                                               .map_gib = node->opts->map_gib,
                                               .keep_ms = node->opts->keep_ms,
                                               .on_block = on_block,
                                               .arg = node },
                                    .validator = node->may_sign ? &node->validator : NULL,
                                    .block_ms = node->opts->block_ms,
                                    .hold = joins };
    if (node->net) conf.wire = qn_net_wire(node->net);
    qn_addr_print(&owner_acct, addr);
    rc = joins ? qn_dir_make(node->chain_home, why) : QN_OK;
    if (rc == QN_OK) rc = qn_steps_open(node->chain_home, &node->steps, why);
    if (rc == QN_OK) rc = qn_replica_open(&conf, &node->replica, why);
    if (rc == QN_OK) rc = check_genesis(node, why);
    if (rc == QN_OK) rc = check_trust(node, why);
    if (rc == QN_OK && !joins) say_silent(node);
    if (rc == QN_OK && node->net) rc = qn_net_serve(node->net, node->replica, on_net, node, why);
out:
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
    return rc;
}

static qn_rc open_net(struct qn_node *node, struct qn_why *why)
{
    bool fresh;
    char book[4096];
    if (!node->opts->listen && !node->opts->join) return QN_OK;
    snprintf(book, sizeof book, "%s/peers.dat", node->opts->home);
    qn_rc rc = key_of(node, "network", &node->network, &fresh, why);
    struct qn_net_conf conf = { .base = node->base,
                                .key = &node->network,
                                .validator = &node->validator,
                                .listen = node->opts->listen,
                                .join = node->opts->join,
                                .book = book,
                                .nat = node->opts->nat,
                                .outbound = node->opts->outbound };
    struct qn_why taken = { "" };
    if (rc == QN_OK) rc = qn_net_open(&conf, &node->net, &taken);
    bool listens = rc == QN_E_PORT || (rc == QN_E_IO && node->opts->listen);
    return rc && taken.text[0] ? qn_why(why, rc, "%s%s", listens ? "--listen: " : "", taken.text)
                               : rc;
}

/* A find, a fetch or a dial moved: calls that wait for it are asked again. */
static void on_share(void *arg)
{
    struct qn_node *node = arg;
    if (node->join) join_turn(node->join);
    if (node->api) qn_api_retry(node->api);
}

static qn_rc open_share(struct qn_node *node, struct qn_why *why)
{
    const struct share_conf conf = { .base = node->base,
                                     .env = qn_env_real(),
                                     .host = node->net ? qn_net_host(node->net) : NULL,
                                     .home = node->opts->home,
                                     .changed = on_share,
                                     .arg = node };
    return node->net ? share_open(&conf, &node->share, why) : QN_OK;
}

static qn_rc open_snaps(struct qn_node *node, struct qn_why *why)
{
    const struct snaps_conf conf = { .home = node->opts->home,
                                     .host = node->net ? qn_net_host(node->net) : NULL,
                                     .share = node->share,
                                     .aside = node->aside,
                                     .chain = qn_node_chain(node),
                                     .steps = node->steps,
                                     .keep = node->net ? node->opts->snapshots : 0 };
    return snaps_open(&conf, &node->snaps, why);
}

static void on_log(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "quoin: %s\n", line);
}

static void on_wrong(void *arg, qn_rc rc, const struct qn_why *why)
{
    struct qn_node *node = arg;
    node->rc = rc;
    node->why = *why;
}

static void open_scrub(struct qn_node *node)
{
    const struct scrub_conf conf = { .home = node->chain_home,
                                     .env = qn_env_real(),
                                     .aside = node->aside,
                                     .replica = node->replica,
                                     .every_ms = node->opts->scrub_ms,
                                     .arg = node,
                                     .log = on_log,
                                     .wrong = on_wrong };
    node->scrub = scrub_open(&conf);
}

/* A key that stood beside no journal yet signed nowhere: as where a node joins by blocks, this one is its own. Else it is a restored one's. */
static void name_journal(struct qn_node *node)
{
    char path[4096];
    struct qn_why why;
    snprintf(path, sizeof path, "%s/wallet/validator.journal", node->opts->home);
    if (access(path, F_OK) != 0 && qn_home_name(node->opts->home, false, &why))
        fprintf(stderr, "quoin: %s\n", why.text); /* `validator rearm` mends it */
}

/* The home has its chain, or none is to be had this way: everything begins anew. */
static void on_join_end(void *arg, enum join_end how, qn_rc rc, const struct qn_why *why)
{
    struct qn_node *node = arg;
    switch (how) {
    case JOIN_BLOCKS: node->by_blocks = node->again = true; break;
    case JOIN_RESTORED:
        name_journal(node);
        node->again = true;
        break;
    case JOIN_FAILED:
        node->rc = rc;
        node->why = *why;
        break;
    }
    event_base_loopbreak(node->base);
}

static qn_rc open_join(struct qn_node *node, struct qn_why *why)
{
    const struct qn_up_opts *o = node->opts;
    const struct join_conf conf = { .base = node->base,
                                    .env = qn_env_real(),
                                    .host = qn_net_host(node->net),
                                    .share = node->share,
                                    .aside = node->aside,
                                    .home = o->home,
                                    .map_gib = o->map_gib,
                                    .chain = qn_chain_id(qn_node_chain(node)),
                                    .fast_ppm = node->fast_ppm,
                                    .pinned = o->trust_height && !qn_hash_is_zero(&o->trust),
                                    .trust = o->trust,
                                    .trust_height = o->trust_height,
                                    .patient = strcmp(o->sync, "snapshot") == 0,
                                    .arg = node,
                                    .log = on_log,
                                    .end = on_join_end };
    return join_open(&conf, &node->join, why);
}

static bool joining(const struct qn_node *node)
{
    return strcmp(node->chain_home, node->opts->home) != 0;
}

static void open_desk(struct qn_node *node)
{
    const struct net_desk_conf conf = { .base = node->base,
                                        .env = qn_env_real(),
                                        .host = node->net ? qn_net_host(node->net) : NULL,
                                        .changed = on_share,
                                        .arg = node };
    if (node->net) node->desk = net_desk_open(&conf);
}

static qn_rc open_jobs(struct qn_node *node, struct qn_why *why)
{
    const struct qn_module *mod;
    size_t cnt = 0;
    node->kinds[cnt++] = QN_MODEL_JOBS;
    for (size_t i = 0; (mod = qn_module_at(i)); i++)
        if (mod->jobs) node->kinds[cnt++] = mod->jobs;
    struct qn_jobs_opts opts = { .base = node->base,
                                 .env = qn_env_real(),
                                 .home = node->opts->home,
                                 .tables = node->kinds,
                                 .changed = on_job,
                                 .answered = on_answered,
                                 .arg = node };
    return qn_jobs_new(&opts, &node->jobs, why);
}

static qn_rc write_file(const struct qn_node *node, const char *name, const char *text,
                        struct qn_why *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", node->opts->home, name);
    return qn_file_write(path, QN_SPAN_STR(text), 0600, why);
}

static void say_ready(struct qn_node *node, const char *addr, bool fresh, uint64_t took_us)
{
    const struct qn_up_opts *o = node->opts;
    struct qn_hash id = qn_chain_id(qn_node_chain(node));
    struct qn_replica_info info = qn_replica_info(node->replica);
    char hex[65], names[256] = "", p2p[QN_MADDR_TEXT] = "", who[80];
    if (node->net) qn_net_addr(node->net, p2p);
    if (info.self < 0)
        snprintf(who, sizeof who, "%u validators (this node follows)", info.validators);
    else
        snprintf(who, sizeof who, "validator %d of %u (this node)", info.self + 1, info.validators);
    qn_hex(id.b, 32, hex);
    for (size_t i = 0; i < node->exec_cnt; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? " " : "",
                 node->exec[i].name);
    if (o->json) {
        printf("{\"event\":\"ready\",\"home\":\"%s\",\"pid\":%d,\"api\":\"http://"
               "127.0.0.1:%u\",\"socket\":\"%s/"
               "api.sock\",\"p2p\":\"%s\",\"chain\":\"%s\",\"height\":%" PRIu64
               ",\"owner\":\"%s\",\"ms\":%" PRIu64 "}\n",
               o->home, (int)getpid(), qn_api_port(node->api), o->home, p2p, hex,
               qn_view_height(qn_chain_view(qn_node_chain(node))), addr, took_us / 1000);
    } else if (!o->quiet) {
        printf("quoin " QN_VERSION "   data %s   config %s\n", o->home,
               o->config && o->config[0] ? o->config : "none");
        printf("  key       %s  %.10s..%s   HOME/wallet/owner.key\n", fresh ? "new  " : "kept ",
               addr, addr + strlen(addr) - 4);
        printf("  ledger    %s  %.8s, %s, block %" PRIu64 "\n", fresh ? "new  " : "kept ", hex, who,
               qn_view_height(qn_chain_view(qn_node_chain(node))));
        printf("  modules   ok     %s\n", names[0] ? names : "none");
        printf("  listen    ok     api http://127.0.0.1:%u and %s/api.sock\n",
               qn_api_port(node->api), o->home);
        if (p2p[0]) printf("  network   ok     %s\n", p2p);
        printf("ready in %.2f s\n  next: quoin status | quoin wallet list | quoin help            "
               "Ctrl-C stops\n",
               (double)took_us / 1e6);
    }
    fflush(stdout);
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

static void say_joined(struct qn_node *node)
{
    uint64_t height = qn_chain_header(qn_node_chain(node))->height;
    if (node->opts->json)
        printf("{\"event\":\"joined\",\"height\":%" PRIu64 "}\n", height);
    else if (!node->opts->quiet)
        printf("joined at block %" PRIu64 "\n", height);
    fflush(stdout);
}

static qn_rc run(const struct qn_up_opts *opts, struct again *again, struct qn_why *ret_why)
{
    struct qn_node *node = calloc(1, sizeof *node);
    QN_ASSERT(node != NULL);
    node->opts = opts;
    node->by_blocks = again->by_blocks;
    node->lock_fd = -1;
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
    if (rc == QN_OK) rc = pick_modules(node, &why);
    if (rc == QN_OK) rc = check_join(node, &why);
    if (rc == QN_OK) rc = lock_home(node, &why);
    if (rc == QN_OK && qn_env_now_ms(qn_env_real()) < UINT64_C(1700000000000))
        rc = qn_why(&why, QN_E_CLOCK, "this machine's clock says a time before November 2023");
    if (rc) goto out;
    node->base = event_base_new();
    QN_ASSERT(node->base != NULL);
    node->sigint = evsignal_new(node->base, SIGINT, on_signal, node);
    node->sigterm = evsignal_new(node->base, SIGTERM, on_signal, node);
    rc = open_net(node, &why);
    if (rc == QN_OK) rc = open_chain(node, addr, &fresh, &why);
    if (rc == QN_OK) rc = open_share(node, &why);
    if (rc) goto out;
    open_desk(node);
    node->aside = aside_new(node->base, on_share, node);
    if (joining(node))
        rc = open_join(node, &why);
    else
        rc = open_snaps(node, &why);
    if (rc) goto out;
    if (!joining(node)) open_scrub(node);
    node->started_ms = qn_env_now_ms(qn_env_real());
    node->sends = sends_open(&(struct sends_conf){ node->base, node->replica, on_sends, node });
    node->turn = event_new(node->base, -1, 0, on_turn, node);
    event_add(node->sigint, NULL);
    event_add(node->sigterm, NULL);
    rc = open_jobs(node, &why);
    if (rc == QN_OK) rc = start_modules(node, &why);
    if (rc) goto out;
    qn_env_random(qn_env_real(), secret, sizeof secret);
    qn_hex(secret, sizeof secret, cookie);
    snprintf(socket_path, sizeof socket_path, "%s/api.sock", opts->home);
    struct qn_api_conf conf = { .base = node->base,
                                .env = qn_env_real(),
                                .node = node,
                                .ops = &OPS,
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
    kick(node);
    if (again->ran)
        say_joined(node);
    else
        say_ready(node, addr, fresh, qn_env_mono_us(qn_env_real()) - begin);
    again->ran = true;
    notify("READY=1");
    event_base_dispatch(node->base);
    if (node->again)
        note_again(node, again);
    else
        notify("STOPPING=1");
    rc = node->rc;
    why = node->why;
out:
    qn_api_close(node->api);
    node->api = NULL;
    aside_free(node->aside);
    join_detach(node->join);
    qn_jobs_free(node->jobs);
    stop_modules(node);
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
    if (node->sigint) event_free(node->sigint);
    if (node->sigterm) event_free(node->sigterm);
    if (node->base) event_base_free(node->base);
    if (node->lock_fd >= 0) close(node->lock_fd);
    qn_key_wipe(&node->validator);
    qn_key_wipe(&node->network);
    if (rc == QN_E_AGAIN && node->told_to_end) rc = QN_OK; /* before it had a chain */
    free(node);
    *ret_why = why;
    return rc;
}

qn_rc qn_node_up(const struct qn_up_opts *opts, struct qn_why *why)
{
    struct qn_up_opts o = *opts;
    struct again again = { .yes = false };
    char path[4096];
    qn_rc rc;
    do {
        again.yes = false;
        rc = run(&o, &again, why);
        if (!again.yes) break;
        o.api = again.api;
        if (*again.listen) o.listen = again.listen;
        snprintf(path, sizeof path, "%s/joining/manifest", o.home);
        unlink(path);
        snprintf(path, sizeof path, "%s/joining/steps.qs", o.home);
        unlink(path);
        snprintf(path, sizeof path, "%s/joining", o.home);
        qn_home_sweep(path);
    } while (rc == QN_OK);
    return rc;
}
