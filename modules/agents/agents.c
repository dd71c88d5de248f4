/* agents.c - the module: registry of agents, calls, tables. */
#include "modules/agents/agents.h"

#include "core/module/module.h"
#include "modules/agents/channel.h"
#include "modules/agents/payer.h"
#include "modules/agents/serve.h"

#include <stdio.h>
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
    { "channel.get", "a payment channel", "channel get 77aa..", QN_CALL_QUERY, agents_id_record,
      "id", "payer payee deposit claimed state", channel_show },
    { "channel.list", "payment channels", "channel list --payer qn1..",
      QN_CALL_QUERY | QN_CALL_MANY, agents_list_record, NULL,
      "id payer payee deposit claimed state", channel_list },
    { "agent.serve", "sell a job's answers at POST /svc/NAME for vouchers",
      "agent serve vision --key service --price 0.0005QN", QN_CALL_LOCAL, agent_serve_record,
      "name", "name url price_uqn account key job resumed", agent_serve_call },
    { "agent.unserve", "take a service off", "agent unserve vision", QN_CALL_LOCAL,
      agent_name_record, "name", "name served", agent_unserve_call },
    { "agent.services", "services of this node", "agent services",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL, "name url price_uqn served aborted",
      agent_services_call },
    { "agent.income", "channels that paid this node", "agent income",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL,
      "channel state calls charged_uqn claimable_uqn claimed_uqn deposit_uqn", agent_income_call },
    { "agent.settle", "claim what a channel owes, with one transaction",
      "agent settle 77aa.. --close", QN_CALL_LOCAL, agent_settle_record, "channel",
      "tx calls claim_uqn", agent_settle_call },
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
