/* contract.c - contracts on the ledger: their code, their rows, and what a running one may do. */
#include "ledger/state/contract.h"

#include "core/crypto/hash.h"
#include "ledger/state/state_in.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/schema/define.h"
#include "ledger/state/contract.def"

#define KV_KEY_MAX 200
#define KV_VAL_MAX 65536
#define READ_GAS   1000
#define WRITE_GAS  5000
#define BYTE_GAS   20 /* of a byte kept for ever by every node */
#define ARG_GAS    16 /* of a byte of arguments to read */

/* One call of one contract. */
struct run {
    struct qn_apply *ap; /* NULL: a query */
    const struct qn_view *view;
    struct qn_hash id, acct;
    struct qn_arena arena;
};

/* A contract's key in the KV table: id, then the key with 00 as 00 ff and 00 01 behind: prefix-free, order kept. */
static struct qn_span kv_key(const struct qn_hash *id, struct qn_span key, bool end,
                             uint8_t dst[QN_TRIE_KEY_MAX])
{
    size_t n = 32;
    memcpy(dst, id->b, 32);
    for (size_t i = 0; i < key.len; i++) {
        dst[n++] = key.ptr[i];
        if (key.ptr[i] == 0) dst[n++] = 0xff;
    }
    if (end) {
        dst[n++] = 0;
        dst[n++] = 1;
    }
    return QN_SPAN(dst, n);
}

static struct qn_span kv_unkey(struct qn_span full, struct qn_arena *arena)
{
    uint8_t *dst = qn_arena_alloc(arena, full.len + 1);
    size_t n = 0;
    for (size_t i = 32; i + 2 < full.len; i++) {
        dst[n++] = full.ptr[i];
        if (full.ptr[i] == 0) i++;
    }
    return QN_SPAN(dst, n);
}

static bool host_get(void *self, struct qn_span key, struct qn_span *ret_val)
{
    struct run *r = self;
    uint8_t buf[QN_TRIE_KEY_MAX];
    if (key.len > KV_KEY_MAX) return false;
    if (r->ap && qn_gas_use(r->ap, READ_GAS)) return false;
    return qn_view_get(r->view, QN_TABLE_KV, kv_key(&r->id, key, true, buf), ret_val);
}

static qn_rc writable(struct run *r, struct qn_why *why)
{
    return r->ap ? QN_OK : qn_why(why, QN_E_AUTH, "a view changes nothing");
}

static qn_rc host_put(void *self, struct qn_span key, struct qn_span val, struct qn_why *why)
{
    struct run *r = self;
    uint8_t buf[QN_TRIE_KEY_MAX];
    qn_rc rc = writable(r, why);
    if (rc) return rc;
    if (key.len > KV_KEY_MAX || val.len > KV_VAL_MAX)
        return qn_why(why, QN_E_TOOBIG, "a key has at most %d bytes, a value %d", KV_KEY_MAX,
                      KV_VAL_MAX);
    rc = qn_gas_use(r->ap, WRITE_GAS + BYTE_GAS * (uint64_t)(key.len + val.len));
    if (rc == QN_OK) qn_row_put(r->ap, QN_TABLE_KV, kv_key(&r->id, key, true, buf), val);
    return rc;
}

static qn_rc host_del(void *self, struct qn_span key, struct qn_why *why)
{
    struct run *r = self;
    uint8_t buf[QN_TRIE_KEY_MAX];
    qn_rc rc = writable(r, why);
    if (rc == QN_OK) rc = qn_gas_use(r->ap, WRITE_GAS);
    if (rc == QN_OK && key.len <= KV_KEY_MAX)
        qn_row_del(r->ap, QN_TABLE_KV, kv_key(&r->id, key, true, buf));
    return rc;
}

static bool host_next(void *self, struct qn_span prefix, struct qn_span after,
                      struct qn_span *ret_key, struct qn_span *ret_val)
{
    struct run *r = self;
    uint8_t front[QN_TRIE_KEY_MAX], from[QN_TRIE_KEY_MAX];
    struct qn_span key;
    if (prefix.len > KV_KEY_MAX || after.len > KV_KEY_MAX || (r->ap && qn_gas_use(r->ap, READ_GAS)))
        return false;
    struct qn_span start = { NULL, 0 };
    if (after.len) start = kv_key(&r->id, after, true, from);
    if (!qn_view_next(r->view, QN_TABLE_KV, kv_key(&r->id, prefix, false, front), start, &key,
                      ret_val))
        return false;
    *ret_key = kv_unkey(key, &r->arena);
    return true;
}

static uint64_t host_balance(void *self)
{
    struct run *r = self;
    return qn_view_balance(r->view, &r->acct).uqn;
}

static qn_rc host_transfer(void *self, const struct qn_hash *to, uint64_t uqn, struct qn_why *why)
{
    struct run *r = self;
    qn_rc rc = writable(r, why);
    if (rc == QN_OK && uqn > QN_SUPPLY_UQN) rc = qn_why(why, QN_E_FUNDS, "more than there is");
    if (rc == QN_OK) rc = qn_gas_use(r->ap, 2 * WRITE_GAS);
    if (rc == QN_OK) rc = qn_acct_takes(r->view, to, r->ap->arena, why);
    return rc ? rc : qn_post(r->ap, &r->acct, to, QN_UQN(uqn), why);
}

/* Topics go into streams line by line: a word, so that none can pretend to be more lines. */
static bool topic_ok(const char *topic)
{
    size_t len = strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len > 0 && len <= 50 && topic[len] == 0;
}

static qn_rc host_emit(void *self, const char *topic, const json_t *data, struct qn_why *why)
{
    struct run *r = self;
    qn_rc rc = writable(r, why);
    if (rc) return rc;
    char *text = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t len = text ? strlen(text) : 0;
    bool clean = text && qn_text_ok(QN_SPAN(text, len));
    free(text);
    if (len == 0 || len > 4096) return qn_why(why, QN_E_TOOBIG, "an event has at most 4096 bytes");
    if (!topic_ok(topic))
        return qn_why(why, QN_E_RANGE, "a topic has 1 to 50 letters, digits, dots, _ and -");
    if (!clean)
        return qn_why(why, QN_E_FORMAT, "an event is clean UTF-8 without control characters");
    rc = qn_gas_use(r->ap, 300 + 2 * len);
    if (rc) return rc;
    char full[64];
    snprintf(full, sizeof full, "contract.%s", topic);
    json_t *wrap = json_pack("{s:O}", "data", data);
    qn_emit_json(r->ap, full, &r->id, wrap);
    json_decref(wrap);
    return QN_OK;
}

static qn_rc host_chain(void *self, const char *name, const json_t *arg, json_t **ret,
                        struct qn_why *why)
{
    struct run *r = self;
    const struct qn_chain_fn *fn = qn_state_chain_fn(r->view->state, name);
    if (!fn) return qn_why(why, QN_E_ABSENT, "chain.%s: no module of this chain has it", name);
    qn_rc rc = r->ap ? qn_gas_use(r->ap, fn->gas) : QN_OK;
    return rc ? rc : fn->fn(r->view, arg, ret, why);
}

static size_t host_mark(void *self)
{
    struct run *r = self;
    return r->view->state->undo_cnt;
}

static void host_back(void *self, size_t mark)
{
    struct run *r = self;
    if (r->ap) qn_state_back(r->view->state, mark);
}

static struct qn_contract_host host_of(struct run *r, const struct qn_hash *caller,
                                       struct qn_amount value)
{
    return (struct qn_contract_host){ .self = r,
                                      .get = host_get,
                                      .put = host_put,
                                      .del = host_del,
                                      .next = host_next,
                                      .balance = host_balance,
                                      .transfer = host_transfer,
                                      .emit = host_emit,
                                      .chain = host_chain,
                                      .mark = host_mark,
                                      .back = host_back,
                                      .contract = r->id,
                                      .caller = *caller,
                                      .value_uqn = value.uqn,
                                      .height = qn_view_height(r->view),
                                      .now_ms = qn_view_now_ms(r->view),
                                      .view = r->ap == NULL };
}

static json_t *args_of(struct qn_span text, struct qn_why *why)
{
    json_t *args = text.len
                       ? json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL)
                       : json_array();
    if (!json_is_array(args)) {
        json_decref(args);
        qn_why(why, QN_E_FORMAT, "args: expected a JSON array");
        return NULL;
    }
    return args;
}

static qn_rc execute(struct qn_apply *ap, const struct qn_hash *id, const struct qn_contract *c,
                     const char *method, struct qn_span args_text, struct qn_amount value,
                     struct qn_why *why)
{
    struct qn_state *st = ap->view->state;
    struct run run = {
        .ap = ap, .view = ap->view, .id = *id, .acct = qn_acct_module(0, "contract", id)
    };
    struct qn_contract_host host = host_of(&run, &ap->sender, value);
    char name[65];
    snprintf(name, sizeof name, "%.*s", (int)c->name.len, (const char *)c->name.ptr);
    qn_rc rc = qn_gas_use(ap, ARG_GAS * (uint64_t)args_text.len);
    if (rc) return rc;
    json_t *args = args_of(args_text, why), *result = NULL;
    if (!args) return QN_E_FORMAT;
    rc = qn_post(ap, &ap->sender, &run.acct, value, why);
    if (rc) goto out;
    uint64_t used = 0, before = st->gas_left;
    rc = st->vm->run(name, c->source, method, args, &host, before, &used, &result, why);
    qn_rc charged = qn_gas_use(ap, used);
    if (rc == QN_OK) rc = charged;
    if (rc) goto out;
    char *text =
        json_dumps(result ? result : json_null(), JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    struct contract_result res = { .method = QN_SPAN_STR(method),
                                   .result = QN_SPAN(text, text ? strlen(text) : 0),
                                   .gas = before - st->gas_left };
    if (res.result.len > 65536 || !qn_text_ok(res.result))
        rc = qn_why(why, QN_E_TOOBIG, "the result is larger than 65536 bytes");
    else
        qn_emit(ap, "contract.result", id, contract_result_record(), &res);
    free(text);
out:
    json_decref(args);
    json_decref(result);
    qn_arena_free(&run.arena);
    return rc;
}

static qn_rc deploy_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct contract_deploy *b = body;
    struct qn_hash id = qn_h("contract", ap->id.b, sizeof ap->id.b);
    struct qn_hash acct = qn_acct_module(0, "contract", &id);
    struct qn_contract c = { .owner = ap->sender,
                             .name = b->name,
                             .code = qn_blake3(b->source.ptr, b->source.len),
                             .source = b->source,
                             .height = ap->height };
    qn_rc rc = qn_gas_use(ap, 200 * (uint64_t)b->source.len / 10);
    if (rc) return rc;
    qn_row_put_rec(ap, QN_TABLE_CODE, QN_SPAN(id.b, 32), qn_contract_record(), &c);
    qn_acct_own(ap, &acct, "contract", &ap->sender);
    rc = execute(ap, &id, &c, "init", b->args, b->value, why);
    if (rc == QN_OK) {
        struct qn_contract shown = c;
        shown.source = QN_SPAN(NULL, 0);
        qn_emit(ap, "contract.deployed", &id, qn_contract_record(), &shown);
    }
    return rc;
}

static qn_rc call_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct contract_call *b = body;
    struct qn_contract c;
    char method[65];
    qn_rc rc = qn_view_rec(ap->view, QN_TABLE_CODE, QN_SPAN(b->contract.b, 32),
                           qn_contract_record(), ap->arena, &c);
    if (rc) return qn_why(why, rc, "there is no such contract");
    snprintf(method, sizeof method, "%.*s", (int)b->method.len, (const char *)b->method.ptr);
    if (strcmp(method, "init") == 0) return qn_why(why, QN_E_AUTH, "init runs once, at deployment");
    return execute(ap, &b->contract, &c, method, b->args, b->value, why);
}

qn_rc qn_contract_query(const struct qn_view *view, const struct qn_hash *id, const char *method,
                        const json_t *args, uint64_t gas, uint64_t *ret_gas, json_t **ret,
                        struct qn_why *why)
{
    struct run run = { .view = view, .id = *id, .acct = qn_acct_module(0, "contract", id) };
    const struct qn_hash nobody = { { 0 } };
    struct qn_contract_host host = host_of(&run, &nobody, QN_UQN(0));
    struct qn_contract c;
    char name[65];
    if (!view->state->vm) return qn_why(why, QN_E_ABSENT, "this node runs no contracts");
    qn_rc rc =
        qn_view_rec(view, QN_TABLE_CODE, QN_SPAN(id->b, 32), qn_contract_record(), &run.arena, &c);
    if (rc) {
        rc = qn_why(why, rc, "there is no such contract");
    } else {
        snprintf(name, sizeof name, "%.*s", (int)c.name.len, (const char *)c.name.ptr);
        rc = view->state->vm->run(name, c.source, method, args, &host, gas, ret_gas, ret, why);
    }
    qn_arena_free(&run.arena);
    return rc;
}

const struct qn_tx_kind QN_CONTRACT_TXS[] = {
    { QN_TX_DEPLOY, "contract.deploy", "put a contract on the ledger", contract_deploy_record,
      20000, NULL, deploy_apply },
    { QN_TX_CALL, "contract.call", "run a public method of a contract", contract_call_record, 10000,
      NULL, call_apply },
    { 0 },
};
