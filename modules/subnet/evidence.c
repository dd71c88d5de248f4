/* evidence.c - what is signed between validator and miner, and the tree over a row's leaves. */
#include "modules/subnet/score.h"

#include "core/crypto/hash.h"
#include "core/crypto/sign.h"

#include <stdlib.h>
#include <string.h>

/* H(label, chain | record without its trailing signature). */
static struct qn_hash signed_hash(const char *label, const struct qn_hash *chain,
                                  const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, chain->b, sizeof chain->b);
    qn_encode(rec, obj, &buf);
    struct qn_hash ret = qn_h(label, buf.ptr, buf.len - sizeof(struct qn_sig));
    qn_buf_free(&buf);
    return ret;
}

struct qn_hash task_hash(const struct qn_hash *chain, const struct subnet_task *t)
{
    return signed_hash("subnet/task", chain, subnet_task_record(), t);
}

struct qn_hash reply_hash(const struct qn_hash *chain, const struct subnet_reply *r)
{
    return signed_hash("subnet/reply", chain, subnet_reply_record(), r);
}

bool key_signs(const struct qn_hash *acct, const struct qn_hash *key, const struct qn_hash *hash,
               const struct qn_sig *sig)
{
    struct qn_hash of = qn_acct_key(key);
    return qn_hash_eq(&of, acct) && qn_verify(key, QN_SPAN(hash->b, 32), sig);
}

int leaf_cmp(const struct subnet_leaf *a, const struct subnet_leaf *b)
{
    if (a->task.reg != b->task.reg) return a->task.reg < b->task.reg ? -1 : 1;
    int by = qn_hash_cmp(&a->task.miner, &b->task.miner);
    if (by) return by;
    return a->task.ctr < b->task.ctr ? -1 : a->task.ctr > b->task.ctr;
}

static int cmp(const void *a, const void *b)
{
    return leaf_cmp(a, b);
}

void leaf_sort(struct subnet_leaf *leaves, uint32_t cnt)
{
    if (cnt) qsort(leaves, cnt, sizeof *leaves, cmp);
}

struct qn_hash leaf_root(const struct subnet_leaf *leaves, uint32_t cnt)
{
    struct qn_hash ret = { { 0 } }, *nodes = calloc(cnt + 1u, sizeof *nodes);
    struct qn_buf buf = { 0 };
    QN_ASSERT(nodes != NULL);
    for (uint32_t i = 0; i < cnt; i++) {
        qn_buf_clear(&buf);
        qn_encode(subnet_leaf_record(), &leaves[i], &buf);
        nodes[i] = qn_h("subnet/leaf", buf.ptr, buf.len);
    }
    for (uint32_t n = cnt; n > 1; n = (n + 1) / 2) {
        for (uint32_t i = 0; i < n; i += 2)
            nodes[i / 2] = i + 1 < n ? qn_h2("subnet/node", &nodes[i], &nodes[i + 1]) : nodes[i];
    }
    if (cnt) ret = nodes[0];
    qn_buf_free(&buf);
    free(nodes);
    return ret;
}

qn_rc bundle_read(struct qn_span bytes, struct qn_arena *arena, struct subnet_bundle *ret,
                  struct qn_why *why)
{
    qn_rc rc = qn_decode(subnet_bundle_record(), bytes, arena, ret, why);
    for (uint32_t i = 1; rc == QN_OK && i < ret->leaves.cnt; i++)
        if (leaf_cmp(&ret->leaves.ptr[i - 1], &ret->leaves.ptr[i]) >= 0)
            rc = qn_why(why, QN_E_FORMAT, "leaf %u is out of order or there twice", i);
    return rc;
}
