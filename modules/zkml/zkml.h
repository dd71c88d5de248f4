/* zkml.h - the module's records, tables and parts. */
#ifndef QN_MODULES_ZKML_ZKML_H
#define QN_MODULES_ZKML_ZKML_H

#include "core/module/module.h"
#include "modules/zkml/verify.h"

#include "core/schema/declare.h"
#include "modules/zkml/zkml.def"

enum { ZKML_TAG = 4 };
enum { ZKML_T_MODEL = 0x40, ZKML_T_VERDICT = 0x41 };
enum { ZKML_TX_MODEL_PUT = ZKML_TAG << 8 | 1, ZKML_TX_PROOF_PUT = ZKML_TAG << 8 | 3 };

#define ZKML_BUDGET_STD 16
#define ZKML_SPAN_STD   10000

/* ledger.c */
qn_rc zkml_model_check(const void *body, struct qn_why *why);
qn_rc zkml_model_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc zkml_proof_check(const void *body, struct qn_why *why);
qn_rc zkml_proof_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc zkml_chain_proof(const struct qn_view *view, const json_t *arg, json_t **ret,
                       struct qn_why *why);
/* zkml_gas is what a proof costs: 45 a 64 bytes hashed, 30 a product in K. */
uint64_t zkml_gas(const struct zkml_plan *plan, size_t proof_len);

/* json.c: what a valid proof and a plan say. */
json_t *zkml_verdict_json(const struct zkml_verdict *v, size_t bytes) QN_GIVES;
json_t *zkml_plan_json(const struct zkml_plan *plan) QN_GIVES;

/* calls.c, work.c, verbs.c, send.c */
extern const struct qn_call ZKML_CALLS[];
extern const struct qn_job_kind ZKML_JOBS[];
extern const struct qn_verb ZKML_VERBS[];
extern const struct qn_local ZKML_LOCALS[];

#endif
