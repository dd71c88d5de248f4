/* agents.c - the module: registry of agents, calls, tables. */
#include "modules/agents/agents.h"

#include "core/module/module.h"
#include "modules/agents/channel.h"
#include "modules/agents/payer.h"
#include "modules/agents/serve.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/schema/define.h"

#include "modules/agents/agents.def"

/* --- registry --------------------------------------------------------------------------------------------------- */

static qn_rc put_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    (void)why;
    const struct agents_put *b = body;
    struct agents_entry e = { .since_ms = ap->now_ms };
    qn_rc rc = qn_view_rec(ap->view, AGENTS_TABLE_AGENT, QN_SPAN(ap->sender.b, 32),
                           agents_entry_record(), ap->arena, &e);
    if (rc && rc != QN_E_NOTFOUND) return rc;
    e = (struct agents_entry){ .owner = ap->sender,
                               .name = b->name,
                               .url = b->url,
                               .card = b->card,
                               .price = b->price,
                               .since_ms = rc ? ap->now_ms : e.since_ms };
    qn_row_put_rec(ap, AGENTS_TABLE_AGENT, QN_SPAN(ap->sender.b, 32), agents_entry_record(), &e);
    qn_emit(ap, "agent.put", &ap->sender, agents_entry_record(), &e);
    return QN_OK;
}

static qn_rc drop_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct agents_drop *b = body;
    struct qn_span row;
    if (!qn_hash_eq(&b->agent, &ap->sender))
        return qn_why(why, QN_E_AUTH, "only its owner removes an entry");
    if (!qn_view_get(ap->view, AGENTS_TABLE_AGENT, QN_SPAN(b->agent.b, 32), &row))
        return qn_why(why, QN_E_NOTFOUND, "there is no such entry");
    qn_row_del(ap, AGENTS_TABLE_AGENT, QN_SPAN(b->agent.b, 32));
    return QN_OK;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static json_t *with_id(json_t *obj, const struct qn_hash *id)
{
    char hex[65];
    qn_hex(id->b, 32, hex);
    json_object_set_new(obj, "id", json_string(hex));
    return obj;
}

static qn_rc agent_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    (void)params;
    (void)why;
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    *ret = json_array();
    while (json_array_size(*ret) < 1000 &&
           qn_view_next(ctx->view, AGENTS_TABLE_AGENT, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct agents_entry e;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        qn_rc rc = qn_view_rec(ctx->view, AGENTS_TABLE_AGENT, after, agents_entry_record(),
                               ctx->arena, &e);
        if (rc) return rc;
        json_array_append_new(*ret, with_id(qn_to_json(agents_entry_record(), &e), &id));
    }
    return QN_OK;
}

/* Whether text lies in name, letters of any case alike. */
static bool holds(struct qn_span name, struct qn_span text)
{
    for (size_t i = 0; i + text.len <= name.len; i++) {
        size_t k = 0;
        while (k < text.len && tolower(name.ptr[i + k]) == tolower(text.ptr[k]))
            k++;
        if (k == text.len) return true;
    }
    return false;
}

static int by_price(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    json_int_t p = json_integer_value(json_object_get(*x, "price")),
               q = json_integer_value(json_object_get(*y, "price"));
    return p < q ? -1 : p > q;
}

#define FIND_MAX 100

static qn_rc agent_find(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct agent_find *p = params;
    json_t *found[FIND_MAX];
    size_t cnt = 0;
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    while (cnt < FIND_MAX &&
           qn_view_next(ctx->view, AGENTS_TABLE_AGENT, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct agents_entry e;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        qn_rc rc = qn_decode(agents_entry_record(), val, ctx->arena, &e, why);
        if (rc) return rc;
        if (!holds(e.name, p->text) || (p->max.uqn && e.price.uqn > p->max.uqn)) continue;
        found[cnt++] = with_id(qn_to_json(agents_entry_record(), &e), &id);
    }
    qsort(found, cnt, sizeof found[0], by_price);
    *ret = json_array();
    for (size_t i = 0; i < cnt; i++)
        json_array_append_new(*ret, found[i]);
    return QN_OK;
}

static qn_rc agent_show(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct agents_id *p = params;
    struct agents_entry e;
    qn_rc rc = qn_view_rec(ctx->view, AGENTS_TABLE_AGENT, QN_SPAN(p->id.b, 32),
                           agents_entry_record(), ctx->arena, &e);
    if (rc) return qn_why(why, rc, "no agent is registered by that account");
    *ret = with_id(qn_to_json(agents_entry_record(), &e), &p->id);
    return QN_OK;
}

static qn_rc channel_show(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    const struct agents_id *p = params;
    struct agents_channel c;
    qn_rc rc = channel_get(ctx->view, &p->id, ctx->arena, &c, why);
    if (rc == QN_OK) *ret = with_id(qn_to_json(agents_channel_record(), &c), &p->id);
    return rc;
}

static qn_rc channel_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    (void)why;
    const struct agents_list *p = params;
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    uint64_t limit = p->limit ? QN_MIN(p->limit, UINT64_C(1000)) : 100;
    *ret = json_array();
    while (json_array_size(*ret) < limit &&
           qn_view_next(ctx->view, AGENTS_TABLE_CHANNEL, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct agents_channel c;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        qn_rc rc = qn_view_rec(ctx->view, AGENTS_TABLE_CHANNEL, after, agents_channel_record(),
                               ctx->arena, &c);
        if (rc) return rc;
        if ((p->payer.has && !qn_hash_eq(&p->payer.v, &c.payer)) ||
            (p->payee.has && !qn_hash_eq(&p->payee.v, &c.payee)))
            continue;
        json_array_append_new(*ret, with_id(qn_to_json(agents_channel_record(), &c), &id));
    }
    return QN_OK;
}

/* --- the module ----------------------------------------------------------------------------------------------------- */

static const struct qn_tx_kind TXS[] = {
    { AGENTS_TAG << 8 | 1, "agent.put", "register an agent, or renew its entry", agents_put_record,
      4000, NULL, put_apply },
    { AGENTS_TAG << 8 | 2, "agent.drop", "remove your agent's entry", agents_drop_record, 2000,
      NULL, drop_apply },
    CHANNEL_TX_ROWS,
    { 0 },
};

static const struct qn_due_kind DUES[] = {
    { AGENTS_DUE_CHANNEL, "channel.end", channel_due },
    { 0 },
};

static const struct qn_table TABLES[] = {
    { AGENTS_TABLE_AGENT, "agent", agents_entry_record, "owner h32" },
    { AGENTS_TABLE_CHANNEL, "channel", agents_channel_record, "id h32" },
    { 0 },
};

static const struct qn_call CALLS[] = {
    { "agent.list", "registered agents", "agent list", QN_CALL_QUERY | QN_CALL_MANY, NULL, NULL,
      "id owner name url card price", agent_list },
    { "agent.find", "registered agents whose name holds a text, the cheapest first",
      "agent find vision --max 0.001QN", QN_CALL_QUERY | QN_CALL_MANY, agent_find_record, "text",
      "id owner name url card price", agent_find },
    { "agent.show", "one registered agent", "agent show qn1..", QN_CALL_QUERY, agents_id_record,
      "id", "id owner name url card price since_ms", agent_show },
    { "channel.get", "a payment channel", "channel get 77aa..", QN_CALL_QUERY, agents_id_record,
      "id", "payer payee deposit claimed state", channel_show },
    { "channel.list", "payment channels", "channel list --payer qn1..",
      QN_CALL_QUERY | QN_CALL_MANY, agents_list_record, NULL,
      "id payer payee deposit claimed state", channel_list },
    { "agent.serve", "sell a job's answers at POST /svc/NAME for vouchers",
      "agent serve vision --key service --price 0.0005QN", QN_CALL_LOCAL, agent_serve_record,
      "name", "name url price_uqn account key job resumed", serve_calls_put },
    { "agent.unserve", "take a service off", "agent unserve vision", QN_CALL_LOCAL,
      agent_name_record, "name", "name served", serve_calls_drop },
    { "agent.services", "services of this node", "agent services",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL, "name url price_uqn served aborted",
      serve_calls_list },
    { "agent.income", "channels that paid this node", "agent income",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL,
      "channel state calls charged_uqn claimable_uqn claimed_uqn deposit_uqn", serve_calls_income },
    { "agent.settle", "claim what a channel owes, with one transaction",
      "agent settle 77aa.. --close", QN_CALL_LOCAL, agent_settle_record, "channel",
      "tx calls claim_uqn", serve_calls_settle },
    { 0 },
};

static const struct qn_route ROUTES[] = {
    { "/svc/", "paid services over HTTP 402: see modules/agents/d402.h", serve_route },
    { 0 },
};

static const struct qn_local LOCALS[] = {
    { "agent.call", "call a service and pay it by a voucher",
      "agent call vision '{\"image\": ..}' --channel 77aa.. --as scout", agent_call_record,
      "url body", "answer charged_uqn seq", payer_call, payer_end },
    { "agent.purse", "where this home's money is: its channels, what was promised, what comes back",
      "agent purse", NULL, NULL,
      "channel state calls pending deposit_uqn promised_uqn claimed_uqn refundable_uqn",
      payer_purse, NULL },
    { "agent.sign", "make the PAYMENT-SIGNATURE header of one call, for curl and other tools",
      "agent sign /svc/vision '{}' --channel 77aa.. --seq 1 --cum 500uqn --price 500uqn --as scout",
      agent_sign_record, "path body", "header idem voucher", payer_sign, NULL },
    { 0 },
};

const struct qn_module agents_module = {
    .name = "agents",
    .doc = "agents with purses: registry, payment channels, vouchers, paid calls over HTTP",
    .tag = AGENTS_TAG,
    .txs = TXS,
    .dues = DUES,
    .tables = TABLES,
    .calls = CALLS,
    .jobs = SERVE_JOBS,
    .routes = ROUTES,
    .locals = LOCALS,
    .on_final = settle_final,
    .start = serve_start,
    .stop = serve_stop,
};
