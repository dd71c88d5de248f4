/* steps.c - from one set of validators to the next, by final blocks. */
#include "ledger/state/steps.h"

#include "core/crypto/hash.h"
#include "core/env/env.h"
#include "ledger/bft/vote.h"
#include "ledger/state/stake.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1024u << 20)
#define SUM_LEN  8 /* of H("step", bytes), behind each: a torn end shows */

struct qn_steps {
    int fd;              /* -1: nothing more is written */
    struct qn_buf bytes; /* u32 len | step | sum, one after the other, as in the file */
    uint32_t epoch;      /* of the last, */
    bool any;            /* if there is one */
};

/* --- one step ------------------------------------------------------------------------------------------------ */

/* The row of an epoch's validators: its key, with the table's byte in front. */
static struct qn_span set_key(uint32_t epoch, uint8_t dst[6])
{
    dst[0] = QN_TABLE_SET;
    for (int i = 0; i < 4; i++)
        dst[1 + i] = (uint8_t)(epoch >> (24 - 8 * i));
    dst[5] = 0; /* [key, key 00) is the range of this row alone */
    return QN_SPAN(dst, 5);
}

/* The same row's value, Borsh of qn_set_row. */
static void set_row(const struct qn_set *set, struct qn_buf *ret)
{
    qn_buf_u32(ret, set->cnt);
    for (uint32_t i = 0; i < set->cnt; i++) {
        qn_buf_put(ret, set->keys[i].b, 32);
        qn_buf_u64(ret, set->weights[i]);
    }
}

qn_rc qn_step_head(struct qn_chain *c, struct qn_buf *ret, struct qn_why *why)
{
    const struct qn_header *h = qn_chain_header(c);
    struct qn_buf rows = { 0 }, edge = { 0 };
    struct qn_span row;
    uint32_t cnt;
    uint8_t key[6];
    if (h->height == 0) return qn_why(why, QN_E_AGAIN, "no block is final yet");
    if (qn_chain_cert(c).len == 0)
        return qn_why(why, QN_E_AGAIN, "the last block is final by the next");
    struct qn_trie *trie = qn_chain_trie(c);
    bool has = qn_trie_get(trie, set_key(h->epoch, key), &row) && qn_take_u32(&row, &cnt);
    QN_ASSERT(has && cnt <= QN_SET_MAX && row.len == cnt * (size_t)40);
    qn_buf_u16(ret, (uint16_t)cnt);
    qn_buf_span(ret, row); /* key and weight of each, as here */
    qn_encode(qn_header_record(), h, ret);
    qn_buf_span(ret, qn_chain_cert(c));
    struct qn_span from = set_key(h->epoch + 1, key);
    qn_trie_prove(trie, from, QN_SPAN(key, 6), &rows, &edge);
    qn_buf_u32(ret, (uint32_t)edge.len);
    qn_buf_span(ret, qn_buf_get(&edge));
    qn_buf_free(&rows);
    qn_buf_free(&edge);
    return QN_OK;
}

static qn_rc take_set(struct qn_span *s, struct qn_set *ret, struct qn_why *why)
{
    uint16_t cnt;
    uint64_t sum = 0;
    if (!qn_take_u16(s, &cnt)) return qn_why(why, QN_E_SHORT, "a step is cut off");
    if (cnt == 0 || cnt > QN_SET_MAX)
        return qn_why(why, QN_E_PROOF, "a step names %u validators", cnt);
    ret->cnt = cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        if (!qn_take_hash(s, &ret->keys[i]) || !qn_take_u64(s, &ret->weights[i]))
            return qn_why(why, QN_E_SHORT, "a step is cut off");
        if (ret->weights[i] == 0 || ret->weights[i] > (UINT64_C(1) << 62) - sum)
            return qn_why(why, QN_E_PROOF, "a step's weights are out of range");
        sum += ret->weights[i];
    }
    return QN_OK;
}

qn_rc qn_step_take(struct qn_span *s, uint32_t fast_ppm, struct qn_arena *arena,
                   struct qn_step *ret, struct qn_why *why)
{
    struct qn_span start = *s;
    uint32_t edge_len;
    qn_rc rc = take_set(s, &ret->set, why);
    if (rc == QN_OK) rc = qn_decode_front(qn_header_record(), s, arena, &ret->header, why);
    ret->cert_bytes = *s;
    if (rc == QN_OK) rc = qn_decode_front(qn_cert_record(), s, arena, &ret->cert, why);
    if (rc) return rc;
    ret->cert_bytes.len -= s->len;
    if (!qn_take_u32(s, &edge_len) || !qn_take(s, edge_len, &ret->edge))
        return qn_why(why, QN_E_SHORT, "a step is cut off");
    ret->bytes = QN_SPAN(start.ptr, start.len - s->len);
    ret->set.epoch = ret->header.epoch;
    ret->set.fast_ppm = fast_ppm;
    struct qn_hash root = qn_set_hash(&ret->set), hash = qn_header_hash(&ret->header);
    if (!qn_hash_eq(&root, &ret->header.set_root))
        return qn_why(why, QN_E_PROOF, "a step names other validators than its header");
    return qn_cert_final(&ret->cert, &ret->header.chain, &hash, &ret->set, why);
}

static bool same_set(const struct qn_set *a, const struct qn_set *b)
{
    return a->cnt == b->cnt && memcmp(a->keys, b->keys, a->cnt * sizeof *a->keys) == 0 &&
           memcmp(a->weights, b->weights, a->cnt * sizeof *a->weights) == 0;
}

/* Whether the state of `before` names next's validators for the epoch after its own. */
static bool named(const struct qn_step *before, const struct qn_step *next)
{
    uint8_t key[6];
    struct qn_buf row = { 0 }, rows = { 0 };
    if (next->header.epoch != before->header.epoch + 1) return false;
    struct qn_span from = set_key(next->header.epoch, key);
    set_row(&next->set, &row);
    qn_row_write(&rows, from, qn_buf_get(&row));
    qn_rc rc = qn_trie_check(&before->header.state_root, from, QN_SPAN(key, 6), qn_buf_get(&rows),
                             before->edge);
    qn_buf_free(&row);
    qn_buf_free(&rows);
    return rc == QN_OK;
}

/* Whether those of `known` who signed next weigh more than the traitors that it bears. */
static bool vouched(const struct qn_set *known, const struct qn_step *next)
{
    return qn_set_overlap(known, &next->set, &next->cert) > qn_set_quorum(known).traitors;
}

bool qn_step_follows(const struct qn_set *known, const struct qn_step *before,
                     const struct qn_step *next)
{
    if (before && before->edge.len) return named(before, next);
    return same_set(known, &next->set) || vouched(known, next);
}

/* --- those that a node keeps ------------------------------------------------------------------------------- */

static void sum_of(struct qn_span step, uint8_t dst[SUM_LEN])
{
    struct qn_hash h = qn_h("step", step.ptr, step.len);
    memcpy(dst, h.b, SUM_LEN);
}

static void append(struct qn_buf *to, struct qn_span step)
{
    uint8_t sum[SUM_LEN];
    sum_of(step, sum);
    qn_buf_u32(to, (uint32_t)step.len);
    qn_buf_span(to, step);
    qn_buf_put(to, sum, SUM_LEN);
}

static bool next_step(struct qn_span *s, struct qn_span *ret)
{
    struct qn_span at = *s, sum;
    uint32_t len;
    uint8_t want[SUM_LEN];
    if (!qn_take_u32(&at, &len) || !qn_take(&at, len, ret) || !qn_take(&at, SUM_LEN, &sum))
        return false;
    sum_of(*ret, want);
    if (memcmp(want, sum.ptr, SUM_LEN) != 0) return false;
    *s = at;
    return true;
}

static bool epoch_of(struct qn_span step, uint32_t *ret)
{
    struct qn_arena arena = { 0 };
    struct qn_set set;
    struct qn_header header;
    bool ok = take_set(&step, &set, NULL) == QN_OK &&
              qn_decode_front(qn_header_record(), &step, &arena, &header, NULL) == QN_OK;
    if (ok) *ret = header.epoch;
    qn_arena_free(&arena);
    return ok;
}

qn_rc qn_steps_open(const char *home, struct qn_steps **ret, struct qn_why *why)
{
    char path[4096];
    struct qn_steps *st = calloc(1, sizeof *st);
    QN_ASSERT(st != NULL);
    snprintf(path, sizeof path, "%s/steps.qs", home);
    st->fd = -1;
    qn_rc rc = qn_file_read(path, FILE_MAX, &st->bytes, why);
    if (rc == QN_E_NOTFOUND) rc = QN_OK;
    if (rc) {
        qn_steps_close(st);
        return rc;
    }
    struct qn_span s = qn_buf_get(&st->bytes), step;
    size_t all = st->bytes.len;
    while (next_step(&s, &step) && epoch_of(step, &st->epoch))
        st->any = true;
    st->bytes.len -= s.len;
    st->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (st->fd >= 0 && st->bytes.len != all && ftruncate(st->fd, (off_t)st->bytes.len)) {
        close(st->fd);
        st->fd = -1;
    }
    *ret = st;
    return QN_OK;
}

void qn_steps_close(struct qn_steps *st)
{
    if (!st) return;
    if (st->fd >= 0) close(st->fd);
    qn_buf_free(&st->bytes);
    free(st);
}

void qn_steps_note(struct qn_steps *st, struct qn_chain *c)
{
    const struct qn_header *h = qn_chain_header(c);
    struct qn_buf step = { 0 };
    if (st->any && h->epoch <= st->epoch) return;
    if (qn_step_head(c, &step, NULL) == QN_OK) {
        size_t at = st->bytes.len;
        append(&st->bytes, qn_buf_get(&step));
        st->any = true;
        st->epoch = h->epoch;
        size_t len = st->bytes.len - at;
        if (st->fd >= 0 && pwrite(st->fd, st->bytes.ptr + at, len, (off_t)at) != (ssize_t)len) {
            close(st->fd); /* a hole would hide what comes later */
            st->fd = -1;
        }
    }
    qn_buf_free(&step);
}

/* The validators of an epoch, of its step. */
static bool kept_set(const struct qn_steps *st, uint32_t epoch, struct qn_set *ret)
{
    struct qn_span s = st ? qn_buf_get(&st->bytes) : QN_SPAN(NULL, 0), step, sum;
    uint32_t len, of;
    while (qn_take_u32(&s, &len) && qn_take(&s, len, &step) && qn_take(&s, SUM_LEN, &sum))
        if (epoch_of(step, &of) && of == epoch) return take_set(&step, ret, NULL) == QN_OK;
    return false;
}

qn_rc qn_pin_put(struct qn_chain *c, const struct qn_steps *steps, uint64_t height,
                 struct qn_buf *ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 64u << 20 };
    struct qn_frame f;
    struct qn_set *set = malloc(sizeof *set);
    QN_ASSERT(set != NULL);
    qn_rc rc = qn_chain_frame(c, height, &arena, &f, why);
    if (rc == QN_OK && !qn_stake_past(qn_chain_view(c), f.block.header.epoch, set) &&
        !kept_set(steps, f.block.header.epoch, set))
        rc = qn_why(why, QN_E_NOTFOUND, "the validators of epoch %u are not known here",
                    f.block.header.epoch);
    if (rc == QN_OK) {
        qn_buf_u16(ret, (uint16_t)set->cnt);
        for (uint32_t i = 0; i < set->cnt; i++) {
            qn_buf_put(ret, set->keys[i].b, 32);
            qn_buf_u64(ret, set->weights[i]);
        }
        qn_encode(qn_header_record(), &f.block.header, ret);
    }
    free(set);
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_pin_take(struct qn_span *s, const struct qn_hash *hash, uint64_t height, uint32_t fast_ppm,
                  struct qn_set *ret, struct qn_hash *ret_chain, struct qn_why *why)
{
    struct qn_arena arena = { .max = 1u << 20 };
    struct qn_header h;
    qn_rc rc = take_set(s, ret, why);
    if (rc == QN_OK) rc = qn_decode_front(qn_header_record(), s, &arena, &h, why);
    if (rc == QN_OK) {
        struct qn_hash is = qn_header_hash(&h);
        ret->epoch = h.epoch;
        ret->fast_ppm = fast_ppm;
        struct qn_hash root = qn_set_hash(ret);
        if (h.height != height || !qn_hash_eq(&is, hash) || !qn_hash_eq(&root, &h.set_root))
            rc = qn_why(why, QN_E_PROOF, "a header that is not the trusted block's");
        *ret_chain = h.chain;
    }
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_steps_adopt(const char *home, struct qn_span s, struct qn_why *why)
{
    char path[4096];
    struct qn_arena arena = { .max = 4u << 20 };
    struct qn_buf file = { 0 };
    struct qn_span magic, bytes;
    uint32_t len;
    uint16_t cnt = 0;
    snprintf(path, sizeof path, "%s/steps.qs", home);
    qn_rc rc = QN_OK;
    if (access(path, F_OK) == 0) goto out;
    if (!qn_take(&s, 5, &magic) || !qn_take_u32(&s, &len) || !qn_take(&s, len, &bytes) ||
        !qn_take_u16(&s, &cnt))
        rc = qn_why(why, QN_E_SHORT, "a proof's front is cut off");
    for (; cnt && rc == QN_OK; cnt--) {
        /* Signatures and weights were looked at by qn_proof_front. */
        struct qn_span at = s, edge;
        struct qn_header h;
        struct qn_cert cert;
        struct qn_set set;
        uint32_t edge_len = 0;
        rc = take_set(&s, &set, why);
        if (rc == QN_OK) rc = qn_decode_front(qn_header_record(), &s, &arena, &h, why);
        if (rc == QN_OK) rc = qn_decode_front(qn_cert_record(), &s, &arena, &cert, why);
        if (rc == QN_OK && (!qn_take_u32(&s, &edge_len) || !qn_take(&s, edge_len, &edge)))
            rc = qn_why(why, QN_E_SHORT, "a step is cut off");
        if (rc == QN_OK) append(&file, QN_SPAN(at.ptr, at.len - s.len));
        qn_arena_free(&arena);
    }
    if (rc == QN_OK) rc = qn_file_write(path, qn_buf_get(&file), 0600, why);
out:
    qn_buf_free(&file);
    qn_arena_free(&arena);
    return rc;
}

/* The steps that are kept below the head, and the head: spans only, for there may be a year of them. */
static struct qn_span *list_steps(const struct qn_steps *st, struct qn_span head, size_t *ret_cnt)
{
    struct qn_span s = st ? qn_buf_get(&st->bytes) : QN_SPAN(NULL, 0), step, sum;
    size_t cnt = 0, cap = 64;
    uint32_t len, epoch, head_epoch = 0;
    struct qn_span *list = malloc(cap * sizeof *list);
    bool ok = epoch_of(head, &head_epoch);
    QN_ASSERT(list != NULL && ok);
    while (qn_take_u32(&s, &len) && qn_take(&s, len, &step) && qn_take(&s, SUM_LEN, &sum)) {
        if (!epoch_of(step, &epoch) || epoch >= head_epoch)
            continue; /* the head stands for its own */
        if (cnt + 2 > cap) {
            list = realloc(list, (cap *= 2) * sizeof *list);
            QN_ASSERT(list != NULL);
        }
        list[cnt++] = step;
    }
    list[cnt++] = head;
    *ret_cnt = cnt;
    return list;
}

/* Appends a step, with its edge only where that is needed. */
static void put_step(struct qn_buf *ret, const struct qn_step *step, bool edge)
{
    qn_buf_put(ret, step->bytes.ptr, step->bytes.len - step->edge.len - 4);
    qn_buf_u32(ret, edge ? (uint32_t)step->edge.len : 0);
    if (edge) qn_buf_span(ret, step->edge);
}

static bool jumps(const struct qn_set *known, struct qn_span bytes, struct qn_step *ret)
{
    struct qn_arena arena = { 0 };
    bool ok = qn_step_take(&bytes, known->fast_ppm, &arena, ret, NULL) == QN_OK &&
              qn_step_follows(known, NULL, ret);
    qn_arena_free(&arena);
    return ok;
}

qn_rc qn_steps_put(const struct qn_steps *st, const struct qn_set *genesis, struct qn_span head,
                   struct qn_buf *ret, struct qn_why *why)
{
    struct qn_arena arena = { 0 };
    struct qn_step *step = calloc(2, sizeof *step), *now = step, *before = NULL;
    struct qn_set known = *genesis;
    size_t cnt, mark = ret->len;
    uint16_t put = 0;
    QN_ASSERT(step != NULL);
    struct qn_span *list = list_steps(st, head, &cnt);
    qn_rc rc = QN_OK;
    qn_buf_u16(ret, 0);
    for (size_t at = 0; at < cnt && rc == QN_OK; put++) {
        now = &step[put % 2];
        size_t
            to = at,
            hi =
                cnt; /* list[to - 1] can be jumped to: sets drift apart, so halving finds nearly the farthest */
        if (jumps(&known, list[cnt - 1], now)) to = cnt;
        while (to < cnt && hi - to > 1) {
            size_t mid = to + (hi - to) / 2;
            if (jumps(&known, list[mid - 1], now))
                to = mid;
            else
                hi = mid;
        }
        bool jump = to > at;
        if (!jump) to = at + 1; /* by name, or by what only who trusts a later block gets over */
        struct qn_span bytes = list[to - 1];
        rc = qn_step_take(&bytes, known.fast_ppm, &arena, now, why);
        if (rc) break;
        if (before) put_step(ret, before, !jump);
        before = now;
        known = now->set;
        at = to;
        if (put >= QN_STEPS_MAX)
            rc = qn_why(why, QN_E_TOOBIG, "the validators have changed more than %d times over",
                        QN_STEPS_MAX);
    }
    if (rc == QN_OK) {
        put_step(ret, before, false);
        memcpy(ret->ptr + mark, &put, 2);
    }
    free(list);
    free(step);
    qn_arena_free(&arena);
    return rc;
}
