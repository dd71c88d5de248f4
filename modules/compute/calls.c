/* calls.c - what one can ask about the market, and running a lease's workload on the provider's node. */
#include "modules/compute/compute.h"

#include "core/job/calls.h"
#include "core/job/engine.h"
#include "modules/compute/runner.h"

#include <string.h>

#define LIMIT_STD 100
#define LIMIT_MAX 1000

static json_t *with_id(const struct qn_record *rec, const void *obj, const struct qn_hash *id)
{
    char hex[65];
    json_t *json = qn_to_json(rec, obj), *out = json_object();
    qn_hex(id->b, 32, hex);
    json_object_set_new(out, "id", json_string(hex));
    json_object_update(out, json);
    json_decref(json);
    return out;
}

static uint32_t page(uint32_t limit)
{
    return limit ? QN_MIN(limit, (uint32_t)LIMIT_MAX) : LIMIT_STD;
}

/* list_rows appends one object for each row of a table whose keys end with an id. */
static json_t *list_rows(struct qn_call_ctx *ctx, uint8_t table, const struct qn_record *rec,
                         struct qn_span prefix, const struct qn_opt_hash *after_id, uint32_t limit)
{
    struct qn_span key, val, after = { 0 };
    uint8_t at[64];
    json_t *out = json_array();
    if (after_id && after_id->has) after = QN_SPAN_OF(after_id->v);
    while (json_array_size(out) < page(limit) &&
           qn_view_next(ctx->view, table, prefix, after, &key, &val)) {
        struct qn_hash id;
        void *obj = qn_arena_alloc(ctx->arena, rec->size);
        QN_ASSERT(key.len >= 32 && key.len <= sizeof at);
        memcpy(at, key.ptr, key.len);
        after = QN_SPAN(at, key.len);
        memcpy(id.b, at + key.len - 32, 32);
        if (!obj || qn_decode(rec, val, ctx->arena, obj, NULL)) break;
        json_array_append_new(out, with_id(rec, obj, &id));
    }
    return out;
}

static qn_rc get_row(struct qn_call_ctx *ctx, uint8_t table, const struct qn_record *rec,
                     const struct qn_hash *id, const char *what, json_t **ret, struct qn_why *why)
{
    void *obj = qn_arena_alloc(ctx->arena, rec->size);
    if (!obj) return QN_E_MEMORY;
    if (qn_view_rec(ctx->view, table, QN_SPAN_OF(*id), rec, ctx->arena, obj))
        return qn_why(why, QN_E_NOTFOUND, "no %s has that id", what);
    *ret = with_id(rec, obj, id);
    return QN_OK;
}

#define LIST_CALL(fn, table, rec)                                                                  \
    static qn_rc fn(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why) \
    {                                                                                              \
        const struct compute_list *p = params;                                                     \
        (void)why;                                                                                 \
        *ret = list_rows(ctx, table, rec(), (struct qn_span){ 0 }, &p->after, p->limit);           \
        return QN_OK;                                                                              \
    }
#define GET_CALL(fn, table, rec, what)                                                             \
    static qn_rc fn(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why) \
    {                                                                                              \
        const struct compute_by_id *p = params;                                                    \
        return get_row(ctx, table, rec(), &p->id, what, ret, why);                                 \
    }

LIST_CALL(node_list, COMPUTE_T_NODE, compute_node_record)
LIST_CALL(offer_list, COMPUTE_T_OFFER, compute_offer_record)
LIST_CALL(order_list, COMPUTE_T_ORDER, compute_order_record)
GET_CALL(node_get, COMPUTE_T_NODE, compute_node_record, "machine")
GET_CALL(order_get, COMPUTE_T_ORDER, compute_order_record, "order")
GET_CALL(escrow_get, COMPUTE_T_ESCROW, compute_escrow_record, "escrow")
GET_CALL(rep_get, COMPUTE_T_REP, compute_rep_record, "reputation")

static qn_rc bid_list(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct compute_bid_list *p = params;
    (void)why;
    *ret =
        list_rows(ctx, COMPUTE_T_BID, compute_bid_record(), QN_SPAN_OF(p->order), NULL, LIMIT_MAX);
    return QN_OK;
}

/* What a stream has earned but was not yet paid is money of the provider's all the same: shown beside. */
static json_t *lease_json(struct qn_call_ctx *ctx, const struct qn_hash *id,
                          const struct compute_lease *lease)
{
    json_t *json = with_id(compute_lease_record(), lease, id);
    struct qn_hash job;
    char hex[65];
    if (ctx->local && runner_job(ctx->home, id, &job) == QN_OK) {
        qn_hex(job.b, 32, hex);
        json_object_set_new(json, "job", json_string(hex));
    }
    return json;
}

static qn_rc lease_get(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct compute_by_id *p = params;
    struct compute_lease lease;
    if (!compute_lease_get(ctx->view, ctx->arena, &p->id, &lease))
        return qn_why(why, QN_E_NOTFOUND, "no lease has that id");
    *ret = lease_json(ctx, &p->id, &lease);
    return QN_OK;
}

static bool wanted(const struct compute_lease_list *p, const struct compute_lease *lease)
{
    return (!p->tenant.has || qn_hash_eq(&p->tenant.v, &lease->tenant)) &&
           (!p->provider.has || qn_hash_eq(&p->provider.v, &lease->provider)) &&
           (!p->node.has || qn_hash_eq(&p->node.v, &lease->node)) &&
           (!p->open || lease->state != COMPUTE_CLOSED);
}

static qn_rc lease_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct compute_lease_list *p = params;
    struct qn_span key, val, all = { 0 }, after = { 0 };
    struct qn_hash at;
    json_t *out = json_array();
    (void)why;
    if (p->after.has) after = QN_SPAN_OF(p->after.v);
    while (json_array_size(out) < page(p->limit) &&
           qn_view_next(ctx->view, COMPUTE_T_LEASE, all, after, &key, &val)) {
        struct compute_lease lease;
        QN_ASSERT(key.len == 32);
        memcpy(at.b, key.ptr, 32);
        after = QN_SPAN_OF(at);
        if (qn_decode(compute_lease_record(), val, ctx->arena, &lease, NULL)) break;
        if (wanted(p, &lease)) json_array_append_new(out, lease_json(ctx, &at, &lease));
    }
    *ret = out;
    return QN_OK;
}

static qn_rc order_why(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct compute_by_id *p = params;
    struct compute_order order;
    struct compute_why answer;
    struct qn_hash node, beacon = qn_view_beacon(ctx->view);
    uint64_t rate;
    bool found;
    if (!compute_order_get(ctx->view, ctx->arena, &p->id, &order))
        return qn_why(why, QN_E_NOTFOUND, "no order has that id");
    compute_book_scan(ctx->view, ctx->arena, &beacon, &p->id, &order, &answer, &found, &node,
                      &rate);
    *ret = with_id(compute_why_record(), &answer, &p->id);
    char word[64];
    if (qn_enum_word("open|matched|expired|cancelled|unmatched", order.state, word))
        json_object_set_new(*ret, "state", json_string(word));
    json_object_set_new(*ret, "bid_cnt", json_integer(order.bid_cnt));
    return QN_OK;
}

static qn_rc lease_logs(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct compute_logs *p = params;
    struct qn_hash job;
    qn_rc rc = runner_job(ctx->home, &p->lease, &job);
    if (rc) return qn_why(why, rc, "this node runs no workload of that lease");
    json_t *json = qn_job_log_json(ctx->home, &job, p->offset, p->max, &rc, why);
    if (rc == QN_OK) *ret = json;
    return rc;
}

static qn_rc lease_run(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct compute_run *p = params;
    struct qn_hash job;
    char hex[65];
    qn_rc rc = runner_start(ctx, &p->lease, p->engine, &job, why);
    if (rc) return rc;
    qn_hex(job.b, 32, hex);
    *ret = json_pack("{s:s}", "job", hex);
    return QN_OK;
}

static qn_rc engine_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct qn_engine *engine;
    (void)ctx, (void)params, (void)why;
    *ret = json_array();
    for (size_t i = 0; (engine = qn_engine_at(i)); i++) {
        struct qn_why reason = { 0 };
        qn_rc rc = engine->probe(&reason);
        json_array_append_new(*ret, json_pack("{s:s,s:b,s:s}", "engine", engine->name, "here",
                                              rc == QN_OK, "doc", rc ? reason.text : engine->doc));
    }
    return QN_OK;
}

/* To add a call: a function above, a line here. */
const struct qn_call COMPUTE_CALLS[] = {
    { "node.list", "list machines for lease", "node list", QN_CALL_QUERY | QN_CALL_MANY,
      compute_list_record, NULL, "id owner cap used lease_cnt beat_ms", node_list },
    { "node.get", "show one machine", "node get 81ab..", QN_CALL_QUERY, compute_by_id_record, "id",
      "id owner cap used attrs bond lease_cnt beat_ms", node_get },
    { "offer.list", "list standing offers", "offer list", QN_CALL_QUERY | QN_CALL_MANY,
      compute_list_record, NULL, "id owner price eff", offer_list },
    { "order.list", "list orders", "order list", QN_CALL_QUERY | QN_CALL_MANY, compute_list_record,
      NULL, "id tenant state opened_ms bid_cnt lease", order_list },
    { "order.get", "show one order", "order get 81ab..", QN_CALL_QUERY, compute_by_id_record, "id",
      "id tenant state ask opened_ms end_ms bid_cnt lease", order_get },
    { "order.why", "say what keeps machines from an order", "order why 81ab..", QN_CALL_QUERY,
      compute_by_id_record, "id", "id state seen fit rate capacity nearest_nqn_h", order_why },
    { "bid.list", "list the bids on an order", "bid list 81ab..", QN_CALL_QUERY | QN_CALL_MANY,
      compute_bid_list_record, "order", "id node owner rate_nqn_h", bid_list },
    { "lease.list", "list leases", "lease list --open", QN_CALL_QUERY | QN_CALL_MANY,
      compute_lease_list_record, NULL, "id state tenant provider node rate_nqn_h paid",
      lease_list },
    { "lease.get", "show one lease", "lease get 81ab..", QN_CALL_QUERY, compute_by_id_record, "id",
      "id state reason order tenant provider node rate_nqn_h paid job", lease_get },
    { "escrow.get", "show the money behind an order", "escrow get 81ab..", QN_CALL_QUERY,
      compute_by_id_record, "id", "id put spent guard dry_ms depositors", escrow_get },
    { "rep.get", "show what is known of a provider", "rep get qn1..", QN_CALL_QUERY,
      compute_by_id_record, "id", "id good bad good_cnt bad_cnt", rep_get },
    { "lease.logs", "read the log of a lease's workload on this node", "lease logs 81ab..",
      QN_CALL_QUERY | QN_CALL_LOCAL, compute_logs_record, "lease", "job offset next size text",
      lease_logs },
    { "lease.run", "run a lease's workload on this node, which has its manifest",
      "lease run 81ab..", QN_CALL_LOCAL, compute_run_record, "lease", "job", lease_run },
    { "engine.list", "list what can run workloads on this node", "engine list",
      QN_CALL_QUERY | QN_CALL_MANY, NULL, NULL, "engine here doc", engine_list },
    { 0 },
};
