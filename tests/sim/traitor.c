/* traitor.c - what traitors say: other words to each peer, blocks where none may be, rubbish, and more than anybody can use. */
#include "tests/sim/sim.h"

#include "core/crypto/hash.h"
#include "ledger/bft/beacon.h"
#include "ledger/state/chain.h"

#include <stdlib.h>
#include <string.h>

enum {
    SAY_TXS = 2,
    SAY_VOTE,
    SAY_CERT,
    SAY_PROPOSAL,
    SAY_WANT,
    SAY_GET
}; /* ledger/sync/replica.c */

/* --- forgers ------------------------------------------------------------------------------------------------------------------ */

static void say(struct sim_world *w, const struct sim_host *h, int to, uint8_t kind,
                const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    qn_buf_u8(&buf, kind);
    qn_encode(rec, obj, &buf);
    sim_net_say(w, h->idx, to, false, QN_CLASS_VOTE, qn_buf_get(&buf));
    qn_buf_free(&buf);
}

/* A certificate that only the forger stands behind, with the names of others. */
static void say_cert(struct sim_world *w, struct sim_host *h, int to, const struct qn_vote *mine)
{
    struct qn_cert_vote votes[SIM_HOSTS], extras[SIM_HOSTS];
    struct qn_cert c = { .kind = (uint8_t)(1 + sim_below(&h->rng, 3)),
                         .epoch = mine->epoch,
                         .view = mine->view,
                         .block = mine->block,
                         .votes = { 0, votes },
                         .extras = { 0, extras } };
    bool alone = sim_draw(&h->rng) % 2;
    for (uint16_t i = 0; i < w->k.nodes; i++) {
        if (alone && i != mine->signer) continue;
        struct qn_vote v = *mine;
        v.signer = i;
        qn_cert_add(&c, &v);
    }
    say(w, h, to, SAY_CERT, qn_cert_record(), &c);
}

/* To each peer another word on the views that are talked of: for what somebody voted, or for nothing; in others' names as well. */
void sim_traitor_hears(struct sim_world *w, struct sim_host *h, const struct sim_msg *m)
{
    struct qn_vote v;
    struct qn_arena arena = { .max = 1u << 16 };
    int self = sim_signer(h);
    if (self < 0 || m->bytes[0] != SAY_VOTE ||
        qn_decode(qn_vote_record(), QN_SPAN(m->bytes + 1, m->len - 1), &arena, &v, NULL) ||
        sim_draw(&h->rng) % 3)
        goto out;
    for (int to = 0; to < (int)w->host_cnt; to++) {
        if (to == h->idx || sim_draw(&h->rng) % 2) continue;
        struct qn_hash none = { { 0 } };
        uint8_t kind = (uint8_t)(1 + sim_below(&h->rng, 3));
        struct qn_vote mine =
            qn_vote_make(&w->keys[h->validator], (uint16_t)self, &w->chain, kind, v.epoch, v.view,
                         sim_draw(&h->rng) % 2 ? &v.block : &none);
        unsigned how = (unsigned)sim_below(&h->rng, 16);
        if (how == 0) mine.signer = (uint16_t)sim_below(&h->rng, w->k.nodes);
        if (how == 1)
            say_cert(w, h, to, &mine);
        else
            say(w, h, to, SAY_VOTE, qn_vote_record(), &mine);
    }
out:
    qn_arena_free(&arena);
}

/* --- who leads ------------------------------------------------------------------------------------------------------------------- */

static struct sim_msg *keep(struct sim_host *h, struct qn_span bytes)
{
    struct sim_msg *m = malloc(sizeof *m + bytes.len);
    QN_ASSERT(m != NULL);
    *m = (struct sim_msg){ .refs = 1, .len = (uint32_t)bytes.len, .class = QN_CLASS_VOTE };
    m->from = h->idx;
    memcpy(m->bytes, bytes.ptr, bytes.len);
    return m;
}

/* Makes a block of view on parent, as a message; false where the traitor's own chain does not know the parent any more. */
static bool make_on(struct sim_world *w, struct sim_host *h, const struct qn_proposal *p,
                    const struct qn_hash *parent, struct qn_buf *ret, struct qn_hash *ret_hash)
{
    uint8_t text[QN_PROPOSAL_TEXT];
    bool misfit;
    struct qn_why why;
    struct qn_chain *c = qn_replica_chain(h->r);
    struct qn_make m = { .parent = *parent,
                         .view = p->block.header.view,
                         .t_ms = p->block.header.t_ms + 1 + sim_below(&h->rng, 50),
                         .key = &w->keys[h->validator] };
    if (qn_chain_make(c, &m, &misfit, ret_hash, &why)) return false;
    struct qn_proposal q = { .block = *qn_chain_block(c, ret_hash) };
    q.sig = qn_sign(m.key, qn_proposal_text(ret_hash, text));
    q.certs = p->certs;
    qn_buf_clear(ret);
    qn_buf_u8(ret, SAY_PROPOSAL);
    qn_encode(qn_proposal_record(), &q, ret);
    return true;
}

/* Sends a block to those of `who`, with FIRST for it. */
static void show(struct sim_world *w, struct sim_host *h, const struct qn_proposal *p,
                 const struct qn_hash *hash, struct qn_span block, uint32_t who)
{
    int self = sim_signer(h);
    struct qn_vote vote = { 0 };
    if (self >= 0)
        vote = qn_vote_make(&w->keys[h->validator], (uint16_t)self, &w->chain, QN_VOTE_FIRST,
                            p->block.header.epoch, p->block.header.view, hash);
    for (int to = 0; to < (int)w->host_cnt; to++) {
        if (to == h->idx || !(who >> to & 1)) continue;
        sim_net_say(w, h->idx, to, false, QN_CLASS_VOTE, block);
        if (self >= 0) say(w, h, to, SAY_VOTE, qn_vote_record(), &vote);
    }
}

/* The parent's parent, above which a block was certified: nobody may build there. */
static bool below(struct sim_host *h, const struct qn_hash *parent, struct qn_hash *ret)
{
    struct qn_chain *c = qn_replica_chain(h->r);
    const struct qn_block *b = qn_chain_block(c, parent);
    struct qn_hash head = qn_chain_head(c);
    if (!b) return false;
    *ret = b->header.parent;
    return qn_chain_block(c, ret) || qn_hash_eq(ret, &head);
}

/* A block that nobody was shown, of the view before, and one on it. */
static bool lead_secret(struct sim_world *w, struct sim_host *h, const struct qn_proposal *p)
{
    struct qn_buf block = { 0 };
    struct qn_hash hash, secret = w->secret_hash;
    struct qn_arena arena = { 0 };
    struct qn_proposal q;
    struct qn_why why;
    bool done = false;
    if (!w->secret || w->secret_view + 1 != p->block.header.view) return false;
    struct qn_span s = QN_SPAN(w->secret->bytes + 1, w->secret->len - 1);
    if (qn_decode(qn_proposal_record(), s, &arena, &q, NULL) == QN_OK &&
        qn_chain_run(qn_replica_chain(h->r), &q.block, &why) == QN_OK && /* a friend's */
        make_on(w, h, p, &secret, &block, &hash)) {
        for (int to = 0; to < (int)w->host_cnt; to++)
            if (to != h->idx)
                sim_net_say(w, h->idx, to, false, QN_CLASS_VOTE,
                            QN_SPAN(w->secret->bytes, w->secret->len));
        show(w, h, p, &hash, qn_buf_get(&block), UINT32_MAX);
        sim_saw(w, SEEN_forked);
        done = true;
    }
    qn_arena_free(&arena);
    qn_buf_free(&block);
    return done;
}

static void hide(struct sim_world *w, struct sim_host *h, const struct qn_proposal *p)
{
    struct qn_buf block = { 0 };
    struct qn_hash hash;
    if (make_on(w, h, p, &p->block.header.parent, &block, &hash)) {
        sim_msg_free(w->secret);
        w->secret = keep(h, qn_buf_get(&block));
        w->secret_hash = hash;
        w->secret_view = p->block.header.view;
    }
    qn_buf_free(&block);
}

/* Whether a friend leads the view after: then a block kept back now can be built on. */
static bool friend_next(const struct sim_world *w, const struct sim_host *h,
                        const struct qn_header *head)
{
    struct qn_hash key;
    if (!qn_replica_leader(h->r, head->epoch, head->view + 1, &key)) return false;
    for (uint32_t i = 0; i < w->k.nodes; i++)
        if ((w->host[i].traits & TRAIT_FORK) && qn_hash_eq(&key, &w->keys[i].pub)) return true;
    return false;
}

/* Its own FIRST for a block that not all were shown goes with the block. */
static bool hushed(const struct sim_host *h, struct qn_span m)
{
    struct qn_arena arena = { 0 };
    struct qn_vote v;
    bool hush =
        h->hush && m.len && m.ptr[0] == SAY_VOTE &&
        qn_decode(qn_vote_record(), QN_SPAN(m.ptr + 1, m.len - 1), &arena, &v, NULL) == QN_OK &&
        v.kind == QN_VOTE_FIRST && v.view == h->forked_view;
    qn_arena_free(&arena);
    return hush;
}

/* Its block as nobody may make it: of another version, or with the one of some beacons that comes out lowest. */
static void lead_altered(struct sim_world *w, struct sim_host *h, const struct qn_proposal *p)
{
    struct qn_proposal q = *p;
    struct qn_header *head = &q.block.header;
    struct qn_chain *c = qn_replica_chain(h->r);
    const struct qn_block *up = qn_chain_block(c, &head->parent);
    const struct qn_header *before = up ? &up->header : qn_chain_header(c);
    struct qn_buf block = { 0 };
    uint8_t text[QN_PROPOSAL_TEXT];
    bool grind = (h->traits & TRAIT_GRIND) && (!(h->traits & TRAIT_NEWER) || sim_draw(&h->rng) % 2);
    for (uint64_t i = 1; i <= 4 && grind; i++) {
        struct qn_vrf_proof vrf;
        struct qn_hash beacon;
        qn_beacon_prove(&w->keys[h->validator], &w->chain, &before->beacon, head->height + i, &vrf,
                        &beacon);
        if (i > 1 && memcmp(beacon.b, head->beacon.b, 32) > 0) continue;
        head->vrf = vrf;
        head->beacon = beacon;
    }
    if (!grind) head->ver++;
    sim_saw(w, grind ? SEEN_ground : SEEN_newer_block);
    struct qn_hash hash = qn_header_hash(head);
    q.sig = qn_sign(&w->keys[h->validator], qn_proposal_text(&hash, text));
    qn_buf_u8(&block, SAY_PROPOSAL);
    qn_encode(qn_proposal_record(), &q, &block);
    show(w, h, &q, &hash, qn_buf_get(&block), UINT32_MAX);
    qn_buf_free(&block);
}

void sim_traitor_newer(struct sim_host *h, struct qn_span *m, struct qn_buf *buf)
{
    unsigned how = (unsigned)sim_below(&h->rng, 8);
    if (how < 3 || m->len == 0) return;
    qn_buf_span(buf, *m);
    if (how == 3) buf->ptr[0] = (uint8_t)(10 + sim_below(&h->rng, 240));
    for (uint64_t more = sim_below(&h->rng, 40) + (how > 3); more; more--)
        qn_buf_u8(buf, (uint8_t)sim_draw(&h->rng));
    *m = qn_buf_get(buf);
}

bool sim_traitor_leads(struct sim_world *w, struct sim_host *h, struct qn_span m)
{
    struct qn_arena arena = { 0 };
    struct qn_proposal p;
    struct qn_buf block = { 0 };
    struct qn_hash hash, parent;
    bool done = false;
    if (m.len < 2 || m.ptr[0] != SAY_PROPOSAL) return hushed(h, m);
    if (qn_decode(qn_proposal_record(), QN_SPAN(m.ptr + 1, m.len - 1), &arena, &p, NULL) ||
        !qn_hash_eq(&p.block.header.proposer, &w->keys[h->validator].pub) ||
        p.block.header.view <= h->forked_view)
        goto out;
    h->forked_view = p.block.header.view;
    uint32_t some = (uint32_t)sim_draw(&h->rng);
    if ((h->traits & (TRAIT_NEWER | TRAIT_GRIND)) && sim_draw(&h->rng) % 3) {
        lead_altered(w, h, &p);
        done = true;
    } else if (!(h->traits & TRAIT_FORK)) {
        done = false; /* as it should be */
    } else if (lead_secret(w, h, &p)) {
        done = true;
    } else if (friend_next(w, h, &p.block.header) && sim_draw(&h->rng) % 4) {
        hide(w, h, &p);
    } else if (sim_draw(&h->rng) % 2 && below(h, &p.block.header.parent, &parent) &&
               make_on(w, h, &p, &parent, &block, &hash)) {
        show(w, h, &p, &hash, qn_buf_get(&block), UINT32_MAX);
        sim_saw(w, SEEN_forked);
        done = true;
    } else if (sim_draw(&h->rng) % 3 == 0 &&
               make_on(w, h, &p, &p.block.header.parent, &block, &hash)) {
        struct qn_hash mine = qn_header_hash(&p.block.header); /* twins, each for its half */
        show(w, h, &p, &hash, qn_buf_get(&block), some);
        show(w, h, &p, &mine, m, sim_draw(&h->rng) % 4 ? ~some : UINT32_MAX);
        sim_saw(w, SEEN_hidden);
        done = true;
    } else if (sim_draw(&h->rng) % 4 == 0) {
        struct qn_hash mine = qn_header_hash(&p.block.header); /* few get it */
        show(w, h, &p, &mine, m, some & (uint32_t)sim_draw(&h->rng));
        sim_saw(w, SEEN_hidden);
        done = true;
    }
    h->hush = done;
out:
    qn_arena_free(&arena);
    qn_buf_free(&block);
    return done;
}

/* --- rubbish and floods --------------------------------------------------------------------------------------------------------------- */

void sim_traitor_garbage(struct sim_world *w, struct sim_host *h)
{
    uint8_t bytes[300];
    int to = (int)sim_below(&w->rng, w->host_cnt);
    const struct sim_msg *old = w->old[sim_below(&w->rng, QN_COUNT(w->old))];
    size_t len = 1 + sim_below(&w->rng, sizeof bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)sim_draw(&w->rng);
    bytes[0] %= 10;
    if (!old || sim_draw(&w->rng) % 4 == 0) {
        sim_net_say(w, h->idx, to, sim_draw(&w->rng) % 2, QN_CLASS_VOTE, QN_SPAN(bytes, len));
        return;
    }
    uint8_t *copy = malloc(old->len);
    QN_ASSERT(copy != NULL);
    memcpy(copy, old->bytes, old->len);
    if (sim_draw(&w->rng) % 2) sim_flip(&w->rng, copy, old->len);
    len = sim_draw(&w->rng) % 4 ? old->len : 1 + sim_below(&w->rng, old->len);
    sim_net_say(w, h->idx, to, sim_draw(&w->rng) % 2, old->class, QN_SPAN(copy, len));
    free(copy);
}

/* Votes of far views and of any block, requests for all there is, and what everybody has. */
void sim_traitor_floods(struct sim_world *w, struct sim_host *h)
{
    int self = h->r ? sim_signer(h) : -1;
    int to = (int)sim_below(&w->rng, w->host_cnt);
    if (!h->r || to == h->idx) return;
    uint64_t view = qn_replica_info(h->r).view;
    const struct qn_set *set = qn_chain_set(qn_replica_chain(h->r));
    for (unsigned i = 0; i < 60; i++) {
        uint64_t x = sim_draw(&h->rng);
        struct qn_hash any = qn_h("flood", &x, sizeof x);
        struct qn_vote vote;
        struct sync_get get = { 1 + x % (w->height + 1), 128 };
        struct sync_want want = { w->final[x % (w->height + 1)], set->epoch, x % (view + 1) };
        const struct sim_msg *old = w->old[x % QN_COUNT(w->old)];
        if (x % 2) want.block = (struct qn_hash){ { 0 } };
        switch (i % 15) {
        case 0:
            if (i == 0) say(w, h, to, SAY_GET, sync_get_record(), &get);
            break;
        case 1: say(w, h, to, SAY_WANT, sync_want_record(), &want); break;
        case 2:
            if (old) sim_net_say(w, h->idx, to, false, old->class, QN_SPAN(old->bytes, old->len));
            break;
        default:
            if (self < 0) break;
            vote =
                qn_vote_make(&w->keys[h->validator], (uint16_t)self, &w->chain,
                             (uint8_t)(1 + x % 3), set->epoch, view + x / 4 % 40 - view % 8, &any);
            say(w, h, to, SAY_VOTE, qn_vote_record(), &vote);
        }
    }
}
