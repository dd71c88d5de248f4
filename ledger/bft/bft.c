/* bft.c - the machine: votes by view, certificates, the tree of blocks above the last final one. */
#include "ledger/bft/bft.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

#define EXTRA_MAX  4 /* different EXTRA of one signer in a view; honest ones cast fewer */
#define BLOCKS_MAX 4 /* blocks kept of one view: an honest leader makes one */
#define AHEAD_MAX  8 /* views ahead of ours whose votes are kept; a certificate jumps */
#define BEHIND_MAX 8 /* views behind ours whose votes still count towards finality */
#define SKEW_MAX_MS                                                                                \
    1000 /* between a block's time and our clock; the past may be older by what the way takes */
#define DELTA_MS      200 /* first guess of the network's delay */
#define DELTA_MAX_MS  30000
#define RESEND_MAX_MS 8000
#define RESEND_VIEWS  16   /* certificates of views that passed, at a time */
#define ASK_MS        1000 /* between two requests for the same block */

static const struct qn_hash NOTHING = { { 0 } };

/* What one validator said in a view. */
struct said {
    struct qn_vote first, final, extra[EXTRA_MAX]; /* kind 0: not yet */
    unsigned extra_cnt;
};

struct view {
    struct view *next; /* a higher one */
    uint64_t no;
    struct said *said;       /* one a validator; NULL when the votes were let go */
    struct qn_cert *cert[3]; /* for a block, for nothing, for a final block */
    /* Own votes, also those not journalled yet. */
    bool first, final;
    struct qn_hash voted[EXTRA_MAX + 1];
    unsigned voted_cnt;
};

struct block {
    struct block *next, *up; /* up: the child towards the block that votes made final */
    struct qn_bft_block b;
    bool asked, judged, valid; /* EXECUTE was said; the answer came; what it was */
};

struct waiting {
    uint64_t token;
    struct qn_vote vote;
};

struct qn_bft {
    struct qn_bft_conf conf;
    struct qn_quorum need;
    struct qn_bft_block last;
    struct view *views;
    struct block *blocks;
    uint64_t view, now_ms, deadline_ms, resend_ms, resend_step_ms, ask_ms, delta_ms, token;
    bool proposed;
    uint16_t leader; /* of the view: asked for at every input */
    uint64_t *heard; /* of each validator: the highest view that a vote of it is known of */
    /* A block that votes made final, until it and its ancestors are held and valid. */
    bool ending;
    struct qn_hash end;
    uint64_t end_view;
    struct waiting *waiting;
    size_t waiting_cnt, waiting_cap;
    struct qn_bft_action *out;
    size_t out_at, out_cnt, out_cap;
};

/* --- small things -------------------------------------------------------------------------------------------------------- */

static bool bug(const struct qn_bft *m, enum qn_bft_bug which)
{
    return m->conf.bug == which;
}

static bool same(const struct qn_hash *a, const struct qn_hash *b)
{
    return qn_hash_cmp(a, b) == 0;
}

static struct qn_bft_action *emit(struct qn_bft *m, enum qn_bft_what what)
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

static void cert_free(struct qn_cert *cert)
{
    if (cert) free(cert->votes.ptr);
    free(cert);
}

static struct qn_cert *cert_copy(const struct qn_cert *cert)
{
    struct qn_cert *copy = malloc(sizeof *copy);
    QN_ASSERT(copy != NULL);
    *copy = *cert;
    copy->votes.ptr = malloc((cert->votes.cnt + 1) * sizeof *cert->votes.ptr);
    QN_ASSERT(copy->votes.ptr != NULL);
    if (cert->votes.cnt)
        memcpy(copy->votes.ptr, cert->votes.ptr, cert->votes.cnt * sizeof *cert->votes.ptr);
    return copy;
}

static struct view *view_find(const struct qn_bft *m, uint64_t no)
{
    for (struct view *v = m->views; v && v->no <= no; v = v->next)
        if (v->no == no) return v;
    return NULL;
}

static struct view *view_make(struct qn_bft *m, uint64_t no)
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
        cert_free(v->cert[i]);
    free(v->said);
    free(v);
}

static struct block *block_find(const struct qn_bft *m, const struct qn_hash *hash)
{
    for (struct block *b = m->blocks; b; b = b->next)
        if (same(&b->b.hash, hash)) return b;
    return NULL;
}

/* What lies below the last final block is history. Only between two drained inputs: actions lend certificates. */
static void prune(struct qn_bft *m)
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

/* --- weighing ------------------------------------------------------------------------------------------------------------ */

static bool voted_for(const struct said *s, const struct qn_hash *x)
{
    if (s->first.kind && same(&s->first.block, x)) return true;
    for (unsigned i = 0; i < s->extra_cnt; i++)
        if (same(&s->extra[i].block, x)) return true;
    return false;
}

/* Weight of FIRST for x, of FIRST or EXTRA for x, of FINAL for x. */
enum tally { FIRSTS, VOTES, FINALS };

static uint64_t weigh(const struct qn_bft *m, const struct view *v, enum tally which,
                      const struct qn_hash *x)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; v->said && i < m->conf.cnt; i++) {
        const struct said *s = &v->said[i];
        bool counts = which == VOTES    ? voted_for(s, x)
                      : which == FIRSTS ? s->first.kind && same(&s->first.block, x)
                                        : s->final.kind && same(&s->final.block, x);
        if (counts) sum += m->conf.weights[i];
    }
    return sum;
}

/* Weight of all FIRST less that of the strongest block. */
static uint64_t against(const struct qn_bft *m, const struct view *v)
{
    uint64_t sum = 0, most = 0;
    for (uint32_t i = 0; v->said && i < m->conf.cnt; i++) {
        const struct qn_vote *first = &v->said[i].first;
        if (!first->kind) continue;
        sum += m->conf.weights[i];
        if (same(&first->block, &NOTHING)) continue;
        uint64_t w = weigh(m, v, FIRSTS, &first->block);
        most = QN_MAX(most, w);
    }
    return sum - most;
}

/* The certificate that the votes of v for x make; kind QN_CERT_*. */
static struct qn_cert *cert_make(const struct qn_bft *m, const struct view *v, uint8_t kind,
                                 const struct qn_hash *x)
{
    struct qn_vote votes[QN_SET_MAX];
    struct qn_cert cert = { .kind = kind, .epoch = m->conf.epoch, .view = v->no, .block = *x };
    for (uint32_t i = 0; i < m->conf.cnt; i++) {
        const struct said *s = &v->said[i];
        const struct qn_vote *pick = NULL;
        if (kind == QN_CERT_SLOW) {
            if (s->final.kind && same(&s->final.block, x)) pick = &s->final;
        } else if (s->first.kind && same(&s->first.block, x)) {
            pick = &s->first;
        } else if (kind == QN_CERT_VIEW) {
            for (unsigned k = 0; k < s->extra_cnt && !pick; k++)
                if (same(&s->extra[k].block, x)) pick = &s->extra[k];
        }
        if (pick) votes[cert.votes.cnt++] = *pick;
    }
    cert.votes.ptr = votes;
    return cert_copy(&cert);
}

/* --- casting ------------------------------------------------------------------------------------------------------------- */

static void put_vote(struct qn_bft *m, const struct qn_vote *vote);

static void let_go(struct qn_bft *m, const struct qn_vote *vote)
{
    emit(m, QN_BFT_VOTE)->vote = *vote;
    put_vote(m, vote);
}

static bool voted(const struct view *v, const struct qn_hash *x)
{
    for (unsigned i = 0; i < v->voted_cnt; i++)
        if (same(&v->voted[i], x)) return true;
    return false;
}

static void note_mine(struct view *v, uint8_t kind, const struct qn_hash *x)
{
    if (kind == QN_VOTE_FIRST) v->first = true;
    if (kind == QN_VOTE_FINAL)
        v->final = true;
    else if (!voted(v, x) && v->voted_cnt < QN_COUNT(v->voted))
        v->voted[v->voted_cnt++] = *x;
}

static void cast(struct qn_bft *m, struct view *v, uint8_t kind, const struct qn_hash *x)
{
    if (m->conf.self < 0) return;
    struct qn_vote vote = m->conf.sign
                              ? m->conf.sign(m->conf.arg, (uint16_t)m->conf.self, kind, v->no, x)
                              : qn_vote_make(m->conf.key, (uint16_t)m->conf.self, &m->conf.chain,
                                             kind, m->conf.epoch, v->no, x);
    bool fresh = v->voted_cnt == 0;
    note_mine(v, kind, x);
    if (m->waiting_cnt == m->waiting_cap) {
        m->waiting_cap = QN_MAX(m->waiting_cap * 2, (size_t)8);
        m->waiting = realloc(m->waiting, m->waiting_cap * sizeof *m->waiting);
        QN_ASSERT(m->waiting != NULL);
    }
    if (bug(m, QN_BUG_NO_JOURNAL)) {
        let_go(m, &vote);
        return;
    }
    m->waiting[m->waiting_cnt++] = (struct waiting){ ++m->token, vote };
    struct qn_bft_action *a = emit(m, QN_BFT_JOURNAL);
    a->vote = vote;
    a->token = m->token;
    a->block = *x;
    a->view = v->no;
    if (kind == QN_VOTE_FINAL) {
        a->cert = v->cert[0];
        return;
    }
    /* What led here is needed again after a restart of all: no block may skip a view whose end nobody can show. */
    const struct view *before = fresh ? view_find(m, v->no - 1) : NULL;
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

/* --- the tree ------------------------------------------------------------------------------------------------------------ */

static bool is_nothing(const struct qn_bft *m, uint64_t view)
{
    const struct view *v = view_find(m, view);
    return bug(m, QN_BUG_SKIP_NOTHING) || (v && v->cert[1]);
}

static bool is_certified(const struct qn_bft *m, const struct qn_hash *hash, uint64_t view)
{
    const struct view *v = view_find(m, view);
    if (bug(m, QN_BUG_ANY_PARENT)) return true;
    return same(hash, &m->last.hash) || (v && v->cert[0] && same(&v->cert[0]->block, hash));
}

/* May b's parent have a child in b's view? */
static bool well_placed(const struct qn_bft *m, const struct qn_bft_block *b)
{
    if (b->parent_view >= b->view || b->parent_view < m->last.view ||
        !is_certified(m, &b->parent, b->parent_view))
        return false;
    for (uint64_t v = b->parent_view + 1; v < b->view; v++)
        if (!is_nothing(m, v)) return false;
    return true;
}

static bool is_held(const struct qn_bft *m, const struct qn_hash *hash)
{
    const struct block *b = block_find(m, hash);
    return same(hash, &m->last.hash) || (b && b->valid);
}

static void ask_run(struct qn_bft *m)
{
    for (struct block *b = m->blocks; b; b = b->next) {
        if (b->asked || !is_held(m, &b->b.parent)) continue;
        b->asked = true;
        struct qn_bft_action *a = emit(m, QN_BFT_EXECUTE);
        a->block = b->b.hash;
        a->view = b->b.view;
    }
}

static void want(struct qn_bft *m, const struct qn_hash *hash)
{
    emit(m, QN_BFT_WANT)->block = *hash;
}

static void enter(struct qn_bft *m, uint64_t view)
{
    m->view = view;
    m->leader = qn_bft_leader(&m->conf, view);
    m->proposed = false;
    m->deadline_ms = m->now_ms + m->conf.block_ms + 2 * m->delta_ms + 100;
    m->resend_step_ms = QN_MIN(2 * m->delta_ms, (uint64_t)RESEND_MAX_MS);
    m->resend_ms = m->now_ms + m->resend_step_ms;
}

/* Says FINAL for the block that votes ended at and its ancestors, once all are here. */
static void advance(struct qn_bft *m)
{
    struct block *child = NULL, *b;
    if (!m->ending) return;
    struct qn_hash at = m->end;
    /* Down to the last final block, turning each `up` towards the end; a tick asks for what is missing. */
    for (; !same(&at, &m->last.hash); at = b->b.parent) {
        b = block_find(m, &at);
        if (!b || !b->valid || b->b.view <= m->last.view) return;
        b->up = child;
        child = b;
    }
    for (b = child; b; b = b->up) {
        struct qn_bft_action *a = emit(m, QN_BFT_FINAL);
        a->block = b->b.hash;
        a->view = b->b.view;
        a->by = view_find(m, m->end_view)->cert[2];
        if (!b->up) a->cert = a->by;
        m->last = b->b;
    }
    m->ending = false;
    if (m->view <= m->last.view) enter(m, m->last.view + 1);
}

static void make_final(struct qn_bft *m, struct view *v, uint8_t kind, const struct qn_hash *x)
{
    if (v->no <= m->last.view || (m->ending && m->end_view >= v->no)) return;
    if (!v->cert[2]) v->cert[2] = cert_make(m, v, kind, x);
    m->ending = true;
    m->end = *x;
    m->end_view = v->no;
    if (!block_find(m, x)) want(m, x);
    advance(m);
}

/* --- the rules ----------------------------------------------------------------------------------------------------------- */

static void try_first(struct qn_bft *m)
{
    struct view *v = view_make(m, m->view);
    if (m->conf.self < 0 || v->first || v->final) return;
    for (const struct block *b = m->blocks; b; b = b->next) {
        if (b->b.view != m->view || b->b.proposer != m->leader || !b->valid ||
            !well_placed(m, &b->b))
            continue;
        uint64_t t = b->b.t_ms;
        if (t > m->now_ms + SKEW_MAX_MS || t + SKEW_MAX_MS + 2 * m->delta_ms < m->now_ms) continue;
        cast(m, v, QN_VOTE_FIRST, &b->b.hash);
        return;
    }
}

static void try_extra(struct qn_bft *m, uint64_t no)
{
    struct view *v = view_make(m, no);
    uint64_t weak = m->need.weak - (bug(m, QN_BUG_WEAK) ? m->need.traitors : 0);
    if (m->conf.self < 0 || bug(m, QN_BUG_NO_EXTRA) || (v->final && !bug(m, QN_BUG_VOTE_AFTER)))
        return;
    for (const struct block *b = m->blocks; b; b = b->next)
        if (b->b.view == no && b->valid && !voted(v, &b->b.hash) && v->voted_cnt < EXTRA_MAX &&
            weigh(m, v, FIRSTS, &b->b.hash) >= weak)
            cast(m, v, QN_VOTE_EXTRA, &b->b.hash);
    if (!voted(v, &NOTHING) && against(m, v) >= m->need.weak) cast(m, v, QN_VOTE_EXTRA, &NOTHING);
}

static void try_propose(struct qn_bft *m)
{
    if (m->proposed || m->conf.self < 0 || m->leader != (uint16_t)m->conf.self) return;
    const struct view *mine = view_find(m, m->view);
    if (mine && (mine->first || mine->final)) return; /* a restart: this view's word is given */
    for (uint64_t p = m->view - 1;; p--) {
        const struct view *v = view_find(m, p);
        const struct qn_hash *parent = p == m->last.view ? &m->last.hash
                                       : v && v->cert[0] ? &v->cert[0]->block
                                                         : NULL;
        if (parent) {
            if (!is_held(m, parent)) return;
            m->proposed = true;
            struct qn_bft_action *a = emit(m, QN_BFT_PROPOSE);
            a->view = m->view;
            a->block = *parent;
            a->parent_view = p;
            return;
        }
        if (!v || !v->cert[1] || p <= m->last.view) return;
    }
}

/* All that may have become possible in the present view. */
static void react(struct qn_bft *m)
{
    uint64_t before;
    do {
        before = m->view;
        ask_run(m);
        advance(m);
        try_propose(m);
        try_first(m);
        try_extra(m, m->view);
        if (bug(m, QN_BUG_VOTE_AFTER) && m->view > m->last.view + 1) try_extra(m, m->view - 1);
    } while (m->view != before);
}

static void got_cert(struct qn_bft *m, struct view *v, struct qn_cert *cert QN_TAKES)
{
    bool nothing = same(&cert->block, &NOTHING);
    if (v->cert[nothing]) {
        cert_free(cert);
        return;
    }
    v->cert[nothing] = cert;
    if (!bug(m, QN_BUG_NO_FORWARD)) emit(m, QN_BFT_CERT)->cert = cert;
    if (!nothing) {
        bool only = v->voted_cnt == 0 || (v->voted_cnt == 1 && voted(v, &cert->block));
        if (!v->final && (only || bug(m, QN_BUG_FINAL_ANYWAY)))
            cast(m, v, QN_VOTE_FINAL, &cert->block);
        if (!block_find(m, &cert->block) && v->no > m->last.view) want(m, &cert->block);
    }
    if (v->no < m->view) return;
    if (nothing)
        m->delta_ms = QN_MIN(m->delta_ms * 3 / 2, (uint64_t)DELTA_MAX_MS);
    else
        m->delta_ms = QN_MAX(m->delta_ms * 3 / 4, (uint64_t)DELTA_MS);
    enter(m, v->no + 1);
}

static void count(struct qn_bft *m, struct view *v, const struct qn_hash *x)
{
    bool nothing = same(x, &NOTHING);
    uint64_t q = m->need.q - bug(m, QN_BUG_QUORUM), fast = m->need.fast - bug(m, QN_BUG_FAST);
    if (!v->cert[nothing] && weigh(m, v, VOTES, x) >= q)
        got_cert(m, v, cert_make(m, v, QN_CERT_VIEW, x));
    if (nothing) return;
    if (weigh(m, v, FIRSTS, x) >= fast) make_final(m, v, QN_CERT_FAST, x);
    if (weigh(m, v, FINALS, x) >= q) make_final(m, v, QN_CERT_SLOW, x);
}

/* --- inputs -------------------------------------------------------------------------------------------------------------- */

static void accuse(struct qn_bft *m, const struct qn_vote *a, const struct qn_vote *b)
{
    struct qn_bft_action *act = emit(m, QN_BFT_EVIDENCE);
    act->vote = *a;
    act->other = *b;
}

/* Says whether it is new; two votes of one signer that exclude each other are evidence. */
static bool keep(struct qn_bft *m, struct said *s, const struct qn_vote *vote)
{
    if (vote->kind == QN_VOTE_FINAL) {
        if (s->final.kind) {
            if (!same(&s->final.block, &vote->block)) accuse(m, &s->final, vote);
            return false;
        }
        if (s->first.kind && !same(&s->first.block, &vote->block)) accuse(m, &s->first, vote);
        for (unsigned i = 0; i < s->extra_cnt; i++)
            if (!same(&s->extra[i].block, &vote->block)) accuse(m, &s->extra[i], vote);
        s->final = *vote;
        return true;
    }
    if (s->final.kind && !same(&s->final.block, &vote->block)) accuse(m, &s->final, vote);
    if (vote->kind == QN_VOTE_FIRST) {
        if (s->first.kind) {
            if (!same(&s->first.block, &vote->block)) accuse(m, &s->first, vote);
            return false;
        }
        s->first = *vote;
        return true;
    }
    for (unsigned i = 0; i < s->extra_cnt; i++)
        if (same(&s->extra[i].block, &vote->block)) return false;
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
           (vote->kind != QN_VOTE_FINAL || !same(&vote->block, &NOTHING));
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

static void hear_cert(struct qn_bft *m, const struct qn_cert *cert)
{
    for (uint32_t i = 0; i < cert->votes.cnt; i++)
        hear(m, &cert->votes.ptr[i]);
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
    const struct view *v = view_find(m, vote->view);
    if (!v || !v->said) return true;
    const struct said *s = &v->said[vote->signer];
    if (vote->kind == QN_VOTE_FIRST) return !s->first.kind || !same(&s->first.block, &vote->block);
    if (vote->kind == QN_VOTE_FINAL) return !s->final.kind || !same(&s->final.block, &vote->block);
    for (unsigned i = 0; i < s->extra_cnt; i++)
        if (same(&s->extra[i].block, &vote->block)) return false;
    return s->extra_cnt < EXTRA_MAX;
}

bool qn_bft_awaits(const struct qn_bft *m, const struct qn_hash *block)
{
    if (block_find(m, block)) return false;
    if (m->ending && same(&m->end, block)) return true;
    for (const struct view *v = m->views; v; v = v->next)
        if (v->cert[0] && same(&v->cert[0]->block, block)) return true;
    for (const struct block *b = m->blocks; b; b = b->next)
        if (same(&b->b.parent, block)) return true;
    return false;
}

static void put_vote(struct qn_bft *m, const struct qn_vote *vote)
{
    hear(m, vote);
    if (!counts(m, vote)) return;
    struct view *v = view_make(m, vote->view);
    if (!v->said) v->said = calloc(m->conf.cnt, sizeof *v->said);
    QN_ASSERT(v->said != NULL);
    if (keep(m, &v->said[vote->signer], vote)) count(m, v, &vote->block);
}

void qn_bft_vote(struct qn_bft *m, const struct qn_vote *vote)
{
    prune(m);
    put_vote(m, vote);
    react(m);
}

void qn_bft_cert(struct qn_bft *m, const struct qn_cert *cert)
{
    prune(m);
    if (cert->epoch != m->conf.epoch || cert->view <= m->last.view) return;
    hear_cert(m, cert);
    if (cert->kind == QN_CERT_VIEW) {
        got_cert(m, view_make(m, cert->view), cert_copy(cert));
    } else if (!same(&cert->block, &NOTHING) && !(m->ending && m->end_view >= cert->view)) {
        struct view *v = view_make(m, cert->view);
        if (!v->cert[2]) v->cert[2] = cert_copy(cert);
        m->ending = true;
        m->end = cert->block;
        m->end_view = cert->view;
        if (!block_find(m, &cert->block)) want(m, &cert->block);
    }
    react(m);
}

void qn_bft_proposal(struct qn_bft *m, const struct qn_bft_block *block)
{
    unsigned cnt = 0;
    prune(m);
    if (block->view <= m->last.view || block_find(m, &block->hash)) return;
    const struct view *v = view_find(m, block->view);
    bool certified = v && v->cert[0] && same(&v->cert[0]->block, &block->hash);
    for (const struct block *b = m->blocks; b; b = b->next)
        cnt += b->b.view == block->view;
    bool awaited = certified || (m->ending && same(&m->end, &block->hash));
    for (const struct block *b = m->blocks; b && !awaited; b = b->next)
        awaited = same(&b->b.parent, &block->hash);
    if (!awaited && (cnt >= BLOCKS_MAX || block->view > m->view + AHEAD_MAX)) return;
    struct block *b = calloc(1, sizeof *b);
    QN_ASSERT(b != NULL);
    b->b = *block;
    b->next = m->blocks;
    m->blocks = b;
    if (awaited && !same(&block->parent, &m->last.hash) && !block_find(m, &block->parent))
        want(m, &block->parent); /* on its way down to what is known */
    react(m);
}

void qn_bft_valid(struct qn_bft *m, const struct qn_hash *block, bool valid)
{
    prune(m);
    struct block *b = block_find(m, block);
    if (!b || b->judged) return;
    b->asked = b->judged = true;
    b->valid = valid;
    react(m);
}

void qn_bft_synced(struct qn_bft *m, const struct qn_bft_block *block, const struct qn_cert *cert)
{
    prune(m);
    if (block->view <= m->last.view) return;
    struct view *v = view_make(m, block->view);
    if (!v->cert[2]) v->cert[2] = cert_copy(cert);
    if (m->ending && m->end_view <= block->view) m->ending = false;
    m->last = *block;
    if (m->view <= block->view) enter(m, block->view + 1);
    hear_cert(m, cert);
    react(m);
}

void qn_bft_restore(struct qn_bft *m, const struct qn_vote *mine)
{
    if (bug(m, QN_BUG_FORGET) || mine->view <= m->last.view) return;
    struct view *v = view_make(m, mine->view);
    note_mine(v, mine->kind, &mine->block);
    if (!v->said) v->said = calloc(m->conf.cnt, sizeof *v->said);
    QN_ASSERT(v->said != NULL);
    bool fresh = keep(m, &v->said[mine->signer], mine);
    (void)fresh; /* weighed at the start */
}

void qn_bft_start(struct qn_bft *m, uint64_t now_ms)
{
    m->now_ms = now_ms;
    enter(m, m->last.view + 1);
    for (struct view *v = m->views; v && m->conf.self >= 0; v = v->next) {
        if (!v->said) continue;
        const struct said *s = &v->said[m->conf.self];
        if (s->first.kind) count(m, v, &s->first.block);
        for (unsigned i = 0; i < s->extra_cnt; i++)
            count(m, v, &s->extra[i].block);
        if (s->final.kind) count(m, v, &s->final.block);
    }
    react(m);
}

static void ask_missing(struct qn_bft *m)
{
    /* What may be voted for, is certified, final or somebody's parent, and not here. */
    const struct view *now = view_find(m, m->view);
    for (uint32_t i = 0; now && now->said && i < m->conf.cnt; i++) {
        const struct qn_vote *first = &now->said[i].first;
        if (first->kind && !same(&first->block, &NOTHING) && !block_find(m, &first->block) &&
            weigh(m, now, FIRSTS, &first->block) >= m->need.weak)
            want(m, &first->block);
    }
    for (const struct view *v = m->views; v; v = v->next)
        if (v->no > m->last.view && v->cert[0] && !block_find(m, &v->cert[0]->block))
            want(m, &v->cert[0]->block);
    for (const struct block *b = m->blocks; b; b = b->next)
        if (!same(&b->b.parent, &m->last.hash) && !block_find(m, &b->b.parent))
            want(m, &b->b.parent);
    if (m->ending && !block_find(m, &m->end)) want(m, &m->end);
    /* Who jumped ahead on one certificate lacks those below it, without which nobody may build on what is under them. */
    uint64_t low = m->last.view;
    for (const struct view *v = m->views; v; v = v->next)
        if (v->cert[0] && v->no < m->view) low = QN_MAX(low, v->no);
    for (uint64_t no = low + 1; no < m->view; no++) {
        const struct view *v = view_find(m, no);
        if (v && v->cert[1]) continue;
        emit(m, QN_BFT_WANT)->view = no;
        return;
    }
}

static void resend(struct qn_bft *m)
{
    struct view *end = view_find(m, m->last.view);
    if (end && end->cert[2]) emit(m, QN_BFT_CERT)->cert = end->cert[2];
    for (struct view *v = m->views; v; v = v->next) {
        if (v->no + 1 < m->view) continue;
        if (v->no + 1 == m->view && !bug(m, QN_BUG_NO_FORWARD))
            for (unsigned i = 0; i < 2; i++)
                if (v->cert[i]) emit(m, QN_BFT_CERT)->cert = v->cert[i];
        if (m->conf.self < 0 || !v->said) continue;
        const struct said *s = &v->said[m->conf.self];
        if (s->first.kind) emit(m, QN_BFT_VOTE)->vote = s->first;
        for (unsigned i = 0; i < s->extra_cnt; i++)
            emit(m, QN_BFT_VOTE)->vote = s->extra[i];
        if (s->final.kind) emit(m, QN_BFT_VOTE)->vote = s->final;
    }
    for (const struct block *b = m->blocks; b; b = b->next)
        if (m->conf.self >= 0 && b->b.view == m->view && b->b.proposer == m->conf.self)
            emit(m, QN_BFT_PROPOSAL)->block = b->b.hash;
}

void qn_bft_tick(struct qn_bft *m, uint64_t now_ms)
{
    prune(m);
    m->now_ms = QN_MAX(m->now_ms, now_ms);
    struct view *v = view_make(m, m->view);
    /* Also after EXTRA for nothing: others weigh the FIRST of everybody. */
    if (m->now_ms >= m->deadline_ms && !v->final &&
        (!v->first || (bug(m, QN_BUG_TWO_FIRST) && !voted(v, &NOTHING))))
        cast(m, v, QN_VOTE_FIRST, &NOTHING);
    if (m->now_ms >= m->ask_ms) { /* views may pass quickly above a node that lacks one block */
        ask_missing(m);
        m->ask_ms = m->now_ms + ASK_MS;
    }
    if (m->now_ms >= m->resend_ms) {
        resend(m);
        m->resend_step_ms = QN_MIN(m->resend_step_ms * 2, (uint64_t)RESEND_MAX_MS);
        m->resend_ms = m->now_ms + m->resend_step_ms;
    }
    react(m);
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
    const struct view *v = view_find(m, m->view);
    bool open = !v || (!v->first && !v->final);
    uint64_t wake = QN_MIN(m->ask_ms, m->resend_ms);
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
    const struct view *v = view_find(m, view);
    return v ? v->cert[nothing] : NULL;
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
    view_make(m, last->view)->cert[2] = cert_copy(cert);
    hear_cert(m, cert);
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
