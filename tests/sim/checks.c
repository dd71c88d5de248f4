/* checks.c - what must hold after every event, and in the end. */
#include "tests/sim/sim.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX (16u << 20) /* of a host: seven times what any was seen to hold */

/* What one key has said in a view. */
struct said {
    uint64_t key; /* epoch << 40 | view, plus one; 0: nothing */
    struct qn_hash first, final, voted[6];
    bool has_first, has_final;
    uint32_t voted_cnt;
};

struct sim_signed {
    struct said *said; /* SIM_HOSTS of SIM_VIEWS */
};

void sim_saw(struct sim_world *w, enum sim_seen what)
{
    w->res->seen[what]++;
}

void sim_checks_init(struct sim_world *w)
{
    w->final = calloc(SIM_HEIGHTS, sizeof *w->final);
    w->receipts = calloc(SIM_HEIGHTS, sizeof *w->receipts);
    w->roots = calloc(SIM_HEIGHTS, sizeof *w->roots);
    w->t_ms = calloc(SIM_HEIGHTS, sizeof *w->t_ms);
    w->views = calloc(SIM_HEIGHTS, sizeof *w->views);
    w->signed_by = calloc(1, sizeof *w->signed_by);
    QN_ASSERT(w->final && w->receipts && w->roots && w->t_ms && w->views && w->signed_by);
    w->signed_by->said = calloc((size_t)SIM_HOSTS * SIM_VIEWS, sizeof(struct said));
    QN_ASSERT(w->signed_by->said != NULL);
}

void sim_checks_fini(struct sim_world *w)
{
    free(w->final);
    free(w->receipts);
    free(w->roots);
    free(w->t_ms);
    free(w->views);
    free(w->signed_by->said);
    free(w->signed_by);
}

/* --- no honest key signs against itself ------------------------------------------------------------------------------------ */

static bool tracked(const struct sim_host *h)
{
    return h->validator >= 0 && !(h->traits & (TRAIT_LIES | TRAIT_FORGETS));
}

/* The place of what a validator said in a view; NULL: another view has it by now. */
static struct said *said_of(struct sim_world *w, int validator, uint32_t epoch, uint64_t view,
                            bool make)
{
    uint64_t key = ((uint64_t)epoch << 40 | view) + 1;
    struct said *s = &w->signed_by->said[(size_t)validator * SIM_VIEWS + view % SIM_VIEWS];
    if (s->key != key) {
        if (!make || s->key > key) return NULL;
        *s = (struct said){ .key = key };
    }
    return s;
}

static bool has_voted(const struct said *s, const struct qn_hash *x)
{
    for (uint32_t i = 0; s && i < s->voted_cnt; i++)
        if (qn_hash_eq(&s->voted[i], x)) return true;
    return false;
}

static void note_voted(struct said *s, const struct qn_hash *x)
{
    if (s && !has_voted(s, x) && s->voted_cnt < QN_COUNT(s->voted)) s->voted[s->voted_cnt++] = *x;
}

static void check_vote(struct sim_world *w, struct sim_host *h, const struct qn_vote *v)
{
    struct said *s = said_of(w, h->validator, v->epoch, v->view, true);
    if (!s) return;
    const char *what = NULL;
    bool nothing = qn_hash_is_zero(&v->block);
    if (v->kind == QN_VOTE_FINAL) {
        if (s->has_final && !qn_hash_eq(&s->final, &v->block)) what = "two FINAL";
        for (uint32_t i = 0; i < s->voted_cnt; i++)
            if (!qn_hash_eq(&s->voted[i], &v->block)) what = "FINAL beside another vote";
        s->has_final = true;
        s->final = v->block;
    } else {
        if (v->kind == QN_VOTE_FIRST) {
            if (s->has_first && !qn_hash_eq(&s->first, &v->block)) what = "two FIRST";
            s->has_first = true;
            s->first = v->block;
            if (nothing) sim_saw(w, SEEN_first_nothing);
        } else {
            sim_saw(w, nothing ? SEEN_extra_nothing : SEEN_extra_block);
        }
        if (s->has_final && !qn_hash_eq(&s->final, &v->block)) what = "another vote beside FINAL";
        note_voted(s, &v->block);
    }
    if (what)
        sim_wrong(w, "host %d signed against itself in view %" PRIu64 ": %s", h->idx, v->view,
                  what);
}

/* Of honest validators whose vote is in a certificate, or comes back from the journal: they may have had no time to say it. */
static void note_signer(struct sim_world *w, const struct qn_vote *v)
{
    if (v->epoch != w->voters.epoch || v->signer >= w->voters.cnt || v->kind == QN_VOTE_FINAL)
        return;
    for (uint32_t i = 0; i < w->k.nodes; i++)
        if (qn_hash_eq(&w->keys[i].pub, &w->voters.keys[v->signer]))
            note_voted(said_of(w, (int)i, v->epoch, v->view, true), &v->block);
}

static void note_pledge(void *arg, const struct qn_pledge *p)
{
    struct sim_world *w = arg;
    sim_saw(w, SEEN_pledged);
    for (uint32_t i = 0; i < p->votes.cnt; i++)
        note_signer(w, &p->votes.ptr[i]);
}

void sim_check_said(struct sim_world *w, struct sim_host *h, struct qn_span m)
{
    if (m.len && m.ptr[0] == 6) sim_saw(w, SEEN_wanted);
    if (m.len && m.ptr[0] == 8) sim_saw(w, SEEN_synced);
    if (!tracked(h) || m.len < 2 || (m.ptr[0] != 3 && m.ptr[0] != 4)) return;
    struct qn_arena arena = { 0 };
    struct qn_span rest = QN_SPAN(m.ptr + 1, m.len - 1);
    struct qn_vote v;
    struct qn_cert c;
    if (m.ptr[0] == 3 && qn_decode(qn_vote_record(), rest, &arena, &v, NULL) == QN_OK)
        check_vote(w, h, &v); /* nobody casts another's vote */
    else if (m.ptr[0] != 4 || qn_decode(qn_cert_record(), rest, &arena, &c, NULL))
        sim_wrong(w, "host %d says what does not decode", h->idx);
    else
        for (uint32_t i = 0; i < qn_cert_cnt(&c); i++) {
            v = qn_cert_vote_whole(&c, i);
            note_signer(w, &v);
        }
    if (m.ptr[0] == 4 && c.kind == QN_CERT_VIEW && qn_hash_is_zero(&c.block))
        sim_saw(w, SEEN_cert_nothing);
    qn_arena_free(&arena);
}

static void is_guilty(struct sim_world *w, const struct qn_hash *key, uint64_t view)
{
    for (uint32_t i = 0; i < w->host_cnt; i++) {
        const struct sim_host *o = &w->host[i];
        if (o->validator >= 0 && qn_hash_eq(&w->keys[o->validator].pub, key) &&
            !(o->traits & (TRAIT_LIES | TRAIT_FORGETS)))
            sim_wrong(w, "there is evidence against honest host %d, view %" PRIu64, o->idx, view);
    }
}

static void on_evidence(void *arg, const struct qn_vote *a, const struct qn_vote *b)
{
    struct sim_host *h = arg;
    const struct qn_set *set = qn_chain_set(qn_replica_chain(h->r));
    sim_saw(h->w, SEEN_votes_twice);
    if (a->epoch != set->epoch || a->signer >= set->cnt || b->signer != a->signer) return;
    is_guilty(h->w, &set->keys[a->signer], a->view);
}

static void on_twins(void *arg, const struct evidence_twins *twins)
{
    struct sim_world *w = ((struct sim_host *)arg)->w;
    sim_saw(w, SEEN_twin_blocks);
    is_guilty(w, &twins->a.proposer, twins->a.view);
}

/* --- one final block a height --------------------------------------------------------------------------------------------------- */

static struct qn_hash receipts_of(const struct qn_frame *f)
{
    struct qn_buf buf = { 0 };
    for (uint32_t i = 0; i < f->receipts.cnt; i++)
        qn_encode(qn_receipt_record(), &f->receipts.ptr[i], &buf);
    for (uint32_t i = 0; i < f->events.cnt; i++)
        qn_encode(qn_event_record(), &f->events.ptr[i], &buf);
    struct qn_hash hash = qn_blake3(buf.ptr, buf.len);
    qn_buf_free(&buf);
    return hash;
}

/* How much of the set may have voted x in a view: who is honest only if it was seen to. */
static uint64_t weigh(struct sim_world *w, uint64_t view, const struct qn_hash *x)
{
    const struct qn_set *set = &w->voters;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < set->cnt; i++) {
        bool honest = false, did = false;
        for (uint32_t k = 0; k < w->k.nodes; k++) {
            if (!qn_hash_eq(&w->keys[k].pub, &set->keys[i])) continue;
            honest = tracked(&w->host[k]);
            did = has_voted(said_of(w, (int)k, set->epoch, view, false), x);
        }
        if (!honest || did) sum += set->weights[i];
    }
    return sum;
}

/* Rule V1, from outside: the parent's view certified it, the views between ended as nothing. */
static void check_place(struct sim_world *w, const struct qn_header *h)
{
    struct qn_hash none = { { 0 } };
    uint64_t before = w->views[h->height - 1];
    if (h->epoch != w->voters.epoch || h->view > before + SIM_VIEWS / 2) return;
    uint64_t q = qn_set_quorum(&w->voters).q;
    if (w->epoch_of_head == h->epoch && h->height > 1 && weigh(w, before, &h->parent) < q)
        sim_wrong(w, "block %" PRIu64 " is final on a block that nobody can have certified",
                  h->height);
    for (uint64_t v = before + 1; v < h->view; v++)
        if (weigh(w, v, &none) < q)
            sim_wrong(w, "block %" PRIu64 " skips view %" PRIu64 ", which did not end as nothing",
                      h->height, v);
}

static bool same_set(const struct qn_set *a, const struct qn_set *b)
{
    return a->cnt == b->cnt && memcmp(a->keys, b->keys, a->cnt * sizeof *a->keys) == 0 &&
           memcmp(a->weights, b->weights, a->cnt * sizeof *a->weights) == 0;
}

/* What a block that is final for the first time tells. */
static void note_block(struct sim_host *h, const struct qn_frame *f)
{
    struct sim_world *w = h->w;
    const struct qn_set *set = qn_chain_set(qn_replica_chain(h->r));
    if (f->cert.kind == QN_CERT_FAST) sim_saw(w, SEEN_final_fast);
    if (f->cert.kind == QN_CERT_SLOW) sim_saw(w, SEEN_final_slow);
    if (f->cert.kind == 0) sim_saw(w, SEEN_final_below);
    if (f->events.cnt) sim_saw(w, SEEN_due);
    w->epoch_of_head = f->block.header.epoch;
    if (set->epoch == w->voters.epoch) return;
    sim_saw(w, SEEN_epoch);
    if (f->fillers.cnt) sim_saw(w, SEEN_epoch_fillers);
    if (!same_set(set, &w->voters)) sim_saw(w, SEEN_new_weights);
    if (w->leaver >= 0) {
        bool was = qn_set_find(&w->voters, &w->keys[w->leaver].pub) >= 0;
        bool is = qn_set_find(set, &w->keys[w->leaver].pub) >= 0;
        if (was != is) sim_saw(w, is ? SEEN_came_back : SEEN_left);
    }
    bool down = false, cut = w->faulty && w->k.loss_ppm;
    for (uint32_t i = 0; i < w->host_cnt; i++) {
        down |= !w->host[i].r;
        for (uint32_t k = 0; k < w->host_cnt; k++)
            cut |= w->link[i][k].cut;
    }
    if (down) sim_saw(w, SEEN_epoch_down);
    if (cut) sim_saw(w, SEEN_epoch_lossy);
    w->voters = *set;
}

static uint64_t latest_clock(const struct sim_world *w)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < w->host_cnt; i++)
        if (!(w->host[i].traits & TRAIT_BADCLOCK)) most = QN_MAX(most, sim_host_ms(&w->host[i]));
    return most;
}

void sim_check_block(struct sim_host *h, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct sim_world *w = h->w;
    const struct qn_header *head = &f->block.header;
    uint64_t at = head->height;
    if (h->disk.dead) return; /* it is over, though the call goes on */
    if (at != h->height + 1)
        sim_wrong(w, "host %d says block %" PRIu64 " final after %" PRIu64, h->idx, at, h->height);
    h->height = at;
    h->acked = QN_MAX(h->acked, at);
    if (at == 0 || at >= SIM_HEIGHTS) return;
    struct qn_hash receipts = receipts_of(f);
    if (at == w->height + 1) {
        w->height = at;
        w->final[at] = *hash;
        w->receipts[at] = receipts;
        w->roots[at] = head->state_root;
        w->t_ms[at] = head->t_ms;
        w->views[at] = head->view;
        check_place(w, head);
        if (!sim_beacon_good(w, head))
            sim_wrong(w, "block %" PRIu64 " has a beacon that its proposer chose", at);
        w->beacon = head->beacon;
        note_block(h, f);
        if (head->t_ms <= w->t_ms[at - 1])
            sim_wrong(w, "block %" PRIu64 " is not later than the one before", at);
        uint64_t slack = 1000 + (w->k.faults >> SIM_step & 1 ? 600 : 0); /* a clock may step back */
        if (head->t_ms > latest_clock(w) + slack)
            sim_wrong(w, "block %" PRIu64 " is %" PRIu64 " ms ahead of every honest clock", at,
                      head->t_ms - latest_clock(w));
        if (at > 1 && !qn_hash_eq(&head->parent, &w->final[at - 1]))
            sim_wrong(w, "block %" PRIu64 " does not follow the one before", at);
        sim_load_final(w, f);
        return;
    }
    if (at > w->height + 1)
        sim_wrong(w, "host %d is at block %" PRIu64 ", nobody has %" PRIu64, h->idx, at,
                  w->height + 1);
    else if (!qn_hash_eq(&w->final[at], hash))
        sim_wrong(w, "host %d has another block final at height %" PRIu64, h->idx, at);
    else if (!qn_hash_eq(&w->receipts[at], &receipts))
        sim_wrong(w, "host %d has other receipts or events in block %" PRIu64, h->idx, at);
}

/* --- a host after its start, and each second ---------------------------------------------------------------------------------------- */

static void check_head(struct sim_host *h)
{
    struct sim_world *w = h->w;
    struct qn_chain *c = qn_replica_chain(h->r);
    struct qn_hash head = qn_chain_head(c), root = qn_chain_root(c);
    if (h->height == 0 || h->height >= SIM_HEIGHTS) return;
    if (h->height > w->height || !qn_hash_eq(&head, &w->final[h->height]))
        sim_wrong(w, "host %d stands at another block %" PRIu64 " than what is final", h->idx,
                  h->height);
    else if (!qn_hash_eq(&root, &w->roots[h->height]))
        sim_wrong(w, "host %d has another state after block %" PRIu64, h->idx, h->height);
}

/* A machine may have died after its block was on the disk and before it said so. */
static void catch_up(struct sim_host *h, uint64_t height)
{
    struct qn_chain *c = qn_replica_chain(h->r);
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    for (h->height = h->w->height; h->height < height && !h->disk.dead;) {
        if (qn_chain_frame(c, h->height + 1, &arena, &f, NULL)) break;
        struct qn_hash hash = qn_header_hash(&f.block.header);
        sim_check_block(h, &f, &hash);
    }
    qn_arena_free(&arena);
    h->height = height;
}

struct held {
    const struct qn_hash *hash;
    bool yes;
};

static void note_held(void *arg, const struct qn_pledge *p)
{
    struct held *held = arg;
    for (uint32_t i = 0; i < p->proposals.cnt; i++) {
        struct qn_hash hash = qn_header_hash(&p->proposals.ptr[i].block.header);
        held->yes |= qn_hash_eq(&hash, held->hash);
    }
}

/* A validator tells of a block before it has synced that it is final; then its journal holds the block with its vote on it, as those of a quorum do. So
 * it may come back lower than it was, but not without the blocks in between: that no other takes their place is checked everywhere else. */
static void check_acked(struct sim_host *h, uint64_t height)
{
    struct sim_world *w = h->w;
    for (uint64_t at = height + 1; at <= h->acked && at < SIM_HEIGHTS; at++) {
        struct held held = { &w->final[at], false };
        qn_chain_pledges(qn_replica_chain(h->r), note_held, &held);
        if (held.yes) continue;
        sim_wrong(w,
                  "host %d said block %" PRIu64 " is final and came back at %" PRIu64 " without it",
                  h->idx, at, height);
        return;
    }
}

void sim_check_boot(struct sim_host *h)
{
    struct sim_world *w = h->w;
    struct qn_chain *c = qn_replica_chain(h->r);
    uint64_t height = qn_replica_info(h->r).height;
    if (w->voters.cnt == 0) w->voters = *qn_chain_set(c);
    if (qn_chain_set(c)->epoch < w->voters.epoch) sim_saw(w, SEEN_epoch_behind);
    if (tracked(h)) qn_chain_pledges(c, note_pledge, w);
    if (h->disk.rotten_journal && !h->disk.dead)
        sim_wrong(w, "host %d started on a journal with rot in it", h->idx);
    h->disk.rotten_rows = false; /* what was overwritten since does no harm */
    if (!(h->traits & TRAIT_FORGETS)) check_acked(h, height);
    if (height > w->height)
        catch_up(h, height);
    else
        h->height = height;
    if (!h->disk.dead) check_head(h);
}

static void check_due(struct sim_host *h)
{
    const struct qn_view *view = qn_chain_view(qn_replica_chain(h->r));
    struct qn_span key, val;
    uint64_t at_ms = 0;
    if (h->height == 0 ||
        !qn_view_next(view, QN_TABLE_DUE, QN_SPAN(NULL, 0), QN_SPAN(NULL, 0), &key, &val) ||
        key.len < 8)
        return;
    for (unsigned i = 0; i < 8; i++)
        at_ms = at_ms << 8 | key.ptr[i];
    if (at_ms < qn_view_now_ms(view)) /* one set for this very moment fires in the next block */
        sim_wrong(h->w, "host %d: a deadline of %" PRIu64 " did not fire by %" PRIu64, h->idx,
                  at_ms, qn_view_now_ms(view));
}

void sim_check_host(struct sim_host *h)
{
    struct sim_world *w = h->w;
    uint64_t height = qn_replica_info(h->r).height;
    if (height != h->height)
        sim_wrong(w, "host %d stands at block %" PRIu64 ", the last it told of is %" PRIu64, h->idx,
                  height, h->height);
}

void sim_check_slow(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->host_cnt; i++) {
        struct sim_host *h = &w->host[i];
        if (!h->r || h->disk.dead) continue;
        w->res->memory = QN_MAX(w->res->memory, (uint64_t)QN_MAX(h->memory, (int64_t)0));
        if (h->memory > MEMORY_MAX)
            sim_wrong(w, "host %d holds %" PRId64 " MiB", h->idx, h->memory >> 20);
        uint64_t sum = qn_state_sum(qn_chain_view(qn_replica_chain(h->r))).uqn;
        if (sum != QN_SUPPLY_UQN)
            sim_wrong(w, "host %d counts %" PRIu64 " micro-quoin, %" PRIu64 " exist", h->idx, sum,
                      (uint64_t)QN_SUPPLY_UQN);
        check_head(h);
        check_due(h);
        if (w->now_us / 1000000 % 16 == i) sim_load_look(h);
        if (!h->r || !sim_honest(h)) continue; /* a look may have hit a disk's end */
        qn_replica_evidence(h->r, on_evidence, h);
        qn_replica_twins(h->r, on_twins, h);
        if (w->now_us / 1000000 % 5 == 0) sim_load_accuse(h);
    }
}

bool sim_check_goal(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->host_cnt; i++)
        if (sim_good(&w->host[i]) && (!w->host[i].r || w->host[i].height < w->goal)) return false;
    return true;
}

void sim_check_end(struct sim_world *w)
{
    if (!w->res->wrong[0]) sim_check_slow(w);
    for (uint64_t at = 1; at <= QN_MIN(w->height, (uint64_t)SIM_HEIGHTS - 1); at++) {
        struct qn_hash all[4] = { w->res->roots, w->final[at], w->receipts[at], w->roots[at] };
        w->res->roots = qn_blake3(all, sizeof all);
    }
}
