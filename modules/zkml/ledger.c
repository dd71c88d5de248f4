/* ledger.c - models and verdicts on the ledger. */
#include "modules/zkml/zkml.h"

#include <string.h>

/* --- models -------------------------------------------------------------------------------------------------------- */

qn_rc zkml_model_check(const void *body, struct qn_why *why)
{
    const struct zkml_model_put *b = body;
    struct qn_span bytes = b->shape;
    struct zkml_shape shape;
    struct zkml_plan plan;
    if (!zkml_shape_get(&bytes, &shape) || bytes.len)
        return qn_why(why, QN_E_FORMAT, "shape: not of the expected form");
    qn_rc rc = zkml_plan_make(&shape, b->budget, &plan, why);
    if (rc) return rc;
    struct qn_hash m = zkml_model_hash(&shape, b->budget, &b->root);
    if (!qn_hash_eq(&m, &b->model))
        return qn_why(why, QN_E_FORMAT, "model: not the hash of shape, budget and root");
    return QN_OK;
}

qn_rc zkml_model_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct zkml_model_put *b = body;
    struct zkml_model old = { 0 };
    qn_rc rc = qn_view_rec(ap->view, ZKML_T_MODEL, QN_SPAN_OF(b->model), zkml_model_record(),
                           ap->arena, &old);
    if (rc && rc != QN_E_NOTFOUND) return rc;
    if (rc == QN_OK && !qn_hash_eq(&old.owner, &ap->sender))
        return qn_why(why, QN_E_AUTH, "another account registered this model");
    const struct zkml_model row = { .owner = ap->sender,
                                    .shape = b->shape,
                                    .budget = b->budget,
                                    .root = b->root,
                                    .name = b->name,
                                    .accuracy_ppm = b->accuracy_ppm,
                                    .licence = b->licence,
                                    .blob = b->blob,
                                    .proof_cnt = old.proof_cnt,
                                    .since_ms = rc ? ap->now_ms : old.since_ms };
    qn_row_put_rec(ap, ZKML_T_MODEL, QN_SPAN_OF(b->model), zkml_model_record(), &row);
    qn_emit(ap, "model.put", &b->model, zkml_model_record(), &row);
    return QN_OK;
}

/* --- proofs -------------------------------------------------------------------------------------------------------- */

qn_rc zkml_proof_check(const void *body, struct qn_why *why)
{
    const struct zkml_proof_put *b = body;
    struct zkml_verdict v;
    return zkml_verify(b->proof, &v, why);
}

/* Rows opened: t (m + 12) products K x F; vectors at t points; each a fifth of a product in K. Claims: a few thousand. */
uint64_t zkml_gas(const struct zkml_plan *p, size_t proof_len)
{
    uint64_t t = p->queries, mixed = t * (p->m + ZK_A_ROWS + p->w_deg + p->a_deg + p->z_deg);
    uint64_t k = mixed / 5 + 2 * (uint64_t)(p->w_cols + p->a_cols) + 40 * (uint64_t)p->z_cells;
    return 20000 + 45 * (2 * (uint64_t)proof_len / 64) + 30 * k;
}

/* check has verified the proof: it runs before apply, for every node that executes the block. */
qn_rc zkml_proof_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct zkml_proof_put *b = body;
    struct zkml_verdict v;
    struct zkml_plan plan;
    struct zkml_model model;
    struct qn_span row;
    qn_rc rc = zkml_verdict_read(b->proof, &v, &plan, why);
    if (rc) return rc;
    rc = qn_gas_use(ap, zkml_gas(&plan, b->proof.len));
    if (rc) return rc;
    if (!qn_hash_eq(&v.st.chain, &ap->chain))
        return qn_why(why, QN_E_FOREIGN, "the proof was made for another chain");
    if (ap->height < v.st.height_from || ap->height > v.st.height_to)
        return qn_why(why, QN_E_EXPIRED, "the proof was made for blocks %llu to %llu",
                      (unsigned long long)v.st.height_from, (unsigned long long)v.st.height_to);
    if (!qn_hash_eq(&v.st.prover, &ap->sender))
        return qn_why(why, QN_E_AUTH, "the proof names another account as its prover");
    if (qn_view_get(ap->view, ZKML_T_VERDICT, QN_SPAN_OF(v.id), &row))
        return qn_why(why, QN_E_DUPLICATE, "this was proved already");
    rc = qn_view_rec(ap->view, ZKML_T_MODEL, QN_SPAN_OF(v.model), zkml_model_record(), ap->arena,
                     &model);
    if (rc == QN_E_NOTFOUND) return qn_why(why, rc, "the proof's model is not registered");
    if (rc) return rc;
    model.proof_cnt++;
    const struct zkml_ruling verdict = { .model = v.model,
                                         .input = v.input,
                                         .outputs = QN_SPAN(v.st.y, v.out_cnt),
                                         .class_idx = v.class_idx,
                                         .bits10 = v.bits,
                                         .profile = 0,
                                         .hiding = v.hiding,
                                         .prover = ap->sender,
                                         .job = v.st.job,
                                         .bytes = (uint32_t)b->proof.len,
                                         .height = ap->height };
    qn_row_put_rec(ap, ZKML_T_MODEL, QN_SPAN_OF(v.model), zkml_model_record(), &model);
    qn_row_put_rec(ap, ZKML_T_VERDICT, QN_SPAN_OF(v.id), zkml_ruling_record(), &verdict);
    qn_emit(ap, "proof.verdict", &v.id, zkml_ruling_record(), &verdict);
    return QN_OK;
}

/* c:chain("proof", id) in a contract. */
qn_rc zkml_chain_proof(const struct qn_view *view, const json_t *arg, json_t **ret,
                       struct qn_why *why)
{
    const char *hex = json_string_value(arg);
    struct qn_arena arena = { 0 };
    struct qn_hash id;
    struct zkml_ruling v;
    if (!hex || !qn_unhex(hex, strlen(hex), id.b, 32))
        return qn_why(why, QN_E_RANGE, "proof: expected an id of 64 hex digits");
    qn_rc rc = qn_view_rec(view, ZKML_T_VERDICT, QN_SPAN_OF(id), zkml_ruling_record(), &arena, &v);
    if (rc && rc != QN_E_NOTFOUND) return rc;
    *ret = json_pack("{s:b}", "ok", rc == QN_OK);
    if (rc == QN_OK) {
        char model[65], input[65], prover[65], job[65];
        json_t *outputs = json_array();
        for (size_t i = 0; i < v.outputs.len; i++)
            json_array_append_new(outputs, json_integer((int8_t)v.outputs.ptr[i]));
        qn_hex(v.model.b, 32, model), qn_hex(v.input.b, 32, input);
        qn_hex(v.prover.b, 32, prover), qn_hex(v.job.b, 32, job);
        json_object_set_new(*ret, "model", json_string(model));
        json_object_set_new(*ret, "input", json_string(input));
        json_object_set_new(*ret, "prover", json_string(prover));
        json_object_set_new(*ret, "job", json_string(job));
        json_object_set_new(*ret, "class", json_integer(v.class_idx));
        json_object_set_new(*ret, "outputs", outputs);
        json_object_set_new(*ret, "bits", json_integer(v.bits10 / 10));
        json_object_set_new(*ret, "height", json_integer((json_int_t)v.height));
    }
    qn_arena_free(&arena);
    return QN_OK;
}
