/* work.c - job kinds: `setup` commits to a network, `prove` makes a proof. */
#include "modules/zkml/netfile.h"
#include "modules/zkml/prove.h"
#include "modules/zkml/zkml.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static qn_rc read_in(struct qn_worker *w, const char *name, size_t max, struct qn_buf *ret,
                     struct qn_why *why)
{
    char path[4096];
    if (!qn_worker_in(w, name, path, sizeof path))
        return qn_why(why, QN_E_USAGE, "the request passed no input %s", name);
    return qn_file_read(path, max, ret, why);
}

/* Not synced: the node keeps what it wants to keep. */
static qn_rc write_out(struct qn_worker *w, const char *name, struct qn_span bytes,
                       struct qn_why *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", qn_worker_out(w), name);
    FILE *f = fopen(path, "wb");
    if (!f) return qn_why(why, QN_E_IO, "%s does not open", path);
    bool ok = fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len;
    ok &= fclose(f) == 0;
    return ok ? QN_OK : qn_why(why, QN_E_IO, "%s was not written", path);
}

static qn_rc work_setup(struct qn_worker *w, const json_t *request, json_t **ret,
                        struct qn_why *why)
{
    struct qn_buf file = { 0 }, out = { 0 };
    struct qn_arena arena = { 0 };
    struct int8_model net;
    struct zkml_secret secret = { 0 };
    uint8_t seed[32];
    json_int_t budget = json_integer_value(json_object_get(request, "budget"));
    qn_rc rc = read_in(w, "network", NETFILE_MAX, &file, why);
    if (rc == QN_OK) rc = netfile_get(qn_buf_get(&file), &arena, &net, why);
    if (rc) goto out;
    qn_env_random(qn_env_real(), seed, sizeof seed);
    rc = zkml_secret_make(&net, budget > 0 && budget <= ZK_BUDGET_MAX ? (uint32_t)budget : 0, seed,
                          &secret, why);
    explicit_bzero(seed, sizeof seed);
    if (rc) goto out;
    zkml_secret_put(&secret, &out);
    rc = write_out(w, "secret.qzw", qn_buf_get(&out), why);
    explicit_bzero(out.ptr, out.len);
    if (rc) goto out;
    char model[65], root[65], shape[513];
    qn_hex(secret.model.b, 32, model);
    qn_hex(secret.root.b, 32, root);
    qn_buf_clear(&out);
    zkml_shape_put(&secret.plan.shape, &out);
    qn_hex(out.ptr, out.len, shape);
    *ret = zkml_plan_json(&secret.plan);
    json_object_set_new(*ret, "model", json_string(model));
    json_object_set_new(*ret, "root", json_string(root));
    json_object_set_new(*ret, "shape", json_string(shape));
    qn_worker_log(w, "committed to a network of %u layers: %s", net.layer_cnt, model);
out:
    zkml_secret_free(&secret);
    qn_arena_free(&arena);
    qn_buf_free(&file);
    qn_buf_free(&out);
    return rc;
}

static bool hash_of(const json_t *request, const char *name, struct qn_hash *ret)
{
    const char *hex = json_string_value(json_object_get(request, name));
    return hex && qn_unhex(hex, strlen(hex), ret->b, 32);
}

static qn_rc work_prove(struct qn_worker *w, const json_t *request, json_t **ret,
                        struct qn_why *why)
{
    struct qn_buf file = { 0 }, proof = { 0 };
    struct zkml_secret secret = { 0 };
    struct zkml_prove_in in = { .secret = &secret };
    struct zkml_verdict v;
    int8_t x[ZK_INPUT_MAX];
    const char *hex = json_string_value(json_object_get(request, "x"));
    qn_rc rc = read_in(w, "secret", ZK_SECRET_MAX, &file, why);
    if (rc == QN_OK) rc = zkml_secret_get(qn_buf_get(&file), &secret, why);
    if (rc) goto out;
    uint32_t in_cnt = secret.plan.shape.layer[0].in;
    in.x = x;
    in.height_from = (uint64_t)json_integer_value(json_object_get(request, "from"));
    in.height_to = (uint64_t)json_integer_value(json_object_get(request, "to"));
    if (!hex || !qn_unhex(hex, strlen(hex), x, in_cnt)) {
        rc = qn_why(why, QN_E_RANGE, "input: the network takes %u int8 values", in_cnt);
        goto out;
    }
    if (!hash_of(request, "chain", &in.chain) || !hash_of(request, "job", &in.job) ||
        !hash_of(request, "prover", &in.prover)) {
        rc = qn_why(why, QN_E_RANGE, "chain, job, prover: expected 64 hex digits each");
        goto out;
    }
    qn_env_random(qn_env_real(), in.seed, sizeof in.seed);
    uint64_t begun = qn_env_mono_us(qn_env_real());
    rc = zkml_prove(&in, NULL, &proof, NULL, why);
    uint64_t proved = qn_env_mono_us(qn_env_real());
    explicit_bzero(in.seed, sizeof in.seed);
    if (rc == QN_OK) rc = zkml_verify(qn_buf_get(&proof), &v, why);
    if (rc == QN_OK) rc = write_out(w, "proof.qproof", qn_buf_get(&proof), why);
    if (rc) goto out;
    uint64_t verified = qn_env_mono_us(qn_env_real());
    *ret = json_pack("{s:f,s:f}", "prove_ms", (double)(proved - begun) / 1000, "verify_ms",
                     (double)(verified - proved) / 1000);
    qn_worker_log(w, "%zu bytes in %llu us", proof.len, (unsigned long long)(proved - begun));
out:
    if (file.ptr) explicit_bzero(file.ptr, file.len);
    zkml_secret_free(&secret);
    qn_buf_free(&file);
    qn_buf_free(&proof);
    return rc;
}

const struct qn_job_kind ZKML_JOBS[] = {
    { "setup", "commit to the weights of an int8 network", work_setup },
    { "prove", "prove what a committed network computes on an input", work_prove },
    { 0 },
};
