/* replica_sync.c - stretches of final blocks: asked for and judged. */
#include "ledger/sync/replica_in.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_MS     1000 /* at first; each answer that comes late doubles it, */
#define SLOT_BLOCKS 64   /* and halves this */
#define LATE_MAX    5
#define LATE_BOAST  2 /* from here on a peer's height is only its word */

/* --- catching up ------------------------------------------------------------------------------------------------------------------- */

struct peer *qn_replica_peer_find(struct qn_replica *r, uint32_t no)
{
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i].no == no) return &r->peers[i];
    return NULL;
}

void qn_replica_slot_clear(struct slot *s)
{
    qn_buf_free(&s->answer);
    *s = (struct slot){ 0 };
}

static uint64_t most(const struct qn_replica *r, uint8_t late)
{
    uint64_t height = 0;
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i].late < late) height = QN_MAX(height, r->peers[i].height);
    return height;
}

/* Below which `late` a peer's height counts: who gives nothing counts only where nobody gives anything. */
static uint8_t believed(const struct qn_replica *r)
{
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i].met && r->peers[i].late < LATE_BOAST) return LATE_BOAST;
    return UINT8_MAX;
}

uint64_t qn_replica_most(const struct qn_replica *r)
{
    return most(r, believed(r));
}

uint64_t qn_replica_oldest(const struct qn_replica *r)
{
    uint64_t height = 0;
    uint8_t limit = believed(r);
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i].height > qn_replica_head_height(r) && r->peers[i].late < limit &&
            (height == 0 || r->peers[i].oldest < height))
            height = r->peers[i].oldest;
    return height;
}

/* The slot that a height is in; of height 0: a free one. Its first blocks may have become final here meanwhile. */
static struct slot *slot_at(struct qn_replica *r, uint64_t height)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        if (s->from <= height && (height == 0 || height < s->from + s->cnt)) return s;
    }
    return NULL;
}

static void disappoint(struct peer *p)
{
    if (p) p->late = (uint8_t)QN_MIN(p->late + 1, LATE_MAX);
}

static uint64_t slot_ms(const struct peer *p)
{
    return (uint64_t)SLOT_MS << p->late;
}

static bool is_better(const struct peer *a, const struct peer *b, bool tries)
{
    return a->late != b->late ? a->late < b->late : !tries && a->gave && !b->gave;
}

/* Who has block `from`: in turn, but one that kept us waiting only when nobody else has it. So whoever says of blocks that he has them and
 * gives none is asked last, and a slow link for less at once and with more time. Who is new is asked only where it holds up nothing yet (tries): else a
 * crowd that comes anew whenever it was found out would always be first. */
static struct peer *who_has(struct qn_replica *r, uint64_t from, bool tries)
{
    struct peer *best = NULL;
    uint32_t turn = r->turn_peer;
    for (uint32_t k = 0; k < r->peer_cnt; k++) {
        uint32_t i = (turn + 1 + k) % r->peer_cnt;
        struct peer *p = &r->peers[i];
        if (p->height < from || p->oldest > from || (best && !is_better(p, best, tries))) continue;
        best = p;
        r->turn_peer = i;
    }
    return best;
}

static void ask_blocks(struct qn_replica *r)
{
    uint64_t now = qn_replica_mono_ms(r), head = qn_replica_head_height(r),
             top = most(r, UINT8_MAX);
    if (r->conf.hold) return;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        bool late = s->from && s->answer.len == 0 && now >= s->until_ms;
        if (late) disappoint(qn_replica_peer_find(r, s->peer));
        if (s->from && (late || s->from + s->cnt <= head + 1)) qn_replica_slot_clear(s);
    }
    if (top <= head) {
        r->behind_ms = 0;
        return;
    }
    if (r->behind_ms == 0) r->behind_ms = now;
    /* The last block or two come by consensus; who is further back, or stands still, asks. */
    if (top < head + 4 && now - r->behind_ms < 2000) return;
    uint64_t from = head + 1;
    for (unsigned i = 0; i < SLOTS && from <= top; i++) {
        struct slot *s = slot_at(r, from), *old = s;
        const struct peer *p = old ? NULL : who_has(r, from, i + 1 == SLOTS);
        if (!s) s = slot_at(r, 0);
        if (!s || (!old && !p)) return; /* all are taken, or nobody has it */
        if (p) {
            uint64_t cnt = QN_MIN(p->height - from + 1, (uint64_t)SLOT_BLOCKS >> p->late);
            struct sync_get get = { from, (uint16_t)cnt };
            *s = (struct slot){
                .from = from, .until_ms = now + slot_ms(p), .cnt = get.cnt, .peer = p->no
            };
            qn_replica_send(r, p->no, QN_CLASS_REQUEST, SAY_GET, sync_get_record(), &get);
        }
        from = s->from + s->cnt;
    }
}

bool qn_replica_set_of(struct qn_replica *r, uint32_t epoch, struct qn_set *ret)
{
    if (epoch == r->set.epoch)
        *ret = r->set;
    else if (epoch == r->set.epoch + 1)
        qn_chain_next_set(r->chain, ret);
    return epoch == r->set.epoch || epoch == r->set.epoch + 1;
}

/* Blocks of a stretch as they are taken up. */
struct piece {
    const struct sync_block *blocks;
    struct qn_parcel *parcels[GET_MAX];
    struct qn_hash hashes[GET_MAX];
    uint32_t cnt, good; /* good: so many from the first on have their signatures */
};

static qn_rc piece_wrong(struct qn_replica *r, const struct qn_header *h, struct qn_why *why)
{
    struct qn_why said = *why;
    qn_why(why, QN_E_CORRUPT, "block %" PRIu64 ", final elsewhere, is wrong here: %.200s",
           h->height, said.text);
    qn_replica_failed(r, QN_E_CORRUPT, why);
    return QN_E_CORRUPT;
}

static qn_rc piece_version(struct qn_replica *r, const struct qn_header *h, struct qn_why *why)
{
    if (h->ver == QN_HEADER_VER) return QN_OK;
    qn_why(why, QN_E_ABSENT,
           "block %" PRIu64 " is final and of version %u, this build knows %u: install a newer one",
           h->height, h->ver, QN_HEADER_VER);
    qn_replica_failed(r, QN_E_ABSENT, why);
    return QN_E_ABSENT;
}

/* What stands on an epoch's last block and is of its epoch is a filler: certified, but no block, whoever gives it for one. */
static qn_rc piece_filler(const struct qn_replica *r, const struct qn_header *h, struct qn_why *why)
{
    if (h->epoch >= qn_chain_set(r->chain)->epoch) return QN_OK;
    return qn_why(why, QN_E_PROOF, "a filler of epoch %u in the place of block %" PRIu64, h->epoch,
                  h->height);
}

/* Signatures and beacons of all blocks that are not executed yet, side by side. */
static void piece_check(struct qn_replica *r, struct piece *p, struct qn_why *why)
{
    struct qn_parcel *fresh[GET_MAX];
    uint32_t at[GET_MAX], cnt = 0, good;
    for (uint32_t i = 0; i < p->cnt; i++) {
        if (qn_chain_block(r->chain, &p->hashes[i])) continue;
        at[cnt] = i;
        fresh[cnt++] = p->parcels[i];
    }
    qn_rc rc = qn_replica_check_txs(r, fresh, cnt, &good, why);
    p->good = rc ? at[good] : p->cnt;
    qn_chain_beacons(r->chain, fresh, cnt);
}

/* Executes from `from` on, up to the end of an epoch, and makes that final. */
static qn_rc piece_run(struct qn_replica *r, const struct piece *p, uint32_t from, uint32_t *ret_to,
                       struct qn_why *why)
{
    const struct sync_block *last = &p->blocks[p->cnt - 1];
    uint32_t to = from;
    qn_rc rc = QN_OK;
    bool ends = false;
    while (rc == QN_OK && to < p->cnt && !ends) {
        const struct qn_header *h = &p->blocks[to].block.header;
        rc = piece_filler(r, h, why);
        if (rc == QN_OK) rc = piece_version(r, h, why);
        if (rc) break;
        if (to >= p->good) { /* in words, of this one */
            uint32_t good;
            rc = qn_replica_check_txs(r, &p->parcels[to], 1, &good, why);
        }
        if (rc == QN_OK) rc = qn_chain_take(r->chain, p->parcels[to], why);
        if (rc == QN_E_IO || rc == QN_E_MEMORY) break;
        if (rc) {
            rc = piece_wrong(r, h, why);
            break;
        }
        ends = qn_chain_ends_epoch(r->chain, &p->hashes[to]);
        to++;
    }
    *ret_to = to;
    if (to == from) return rc;
    /* What was right before one that is not is final all the same. */
    bool end = to == p->cnt;
    struct qn_why_final by = { NULL, NULL, 0 };
    struct qn_why disk;
    if (end) by = (struct qn_why_final){ &last->cert, last->fillers.ptr, last->fillers.cnt };
    qn_rc wrote = qn_chain_finals(r->chain, &p->hashes[from], to - from, &by, &disk);
    if (wrote) {
        *why = disk;
        qn_replica_failed(r, wrote, why);
        return wrote;
    }
    for (uint32_t i = from; i < to; i++)
        qn_past_put(&r->past, &p->blocks[i].block.header, &p->hashes[i]);
    if (qn_chain_set(r->chain)->epoch != r->set.epoch) {
        qn_replica_next_epoch(r, end ? &last->cert : NULL);
    } else if (end) {
        struct qn_bft_block b = qn_replica_known(r, &last->block.header);
        qn_bft_synced(r->bft, &b, &last->cert);
    }
    return rc;
}

/* Makes blocks final that follow the head; the last one's certificate is good. */
static qn_rc take_piece(struct qn_replica *r, const struct sync_block *blocks, uint32_t cnt,
                        struct qn_why *why)
{
    struct piece *p = calloc(1, sizeof *p);
    qn_rc rc = QN_OK;
    QN_ASSERT(p && cnt <= GET_MAX);
    p->blocks = blocks;
    for (; p->cnt < cnt; p->cnt++) {
        p->parcels[p->cnt] = qn_parcel_of(&blocks[p->cnt].block);
        p->hashes[p->cnt] = p->parcels[p->cnt]->hash;
        if (rc == QN_OK && !qn_parcel_whole(p->parcels[p->cnt]))
            rc =
                qn_why(why, QN_E_PROOF, "block %" PRIu64 " with a body that its head does not name",
                       blocks[p->cnt].block.header.height);
    }
    if (rc == QN_OK) piece_check(r, p, why);
    for (uint32_t at = 0; rc == QN_OK && at < cnt;)
        rc = piece_run(r, p, at, &at, why);
    for (uint32_t i = 0; i < cnt; i++)
        qn_parcel_unref(p->parcels[i]);
    free(p);
    return rc;
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

/* Takes up a stretch that begins at the head: links first; then, piece by piece, the certificate furthest on whose voters are known, and
 * execution. What lies behind the last one is left for another answer. */
static qn_rc take_blocks(struct qn_replica *r, uint32_t from, const struct sync_blocks *m,
                         struct qn_why *why)
{
    struct qn_hash id = qn_chain_id(r->chain), at = qn_chain_head(r->chain);
    uint64_t height = qn_replica_head_height(r);
    uint32_t first = 0, cnt = m->blocks.cnt;
    while (first < cnt && m->blocks.ptr[first].block.header.height <= height)
        first++; /* became final here meanwhile */
    if (first == cnt) return cnt ? QN_OK : qn_why(why, QN_E_NOTFOUND, "the peer has no blocks");
    for (uint32_t i = first; i < cnt; i++) {
        const struct qn_header *h = &m->blocks.ptr[i].block.header;
        if (h->height != height + 1 + i - first || !qn_hash_eq(&h->parent, &at) ||
            !qn_hash_eq(&h->chain, &id)) {
            qn_why(why, QN_E_PROOF, "blocks that do not follow each other");
            if (i == first && h->height == height + 1)
                qn_replica_look_fork(r, from, &m->blocks.ptr[first], cnt - first, why);
            return QN_E_PROOF;
        }
        at = qn_header_hash(h);
    }
    while (first < cnt) {
        struct qn_set set;
        uint32_t end = cnt;
        while (end > first && (m->blocks.ptr[end - 1].cert.kind == 0 ||
                               !qn_replica_set_of(r, m->blocks.ptr[end - 1].cert.epoch, &set)))
            end--;
        if (end == first) return qn_why(why, QN_E_PROOF, "blocks without a certificate that holds");
        const struct sync_block *last = &m->blocks.ptr[end - 1];
        struct qn_why_final by = { &last->cert, last->fillers.ptr, last->fillers.cnt };
        qn_rc rc = qn_final_check(&last->block.header, &by, &set, why);
        if (rc == QN_OK) rc = take_piece(r, &m->blocks.ptr[first], end - first, why);
        if (rc) return rc;
        first = end;
    }
    qn_replica_prune_bodies(r);
    return QN_OK;
}

enum qn_verdict qn_replica_take_answers(struct qn_replica *r, uint32_t from, struct qn_why *why)
{
    enum qn_verdict verdict = QN_IGNORE;
    for (struct slot *s;
         r->rc == QN_OK && (s = slot_at(r, qn_replica_head_height(r) + 1)) && s->answer.len;) {
        struct qn_arena arena = { .max = DECODE_MAX };
        struct sync_blocks m;
        qn_rc rc = qn_decode(sync_blocks_record(), qn_buf_get(&s->answer), &arena, &m, why);
        if (rc == QN_OK) rc = take_blocks(r, s->peer, &m, why);
        struct peer *p = qn_replica_peer_find(r, s->peer);
        if (rc && p) p->height = 0; /* until it says again what it has */
        if (rc && p) p->gave = false;
        if (rc || s->poor) disappoint(p);
        if (!rc && p && s->quick && !s->poor && p->late) p->late--;
        bool lied = rc && rc != QN_E_NOTFOUND && r->rc == QN_OK;
        if (lied && s->peer == from)
            verdict = QN_REJECT;
        else if (lied && p)
            p->lied = true;
        qn_replica_slot_clear(s);
        qn_arena_free(&arena);
        if (rc) break;
    }
    ask_blocks(r);
    return verdict;
}

/* --- messages ---------------------------------------------------------------------------------------------------------------------- */

enum qn_verdict qn_replica_on_status(struct qn_replica *r, uint32_t from,
                                     const struct sync_status *s, struct qn_why *why)
{
    struct qn_hash id = qn_chain_id(r->chain);
    struct peer *p = qn_replica_peer_find(r, from);
    if (!qn_hash_eq(&s->chain, &id)) {
        qn_why(why, QN_E_FOREIGN, "the peer is of another chain");
        return QN_REJECT;
    }
    const struct qn_past_block *ours = qn_past_at(&r->past, s->height);
    if (ours && !qn_hash_eq(&ours->hash, &s->head)) {
        qn_why(why, QN_E_PROOF, "another block than the final one of height %" PRIu64, s->height);
        if (p) p->height = 0;
        return QN_REJECT;
    }
    if (p && p->lied) {
        p->lied = false;
        qn_why(why, QN_E_PROOF, "the blocks that the peer gave do not hold");
        return QN_REJECT;
    }
    if (p) {
        if (!p->met) qn_replica_say_status(r, &from);
        p->met = true;
        p->height = s->height;
        p->oldest = s->oldest;
    }
    ask_blocks(r);
    return QN_IGNORE;
}

uint64_t qn_replica_gives(const struct qn_replica *r)
{
    return QN_MAX(r->gives, qn_chain_first(r->chain));
}

void qn_replica_find_gives(struct qn_replica *r)
{
    struct qn_arena arena = { .max = DECODE_MAX };
    struct qn_frame f = { 0 };
    struct qn_why why;
    uint32_t epoch = UINT32_MAX;
    uint64_t h = r->gives = qn_chain_first(r->chain);
    for (; f.cert.kind == 0 && qn_chain_frame(r->chain, h, &arena, &f, &why) == QN_OK; h++) {
        if (f.block.header.epoch != epoch) r->gives = h;
        epoch = f.block.header.epoch;
        qn_arena_free(&arena);
    }
    qn_arena_free(&arena);
}

enum qn_verdict qn_replica_on_blocks(struct qn_replica *r, uint32_t from, struct qn_span payload,
                                     const struct sync_blocks *m, struct qn_why *why)
{
    uint64_t first = m->blocks.cnt ? m->blocks.ptr[0].block.header.height : 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        if (!s->from || s->peer != from || s->answer.len || (first && s->from != first)) continue;
        if (first == 0) { /* the peer has less than it said */
            struct peer *p = qn_replica_peer_find(r, from);
            if (p) p->height = QN_MIN(p->height, s->from - 1);
            disappoint(p);
            qn_replica_slot_clear(s);
            ask_blocks(r);
            return QN_IGNORE;
        }
        struct peer *p = qn_replica_peer_find(r, from);
        s->quick = p && qn_replica_mono_ms(r) + slot_ms(p) / 2 < s->until_ms;
        s->poor = m->blocks.cnt < s->cnt && payload.len < GET_BYTES / 2;
        if (p) p->gave = p->gave || !s->poor;
        qn_buf_span(&s->answer, payload);
        s->cnt = (uint16_t)m->blocks.cnt;
        return qn_replica_take_answers(r, from, why);
    }
    return qn_replica_on_other_blocks(r, m, why);
}
