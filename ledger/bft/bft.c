/* bft.c - the machine: views, the rules, time; actions out. */
#include "ledger/bft/bft_in.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

#define SKEW_MAX_MS                                                                                \
    1000 /* between a block's time and our clock; the past may be older by what the way takes */
#define RESEND_MAX_MS 8000
#define ASK_MS        1000 /* between two requests for the same block */

/* --- small things -------------------------------------------------------------------------------------------------------- */

bool qn_bft_has_bug(const struct qn_bft *m, enum qn_bft_bug which)
{
    return m->conf.bug == which;
}

struct qn_bft_action *qn_bft_emit(struct qn_bft *m, enum qn_bft_what what)
{
    if (m->out_cnt == m->out_cap) {
        m->out_cap = QN_MAX(m->out_cap * 2, (size_t)16);
        m->out = realloc(m->out, m->out_cap * sizeof *m->out);
        QN_ASSERT(m->out != NULL);
    }
    struct qn_bft_action *a = &m->out[m->out_cnt++];
    *a = (struct qn_bft_action){ .what = what };
    return a;
}

struct view *qn_bft_view_find(const struct qn_bft *m, uint64_t no)
{
    for (struct view *v = m->views; v && v->no <= no; v = v->next)
        if (v->no == no) return v;
    return NULL;
}

struct view *qn_bft_view_make(struct qn_bft *m, uint64_t no)
{
    struct view **at = &m->views;
    while (*at && (*at)->no < no)
        at = &(*at)->next;
    if (*at && (*at)->no == no) return *at;
    struct view *v = calloc(1, sizeof *v);
    QN_ASSERT(v != NULL);
    v->no = no;
    v->next = *at;
    *at = v;
    return v;
}

static void view_free(struct view *v)
{
    for (size_t i = 0; i < QN_COUNT(v->cert); i++)
        free(v->cert[i]);
    for (unsigned i = 0; i < v->more_cnt; i++)
        free(v->more[i]);
    free(v->said);
    free(v);
}

void qn_bft_prune(struct qn_bft *m)
{
    if (m->out_at < m->out_cnt) return;
    m->out_at = m->out_cnt = 0;
    while (m->views && m->views->no < m->last.view) {
        struct view *gone = m->views;
        m->views = gone->next;
        view_free(gone);
    }
    for (struct view *v = m->views; v && v->no + BEHIND_MAX < m->view; v = v->next) {
        free(v->said); /* its certificates stay: a proposal may have to show them */
        v->said = NULL;
    }
    for (struct block **at = &m->blocks; *at;) {
        struct block *gone = *at;
        if (gone->b.view > m->last.view) {
            at = &gone->next;
            continue;
        }
        *at = gone->next;
        free(gone);
    }
}

uint16_t qn_bft_leader(const struct qn_bft_conf *conf, uint64_t view)
{
    uint8_t buf[44];
    uint64_t all = 0, draw;
    memcpy(buf, conf->chain.b, 32);
    memcpy(buf + 32, &conf->epoch, 4);
    memcpy(buf + 36, &view, 8);
    struct qn_hash h = qn_h("leader", buf, sizeof buf);
    for (uint32_t i = 0; i < conf->cnt; i++)
        all += conf->weights[i];
    memcpy(&draw, h.b, sizeof draw);
    draw %= all; /* the bias is all / 2^64: below 2^-19 for any stake in uqn */
    for (uint32_t i = 0; i < conf->cnt; i++) {
        if (draw < conf->weights[i]) return (uint16_t)i;
        draw -= conf->weights[i];
    }
    QN_BUG("a draw beyond all weights");
}

void qn_bft_enter(struct qn_bft *m, uint64_t view)
{
    m->view = view;
    m->leader = qn_bft_leader(&m->conf, view);
    m->proposed = false;
    m->deadline_ms = m->now_ms + m->conf.block_ms + 2 * m->delta_ms + 100;
    m->resend_step_ms = QN_MIN(2 * m->delta_ms, (uint64_t)RESEND_MAX_MS);
    m->resend_ms = m->now_ms + m->conf.block_ms + m->resend_step_ms; /* a leader may wait so long */
}

/* --- the rules ----------------------------------------------------------------------------------------------------------- */

static void try_first(struct qn_bft *m)
{
    struct view *v = qn_bft_view_make(m, m->view);
    if (m->conf.self < 0 || v->first || v->final) return;
    for (const struct block *b = m->blocks; b; b = b->next) {
        if (b->b.view != m->view || b->b.proposer != m->leader || !b->valid ||
            !qn_bft_well_placed(m, &b->b))
            continue;
        uint64_t t = b->b.t_ms;
        if (t > m->clock_ms + SKEW_MAX_MS || t + SKEW_MAX_MS + 2 * m->delta_ms < m->clock_ms)
            continue;
        qn_bft_cast(m, v, QN_VOTE_FIRST, &b->b.hash);
        return;
    }
}

static void try_extra(struct qn_bft *m, uint64_t no)
{
    struct view *v = qn_bft_view_make(m, no);
    uint64_t weak = m->need.weak - (qn_bft_has_bug(m, QN_BUG_WEAK) ? m->need.traitors : 0);
    if (m->conf.self < 0 || qn_bft_has_bug(m, QN_BUG_NO_EXTRA) ||
        (v->final && !qn_bft_has_bug(m, QN_BUG_VOTE_AFTER)))
        return;
    for (const struct block *b = m->blocks; b; b = b->next)
        if (b->b.view == no && b->valid && !qn_bft_voted(v, &b->b.hash) &&
            v->voted_cnt < EXTRA_MAX && qn_bft_weigh(m, v, FIRSTS, &b->b.hash) >= weak)
            qn_bft_cast(m, v, QN_VOTE_EXTRA, &b->b.hash);
    if (!qn_bft_voted(v, &NOTHING) && qn_bft_against(m, v) >= m->need.weak)
        qn_bft_cast(m, v, QN_VOTE_EXTRA, &NOTHING);
}

static void try_propose(struct qn_bft *m)
{
    if (m->proposed || m->conf.self < 0 || m->leader != (uint16_t)m->conf.self) return;
    const struct view *mine = qn_bft_view_find(m, m->view);
    if (mine && (mine->first || mine->final)) return; /* a restart: this view's word is given */
    for (uint64_t p = m->view - 1;; p--) {
        const struct view *v = qn_bft_view_find(m, p);
        const struct qn_hash *parent = p == m->last.view ? &m->last.hash
                                       : v && v->cert[0] ? &v->cert[0]->block
                                                         : NULL;
        if (parent) {
            if (!qn_bft_is_held(m, parent)) return;
            m->proposed = true;
            struct qn_bft_action *a = qn_bft_emit(m, QN_BFT_PROPOSE);
            a->view = m->view;
            a->block = *parent;
            a->parent_view = p;
            return;
        }
        if (!v || !v->cert[1] || p <= m->last.view) return;
    }
}

void qn_bft_react(struct qn_bft *m)
{
    uint64_t before;
    do {
        before = m->view;
        qn_bft_ask_run(m);
        qn_bft_advance(m);
        try_propose(m);
        try_first(m);
        try_extra(m, m->view);
        if (qn_bft_has_bug(m, QN_BUG_VOTE_AFTER) && m->view > m->last.view + 1)
            try_extra(m, m->view - 1);
    } while (m->view != before);
}

void qn_bft_synced(struct qn_bft *m, const struct qn_bft_block *block, const struct qn_cert *cert)
{
    qn_bft_prune(m);
    if (block->view <= m->last.view) return;
    struct view *v = qn_bft_view_make(m, block->view);
    if (!v->cert[2]) v->cert[2] = qn_cert_copy(cert);
    if (m->ending && m->end_view <= block->view) m->ending = false;
    m->last = *block;
    if (m->view <= block->view) qn_bft_enter(m, block->view + 1);
    qn_bft_hear_cert(m, cert);
    qn_bft_react(m);
}

void qn_bft_restore(struct qn_bft *m, const struct qn_vote *mine)
{
    if (qn_bft_has_bug(m, QN_BUG_FORGET) || mine->view <= m->last.view) return;
    struct view *v = qn_bft_view_make(m, mine->view);
    qn_bft_note_mine(v, mine->kind, &mine->block);
    if (!v->said) v->said = calloc(m->conf.cnt, sizeof *v->said);
    QN_ASSERT(v->said != NULL);
    bool fresh = qn_bft_keep(m, &v->said[mine->signer], mine);
    (void)fresh; /* weighed at the start */
}

void qn_bft_start(struct qn_bft *m, uint64_t now_ms, uint64_t clock_ms)
{
    m->now_ms = now_ms;
    m->clock_ms = clock_ms;
    qn_bft_enter(m, m->last.view + 1);
    for (struct view *v = m->views; v && m->conf.self >= 0; v = v->next) {
        if (!v->said) continue;
        const struct said *s = &v->said[m->conf.self];
        if (s->first.kind) qn_bft_count(m, v, &s->first.block);
        for (unsigned i = 0; i < s->extra_cnt; i++)
            qn_bft_count(m, v, &s->extra[i].block);
        if (s->final.kind) qn_bft_count(m, v, &s->final.block);
    }
    qn_bft_react(m);
}

static void ask_missing(struct qn_bft *m)
{
    /* What may be voted for, is certified, final or somebody's parent, and not here. */
    const struct view *now = qn_bft_view_find(m, m->view);
    const struct qn_hash *looked = &NOTHING; /* many say the same */
    for (uint32_t i = 0; now && now->said && i < m->conf.cnt; i++) {
        const struct qn_vote *first = &now->said[i].first;
        if (!first->kind || qn_bft_same(&first->block, looked)) continue;
        looked = &first->block;
        if (!qn_bft_same(looked, &NOTHING) && !qn_bft_block_find(m, &first->block) &&
            qn_bft_weigh(m, now, FIRSTS, &first->block) >= m->need.weak)
            qn_bft_want(m, &first->block);
    }
    for (const struct view *v = m->views; v; v = v->next)
        if (v->no > m->last.view && v->cert[0] && !qn_bft_block_find(m, &v->cert[0]->block))
            qn_bft_want(m, &v->cert[0]->block);
    for (const struct block *b = m->blocks; b; b = b->next)
        if (!qn_bft_same(&b->b.parent, &m->last.hash) && !qn_bft_block_find(m, &b->b.parent))
            qn_bft_want(m, &b->b.parent);
    if (m->ending && !qn_bft_block_find(m, &m->end)) qn_bft_want(m, &m->end);
    /* Who jumped ahead on one certificate lacks those below it, without which nobody may build on what is under them. */
    uint64_t low = m->last.view;
    for (const struct view *v = m->views; v; v = v->next)
        if (v->cert[0] && v->no < m->view) low = QN_MAX(low, v->no);
    for (uint64_t no = low + 1; no < m->view; no++) {
        const struct view *v = qn_bft_view_find(m, no);
        if (v && v->cert[1]) continue;
        qn_bft_emit(m, QN_BFT_WANT)->view = no;
        return;
    }
}

static void resend_cert(struct qn_bft *m, const struct qn_cert *cert)
{
    struct qn_bft_action *a = qn_bft_emit(m, QN_BFT_CERT);
    a->cert = cert;
    a->again = true;
}

static void resend(struct qn_bft *m)
{
    struct view *end = qn_bft_view_find(m, m->last.view);
    if (end && end->cert[2]) resend_cert(m, end->cert[2]);
    for (struct view *v = m->views; v; v = v->next) {
        if (v->no + 1 < m->view) continue;
        if (v->no + 1 == m->view && !qn_bft_has_bug(m, QN_BUG_NO_FORWARD))
            for (unsigned i = 0; i < 2; i++)
                if (v->cert[i]) resend_cert(m, v->cert[i]);
        if (m->conf.self < 0 || !v->said) continue;
        const struct said *s = &v->said[m->conf.self];
        if (s->first.kind) qn_bft_emit(m, QN_BFT_VOTE)->vote = s->first;
        for (unsigned i = 0; i < s->extra_cnt; i++)
            qn_bft_emit(m, QN_BFT_VOTE)->vote = s->extra[i];
        if (s->final.kind) qn_bft_emit(m, QN_BFT_VOTE)->vote = s->final;
    }
    for (const struct block *b = m->blocks; b; b = b->next)
        if (m->conf.self >= 0 && b->b.view == m->view && b->b.proposer == m->conf.self)
            qn_bft_emit(m, QN_BFT_PROPOSAL)->block = b->b.hash;
}

void qn_bft_tick(struct qn_bft *m, uint64_t now_ms, uint64_t clock_ms)
{
    qn_bft_prune(m);
    m->now_ms = QN_MAX(m->now_ms, now_ms);
    m->clock_ms = clock_ms;
    struct view *v = qn_bft_view_make(m, m->view);
    /* Also after EXTRA for nothing: others weigh the FIRST of everybody. */
    if (m->now_ms >= m->deadline_ms && !v->final &&
        (!v->first || (qn_bft_has_bug(m, QN_BUG_TWO_FIRST) && !qn_bft_voted(v, &NOTHING))))
        qn_bft_cast(m, v, QN_VOTE_FIRST, &NOTHING);
    qn_bft_ripen(m);
    if (m->now_ms >= m->ask_ms) { /* views may pass quickly above a node that lacks one block */
        ask_missing(m);
        m->ask_ms = m->now_ms + ASK_MS;
    }
    if (m->now_ms >= m->resend_ms) {
        resend(m);
        m->resend_step_ms = QN_MIN(m->resend_step_ms * 2, (uint64_t)RESEND_MAX_MS);
        m->resend_ms = m->now_ms + m->resend_step_ms;
    }
    qn_bft_react(m);
}

/* --- outputs ------------------------------------------------------------------------------------------------------------- */

bool qn_bft_next(struct qn_bft *m, struct qn_bft_action *ret)
{
    if (m->out_at == m->out_cnt) return false;
    *ret = m->out[m->out_at++];
    return true;
}

bool qn_bft_pending(const struct qn_bft *m)
{
    return m->out_at < m->out_cnt;
}

uint64_t qn_bft_wake_ms(const struct qn_bft *m)
{
    const struct view *v = qn_bft_view_find(m, m->view);
    bool open = m->conf.self >= 0 && (!v || (!v->first && !v->final)); /* who watches never votes */
    uint64_t wake = QN_MIN(qn_bft_ripe_ms(m), QN_MIN(m->ask_ms, m->resend_ms));
    return open ? QN_MIN(m->deadline_ms, wake) : wake;
}

uint64_t qn_bft_view(const struct qn_bft *m)
{
    return m->view;
}

struct qn_bft_block qn_bft_last(const struct qn_bft *m)
{
    return m->last;
}

const struct qn_cert *qn_bft_cert_of(const struct qn_bft *m, uint64_t view, bool nothing)
{
    const struct view *v = qn_bft_view_find(m, view);
    return v ? v->cert[nothing] : NULL;
}

const struct qn_cert *qn_bft_cert_for(const struct qn_bft *m, uint64_t view,
                                      const struct qn_hash *block)
{
    const struct view *v = qn_bft_view_find(m, view);
    return v ? qn_bft_view_cert(v, block) : NULL;
}

struct qn_bft *qn_bft_new(const struct qn_bft_conf *conf, const struct qn_bft_block *last,
                          const struct qn_cert *cert)
{
    struct qn_bft *m = calloc(1, sizeof *m);
    QN_ASSERT(m != NULL && conf->self < (int)conf->cnt);
    m->conf = *conf;
    m->need = qn_quorum_of(conf->weights, conf->cnt, conf->fast_ppm);
    m->last = *last;
    m->delta_ms = DELTA_MS;
    m->view = last->view + 1;
    m->leader = qn_bft_leader(&m->conf, m->view);
    m->heard = calloc(conf->cnt, sizeof *m->heard);
    QN_ASSERT(m->heard != NULL);
    if (!cert) return m;
    qn_bft_view_make(m, last->view)->cert[2] = qn_cert_copy(cert);
    qn_bft_hear_cert(m, cert);
    return m;
}

void qn_bft_free(struct qn_bft *m)
{
    if (!m) return;
    while (m->views) {
        struct view *gone = m->views;
        m->views = gone->next;
        view_free(gone);
    }
    while (m->blocks) {
        struct block *gone = m->blocks;
        m->blocks = gone->next;
        free(gone);
    }
    free(m->waiting);
    free(m->heard);
    free(m->out);
    free(m);
}
