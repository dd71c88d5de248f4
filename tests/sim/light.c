/* light.c - a light client: it believes the validators of one epoch, asks any host for its head and some rows, and goes on from there. Hosts
 * lie to it: a bit changed, an end cut off, or a block of their own with votes that traitors have signed and others have not. */
#include "tests/sim/sim.h"

#include "core/crypto/hash.h"
#include "ledger/state/proof.h"
#include "ledger/state/stake.h"

#include <stdlib.h>
#include <string.h>

struct sim_light {
    struct qn_set known; /* of the last block that it believed; cnt 0: it trusts the genesis */
    uint64_t rng;
};

void sim_light_free(struct sim_light *l)
{
    free(l);
}

/* A file's first step, behind magic, genesis and count. */
static bool step_of(struct qn_span file, struct qn_arena *arena, struct qn_span *ret_front,
                    struct qn_step *ret)
{
    struct qn_span s = file, skip;
    struct qn_why why;
    uint32_t len;
    uint16_t cnt;
    if (!qn_take(&s, 5, &skip) || !qn_take_u32(&s, &len) || !qn_take(&s, len, &skip) ||
        !qn_take_u16(&s, &cnt))
        return false;
    *ret_front = QN_SPAN(file.ptr, file.len - s.len);
    return qn_step_take(&s, 0, arena, ret, &why) == QN_OK;
}

/* What a host answers: its head, and one row or a table. False: it has none at present. */
static bool answer(struct sim_world *w, struct sim_host *h, struct qn_buf *ret)
{
    static const uint8_t TABLES[] = { QN_TABLE_ACCOUNT, QN_TABLE_VALIDATOR, QN_TABLE_SET,
                                      QN_TABLE_DUE };
    uint64_t *r = &w->light->rng;
    struct qn_buf file = { 0 };
    struct qn_why why = { "" };
    uint8_t from[34] = { TABLES[sim_below(r, QN_COUNT(TABLES))] }, to[34];
    size_t len = 1;
    if (sim_below(r, 2)) {
        from[0] = QN_TABLE_ACCOUNT;
        memcpy(from + 1, w->grants[sim_below(r, SIM_PEOPLE)].acct.b, 32);
        if (sim_below(r, 8) == 0) from[32] ^= 1; /* nobody's: it is absent */
        len = 33;
    }
    memcpy(to, from, sizeof to);
    if (len == 1) to[0]++; /* the whole table; else [key, key 00) */
    sim_begin(h);
    qn_rc rc = qn_proof_head(qn_replica_chain(h->r), NULL, &file, &why);
    if (rc == QN_OK)
        qn_proof_range(qn_chain_trie(qn_replica_chain(h->r)), QN_SPAN(from, len),
                       QN_SPAN(to, len == 1 ? 1 : 34), &file);
    sim_quiet(true);
    qn_buf_span(ret, qn_buf_get(&file));
    sim_quiet(false);
    qn_buf_free(&file);
    sim_end(h);
    if (rc && rc != QN_E_AGAIN)
        sim_wrong(w, "host %d makes no proof: %s: %s", h->idx, qn_err_code(rc), why.text);
    return rc == QN_OK;
}

/* Whether a block that was believed is final. */
static bool is_final(const struct sim_world *w, const struct qn_proof *p)
{
    uint64_t at = p->header.height;
    return at && at <= w->height && qn_hash_eq(&p->block, &w->final[at]);
}

/* Whether these are all rows of their range: another one than was asked for may be proved as well. */
static bool rows_true(struct sim_host *h, const struct qn_proof *p)
{
    struct qn_buf rows = { 0 }, edge = { 0 };
    sim_begin(h);
    qn_trie_prove(qn_chain_trie(qn_replica_chain(h->r)), p->from, p->to, &rows, &edge);
    bool same = qn_span_eq(qn_buf_get(&rows), p->rows);
    qn_buf_free(&rows);
    qn_buf_free(&edge);
    sim_end(h);
    return same;
}

static void changed(struct sim_host *h, struct qn_span file, const struct qn_hash *block,
                    const struct qn_proof *good)
{
    struct sim_world *w = h->w;
    uint64_t *r = &w->light->rng;
    struct qn_proof p;
    struct qn_why why = { "" };
    uint8_t *bytes = malloc(file.len);
    QN_ASSERT(bytes != NULL);
    memcpy(bytes, file.ptr, file.len);
    size_t len = sim_below(r, 8) ? file.len : sim_below(r, file.len);
    /* Half of the bits of the rows: the head is much longer. */
    size_t at = sim_below(r, 2) ? (size_t)(good->rows.ptr - file.ptr) : 0;
    if (len == file.len) sim_flip(r, bytes + at, len - at);
    if (qn_proof_check(QN_SPAN(bytes, len), block, &p, &why))
        sim_saw(w, SEEN_light_lie);
    else if (!is_final(w, &p) || !rows_true(h, &p))
        sim_wrong(w, "a light client believes a proof that was changed");
    free(bytes);
}

/* Votes for a block of its own: by whom of the set it has the key, with rubbish for the others. */
static void forged(struct sim_world *w, struct qn_span front, const struct qn_step *step)
{
    struct sim_light *l = w->light;
    struct qn_header head = step->header;
    struct qn_cert_vote *votes = calloc(step->set.cnt, sizeof *votes);
    struct qn_buf file = { 0 };
    struct qn_proof p;
    struct qn_why why = { "" };
    bool alone = sim_below(&l->rng, 2);
    QN_ASSERT(votes != NULL);
    head.height += 1 + sim_below(&l->rng, 3);
    head.state_root = head.parent;
    struct qn_hash hash = qn_header_hash(&head);
    struct qn_cert c = { QN_CERT_SLOW, head.epoch, head.view, hash, { 0, votes }, { 0, NULL } };
    for (uint16_t i = 0; i < step->set.cnt; i++) {
        struct qn_vote v = { QN_VOTE_FINAL, head.epoch, head.view, hash, i, { { 0 } } };
        bool mine = false;
        for (uint32_t k = 0; k < w->k.nodes; k++)
            if ((w->host[k].traits & TRAIT_LIES) &&
                qn_hash_eq(&w->keys[k].pub, &step->set.keys[i])) {
                v = qn_vote_make(&w->keys[k], i, &w->chain, v.kind, v.epoch, v.view, &hash);
                mine = true;
            }
        if (mine || !alone) qn_cert_add(&c, &v);
    }
    qn_buf_span(&file, front);
    qn_buf_u16(&file, (uint16_t)step->set.cnt);
    for (uint32_t i = 0; i < step->set.cnt; i++) {
        qn_buf_put(&file, step->set.keys[i].b, 32);
        qn_buf_u64(&file, step->set.weights[i]);
    }
    qn_encode(qn_header_record(), &head, &file);
    qn_encode(qn_cert_record(), &c, &file);
    qn_buf_u32(&file, 0);
    struct qn_span s = qn_buf_get(&file);
    if (qn_proof_front_by(&s, &w->chain, l->known.cnt ? &l->known : NULL, &p, &why))
        sim_saw(w, SEEN_light_lie);
    else
        sim_wrong(w, "a light client believes a block that nobody made");
    qn_buf_free(&file);
    free(votes);
}

void sim_light_asks(struct sim_world *w, struct sim_host *h)
{
    struct qn_buf file = { 0 };
    struct qn_arena arena = { 0 };
    struct qn_proof p, good;
    struct qn_span front;
    struct qn_why why = { "" };
    if (!w->light) {
        w->light = calloc(1, sizeof *w->light);
        QN_ASSERT(w->light != NULL);
        w->light->rng = w->now_us;
    }
    struct sim_light *l = w->light;
    struct qn_step *step = malloc(sizeof *step);
    QN_ASSERT(step != NULL);
    if (!h->r || !answer(w, h, &file)) goto out;
    struct qn_span s = qn_buf_get(&file);
    struct qn_hash block = w->final[h->height];
    qn_rc rc = qn_proof_check(s, &block, &good, &why);
    if (rc || !is_final(w, &good)) {
        sim_wrong(w, "host %d's proof of block %" PRIu64 " is refused: %s", h->idx, h->height,
                  why.text);
        goto out;
    }
    for (unsigned i = 0; i < 8 && h->r; i++)
        changed(h, s, &block, &good);
    if (!step_of(s, &arena, &front, step)) goto out;
    forged(w, front, step);
    rc = qn_proof_front_by(&s, &w->chain, l->known.cnt ? &l->known : NULL, &p, &why);
    sim_trace(w, "a light client asks host %d for %" PRIu64 ": %s", h->idx, h->height,
              rc ? why.text : "believed");
    if (rc == QN_OK && !is_final(w, &p))
        sim_wrong(w, "a light client believes block %" PRIu64 ", which is not final",
                  p.header.height);
    if (rc && l->known.cnt && l->known.epoch == step->set.epoch)
        sim_wrong(w, "a light client refuses block %" PRIu64 " of the epoch it knows: %s",
                  h->height, why.text);
    bool other = l->known.cnt && (l->known.cnt != step->set.cnt ||
                                  memcmp(l->known.weights, step->set.weights,
                                         l->known.cnt * sizeof *l->known.weights) != 0);
    if (rc == QN_OK && other) sim_saw(w, SEEN_light_step);
    if (rc == QN_OK || sim_below(&l->rng, 4) == 0)
        l->known = step->set; /* or asks people whom to believe */
out:
    free(step);
    qn_arena_free(&arena);
    qn_buf_free(&file);
}
