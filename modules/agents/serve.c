/* serve.c - one paid request from its arrival to its answer:
 *
 *     examine -> reserve -> [commit] -> run in the job -> end, sign -> [commit] -> answer
 *
 * A commit is one write for all that is staged in a turn of the loop. A request whose voucher is ahead of its turn
 * (two connections raced) waits a little for the ones before. */
#include "modules/agents/serve.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"
#include "modules/agents/channel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EARLY_MAX    128 /* how far ahead of its turn a voucher may come */
#define EARLY_MS     2000
#define RUN_MS       60000
#define LIVE_MAX     1000 /* requests of one service at once; a job takes 1,024 */
#define WAITERS_MAX  1024 /* copies of one request that wait for its answer */
#define SERVICES_MAX 256

enum want_state { WANT_EARLY, WANT_RESERVING, WANT_RUNNING, WANT_ENDING };

/* A client that waits for an answer. */
struct waiter {
    struct waiter *next;
    struct qn_http_req *req; /* NULL: it left */
};

/* A request being handled. */
struct want {
    struct want *next;
    struct agents_node *node;
    struct svc *svc;
    enum want_state state;
    struct paid_call *call; /* NULL before it is reserved, and for what is free */
    struct agents_paid row; /* its spans lie in bytes */
    uint8_t *bytes;
    json_t *message;
    struct waiter *waiters;
    uint32_t waiter_cnt;
    uint64_t until_us; /* WANT_EARLY */
    struct qn_hash payer;
    struct agents_done done; /* WANT_ENDING; done.answer lies in text */
    char *text;
};

static void commit_later(struct agents_node *n);

/* --- answers ------------------------------------------------------------------------------------------------ */

static void reply_problem(struct qn_http_req *req, int status, qn_rc rc, const char *why)
{
    json_t *json = json_pack("{s:s,s:s,s:s,s:i}", "code", qn_err_code(rc), "title", qn_err_text(rc),
                             "detail", why && *why ? why : qn_err_text(rc), "status", status);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    QN_ASSERT(text != NULL);
    qn_http_reply(req, status, "application/problem+json", QN_SPAN_STR(text));
    free(text);
    json_decref(json);
}

static struct d402_offer offer_of(const struct agents_node *n, const struct svc *svc)
{
    struct d402_offer o = { .pay_to = svc->acct, .key = svc->key.pub, .price = svc->price };
    d402_network(&n->chain, o.network);
    snprintf(o.resource, sizeof o.resource, "/svc/%s", svc->name);
    snprintf(o.doc, sizeof o.doc, "%s", svc->doc);
    return o;
}

static void reply_402(struct qn_http_req *req, const struct d402_offer *offer, qn_rc rc)
{
    char *header = d402_offer_put(offer);
    qn_http_add(req, D402_REQUIRED, header);
    free(header);
    reply_problem(req, 402, rc, offer->error);
}

static void reply_done(struct qn_http_req *req, const struct agents_node *n,
                       const struct agents_done *done, const struct qn_hash *payer)
{
    struct d402_settled s = { .success = done->receipt.status == 0,
                              .has_receipt = true,
                              .payer = *payer,
                              .receipt = done->receipt };
    d402_network(&n->chain, s.network);
    char *header = d402_settled_put(&s);
    qn_http_add(req, D402_RESPONSE, header);
    free(header);
    /* An aborted request cost nothing; its receipt says so. */
    qn_http_reply(req, s.success ? 200 : 502,
                  s.success ? "application/json" : "application/problem+json", done->answer);
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static void on_gone(void *arg)
{
    struct waiter *waiter = arg;
    waiter->req = NULL;
}

static void wait_for(struct want *w, struct qn_http_req *req)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);
    QN_ASSERT(waiter != NULL);
    *waiter = (struct waiter){ w->waiters, req };
    w->waiters = waiter;
    w->waiter_cnt++;
    qn_http_keep(req, on_gone, waiter);
}

/* Calls fn for each client that still waits, and lets it go. */
static void each_waiter(struct want *w, void (*fn)(struct want *w, struct qn_http_req *req))
{
    while (w->waiters) {
        struct waiter *waiter = w->waiters;
        w->waiters = waiter->next;
        if (waiter->req) fn(w, waiter->req);
        free(waiter);
    }
}

static void want_free(struct want *w)
{
    if (!w) return;
    while (w->waiters) {
        struct waiter *waiter = w->waiters;
        w->waiters = waiter->next;
        free(waiter);
    }
    if (w->call) w->call->live = NULL;
    if (w->state != WANT_EARLY) w->svc->live--;
    json_decref(w->message);
    free(w->bytes);
    free(w->text);
    free(w);
}

static void stage(struct want *w)
{
    struct agents_node *n = w->node;
    w->next = NULL;
    *n->staged_end = w;
    n->staged_end = &w->next;
    commit_later(n);
}

/* --- the end of a request -------------------------------------------------------------------------------------- */

/* Ends w with an answer (status 0) or the words why there is none (status 1). */
static void end(struct want *w, uint8_t status, struct qn_span answer)
{
    struct agents_node *n = w->node;
    struct agents_receipt *r = &w->done.receipt;
    w->done.idem = w->row.idem;
    w->done.answer = answer;
    *r = (struct agents_receipt){ .channel = w->row.voucher.channel,
                                  .seq = w->row.voucher.seq,
                                  .req = w->row.voucher.req,
                                  .result = qn_blake3(answer.ptr, answer.len),
                                  .charged_cum = paid_charge(w->call, status),
                                  .status = status,
                                  .done_ms = qn_env_now_ms(n->env) };
    struct qn_hash hash = receipt_hash(&n->chain, r);
    r->sig = qn_sign(&w->svc->key, QN_SPAN_OF(hash));
    (*(status ? &w->svc->aborted : &w->svc->served))++;
    paid_end(n->paid, w->call, &w->row.voucher, &w->done);
    w->state = WANT_ENDING;
    stage(w);
}

static void reply_free(struct want *w, struct qn_http_req *req)
{
    bool ok = w->done.receipt.status == 0;
    qn_http_reply(req, ok ? 200 : 502, ok ? "application/json" : "application/problem+json",
                  w->done.answer);
}

static void end_any(struct want *w, uint8_t status, struct qn_span answer)
{
    if (w->call) {
        end(w, status, answer);
        return;
    }
    w->done.receipt.status = status;
    w->done.answer = answer;
    (*(status ? &w->svc->aborted : &w->svc->served))++;
    each_waiter(w, reply_free);
    want_free(w);
}

static void on_answer(void *arg, qn_rc rc, const json_t *result, const char *why)
{
    struct want *w = arg;
    if (rc == QN_OK) {
        w->text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
        if (w->text && strlen(w->text) <= SERVE_ANSWER_MAX) {
            end_any(w, 0, QN_SPAN_STR(w->text));
            return;
        }
        free(w->text);
        rc = QN_E_TOOBIG;
        why = "the answer is too long to be sold";
    }
    json_t *json = json_pack("{s:s,s:s,s:s}", "code", qn_err_code(rc), "title", qn_err_text(rc),
                             "detail", why);
    w->text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    end_any(w, 1, QN_SPAN_STR(w->text ? w->text : "{}"));
}

static void run(struct want *w)
{
    struct qn_why why;
    w->state = WANT_RUNNING;
    qn_rc rc = qn_job_ask(w->node->jobs, &w->svc->job, w->message, RUN_MS, on_answer, w, &why);
    if (rc) on_answer(w, rc, NULL, why.text);
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static void reply_paid(struct want *w, struct qn_http_req *req)
{
    reply_done(req, w->node, &w->done, &w->payer);
}

static void reply_broken(struct want *w, struct qn_http_req *req)
{
    (void)w;
    reply_problem(req, 503, QN_E_IO, "the payee's disk failed; send the same bytes again later");
}

static void commit(void *arg)
{
    struct agents_node *n = arg;
    struct want *list = n->staged;
    struct qn_why why;
    n->staged = NULL;
    n->staged_end = &n->staged;
    n->commit_due = false;
    qn_rc rc = paid_commit(n->paid, &why);
    for (struct want *w = list, *next; w; w = next) {
        next = w->next;
        if (rc) {
            each_waiter(w, reply_broken);
            want_free(w);
        } else if (w->state == WANT_RESERVING) {
            qn_crash_point("paid-reserved");
            run(w);
        } else {
            qn_crash_point("paid-done");
            each_waiter(w, reply_paid);
            qn_crash_point("paid-answered");
            want_free(w);
        }
    }
}

static void commit_later(struct agents_node *n)
{
    if (n->commit_due) return;
    n->commit_due = true;
    n->ops->later(n->node, 0, commit, n);
}

/* --- examining ---------------------------------------------------------------------------------------------------- */

/* Whether w's voucher buys its request now. QN_E_AGAIN: not yet, others come first. */
static qn_rc examine(struct want *w, const struct qn_view *view, struct qn_arena *arena,
                     struct d402_offer *offer, struct qn_why *why)
{
    struct agents_node *n = w->node;
    const struct agents_voucher *v = &w->row.voucher;
    struct agents_channel c;
    qn_rc rc = channel_get(view, &v->channel, arena, &c, why);
    if (rc) return rc;
    if (!qn_hash_eq(&c.payee, &w->svc->acct))
        return qn_why(why, QN_E_REFUSED, "the channel pays somebody else");
    if (c.state != CHANNEL_OPEN) return qn_why(why, QN_E_STATE, "the channel is closing");
    const struct paid_chan *chan = paid_chan_find(n->paid, &v->channel);
    /* The ledger knows more only when this journal is not the one of the vouchers that were claimed. */
    uint64_t seq = QN_MAX(chan ? chan->seq : 0, c.claimed_seq);
    struct qn_amount due = QN_UQN(QN_MAX(chan ? chan->due.uqn : 0, c.claimed.uqn)), cum;
    rc = qn_amount_add(due, w->svc->price, &cum);
    if (rc) return qn_why(why, rc, "the channel is used up");
    offer->has_next = true;
    offer->next_seq = seq + 1;
    offer->next_cum = cum;
    if (v->tick_cnt || v->tick.uqn) return qn_why(why, QN_E_REFUSED, "ticks are not sold here");
    if (v->seq <= seq)
        return qn_why(why, QN_E_DUPLICATE, "call %" PRIu64 " of the channel was paid for before",
                      v->seq);
    if (v->seq > seq + EARLY_MAX)
        return qn_why(why, QN_E_LIMIT, "call %" PRIu64 " of the channel is due, not %" PRIu64,
                      seq + 1, v->seq);
    rc = voucher_check(&n->chain, &v->channel, &c, v, v->cum, qn_view_now_ms(view), why);
    if (rc) return rc;
    if (v->seq > seq + 1) return QN_E_AGAIN;
    if (v->cum.uqn != cum.uqn)
        return qn_why(why, QN_E_REFUSED, "the voucher's sum is %" PRIu64 " uqn, due is %" PRIu64,
                      v->cum.uqn, cum.uqn);
    w->payer = c.payer;
    w->row.due = due;
    w->row.price = w->svc->price;
    return QN_OK;
}

static void reserve(struct want *w)
{
    struct agents_node *n = w->node;
    w->row.service = QN_SPAN_STR(w->svc->name);
    w->row.t_ms = qn_env_now_ms(n->env);
    qn_crash_point("paid-before");
    w->call = paid_reserve(n->paid, &w->row);
    w->call->live = w;
    w->state = WANT_RESERVING;
    w->svc->live++;
    stage(w);
}

struct refusal {
    struct d402_offer offer;
    qn_rc rc;
};

static void refuse(struct want *w, const struct d402_offer *offer, qn_rc rc)
{
    while (w->waiters) {
        struct waiter *waiter = w->waiters;
        w->waiters = waiter->next;
        if (waiter->req && rc == QN_E_DUPLICATE)
            reply_problem(waiter->req, 409, rc, offer->error);
        else if (waiter->req)
            reply_402(waiter->req, offer, rc);
        free(waiter);
    }
    want_free(w);
}

static void sweep(void *arg);

static void hold(struct want *w)
{
    struct agents_node *n = w->node;
    w->until_us = qn_env_mono_us(n->env) + EARLY_MS * UINT64_C(1000);
    w->next = n->early;
    n->early = w;
    if (n->sweep_due) return;
    n->sweep_due = true;
    n->ops->later(n->node, EARLY_MS / 2, sweep, n);
}

/* Refuses what waited too long for the calls before it. */
static void sweep(void *arg)
{
    struct agents_node *n = arg;
    uint64_t now_us = qn_env_mono_us(n->env);
    n->sweep_due = false;
    for (struct want **at = &n->early; *at;) {
        struct want *w = *at;
        if (now_us < w->until_us) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        struct d402_offer offer = offer_of(n, w->svc);
        snprintf(offer.error, sizeof offer.error,
                 "call %" PRIu64 " came, but not the ones before it", w->row.voucher.seq);
        refuse(w, &offer, QN_E_LIMIT);
    }
    if (!n->early) return;
    n->sweep_due = true;
    n->ops->later(n->node, EARLY_MS / 2, sweep, n);
}

static struct want *take_early(struct agents_node *n, const struct qn_hash *channel, uint64_t seq)
{
    for (struct want **at = &n->early; *at; at = &(*at)->next) {
        struct want *w = *at;
        if (w->row.voucher.seq != seq || !qn_hash_eq(&w->row.voucher.channel, channel)) continue;
        *at = w->next;
        return w;
    }
    return NULL;
}

/* Takes w as far as it goes now, and after it those whose turn has come thereby. */
static void admit(struct want *w, const struct qn_view *view)
{
    while (w) {
        struct agents_node *n = w->node;
        struct qn_arena arena = { .max = 65536 };
        struct qn_why why = { "" };
        struct qn_hash channel = w->row.voucher.channel;
        uint64_t seq = w->row.voucher.seq;
        struct d402_offer offer = offer_of(n, w->svc);
        qn_rc rc = examine(w, view, &arena, &offer, &why);
        qn_arena_free(&arena);
        if (rc == QN_E_AGAIN) {
            hold(w);
            return;
        }
        if (rc) {
            memcpy(offer.error, why.text, sizeof offer.error);
            refuse(w, &offer, rc);
            return;
        }
        reserve(w);
        w = take_early(n, &channel, seq + 1);
    }
}

/* --- arrival -------------------------------------------------------------------------------------------------------- */

struct svc *serve_find(struct agents_node *n, struct qn_span name)
{
    for (struct svc *s = n->services; s; s = s->next)
        if (qn_span_eq(name, QN_SPAN_STR(s->name))) return s;
    return NULL;
}

struct svc *serve_of(struct agents_node *n, const struct qn_hash *acct)
{
    for (struct svc *s = n->services; s; s = s->next)
        if (qn_hash_eq(&s->acct, acct)) return s;
    return NULL;
}

static void reply_json(struct qn_http_req *req, json_t *json QN_TAKES)
{
    char *text = json_dumps(json, JSON_COMPACT);
    QN_ASSERT(text != NULL);
    qn_http_reply(req, 200, "application/json", QN_SPAN_STR(text));
    free(text);
    json_decref(json);
}

static json_t *about(const struct agents_node *n, const struct svc *svc)
{
    char addr[64], network[40];
    qn_addr_print(&svc->acct, addr);
    d402_network(&n->chain, network);
    return json_pack("{s:s,s:s,s:s,s:I,s:s,s:I}", "name", svc->name, "doc", svc->doc, "network",
                     network, "price_uqn", (json_int_t)svc->price.uqn, "payTo", addr, "body_max",
                     (json_int_t)svc->body_max);
}

static struct want *want_new(struct agents_node *n, struct svc *svc, struct qn_span body,
                             json_t *message QN_TAKES)
{
    struct want *w = calloc(1, sizeof *w);
    QN_ASSERT(w != NULL);
    w->bytes = malloc(body.len + 1);
    QN_ASSERT(w->bytes != NULL);
    if (body.len) memcpy(w->bytes, body.ptr, body.len);
    w->node = n;
    w->svc = svc;
    w->message = message;
    w->row.body = QN_SPAN(w->bytes, body.len);
    return w;
}

/* A request that was paid for before: its answer, or its place among those who wait for it. */
static void again(struct qn_call_ctx *ctx, struct qn_http_req *req, struct paid_call *call,
                  const struct d402_payment *pay)
{
    struct agents_node *n = ctx->self;
    struct qn_hash voucher = paid_voucher_hash(&pay->voucher);
    struct want *live = call->live;
    struct agents_done done;
    struct agents_channel c = { 0 };
    struct qn_why why = { "" };
    if (!qn_hash_eq(&voucher, &call->voucher)) {
        reply_problem(req, 409, QN_E_DUPLICATE,
                      "this idem was used for another request or with another voucher");
    } else if (live && live->waiter_cnt < WAITERS_MAX) {
        wait_for(live, req);
    } else if (live || call->state == PAID_RESERVED) {
        qn_http_add(req, "Retry-After", "1");
        reply_problem(req, 409, QN_E_AGAIN, "the request is being run; send the same bytes again");
    } else if (paid_answer(n->paid, call, ctx->arena, &done, &why)) {
        reply_problem(req, 503, QN_E_IO, why.text);
    } else {
        if (channel_get(ctx->view, &call->chan->id, ctx->arena, &c, &why))
            c.payer = call->chan->id; /* not there any more */
        reply_done(req, n, &done, &c.payer);
    }
}

static void take_paid(struct qn_call_ctx *ctx, struct qn_http_req *req, struct svc *svc,
                      const char *path, const char *query, struct qn_span body)
{
    struct agents_node *n = ctx->self;
    struct d402_payment pay;
    struct d402_offer offer = offer_of(n, svc);
    struct qn_why why = { "" };
    char target[600];
    unsigned cnt;
    const char *header = qn_http_header(req, D402_SIGNATURE, &cnt);
    if (cnt == 0) {
        snprintf(offer.error, sizeof offer.error, D402_SIGNATURE " header is required");
        reply_402(req, &offer, QN_E_AUTH);
        return;
    }
    qn_rc rc = cnt > 1 ? qn_why(&why, QN_E_FORMAT, "more than one " D402_SIGNATURE " header")
                       : d402_payment_get(QN_SPAN_STR(header), &pay, &why);
    if (snprintf(target, sizeof target, "%s%s%s", path, query ? "?" : "", query ? query : "") >=
        (int)sizeof target)
        rc = qn_why(&why, QN_E_TOOBIG, "the path is too long");
    if (rc) {
        reply_problem(req, 400, rc, why.text);
        return;
    }
    /* What was paid for before is answered whatever the price is now. */
    struct qn_hash want_req = request_hash("POST", target, body, &pay.idem);
    bool bound = qn_hash_eq(&want_req, &pay.voucher.req);
    struct paid_call *call = paid_find(n->paid, &pay.voucher.channel, &pay.idem);
    if (call && bound) {
        again(ctx, req, call, &pay);
        return;
    }
    if (call) {
        reply_problem(req, 409, QN_E_DUPLICATE, "this idem was used for another request");
        return;
    }
    if (!bound)
        snprintf(offer.error, sizeof offer.error, "the voucher pays for another request");
    else if (strcmp(pay.network, offer.network) != 0)
        snprintf(offer.error, sizeof offer.error, "the payment is for network %s", pay.network);
    else if (!qn_hash_eq(&pay.pay_to, &offer.pay_to) || pay.price.uqn != offer.price.uqn)
        snprintf(offer.error, sizeof offer.error, "the payment accepts other terms than these");
    if (offer.error[0]) {
        reply_402(req, &offer, QN_E_REFUSED);
        return;
    }
    json_t *message = json_loadb((const char *)body.ptr, body.len,
                                 JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!message) {
        reply_problem(req, 400, QN_E_FORMAT, "the body is not JSON");
        return;
    }
    struct want *w = want_new(n, svc, body, message);
    w->row.idem = pay.idem;
    w->row.voucher = pay.voucher;
    wait_for(w, req);
    admit(w, ctx->view);
}

static void take_free(struct qn_call_ctx *ctx, struct qn_http_req *req, struct svc *svc,
                      struct qn_span body)
{
    json_t *message = json_loadb((const char *)body.ptr, body.len,
                                 JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!message) {
        reply_problem(req, 400, QN_E_FORMAT, "the body is not JSON");
        return;
    }
    struct want *w = want_new(ctx->self, svc, QN_SPAN(NULL, 0), message);
    svc->live++;
    wait_for(w, req);
    run(w);
}

void serve_route(struct qn_call_ctx *ctx, struct qn_http_req *req, const char *method,
                 const char *path, const char *query, struct qn_span body)
{
    struct agents_node *n = ctx->self;
    struct svc *svc = serve_find(n, QN_SPAN_STR(path + strlen("/svc/")));
    struct qn_job_info info;
    if (strcmp(method, "GET") == 0 && strcmp(path, "/svc/") == 0) {
        json_t *list = json_array();
        for (const struct svc *s = n->services; s; s = s->next)
            if (s->on) json_array_append_new(list, about(n, s));
        reply_json(req, list);
    } else if (!svc || !svc->on) {
        reply_problem(req, 404, QN_E_NOTFOUND, "no service of that name; GET /svc/ lists them");
    } else if (strcmp(method, "GET") == 0) {
        reply_json(req, about(n, svc));
    } else if (body.len > svc->body_max) {
        reply_problem(req, 413, QN_E_TOOBIG, "the request is larger than this service takes");
    } else if (paid_broken(n->paid)) {
        reply_problem(req, 503, QN_E_IO, "the payee's disk failed");
    } else if (qn_job_get(ctx->jobs, &svc->job, &info) ||
               (info.state != QN_JOB_RUNNING && info.state != QN_JOB_QUEUED)) {
        reply_problem(req, 503, QN_E_JOB, "the service's job has ended");
    } else if (svc->live >= LIVE_MAX) {
        qn_http_add(req, "Retry-After", "1");
        reply_problem(req, 429, QN_E_RATE, "the service is busy");
    } else if (svc->price.uqn == 0) {
        take_free(ctx, req, svc, body);
    } else {
        take_paid(ctx, req, svc, path, query, body);
    }
}

/* --- services ------------------------------------------------------------------------------------------------------- */

struct open_calls {
    struct paid_call *list[LIVE_MAX];
    uint32_t cnt;
};

static void note_open(void *arg, struct paid_call *call)
{
    struct open_calls *open = arg;
    if (open->cnt < LIVE_MAX) open->list[open->cnt++] = call;
}

/* Runs what was reserved when the node stopped. */
static qn_rc resume(struct agents_node *n, struct svc *svc, uint32_t *ret_cnt, struct qn_why *why)
{
    struct open_calls *open = calloc(1, sizeof *open);
    qn_rc rc = QN_OK;
    QN_ASSERT(open != NULL);
    paid_each_open(n->paid, note_open, open);
    *ret_cnt = 0;
    for (uint32_t i = 0; rc == QN_OK && i < open->cnt; i++) {
        struct paid_call *call = open->list[i];
        struct qn_arena arena = { 0 };
        struct agents_paid row;
        rc = paid_request(n->paid, call, &arena, &row, why);
        if (rc == QN_OK && qn_span_eq(row.service, QN_SPAN_STR(svc->name))) {
            json_t *message = json_loadb((const char *)row.body.ptr, row.body.len,
                                         JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
            struct want *w = want_new(n, svc, row.body, message);
            row.body = w->row.body;
            w->row = row;
            w->row.service = QN_SPAN(NULL, 0);
            w->call = call;
            w->payer = call->chan->id; /* nobody waits who would read it */
            call->live = w;
            svc->live++;
            (*ret_cnt)++;
            w->state = WANT_RUNNING;
            if (svc->once)
                on_answer(w, QN_E_JOB, NULL, "the node stopped while the request was run");
            else
                run(w);
        }
        qn_arena_free(&arena);
    }
    free(open);
    return rc;
}

qn_rc serve_put(struct agents_node *n, const struct agent_serve *p, const struct qn_hash *job,
                const struct qn_key *key, uint32_t *ret_resumed, struct qn_why *why)
{
    struct svc *svc = serve_find(n, p->name);
    if (!svc) {
        size_t cnt = 0;
        for (const struct svc *s = n->services; s; s = s->next)
            cnt++;
        if (cnt >= SERVICES_MAX)
            return qn_why(why, QN_E_LIMIT, "a node has at most %d services", SERVICES_MAX);
        svc = calloc(1, sizeof *svc);
        QN_ASSERT(svc != NULL);
        memcpy(svc->name, p->name.ptr, p->name.len);
        svc->next = n->services;
        n->services = svc;
    }
    memset(svc->doc, 0, sizeof svc->doc);
    if (p->doc.len) memcpy(svc->doc, p->doc.ptr, p->doc.len);
    svc->on = true;
    svc->once = p->once;
    svc->job = *job;
    svc->key = *key;
    svc->acct = qn_acct_key(&key->pub);
    svc->price = p->price;
    svc->body_max = p->body_max ? QN_MIN(p->body_max, (uint32_t)SERVE_BODY_MAX) : SERVE_BODY_MAX;
    svc->claim_ppm = p->claim_ppm ? p->claim_ppm : 800000;
    return resume(n, svc, ret_resumed, why);
}

qn_rc serve_start(struct qn_call_ctx *ctx, void **ret_self, struct qn_why *why)
{
    struct agents_node *n = calloc(1, sizeof *n);
    QN_ASSERT(n != NULL);
    *n = (struct agents_node){ .env = ctx->env,
                               .node = ctx->node,
                               .ops = ctx->ops,
                               .jobs = ctx->jobs,
                               .chain = qn_view_chain(ctx->view) };
    n->staged_end = &n->staged;
    qn_rc rc = paid_open(ctx->home, &n->paid, why);
    if (rc)
        free(n);
    else
        *ret_self = n;
    return rc;
}

static void free_list(struct want *list)
{
    for (struct want *w = list, *next; w; w = next) {
        next = w->next;
        want_free(w);
    }
}

void serve_stop(void *self)
{
    struct agents_node *n = self;
    free_list(n->early);
    free_list(n->staged); /* jobs and API are gone: nothing else is being run */
    for (struct svc *s = n->services, *next; s; s = next) {
        next = s->next;
        qn_key_wipe(&s->key);
        free(s);
    }
    paid_close(n->paid);
    free(n);
}

/* --- the job to try things out with ------------------------------------------------------------------------------- */

static qn_rc echo_run(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    struct qn_request req;
    (void)request, (void)ret, (void)why;
    while (qn_worker_next(w, &req)) {
        json_t *answer = json_pack("{s:O}", "echo", req.message);
        if (answer)
            qn_worker_answer(w, req.id, answer);
        else
            qn_worker_refuse(w, req.id, QN_E_FORMAT, "it cannot be repeated");
    }
    return QN_OK;
}

const struct qn_job_kind SERVE_JOBS[] = {
    { "echo", "answers what it is asked, to try a service out", echo_run },
    { 0 },
};
