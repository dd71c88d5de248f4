/* fuzz_contract.c - any text as a contract, deployed and called: it ends within its gas and its memory, and never outside its host. */
#include "lua/bind/contract.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    size_t puts, marks;
};

static bool get(void *self, struct qn_span key, struct qn_span *ret_val)
{
    (void)self;
    *ret_val = QN_SPAN_STR("{\"a\":[1,2,\"x\"]}");
    return key.len % 2 == 1;
}

static qn_rc put(void *self, struct qn_span key, struct qn_span val, struct qn_why *why)
{
    struct world *w = self;
    (void)why;
    QN_ASSERT(key.ptr && (val.ptr || val.len == 0));
    w->puts++;
    return QN_OK;
}

static qn_rc del(void *self, struct qn_span key, struct qn_why *why)
{
    (void)self;
    (void)key;
    (void)why;
    return QN_OK;
}

static bool next(void *self, struct qn_span prefix, struct qn_span after, struct qn_span *ret_key,
                 struct qn_span *ret_val)
{
    (void)self;
    (void)prefix;
    *ret_key = QN_SPAN_STR("k");
    *ret_val = QN_SPAN_STR("7");
    return after.len == 0;
}

static uint64_t balance(void *self)
{
    (void)self;
    return 1000;
}

static qn_rc transfer(void *self, const struct qn_hash *to, uint64_t uqn, struct qn_why *why)
{
    (void)self;
    (void)to;
    return uqn > 1000 ? qn_why(why, QN_E_FUNDS, "too little") : QN_OK;
}

static qn_rc emit(void *self, const char *topic, const json_t *data, struct qn_why *why)
{
    (void)self;
    (void)data;
    (void)why;
    QN_ASSERT(topic != NULL);
    return QN_OK;
}

static qn_rc chain(void *self, const char *name, const json_t *arg, json_t **ret,
                   struct qn_why *why)
{
    (void)self;
    (void)arg;
    if (strcmp(name, "beacon") != 0) return qn_why(why, QN_E_NOTFOUND, "no such function");
    *ret = json_string("00ff");
    return QN_OK;
}

static size_t mark(void *self)
{
    return ((struct world *)self)->marks++;
}

static void back(void *self, size_t to)
{
    QN_ASSERT(to < ((struct world *)self)->marks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const METHODS[] = { "init", "go", "total" };
    struct world w = { 0 };
    struct qn_contract_host host = { .self = &w,
                                     .get = get,
                                     .put = put,
                                     .del = del,
                                     .next = next,
                                     .balance = balance,
                                     .transfer = transfer,
                                     .emit = emit,
                                     .chain = chain,
                                     .mark = mark,
                                     .back = back };
    json_t *args = json_pack("[s, i, {s:b}]", "text", 7, "flag", 1);
    for (size_t i = 0; i < QN_COUNT(METHODS); i++) {
        struct qn_why why = { "" };
        json_t *ret = NULL;
        uint64_t gas = 0;
        host.view = i == 2;
        qn_rc rc = qn_lua_contracts()->run("fuzz", QN_SPAN(data, size), METHODS[i], args, &host,
                                           200000, &gas, &ret, &why);
        QN_ASSERT(gas <= 200000);
        QN_ASSERT(rc == QN_OK || why.text[0] != 0);
        if (rc == QN_OK) json_decref(ret);
    }
    json_decref(args);
    return 0;
}
