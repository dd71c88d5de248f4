/* score_calls.c - questions, scores, evidence over the API. */
#include "modules/subnet/score.h"

#include "core/base/embed.h"
#include "core/crypto/hash.h"

#include <stdio.h>
#include <string.h>

#define BUNDLE_MAX (64u << 20)
#define FAULTS_MAX 64

qn_rc subnet_task_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct subnet_draw *p = params;
    struct subnet_market m;
    struct qn_hash body;
    json_t *task = NULL;
    qn_rc rc = market_get(ctx, p->subnet, &m, why);
    if (rc == QN_OK) rc = market_task(&m, p->epoch, p->reg, p->ctr, &task, &body, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:O, s:o, s:I}", "task", task, "body", subnet_hex(&body), "gas",
                         (json_int_t)(SUBNET_GAS_ALL - m.gas));
    json_decref(task);
    return rc;
}

qn_rc subnet_score_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct subnet_judge *p = params;
    struct subnet_market m;
    struct qn_hash body;
    json_t *task = NULL, *reply = NULL;
    char said[64];
    q32 score = 0;
    qn_rc rc = market_get(ctx, p->subnet, &m, why);
    if (rc == QN_OK) rc = market_task(&m, p->epoch, p->reg, p->ctr, &task, &body, why);
    if (rc == QN_OK) {
        reply = p->reply.len ? market_reply(p->reply) : NULL;
        rc = market_score(&m, task, reply, p->late_ms, &score, said, why);
    }
    if (rc == QN_OK) {
        if (p->reply.len && !reply) snprintf(said, sizeof said, "the answer is no plain JSON");
        *ret = json_pack("{s:I, s:I, s:I, s:s}", "score", (json_int_t)score, "score_ppm",
                         (json_int_t)q32_mul(score, 1000000), "gas",
                         (json_int_t)(SUBNET_GAS_ALL - m.gas), "why", said);
        if (!*ret) /* a script's words need not be text */
            *ret = json_pack("{s:I, s:I, s:s}", "score", (json_int_t)score, "score_ppm",
                             (json_int_t)q32_mul(score, 1000000), "why", "the script failed");
    }
    json_decref(task);
    json_decref(reply);
    return rc;
}

static json_t *numbers(const uint32_t *v, uint32_t cnt)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < cnt; i++)
        json_array_append_new(list, json_integer(v[i]));
    return list;
}

qn_rc subnet_pack_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct subnet_pack *p = params;
    struct subnet_market m;
    struct subnet_bundle bundle = { .leaves = { p->leaves.cnt, p->leaves.ptr } };
    uint32_t uids[SUBNET_SEATS_MAX], vals[SUBNET_SEATS_MAX], cnt = 0;
    struct qn_buf buf = { 0 };
    struct qn_hash blob;
    qn_rc rc = market_get(ctx, p->subnet, &m, why);
    if (rc) return rc;
    leaf_sort(bundle.leaves.ptr, bundle.leaves.cnt);
    for (uint32_t i = 1; i < bundle.leaves.cnt; i++)
        if (leaf_cmp(&bundle.leaves.ptr[i - 1], &bundle.leaves.ptr[i]) == 0)
            return qn_why(why, QN_E_DUPLICATE, "a question is there twice");
    rc = market_row(&m, bundle.leaves.ptr, bundle.leaves.cnt, uids, vals, &cnt, why);
    if (rc) return rc;
    qn_encode(subnet_bundle_record(), &bundle, &buf);
    rc = ctx->ops->blob_put(ctx->node, qn_buf_get(&buf), &blob, why);
    qn_buf_free(&buf);
    if (rc) return rc;
    struct qn_hash root = leaf_root(bundle.leaves.ptr, bundle.leaves.cnt);
    *ret = json_pack("{s:o, s:o, s:I, s:o, s:o}", "blob", subnet_hex(&blob), "leaf_root",
                     subnet_hex(&root), "leaf_cnt", (json_int_t)bundle.leaves.cnt, "uids",
                     numbers(uids, cnt), "vals", numbers(vals, cnt));
    return QN_OK;
}

/* --- checking a row ----------------------------------------------------------------------------------------------------- */

static void fault(json_t *faults, int64_t leaf, const char *what)
{
    if (json_array_size(faults) >= FAULTS_MAX) return;
    json_t *one = json_pack("{s:s}", "what", what);
    if (leaf >= 0) json_object_set_new(one, "leaf", json_integer(leaf));
    json_array_append_new(faults, one);
}

/* Checks one leaf; what is wrong goes to faults, an error is this node's own. */
static qn_rc check_leaf(struct subnet_market *m, const struct subnet_check *p,
                        const struct subnet_leaf *l, uint32_t validator, uint32_t at,
                        json_t *faults, struct qn_why *why)
{
    struct qn_hash chain = qn_view_chain(m->ctx->view), body, hash = task_hash(&chain, &l->task);
    struct subnet_seat seat;
    json_t *task = NULL, *reply = NULL;
    uint32_t uid;
    char said[64];
    q32 score;
    if (!qn_span_eq(l->task.subnet, p->subnet) || l->task.epoch != p->epoch ||
        !qn_hash_eq(&l->task.validator, &p->hotkey))
        fault(faults, at, "the question is of another subnet, epoch or validator");
    if (!key_signs(&l->task.validator, &l->task.key, &hash, &l->task.sig))
        fault(faults, at, "the question's signature does not verify");
    if (!subnet_uid_of(m->ctx->view, &m->sid, &l->task.miner, &uid)) {
        fault(faults, at, "the miner has no seat");
        return QN_OK;
    }
    subnet_seat_get(m->ctx->view, &m->sid, uid, m->ctx->arena, &seat);
    if (l->task.reg != 0 && l->task.reg != seat.reg)
        fault(faults, at, "the question was drawn for another registration");
    if (l->task.reg ? l->task.ctr >> SUBNET_CTR_SHIFT != validator : l->task.ctr != 0)
        fault(faults, at, "the question's number is not the validator's to use");
    qn_rc rc = market_task(m, p->epoch, l->task.reg, l->task.ctr, &task, &body, why);
    if (rc) return rc;
    if (!qn_hash_eq(&body, &l->task.body)) fault(faults, at, "the question is not the drawn one");
    if (l->reply) {
        struct qn_hash answer = reply_hash(&chain, l->reply);
        if (!qn_hash_eq(&l->reply->task, &hash) || !qn_hash_eq(&l->reply->miner, &l->task.miner) ||
            !key_signs(&l->reply->miner, &l->reply->key, &answer, &l->reply->sig))
            fault(faults, at, "the answer is not the miner's word on this question");
        reply = market_reply(l->reply->body);
    }
    rc = market_score(m, task, reply, l->late_ms, &score, said, why);
    if (rc == QN_OK && score != l->score)
        fault(faults, at, "the score is not what the script gives");
    json_decref(task);
    json_decref(reply);
    return rc;
}

static void check_row(struct subnet_market *m, const struct subnet_commit *c, uint32_t validator,
                      const uint32_t *uids, const uint32_t *vals, uint32_t cnt, json_t *faults)
{
    struct subnet_seat seat;
    struct subnet_cells row = { 0 };
    struct subnet_key key = subnet_key_uid(&m->sid, validator);
    q32 wide[SUBNET_SEATS_MAX];
    uint16_t want[SUBNET_SEATS_MAX];
    subnet_seat_get(m->ctx->view, &m->sid, validator, m->ctx->arena, &seat);
    if (!c->shown) {
        fault(faults, -1, "the row was not shown");
        return;
    }
    if (seat.update_ms != c->at_ms || qn_view_rec(m->ctx->view, SUBNET_T_ROW, subnet_key_span(&key),
                                                  subnet_cells_record(), m->ctx->arena, &row)) {
        fault(faults, -1, "a later row has replaced this one");
        return;
    }
    for (uint32_t i = 0; i < cnt; i++)
        wide[i] = (q32)vals[i] << 32;
    q32_upscale(wide, cnt, want);
    bool same = row.uids.cnt == cnt;
    for (uint32_t i = 0; same && i < cnt; i++)
        same = row.uids.ptr[i] == uids[i] && row.vals.ptr[i] == want[i];
    if (!same) fault(faults, -1, "the row is not what follows from the evidence");
}

qn_rc subnet_verify_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct subnet_check *p = params;
    struct subnet_market m;
    struct subnet_commit c;
    struct subnet_bundle bundle = { 0 };
    struct qn_buf file = { 0 };
    char path[4096];
    uint32_t validator, uids[SUBNET_SEATS_MAX], vals[SUBNET_SEATS_MAX], cnt = 0;
    qn_rc rc = market_get(ctx, p->subnet, &m, why);
    if (rc) return rc;
    if (!subnet_uid_of(ctx->view, &m.sid, &p->hotkey, &validator))
        return qn_why(why, QN_E_NOTFOUND, "the account has no seat in this subnet");
    if (!subnet_commit_get(ctx->view, &m.sid, p->epoch, &p->hotkey, &c))
        return qn_why(why, QN_E_NOTFOUND, "no commit of that epoch is on the ledger any more");
    rc = ctx->ops->blob_path(ctx->node, &p->blob, path, sizeof path, why);
    if (rc == QN_OK) rc = qn_file_read(path, BUNDLE_MAX, &file, why);
    if (rc) return rc;
    json_t *faults = json_array();
    if (bundle_read(qn_buf_get(&file), ctx->arena, &bundle, why)) {
        fault(faults, -1, "the evidence does not decode");
        bundle.leaves.cnt = 0;
    }
    struct qn_hash root = leaf_root(bundle.leaves.ptr, bundle.leaves.cnt);
    if (c.leaf_cnt != bundle.leaves.cnt || !qn_hash_eq(&root, &c.leaf_root))
        fault(faults, -1, "the evidence is not what the commit is bound to");
    for (uint32_t i = 0; rc == QN_OK && i < bundle.leaves.cnt; i++) {
        if (m.gas < 2 * SUBNET_GAS)
            rc = qn_why(why, QN_E_GAS, "checking stopped at leaf %u of %u", i, bundle.leaves.cnt);
        else
            rc = check_leaf(&m, p, &bundle.leaves.ptr[i], validator, i, faults, why);
    }
    if (rc == QN_OK)
        rc = market_row(&m, bundle.leaves.ptr, bundle.leaves.cnt, uids, vals, &cnt, why);
    if (rc == QN_OK) {
        check_row(&m, &c, validator, uids, vals, cnt, faults);
        *ret = json_pack("{s:b, s:I, s:O, s:I}", "ok", json_array_size(faults) == 0, "leaves",
                         (json_int_t)bundle.leaves.cnt, "faults", faults, "gas",
                         (json_int_t)(SUBNET_GAS_ALL - m.gas));
    }
    json_decref(faults);
    qn_buf_free(&file);
    return rc;
}

qn_rc subnet_template_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why)
{
    const struct subnet_template *p = params;
    char path[80];
    struct qn_span text;
    (void)ctx;
    snprintf(path, sizeof path, "lua/subnets/%.*s.lua", (int)p->name.len,
             (const char *)p->name.ptr);
    if (!qn_embed_get(path, &text))
        return qn_why(why, QN_E_NOTFOUND, "no subnet called %.*s ships with quoin",
                      (int)p->name.len, (const char *)p->name.ptr);
    *ret = json_pack("{s:s%, s:s%}", "name", (const char *)p->name.ptr, p->name.len, "text",
                     (const char *)text.ptr, text.len);
    return QN_OK;
}
