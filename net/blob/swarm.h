/* swarm.h - fetching one blob from many: whom to ask for what, as a machine. It holds no socket, file or clock: the owner brings in what
 * sources say they have and which groups proved themselves, and carries out what it is asked to.
 *
 * The rarest piece first (ties by lot, so that many who fetch at once take different ones), pieces begun before new ones, at most
 * SWARM_SOURCES sources at a time with SWARM_DEPTH requests each; for the last SWARM_END pieces a second and third source is asked as
 * well. One wrong byte and a source is not asked again; one that is silent for SWARM_SILENT_MS loses the request, twice: its place.
 * Before the size is proven (by the last group) nothing else is asked for. */
#ifndef QN_NET_BLOB_SWARM_H
#define QN_NET_BLOB_SWARM_H

#include "net/blob/wire.h"

#define SWARM_SOURCES   8u
#define SWARM_DEPTH     4u
#define SWARM_KNOWN     64u /* sources known at once; more are not looked at */
#define SWARM_END       8u
#define SWARM_SILENT_MS 10000u
#define SWARM_BUSY_MS   1000u
#define SWARM_SLOW_MS   60000u /* who drips rests so long, where others wait for its place */

struct swarm;

/* What the owner does; all but piece come from swarm_turn only. */
struct swarm_ops {
    void *self;
    /* Request these ranges (BLOB_PROTOCOL) of peer under number req; what becomes of it comes back by swarm_group and swarm_end. */
    void (*ask)(void *self, uint32_t peer, uint32_t req, const struct blob_range *range,
                uint32_t range_cnt);
    /* req is not wanted any more: no swarm_end for it. */
    void (*cancel)(void *self, uint32_t peer, uint32_t req);
    /* Piece is whole: serve it, tell others. Comes from swarm_group. */
    void (*piece)(void *self, uint32_t piece);
};

enum swarm_end {
    SWARM_OK,     /* the answer ended as it should */
    SWARM_ABSENT, /* the source has not got it after all */
    SWARM_BUSY,   /* not now */
    SWARM_LOST,   /* the stream broke */
    SWARM_BAD     /* it sent what does not verify, or broke the protocol */
};

QN_GIVES struct swarm *swarm_new(uint64_t seed, uint64_t size_max, struct swarm_ops ops);
void swarm_free(struct swarm *s);

/* swarm_source tells what peer says it holds: bits (copied) are blob_piece_cnt(size). Known already: replaces it. */
void swarm_source(struct swarm *s, uint32_t peer, uint64_t size, const uint8_t *bits);
/* swarm_news: peer has one more piece; false when its blob has no such piece. */
QN_CHECK bool swarm_news(struct swarm *s, uint32_t peer, uint32_t piece);
void swarm_gone(struct swarm *s, uint32_t peer);

/* swarm_group notes a group of req that proved itself under this size; true when it is new: write it. */
bool swarm_group(struct swarm *s, uint32_t req, uint64_t group, uint64_t size);
/* swarm_resume, before anything else: of an earlier fetch these groups of a blob of that size, the last one among them, are here and right. */
void swarm_resume(struct swarm *s, uint64_t size, const uint64_t *groups, uint64_t cnt);
void swarm_end(struct swarm *s, uint32_t req, enum swarm_end how);

/* swarm_turn asks for more, gives up what is overdue; call it after any of the above. Returns when to call it again at the latest. */
uint64_t swarm_turn(struct swarm *s, uint64_t now_ms);

bool swarm_done(const struct swarm *s);
/* swarm_size is the proven size; false before. */
QN_CHECK bool swarm_size(const struct swarm *s, uint64_t *ret);
/* swarm_bits lends the bitmap of whole pieces, NULL before the size is proven. */
const uint8_t *swarm_bits(const struct swarm *s);
bool swarm_has(const struct swarm *s, uint64_t group);

struct swarm_info {
    uint64_t groups, repeated; /* new ones; those that came twice */
    uint32_t sources, used;    /* known now; that gave at least one group, ever */
    uint32_t dropped;          /* for what they sent, or did not */
    uint32_t asked;            /* requests under way */
    bool stuck;                /* no source has what is missing: none is being asked, or rests */
};
struct swarm_info swarm_info(const struct swarm *s);
/* swarm_dropped says whether peer is one of those. */
bool swarm_dropped(const struct swarm *s, uint32_t peer);

#endif
