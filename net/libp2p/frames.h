/* frames.h - messages to and from peers on one protocol: `u32 LE length | bytes` on a stream a class, opened by who sends, as needed. So each
 * side reads on the streams that the other opened, classes do not wait for each other, and order holds within a class only.
 *
 * The queue of a class and peer is bounded: a message that finds it over queue_max is not taken (QN_E_LIMIT), except that an empty queue
 * always takes one. Received messages are booked on the peer's memory as their bytes arrive, and lent for the call. */
#ifndef QN_NET_LIBP2P_FRAMES_H
#define QN_NET_LIBP2P_FRAMES_H

#include "net/libp2p/host.h"

struct qn_frames;

struct qn_frames_conf {
    struct qn_host *host; /* must outlive the frames */
    const char *proto;    /* "/quoin/<8 hex of genesis>/ledger/1"; borrowed */
    uint32_t message_max; /* bytes; a longer one resets the stream and blames the peer */
    size_t queue_max[QN_NET_CLASS_CNT]; /* 0: 1 MiB */
    /* A peer that speaks the protocol is there, or gone. Only to such a peer can be sent. */
    void (*on_peer)(void *arg, uint32_t peer, bool up);
    void (*on_message)(void *arg, uint32_t peer, struct qn_span message);
    void *arg;
};

/* qn_frames_open serves the protocol on the host and watches its peers. */
QN_CHECK qn_rc qn_frames_open(const struct qn_frames_conf *conf, struct qn_frames **ret);
void qn_frames_close(struct qn_frames *f);
/* QN_E_NOTFOUND when the peer is gone or does not speak it, QN_E_LIMIT, QN_E_TOOBIG. */
QN_CHECK qn_rc qn_frames_send(struct qn_frames *f, uint32_t peer, enum qn_net_class class,
                              struct qn_span message);
/* qn_frames_cast sends to every peer that speaks it but one (0: none); returns to how many it went. */
uint32_t qn_frames_cast(struct qn_frames *f, uint32_t but, enum qn_net_class class,
                        struct qn_span message);
uint32_t qn_frames_peer_cnt(const struct qn_frames *f);

#endif
