/* zkml.c - the module. */
#include "modules/zkml/zkml.h"

#include "core/schema/define.h"
#include "modules/zkml/zkml.def"

/* To add a transaction: a record in zkml.def, a number in zkml.h, check and apply in ledger.c, a line here. */
static const struct qn_tx_kind TXS[] = {
    { ZKML_TX_MODEL_PUT, "model.put", "register a committed model", zkml_model_put_record, 60000,
      zkml_model_check, zkml_model_apply },
    { ZKML_TX_PROOF_PUT, "proof.put", "have a proof judged", zkml_proof_put_record, 20000,
      zkml_proof_check, zkml_proof_apply },
    { 0 },
};

static const struct qn_table TABLES[] = {
    { ZKML_T_MODEL, "zkmodel", zkml_model_record, "model h32" },
    { ZKML_T_VERDICT, "verdict", zkml_ruling_record, "proof h32" },
    { 0 },
};

static const struct qn_chain_fn CHAIN[] = {
    { "proof", "verdict on a proof: {ok, model, input, class, outputs, bits, height, prover, job}",
      2000, zkml_chain_proof },
    { 0 },
};

extern const struct qn_module zkml_module;
const struct qn_module zkml_module = {
    .name = "zkml",
    .doc = "proofs of what a committed model computed",
    .tag = ZKML_TAG,
    .txs = TXS,
    .tables = TABLES,
    .chain = CHAIN,
    .calls = ZKML_CALLS,
    .jobs = ZKML_JOBS,
    .verbs = ZKML_VERBS,
    .locals = ZKML_LOCALS,
};
