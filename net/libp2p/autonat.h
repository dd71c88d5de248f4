/* autonat.h - can others reach this node? AutoNAT v2 (libp2p/specs autonat-v2), as messages and as two machines without socket or clock.
 *
 *     /libp2p/autonat/2/dial-request   -> DialRequest{addrs, nonce}   <- DialDataRequest{addrIdx, bytes}   -> DialDataResponse{data}..
 *                                      <- DialResponse{status, addrIdx, dialStatus}
 *     /libp2p/autonat/2/dial-back      the server, on a connection that it dialled: DialBack{nonce}, DialBackResponse
 *
 * A server dials an address only if the asker's own IP is in it, or after the asker has sent 30 to 100 kB: so nobody is made to dial a
 * third party for less than it costs. An answer counts only with the nonce that came back over a new connection. */
#ifndef QN_NET_LIBP2P_AUTONAT_H
#define QN_NET_LIBP2P_AUTONAT_H

#include "net/libp2p/kad_wire.h"
#include "net/link/dice.h"

#define AUTONAT_DATA_MIN   30000
#define AUTONAT_DATA_MAX   100000
#define AUTONAT_CHUNK      4096
#define AUTONAT_ADDRS      16
#define AUTONAT_MESSAGE    8192
#define AUTONAT_MINUTE_MAX 12 /* dials that a server makes a minute, for all */
#define AUTONAT_PEER_MAX   2  /* and for one asker */
#define AUTONAT_NEED       3u /* servers that must have spoken */

enum autonat_kind {
    AUTONAT_NONE,
    AUTONAT_REQUEST,
    AUTONAT_RESPONSE,
    AUTONAT_DATA_REQUEST,
    AUTONAT_DATA,
};
enum autonat_status {
    AUTONAT_INTERNAL = 0,
    AUTONAT_REJECTED = 100,
    AUTONAT_REFUSED = 101,
    AUTONAT_OK = 200
};
enum autonat_dial {
    AUTONAT_UNUSED = 0,
    AUTONAT_DIAL_ERROR = 100,
    AUTONAT_BACK_ERROR = 101,
    AUTONAT_DIAL_OK = 200
};

struct autonat_message {
    enum autonat_kind kind;
    uint64_t nonce; /* REQUEST */
    uint32_t addr_cnt, addr_idx;
    struct kad_addr addr[AUTONAT_ADDRS];
    uint64_t bytes; /* DATA_REQUEST: wanted; DATA: how many there are */
    uint32_t status, dial;
};

/* autonat_read reads one message without its length; addresses too long for us keep their place, empty. */
QN_CHECK qn_rc autonat_read(struct qn_span bytes, struct autonat_message *ret);
void autonat_write(const struct autonat_message *m, struct qn_buf *buf);
QN_CHECK qn_rc autonat_back_read(struct qn_span bytes, uint64_t *ret_nonce); /* DialBack */
void autonat_back_write(uint64_t nonce, struct qn_buf *buf);

/* --- asking: one question to one server */
enum autonat_verdict { AUTONAT_WAIT, AUTONAT_SEND, AUTONAT_REACHED, AUTONAT_FAILED, AUTONAT_VOID };
struct autonat_client {
    uint64_t nonce, sent;
    uint32_t addr_cnt, back_cnt;
    struct kad_addr addr[AUTONAT_ADDRS];
    bool back, over;
};
/* autonat_ask begins; the request is appended to `out`. */
void autonat_ask(struct autonat_client *c, struct net_dice *dice, const struct kad_addr *addrs,
                 uint32_t cnt, struct qn_buf *out);
/* autonat_back: a dial-back came with that nonce over a connection from outside. True when it is ours. */
QN_CHECK bool autonat_back(struct autonat_client *c, uint64_t nonce);
/* autonat_heard takes the server's message. SEND: *ret_data bytes are due, in chunks. REACHED and FAILED are about addr *ret_idx; VOID: the
 * server could not say, or lied. */
enum autonat_verdict autonat_heard(struct autonat_client *c, const struct autonat_message *m,
                                   uint64_t *ret_data, uint32_t *ret_idx);

/* What several servers said, the last eight: reachable when three spoke (all, where there are fewer) and two thirds say so. */
struct autonat_votes {
    uint32_t cnt;
    uint8_t yes; /* bits, the newest lowest */
};
void autonat_vote(struct autonat_votes *v, bool reached);
bool autonat_public(const struct autonat_votes *v, uint32_t servers);
uint32_t autonat_yes(const struct autonat_votes *v);

/* --- answering */
struct autonat_server {
    struct net_dice dice;
    uint64_t minute;
    uint32_t dials; /* in this minute */
    uint64_t asker[AUTONAT_MINUTE_MAX];
};
/* One question under way. */
struct autonat_job {
    uint32_t idx;
    uint64_t nonce, due; /* due: data still to come before the dial */
    struct net_addr addr;
};
/* autonat_serve decides on a request of a peer seen at `from`: QN_OK: dial job->addr now, or, if job->due, after a data request (reply)
 * is answered. QN_E_REFUSED: only send the reply. private: the network is a house, whose addresses are fine. */
QN_CHECK qn_rc autonat_serve(struct autonat_server *s, const struct autonat_message *m,
                             const struct net_ip *from, bool private, uint64_t now_ms,
                             struct autonat_job *job, struct qn_buf *reply);
/* autonat_data counts data that came; QN_OK: now dial. QN_E_AGAIN: more is due. QN_E_FORMAT: something else came. */
QN_CHECK qn_rc autonat_data(struct autonat_job *job, const struct autonat_message *m);
/* autonat_done writes what became of the dial. */
void autonat_done(const struct autonat_job *job, enum autonat_dial how, struct qn_buf *reply);

#endif
