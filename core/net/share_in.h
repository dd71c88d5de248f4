/* share_in.h - inside of share*.c. */
#ifndef QN_CORE_NET_SHARE_IN_H
#define QN_CORE_NET_SHARE_IN_H

#include "core/net/blob.h"
#include "core/net/share.h"
#include "net/blob/swarm.h"

#define SHARE_FETCH_MAX 16u
#define SHARE_ASKS_MAX  6u /* requests of one peer at another, of all its fetches: it refuses more */
#define SHARE_SERVE_MAX 128u
#define SHARE_SHELF_MAX 16u
#define SHARE_ASKED_MAX                                                                            \
    384u /* peers, of a blob: all that a host holds; those that have it are fewer (SWARM_KNOWN) */
#define SHARE_ASK_MS 10000u /* to say what is wanted, and to end a stream that we have ended */
#define SHARE_SLOW_MS                                                                              \
    10000u /* who takes less than SHARE_SLOW a second after it gives way to others */
#define SHARE_SLOW       10000u
#define SHARE_FIND_MS    3000u
#define SHARE_KEEP_MS    60000u /* the outcome of a fetch, for who asked for it */
#define SHARE_AGAIN_MS   2000u /* who had nothing of a blob is asked again: it may be fetching too */
#define SHARE_LOST_MS    5000u /* nobody has what is missing: so long, newcomers may */

#define SHARE_RUN_GROUPS 4u /* 64 KiB */
#define SHARE_RUNS_MAX                                                                             \
    64u /* at once, of all fetches: 4 MiB; further requests write each group by itself */
#define SHARE_RUN_MS 100u /* of a slow source each group is written as it comes */

struct fetch;

/* An open blob, whole or becoming so. */
struct shelf {
    struct shelf *next;
    struct qn_hash id;
    uint64_t size, used_ms;
    int fd;
    uint8_t *outer; /* NULL: one group */
    size_t mapped;  /* outer is so much of HASH.outer; 0: it is malloc'd */
    uint8_t *right; /* a bit a group: hashed since it was opened */
    uint32_t users;
    struct fetch *fetch; /* what is here so far; NULL: all of it */
    bool broken;         /* its fetch failed: goes with its last user */
};

/* A stream that a peer opened. */
struct serve {
    struct serve *next;
    struct share *share;
    struct qn_stream *stream;
    bool have, begun,
        over; /* of BLOB_HAVE; its request was read; we have finished, and count it no more */
    uint64_t at_ms, sent; /* when it came; bytes given to it */
    struct qn_buf in;
    struct qn_hash id;
    struct shelf *shelf;
    struct blob_encoder *encoder;
};

/* What a peer says it has. The stream stays open while it says more. */
struct have {
    struct have *next;
    struct fetch *fetch; /* NULL: nobody listens any more */
    struct qn_stream *stream;
    uint32_t peer;
    bool answered, closed, absent;
    uint64_t asked_ms;
    uint64_t size;
    uint32_t pieces;
    struct blob_frames frames;
    struct qn_buf payload;
};

struct ask; /* share_fetch.c: a request under way */

/* A search for who has a blob, and for its bytes. */
struct fetch {
    struct fetch *next;
    struct share *share;
    struct qn_hash id;
    bool bytes, over; /* wanted: the bytes; else only who has them */
    qn_rc rc;
    struct qn_why why;
    struct swarm *swarm;
    struct shelf *shelf; /* once the size is proven */
    struct have *haves;
    struct ask *asks;
    struct event *turn;
    uint64_t begun_ms, over_ms, found_ms; /* found: when somebody last had what is missing */
    struct {
        uint32_t peer;
        uint64_t groups;
        char name[QN_PEER_TEXT_MAX];
    } from[SWARM_KNOWN];
    uint32_t from_cnt;
};

struct share {
    struct share_conf conf;
    struct qn_host_watch watch;
    struct event *pump; /* goes on with what is being sent; tells the owner */
    bool moved;
    struct shelf *shelves;
    struct serve *serves;
    struct fetch *fetches;
    uint32_t serve_cnt, fetch_cnt, run_cnt;
    struct share_stat stat;
};

uint64_t share_now_ms(const struct share *s);

/* share_shelf_get lends a blob that is here, whole or in part (users + 1); QN_E_NOTFOUND. share_shelf_put gives it back. */
QN_CHECK qn_rc share_shelf_get(struct share *s, const struct qn_hash *id, struct shelf **ret);
void share_shelf_put(struct share *s, struct shelf *shelf);
struct shelf *share_shelf_new(struct share *s, const struct qn_hash *id, uint64_t size, int fd,
                              uint8_t *outer);

/* share_serve.c */
extern const struct qn_stream_ops SHARE_SERVE_OPS, SHARE_HAVE_OPS;
void share_serve_pump(struct share *s);
/* share_serve_news tells who asked that a piece of a blob came; piece UINT32_MAX: it is whole. share_serve_ready answers who asked too early. */
void share_serve_news(struct share *s, const struct qn_hash *id, uint32_t piece);
void share_serve_ready(struct share *s, const struct qn_hash *id);

/* share_have.c: what peers say they have. share_have_turn asks again those who had nothing, and returns how many have not answered. */
void share_have_ask(struct fetch *f, uint32_t peer);
uint32_t share_have_turn(struct fetch *f, uint64_t now_ms);
json_t *share_have_list(const struct fetch *f) QN_GIVES;
void share_have_let_go(struct fetch *f);

/* share_part.c: HASH.part and HASH.outer, what there is of a blob. share_part_new makes them; share_part_old goes on with those that are there, and
 * tells the swarm what of them is right; false: there is nothing of use. share_parts_sweep removes what is of no use to any fetch. */
QN_CHECK qn_rc share_part_new(struct share *s, const struct qn_hash *id, uint64_t size,
                              struct shelf **ret, struct qn_why *why);
QN_CHECK bool share_part_old(struct share *s, const struct qn_hash *id, uint64_t max,
                             struct swarm *swarm, struct shelf **ret);
void share_part_drop(struct share *s, const struct qn_hash *id);
void share_parts_sweep(const char *home);

/* share_run.c: verified groups of one request, gathered for one write. */
struct share_run {
    uint8_t *bytes; /* NULL: none yet */
    uint64_t first, last_ms;
    uint32_t cnt; /* groups from first on, len bytes */
    size_t len;
};
/* share_run_room lends where group is to be put together; NULL: not in this run. share_run_add takes it in from there; true: write the run now. */
uint8_t *share_run_room(struct share *s, struct share_run *r, uint64_t group);
bool share_run_add(struct share_run *r, uint64_t group, struct qn_span bytes, uint64_t now_ms);
void share_run_free(struct share *s, struct share_run *r);
/* share_write puts bytes where group begins; else errno says why not. */
QN_CHECK qn_rc share_write(int fd, uint64_t group, struct qn_span bytes);

/* share_fetch.c */
void share_fetch_peer(struct share *s, uint32_t peer, bool up);
bool share_fetch_running(const struct share *s, const struct qn_hash *id);
bool share_fetch_has(const struct fetch *f, const struct blob_range *range, uint32_t cnt);
const uint8_t *share_fetch_bits(const struct fetch *f);
void share_fetch_kick(struct fetch *f);
void share_fetch_blame(struct fetch *f, uint32_t peer, const char *what);
void share_fetch_peer_name(const struct share *s, uint32_t peer, char dst[QN_PEER_TEXT_MAX]);
void share_fetch_stop_all(struct share *s);
void share_fetch_free_all(struct share *s);

#endif
