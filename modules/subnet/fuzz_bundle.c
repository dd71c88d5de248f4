/* fuzz_bundle.c - evidence from strangers: what decodes has one byte form, its leaves are in order, its answers are JSON or nothing. */
#include "core/crypto/sign.h"
#include "modules/subnet/score.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_arena arena = { .max = 4u << 20 };
    struct subnet_bundle bundle;
    struct qn_why why = { "" };
    const struct qn_hash chain = { { 1 } };
    if (bundle_read(QN_SPAN(data, size), &arena, &bundle, &why) == QN_OK) {
        struct qn_buf buf = { 0 };
        qn_encode(subnet_bundle_record(), &bundle, &buf);
        QN_ASSERT(qn_span_eq(qn_buf_get(&buf), QN_SPAN(data, size)));
        struct qn_hash root = leaf_root(bundle.leaves.ptr, bundle.leaves.cnt);
        leaf_sort(bundle.leaves.ptr, bundle.leaves.cnt);
        struct qn_hash again = leaf_root(bundle.leaves.ptr, bundle.leaves.cnt);
        QN_ASSERT(qn_hash_eq(&root, &again)); /* they were sorted */
        for (uint32_t i = 0; i < bundle.leaves.cnt; i++) {
            const struct subnet_leaf *l = &bundle.leaves.ptr[i];
            struct qn_hash hash = task_hash(&chain, &l->task);
            QN_ASSERT(!key_signs(&l->task.validator, &l->task.key, &hash, &l->task.sig));
            if (l->reply) json_decref(market_reply(l->reply->body));
        }
        qn_buf_free(&buf);
    }
    json_decref(market_reply(QN_SPAN(data, size)));
    qn_arena_free(&arena);
    return 0;
}
