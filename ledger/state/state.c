/* state.c - rows with an undo log, money, deadlines, events: what view.h and apply.h promise. */
#include "ledger/state/state_in.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- rows ------------------------------------------------------------------------------------------ */

struct qn_span qn_row_key(uint8_t table, struct qn_span key, uint8_t dst[QN_TRIE_KEY_MAX])
{
    QN_ASSERT(key.len < QN_TRIE_KEY_MAX);
    dst[0] = table;
    if (key.len) memcpy(dst + 1, key.ptr, key.len);
    return QN_SPAN(dst, key.len + 1);
}

/* Remembers what a key held before its first change since mark 0. */
static void log_old(struct qn_state *st, struct qn_span key)
{
    struct qn_span old = { NULL, 0 };
    bool had = qn_trie_get(st->trie, key, &old);
    if (st->undo_cnt == st->undo_cap) {
        st->undo_cap = QN_MAX(st->undo_cap * 2, (size_t)1024);
        st->undo = realloc(st->undo, st->undo_cap * sizeof *st->undo);
        QN_ASSERT(st->undo != NULL);
    }
    uint8_t *copy = malloc(key.len + old.len);
    QN_ASSERT(copy != NULL);
    memcpy(copy, key.ptr, key.len);
    if (old.len) memcpy(copy + key.len, old.ptr, old.len);
    st->undo[st->undo_cnt++] = (struct undo){ copy, (uint32_t)key.len, (uint32_t)old.len, had };
}

void qn_state_back(struct qn_state *st, size_t mark)
{
    while (st->undo_cnt > mark) {
        struct undo *u = &st->undo[--st->undo_cnt];
        struct qn_span key = QN_SPAN(u->data, u->key_len);
        if (u->had)
            qn_trie_put(st->trie, key, QN_SPAN(u->data + u->key_len, u->val_len));
        else
            qn_trie_del(st->trie, key);
        free(u->data);
    }
}

static struct qn_state *state_of(const struct qn_apply *ap)
{
    return ap->view->state;
}

void qn_row_put(struct qn_apply *ap, uint8_t table, struct qn_span key, struct qn_span val)
{
    uint8_t buf[QN_TRIE_KEY_MAX];
    struct qn_span full = qn_row_key(table, key, buf);
    const struct qn_trace *trace = state_of(ap)->trace;
    log_old(state_of(ap), full);
    qn_trie_put(state_of(ap)->trie, full, val);
    if (trace) trace->row(trace->self, ap->height, &ap->id, full, &val);
}

void qn_row_del(struct qn_apply *ap, uint8_t table, struct qn_span key)
{
    uint8_t buf[QN_TRIE_KEY_MAX];
    struct qn_span full = qn_row_key(table, key, buf), old;
    if (!qn_trie_get(state_of(ap)->trie, full, &old)) return;
    const struct qn_trace *trace = state_of(ap)->trace;
    log_old(state_of(ap), full);
    qn_trie_del(state_of(ap)->trie, full);
    if (trace) trace->row(trace->self, ap->height, &ap->id, full, NULL);
}

void qn_row_put_rec(struct qn_apply *ap, uint8_t table, struct qn_span key,
                    const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    qn_encode(rec, obj, &buf);
    qn_row_put(ap, table, key, qn_buf_get(&buf));
    qn_buf_free(&buf);
}

bool qn_view_get(const struct qn_view *view, uint8_t table, struct qn_span key,
                 struct qn_span *ret_val)
{
    uint8_t buf[QN_TRIE_KEY_MAX];
    return qn_trie_get(view->state->trie, qn_row_key(table, key, buf), ret_val);
}

bool qn_view_next(const struct qn_view *view, uint8_t table, struct qn_span prefix,
                  struct qn_span after, struct qn_span *ret_key, struct qn_span *ret_val)
{
    uint8_t front[QN_TRIE_KEY_MAX], from[QN_TRIE_KEY_MAX];
    struct qn_span full = qn_row_key(table, prefix, front);
    struct qn_span start = after.len ? qn_row_key(table, after, from) : full;
    struct qn_span key, val;
    if (!qn_trie_next(view->state->trie, start, after.len == 0, &key, &val) ||
        !qn_span_starts(key, full))
        return false;
    *ret_key = QN_SPAN(key.ptr + 1, key.len - 1);
    *ret_val = val;
    return true;
}

qn_rc qn_view_rec(const struct qn_view *view, uint8_t table, struct qn_span key,
                  const struct qn_record *rec, struct qn_arena *arena, void *ret_obj)
{
    struct qn_span val;
    if (!qn_view_get(view, table, key, &val)) return QN_E_NOTFOUND;
    void *copy =
        qn_arena_copy(arena, val.ptr, val.len); /* the row may change while the record lives */
    if (!copy) return QN_E_MEMORY;
    qn_rc rc = qn_decode(rec, QN_SPAN(copy, val.len), arena, ret_obj, NULL);
    QN_ASSERT(rc == QN_OK || rc == QN_E_MEMORY);
    return rc;
}

uint64_t qn_view_height(const struct qn_view *view)
{
    return view->state->height;
}

uint64_t qn_view_now_ms(const struct qn_view *view)
{
    return view->state->now_ms;
}

struct qn_hash qn_view_chain(const struct qn_view *view)
{
    return view->state->chain;
}

struct qn_hash qn_view_beacon(const struct qn_view *view)
{
    return view->state->beacon;
}

/* --- money ----------------------------------------------------------------------------------------- */

struct qn_hash qn_acct_module(uint8_t tag, const char *what, const struct qn_hash *id)
{
    struct qn_buf buf = { 0 };
    qn_buf_u8(&buf, 3);
    qn_buf_u8(&buf, tag);
    qn_buf_u32(&buf, (uint32_t)strlen(what));
    qn_buf_str(&buf, what);
    qn_buf_put(&buf, id->b, sizeof id->b);
    struct qn_hash ret = qn_h("acct", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return ret;
}

static struct qn_hash core_acct(const char *what)
{
    const struct qn_hash zero = { { 0 } };
    return qn_acct_module(0, what, &zero);
}

struct qn_hash qn_acct_unissued(void)
{
    return core_acct("unissued");
}

struct qn_hash qn_acct_burnt(void)
{
    return core_acct("burnt");
}

struct qn_hash qn_acct_fees(void)
{
    return core_acct("fees");
}

static void account_get(const struct qn_view *view, const struct qn_hash *acct,
                        struct qn_arena *arena, struct qn_account *ret)
{
    qn_rc rc =
        qn_view_rec(view, QN_TABLE_ACCOUNT, QN_SPAN(acct->b, 32), qn_account_record(), arena, ret);
    QN_ASSERT(rc == QN_OK || rc == QN_E_NOTFOUND);
    if (rc) *ret = (struct qn_account){ 0 };
}

/* Writes a balance without reading what else the row says: it is the record's first field. */
#define ACCOUNT_ROW 128 /* bytes of the longest: balance, what, owner */
static void balance_put(struct qn_apply *ap, const struct qn_hash *acct, uint64_t uqn)
{
    uint8_t row[ACCOUNT_ROW] = { 0 };
    struct qn_span key = QN_SPAN(acct->b, 32), old = { row, 8 + 4 + 1 }; /* new: of nobody's code */
    if (qn_view_get(ap->view, QN_TABLE_ACCOUNT, key, &old)) {
        QN_ASSERT(old.len >= 8 && old.len <= sizeof row);
        memcpy(row, old.ptr, old.len);
    }
    memcpy(row, &uqn, sizeof uqn); /* little-endian, as every machine we build for */
    qn_row_put(ap, QN_TABLE_ACCOUNT, key, QN_SPAN(row, old.len));
}

static void account_put(struct qn_apply *ap, const struct qn_hash *acct, const struct qn_account *a)
{
    qn_row_put_rec(ap, QN_TABLE_ACCOUNT, QN_SPAN(acct->b, 32), qn_account_record(), a);
}

struct qn_amount qn_view_balance(const struct qn_view *view, const struct qn_hash *acct)
{
    struct qn_span val;
    uint64_t uqn = 0;
    if (qn_view_get(view, QN_TABLE_ACCOUNT, QN_SPAN(acct->b, 32), &val))
        QN_ASSERT(qn_take_u64(&val, &uqn)); /* balance is the record's first field */
    return QN_UQN(uqn);
}

void qn_acct_own(struct qn_apply *ap, const struct qn_hash *acct, const char *what,
                 const struct qn_hash *owner)
{
    struct qn_account a;
    account_get(ap->view, acct, ap->arena, &a);
    if (a.what.len == 0 &&
        a.balance.uqn) { /* somebody was here before its maker; no sum of ours counts that */
        const struct qn_hash burnt = qn_acct_burnt();
        QN_ASSERT(qn_post(ap, acct, &burnt, a.balance, NULL) == QN_OK);
        account_get(ap->view, acct, ap->arena, &a);
    }
    a.what = QN_SPAN_STR(what);
    a.owner = (struct qn_opt_hash){ true, *owner };
    account_put(ap, acct, &a);
}

qn_rc qn_post(struct qn_apply *ap, const struct qn_hash *debit, const struct qn_hash *credit,
              struct qn_amount amount, struct qn_why *why)
{
    if (amount.uqn == 0) return QN_OK;
    uint64_t from = qn_view_balance(ap->view, debit).uqn;
    if (from < amount.uqn)
        return qn_why(why, QN_E_FUNDS, "have %" PRIu64 " uqn, need %" PRIu64, from, amount.uqn);
    qn_mandate_note(ap, debit, credit, amount);
    if (qn_hash_eq(debit, credit)) return QN_OK;
    uint64_t to = qn_view_balance(ap->view, credit).uqn;
    const struct qn_trace *trace = state_of(ap)->trace;
    if (trace) trace->post(trace->self, ap->height, &ap->id, debit, credit, amount);
    QN_ASSERT(to <= QN_SUPPLY_UQN - amount.uqn); /* the sum of all is the supply */
    balance_put(ap, debit, from - amount.uqn);
    balance_put(ap, credit, to + amount.uqn);
    state_of(ap)->moved_uqn += amount.uqn;
    return QN_OK;
}

qn_rc qn_acct_takes(const struct qn_view *view, const struct qn_hash *acct, struct qn_arena *arena,
                    struct qn_why *why)
{
    struct qn_account a;
    account_get(view, acct, arena, &a);
    if (a.what.len == 0 || qn_span_eq(a.what, QN_SPAN_STR("contract"))) return QN_OK;
    return qn_why(why, QN_E_REFUSED, "that account is code's own (%.*s); nobody sends coins to it",
                  (int)a.what.len, (const char *)a.what.ptr);
}

struct qn_amount qn_state_sum(const struct qn_view *view)
{
    struct qn_span key, val, after = { NULL, 0 };
    uint8_t last[32];
    uint64_t sum = 0, uqn;
    while (qn_view_next(view, QN_TABLE_ACCOUNT, QN_SPAN(NULL, 0), after, &key, &val)) {
        QN_ASSERT(key.len == sizeof last && qn_take_u64(&val, &uqn));
        QN_ASSERT(!__builtin_add_overflow(sum, uqn, &sum));
        memcpy(last, key.ptr, sizeof last);
        after = QN_SPAN(last, sizeof last);
    }
    return QN_UQN(sum);
}

/* --- deadlines ------------------------------------------------------------------------------------- */

static struct qn_span due_of(uint16_t kind, const struct qn_hash *id, uint8_t dst[34])
{
    dst[0] = (uint8_t)(kind >> 8);
    dst[1] = (uint8_t)kind;
    memcpy(dst + 2, id->b, 32);
    return QN_SPAN(dst, 34);
}

static struct qn_span due_key(uint64_t at_ms, uint16_t kind, const struct qn_hash *id,
                              uint8_t dst[42])
{
    for (int i = 0; i < 8; i++)
        dst[i] = (uint8_t)(at_ms >> (56 - 8 * i));
    due_of(kind, id, dst + 8);
    return QN_SPAN(dst, 42);
}

void qn_due_del(struct qn_apply *ap, uint16_t kind, const struct qn_hash *id)
{
    uint8_t of[34], key[42];
    struct qn_due_row row;
    if (qn_view_rec(ap->view, QN_TABLE_DUE_OF, due_of(kind, id, of), qn_due_row_record(), ap->arena,
                    &row))
        return;
    qn_row_del(ap, QN_TABLE_DUE, due_key(row.at_ms, kind, id, key));
    qn_row_del(ap, QN_TABLE_DUE_OF, due_of(kind, id, of));
}

void qn_due_set(struct qn_apply *ap, uint16_t kind, const struct qn_hash *id, uint64_t at_ms)
{
    uint8_t of[34], key[42];
    qn_due_del(ap, kind, id);
    struct qn_due_row row = { .at_ms = QN_MIN(at_ms, QN_NUM_MAX) };
    qn_row_put(ap, QN_TABLE_DUE, due_key(row.at_ms, kind, id, key), QN_SPAN(NULL, 0));
    qn_row_put_rec(ap, QN_TABLE_DUE_OF, due_of(kind, id, of), qn_due_row_record(), &row);
}

bool qn_due_pop(struct qn_apply *ap, uint16_t *ret_kind, struct qn_hash *ret_id)
{
    struct qn_span key, val;
    uint64_t at_ms = 0;
    if (!qn_view_next(ap->view, QN_TABLE_DUE, QN_SPAN(NULL, 0), QN_SPAN(NULL, 0), &key, &val))
        return false;
    for (int i = 0; i < 8; i++)
        at_ms = at_ms << 8 | key.ptr[i];
    if (at_ms > ap->now_ms) return false;
    *ret_kind = (uint16_t)(key.ptr[8] << 8 | key.ptr[9]);
    memcpy(ret_id->b, key.ptr + 10, 32);
    qn_due_del(ap, *ret_kind, ret_id);
    return true;
}

/* --- events, gas ------------------------------------------------------------------------------------ */

void qn_emit_json(struct qn_apply *ap, const char *topic, const struct qn_hash *id,
                  const json_t *data)
{
    struct qn_state *st = state_of(ap);
    char *text = json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS);
    QN_ASSERT(text != NULL);
    size_t len = strlen(text), whole = strlen(topic) + len + QN_EVENT_HEAD;
    if (len > QN_EVENT_DATA_MAX || st->event_cnt >= QN_EVENTS_MAX ||
        st->event_bytes + whole > QN_EVENT_BYTES_MAX) {
        st->event_over = true; /* deadlines and block ends lose the event, not their effect */
        free(text);
        return;
    }
    st->event_bytes += whole;
    if (st->event_cnt == st->event_cap) {
        st->event_cap = QN_MAX(st->event_cap * 2, 64u);
        st->events = realloc(st->events, st->event_cap * sizeof *st->events);
        QN_ASSERT(st->events != NULL);
    }
    st->events[st->event_cnt++] =
        (struct qn_event){ .topic = QN_SPAN(qn_arena_copy(ap->arena, topic, strlen(topic)),
                                            strlen(topic)),
                           .id = *id,
                           .data = QN_SPAN(qn_arena_copy(ap->arena, text, len), len) };
    free(text);
}

void qn_emit(struct qn_apply *ap, const char *topic, const struct qn_hash *id,
             const struct qn_record *rec, const void *obj)
{
    json_t *json = qn_to_json(rec, obj);
    qn_emit_json(ap, topic, id, json);
    json_decref(json);
}

qn_rc qn_gas_use(struct qn_apply *ap, uint64_t gas)
{
    struct qn_state *st = state_of(ap);
    if (gas > st->gas_left) {
        st->gas_left = 0;
        return QN_E_GAS;
    }
    st->gas_left -= gas;
    return QN_OK;
}

void qn_due_cost(struct qn_apply *ap, uint64_t gas)
{
    struct qn_state *st = state_of(ap);
    st->gas_left -= QN_MIN(gas, st->gas_left);
}

/* --- life ------------------------------------------------------------------------------------------- */

void qn_state_trace(struct qn_state *st, const struct qn_trace *trace)
{
    st->trace = trace;
}

struct qn_state *qn_state_new(const struct qn_exec_module *modules, size_t module_cnt,
                              const struct qn_contract_vm *vm)
{
    struct qn_state *st = calloc(1, sizeof *st);
    QN_ASSERT(st != NULL);
    st->trie = qn_trie_new();
    st->view.state = st;
    st->fees = qn_acct_fees();
    st->burnt = qn_acct_burnt();
    st->modules = modules;
    st->module_cnt = module_cnt;
    st->vm = vm;
    return st;
}

void qn_state_free(struct qn_state *st)
{
    if (!st) return;
    qn_state_reject(st);
    qn_trie_free(st->trie);
    free(st->undo);
    free(st->events);
    free(st);
}

const struct qn_view *qn_state_view(const struct qn_state *st)
{
    return &st->view;
}

struct qn_trie *qn_state_trie(struct qn_state *st)
{
    return st->trie;
}

void qn_state_at(struct qn_state *st, const struct qn_hash *chain, uint64_t height, uint64_t now_ms,
                 const struct qn_hash *beacon)
{
    st->chain = *chain;
    st->height = height;
    st->now_ms = now_ms;
    st->beacon = *beacon;
}

void qn_state_accept(struct qn_state *st, void (*dirty)(void *arg, struct qn_span key), void *arg)
{
    for (size_t i = 0; i < st->undo_cnt; i++) {
        if (dirty) dirty(arg, QN_SPAN(st->undo[i].data, st->undo[i].key_len));
        free(st->undo[i].data);
    }
    st->undo_cnt = 0;
}

void qn_state_reject(struct qn_state *st)
{
    qn_state_back(st, 0);
    st->height = st->was_height;
    st->now_ms = st->was_ms;
    st->beacon = st->was_beacon;
}

/* --- deltas ------------------------------------------------------------------------------------------------ */

struct qn_delta {
    struct undo *undo;
    size_t cnt;
    bool
        in; /* the state holds the changes, undo what was there before each; else undo holds the changes */
    uint64_t height, now_ms;
    struct qn_hash beacon; /* of the other side */
};

struct qn_delta *qn_state_keep(struct qn_state *st)
{
    struct qn_delta *d = malloc(sizeof *d);
    QN_ASSERT(d != NULL);
    *d = (struct qn_delta){ .undo = st->undo,
                            .cnt = st->undo_cnt,
                            .in = true,
                            .height = st->was_height,
                            .now_ms = st->was_ms,
                            .beacon = st->was_beacon };
    st->undo = NULL;
    st->undo_cnt = st->undo_cap = 0;
    return d;
}

static void swap_row(struct qn_state *st, struct undo *u)
{
    struct qn_span key = QN_SPAN(u->data, u->key_len), val, now = { NULL, 0 };
    bool has = qn_trie_get(st->trie, key, &now);
    uint8_t *copy = malloc(u->key_len + now.len + 1);
    QN_ASSERT(copy != NULL);
    memcpy(copy, key.ptr, key.len);
    if (now.len) memcpy(copy + key.len, now.ptr, now.len);
    struct undo other = { copy, u->key_len, (uint32_t)now.len, has };
    val = QN_SPAN(u->data + u->key_len, u->val_len);
    if (u->had)
        qn_trie_put(st->trie, key, val);
    else
        qn_trie_del(st->trie, key);
    free(u->data);
    *u = other;
}

void qn_delta_swap(struct qn_state *st, struct qn_delta *d)
{
    /* A key written twice is in there twice: out from the last to the first, in from the first to the last. */
    for (size_t i = 0; i < d->cnt; i++)
        swap_row(st, &d->undo[d->in ? d->cnt - 1 - i : i]);
    d->in = !d->in;
    uint64_t height = st->height, now_ms = st->now_ms;
    struct qn_hash beacon = st->beacon;
    st->height = d->height;
    st->now_ms = d->now_ms;
    st->beacon = d->beacon;
    d->height = height;
    d->now_ms = now_ms;
    d->beacon = beacon;
}

void qn_delta_keys(const struct qn_delta *d, void (*dirty)(void *arg, struct qn_span key),
                   void *arg)
{
    for (size_t i = 0; i < d->cnt; i++)
        dirty(arg, QN_SPAN(d->undo[i].data, d->undo[i].key_len));
}

void qn_delta_free(struct qn_delta *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->cnt; i++)
        free(d->undo[i].data);
    free(d->undo);
    free(d);
}
