/* paid.c - the payee's journal and its index. A frame is a row after row: u8 kind | Borsh record. */
#include "modules/agents/paid.h"

#include "core/crypto/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_KIND 16
#define FRAME_FULL (4u << 20) /* staged bytes at which a commit cannot wait */

enum { ROW_PAID = 1, ROW_DONE = 2 };

struct paid {
    struct qn_journal *journal;
    struct paid_call **calls;
    struct paid_chan **chans, *chan_list;
    size_t call_cnt, call_cap, chan_cnt, chan_cap; /* caps are powers of two */
    struct paid_call *oldest, *newest;             /* ended */
    size_t ended_cnt;
    struct qn_buf staged;
    struct paid_call **touched; /* calls with a staged row */
    size_t touched_cnt, touched_cap;
    bool broken;
};

static size_t bucket(const struct qn_hash *key, size_t cap)
{
    uint64_t n;
    memcpy(&n, key->b, sizeof n); /* keys are hashes, so any bits do */
    return (size_t)(n & (cap - 1));
}

static struct qn_hash call_key(const struct qn_hash *channel, const struct qn_hash *idem)
{
    return qn_h2("paid", channel, idem);
}

struct qn_hash paid_voucher_hash(const struct agents_voucher *v)
{
    struct qn_buf buf = { 0 };
    qn_encode(agents_voucher_record(), v, &buf);
    struct qn_hash ret = qn_h("paid voucher", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return ret;
}

static struct paid_call *find_key(struct paid *p, const struct qn_hash *key)
{
    struct paid_call *call = p->calls[bucket(key, p->call_cap)];
    while (call && !qn_hash_eq(&call->key, key))
        call = call->next;
    return call;
}

struct paid_call *paid_find(struct paid *p, const struct qn_hash *channel,
                            const struct qn_hash *idem)
{
    struct qn_hash key = call_key(channel, idem);
    return find_key(p, &key);
}

struct paid_chan *paid_chan_find(struct paid *p, const struct qn_hash *id)
{
    struct paid_chan *chan = p->chans[bucket(id, p->chan_cap)];
    while (chan && !qn_hash_eq(&chan->id, id))
        chan = chan->next;
    return chan;
}

struct paid_chan *paid_chan_list(struct paid *p)
{
    return p->chan_list;
}

static void grow_calls(struct paid *p)
{
    size_t cap = p->call_cap * 2;
    struct paid_call **old = p->calls;
    p->calls = calloc(cap, sizeof *p->calls);
    QN_ASSERT(p->calls != NULL);
    for (size_t i = 0; i < p->call_cap; i++)
        for (struct paid_call *c = old[i], *next; c; c = next) {
            next = c->next;
            struct paid_call **at = &p->calls[bucket(&c->key, cap)];
            c->next = *at;
            *at = c;
        }
    p->call_cap = cap;
    free(old);
}

static void grow_chans(struct paid *p)
{
    size_t cap = p->chan_cap * 2;
    struct paid_chan **old = p->chans;
    p->chans = calloc(cap, sizeof *p->chans);
    QN_ASSERT(p->chans != NULL);
    for (struct paid_chan *c = p->chan_list; c; c = c->list) {
        struct paid_chan **at = &p->chans[bucket(&c->id, cap)];
        c->next = *at;
        *at = c;
    }
    p->chan_cap = cap;
    free(old);
}

/* The channel of a row; a new one begins at what was due before its first row. */
static struct paid_chan *chan_of(struct paid *p, const struct agents_paid *row)
{
    struct paid_chan *chan = paid_chan_find(p, &row->voucher.channel);
    if (chan) return chan;
    if (p->chan_cnt >= p->chan_cap) grow_chans(p);
    chan = calloc(1, sizeof *chan);
    QN_ASSERT(chan != NULL);
    struct paid_chan **at = &p->chans[bucket(&row->voucher.channel, p->chan_cap)];
    *chan = (struct paid_chan){ .next = *at,
                                .list = p->chan_list,
                                .id = row->voucher.channel,
                                .due = row->due,
                                .charged = row->due };
    *at = p->chan_list = chan;
    p->chan_cnt++;
    return chan;
}

static void forget_oldest(struct paid *p)
{
    struct paid_call *gone = p->oldest;
    if (gone->live) return; /* its answer is on the way */
    p->oldest = gone->newer;
    if (!p->oldest) p->newest = NULL;
    struct paid_call **at = &p->calls[bucket(&gone->key, p->call_cap)];
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    free(gone);
    p->call_cnt--;
    p->ended_cnt--;
}

/* --- what rows mean, the same when they are written and when they are read again ----------------------- */

static struct paid_call *apply_paid(struct paid *p, const struct agents_paid *row)
{
    struct paid_chan *chan = chan_of(p, row);
    struct paid_call *call = calloc(1, sizeof *call);
    QN_ASSERT(call != NULL);
    if (p->call_cnt >= p->call_cap) grow_calls(p);
    call->key = call_key(&row->voucher.channel, &row->idem);
    call->voucher = paid_voucher_hash(&row->voucher);
    call->chan = chan;
    call->price = row->price;
    struct paid_call **at = &p->calls[bucket(&call->key, p->call_cap)];
    call->next = *at;
    *at = call;
    p->call_cnt++;
    chan->seq = row->voucher.seq;
    chan->due = QN_UQN(row->due.uqn + row->price.uqn);
    return call;
}

struct qn_amount paid_charge(const struct paid_call *call, uint8_t status)
{
    return status == 0 ? QN_UQN(call->chan->charged.uqn + call->price.uqn) : call->chan->charged;
}

static void apply_done(struct paid *p, struct paid_call *call, uint8_t status,
                       const struct agents_voucher *voucher)
{
    struct paid_chan *chan = call->chan;
    chan->charged = paid_charge(call, status);
    if (status) chan->due = QN_UQN(chan->due.uqn - call->price.uqn);
    call->state = status ? PAID_ABORTED : PAID_DONE;
    if (voucher->cum.uqn <= chan->charged.uqn &&
        (!chan->has_best || voucher->seq > chan->best.seq)) {
        chan->best = *voucher;
        chan->has_best = true;
    }
    *(p->newest ? &p->newest->newer : &p->oldest) = call;
    p->newest = call;
    if (++p->ended_cnt > PAID_KEPT_MAX) forget_oldest(p);
}

/* --- reading the journal ----------------------------------------------------------------------------------- */

static qn_rc damaged(struct qn_why *why)
{
    return qn_why(why, QN_E_CORRUPT, "the journal of paid requests contradicts itself");
}

static qn_rc visit(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                   struct qn_span payload, struct qn_why *why)
{
    struct paid *p = arg;
    struct qn_arena arena = { 0 };
    const uint8_t *begin = payload.ptr;
    qn_rc rc = kind == FRAME_KIND ? QN_OK : damaged(why);
    (void)seq;
    while (rc == QN_OK && payload.len) {
        struct agents_paid paid;
        struct agents_done done;
        struct paid_call *call = NULL;
        uint32_t off = (uint32_t)(payload.ptr - begin);
        uint8_t row;
        if (!qn_take_u8(&payload, &row)) break;
        if (row == ROW_PAID) {
            rc = qn_decode_front(agents_paid_record(), &payload, &arena, &paid, why);
            if (rc) break;
            if (paid_find(p, &paid.voucher.channel, &paid.idem)) rc = damaged(why);
            if (rc == QN_OK) call = apply_paid(p, &paid);
        } else if (row == ROW_DONE) {
            rc = qn_decode_front(agents_done_record(), &payload, &arena, &done, why);
            if (rc) break;
            call = paid_find(p, &done.receipt.channel, &done.idem);
            struct agents_voucher was;
            if (!call || call->state != PAID_RESERVED) rc = damaged(why);
            /* Its voucher is in the row that reserved it. */
            if (rc == QN_OK && !call->live) rc = damaged(why);
            if (rc == QN_OK) {
                memcpy(&was, call->live, sizeof was);
                free(call->live);
                call->live = NULL;
                apply_done(p, call, done.receipt.status, &was);
            }
        } else {
            rc = damaged(why);
        }
        if (rc == QN_OK) {
            call->at = at;
            call->off = off;
            if (row == ROW_PAID) { /* until the journal is read */
                call->live = malloc(sizeof paid.voucher);
                QN_ASSERT(call->live != NULL);
                memcpy(call->live, &paid.voucher, sizeof paid.voucher);
            }
        }
        qn_arena_free(&arena);
    }
    qn_arena_free(&arena);
    return rc;
}

static void each_call(struct paid *p, void (*fn)(void *arg, struct paid_call *call), void *arg)
{
    for (size_t i = 0; i < p->call_cap; i++)
        for (struct paid_call *c = p->calls[i], *next; c; c = next) {
            next = c->next;
            fn(arg, c);
        }
}

static void drop_live(void *arg, struct paid_call *call)
{
    (void)arg;
    free(call->live);
    call->live = NULL;
}

qn_rc paid_open(const char *home, struct paid **ret, struct qn_why *why)
{
    char dir[4000];
    struct paid *p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    p->call_cap = p->chan_cap = 256;
    p->calls = calloc(p->call_cap, sizeof *p->calls);
    p->chans = calloc(p->chan_cap, sizeof *p->chans);
    QN_ASSERT(p->calls && p->chans);
    qn_rc rc = snprintf(dir, sizeof dir, "%s/agents/paid", home) < (int)sizeof dir
                   ? qn_journal_open(dir, visit, p, &p->journal, why)
                   : qn_why(why, QN_E_RANGE, "the home folder's path is too long");
    each_call(p, drop_live, NULL);
    if (rc)
        paid_close(p);
    else
        *ret = p;
    return rc;
}

static void free_call(void *arg, struct paid_call *call)
{
    (void)arg;
    free(call);
}

void paid_close(struct paid *p)
{
    if (!p) return;
    each_call(p, free_call, NULL);
    for (struct paid_chan *c = p->chan_list, *next; c; c = next) {
        next = c->list;
        free(c);
    }
    qn_journal_close(p->journal);
    qn_buf_free(&p->staged);
    free(p->touched);
    free(p->calls);
    free(p->chans);
    free(p);
}

/* --- writing it -------------------------------------------------------------------------------------------- */

static void stage(struct paid *p, struct paid_call *call, uint8_t row, const struct qn_record *rec,
                  const void *obj)
{
    if (p->touched_cnt == p->touched_cap) {
        p->touched_cap = p->touched_cap ? p->touched_cap * 2 : 64;
        p->touched = realloc(p->touched, p->touched_cap * sizeof *p->touched);
        QN_ASSERT(p->touched != NULL);
    }
    p->touched[p->touched_cnt++] = call;
    call->off = (uint32_t)p->staged.len;
    qn_buf_u8(&p->staged, row);
    qn_encode(rec, obj, &p->staged);
    /* FIXME: a frame is split here when a turn of the loop stages very much; its rows may then be on the disk a
     * little before paid_commit says so, which is harmless. */
    if (p->staged.len > FRAME_FULL && paid_commit(p, NULL)) p->broken = true;
}

struct paid_call *paid_reserve(struct paid *p, const struct agents_paid *row)
{
    struct paid_call *call = apply_paid(p, row);
    stage(p, call, ROW_PAID, agents_paid_record(), row);
    return call;
}

void paid_end(struct paid *p, struct paid_call *call, const struct agents_voucher *v,
              const struct agents_done *row)
{
    QN_ASSERT(call->state == PAID_RESERVED);
    apply_done(p, call, row->receipt.status, v);
    stage(p, call, ROW_DONE, agents_done_record(), row);
}

qn_rc paid_commit(struct paid *p, struct qn_why *why)
{
    struct qn_frame_at at;
    if (p->broken)
        return qn_why(why, QN_E_IO, "the journal of paid requests failed; start the node again");
    if (p->staged.len == 0) return QN_OK;
    qn_rc rc = qn_journal_append(p->journal, FRAME_KIND, qn_buf_get(&p->staged), &at, why);
    if (rc) {
        p->broken = true;
        return rc;
    }
    for (size_t i = 0; i < p->touched_cnt; i++)
        p->touched[i]->at = at;
    p->touched_cnt = 0;
    qn_buf_clear(&p->staged);
    return QN_OK;
}

bool paid_broken(const struct paid *p)
{
    return p->broken;
}

static qn_rc read_row(struct paid *p, const struct paid_call *call, uint8_t want,
                      const struct qn_record *rec, struct qn_arena *arena, void *ret,
                      struct qn_why *why)
{
    struct qn_buf frame = { 0 };
    uint8_t row = 0;
    qn_rc rc = qn_journal_read(p->journal, call->at, &frame, why);
    if (rc == QN_OK && call->off >= frame.len) rc = damaged(why);
    if (rc == QN_OK) {
        uint8_t *copy = qn_arena_copy(arena, frame.ptr + call->off, frame.len - call->off);
        struct qn_span at = QN_SPAN(copy, frame.len - call->off);
        QN_ASSERT(copy != NULL);
        rc = qn_take_u8(&at, &row) && row == want ? qn_decode_front(rec, &at, arena, ret, why)
                                                  : damaged(why);
    }
    qn_buf_free(&frame);
    return rc;
}

qn_rc paid_request(struct paid *p, const struct paid_call *call, struct qn_arena *arena,
                   struct agents_paid *ret, struct qn_why *why)
{
    return read_row(p, call, ROW_PAID, agents_paid_record(), arena, ret, why);
}

qn_rc paid_answer(struct paid *p, const struct paid_call *call, struct qn_arena *arena,
                  struct agents_done *ret, struct qn_why *why)
{
    return read_row(p, call, ROW_DONE, agents_done_record(), arena, ret, why);
}

struct visit_open {
    void (*visit)(void *arg, struct paid_call *call);
    void *arg;
};

static void if_open(void *arg, struct paid_call *call)
{
    struct visit_open *v = arg;
    if (call->state == PAID_RESERVED && !call->live) v->visit(v->arg, call);
}

void paid_each_open(struct paid *p, void (*fn)(void *arg, struct paid_call *call), void *arg)
{
    struct visit_open v = { fn, arg };
    each_call(p, if_open, &v);
}
