/* send.c - `proof send FILE`: the caller's key signs, the file goes inline. */
#include "ledger/state/tx.h"
#include "modules/zkml/zkml.h"

#include <stdio.h>
#include <string.h>

static qn_rc chain_of(struct qn_local_ctx *ctx, struct qn_hash *ret, uint64_t *ret_now_ms,
                      struct qn_why *why)
{
    json_t *status = NULL;
    qn_rc rc = ctx->call(ctx->host, "node.status", NULL, &status, why);
    if (rc) return rc;
    const char *hex = json_string_value(json_object_get(status, "chain"));
    uint64_t block_ms = (uint64_t)json_integer_value(json_object_get(status, "now_ms"));
    if (!hex || !qn_unhex(hex, strlen(hex), ret->b, 32))
        rc = qn_why(why, QN_E_FORMAT, "the node does not say its chain");
    *ret_now_ms = QN_MAX(block_ms, qn_env_now_ms(ctx->env));
    json_decref(status);
    return rc;
}

static qn_rc send_wait(struct qn_local_ctx *ctx, struct qn_span tx, const struct qn_hash *id,
                       json_t **ret, struct qn_why *why)
{
    char *hex = qn_arena_alloc(ctx->arena, 2 * tx.len + 1), id_hex[65];
    json_t *ask, *got = NULL;
    if (!hex) return QN_E_MEMORY;
    qn_hex(tx.ptr, tx.len, hex);
    qn_hex(id->b, 32, id_hex);
    ask = json_pack("{s:s}", "tx", hex);
    qn_rc rc = ctx->call(ctx->host, "tx.send", ask, &got, why);
    json_decref(ask);
    json_decref(got);
    if (rc) return rc;
    got = NULL;
    ask = json_pack("{s:s}", "id", id_hex);
    rc = ctx->call(ctx->host, "tx.wait", ask, &got, why);
    json_decref(ask);
    json_int_t code = json_integer_value(json_object_get(got, "rc"));
    if (rc == QN_OK && code > 0 && code < QN_RC_CNT)
        rc = qn_why(why, (qn_rc)code, "%s", json_string_value(json_object_get(got, "why")));
    if (rc == QN_OK)
        *ret = got;
    else
        json_decref(got);
    return rc;
}

static qn_rc proof_send(struct qn_local_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct zkml_send *p = params;
    struct qn_buf file = { 0 }, body = { 0 }, tx = { 0 };
    struct qn_key key = { 0 };
    struct qn_hash chain, id;
    struct qn_tx_opts opts = { 0 };
    struct zkml_verdict v;
    uint64_t now_ms;
    char path[1025], hex[65];
    snprintf(path, sizeof path, "%.*s", (int)p->file.len, (const char *)p->file.ptr);
    qn_rc rc = qn_file_read(path, ZK_PROOF_MAX, &file, why);
    if (rc == QN_OK) rc = zkml_verify(qn_buf_get(&file), &v, why);
    if (rc == QN_OK) rc = ctx->key(ctx->host, ctx->as, &key, why);
    if (rc == QN_OK) rc = chain_of(ctx, &chain, &now_ms, why);
    if (rc) goto out;
    const struct zkml_proof_put put = { qn_buf_get(&file) };
    qn_env_random(ctx->env, &opts.salt, sizeof opts.salt);
    qn_encode(zkml_proof_put_record(), &put, &body);
    qn_tx_build(&chain, ZKML_TX_PROOF_PUT, qn_buf_get(&body), &key, now_ms, &opts, &tx, &id);
    rc = send_wait(ctx, qn_buf_get(&tx), &id, ret, why);
    if (rc) goto out;
    qn_hex(v.id.b, 32, hex);
    json_object_set_new(*ret, "proof", json_string(hex));
    json_object_set_new(*ret, "class", json_integer(v.class_idx));
out:
    qn_key_wipe(&key);
    qn_buf_free(&file);
    qn_buf_free(&body);
    qn_buf_free(&tx);
    return rc;
}

const struct qn_local ZKML_LOCALS[] = {
    { "proof.send", "have the ledger judge a proof; the key that acts must be its prover",
      "proof send x.qproof --as miner", zkml_send_record, "file", "id height proof class",
      proof_send, NULL },
    { 0 },
};
