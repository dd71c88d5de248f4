/* swarm.c - the choice of pieces and sources. */
#include "net/blob/swarm.h"

#include <stdlib.h>
#include <string.h>

#define REQ_MAX (SWARM_SOURCES * SWARM_DEPTH)
_Static_assert(BLOB_PIECE_GROUPS == 64, "a piece's groups are the bits of one word");

struct source {
    uint32_t peer;
    bool used, bad, gave, slow;
    uint8_t strikes, asked;
    uint64_t size, wait_ms; /* not before */
    uint64_t stall_ms;      /* when it was late last */
    uint8_t *bits;
};

struct piece {
    uint64_t have;
    uint16_t rarity;
    uint8_t asked;
};

struct req {
    bool used, probe;
    uint32_t id, piece;
    uint64_t want, heard_ms, asked_ms; /* want: groups of the piece */
    uint32_t got;                      /* of them */
    struct source *source;
};

struct swarm {
    struct swarm_ops ops;
    uint64_t seed, size_max, now_ms;
    bool size_known;
    uint64_t size;
    uint32_t piece_cnt, left, next_req;
    struct piece *piece;
    uint8_t *bits;
    struct source source[SWARM_KNOWN];
    uint32_t turn; /* where the next round over the sources begins */
    struct req req[REQ_MAX];
    struct swarm_info info;
};

struct swarm *swarm_new(uint64_t seed, uint64_t size_max, struct swarm_ops ops)
{
    struct swarm *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL && ops.ask != NULL && ops.cancel != NULL);
    s->ops = ops;
    s->seed = seed | 1;
    s->size_max = QN_MIN(size_max, BLOB_SIZE_MAX);
    return s;
}

void swarm_free(struct swarm *s)
{
    if (!s) return;
    for (uint32_t i = 0; i < SWARM_KNOWN; i++)
        free(s->source[i].bits);
    free(s->piece);
    free(s->bits);
    free(s);
}

static uint64_t draw(struct swarm *s, uint64_t below)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return (s->seed >> 11) % below;
}

static bool bit(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

/* All groups of a piece, as bits. */
static uint64_t whole(const struct swarm *s, uint32_t piece)
{
    uint64_t cnt = blob_group_cnt(s->size) - (uint64_t)piece * BLOB_PIECE_GROUPS;
    return cnt >= 64 ? UINT64_MAX : (UINT64_C(1) << cnt) - 1;
}

static struct source *find(struct swarm *s, uint32_t peer)
{
    for (uint32_t i = 0; i < SWARM_KNOWN; i++)
        if (s->source[i].used && s->source[i].peer == peer) return &s->source[i];
    return NULL;
}

static void count(struct swarm *s, const struct source *src, bool add)
{
    if (!s->size_known || !src->bits || src->bad || src->size != s->size) return;
    for (uint32_t i = 0; i < s->piece_cnt; i++)
        if (bit(src->bits, i)) s->piece[i].rarity = (uint16_t)(s->piece[i].rarity + (add ? 1 : -1));
}

static void req_drop(struct swarm *s, struct req *r)
{
    QN_ASSERT(r->used && r->source->asked > 0);
    r->source->asked--;
    if (!r->probe) s->piece[r->piece].asked--;
    r->used = false;
    s->info.asked--;
}

static void cancel_of(struct swarm *s, struct source *src)
{
    for (uint32_t i = 0; i < REQ_MAX; i++) {
        struct req *r = &s->req[i];
        if (!r->used || r->source != src) continue;
        s->ops.cancel(s->ops.self, src->peer, r->id);
        req_drop(s, r);
    }
}

/* It stays known, so that it is not taken in again. What it was asked for is cancelled by the next turn. */
static void source_bad(struct swarm *s, struct source *src)
{
    if (src->bad) return;
    count(s, src, false);
    src->bad = true;
    s->info.dropped++;
}

/* A place for one more; else that of one found bad, or of one that gave nothing so far and says it is busy: or those who came first could keep the
 * others out for good. */
static struct source *place(struct swarm *s)
{
    struct source *worst = NULL;
    for (uint32_t i = 0; i < SWARM_KNOWN; i++) {
        struct source *src = &s->source[i];
        if (!src->used) return src;
        bool idle = !src->gave && src->wait_ms > s->now_ms;
        if (!src->asked && (src->bad || (idle && !worst))) worst = src;
    }
    if (!worst) return NULL;
    count(s, worst, false);
    free(worst->bits);
    s->info.sources--;
    return worst;
}

void swarm_source(struct swarm *s, uint32_t peer, uint64_t size, const uint8_t *bits)
{
    struct source *src = find(s, peer);
    if (src && src->bad) return;
    if (src) {
        count(s, src, false);
    } else {
        src = place(s);
        if (!src) return;
        *src = (struct source){ .used = true, .peer = peer };
        s->info.sources++;
    }
    free(src->bits);
    src->bits = NULL;
    src->size = size;
    if (size > s->size_max || (s->size_known && size != s->size)) {
        source_bad(s, src);
        return;
    }
    size_t len = (blob_piece_cnt(size) + 7) / 8;
    src->bits = malloc(len);
    QN_ASSERT(src->bits != NULL);
    memcpy(src->bits, bits, len);
    count(s, src, true);
}

bool swarm_news(struct swarm *s, uint32_t peer, uint32_t piece)
{
    struct source *src = find(s, peer);
    if (!src || src->bad) return true;
    if (piece >= blob_piece_cnt(src->size)) {
        source_bad(s, src);
        return false;
    }
    if (bit(src->bits, piece)) return true;
    src->bits[piece / 8] |= (uint8_t)(1u << piece % 8);
    if (s->size_known) s->piece[piece].rarity++;
    return true;
}

void swarm_gone(struct swarm *s, uint32_t peer)
{
    struct source *src = find(s, peer);
    if (!src) return;
    for (uint32_t i = 0; i < REQ_MAX; i++)
        if (s->req[i].used && s->req[i].source == src) req_drop(s, &s->req[i]);
    count(s, src, false);
    free(src->bits);
    *src = (struct source){ 0 };
    s->info.sources--;
}

static struct req *find_req(struct swarm *s, uint32_t id)
{
    for (uint32_t i = 0; i < REQ_MAX; i++)
        if (s->req[i].used && s->req[i].id == id) return &s->req[i];
    return NULL;
}

static void size_proven(struct swarm *s, uint64_t size)
{
    s->size_known = true;
    s->size = size;
    s->piece_cnt = s->left = blob_piece_cnt(size);
    s->piece = calloc(s->piece_cnt, sizeof *s->piece);
    s->bits = calloc((s->piece_cnt + 7) / 8, 1);
    QN_ASSERT(s->piece != NULL && s->bits != NULL);
    for (uint32_t i = 0; i < SWARM_KNOWN; i++) {
        struct source *src = &s->source[i];
        if (!src->used || src->bad) continue;
        if (src->size == size)
            count(s, src, true);
        else
            source_bad(s, src);
    }
}

/* A group that was not here before. */
static void have(struct swarm *s, uint64_t group)
{
    uint32_t p = (uint32_t)(group / BLOB_PIECE_GROUPS);
    struct piece *piece = &s->piece[p];
    piece->have |= UINT64_C(1) << group % BLOB_PIECE_GROUPS;
    if (piece->have != whole(s, p)) return;
    s->bits[p / 8] |= (uint8_t)(1u << p % 8);
    s->left--;
    if (s->ops.piece) s->ops.piece(s->ops.self, p);
}

bool swarm_group(struct swarm *s, uint32_t req, uint64_t group, uint64_t size)
{
    struct req *r = find_req(s, req);
    if (!r) return false; /* cancelled while it was on its way */
    r->heard_ms = s->now_ms;
    r->got++;
    r->source->strikes = 0;
    if (!s->size_known) {
        if (group + 1 != blob_group_cnt(size)) return false;
        size_proven(s, size);
        if (r->source->bad) return false; /* claimed another size before */
    }
    if (size != s->size || group >= blob_group_cnt(size)) return false;
    uint32_t p = (uint32_t)(group / BLOB_PIECE_GROUPS);
    uint64_t mask = UINT64_C(1) << group % BLOB_PIECE_GROUPS;
    struct piece *piece = &s->piece[p];
    if (!r->source->gave) {
        r->source->gave = true;
        s->info.used++;
    }
    if (piece->have & mask) {
        s->info.repeated++;
        return false;
    }
    s->info.groups++;
    have(s, group);
    return true;
}

void swarm_resume(struct swarm *s, uint64_t size, const uint64_t *groups, uint64_t cnt)
{
    QN_ASSERT(!s->size_known && size <= s->size_max);
    size_proven(s, size);
    for (uint64_t i = 0; i < cnt; i++)
        have(s, groups[i]);
}

void swarm_end(struct swarm *s, uint32_t req, enum swarm_end how)
{
    struct req *r = find_req(s, req);
    if (!r) return;
    struct source *src = r->source;
    uint32_t piece = r->piece;
    bool probe = r->probe, short_of = !probe && (r->want & ~s->piece[piece].have);
    req_drop(s, r);
    switch (how) {
    case SWARM_OK:
        /* Ended well without all that was asked for: an answer cut short. */
        if (short_of && ++src->strikes >= 2) source_bad(s, src);
        return;
    case SWARM_ABSENT:
        if (src->bits && !probe && bit(src->bits, piece)) {
            src->bits[piece / 8] &= (uint8_t) ~(1u << piece % 8);
            if (s->piece[piece].rarity) s->piece[piece].rarity--;
        } else {
            source_bad(s, src); /* says it has the blob, and has no end of it */
        }
        return;
    case SWARM_LOST:
        if (++src->strikes >= 3) source_bad(s, src);
        src->wait_ms = s->now_ms + SWARM_BUSY_MS;
        return;
    case SWARM_BUSY: src->wait_ms = s->now_ms + SWARM_BUSY_MS; return;
    case SWARM_BAD: source_bad(s, src); return;
    }
    QN_BUG("swarm_end out of range");
}

static struct req *ask(struct swarm *s, struct source *src, uint32_t piece, uint64_t want)
{
    struct blob_range range[BLOB_RANGE_MAX];
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < REQ_MAX; i++) {
        struct req *r = &s->req[i];
        if (r->used) continue;
        *r = (struct req){ .used = true,
                           .id = ++s->next_req,
                           .piece = piece,
                           .want = want,
                           .heard_ms = s->now_ms,
                           .asked_ms = s->now_ms,
                           .source = src,
                           .probe = want == 0 };
        if (r->probe) range[cnt++] = (struct blob_range){ BLOB_LAST, 1 };
        for (uint64_t left = want; left;) { /* runs of ones */
            unsigned first = (unsigned)__builtin_ctzll(left);
            uint64_t run = left >> first;
            unsigned len = ~run ? (unsigned)__builtin_ctzll(~run) : 64;
            range[cnt++] = (struct blob_range){ (uint64_t)piece * BLOB_PIECE_GROUPS + first, len };
            left = len + first >= 64 ? 0 : left >> (first + len) << (first + len);
        }
        src->asked++;
        if (!r->probe) s->piece[piece].asked++;
        s->info.asked++;
        s->ops.ask(s->ops.self, src->peer, r->id, range, cnt);
        return r;
    }
    return NULL;
}

static bool asked_of(const struct swarm *s, const struct source *src, uint32_t piece)
{
    for (uint32_t i = 0; i < REQ_MAX; i++)
        if (s->req[i].used && s->req[i].source == src && s->req[i].piece == piece) return true;
    return false;
}

/* The piece to ask src for next; false when it has nothing for us. */
static bool choose(struct swarm *s, const struct source *src, uint32_t *ret)
{
    uint32_t ties = 0;
    uint64_t best = UINT64_MAX;
    bool end = s->left <= SWARM_END;
    for (uint32_t i = 0; i < s->piece_cnt; i++) {
        const struct piece *p = &s->piece[i];
        if (!bit(src->bits, i) || bit(s->bits, i)) continue;
        if (p->asked && (!end || p->asked >= 3 || asked_of(s, src, i))) continue;
        /* Asked of others last, begun first, then the rarest. */
        uint64_t rank = (uint64_t)p->asked << 32 | (p->have ? 0u : 1u << 16) | p->rarity;
        if (rank > best) continue;
        ties = rank < best ? 1 : ties + 1;
        best = rank;
        if (draw(s, ties) == 0) *ret = i;
    }
    return ties > 0;
}

static uint32_t active(const struct swarm *s)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < SWARM_KNOWN; i++)
        cnt += s->source[i].used && s->source[i].asked;
    return cnt;
}

/* Not silent, but less than a group a second, while somebody who is not known to be so slow has room for what it was asked for: else eight such would
 * be the speed of all. */
static bool drips(const struct swarm *s, const struct req *r)
{
    uint64_t ms = s->now_ms - r->asked_ms;
    if (ms < SWARM_SILENT_MS || r->got * UINT64_C(1000) >= ms) return false;
    for (uint32_t i = 0; i < SWARM_KNOWN; i++) {
        const struct source *src = &s->source[i];
        if (src->used && src != r->source && !src->bad && !src->slow && src->wait_ms <= s->now_ms &&
            src->asked < SWARM_DEPTH && src->bits && (r->probe || bit(src->bits, r->piece)))
            return true;
    }
    return false;
}

/* All requests that were late together are one silence. */
static void stalled(struct swarm *s, struct source *src)
{
    if (s->now_ms - src->stall_ms < SWARM_SILENT_MS) return;
    src->stall_ms = s->now_ms;
    if (++src->strikes >= 2) source_bad(s, src);
}

static void give_up(struct swarm *s)
{
    for (uint32_t i = 0; i < REQ_MAX; i++) {
        struct req *r = &s->req[i];
        if (!r->used) continue;
        struct source *src = r->source;
        if (!src->bad && drips(s, r)) {
            cancel_of(s, src);
            src->slow = true;
            src->wait_ms = s->now_ms + SWARM_SLOW_MS;
            continue;
        }
        bool late = s->now_ms - r->heard_ms >= SWARM_SILENT_MS;
        bool vain = !r->probe && bit(s->bits, r->piece);
        if (!late && !vain && !src->bad) continue;
        s->ops.cancel(s->ops.self, src->peer, r->id);
        req_drop(s, r);
        if (late && !src->bad) stalled(s, src);
    }
    for (uint32_t i = 0; i < SWARM_KNOWN; i++) /* who became bad on the way */
        if (s->source[i].used && s->source[i].bad && s->source[i].asked)
            cancel_of(s, &s->source[i]);
}

/* One more request of one source; false when none can take any. */
static bool ask_one(struct swarm *s)
{
    uint32_t busy = active(s);
    for (uint32_t i = 0; i < SWARM_KNOWN; i++) {
        struct source *src = &s->source[(s->turn + i) % SWARM_KNOWN];
        uint32_t piece = 0;
        if (!src->used || src->bad || s->now_ms < src->wait_ms) continue;
        if (src->asked ? src->asked >= SWARM_DEPTH : busy >= SWARM_SOURCES) continue;
        if (!s->size_known) {
            /* Two at once: one may be silent. */
            if (src->asked || s->info.asked >= 2) continue;
            if (!bit(src->bits, blob_piece_cnt(src->size) - 1)) continue;
        } else if (!choose(s, src, &piece)) {
            continue;
        }
        s->turn = (s->turn + i + 1) % SWARM_KNOWN;
        return ask(s, src, piece, s->size_known ? whole(s, piece) & ~s->piece[piece].have : 0) !=
               NULL;
    }
    return false;
}

/* Who is busy, with other fetches of ours perhaps, is asked again. */
static bool some_rest(const struct swarm *s)
{
    for (uint32_t i = 0; i < SWARM_KNOWN; i++)
        if (s->source[i].used && !s->source[i].bad && s->source[i].wait_ms > s->now_ms) return true;
    return false;
}

uint64_t swarm_turn(struct swarm *s, uint64_t now_ms)
{
    s->now_ms = QN_MAX(s->now_ms, now_ms);
    give_up(s);
    if (!swarm_done(s))
        while (ask_one(s))
            ;
    uint64_t next = s->now_ms + SWARM_SILENT_MS;
    for (uint32_t i = 0; i < REQ_MAX; i++)
        if (s->req[i].used) next = QN_MIN(next, s->req[i].heard_ms + SWARM_SILENT_MS);
    for (uint32_t i = 0; i < SWARM_KNOWN; i++)
        if (s->source[i].used && s->source[i].wait_ms > s->now_ms)
            next = QN_MIN(next, s->source[i].wait_ms);
    s->info.stuck = !swarm_done(s) && s->info.asked == 0 && !some_rest(s);
    return next;
}

bool swarm_done(const struct swarm *s)
{
    return s->size_known && s->left == 0;
}

bool swarm_size(const struct swarm *s, uint64_t *ret)
{
    if (s->size_known) *ret = s->size;
    return s->size_known;
}

const uint8_t *swarm_bits(const struct swarm *s)
{
    return s->bits;
}

bool swarm_has(const struct swarm *s, uint64_t group)
{
    if (!s->size_known || group >= blob_group_cnt(s->size)) return false;
    return s->piece[group / BLOB_PIECE_GROUPS].have >> group % BLOB_PIECE_GROUPS & 1;
}

struct swarm_info swarm_info(const struct swarm *s)
{
    return s->info;
}

bool swarm_dropped(const struct swarm *s, uint32_t peer)
{
    for (uint32_t i = 0; i < SWARM_KNOWN; i++)
        if (s->source[i].used && s->source[i].peer == peer) return s->source[i].bad;
    return false;
}
