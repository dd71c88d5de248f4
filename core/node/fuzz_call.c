/* fuzz_call.c - what every call and every transaction of this build takes from outside. First byte: which. Then JSON (parameters of a
 * call, as HTTP and JSON-RPC bring them) or Borsh (the body of a transaction, with its own check). */
#include "core/node/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body(const struct qn_tx_kind *kind, struct qn_span bytes)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_buf again = { 0 };
    struct qn_why why = { "" };
    void *obj = qn_arena_alloc(&arena, kind->body()->size);
    if (qn_decode(kind->body(), bytes, &arena, obj, &why) == QN_OK) {
        qn_encode(kind->body(), obj, &again);
        QN_ASSERT(qn_span_eq(qn_buf_get(&again), bytes));
        if (kind->check && kind->check(obj, &why)) QN_ASSERT(why.text[0] != 0);
    }
    qn_buf_free(&again);
    qn_arena_free(&arena);
}

static void params(const struct qn_record *rec, struct qn_span text)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_why why = { "" };
    json_t *json = json_loadb((const char *)text.ptr, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    void *obj = qn_arena_alloc(&arena, rec->size);
    if (json && qn_from_json(rec, json, &arena, obj, &why) == QN_OK) {
        json_t *back = qn_to_json(rec, obj);
        QN_ASSERT(back != NULL);
        json_decref(back);
    }
    json_decref(json);
    qn_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct qn_call *call;
    const struct qn_tx_kind *kind;
    size_t calls = 0, kinds = 0;
    if (size == 0) return 0;
    while (qn_call_at(calls))
        calls++;
    while (qn_txkind_at(kinds))
        kinds++;
    size_t pick = data[0] % (calls + kinds);
    struct qn_span rest = QN_SPAN(data + 1, size - 1);
    if (pick < calls && (call = qn_call_at(pick)) && call->params)
        params(call->params(), rest);
    else if (pick >= calls && (kind = qn_txkind_at(pick - calls)))
        body(kind, rest);
    return 0;
}
