/* yamux.h - many streams on one connection (libp2p/specs yamux), as a machine: plaintext in, events and frames out.
 *
 *     u8 version 0 | u8 type | u16 BE flags | u32 BE stream | u32 BE length      type 0 data 1 window 2 ping 3 goaway
 *     flags SYN 1 ACK 2 FIN 4 RST 8; the dialer's streams are odd, the listener's even, 0 is the connection
 *
 * Each stream starts with 262,144 bytes of credit each way. Bodies are handed on as they come, nothing is held here. Frames that say
 * something besides data wait in `ctl`, which the owner sends before any data; a peer that makes it grow over QN_YAMUX_CTL_MAX
 * without reading breaks the connection.
 *
 * The owner allocates the streams and keeps them until qn_yamux_drop. */
#ifndef QN_NET_LIBP2P_YAMUX_H
#define QN_NET_LIBP2P_YAMUX_H

#include "core/base/span.h"

#define QN_YAMUX_HEAD    12
#define QN_YAMUX_WINDOW  262144u
#define QN_YAMUX_CTL_MAX 65536u
#define QN_YAMUX_ID_MAX                                                                            \
    0xfffffff0u /* of a stream: there is no wrapping, the owner takes another connection */

struct qn_yamux_stream {
    uint32_t id;
    uint32_t send_credit;
    uint32_t recv_credit;
    uint32_t recv_window, recv_max; /* refilled to; may grow to */
    uint32_t read;                  /* consumed since the last refill */
    uint64_t refill_us;             /* when that was */
    bool syn_due, ack_due, acked;
    bool fin_in, fin_out; /* came, went */
    struct qn_yamux_stream *next;
};

/* Events; each may drop or reset any stream, that of the call included. */
struct qn_yamux_sink {
    /* The peer opens a stream: zeroed memory for it, or NULL to refuse. */
    struct qn_yamux_stream *(*on_open)(void *arg);
    void (*on_data)(void *arg, struct qn_yamux_stream *s, struct qn_span bytes);
    void (*on_credit)(void *arg, struct qn_yamux_stream *s);
    void (*on_finish)(void *arg, struct qn_yamux_stream *s);
    void (*on_reset)(void *arg, struct qn_yamux_stream *s); /* drop it in here */
    void (*on_pong)(void *arg, uint32_t value);
    void (*on_goaway)(void *arg, uint32_t code);
    /* May a window grow by so many bytes? NULL: no. */
    bool (*on_grow)(void *arg, struct qn_yamux_stream *s, uint32_t bytes);
};

enum { QN_YAMUX_BUCKETS = 32 };

struct qn_yamux {
    bool dialer, over; /* over: finished, perhaps by an event of the very input */
    uint32_t next_id;
    uint32_t in_cnt, out_cnt, unacked; /* streams; ours that wait for an ACK */
    uint32_t rtt_us;                   /* the owner's estimate, paces window growth */
    uint64_t syns, resets, refused;    /* by the peer, for rate limits */
    uint8_t head[QN_YAMUX_HEAD], have;
    uint32_t body_id, body_left; /* of the data frame that is coming in */
    bool body_fin, body_rst;
    struct qn_buf ctl;
    const struct qn_yamux_sink *sink;
    void *arg;
    struct qn_yamux_stream *bucket[QN_YAMUX_BUCKETS];
};

void qn_yamux_init(struct qn_yamux *y, bool dialer, const struct qn_yamux_sink *sink, void *arg);
/* qn_yamux_fini may come in an event: what follows in the input is then passed over. The owner dropped its streams before. */
void qn_yamux_fini(struct qn_yamux *y);

/* qn_yamux_feed takes plaintext, all of it. An error is the peer's: say qn_yamux_goaway(y, 1) and close. QN_E_FORMAT (version, type, stream
 * number, flags), QN_E_LIMIT (beyond the credit, credit over 2^32, ctl full). */
QN_CHECK qn_rc qn_yamux_feed(struct qn_yamux *y, struct qn_span plain);

/* qn_yamux_open numbers a new stream of ours (zeroed memory); its SYN goes with its first frame. */
void qn_yamux_open(struct qn_yamux *y, struct qn_yamux_stream *s);
/* qn_yamux_find gives a live stream, or NULL. */
struct qn_yamux_stream *qn_yamux_find(const struct qn_yamux *y, uint32_t id);
/* qn_yamux_data writes the header of a data frame of len <= send_credit bytes, taking the credit. qn_yamux_fin writes the frame that
 * ends our side: of its own, as all implementations send it; js-libp2p loses data that comes in a frame with FIN. */
void qn_yamux_data(struct qn_yamux *y, struct qn_yamux_stream *s, uint32_t len,
                   uint8_t head[QN_YAMUX_HEAD]);
void qn_yamux_fin(struct qn_yamux *y, struct qn_yamux_stream *s, uint8_t head[QN_YAMUX_HEAD]);
/* qn_yamux_read says that n received bytes were consumed: credit is given back in halves of the window, which doubles while it is
 * consumed within two round trips. */
void qn_yamux_read(struct qn_yamux *y, struct qn_yamux_stream *s, uint32_t n, uint64_t now_us);
/* qn_yamux_announce sends the SYN of a stream that has nothing to say yet. */
void qn_yamux_announce(struct qn_yamux *y, struct qn_yamux_stream *s);
/* qn_yamux_drop forgets a stream; with rst it is told to the peer (unless both sides were done). */
void qn_yamux_drop(struct qn_yamux *y, struct qn_yamux_stream *s, bool rst);
void qn_yamux_ping(struct qn_yamux *y, uint32_t value);
void qn_yamux_goaway(struct qn_yamux *y,
                     uint32_t code); /* 0 normal, 1 protocol error, 2 internal error */

#endif
