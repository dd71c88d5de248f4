/* reach_int.h - the inside of reachability, shared by its two files. */
#ifndef QN_NET_LIBP2P_REACH_INT_H
#define QN_NET_LIBP2P_REACH_INT_H

#include "net/libp2p/autonat.h"
#include "net/libp2p/reach.h"

#define REACH_CANDS 4
#define REACH_ASKED 8

/* What the host will call back about; r NULL: nobody waits any more. */
struct reach_work {
    struct qn_reach *r;
    struct reach_work *next, **at;
};

/* An address that may be ours, and what was said of it. */
struct reach_cand {
    struct net_addr addr;
    struct autonat_votes votes;
    uint32_t asked_cnt, asked[REACH_ASKED]; /* peers, of this round */
    uint64_t again_ms;                      /* the next round; 0: this one is not over */
    bool kept;                              /* still a candidate: while the list is made anew */
};

struct reach_question;

struct qn_reach {
    struct qn_reach_conf conf;
    struct net_dice dice;
    struct event *timer;
    struct reach_work *works, *jobs; /* ours, and others' questions */
    /* asking */
    struct net_addr mapped; /* port 0: none */
    uint32_t cand_cnt, servers;
    struct reach_cand cand[REACH_CANDS];
    struct reach_question *question; /* one at a time */
    uint64_t next_ms;
    enum qn_reach_state state;
    struct net_addr addr;
    /* answering */
    struct autonat_server server;
    struct qn_host *dialer; /* NULL: nobody asked lately */
    struct qn_key dialer_key;
    uint64_t dialer_ms; /* when it was last wanted */
    uint32_t dialling;
    uint64_t served;
};

uint64_t reach_now(const struct qn_reach *r);
void reach_begin(struct qn_reach *r, struct reach_work **list, struct reach_work *work);
void reach_end(struct reach_work *work);
struct net_addr reach_addr(const struct qn_endpoint *e);
/* An address that may be dialled, or told, in this network. */
bool reach_fit(const struct qn_reach *r, const struct net_ip *ip);

/* reach_serve.c */
QN_CHECK qn_rc reach_serve(struct qn_reach *r);
void reach_serve_turn(struct qn_reach *r);
void reach_serve_close(struct qn_reach *r);

#endif
