/* node_in.h - inside of a running node, shared by its files: node.c has the loop and the life, node_open.c finds the chain, node_parts.c opens what is
 * around it, node_ops.c has what calls and modules use, node_say.c speaks. */
#ifndef QN_CORE_NODE_NODE_IN_H
#define QN_CORE_NODE_NODE_IN_H

#include "core/job/jobs.h"
#include "core/node/api.h"
#include "core/node/node.h"
#include "core/node/rearm.h"
#include "ledger/state/steps.h"

#include <event2/event.h>

#define MODULES_MAX 16

struct sends;

struct qn_node {
    const struct qn_up_opts *opts;
    struct event_base *base;
    struct event *turn, *told;
    int told_fd; /* reads SIGINT and SIGTERM, which stay blocked from qn_node_up on */
    struct qn_replica *replica;
    struct sends *sends;
    struct qn_steps *steps;
    bool told_to_end; /* by a signal */
    struct qn_rearmed armed;
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
    struct {
        uint32_t fork; /* how much of it; 0: nothing */
        bool twin;
    } said; /* each once */
    struct qn_exec_module exec[MODULES_MAX];
    void *self[MODULES_MAX]; /* of the modules in exec that were started */
    bool begun[MODULES_MAX];
    size_t exec_cnt;
    const struct qn_job_kind *kinds[MODULES_MAX + 2]; /* tables, NULL last */
    qn_rc rc;
    struct qn_why why;
};

extern const struct qn_node_ops QN_NODE_OPS;

void qn_node_kick(struct qn_node *node); /* its turn comes now */

/* --- modules */
QN_CHECK qn_rc qn_node_pick_modules(struct qn_node *node, struct qn_why *why);
QN_CHECK qn_rc qn_node_start_modules(struct qn_node *node, struct qn_why *why);
void qn_node_stop_modules(struct qn_node *node);
/* Modules look at what became final: a lease that ended stops its workload. */
void qn_node_tell_modules(struct qn_node *node);

/* --- the home and its chain */
QN_CHECK qn_rc qn_node_lock(struct qn_node *node, struct qn_why *why);
/* A key of the wallet, made when it is not there. */
QN_CHECK qn_rc qn_node_key(struct qn_node *node, const char *name, struct qn_key *ret,
                           bool *ret_new, struct qn_why *why);
/* What only a joined peer can give is not asked for without one. */
QN_CHECK qn_rc qn_node_check_join(const struct qn_node *node, struct qn_why *why);
QN_CHECK qn_rc qn_node_open_chain(struct qn_node *node, char addr[64], bool *ret_new,
                                  struct qn_why *why);
void qn_node_on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash);
void qn_node_on_net(void *arg);

/* --- parts */
QN_CHECK qn_rc qn_node_open_net(struct qn_node *node, struct qn_why *why);
QN_CHECK qn_rc qn_node_open_share(struct qn_node *node, struct qn_why *why);
QN_CHECK qn_rc qn_node_open_snaps(struct qn_node *node, struct qn_why *why);
QN_CHECK qn_rc qn_node_open_join(struct qn_node *node, struct qn_why *why);
QN_CHECK qn_rc qn_node_open_jobs(struct qn_node *node, struct qn_why *why);
void qn_node_open_desk(struct qn_node *node);
void qn_node_open_scrub(struct qn_node *node);
void qn_node_open_sends(struct qn_node *node);
/* A find, a fetch or a dial moved: calls that wait for it are asked again. */
void qn_node_on_share(void *arg);

/* --- speaking */
/* Tells systemd, when it asked to be told (sd_notify's datagram). */
void qn_node_notify(const char *text);
/* How far it is behind; and, each once, that another chain is final elsewhere, or that its key votes elsewhere. */
void qn_node_say_news(struct qn_node *node);
/* A validator that does not sign; who has no stake is none, and needs no word of it. */
void qn_node_say_silent(const struct qn_node *node);
void qn_node_say_ready(struct qn_node *node, const char *addr, bool fresh, uint64_t took_us);
void qn_node_say_joined(struct qn_node *node);

#endif
