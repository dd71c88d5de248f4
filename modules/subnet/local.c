/* local.c - what validators and miners sign, on their own side. */
#include "modules/subnet/local.h"

#include "core/crypto/sign.h"
#include "ledger/state/apply.h"
#include "modules/subnet/score.h"

#include <string.h>

static qn_rc chain_of(struct qn_local_ctx *ctx, struct qn_hash *ret, struct qn_why *why)
{
    json_t *status = NULL, *none = json_object();
    qn_rc rc = ctx->call(ctx->host, "node.status", none, &status, why);
    json_decref(none);
    const char *hex = json_string_value(json_object_get(status, "chain"));
    if (rc == QN_OK && (!hex || !qn_unhex(hex, strlen(hex), ret->b, 32)))
        rc = qn_why(why, QN_E_FORMAT, "the node did not say its chain");
    json_decref(status);
    return rc;
}

/* Asks: draws the question and signs it as the validator. */
static qn_rc ask(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct subnet_ask *p = params;
    struct qn_hash chain, hash;
    struct qn_key key;
    json_t *drawn = NULL;
    qn_rc rc = chain_of(ctx, &chain, why);
    if (rc) return rc;
    json_t *draw = json_pack("{s:s%, s:I, s:I, s:I}", "subnet", (const char *)p->subnet.ptr,
                             p->subnet.len, "epoch", (json_int_t)p->epoch, "reg",
                             (json_int_t)p->reg, "ctr", (json_int_t)p->ctr);
    rc = ctx->call(ctx->host, "subnet.task", draw, &drawn, why);
    json_decref(draw);
    if (rc) return rc;
    struct subnet_task t = { .subnet = p->subnet,
                             .epoch = p->epoch,
                             .miner = p->miner,
                             .reg = p->reg,
                             .ctr = p->ctr,
                             .sent_ms = qn_env_now_ms(ctx->env),
                             .deadline_ms = p->deadline_ms };
    const char *body = json_string_value(json_object_get(drawn, "body"));
    if (!body || !qn_unhex(body, strlen(body), t.body.b, 32))
        rc = qn_why(why, QN_E_FORMAT, "the node drew no question");
    if (rc == QN_OK) rc = ctx->key(ctx->host, ctx->as, &key, why);
    if (rc == QN_OK) {
        t.key = key.pub;
        t.validator = qn_acct_key(&key.pub);
        hash = task_hash(&chain, &t);
        t.sig = qn_sign(&key, QN_SPAN(hash.b, 32));
        qn_key_wipe(&key);
        *ret = json_pack("{s:o, s:O, s:o}", "task", qn_to_json(subnet_task_record(), &t),
                         "question", json_object_get(drawn, "task"), "hash", subnet_hex(&hash));
    }
    json_decref(drawn);
    return rc;
}

/* Answers: the miner checks that the question is signed and for itself, then signs its answer to it. */
static qn_rc answer(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct subnet_answer *p = params;
    struct qn_hash chain;
    struct qn_key key;
    qn_rc rc = chain_of(ctx, &chain, why);
    if (rc) return rc;
    struct qn_hash hash = task_hash(&chain, &p->task);
    if (!key_signs(&p->task.validator, &p->task.key, &hash, &p->task.sig))
        return qn_why(why, QN_E_SIGNATURE, "the question is not signed by its validator");
    rc = ctx->key(ctx->host, ctx->as, &key, why);
    if (rc) return rc;
    struct subnet_reply r = {
        .task = hash, .miner = qn_acct_key(&key.pub), .body = p->body, .key = key.pub
    };
    if (!qn_hash_eq(&r.miner, &p->task.miner)) {
        rc = qn_why(why, QN_E_REFUSED, "the question is for somebody else");
    } else {
        struct qn_hash mine = reply_hash(&chain, &r);
        r.sig = qn_sign(&key, QN_SPAN(mine.b, 32));
        *ret = qn_to_json(subnet_reply_record(), &r);
    }
    qn_key_wipe(&key);
    return rc;
}

const struct qn_local SUBNET_LOCALS[] = {
    { "subnet.ask", "draw a question and sign it as a validator",
      "subnet ask --subnet fashion --epoch 3 --reg 5 --ctr 65536 --miner qn1.. --as val1",
      subnet_ask_record, NULL, "task question hash", ask, NULL },
    { "subnet.answer", "sign an answer as the miner it was asked of",
      "subnet answer --task .. --body 5b5d --as miner1", subnet_answer_record, NULL,
      "task miner body key sig", answer, NULL },
    { 0 },
};
