/* verbs.c - what needs no node: checking a proof file, and the security sum. */
#include "modules/zkml/zkml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(qn_rc rc, const struct qn_why *why, bool json)
{
    if (json &&
        qn_err_exit(rc) != QN_CLASS_PEER) { /* the words, the file: nothing is said of a proof */
        json_t *err = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", qn_err_code(rc), "class",
                                qn_err_class(rc), "text", why->text);
        json_dumpf(err, stderr, JSON_COMPACT);
        fputc('\n', stderr);
        json_decref(err);
    } else if (json) {
        json_t *out =
            json_pack("{s:b,s:s,s:s}", "valid", 0, "code", qn_err_code(rc), "why", why->text);
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(out);
    } else {
        fprintf(stderr, "error: %s [%s]\n", why->text, qn_err_code(rc));
    }
    return qn_err_exit(rc);
}

static int verify_verb(int argc, char **argv, bool json)
{
    struct qn_why why = { "" };
    struct qn_buf file = { 0 };
    struct zkml_verdict v;
    struct qn_hash wanted;
    if (argc < 1 || argc > 2)
        return fail(qn_why(&why, QN_E_USAGE, "proof verify takes a file, and a model"), &why, json);
    if (argc == 2 && !qn_unhex(argv[1], strlen(argv[1]), wanted.b, 32))
        return fail(qn_why(&why, QN_E_USAGE, "%s: a model has 64 hex digits", argv[1]), &why, json);
    qn_rc rc = qn_file_read(argv[0], ZK_PROOF_MAX, &file, &why);
    if (rc) return fail(rc, &why, json);
    uint64_t begun = qn_env_mono_us(qn_env_real());
    rc = zkml_verify(qn_buf_get(&file), &v, &why);
    if (rc == QN_OK && argc == 2 && !qn_hash_eq(&v.model, &wanted))
        rc = qn_why(&why, QN_E_PROOF, "the proof holds, but for another model");
    double ms = (double)(qn_env_mono_us(qn_env_real()) - begun) / 1000;
    if (rc) {
        qn_buf_free(&file);
        if (!json) fprintf(stderr, "INVALID %s: %s [%s]\n", argv[0], why.text, qn_err_code(rc));
        if (json) (void)fail(rc, &why, true);
        return 1;
    }
    if (json) {
        json_t *out = zkml_verdict_json(&v, file.len);
        json_object_set_new(out, "valid", json_true());
        json_object_set_new(out, "verify_ms", json_real(ms));
        json_dumpf(out, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(out);
    } else {
        /* Both names in full: who reads four digits of one reads what a cheat can search for. */
        char model[65], input[65];
        qn_hex(v.model.b, 32, model);
        qn_hex(v.input.b, 32, input);
        printf("VALID net %s gave class %u on input %s; weights %s; %u.%u bits (ud); %zu KB, "
               "checked in %.1f ms\n",
               model, v.class_idx, input, v.hiding ? "hidden" : "shown", v.bits / 10, v.bits % 10,
               (file.len + 999) / 1000, ms);
    }
    qn_buf_free(&file);
    return 0;
}

/* "784,128,10" with shift 9 and ReLU between. */
static qn_rc dims_plan(const char *text, uint32_t budget, struct zkml_plan *ret, struct qn_why *why)
{
    struct zkml_shape shape = { 0 };
    uint32_t dims[ZK_LAYERS_MAX + 1], cnt = 0;
    for (const char *at = text; *at;) {
        char *end;
        unsigned long v = strtoul(at, &end, 10);
        if (end == at || v > ZK_DIM_MAX || cnt == QN_COUNT(dims) || (*end && *end != ','))
            return qn_why(why, QN_E_USAGE, "expected a proof file, or sizes such as 784,128,10");
        dims[cnt++] = (uint32_t)v;
        at = *end ? end + 1 : end;
    }
    if (cnt < 2) return qn_why(why, QN_E_USAGE, "expected at least two sizes");
    shape.layer_cnt = cnt - 1;
    for (uint32_t l = 0; l + 1 < cnt; l++)
        shape.layer[l] = (struct zkml_layer_shape){ dims[l], dims[l + 1], 1, 9, l + 2 < cnt };
    return zkml_plan_make(&shape, budget, ret, why);
}

static void term(const char *what, uint32_t bits, const char *how)
{
    printf("  %-10s %4u.%u bits   %s\n", what, bits / 10, bits % 10, how);
}

static int bits_verb(int argc, char **argv, bool json)
{
    struct qn_why why = { "" };
    struct qn_buf file = { 0 };
    struct zkml_plan plan;
    struct zkml_verdict v;
    if (argc < 1 || argc > 2)
        return fail(
            qn_why(&why, QN_E_USAGE, "proof bits takes a proof file or sizes, and a budget"), &why,
            json);
    uint32_t budget = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : ZKML_BUDGET_STD;
    qn_rc rc = argv[0][0] >= '0' && argv[0][0] <= '9' && strchr(argv[0], ',')
                   ? dims_plan(argv[0], budget, &plan, &why)
                   : qn_file_read(argv[0], ZK_PROOF_MAX, &file, &why);
    if (rc == QN_OK && file.len) rc = zkml_verdict_read(qn_buf_get(&file), &v, &plan, &why);
    qn_buf_free(&file);
    if (rc) return fail(rc, &why, json);
    if (json) {
        json_t *out = zkml_plan_json(&plan);
        json_dumpf(out, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(out);
        return 0;
    }
    char how[160];
    printf("a cheat's chances, by proven bounds (unique decoding):\n");
    snprintf(how, sizeof how, "%u rows of 2^%u at degree %u, and %u bits of grinding", plan.queries,
             plan.log_n, plan.w_deg, plan.grind);
    term("queries", plan.bits_query, how);
    term("folds", plan.bits_gap, "proximity gaps, N/|K| each");
    term("algebra", plan.bits_iop, "sumchecks, batches, triples");
    term("hash", plan.bits_hash, "collisions of BLAKE3");
    term("sum", plan.bits, "of the probabilities");
    printf("at most %u bytes a proof, %llu gas; a commitment is good for %u proofs\n",
           plan.proof_max, (unsigned long long)zkml_gas(&plan, plan.proof_max), plan.budget);
    return 0;
}

const struct qn_verb ZKML_VERBS[] = {
    { "proof verify", "FILE [MODEL] [--json]", "check a proof, of this model; needs no node",
      "proof verify x.qproof", verify_verb },
    { "proof bits", "FILE|SIZES [BUDGET] [--json]",
      "what a proof's soundness rests on, term by term", "proof bits 784,128,10", bits_verb },
    { 0 },
};
