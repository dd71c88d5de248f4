/* host_in.h - inside of the host: connections, peers, streams. Included by the host's own files alone.
 *
 * A turn (host.c) comes after everything else that the loop had to do: it delivers what was put off (ends of streams and connections,
 * results of dials) and then writes, so that a turn's frames share records. */
#ifndef QN_NET_LIBP2P_HOST_IN_H
#define QN_NET_LIBP2P_HOST_IN_H

#include "net/libp2p/host.h"
#include "net/libp2p/identify.h"
#include "net/libp2p/record.h"
#include "net/libp2p/upgrade.h"
#include "net/libp2p/yamux.h"
#include "net/link/limit.h"
#include "net/link/queue.h"
#include "net/link/sock.h"

#include <event2/event.h>
#include <event2/event_struct.h>

enum {
    READ_MAX = 1 << 18, /* bytes of a read; a record is less than 64 KiB + 2 */
    READ_MIN = 4096,
    READ_FIRST = 16384, /* then as many as SLICE_US is enough for */
    SLICE_US = 5000,    /* what all heavy connections together may take of a turn of the loop */
    /* .. which are those that took more than a tenth of the time lately, or, where all take a quarter of it or more, more than half the average. They
     * are read after the others. Times are sums of what a connection took, halved each LATELY_US: twice what it takes in that time. */
    LATELY_US = 100000,
    HEAVY_US = LATELY_US / 10 * 2,
    LOADED_US = LATELY_US / 4 * 2,
    RECORD_MAX =
        16384, /* plaintext of a record we write: sealing at full speed, and an urgent one waits for one at most */
    BATCH_MAX = 4,    /* records a system call, while the socket takes them */
    PACE_US = 100000, /* how long is counted what the socket of a connection takes */
    LATE_US = 1000,   /* a full one that ran dry meanwhile: we were late */
    SMOOTH_MIN =
        1 << 20,         /* bytes that it took without being full, before there are so many again */
    FLUSH_MAX = 1 << 18, /* of one connection a turn */
    LOW_WATER = 1 << 16, /* on_drain */
    CREDIT_MIN =
        4096, /* less credit is not used while more waits: a peer that drips it gets no small frames */
    PROTO_MAX = 64,
    BAN_MAX = 4096,
    TICK_MS = 100,
    STUCK_US = 5000000 /* streams that are stuck together */
};

enum conn_state { CONN_DIAL, CONN_SHAKE, CONN_MUXER, CONN_READY, CONN_DEAD };

struct peer;

struct busy {
    uint64_t us, at_us; /* lately; when half of it was forgotten last */
};

struct conn {
    struct qn_host *host;
    struct conn *prev, *next;            /* of the host */
    struct conn *dirty_next, *dead_next; /* host lists */
    struct conn *heavy_next;             /* of the host: what waits to be read */
    struct conn *peer_next;              /* of the peer */
    enum conn_state state;
    bool outbound, gated, dirty, leaving, hangup, shaken, writing, put_off;
    int fd;
    struct event read, write;
    struct qn_endpoint remote;
    struct qn_origin origin;
    struct qn_upgrade *up;
    struct qn_mss *mss; /* agreeing on the muxer, when Noise did not */
    struct qn_noise_cipher tx, rx;
    struct qn_yamux y;
    struct qn_buf rest,
        unsent; /* of a record that came in part; sealed, not yet taken by the socket */
    size_t unsent_at;
    struct peer *peer;
    struct qn_stream *streams;
    struct {
        struct qn_stream *head, *tail;
    } ready[QN_NET_CLASS_CNT];
    int32_t deficit[QN_NET_CLASS_CNT];
    uint32_t batch; /* records of the next write */
    size_t smooth;  /* bytes written since the socket was last full */
    int ahead;      /* unsent bytes that the kernel takes before it is full */
    struct {
        uint64_t from_us, bytes; /* written since then */
        uint64_t full_us;        /* since when it is full; 0: it is not */
        uint64_t dry_us;         /* of that time we may have kept the link waiting */
    } pace;
    struct qn_stream *drained;
    uint64_t born_us, seen_us, ping_us, stuck_us,
        end_us;         /* end_us: when a leaving connection goes; others 0: none */
    uint64_t pinged_us; /* last ping sent */
    struct busy busy;   /* taken by what came on it */
    uint32_t read_max;
    uint32_t ping_value;
    qn_rc rc; /* why it died */
    char why[96];
    qn_dial_fn *done;
    void *done_arg;
};

struct peer {
    uint32_t num;
    struct qn_peer_id id;
    struct qn_host *host;
    struct conn *cur, *conns; /* cur: takes new streams; conns: all that are ready */
    bool push_again;          /* it has yet to hear what we are now */
    bool ask_again;           /* it has yet to say who it is */
    uint8_t push_tries, ask_tries;
    bool explicit, outbound, identified, gone;
    struct qn_budget memory;
    uint32_t blob_streams;
    struct qn_bucket resets;
    uint32_t blamed;              /* slips not forgotten yet */
    uint64_t blamed_us, stuck_us; /* stuck: when it was blamed for a stream that it does not read */
    uint64_t up_us, in_bytes, out_bytes, class_bytes[QN_NET_CLASS_CNT];
    uint32_t rtt_us;
    size_t queued;
    /* what it says of itself */
    char *agent, *version;
    char **protos;
    uint32_t proto_cnt;
    struct qn_maddr *addrs;
    uint32_t addr_cnt;
    struct qn_endpoint observed;
    struct qn_buf record;
    size_t told; /* bytes of the above, booked */
};

struct qn_stream {
    struct qn_yamux_stream y; /* first: the machine's part */
    struct qn_host *host;
    struct conn *conn;
    struct peer *peer;
    uint32_t peer_num;
    struct qn_stream *prev, *next; /* of the connection */
    struct qn_stream *ready_next, *drain_next, *ended_next, *resume_next;
    const struct qn_stream_ops *ops;
    void *arg;
    char *proto; /* own copy: outbound; NULL for inbound, which have row */
    const struct qn_proto *row;
    struct qn_mss *mss;        /* until agreed */
    struct qn_queue out, held; /* held: came while paused */
    size_t queue_max, grown;   /* grown: window booked beyond the first */
    enum qn_net_class class;
    enum qn_stream_end end;
    bool outbound, told, dead, heard, ready, draining, above, finish, paused, resuming, fin_held,
        blob;
    uint64_t born_us, last_us, blocked_us, deadline_us;
};

struct dial {
    struct dial *next;
    qn_dial_fn *done;
    void *arg;
    uint32_t peer;
};

struct ban {
    struct qn_peer_id id;
    uint64_t until_us;
    char reason[48];
};

struct naming; /* names.c */
struct lookup; /* dnsaddr.c */

struct qn_host {
    struct qn_host_conf conf;
    struct qn_limits limits;
    struct qn_gate gate;
    struct qn_aead *aead;
    struct qn_noise_self self;
    struct qn_peer_id id;
    char *agent;
    int listen_fd;
    struct qn_ip listen_ip;
    struct event listen, turn, tick, heavies;
    struct busy busy;  /* of all connections */
    uint32_t conn_cnt; /* ready ones */
    bool turning, in_turn, resting, closing;
    bool push,
        push_again; /* what we are changed: told in this turn; told again with the next tick */
    bool ask_again; /* some peer is asked once more with the next tick */
    uint64_t rest_us;
    struct qn_maddr announce;
    uint64_t record_seq;
    struct told_record { /* our signed record, for peers on the internet and for neighbours */
        uint64_t seq;
        uint32_t cnt;
        struct qn_maddr addrs[QN_IDENTIFY_ADDRS];
        struct qn_buf bytes;
    } * records[2];
    struct qn_proto protos[PROTO_MAX];
    uint32_t proto_cnt;
    struct qn_host_watch *watches;
    struct conn *conns, *dirty, *dead, *heavy, **heavy_tail;
    struct qn_stream *ended, **ended_tail, *resume;
    struct dial *dials;
    char nameserver[64];
    struct evdns_base *dns; /* NULL: no name was dialled yet */
    struct naming *namings;
    struct lookup *lookups;
    struct peer **peers; /* by number, rising */
    uint32_t peer_cnt, peer_cap, next_peer;
    struct qn_peer_id *explicits;
    uint32_t explicit_cnt;
    struct ban *bans;
    uint32_t ban_cnt;
    struct qn_budget memory;
    uint32_t in_cnt, out_cnt, explicit_conns; /* ready or, outbound, on the way */
    struct qn_host_stat stat;
    uint8_t *read_buf, *write_buf;
};

uint64_t host_now(const struct qn_host *h);
void host_turn_soon(struct qn_host *h);

/* conn.c */
struct conn *conn_new(struct qn_host *h, int fd, bool outbound, const struct qn_endpoint *remote);
void conn_start(struct conn *c); /* the socket stands: upgrade */
void conn_dirty(struct conn *c);
void conn_flush(struct conn *c);
/* conn_kill ends it at once; what follows comes with the next turn. */
void conn_kill(struct conn *c, qn_rc rc, const char *why);
void conn_tick(struct conn *c, uint64_t now_us);
void conn_heavies(int fd, short what, void *host); /* reads those that were put off, for SLICE_US */
void conn_free(struct conn *c);

/* stream.c */
extern const struct qn_yamux_sink STREAM_SINK;
struct qn_stream *stream_new(struct conn *c, const char *proto, enum qn_net_class class,
                             const struct qn_stream_ops *ops, void *arg);
void stream_end(struct qn_stream *s, enum qn_stream_end end);
void stream_ended(struct qn_stream *s); /* deliver and free */
void stream_resume(struct qn_stream *s);
void stream_tick(struct qn_stream *s, uint64_t now_us);
/* stream_fill writes frames of what waits, the urgent first, to dst; returns bytes. */
size_t stream_fill(struct conn *c, uint8_t *dst, size_t max);
void stream_drains(struct conn *c);
bool stream_waiting(const struct conn *c);
void stream_stuck_clear(struct conn *c);

/* names.c */
QN_CHECK qn_rc names_dial(struct qn_host *h, const struct qn_named *named, qn_dial_fn *done,
                          void *arg, struct qn_why *why);
void names_fini(struct qn_host *h);

/* dnsaddr.c: the same for named->text. */
QN_CHECK qn_rc dnsaddr_dial(struct qn_host *h, const struct qn_named *named, qn_dial_fn *done,
                            void *arg, struct qn_why *why);
void dnsaddr_fini(struct qn_host *h);

/* peer.c */
struct peer *peer_find(const struct qn_host *h, uint32_t num);
struct peer *peer_by_id(const struct qn_host *h, const struct qn_peer_id *id);
/* peer_join gives a secured connection to its peer, or kills it; false: killed. */
QN_CHECK bool peer_join(struct conn *c, const struct qn_peer_id *id);
void peer_leave(struct conn *c); /* its connection died */
void peer_told(struct peer *p, const struct qn_identify *id);
struct ban *peer_banned(struct qn_host *h, const struct qn_peer_id *id);
bool peer_is_explicit(const struct qn_host *h, const struct qn_peer_id *id);

/* identify_run.c, ping.c, perf.c: protocols that every host serves */
void identify_serve(struct qn_host *h);
void identify_ask(struct peer *p);
void identify_ask_again(struct qn_host *h);
/* Several changes of a turn are one push: peers take two at once and no more. */
void identify_push(struct qn_host *h);
void identify_push_now(struct qn_host *h);
void identify_fini(struct qn_host *h);
void ping_serve(struct qn_host *h);
void perf_serve(struct qn_host *h);

#endif
