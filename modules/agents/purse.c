/* purse.c - the payer's journal and what it adds up to. A frame is a row after row: u8 kind | Borsh record. */
#include "modules/agents/purse.h"

#include "core/env/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FRAME_KIND 17

enum { ROW_INTENT = 1, ROW_SPENT = 2 };

struct purse {
    int lock_fd;
    struct qn_journal *journal;
    struct purse_chan *chans;
    struct qn_buf staged;
};

static struct purse_chan *find(struct purse *p, const struct qn_hash *id)
{
    struct purse_chan *chan = p->chans;
    while (chan && !qn_hash_eq(&chan->id, id))
        chan = chan->next;
    return chan;
}

struct purse_chan *purse_chan(struct purse *p, const struct qn_hash *id, uint64_t claimed_seq,
                              struct qn_amount claimed)
{
    struct purse_chan *chan = find(p, id);
    if (chan) return chan;
    chan = calloc(1, sizeof *chan);
    QN_ASSERT(chan != NULL);
    *chan = (struct purse_chan){ .next = p->chans, .id = *id, .seq = claimed_seq, .due = claimed };
    p->chans = chan;
    return chan;
}

struct purse_chan *purse_list(struct purse *p)
{
    return p->chans;
}

static struct intent *apply_intent(struct purse_chan *chan, const struct agents_intent *row)
{
    struct intent *it = calloc(1, sizeof *it + row->url.len + row->body.len), **at;
    QN_ASSERT(it != NULL);
    uint8_t *bytes = (uint8_t *)(it + 1);
    it->row = *row;
    it->slot = -1;
    if (row->url.len) memcpy(bytes, row->url.ptr, row->url.len);
    if (row->body.len) memcpy(bytes + row->url.len, row->body.ptr, row->body.len);
    it->row.url = QN_SPAN(bytes, row->url.len);
    it->row.body = QN_SPAN(bytes + row->url.len, row->body.len);
    for (at = &chan->pending; *at; at = &(*at)->next)
        continue;
    *at = it;
    chan->seq = row->voucher.seq;
    chan->due = row->voucher.cum;
    return it;
}

static void apply_spent(struct purse_chan *chan, struct intent *it, uint8_t status)
{
    struct intent **at = &chan->pending;
    while (*at != it)
        at = &(*at)->next;
    *at = it->next;
    if (status == SPENT_DONE) chan->ack++;
    /* What cost nothing is still in the sums of vouchers signed after it; the payee counts the same way. */
    if (status != SPENT_DONE) chan->due = QN_UQN(chan->due.uqn - it->row.price.uqn);
    if (status == SPENT_REFUSED) chan->seq = QN_MIN(chan->seq, it->row.voucher.seq - 1);
    free(it);
}

static qn_rc damaged(struct qn_why *why)
{
    return qn_why(why, QN_E_CORRUPT, "the payer's journal contradicts itself");
}

static qn_rc visit(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                   struct qn_span payload, struct qn_why *why)
{
    struct purse *p = arg;
    struct qn_arena arena = { 0 };
    qn_rc rc = kind == FRAME_KIND ? QN_OK : damaged(why);
    (void)seq, (void)at;
    while (rc == QN_OK && payload.len) {
        struct agents_intent intent;
        struct agents_spent spent;
        uint8_t row = 0;
        if (!qn_take_u8(&payload, &row)) break;
        if (row == ROW_INTENT) {
            rc = qn_decode_front(agents_intent_record(), &payload, &arena, &intent, why);
            if (rc) break;
            struct purse_chan *chan = purse_chan(p, &intent.voucher.channel, 0, QN_UQN(0));
            apply_intent(chan, &intent);
        } else if (row == ROW_SPENT) {
            rc = qn_decode_front(agents_spent_record(), &payload, &arena, &spent, why);
            if (rc) break;
            struct purse_chan *chan = find(p, &spent.channel);
            struct intent *it = chan ? chan->pending : NULL;
            while (it && !qn_hash_eq(&it->row.idem, &spent.idem))
                it = it->next;
            if (!it || it->row.price.uqn > chan->due.uqn)
                rc = damaged(why);
            else
                apply_spent(chan, it, spent.status);
        } else {
            rc = damaged(why);
        }
        qn_arena_free(&arena);
    }
    qn_arena_free(&arena);
    return rc;
}

qn_rc purse_open(const char *home, struct purse **ret, struct qn_why *why)
{
    char dir[4000], path[4096];
    struct purse *p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    p->lock_fd = -1;
    qn_rc rc = snprintf(dir, sizeof dir, "%s/agents/payer", home) < (int)sizeof dir
                   ? qn_dir_make(dir, why)
                   : qn_why(why, QN_E_RANGE, "the home folder's path is too long");
    if (rc) goto out;
    snprintf(path, sizeof path, "%s/lock", dir);
    p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (p->lock_fd < 0) {
        rc = qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
        goto out;
    }
    for (int i = 0; flock(p->lock_fd, LOCK_EX | LOCK_NB); i++) {
        if (i == 100) {
            rc = qn_why(why, QN_E_BUSY, "another process pays from this home");
            goto out;
        }
        usleep(50000);
    }
    rc = qn_journal_open(dir, visit, p, &p->journal, why);
out:
    if (rc)
        purse_close(p);
    else
        *ret = p;
    return rc;
}

void purse_close(struct purse *p)
{
    if (!p) return;
    for (struct purse_chan *chan = p->chans, *next; chan; chan = next) {
        next = chan->next;
        for (struct intent *it = chan->pending, *after; it; it = after) {
            after = it->next;
            free(it);
        }
        free(chan);
    }
    qn_journal_close(p->journal);
    if (p->lock_fd >= 0) close(p->lock_fd);
    qn_buf_free(&p->staged);
    free(p);
}

struct intent *purse_note(struct purse *p, struct purse_chan *chan, const struct agents_intent *row)
{
    qn_buf_u8(&p->staged, ROW_INTENT);
    qn_encode(agents_intent_record(), row, &p->staged);
    return apply_intent(chan, row);
}

void purse_spend(struct purse *p, struct purse_chan *chan, struct intent *intent,
                 const struct agents_spent *row)
{
    qn_buf_u8(&p->staged, ROW_SPENT);
    qn_encode(agents_spent_record(), row, &p->staged);
    apply_spent(chan, intent, row->status);
}

qn_rc purse_commit(struct purse *p, struct qn_why *why)
{
    struct qn_frame_at at;
    if (p->staged.len == 0) return QN_OK;
    qn_rc rc = qn_journal_append(p->journal, FRAME_KIND, qn_buf_get(&p->staged), &at, why);
    qn_buf_clear(&p->staged);
    return rc;
}
