/* node.h - the running node: chain, jobs and API on one loop. Only core/node sees inside. */
#ifndef QN_CORE_NODE_NODE_H
#define QN_CORE_NODE_NODE_H

#include "core/node/registry.h"

struct qn_up_opts {
    const char *home, *api;              /* api "127.0.0.1:7846" */
    const char *enable, *disable;        /* comma-separated module names, or NULL */
    const char *config;                  /* the quoin.lua it came from, or NULL or "" */
    const char *listen, *join, *genesis; /* NULL: a network of one */
    const char *nat;                     /* how a port is opened in the router; NULL: not */
    uint32_t outbound;                   /* connections to choose; 0: dials only whom it was told */
    uint64_t map_gib, block_ms;
    uint64_t keep_ms;      /* blocks older than this may go; 0: all stay */
    const char *sync;      /* "auto" (NULL is that, too), "blocks", "snapshot" */
    struct qn_hash trust;  /* zero: none */
    uint64_t trust_height; /* 0: trust is the genesis' */
    uint32_t snapshots;    /* kept for others */
    uint64_t scrub_ms;     /* how often the rows are looked over; 0: when asked */
    bool json, quiet;
};

/* qn_node_hold_signals lets SIGTERM and SIGINT wait for the node that is about to start, which then ends as if told a moment later. They stay
 * blocked until the process ends; children that a node starts have them unblocked. */
void qn_node_hold_signals(void);
/* qn_node_up runs a node until SIGTERM, SIGINT or `quoin down`; QN_OK: it was told to stop. */
QN_CHECK qn_rc qn_node_up(const struct qn_up_opts *opts, struct qn_why *why);

struct aside;
struct scrub;
struct join;
struct net_desk;
struct snaps;
struct share;

/* What calls of the core may reach beyond qn_node_ops. */
struct qn_chain *qn_node_chain(struct qn_node *node);
const char *qn_node_home(struct qn_node *node);
struct qn_steps; /* ledger/state/steps.h */
const struct qn_steps *qn_node_steps(struct qn_node *node);
struct qn_replica *qn_node_replica(struct qn_node *node);
struct qn_net *qn_node_net(struct qn_node *node);       /* NULL: it has no peers */
json_t *qn_node_modules(struct qn_node *node) QN_GIVES; /* [{"name","on"}] */
uint64_t qn_node_started_ms(struct qn_node *node);
const struct qn_hash *qn_node_validator(struct qn_node *node); /* its key, of this home */
bool qn_node_signs(
    const struct qn_node *node); /* false: beside this journal it may not: core/node/rearm.h */
const char *qn_node_lost_key(const struct qn_node *node); /* struct qn_rearmed */
/* qn_node_self returns what the module that owns this call made in its start; NULL for calls of the core.
 * qn_node_route finds the route of a path among the modules that are on. */
void *qn_node_self(struct qn_node *node, const struct qn_call *call);
const struct qn_route *qn_node_route(struct qn_node *node, const char *path, void **ret_self);
struct share *qn_node_share(struct qn_node *node);   /* NULL: a network of one */
struct net_desk *qn_node_desk(struct qn_node *node); /* NULL as well then */
struct aside *qn_node_aside(struct qn_node *node);
struct scrub *qn_node_scrub(struct qn_node *node); /* NULL: it is joining */
struct snaps *qn_node_snaps(struct qn_node *node);
struct join *qn_node_join(struct qn_node *node); /* NULL: its chain is its own */
void qn_node_stop(struct qn_node *node);

#endif
