/* share.h - the node's blobs among its peers: gives what it has (/quoin/blob/1, /quoin/have/1), and fetches what it lacks from all who have
 * it at once. What a fetch has verified is given away while the rest is still coming.
 *
 * A blob that is fetched lies in HOME/blobs/XX/HASH.part until it is whole, its tree beside it in HASH.outer. A fetch does not outlive its node, but
 * the next one of the same blob, of this node or the one after a crash, goes on with what of it proves right. */
#ifndef QN_CORE_NET_SHARE_H
#define QN_CORE_NET_SHARE_H

#include "net/libp2p/host.h"

#include <jansson.h>

struct share;

struct share_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct qn_host *host; /* closed before the share, so that its streams have ended */
    const char *home;
    void (*changed)(void *arg); /* a find or a fetch moved: ask again. NULL: nobody waits */
    void *arg;
};

QN_CHECK qn_rc share_open(const struct share_conf *conf, struct share **ret, struct qn_why *why);
/* share_detach stops fetches and lets go of the host, which may be closed after it; share_close frees the rest. */
void share_detach(struct share *s);
void share_close(struct share *s);

/* share_find asks every peer that shares blobs what it has of one: QN_E_AGAIN until all have answered, 3 s at the most; then *ret is
 * [{"peer","bytes","pieces","of"}]. */
QN_CHECK qn_rc share_find(struct share *s, const struct qn_hash *id, json_t **ret QN_GIVES,
                          struct qn_why *why);

/* share_fetch starts a fetch, or looks how it goes: QN_E_AGAIN while it does; QN_OK once the blob is here, *ret then
 * {"bytes","peers":[{"peer","groups"}],"ms"} (no peers: it was here). QN_E_NOTFOUND when no peer has what is missing, QN_E_TOOBIG, QN_E_LIMIT (too many at
 * once), QN_E_IO, QN_E_DISKFULL. */
QN_CHECK qn_rc share_fetch(struct share *s, const struct qn_hash *id, json_t **ret QN_GIVES,
                           struct qn_why *why);

/* share_fetch_up_to does the same; who says that it is of more than max bytes is not asked for any. */
QN_CHECK qn_rc share_fetch_up_to(struct share *s, const struct qn_hash *id, uint64_t max,
                                 json_t **ret QN_GIVES, struct qn_why *why);

/* share_fetch_stop ends a fetch, if there is one, and removes what it has so far; a blob that is here whole stays. */
void share_fetch_stop(struct share *s, const struct qn_hash *id);

/* share_forget closes a blob that was removed from the disk. */
void share_forget(struct share *s, const struct qn_hash *id);

struct share_stat {
    uint64_t in_bytes, out_bytes; /* of blobs, verified */
    uint32_t serving, fetching, refused, bad_peers;
};
struct share_stat share_stat(const struct share *s);

#endif
