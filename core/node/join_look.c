/* join_look.c - who has a snapshot, and which of them is taken. */
#include "core/node/join_in.h"

#include "ledger/state/steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS     5000  /* peers are asked again, what they offer is new every epoch */
#define PATIENT_MS 1500  /* the first offer waits so long for better ones */
#define NONE_MS    12000 /* no offer: the blocks, then */
#define LATER_MAX  UINT64_C(600000)

/* A question's stream; its peer may be forgotten before it ends. */
struct join_question {
    struct join *of;
    struct join_question *next;
    struct join_peer *peer; /* NULL: nobody waits */
};

/* --- what was offered and came to nothing ----------------------------------------------------------------------- */

bool join_same(const struct offer *a, const struct offer *b)
{
    return a->height == b->height && a->bytes == b->bytes && qn_hash_eq(&a->block, &b->block) &&
           qn_hash_eq(&a->manifest, &b->manifest);
}

static bool is_bad(const struct join *j, const struct offer *o)
{
    for (uint32_t i = 0; i < QN_MIN(j->bad_cnt, JOIN_BAD_MAX); i++)
        if (join_same(&j->bad[i], o)) return true;
    return false;
}

static struct join_later *later_of(struct join *j, const struct offer *o)
{
    for (uint32_t i = 0; i < QN_MIN(j->later_cnt, JOIN_LATER_MAX); i++)
        if (join_same(&j->later[i].offer, o)) return &j->later[i];
    return NULL;
}

static bool is_liar(const struct join *j, const struct qn_peer_id *id)
{
    for (uint32_t i = 0; i < QN_MIN(j->liar_cnt, JOIN_BAD_MAX); i++)
        if (memcmp(&j->liars[i], id, sizeof *id) == 0) return true;
    return false;
}

static struct join_tardy *tardy_of(struct join *j, const struct qn_peer_id *id)
{
    for (uint32_t i = 0; i < QN_MIN(j->tardy_cnt, JOIN_BAD_MAX); i++)
        if (memcmp(&j->tardy[i].id, id, sizeof *id) == 0) return &j->tardy[i];
    return NULL;
}

/* What it offered did not come: others' offers come before its next. */
static void note_late(struct join *j, struct join_peer *p)
{
    struct join_tardy *t = tardy_of(j, &p->id);
    if (!t) {
        t = &j->tardy[j->tardy_cnt++ % JOIN_BAD_MAX];
        *t = (struct join_tardy){ .id = p->id };
    }
    p->late = ++t->times;
    qn_host_blame(j->conf.host, p->no, QN_BLAME_SLIP, "a snapshot that does not come");
}

static bool offers_it(const struct join_peer *p, const struct offer *o)
{
    for (uint32_t k = 0; k < p->cnt; k++)
        if (join_same(&p->list[k], o)) return true;
    return false;
}

static uint32_t offerers(const struct join *j, const struct offer *o)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++)
        cnt += j->peers[i].no && offers_it(&j->peers[i], o);
    return cnt;
}

/* Back to the offers. */
static void look_again(struct join *j)
{
    join_drop(j);
    j->at = (struct offer){ 0 };
    j->offered_ms = 0;
    j->stage = JOIN_LOOK;
    join_turn_soon(j);
}

void join_condemn(struct join *j, const char *what)
{
    join_tell(j, "sync: the snapshot of block %" PRIu64 " is refused: %s", j->at.height, what);
    j->bad[j->bad_cnt++ % JOIN_BAD_MAX] = j->at;
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++) {
        struct join_peer *p = &j->peers[i];
        if (!p->no || !offers_it(p, &j->at)) continue;
        if (!p->lied) j->liars[j->liar_cnt++ % JOIN_BAD_MAX] = p->id;
        p->lied = true;
        qn_host_blame(j->conf.host, p->no, QN_BLAME_OFFENCE, "a snapshot that is none");
    }
    join_remove_ours(j);
    look_again(j);
}

void join_put_off(struct join *j, uint64_t ms, bool slip, const char *what)
{
    struct join_later *l = later_of(j, &j->at);
    if (!l) {
        l = &j->later[j->later_cnt++ % JOIN_LATER_MAX];
        *l = (struct join_later){ .offer = j->at };
    }
    ms = QN_MIN(ms << QN_MIN(l->times, 6u), LATER_MAX);
    l->until_ms = join_now_ms(j) + ms;
    l->times++;
    snprintf(j->waits, sizeof j->waits, "%s", what);
    join_tell(j, "sync: the snapshot of block %" PRIu64 " is put off: %s", j->at.height, what);
    for (uint32_t i = 0; i < JOIN_PEERS_MAX && slip; i++)
        if (j->peers[i].no && offers_it(&j->peers[i], &j->at)) note_late(j, &j->peers[i]);
    join_stop_ours(j);
    look_again(j);
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++)
        j->peers[i].asked_ms = 0;
}

/* --- asking peers ------------------------------------------------------------------------------------------------------- */

static void take_pin(struct join *j, struct join_peer *p, struct qn_span pin)
{
    struct qn_hash chain = { { 0 } };
    struct qn_why why = { "" };
    p->knows_other = false;
    if (!j->conf.pinned || j->has_set || pin.len == 0) return;
    /* One that is of another block may be the owner's mistake: nobody is blamed for it. */
    bool ours = qn_pin_take(&pin, &j->conf.trust, j->conf.trust_height, j->conf.fast_ppm, &j->set,
                            &chain, &why) == QN_OK;
    bool same = qn_hash_eq(&chain, &j->conf.chain);
    j->has_set = ours && same && pin.len == 0;
    p->knows_other = !ours && same;
}

static void offer_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    const struct join_question *q = arg;
    if (!q->peer) return;
    if (bytes.len > OFFER_BYTES_MAX - q->peer->in.len)
        qn_stream_reset(s);
    else
        qn_buf_span(&q->peer->in, bytes);
}

static void offer_end(void *arg, struct qn_stream *s)
{
    struct join_question *q = arg;
    struct join *j = q->of;
    struct join_peer *p = q->peer;
    struct offers o;
    (void)s;
    if (!p) return;
    q->peer = NULL;
    p->stream = NULL;
    if (offers_get(qn_buf_get(&p->in), &o)) {
        qn_host_blame(j->conf.host, p->no, QN_BLAME_OFFENCE, "offers of snapshots that are none");
    } else {
        p->answered = true;
        p->first = o.first;
        p->cnt = o.cnt;
        memcpy(p->list, o.list, sizeof p->list);
        take_pin(j, p, o.pin);
    }
    qn_buf_clear(&p->in);
    join_turn(j);
}

static void offer_close(void *arg, struct qn_stream *s, enum qn_stream_end how)
{
    struct join_question *q = arg, **at = &q->of->questions;
    (void)s, (void)how;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    if (q->peer) {
        q->peer->stream = NULL;
        qn_buf_clear(&q->peer->in);
    }
    free(q);
}

static const struct qn_stream_ops OFFER_OPS = { .on_data = offer_data,
                                                .on_finish = offer_end,
                                                .on_close = offer_close };

static void ask(struct join *j, struct join_peer *p)
{
    struct qn_buf buf = { 0 };
    if (p->stream || !qn_host_speaks(j->conf.host, p->no, j->proto)) return;
    struct join_question *q = calloc(1, sizeof *q);
    QN_ASSERT(q != NULL);
    p->asked_ms = join_now_ms(j);
    if (qn_host_stream(j->conf.host, p->no, j->proto, QN_NET_REQUEST, &OFFER_OPS, q, &p->stream)) {
        p->stream = NULL;
        free(q);
        return;
    }
    *q = (struct join_question){ j, j->questions, p };
    j->questions = q;
    qn_stream_set_deadline(p->stream, ASK_MS);
    qn_buf_u64(&buf, j->conf.pinned && !j->has_set ? j->conf.trust_height : 0);
    if (qn_stream_write(p->stream, qn_buf_get(&buf)))
        qn_stream_reset(p->stream);
    else
        qn_stream_finish(p->stream);
    qn_buf_free(&buf);
}

static struct join_peer *peer_of(struct join *j, uint32_t no)
{
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++)
        if (j->peers[i].no == no) return &j->peers[i];
    return NULL;
}

static void add_peer(void *arg, const struct qn_peer_info *info)
{
    struct join *j = arg;
    struct join_peer *p = peer_of(j, info->peer);
    if (!p && info->identified) {
        const struct join_tardy *t = tardy_of(j, &info->id);
        p = peer_of(j, 0);
        if (p)
            *p = (struct join_peer){ .no = info->peer,
                                     .id = info->id,
                                     .lied = is_liar(j, &info->id),
                                     .late = t ? t->times : 0 };
    }
}

static void on_peer(void *arg, uint32_t no, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct join *j = arg;
    struct join_peer *p = up ? NULL : peer_of(j, no);
    (void)id, (void)outbound;
    if (!p) return;
    for (struct join_question *q = j->questions; q; q = q->next)
        if (q->peer == p) q->peer = NULL;
    qn_buf_free(&p->in);
    *p = (struct join_peer){ 0 };
}

void join_watch(struct join *j)
{
    j->watch = (struct qn_host_watch){ .arg = j, .on_peer = on_peer };
    qn_host_watch(j->conf.host, &j->watch);
}

void join_unwatch(struct join *j)
{
    qn_host_unwatch(j->conf.host, &j->watch);
    for (struct join_question *q = j->questions; q; q = q->next)
        q->peer = NULL;
}

void join_peers_fini(struct join *j)
{
    QN_ASSERT(j->questions == NULL); /* the host has told of the end of each */
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++)
        qn_buf_free(&j->peers[i].in);
}

/* --- choosing ------------------------------------------------------------------------------------------------------------- */

struct candidate {
    const struct offer *offer;
    uint32_t peer;
};

/* The newest first; the same ones side by side, a peer's own, too. */
static int by_worth(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    const struct offer *o = x->offer, *p = y->offer;
    if (o->height != p->height) return o->height > p->height ? -1 : 1;
    int order = memcmp(&o->manifest, &p->manifest, sizeof o->manifest);
    if (!order) order = memcmp(&o->block, &p->block, sizeof o->block);
    if (!order) order = (o->bytes > p->bytes) - (o->bytes < p->bytes);
    return order ? order : (x->peer > y->peer) - (x->peer < y->peer);
}

/* The one begun before; else of those whose offers came best so far the newest, and of one block the one that most offer: a height is only said, and who
 * says many of them and gives nothing would be asked for ever. not: it is left out, NULL: none. *ret_late: of the best who offers it. *ret_later: there
 * are some, but none for now. */
static bool choose(struct join *j, const struct offer * not, struct offer *ret, uint32_t *ret_late,
                   bool *ret_later)
{
    struct candidate *all = malloc(JOIN_PEERS_MAX * OFFER_MAX * sizeof *all);
    bool has = j->has_before, any = false;
    uint32_t cnt = 0, most = 0;
    uint64_t now = join_now_ms(j);
    QN_ASSERT(all != NULL);
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++)
        for (uint32_t k = 0; j->peers[i].no && !j->peers[i].lied && k < j->peers[i].cnt; k++) {
            const struct offer *o = &j->peers[i].list[k];
            if (o->height && o->bytes && o->bytes <= QN_MANIFEST_MAX)
                all[cnt++] = (struct candidate){ o, i };
        }
    qsort(all, cnt, sizeof *all, by_worth);
    *ret_later = false;
    for (uint32_t i = 0, next; i < cnt; i = next) {
        const struct offer *o = all[i].offer;
        uint32_t by = 0, late = UINT32_MAX;
        for (next = i; next < cnt && join_same(all[next].offer, o); next++) {
            by += next == i || all[next].peer != all[next - 1].peer;
            late = QN_MIN(late, j->peers[all[next].peer].late);
        }
        if (is_bad(j, o) || (not &&join_same(o, not ))) continue;
        const struct join_later *l = later_of(j, o);
        if (l && now < l->until_ms) {
            *ret_later = true;
            continue;
        }
        bool old = has && qn_hash_eq(&o->manifest, &j->before);
        if (!any || old || late < *ret_late ||
            (late == *ret_late && o->height == ret->height && by > most)) {
            *ret = *o;
            *ret_late = late;
            most = by;
        }
        any = true;
        if (old) break;
    }
    free(all);
    return any;
}

struct heard {
    uint32_t peers, answered, others;
    bool waiting, all_blocks;
};

static struct heard ask_all(struct join *j, uint64_t now)
{
    struct heard h = { 0 };
    qn_host_peers(j->conf.host, add_peer, j);
    for (uint32_t i = 0; i < JOIN_PEERS_MAX; i++) {
        struct join_peer *p = &j->peers[i];
        if (p->no && !p->lied && (p->asked_ms == 0 || now - p->asked_ms >= ASK_MS)) ask(j, p);
        h.waiting |= p->stream != NULL;
        h.peers += p->no != 0;
        h.answered += p->answered;
        h.others += p->knows_other;
        h.all_blocks |= p->answered && !p->lied && p->first <= 1;
    }
    return h;
}

bool join_others(struct join *j)
{
    struct offer best = { 0 };
    uint32_t late;
    bool later;
    (void)ask_all(j, join_now_ms(j));
    return choose(j, &j->at, &best, &late, &later);
}

/* Trust begins at a block that nobody has shown yet: what that waits for. */
static void say_unpinned(struct join *j, const struct heard *h)
{
    char hex[65];
    qn_hex(j->conf.trust.b, 32, hex);
    if (h->others)
        snprintf(j->waits, sizeof j->waits,
                 "%u of %u peers have another block %" PRIu64
                 " than the trusted one (%.8s..): is --trust of this chain?",
                 h->others, h->answered, j->conf.trust_height, hex);
    else if (h->answered)
        snprintf(j->waits, sizeof j->waits,
                 "no peer knows who voted at the trusted block %" PRIu64
                 " (%.8s..), of %u asked: HASH or height may be wrong; take them from a node you "
                 "trust, quoin block get %" PRIu64 ", or leave --trust out",
                 j->conf.trust_height, hex, h->answered, j->conf.trust_height);
    else
        snprintf(j->waits, sizeof j->waits,
                 "no peer to ask for the trusted block %" PRIu64 " (%.8s..) yet",
                 j->conf.trust_height, hex);
}

/* Nothing to take, or none that could be believed: says so after a while, and goes by blocks where that may be. true: it does. */
static bool wait_or_blocks(struct join *j, const struct heard *h, bool later, uint64_t now)
{
    bool unpinned = j->conf.pinned && !j->has_set;
    uint64_t since = now - j->begun_ms;
    if (unpinned)
        say_unpinned(j, h);
    else if (!later)
        snprintf(j->waits, sizeof j->waits, "no peer offers one, of %u asked", h->answered);
    if (since < (unpinned ? ASK_MS : NONE_MS)) return false;
    if (!later && !j->conf.patient && since >= NONE_MS && (h->all_blocks || !h->answered)) {
        join_tell(j, unpinned ? "sync: no peer knows the trusted block; blocks, then"
                              : "sync: no peer offers a snapshot; blocks, then");
        join_end_with(j, JOIN_BLOCKS, QN_OK, NULL);
        return true;
    }
    if (!later) join_tell(j, "sync: %s; this node waits", j->waits);
    return false;
}

void join_look(struct join *j)
{
    uint64_t now = join_now_ms(j);
    struct heard h = ask_all(j, now);
    struct offer best = { 0 };
    uint32_t late = 0;
    bool later, any = choose(j, NULL, &best, &late, &later);
    if (!any || (j->conf.pinned && !j->has_set)) {
        if (wait_or_blocks(j, &h, later, now) || !any) return;
        if (j->offered_ms == 0) j->offered_ms = now;
        return;
    }
    if (j->offered_ms == 0) j->offered_ms = now;
    if (h.waiting && now - j->offered_ms < PATIENT_MS) return;
    j->at = best;
    j->at_late = late;
    j->stage = JOIN_MANIFEST;
    j->waits[0] = 0;
    j->window_ms = 0;
    j->manifest_ours =
        join_kept_has(j->kept, &best.manifest) || join_size_here(j, &best.manifest) == UINT64_MAX;
    j->has_before = true;
    j->before = best.manifest;
    join_kept_choose(j->home, &best.manifest);
    join_tell(j, "sync: taking the snapshot of block %" PRIu64 ", offered by %u", best.height,
              offerers(j, &best));
    join_turn_soon(j);
}
