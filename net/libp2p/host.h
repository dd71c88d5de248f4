/* host.h - a libp2p host on a libevent loop: it listens and dials, secures connections (multistream-select, Noise XX, yamux), learns who
 * is there (identify) and carries streams of named protocols. What is said on a stream is its protocol's business.
 *
 * - One thread: all calls and callbacks happen on the loop of `base`. Nothing calls back from inside qn_host_open, _dial, _stream, _write,
 *   _finish, _reset: what follows from them comes on a later turn of the loop.
 * - A peer is a number: given when its first connection is ready, never used again after it is gone. Two connections to one peer
 *   (crossing dials) are one peer: the connection dialled by the smaller id stays (of two dialled by one end the later), the other takes no
 *   new stream, gives on_move to those it has and is closed when they ended, after 5 s at the latest.
 * - A stream lives until on_close, which comes exactly once for each stream that was told of (by on_open, or by qn_host_stream's return);
 *   after it the pointer is dead.
 * - Everything is bounded by net/link/limit.def: what goes over a limit of a peer costs that peer its stream or connection, never a neighbour. */
#ifndef QN_NET_LIBP2P_HOST_H
#define QN_NET_LIBP2P_HOST_H

#include "core/env/env.h"
#include "net/libp2p/multiaddr.h"

struct event_base;
struct qn_limits; /* net/link/limit.h */
struct qn_host;
struct qn_stream;

/* What goes first on a crowded connection. CONTROL and URGENT before all else; BLOCK, TX and REQUEST share as 8 : 4 : 2; BLOB has 1. */
enum qn_net_class {
    QN_NET_CONTROL,
    QN_NET_URGENT, /* votes, proposals, shards */
    QN_NET_BLOCK,
    QN_NET_TX,
    QN_NET_REQUEST,
    QN_NET_BLOB,
    QN_NET_CLASS_CNT
};

/* Why a stream ended. */
enum qn_stream_end {
    QN_STREAM_DONE,    /* both sides finished */
    QN_STREAM_RESET,   /* by the peer, or by qn_stream_reset */
    QN_STREAM_REFUSED, /* the peer does not speak the protocol */
    QN_STREAM_LIMIT,   /* over a limit, or too slow */
    QN_STREAM_LOST     /* the connection went */
};

/* What happens on a stream; NULL: not interested. arg is the protocol's for streams that the peer opened until qn_stream_set_arg. */
struct qn_stream_ops {
    /* Negotiated: inbound, a peer opened it; outbound, the peer agreed (writing before that is fine, it goes out in the same flight). */
    void (*on_open)(void *arg, struct qn_stream *s);
    /* Bytes in order, lent for the call, in pieces of any size. They count as read when it returns, unless the stream was paused in
     * it: then the piece is still taken, but no more comes. */
    void (*on_data)(void *arg, struct qn_stream *s, struct qn_span bytes);
    void (*on_finish)(void *arg, struct qn_stream *s); /* the peer will write no more */
    /* What was queued has fallen below 64 KiB after it was above: time to write on. */
    void (*on_drain)(void *arg, struct qn_stream *s);
    /* Its connection is leaving (see above): finish it soon, and open another for what comes. */
    void (*on_move)(void *arg, struct qn_stream *s);
    void (*on_close)(void *arg, struct qn_stream *s, enum qn_stream_end end);
};

/* A protocol that peers may open. */
struct qn_proto {
    const char *id; /* "/ipfs/ping/1.0.0"; borrowed for the host's life */
    const struct qn_stream_ops *ops;
    void *arg;
    enum qn_net_class class;
    uint32_t in_max; /* streams a peer may have open to us at once; 0: 8 */
    uint32_t
        idle_ms; /* an inbound stream without a byte either way for so long is reset; 0: never (long-lived) */
    bool (*admit)(void *arg, uint32_t peer); /* NULL: everybody */
};

struct qn_peer_info {
    uint32_t peer;
    struct qn_peer_id id;
    bool outbound, identified, explicit;
    struct qn_endpoint remote;              /* the socket's other end; has_id */
    struct qn_endpoint observed;            /* ours as the peer sees it; port 0: not told */
    uint64_t up_ms;                         /* env's monotonic clock, ms, when it came up */
    uint32_t rtt_us;                        /* 0: not measured yet */
    uint64_t in_bytes, out_bytes;           /* on the socket */
    uint64_t class_bytes[QN_NET_CLASS_CNT]; /* written, by class */
    size_t queued, memory;                  /* now */
    uint32_t streams;
    const char *agent, *version; /* lent until the peer is gone or identifies anew; "" before */
    const char *const *protos;   /* what it speaks */
    uint32_t proto_cnt;
    const struct qn_maddr *addrs; /* where it says it listens */
    uint32_t addr_cnt;
    struct qn_span
        record; /* its signed peer record (an Envelope), checked to be by this peer; empty: none */
};

/* How bad an offence is: the weight is what scores take (P7 of the network page counts 1 each). */
enum qn_blame {
    QN_BLAME_SLIP,    /* late, over a budget: 1 */
    QN_BLAME_OFFENCE, /* broke a protocol: 4 */
    QN_BLAME_FATAL /* cannot be an accident: connection closed, banned for 10 minutes, its address refused for one (shun_s) */
};

/* Somebody who wants to know about peers: gossip, kad, the ledger's wire. Owned by the caller, linked in by qn_host_watch. */
struct qn_host_watch {
    void *arg;
    void (*on_peer)(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound);
    void (*on_identify)(void *arg, const struct qn_peer_info *info); /* again after each push */
    void (*on_blame)(void *arg, uint32_t peer, enum qn_blame how, const char *what);
    struct qn_host_watch *next; /* the host's */
};

struct qn_host_conf {
    struct event_base *base;
    const struct qn_env *env;
    const struct qn_key *key; /* borrowed; the node key, which signs the network only */
    const char *listen;       /* "IP:PORT", port 0: any free one; NULL: dials only */
    const char *agent;        /* NULL: "quoin/VERSION" */
    const char *nameserver;   /* "IP:PORT" to ask for names; NULL: those of /etc/resolv.conf */
    const char *announce;     /* multiaddr told to peers besides the listener's, NULL: none */
    uint32_t in_max, out_max; /* connections; 0: of limit.def */
    bool perf;                /* serve /perf/1.0.0 */
    const struct qn_limits *limits; /* NULL: limit.def; copied */
    /* Asked before an inbound connection is held: false refuses. NULL: all (bans and limits are looked at before). */
    bool (*admit)(void *arg, const struct qn_endpoint *remote);
    /* All inbound places are taken: which peer should go for a newcomer? 0: none, refuse. NULL: refuse. */
    uint32_t (*evict)(void *arg);
    void *arg;
};

/* qn_host_open starts listening. QN_E_PORT when the port is taken, QN_E_USAGE for a bad address. */
QN_CHECK qn_rc qn_host_open(const struct qn_host_conf *conf, struct qn_host **ret,
                            struct qn_why *why);
/* qn_host_close resets everything, with on_close for each stream and on_peer(up false) for each peer. */
void qn_host_close(struct qn_host *host);

void qn_host_watch(struct qn_host *host, struct qn_host_watch *watch);
void qn_host_unwatch(struct qn_host *host, struct qn_host_watch *watch);
/* qn_host_proto serves a protocol; peers connected are told by an identify push. At most 64. */
QN_CHECK qn_rc qn_host_proto(struct qn_host *host, const struct qn_proto *proto);

/* qn_host_unproto serves it no longer and resets its streams. */
void qn_host_unproto(struct qn_host *host, const char *id);

const struct qn_peer_id *qn_host_id(const struct qn_host *host);
unsigned qn_host_port(const struct qn_host *host); /* 0: does not listen */
/* qn_host_addrs gives what we tell peers, and dial strings for people. */
uint32_t qn_host_addrs(const struct qn_host *host, struct qn_maddr *ret, uint32_t max);
/* qn_host_announce sets the address told besides the listener's (found by AutoNAT, mapped by UPnP); NULL takes it back. */
void qn_host_announce(struct qn_host *host, const struct qn_maddr *addr);

/* done comes exactly once, on a later turn: QN_OK with the peer (one already connected counts), or QN_E_TIMEOUT, QN_E_IO (refused,
 * unreachable), QN_E_SIGNATURE (somebody else lives there), QN_E_FORMAT (not libp2p), QN_E_LIMIT, QN_E_AUTH (banned). */
typedef void qn_dial_fn(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why);
/* qn_host_dial takes "IP:PORT", "NAME:PORT" or a multiaddr in text; of a name's addresses the first that answers is taken. An error means that
 * done will not come. Names are looked up only here, where a person gave them: what peers say of names is passed on and never asked for. */
QN_CHECK qn_rc qn_host_dial(struct qn_host *host, const char *addr, qn_dial_fn *done, void *arg,
                            struct qn_why *why);
QN_CHECK qn_rc qn_host_dial_to(struct qn_host *host, const struct qn_endpoint *to, qn_dial_fn *done,
                               void *arg, struct qn_why *why);

/* qn_host_stream opens a stream to a peer; its bytes may be written at once. QN_E_NOTFOUND (no such peer), QN_E_LIMIT. */
QN_CHECK qn_rc qn_host_stream(struct qn_host *host, uint32_t peer, const char *proto,
                              enum qn_net_class class, const struct qn_stream_ops *ops, void *arg,
                              struct qn_stream **ret);

/* qn_stream_write queues bytes (copied). QN_E_LIMIT when the queue of the stream would pass its limit (qn_stream_set_queue; 1 MiB),
 * nothing was queued then; QN_E_STATE after finish or reset. A write into an empty queue is always taken. */
QN_CHECK qn_rc qn_stream_write(struct qn_stream *s, struct qn_span bytes);
/* qn_stream_give is the same without a copy: buf is the stream's (and empty) after QN_OK, still the caller's otherwise. */
QN_CHECK qn_rc qn_stream_give(struct qn_stream *s, struct qn_buf *buf);
void qn_stream_finish(struct qn_stream *s); /* no more from us; the other half stays open */
void qn_stream_reset(struct qn_stream *s);  /* both halves, now; on_close follows on a later turn */
/* While paused no on_data comes and the peer's window is not refilled. */
void qn_stream_pause(struct qn_stream *s, bool paused);
void qn_stream_set_arg(struct qn_stream *s, void *arg);
void *qn_stream_arg(const struct qn_stream *s);
void qn_stream_set_class(struct qn_stream *s, enum qn_net_class class);
void qn_stream_set_queue(struct qn_stream *s, size_t bytes_max);
/* qn_stream_set_window lets the receive window grow to so many bytes while the reader keeps up (blobs: 16 MiB); default 1 MiB. */
void qn_stream_set_window(struct qn_stream *s, uint32_t bytes_max);
/* qn_stream_set_deadline resets the stream with QN_STREAM_LIMIT unless it ended within so many ms; 0: no deadline. */
void qn_stream_set_deadline(struct qn_stream *s, uint32_t ms);
/* qn_stream_alive: false once it ended, with on_close still to come: for loops that deliver several things of one piece. */
bool qn_stream_alive(const struct qn_stream *s);
size_t qn_stream_queued(const struct qn_stream *s); /* written and not yet on the socket */
uint32_t qn_stream_peer(const struct qn_stream *s);
bool qn_stream_outbound(const struct qn_stream *s);
const char *qn_stream_proto(const struct qn_stream *s);
struct qn_host *qn_stream_host(const struct qn_stream *s);

/* qn_host_peer fills in what is known; false when there is no such peer. qn_host_peers visits all that are connected, the oldest first. */
QN_CHECK bool qn_host_peer(const struct qn_host *host, uint32_t peer, struct qn_peer_info *ret);
void qn_host_peers(const struct qn_host *host,
                   void (*visit)(void *arg, const struct qn_peer_info *info), void *arg);
uint32_t qn_host_peer_cnt(const struct qn_host *host);
QN_CHECK bool qn_host_find(const struct qn_host *host, const struct qn_peer_id *id,
                           uint32_t *ret_peer);
/* qn_host_speaks says whether a peer's identify names the protocol. */
bool qn_host_speaks(const struct qn_host *host, uint32_t peer, const char *proto);
/* An explicit peer (validator, configured) is outside the connection caps and is never evicted. */
void qn_host_explicit(struct qn_host *host, const struct qn_peer_id *id, bool on);

/* qn_host_hangup closes a peer's connections after what is queued went out (200 ms at most). */
void qn_host_hangup(struct qn_host *host, uint32_t peer, const char *reason);
/* qn_host_ban closes and refuses a peer id for so long; 0 lifts the ban. Bans live in memory. */
void qn_host_ban(struct qn_host *host, const struct qn_peer_id *id, uint32_t seconds,
                 const char *reason);
/* qn_host_bans visits what is banned, with what is left of it. */
void qn_host_bans(const struct qn_host *host,
                  void (*visit)(void *arg, const struct qn_peer_id *id, uint32_t left_s,
                                const char *reason),
                  void *arg);
/* qn_host_blame tells all watchers of an offence; FATAL closes and bans. */
void qn_host_blame(struct qn_host *host, uint32_t peer, enum qn_blame how, const char *what);

/* qn_host_reserve books memory held for a peer (a message being put together) on its budget; false: over it, refuse. */
QN_CHECK bool qn_host_reserve(struct qn_host *host, uint32_t peer, size_t bytes);
/* qn_host_short blames a peer for what could not be booked, if its own memory was too small for it: where the node's is, others took that, and what waits to
 * be sent to it is our doing. */
void qn_host_short(struct qn_host *host, uint32_t peer, size_t bytes, const char *what);
void qn_host_release(struct qn_host *host, uint32_t peer, size_t bytes);

/* qn_host_ping measures one /ipfs/ping/1.0.0 round trip: QN_OK and rtt, QN_E_TIMEOUT (10 s), QN_E_ABSENT, QN_E_IO. */
QN_CHECK qn_rc qn_host_ping(struct qn_host *host, uint32_t peer,
                            void (*done)(void *arg, qn_rc rc, uint64_t rtt_us), void *arg);
/* qn_host_perf runs /perf/1.0.0: sends up bytes, then asks for down. */
QN_CHECK qn_rc qn_host_perf(struct qn_host *host, uint32_t peer, uint64_t up, uint64_t down,
                            void (*done)(void *arg, qn_rc rc, uint64_t up_us, uint64_t down_us),
                            void *arg);

/* Totals since the start, for metrics and tests. */
struct qn_host_stat {
    uint64_t accepted, refused, dialled, handshakes, handshake_fails, evicted, stream_resets,
        blames;
    uint64_t in_bytes, out_bytes, class_bytes[QN_NET_CLASS_CNT]; /* class_bytes: as of a peer */
    uint32_t conns, pending, streams;
    size_t memory, memory_high; /* reserved for peers, now and at most */
};
struct qn_host_stat qn_host_stat(const struct qn_host *host);

#endif
