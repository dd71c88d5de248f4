/* test_zkml.c - models, proofs and verdicts on a ledger in memory; a contract that pays by verdict. */
#include "core/base/embed.h"
#include "core/base/test.h"
#include "ledger/state/contract.h"
#include "ledger/state/fixture.h"
#include "ledger/state/tx.h"
#include "lua/bind/contract.h"
#include "modules/zkml/testnet.h"
#include "modules/zkml/zkml.h"

#include <stdlib.h>

extern const struct qn_module zkml_module;

struct world {
    struct qn_fix fix;
    struct qn_exec_module exec;
    struct testnet net;
    struct qn_why why;
};

static void begin(struct world *w)
{
    const struct qn_module *m = &zkml_module;
    w->exec = (struct qn_exec_module){ m->name,  m->txs,     m->dues,     m->tables,
                                       m->chain, m->genesis, m->block_end };
    qn_fix_init(&w->fix, &w->exec, 1, qn_lua_contracts());
    QN_ASSERT(testnet_make(&w->net, (const uint32_t[]){ 16, 12, 10 }, 2, 4, 31, &w->why) == QN_OK);
}

static void end(struct world *w)
{
    testnet_free(&w->net);
    qn_fix_fini(&w->fix);
}

static qn_rc put_model(struct world *w, unsigned who)
{
    struct qn_buf shape = { 0 };
    zkml_shape_put(&w->net.secret.plan.shape, &shape);
    const struct zkml_model_put put = { .model = w->net.secret.model,
                                        .shape = qn_buf_get(&shape),
                                        .budget = w->net.secret.plan.budget,
                                        .root = w->net.secret.root,
                                        .name = QN_SPAN_STR("test"),
                                        .accuracy_ppm = 900000,
                                        .licence = QN_SPAN_STR("MIT") };
    qn_rc rc = qn_fix_tx(&w->fix, who, ZKML_TX_MODEL_PUT, &put, NULL, &w->why);
    qn_buf_free(&shape);
    return rc;
}

static struct zkml_prove_in input(const struct world *w, unsigned who)
{
    static const uint8_t seed[32] = { 7 };
    struct zkml_prove_in in = { .secret = &w->net.secret,
                                .x = w->net.x,
                                .chain = w->fix.chain,
                                .prover = qn_fix_acct(who),
                                .height_to = 1000 };
    memcpy(in.seed, seed, 32);
    in.seed[1] = (uint8_t)w->fix.salt;
    return in;
}

static qn_rc put_proof(struct world *w, unsigned who, const struct zkml_prove_in *in,
                       struct qn_hash *ret_id)
{
    struct qn_buf proof = { 0 };
    struct zkml_verdict v;
    qn_rc rc = zkml_prove(in, NULL, &proof, NULL, &w->why);
    if (rc == QN_OK) rc = zkml_verify(qn_buf_get(&proof), &v, &w->why);
    if (rc == QN_OK) {
        const struct zkml_proof_put put = { qn_buf_get(&proof) };
        *ret_id = v.id;
        rc = qn_fix_tx(&w->fix, who, ZKML_TX_PROOF_PUT, &put, NULL, &w->why);
    }
    qn_buf_free(&proof);
    return rc;
}

static void test_verdict(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_hash id;
    begin(&w);
    struct zkml_prove_in in = input(&w, 1);
    CHECK_RC(put_proof(&w, 1, &in, &id), QN_E_NOTFOUND); /* not registered */
    CHECK_RC(put_model(&w, 1), QN_OK);
    CHECK_RC(put_model(&w, 2), QN_E_AUTH);
    CHECK_RC(put_proof(&w, 2, &in, &id), QN_E_AUTH); /* somebody else's proof */
    in.chain.b[0] ^= 1;
    CHECK_RC(put_proof(&w, 1, &in, &id), QN_E_FOREIGN);
    in.chain.b[0] ^= 1, in.height_to = 1;
    CHECK_RC(put_proof(&w, 1, &in, &id), QN_E_EXPIRED);
    in.height_to = 1000;
    CHECK_RC(put_proof(&w, 1, &in, &id), QN_OK);
    CHECK_RC(put_proof(&w, 1, &in, &id), QN_E_DUPLICATE);
    in.seed[5] ^= 1; /* the same statement, other randomness: still the same thing proved */
    CHECK_RC(put_proof(&w, 1, &in, &id), QN_E_DUPLICATE);
    in.job.b[0] = 1;
    CHECK_RC(put_proof(&w, 1, &in, &id), QN_OK);
    struct zkml_ruling v;
    struct qn_arena arena = { 0 };
    CHECK_RC(
        qn_view_rec(w.fix.view, ZKML_T_VERDICT, QN_SPAN_OF(id), zkml_ruling_record(), &arena, &v),
        QN_OK);
    int8_t y[10];
    CHECK_RC(int8_run(&w.net.net, w.net.x, y), QN_OK);
    CHECK(v.class_idx == int8_argmax(y, 10) && v.outputs.len == 10 &&
          memcmp(v.outputs.ptr, y, 10) == 0);
    CHECK(v.hiding && v.bits10 >= 1000);
    qn_arena_free(&arena);
    end(&w);
}

static void test_spoiled(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_buf proof = { 0 };
    begin(&w);
    CHECK_RC(put_model(&w, 1), QN_OK);
    struct zkml_prove_in in = input(&w, 1);
    CHECK_RC(zkml_prove(&in, NULL, &proof, NULL, &w.why), QN_OK);
    for (size_t i = 0; i < 20; i++) {
        size_t at = proof.len * i / 20;
        proof.ptr[at] ^= 4;
        const struct zkml_proof_put put = { qn_buf_get(&proof) };
        CHECK(zkml_proof_check(&put, &w.why) != QN_OK);
        CHECK(qn_fix_tx(&w.fix, 1, ZKML_TX_PROOF_PUT, &put, NULL, &w.why) != QN_OK);
        proof.ptr[at] ^= 4;
    }
    struct zkml_model_put m = { .model = w.net.secret.model, .shape = QN_SPAN("\1", 1) };
    CHECK_RC(zkml_model_check(&m, &w.why), QN_E_FORMAT);
    qn_buf_free(&proof);
    end(&w);
}

static qn_rc contract(struct world *w, unsigned who, const struct qn_hash *id, const char *method,
                      const char *args, uint64_t value)
{
    struct contract_call c = { .contract = *id,
                               .method = QN_SPAN_STR(method),
                               .args = QN_SPAN_STR(args),
                               .value = QN_UQN(value) };
    return qn_fix_tx(&w->fix, who, QN_TX_CALL, &c, NULL, &w->why);
}

static void test_contract(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_span source;
    struct qn_hash id, proof, input_hash;
    char args[400], model[65], x[65], hex[65];
    begin(&w);
    CHECK_RC(put_model(&w, 1), QN_OK);
    CHECK(qn_embed_get("lua/contracts/verdict.lua", &source));
    struct contract_deploy d = { .name = QN_SPAN_STR("verdict"),
                                 .source = source,
                                 .args = QN_SPAN_STR("[]"),
                                 .value = QN_UQN(0) };
    CHECK_RC(qn_fix_tx(&w.fix, 0, QN_TX_DEPLOY, &d, NULL, &w.why), QN_OK);
    QN_ASSERT(qn_fix_event(&w.fix, "contract.deployed", &id));
    input_hash = zkml_input_hash(w.net.x, 16);
    qn_hex(w.net.secret.model.b, 32, model);
    qn_hex(input_hash.b, 32, x);
    snprintf(args, sizeof args, "[\"%s\",\"%s\"]", model, x);
    CHECK_RC(contract(&w, 0, &id, "ask", args, 5000), QN_OK);
    struct zkml_prove_in in = input(&w, 1);
    CHECK_RC(put_proof(&w, 1, &in, &proof), QN_OK);
    qn_hex(proof.b, 32, hex);
    snprintf(args, sizeof args, "[1,\"%s\"]", x); /* no proof of that id */
    CHECK_RC(contract(&w, 2, &id, "settle", args, 0), QN_E_SCRIPT);
    struct qn_hash prover = qn_fix_acct(1);
    uint64_t before = qn_view_balance(w.fix.view, &prover).uqn;
    snprintf(args, sizeof args, "[1,\"%s\"]", hex);
    CHECK_RC(contract(&w, 2, &id, "settle", args, 0), QN_OK);
    CHECK(qn_view_balance(w.fix.view, &prover).uqn == before + 5000);
    CHECK_RC(contract(&w, 2, &id, "settle", args, 0), QN_E_SCRIPT); /* once */
    CHECK_RC(contract(&w, 0, &id, "back", "[1]", 0), QN_E_SCRIPT);
    /* another input: the same proof does not answer it; the asker takes the reward back */
    x[0] = x[0] == 'a' ? 'b' : 'a';
    snprintf(args, sizeof args, "[\"%s\",\"%s\"]", model, x);
    CHECK_RC(contract(&w, 0, &id, "ask", args, 7000), QN_OK);
    snprintf(args, sizeof args, "[2,\"%s\"]", hex);
    CHECK_RC(contract(&w, 2, &id, "settle", args, 0), QN_E_SCRIPT);
    CHECK_RC(contract(&w, 2, &id, "back", "[2]", 0), QN_E_SCRIPT);
    CHECK_RC(contract(&w, 0, &id, "back", "[2]", 0), QN_OK);
    end(&w);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_verdict);
    TEST(test_spoiled);
    TEST(test_contract);
    return TEST_END();
}
