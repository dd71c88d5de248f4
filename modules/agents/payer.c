/* payer.c - agent.call: many requests on the way at once, each noted before it is signed. */
#include "modules/agents/payer.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"
#include "core/http/client.h"
#include "ledger/state/apply.h"
#include "modules/agents/d402.h"
#include "modules/agents/purse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW     64 /* requests on the way at once */
#define TIMEOUT_MS 90000
#define BUSY_TRIES 300 /* of 100 ms: the service runs our request already */

/* What a process keeps from call to call. */
struct payer {
    struct purse *purse;
    char where[300]; /* "http://ADDRESS:PORT" that conns lead to */
    struct qn_http_conn *conns[WINDOW];
    char url[301]; /* what the offer is of, resolved */
    struct d402_offer offer;
};

/* One call of agent.call. */
struct deal {
    struct qn_local_ctx *ctx;
    struct payer *payer;
    struct qn_key key;
    struct qn_hash chain, id;
    struct agents_channel channel;
    struct purse_chan *chan;
    uint64_t now_ms;
    json_t *answers;
    uint64_t charged_uqn, calls;
};

/* --- where ------------------------------------------------------------------------------------------------ */

static qn_rc path_of(const char *url, const char **ret, struct qn_why *why)
{
    const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    *ret = host ? strchr(host, '/') : NULL;
    return *ret ? QN_OK : qn_why(why, QN_E_USAGE, "%s: expected http://ADDRESS:PORT/PATH", url);
}

static qn_rc reach(struct payer *p, const char *url, struct qn_why *why)
{
    const char *path;
    char where[300];
    qn_rc rc = path_of(url, &path, why);
    if (rc) return rc;
    snprintf(where, sizeof where, "%.*s", (int)(path - url), url);
    if (strcmp(where, p->where) == 0) return QN_OK;
    for (size_t i = 0; i < WINDOW; i++) {
        qn_http_hangup(p->conns[i]);
        p->conns[i] = NULL;
    }
    memcpy(p->where, where, sizeof where);
    for (size_t i = 0; rc == QN_OK && i < WINDOW; i++)
        rc = qn_http_dial(where, TIMEOUT_MS, &p->conns[i],
                          why); /* connects with the first request */
    return rc;
}

static bool url_in(struct qn_local_ctx *ctx, const char *call, const char *name, char dst[301])
{
    json_t *list = NULL;
    bool found = false;
    struct qn_why why;
    if (ctx->call(ctx->host, call, NULL, &list, &why)) return false;
    for (size_t i = 0; !found && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *is = json_string_value(json_object_get(one, "name"));
        const char *url = json_string_value(json_object_get(one, "url"));
        found = is && url && strcmp(is, name) == 0 && strlen(url) <= 300;
        if (found) snprintf(dst, 301, "%s", url);
    }
    json_decref(list);
    return found;
}

static qn_rc resolve(struct qn_local_ctx *ctx, struct qn_span name, char dst[301],
                     struct qn_why *why)
{
    char text[301];
    snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.ptr);
    if (strstr(text, "://"))
        memcpy(dst, text, sizeof text);
    else if (!url_in(ctx, "agent.services", text, dst) && !url_in(ctx, "agent.list", text, dst))
        return qn_why(why, QN_E_NOTFOUND, "no service or agent is called %s", text);
    return QN_OK;
}

/* --- what is asked for ------------------------------------------------------------------------------------- */

static qn_rc fetch_offer(struct payer *p, const char *url, struct qn_why *why)
{
    const char *path, *val;
    int status = 0;
    size_t len;
    struct qn_buf head = { 0 };
    if (strcmp(p->url, url) == 0) return QN_OK;
    qn_rc rc = path_of(url, &path, why);
    if (rc == QN_OK)
        rc = qn_http_put(p->conns[0], "POST", path, "Content-Type: application/json\r\n",
                         QN_SPAN_STR("{}"), why);
    if (rc == QN_OK) rc = qn_http_get(p->conns[0], &status, &head, NULL, why);
    if (rc == QN_OK && status != 402)
        rc = qn_why(why, QN_E_REFUSED, "%s answered %d, not 402 with a price", url, status);
    if (rc == QN_OK) {
        val = qn_http_find((const char *)head.ptr, D402_REQUIRED, &len);
        rc = val ? d402_offer_get(QN_SPAN(val, len), &p->offer, why)
                 : qn_why(why, QN_E_FORMAT, "%s answered 402 without " D402_REQUIRED, url);
    }
    if (rc == QN_OK) snprintf(p->url, sizeof p->url, "%s", url);
    qn_buf_free(&head);
    return rc;
}

static qn_rc check_offer(const struct deal *d, struct qn_amount max, struct qn_why *why)
{
    const struct d402_offer *o = &d->payer->offer;
    char network[40];
    d402_network(&d->chain, network);
    struct qn_hash acct = qn_acct_key(&o->key);
    if (strcmp(network, o->network) != 0)
        return qn_why(why, QN_E_REFUSED, "the service is paid on %s, this node is on %s",
                      o->network, network);
    if (!qn_hash_eq(&o->pay_to, &d->channel.payee) || !qn_hash_eq(&acct, &o->pay_to))
        return qn_why(why, QN_E_REFUSED, "the channel pays somebody else than this service");
    if (!max.uqn) max = d->channel.step_max;
    if (o->price.uqn > max.uqn)
        return qn_why(why, QN_E_LIMIT, "a call costs %" PRIu64 " uqn, at most %" PRIu64 " is meant",
                      o->price.uqn, max.uqn);
    return QN_OK;
}

static qn_rc look_up(struct deal *d, struct qn_why *why)
{
    json_t *status = NULL, *params = NULL, *json = NULL;
    char hex[65];
    qn_hex(d->id.b, 32, hex);
    params = json_pack("{s:s}", "id", hex);
    qn_rc rc = d->ctx->call(d->ctx->host, "node.status", NULL, &status, why);
    const char *chain = json_string_value(json_object_get(status, "chain"));
    if (rc == QN_OK && (!chain || !qn_unhex(chain, strlen(chain), d->chain.b, 32)))
        rc = qn_why(why, QN_E_FORMAT, "the node does not say its chain");
    d->now_ms = (uint64_t)json_integer_value(json_object_get(status, "now_ms"));
    if (rc == QN_OK) rc = d->ctx->call(d->ctx->host, "channel.get", params, &json, why);
    json_object_del(json, "id");
    if (rc == QN_OK)
        rc = qn_from_json(agents_channel_record(), json, d->ctx->arena, &d->channel, why);
    if (rc == QN_OK) rc = d->ctx->key(d->ctx->host, d->ctx->as, &d->key, why);
    if (rc == QN_OK && !qn_hash_eq(&d->key.pub, &d->channel.signer))
        rc =
            qn_why(why, QN_E_AUTH, "%s is not the channel's signer; name it with --as", d->ctx->as);
    json_decref(status);
    json_decref(params);
    json_decref(json);
    return rc;
}

/* --- one request ------------------------------------------------------------------------------------------- */

static qn_rc send_one(const struct deal *d, struct qn_http_conn *conn, const struct intent *it,
                      struct qn_why *why)
{
    struct d402_payment pay = { .pay_to = d->channel.payee,
                                .price = it->row.price,
                                .idem = it->row.idem,
                                .voucher = it->row.voucher };
    const char *path;
    qn_rc rc = path_of(d->payer->url, &path, why);
    if (rc) return rc;
    d402_network(&d->chain, pay.network);
    voucher_sign(&d->chain, &d->key, &pay.voucher); /* Ed25519: the same bytes each time */
    char *value = d402_payment_put(&pay);
    struct qn_buf headers = { 0 };
    qn_buf_printf(&headers, "Content-Type: application/json\r\n" D402_SIGNATURE ": %s\r\n", value);
    qn_buf_u8(&headers, 0);
    rc = qn_http_put(conn, "POST", path, (const char *)headers.ptr, it->row.body, why);
    qn_buf_free(&headers);
    free(value);
    return rc;
}

static qn_rc check_receipt(const struct deal *d, const struct intent *it, int status,
                           struct qn_span header, struct qn_span body, struct agents_receipt *ret,
                           struct qn_why *why)
{
    struct d402_settled s;
    qn_rc rc = d402_settled_get(header, &s, why);
    if (rc) return rc;
    const struct agents_receipt *r = &s.receipt;
    struct qn_hash result = qn_blake3(body.ptr, body.len), hash = receipt_hash(&d->chain, r);
    if (!s.has_receipt || !qn_hash_eq(&r->channel, &d->id) || r->seq != it->row.voucher.seq ||
        !qn_hash_eq(&r->req, &it->row.voucher.req) || !qn_hash_eq(&r->result, &result) ||
        r->charged_cum.uqn > it->row.voucher.cum.uqn || (r->status == 0) != (status == 200))
        return qn_why(why, QN_E_FORMAT, "the receipt is not of this request and answer");
    if (!qn_verify(&d->payer->offer.key, QN_SPAN_OF(hash), &r->sig))
        return qn_why(why, QN_E_SIGNATURE, "the receipt is not signed by the service");
    *ret = *r;
    return QN_OK;
}

/* The words of a refusal. */
static void words_of(const char *head, struct qn_span body, char dst[300], char code[32])
{
    size_t len;
    struct d402_offer offer;
    const char *val = qn_http_find(head, D402_REQUIRED, &len);
    json_t *json = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(json, "detail"));
    const char *is = json_string_value(json_object_get(json, "code"));
    if (val && d402_offer_get(QN_SPAN(val, len), &offer, NULL) == QN_OK) detail = offer.error;
    snprintf(dst, 300, "%.299s", detail ? detail : "no reason given");
    snprintf(code, 32, "%.31s", is ? is : "");
    json_decref(json);
}

/* Takes the answer of it. QN_E_AGAIN: the service says to send the same bytes again. */
static qn_rc settle(struct deal *d, struct intent *it, int status, const struct qn_buf *head,
                    const struct qn_buf *body, struct qn_why *why)
{
    struct agents_receipt receipt;
    struct agents_spent spent = { .channel = d->id, .idem = it->row.idem };
    size_t len;
    char text[300], code[32];
    const char *val = qn_http_find((const char *)head->ptr, D402_RESPONSE, &len);
    if (val) {
        qn_rc rc = check_receipt(d, it, status, QN_SPAN(val, len), qn_buf_get(body), &receipt, why);
        if (rc) return rc;
        spent.receipt = &receipt;
        spent.status = receipt.status ? SPENT_ABORTED : SPENT_DONE;
    } else {
        words_of((const char *)head->ptr, qn_buf_get(body), text, code);
        if (status == 409 && strcmp(code, "AGAIN") == 0) return QN_E_AGAIN;
        if (status == 429 || status >= 500)
            return qn_why(why, QN_E_RATE,
                          "the service answered %d: %s; call again: the same bytes go out", status,
                          text);
        spent.status = SPENT_REFUSED;
    }
    int32_t slot = it->slot;
    uint64_t price = it->row.price.uqn;
    purse_spend(d->payer->purse, d->chan, it, &spent);
    if (spent.status == SPENT_REFUSED)
        return qn_why(why, QN_E_REFUSED, "the service refuses (%d): %s", status, text);
    json_t *answer = json_loadb((const char *)body->ptr, body->len, JSON_DECODE_ANY, NULL);
    if (spent.status == SPENT_ABORTED) {
        const char *detail = json_string_value(json_object_get(answer, "detail"));
        qn_rc rc = qn_why(why, QN_E_JOB, "the service failed and charged nothing: %s",
                          detail ? detail : "no reason given");
        json_decref(answer);
        return rc;
    }
    d->charged_uqn += price;
    d->calls++;
    if (slot >= 0 && answer)
        json_array_set_new(d->answers, (size_t)slot, answer);
    else
        json_decref(answer); /* of an earlier call: nobody waits for it */
    return QN_OK;
}

static qn_rc receive(struct deal *d, struct qn_http_conn *conn, struct intent *it,
                     struct qn_why *why)
{
    struct qn_buf head = { 0 }, body = { 0 };
    qn_rc rc = QN_E_AGAIN;
    bool lost = false;
    for (int tries = 0; rc == QN_E_AGAIN && tries < BUSY_TRIES; tries++) {
        int status = 0;
        qn_buf_clear(&head);
        qn_buf_clear(&body);
        if (tries) {
            if (!lost) usleep(100000);
            rc = send_one(d, conn, it, why);
            if (rc) break;
        }
        rc = qn_http_get(conn, &status, &head, &body, why);
        if (rc == QN_E_IO && !lost) { /* once: the server may just have closed an idle connection */
            lost = true;
            rc = QN_E_AGAIN;
            continue;
        }
        if (rc == QN_OK) rc = settle(d, it, status, &head, &body, why);
    }
    qn_buf_free(&head);
    qn_buf_free(&body);
    return rc == QN_E_AGAIN ? qn_why(why, QN_E_TIMEOUT, "the service does not come to an end") : rc;
}

/* Sends these intents, all at once, and takes their answers; the first failure is what it returns. */
static qn_rc deliver(struct deal *d, struct intent **list, size_t cnt, struct qn_why *why)
{
    qn_rc first = QN_OK, sent[WINDOW];
    struct qn_why words = { "" };
    for (size_t i = 0; i < cnt; i++) {
        struct qn_why one = { "" };
        sent[i] = send_one(d, d->payer->conns[i], list[i], &one);
        if (sent[i] && !first) {
            first = sent[i];
            words = one;
        }
    }
    qn_crash_point("pay-sent");
    for (size_t i = 0; i < cnt; i++) {
        struct qn_why one = { "" };
        qn_rc rc = sent[i] ? sent[i] : receive(d, d->payer->conns[i], list[i], &one);
        if (rc && !first) {
            first = rc;
            words = one;
        }
    }
    qn_crash_point("pay-answered");
    return first ? qn_why(why, first, "%s", words.text) : QN_OK;
}

/* What earlier calls left behind goes first: the payee counts on the order. An answer that says no ends it, too. */
static qn_rc deliver_pending(struct deal *d, struct qn_why *why)
{
    while (d->chan->pending) {
        struct intent *list[WINDOW];
        size_t cnt = 0;
        const struct intent *before = d->chan->pending;
        struct qn_span to =
            before->row.url; /* as it was named: its address may be another by now */
        for (struct intent *it = d->chan->pending;
             it && cnt < WINDOW && qn_span_eq(it->row.url, to); it = it->next)
            list[cnt++] = it;
        char url[301];
        qn_rc rc = resolve(d->ctx, to, url, why);
        if (rc == QN_OK) rc = reach(d->payer, url, why);
        if (rc == QN_OK) rc = fetch_offer(d->payer, url, why);
        if (rc == QN_OK) rc = deliver(d, list, cnt, why);
        if (rc && d->chan->pending == before) return rc; /* nothing was settled */
        rc = purse_commit(d->payer->purse, why);
        if (rc) return rc;
    }
    return QN_OK;
}

/* --- the call ------------------------------------------------------------------------------------------------ */

static qn_rc note(struct deal *d, struct qn_span to, struct qn_span body, size_t slot, bool blind,
                  struct intent **ret, struct qn_why *why)
{
    const char *path;
    struct agents_intent row = {
        .url = to, .price = d->payer->offer.price, .t_ms = qn_env_now_ms(d->ctx->env), .body = body
    };
    struct agents_voucher *v = &row.voucher;
    qn_rc rc = path_of(d->payer->url, &path, why);
    if (rc) return rc;
    v->channel = d->id;
    v->seq = d->chan->seq + 1;
    v->ack = d->chan->ack;
    rc = qn_amount_add(d->chan->due, row.price, &v->cum);
    if (rc == QN_OK && !blind)
        rc = voucher_limits(&d->id, &d->channel, v, v->cum,
                            QN_MAX(d->now_ms, qn_env_now_ms(d->ctx->env)), why);
    if (rc) return rc;
    qn_env_random(d->ctx->env, row.idem.b, sizeof row.idem.b);
    v->req = request_hash("POST", path, body, &row.idem);
    *ret = purse_note(d->payer->purse, d->chan, &row);
    (*ret)->slot = (int32_t)slot;
    return QN_OK;
}

/* A pending request like one of these is that one, sent again: it is not paid for twice. */
static void match_pending(struct deal *d, struct qn_span to, const struct qn_span *bodies,
                          size_t cnt, bool *ret_had)
{
    for (struct intent *it = d->chan->pending; it; it = it->next) {
        if (!qn_span_eq(it->row.url, to)) continue;
        for (size_t i = 0; i < cnt && it->slot < 0; i++) {
            if (ret_had[i] || !qn_span_eq(it->row.body, bodies[i])) continue;
            ret_had[i] = true;
            it->slot = (int32_t)i;
        }
    }
}

static qn_rc pay_all(struct deal *d, struct qn_span to, const struct qn_span *bodies, size_t cnt,
                     const bool *had, bool blind, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    for (size_t at = 0; rc == QN_OK && at < cnt;) {
        struct intent *list[WINDOW];
        size_t n = 0;
        while (rc == QN_OK && n < WINDOW && at < cnt) {
            if (!had[at]) rc = note(d, to, bodies[at], at, blind, &list[n++], why);
            if (rc)
                n--;
            else
                at++;
        }
        qn_crash_point("pay-before");
        qn_rc wrote = purse_commit(d->payer->purse, why);
        if (wrote) return wrote;
        qn_crash_point("pay-noted");
        if (n) {
            struct qn_why words;
            qn_rc got = deliver(d, list, n, &words);
            if (got) rc = qn_why(why, got, "%s", words.text);
        }
    }
    qn_rc wrote = purse_commit(d->payer->purse, why);
    qn_crash_point("pay-done");
    return rc ? rc : wrote;
}

static qn_rc check_json(struct qn_span body, struct qn_why *why)
{
    json_t *json = json_loadb((const char *)body.ptr, body.len,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    json_decref(json);
    return json ? QN_OK : qn_why(why, QN_E_USAGE, "the request is not JSON");
}

static qn_rc open_payer(struct qn_local_ctx *ctx, struct payer **ret, struct qn_why *why)
{
    struct payer *p = *ctx->state;
    qn_rc rc;
    if (!p) {
        p = calloc(1, sizeof *p);
        QN_ASSERT(p != NULL);
        rc = purse_open(ctx->home, &p->purse, why);
        if (rc) {
            free(p);
            return rc;
        }
        *ctx->state = p;
    }
    *ret = p;
    return QN_OK;
}

qn_rc payer_call(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct agent_call *p = params;
    struct deal d = { .ctx = ctx, .id = p->channel };
    char url[301];
    struct qn_span one = p->body.len ? p->body : QN_SPAN_STR("{}");
    const struct qn_span *bodies = p->bodies.cnt ? p->bodies.ptr : &one;
    size_t cnt = p->bodies.cnt ? p->bodies.cnt : 1;
    qn_rc rc = open_payer(ctx, &d.payer, why);
    for (size_t i = 0; rc == QN_OK && i < cnt; i++)
        rc = check_json(bodies[i], why);
    if (rc == QN_OK) rc = resolve(ctx, p->url, url, why);
    if (rc == QN_OK) rc = look_up(&d, why);
    if (rc) goto out;
    d.answers = json_array();
    for (size_t i = 0; i < cnt; i++)
        json_array_append_new(d.answers, json_null());
    bool *had = qn_arena_alloc(ctx->arena, cnt);
    d.chan = purse_chan(d.payer->purse, &d.id, d.channel.claimed_seq, d.channel.claimed);
    match_pending(&d, p->url, bodies, cnt, had);
    rc = deliver_pending(&d, why);
    if (rc == QN_OK) rc = reach(d.payer, url, why);
    if (rc == QN_OK) rc = fetch_offer(d.payer, url, why);
    if (rc == QN_OK) rc = check_offer(&d, p->max, why);
    if (rc == QN_OK) rc = pay_all(&d, p->url, bodies, cnt, had, p->blind, why);
    if (rc) { /* the price may have changed */
        d.payer->url[0] = 0;
        goto out;
    }
    *ret = json_pack("{s:I,s:I,s:I}", "charged_uqn", (json_int_t)d.charged_uqn, "calls",
                     (json_int_t)d.calls, "seq", (json_int_t)d.chan->seq);
    if (p->bodies.cnt)
        json_object_set(*ret, "answers", d.answers);
    else
        json_object_set(*ret, "answer", json_array_get(d.answers, 0));
out:
    qn_key_wipe(&d.key);
    json_decref(d.answers);
    return rc;
}

qn_rc payer_purse(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    struct payer *p;
    (void)params;
    qn_rc rc = open_payer(ctx, &p, why);
    if (rc) return rc;
    *ret = json_array();
    for (const struct purse_chan *chan = purse_list(p->purse); chan; chan = chan->next) {
        char hex[65];
        json_int_t pending = 0;
        json_t *row = NULL;
        qn_hex(chan->id.b, 32, hex);
        json_t *ask = json_pack("{s:s}", "id", hex);
        for (const struct intent *it = chan->pending; it; it = it->next)
            pending++;
        if (ctx->call(ctx->host, "channel.get", ask, &row, why)) row = json_object();
        json_int_t deposit = json_integer_value(json_object_get(row, "deposit"));
        const char *state = json_string_value(json_object_get(row, "state"));
        bool closed = !state || strcmp(state, "closed") == 0;
        json_array_append_new(
            *ret, json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "channel", hex, "state",
                            state ? state : "unknown", "calls", (json_int_t)chan->seq, "accepted",
                            (json_int_t)chan->ack, "pending", pending, "deposit_uqn", deposit,
                            "promised_uqn", (json_int_t)chan->due.uqn, "claimed_uqn",
                            json_integer_value(json_object_get(row, "claimed")), "refundable_uqn",
                            closed ? (json_int_t)0 : deposit - (json_int_t)chan->due.uqn));
        json_decref(row);
        json_decref(ask);
    }
    return QN_OK;
}

qn_rc payer_sign(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct agent_sign *p = params;
    struct deal d = { .ctx = ctx, .id = p->channel };
    struct d402_payment pay = { .price = p->price };
    char path[301], idem[65], voucher[513];
    qn_rc rc = look_up(&d, why);
    if (rc) goto out;
    snprintf(path, sizeof path, "%.*s", (int)p->path.len, (const char *)p->path.ptr);
    if (p->idem.has)
        pay.idem = p->idem.v;
    else
        qn_env_random(ctx->env, pay.idem.b, sizeof pay.idem.b);
    pay.pay_to = d.channel.payee;
    d402_network(&d.chain, pay.network);
    pay.voucher = (struct agents_voucher){ .channel = d.id,
                                           .seq = p->seq,
                                           .cum = p->cum,
                                           .req = request_hash("POST", path, p->body, &pay.idem) };
    voucher_sign(&d.chain, &d.key, &pay.voucher);
    struct qn_buf bytes = { 0 };
    qn_encode(agents_voucher_record(), &pay.voucher, &bytes);
    QN_ASSERT(bytes.len <= 256);
    qn_hex(bytes.ptr, bytes.len, voucher);
    qn_hex(pay.idem.b, 32, idem);
    char *header = d402_payment_put(&pay);
    *ret = json_pack("{s:s,s:s,s:s}", "header", header, "idem", idem, "voucher", voucher);
    free(header);
    qn_buf_free(&bytes);
out:
    qn_key_wipe(&d.key);
    return rc;
}

void payer_end(void *state)
{
    struct payer *p = state;
    for (size_t i = 0; i < WINDOW; i++)
        qn_http_hangup(p->conns[i]);
    purse_close(p->purse);
    free(p);
}
