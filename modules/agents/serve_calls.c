/* serve_calls.c - the owner's calls around services. */
#include "modules/agents/serve.h"

#include "modules/agents/channel.h"

#include <stdio.h>
#include <string.h>

#define JOB_MS (UINT64_C(365) * 86400000)

static bool name_ok(struct qn_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return name.len > 0;
}

static json_t *svc_json(struct agents_node *n, const struct svc *svc)
{
    char job[65], addr[64], acct[65], key[65], url[120];
    qn_hex(svc->job.b, 32, job);
    qn_hex(svc->acct.b, 32, acct);
    qn_hex(svc->key.pub.b, 32, key);
    qn_addr_print(&svc->acct, addr);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/svc/%s", n->ops->api(n->node), svc->name);
    json_t *json = json_pack("{s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "name", svc->name, "url",
                             url, "price_uqn", (json_int_t)svc->price.uqn, "doc", svc->doc,
                             "account", acct, "address", addr, "key", key, "job", job, "served",
                             (json_int_t)svc->served, "aborted", (json_int_t)svc->aborted);
    QN_ASSERT(json != NULL);
    return json;
}

/* The job to serve: the one named, or one that echoes, started at the first try. */
static qn_rc job_for(struct qn_call_ctx *ctx, const struct agent_serve *p, struct qn_hash *ret,
                     struct qn_why *why)
{
    struct agents_node *n = ctx->self;
    const struct svc *svc = serve_find(n, p->name);
    struct qn_job_info info;
    if (p->job.has) {
        *ret = p->job.v;
    } else if (svc && (*ctx->state || (qn_job_get(ctx->jobs, &svc->job, &info) == QN_OK &&
                                       (info.state == QN_JOB_QUEUED || info.serving)))) {
        *ret = svc->job;
    } else {
        json_t *request = json_object();
        struct qn_job_limits limits = { .mem_mib = 256, .wall_ms = JOB_MS };
        qn_rc rc = qn_job_start(ctx->jobs, "echo", request, NULL, 0, &limits, ret, why);
        json_decref(request);
        return rc;
    }
    qn_rc rc = qn_job_get(ctx->jobs, ret, &info);
    if (rc) return qn_why(why, rc, "this node knows no job of that id");
    if (info.state != QN_JOB_QUEUED && info.state != QN_JOB_RUNNING)
        return qn_why(why, QN_E_STATE, "the job has ended");
    return QN_OK;
}

qn_rc serve_calls_put(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct agent_serve *p = params;
    struct agents_node *n = ctx->self;
    struct qn_hash job = { { 0 } };
    struct qn_job_info info;
    char name[65] = "";
    uint32_t resumed = 0;
    if (!name_ok(p->name))
        return qn_why(why, QN_E_USAGE, "name: expected a-z, 0-9, - _ and ., at most 64");
    qn_rc rc = job_for(ctx, p, &job, why);
    if (rc) return rc;
    if (*ctx->state == 0) {
        struct qn_key key;
        if (p->key.len) memcpy(name, p->key.ptr, p->key.len);
        rc = ctx->ops->key(ctx->node, name, &key, why);
        if (rc) return rc;
        rc = serve_put(n, p, &job, &key, &resumed, why);
        qn_key_wipe(&key);
        if (rc) return rc;
        *ctx->state = 1 + resumed;
    }
    rc = qn_job_get(ctx->jobs, &job, &info);
    if (rc) return rc;
    if (!info.serving) return qn_why(why, QN_E_AGAIN, "the job does not serve yet");
    *ret = svc_json(n, serve_find(n, p->name));
    json_object_set_new(*ret, "resumed", json_integer((json_int_t)*ctx->state - 1));
    return QN_OK;
}

qn_rc serve_calls_drop(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct agent_name *p = params;
    struct svc *svc = serve_find(ctx->self, p->name);
    if (!svc || !svc->on) return qn_why(why, QN_E_NOTFOUND, "no service of that name");
    svc->on = false; /* its key stays: what was promised to it is still claimed */
    *ret = svc_json(ctx->self, svc);
    return QN_OK;
}

qn_rc serve_calls_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    struct agents_node *n = ctx->self;
    (void)params, (void)why;
    *ret = json_array();
    for (const struct svc *s = n->services; s; s = s->next)
        if (s->on) json_array_append_new(*ret, svc_json(n, s));
    return QN_OK;
}

qn_rc serve_calls_income(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    struct agents_node *n = ctx->self;
    (void)params;
    *ret = json_array();
    for (const struct paid_chan *chan = paid_chan_list(n->paid); chan; chan = chan->list) {
        struct agents_channel c = { 0 };
        char id[65], state[64] = "unknown";
        qn_hex(chan->id.b, 32, id);
        if (channel_get(ctx->view, &chan->id, ctx->arena, &c, why) == QN_OK)
            QN_ASSERT(qn_enum_word("open|closing|closed", c.state, state));
        json_array_append_new(
            *ret, json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "channel", id, "state", state, "calls",
                            (json_int_t)chan->seq, "charged_uqn", (json_int_t)chan->charged.uqn,
                            "claimable_uqn",
                            (json_int_t)(chan->has_best ? chan->best.cum.uqn : c.claimed.uqn),
                            "claimed_uqn", (json_int_t)c.claimed.uqn, "deposit_uqn",
                            (json_int_t)c.deposit.uqn));
    }
    return QN_OK;
}

qn_rc serve_calls_settle(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct agent_settle *p = params;
    struct agents_node *n = ctx->self;
    struct agents_channel c;
    struct qn_hash tx;
    char hex[65];
    qn_rc rc = channel_get(ctx->view, &p->channel, ctx->arena, &c, why);
    if (rc) return rc;
    const struct paid_chan *chan = paid_chan_find(n->paid, &p->channel);
    const struct svc *svc = serve_of(n, &c.payee);
    if (!chan || !chan->has_best)
        return qn_why(why, QN_E_NOTFOUND, "nothing was paid to this node over the channel");
    if (!svc) return qn_why(why, QN_E_AUTH, "serve with the payee's key first: agent serve");
    rc = settle_send(n, svc, chan, p->close, &tx, why);
    if (rc) return rc;
    qn_hex(tx.b, 32, hex);
    *ret = json_pack("{s:s,s:I,s:I}", "tx", hex, "calls", (json_int_t)chan->best.seq, "claim_uqn",
                     (json_int_t)(chan->best.cum.uqn - c.claimed.uqn));
    return QN_OK;
}
