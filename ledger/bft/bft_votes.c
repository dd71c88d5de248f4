/* bft_votes.c - votes by view: weighed, cast, kept; certificates made of them. */
#include "ledger/bft/bft_in.h"

#include <stdlib.h>
#include <string.h>

#define DELTA_MAX_MS 30000

bool qn_bft_mine(const struct qn_bft *m, const struct qn_vote *vote)
{
    if (vote->view <= m->last.view) return true;
    const struct view *v = qn_bft_view_find(m, vote->view);
    if (!v) return false;
    return vote->kind == QN_VOTE_FINAL ? v->final : qn_bft_voted(v, &vote->block);
}

void qn_bft_mute(struct qn_bft *m)
{
    m->conf.self = -1;
    m->waiting_cnt = 0;
}

void qn_bft_speak(struct qn_bft *m, int self)
{
    m->conf.self = self;
    qn_bft_react(m);
}

static void put_vote(struct qn_bft *m, const struct qn_vote *vote);

/* --- weighing ------------------------------------------------------------------------------------------------------------ */

static bool voted_for(const struct said *s, const struct qn_hash *x)
{
    if (s->first.kind && qn_bft_same(&s->first.block, x)) return true;
    for (unsigned i = 0; i < s->extra_cnt; i++)
        if (qn_bft_same(&s->extra[i].block, x)) return true;
    return false;
}

uint64_t qn_bft_weigh(const struct qn_bft *m, const struct view *v, enum tally which,
                      const struct qn_hash *x)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; v->said && i < m->conf.cnt; i++) {
        const struct said *s = &v->said[i];
        bool counts = which == VOTES    ? voted_for(s, x)
                      : which == FIRSTS ? s->first.kind && qn_bft_same(&s->first.block, x)
                                        : s->final.kind && qn_bft_same(&s->final.block, x);
        if (counts) sum += m->conf.weights[i];
    }
    return sum;
}

uint64_t qn_bft_against(const struct qn_bft *m, const struct view *v)
{
    uint64_t sum = 0, most = 0;
    for (uint32_t i = 0; v->said && i < m->conf.cnt; i++) {
        const struct qn_vote *first = &v->said[i].first;
        if (!first->kind) continue;
        sum += m->conf.weights[i];
        if (qn_bft_same(&first->block, &NOTHING)) continue;
        uint64_t w = qn_bft_weigh(m, v, FIRSTS, &first->block);
        most = QN_MAX(most, w);
    }
    return sum - most;
}

struct qn_cert *qn_bft_cert_make(const struct qn_bft *m, const struct view *v, uint8_t kind,
                                 const struct qn_hash *x)
{
    struct qn_cert_vote votes[QN_SET_MAX], extras[QN_SET_MAX];
    struct qn_cert cert = { .kind = kind, .epoch = m->conf.epoch, .view = v->no, .block = *x };
    cert.votes.ptr = votes;
    cert.extras.ptr = extras;
    for (uint32_t i = 0; i < m->conf.cnt; i++) {
        const struct said *s = &v->said[i];
        const struct qn_vote *pick = NULL;
        if (kind == QN_CERT_SLOW) {
            if (s->final.kind && qn_bft_same(&s->final.block, x)) pick = &s->final;
        } else if (s->first.kind && qn_bft_same(&s->first.block, x)) {
            pick = &s->first;
        } else if (kind == QN_CERT_VIEW) {
            for (unsigned k = 0; k < s->extra_cnt && !pick; k++)
                if (qn_bft_same(&s->extra[k].block, x)) pick = &s->extra[k];
        }
        if (pick) qn_cert_add(&cert, pick);
    }
    return qn_cert_copy(&cert);
}

/* --- casting ------------------------------------------------------------------------------------------------------------- */

static void let_go(struct qn_bft *m, const struct qn_vote *vote)
{
    qn_bft_emit(m, QN_BFT_VOTE)->vote = *vote;
    put_vote(m, vote);
}

bool qn_bft_voted(const struct view *v, const struct qn_hash *x)
{
    for (unsigned i = 0; i < v->voted_cnt; i++)
        if (qn_bft_same(&v->voted[i], x)) return true;
    return false;
}

void qn_bft_note_mine(struct view *v, uint8_t kind, const struct qn_hash *x)
{
    if (kind == QN_VOTE_FIRST) v->first = true;
    if (kind == QN_VOTE_FINAL)
        v->final = true;
    else if (!qn_bft_voted(v, x) && v->voted_cnt < QN_COUNT(v->voted))
        v->voted[v->voted_cnt++] = *x;
}

void qn_bft_cast(struct qn_bft *m, struct view *v, uint8_t kind, const struct qn_hash *x)
{
    if (m->conf.self < 0) return;
    struct qn_vote vote = m->conf.sign
                              ? m->conf.sign(m->conf.arg, (uint16_t)m->conf.self, kind, v->no, x)
                              : qn_vote_make(m->conf.key, (uint16_t)m->conf.self, &m->conf.chain,
                                             kind, m->conf.epoch, v->no, x);
    bool fresh = v->voted_cnt == 0;
    qn_bft_note_mine(v, kind, x);
    if (m->waiting_cnt == m->waiting_cap) {
        m->waiting_cap = QN_MAX(m->waiting_cap * 2, (size_t)8);
        m->waiting = realloc(m->waiting, m->waiting_cap * sizeof *m->waiting);
        QN_ASSERT(m->waiting != NULL);
    }
    if (qn_bft_has_bug(m, QN_BUG_NO_JOURNAL)) {
        let_go(m, &vote);
        return;
    }
    m->waiting[m->waiting_cnt++] = (struct waiting){ ++m->token, vote };
    struct qn_bft_action *a = qn_bft_emit(m, QN_BFT_JOURNAL);
    a->vote = vote;
    a->token = m->token;
    a->block = *x;
    a->view = v->no;
    if (kind == QN_VOTE_FINAL) {
        a->cert = qn_bft_view_cert(v, x);
        return;
    }
    /* What led here is needed again after a restart of all: no block may skip a view whose end nobody can show. */
    const struct view *before = fresh ? qn_bft_view_find(m, v->no - 1) : NULL;
    if (before)
        a->cert = before->cert[1] ? before->cert[1] : before->final ? NULL : before->cert[0];
}

void qn_bft_journalled(struct qn_bft *m, uint64_t token)
{
    for (size_t i = 0; i < m->waiting_cnt; i++) {
        if (m->waiting[i].token != token) continue;
        struct qn_vote vote = m->waiting[i].vote;
        m->waiting[i] = m->waiting[--m->waiting_cnt];
        let_go(m, &vote);
        return;
    }
}

const struct qn_cert *qn_bft_view_cert(const struct view *v, const struct qn_hash *x)
{
    for (unsigned i = 0; i < 2; i++)
        if (v->cert[i] && qn_bft_same(&v->cert[i]->block, x)) return v->cert[i];
    for (unsigned i = 0; i < v->more_cnt; i++)
        if (qn_bft_same(&v->more[i]->block, x)) return v->more[i];
    return NULL;
}

/* Nothing but x was voted for. */
static bool only(const struct qn_bft *m, const struct view *v, const struct qn_hash *x)
{
    return v->voted_cnt == 0 || (v->voted_cnt == 1 && qn_bft_voted(v, x)) ||
           qn_bft_has_bug(m, QN_BUG_FINAL_ANYWAY);
}

/* Whether those who spoke in this view or the one before can make its block final with FIRST alone. */
static bool hopes_fast(const struct qn_bft *m, const struct view *v)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->conf.cnt; i++)
        if (m->heard[i] && m->heard[i] + 1 >= v->no) sum += m->conf.weights[i];
    return sum >= m->need.fast;
}

/* Whether FINAL for v's block waits, and votes have not made it final meanwhile. */
static bool is_ripe(const struct qn_bft *m, const struct view *v)
{
    return v->ripe && v->no > m->last.view && !v->cert[2];
}

void qn_bft_ripen(struct qn_bft *m)
{
    for (struct view *v = m->views; v; v = v->next) {
        if (!is_ripe(m, v)) continue;
        if (!v->final_ms) v->final_ms = m->now_ms + FINAL_WAIT_MS;
        if (m->now_ms < v->final_ms) continue;
        if (!v->final && only(m, v, &v->ripe->block))
            qn_bft_cast(m, v, QN_VOTE_FINAL, &v->ripe->block);
        v->ripe = NULL;
    }
}

uint64_t qn_bft_ripe_ms(const struct qn_bft *m)
{
    uint64_t at = UINT64_MAX;
    for (const struct view *v = m->views; v; v = v->next)
        if (is_ripe(m, v)) at = QN_MIN(at, v->final_ms);
    return at;
}

static void got_cert(struct qn_bft *m, struct view *v, struct qn_cert *cert QN_TAKES)
{
    bool nothing = qn_bft_same(&cert->block, &NOTHING);
    if (qn_bft_view_cert(v, &cert->block) || (v->cert[nothing] && v->more_cnt == MORE_MAX)) {
        free(cert);
        return;
    }
    *(v->cert[nothing] ? &v->more[v->more_cnt++] : &v->cert[nothing]) = cert;
    if (!qn_bft_has_bug(m, QN_BUG_NO_FORWARD)) qn_bft_emit(m, QN_BFT_CERT)->cert = cert;
    if (!nothing) {
        if (!v->final && !v->ripe && only(m, v, &cert->block)) {
            if (m->conf.self >= 0 && hopes_fast(m, v))
                v->ripe = cert;
            else
                qn_bft_cast(m, v, QN_VOTE_FINAL, &cert->block);
        }
        if (!qn_bft_block_find(m, &cert->block) && v->no > m->last.view)
            qn_bft_want(m, &cert->block);
    }
    if (v->no < m->view) return;
    if (nothing)
        m->delta_ms = QN_MIN(m->delta_ms * 3 / 2, (uint64_t)DELTA_MAX_MS);
    else
        m->delta_ms = QN_MAX(m->delta_ms * 3 / 4, (uint64_t)DELTA_MS);
    qn_bft_enter(m, v->no + 1);
}

void qn_bft_count(struct qn_bft *m, struct view *v, const struct qn_hash *x)
{
    bool nothing = qn_bft_same(x, &NOTHING);
    uint64_t q = m->need.q - qn_bft_has_bug(m, QN_BUG_QUORUM),
             fast = m->need.fast - qn_bft_has_bug(m, QN_BUG_FAST);
    if (!qn_bft_view_cert(v, x) && qn_bft_weigh(m, v, VOTES, x) >= q)
        got_cert(m, v, qn_bft_cert_make(m, v, QN_CERT_VIEW, x));
    if (nothing) return;
    if (qn_bft_weigh(m, v, FIRSTS, x) >= fast) qn_bft_make_final(m, v, QN_CERT_FAST, x);
    if (qn_bft_weigh(m, v, FINALS, x) >= q) qn_bft_make_final(m, v, QN_CERT_SLOW, x);
}

/* --- inputs -------------------------------------------------------------------------------------------------------------- */

static void accuse(struct qn_bft *m, const struct qn_vote *a, const struct qn_vote *b)
{
    struct qn_bft_action *act = qn_bft_emit(m, QN_BFT_EVIDENCE);
    act->vote = *a;
    act->other = *b;
}

bool qn_bft_keep(struct qn_bft *m, struct said *s, const struct qn_vote *vote)
{
    if (vote->kind == QN_VOTE_FINAL) {
        if (s->final.kind) {
            if (!qn_bft_same(&s->final.block, &vote->block)) accuse(m, &s->final, vote);
            return false;
        }
        if (s->first.kind && !qn_bft_same(&s->first.block, &vote->block))
            accuse(m, &s->first, vote);
        for (unsigned i = 0; i < s->extra_cnt; i++)
            if (!qn_bft_same(&s->extra[i].block, &vote->block)) accuse(m, &s->extra[i], vote);
        s->final = *vote;
        return true;
    }
    if (s->final.kind && !qn_bft_same(&s->final.block, &vote->block)) accuse(m, &s->final, vote);
    if (vote->kind == QN_VOTE_FIRST) {
        if (s->first.kind) {
            if (!qn_bft_same(&s->first.block, &vote->block)) accuse(m, &s->first, vote);
            return false;
        }
        s->first = *vote;
        return true;
    }
    for (unsigned i = 0; i < s->extra_cnt; i++)
        if (qn_bft_same(&s->extra[i].block, &vote->block)) return false;
    if (s->extra_cnt == EXTRA_MAX) return false;
    s->extra[s->extra_cnt++] = *vote;
    return true;
}

static bool counts(const struct qn_bft *m, const struct qn_vote *vote)
{
    return vote->signer < m->conf.cnt && vote->epoch == m->conf.epoch &&
           vote->view > m->last.view && vote->view <= m->view + AHEAD_MAX &&
           vote->view + BEHIND_MAX >= m->view && vote->kind >= QN_VOTE_FIRST &&
           vote->kind <= QN_VOTE_FINAL &&
           (vote->kind != QN_VOTE_FINAL || !qn_bft_same(&vote->block, &NOTHING));
}

/* A vote that decides nothing any more still tells that its signer is there. */
static bool tells(const struct qn_bft *m, const struct qn_vote *vote)
{
    return vote->signer < m->conf.cnt && vote->epoch == m->conf.epoch &&
           vote->view <= m->view + AHEAD_MAX && vote->view + QN_BFT_HEARD > m->view &&
           vote->kind >= QN_VOTE_FIRST && vote->kind <= QN_VOTE_FINAL &&
           vote->view > m->heard[vote->signer];
}

static void hear(struct qn_bft *m, const struct qn_vote *vote)
{
    if (tells(m, vote)) m->heard[vote->signer] = vote->view;
}

void qn_bft_hear_cert(struct qn_bft *m, const struct qn_cert *cert)
{
    for (uint32_t i = 0; i < qn_cert_cnt(cert); i++) {
        struct qn_vote vote = qn_cert_vote_whole(cert, i);
        hear(m, &vote);
    }
}

struct qn_hash qn_bft_heard(const struct qn_bft *m, uint64_t view)
{
    struct qn_hash bits = { { 0 } };
    for (uint32_t i = 0; i < m->conf.cnt; i++)
        if (m->heard[i] && m->heard[i] + QN_BFT_HEARD > view)
            bits.b[i / 8] |= (uint8_t)(1u << i % 8);
    return bits;
}

bool qn_bft_wants(const struct qn_bft *m, const struct qn_vote *vote)
{
    if (!counts(m, vote)) return tells(m, vote);
    const struct view *v = qn_bft_view_find(m, vote->view);
    if (!v || !v->said) return true;
    const struct said *s = &v->said[vote->signer];
    if (vote->kind == QN_VOTE_FIRST)
        return !s->first.kind || !qn_bft_same(&s->first.block, &vote->block);
    if (vote->kind == QN_VOTE_FINAL)
        return !s->final.kind || !qn_bft_same(&s->final.block, &vote->block);
    for (unsigned i = 0; i < s->extra_cnt; i++)
        if (qn_bft_same(&s->extra[i].block, &vote->block)) return false;
    return s->extra_cnt < EXTRA_MAX;
}

bool qn_bft_decides(const struct qn_bft *m, const struct qn_vote votes[], size_t cnt)
{
    const struct view *v = NULL;
    const struct qn_vote *one = NULL;
    uint64_t sum = 0;
    for (size_t i = 0; i < cnt; i++) {
        const struct qn_vote *vote = &votes[i];
        bool again = !qn_bft_wants(m, vote) || !counts(m, vote);
        for (size_t k = 0; k < i; k++)
            again |= votes[k].signer == vote->signer; /* one of the two, and it may be bad */
        if (again) continue;
        /* FIRST for one block of one view is what is worth waiting for, and all there is in calm. */
        if (vote->kind != QN_VOTE_FIRST || qn_bft_same(&vote->block, &NOTHING) ||
            (one && (vote->view != one->view || !qn_bft_same(&vote->block, &one->block))))
            return true;
        one = vote;
        v = qn_bft_view_find(m, vote->view);
        if (v && v->said && v->said[vote->signer].first.kind) return true; /* another before */
        sum += m->conf.weights[vote->signer];
    }
    if (!one) return false;
    const struct view none = { .no = one->view };
    if (v) sum += qn_bft_weigh(m, v, FIRSTS, &one->block);
    return sum >= (hopes_fast(m, v ? v : &none) ? m->need.fast : m->need.q);
}

bool qn_bft_holds(const struct qn_bft *m, const struct qn_vote *vote)
{
    const struct view *v = qn_bft_view_find(m, vote->view);
    if (!v || !v->said || vote->signer >= m->conf.cnt || vote->epoch != m->conf.epoch) return false;
    const struct said *s = &v->said[vote->signer];
    const struct qn_vote *at[2 + EXTRA_MAX] = { &s->first, &s->final };
    for (unsigned i = 0; i < EXTRA_MAX; i++)
        at[2 + i] = &s->extra[i];
    for (unsigned i = 0; i < QN_COUNT(at); i++)
        if (at[i]->kind == vote->kind && qn_bft_same(&at[i]->block, &vote->block) &&
            memcmp(&at[i]->sig, &vote->sig, sizeof vote->sig) == 0)
            return true;
    return false;
}

static void put_vote(struct qn_bft *m, const struct qn_vote *vote)
{
    hear(m, vote);
    if (!counts(m, vote)) return;
    struct view *v = qn_bft_view_make(m, vote->view);
    if (!v->said) v->said = calloc(m->conf.cnt, sizeof *v->said);
    QN_ASSERT(v->said != NULL);
    if (qn_bft_keep(m, &v->said[vote->signer], vote)) qn_bft_count(m, v, &vote->block);
}

void qn_bft_vote(struct qn_bft *m, const struct qn_vote *vote)
{
    qn_bft_prune(m);
    put_vote(m, vote);
    qn_bft_react(m);
}

void qn_bft_cert(struct qn_bft *m, const struct qn_cert *cert)
{
    qn_bft_prune(m);
    if (cert->epoch != m->conf.epoch || cert->view <= m->last.view) return;
    qn_bft_hear_cert(m, cert);
    if (cert->kind == QN_CERT_VIEW) {
        got_cert(m, qn_bft_view_make(m, cert->view), qn_cert_copy(cert));
    } else if (!qn_bft_same(&cert->block, &NOTHING) && !(m->ending && m->end_view >= cert->view)) {
        struct view *v = qn_bft_view_make(m, cert->view);
        if (!v->cert[2]) v->cert[2] = qn_cert_copy(cert);
        m->ending = true;
        m->end = cert->block;
        m->end_view = cert->view;
        if (!qn_bft_block_find(m, &cert->block)) qn_bft_want(m, &cert->block);
    }
    qn_bft_react(m);
}
