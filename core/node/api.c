/* api.c - requests to calls, answers to JSON. A call that is not ready is kept and tried again until its time is over. */
#include "core/node/api.h"

#include "core/net/net.h"
#include "core/node/node.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS        30000
#define TIMEOUT_MAX_MS    600000
#define ARENA_MAX         (64u << 20)
#define WAITING_MAX       2000
#define LISTENERS_MAX     200
#define BATCH_MAX         100
#define STRANGER_US       5000    /* one request each, in the long run: 200 a second */
#define STRANGER_BURST_US 2000000 /* and so much at once: 400 */

/* A call in progress; kept while it waits. */
struct pending {
    struct pending *next;
    struct qn_http_req *req; /* NULL: the client left */
    struct batch *batch;     /* it is one of; NULL: alone */
    size_t idx;              /* in it */
    const struct qn_call *call;
    json_t *params, *rpc_id; /* rpc_id NULL: a plain request */
    bool owner;
    uint64_t state, until_us;
};

/* Requests that came in one array, and are answered so when the last one is. */
struct batch {
    json_t *answers;
    size_t left;
};

struct listener {
    struct listener *next;
    struct qn_http_req *req;
};

struct qn_api {
    struct qn_api_conf conf;
    struct qn_http *http;
    struct pending *waiting;
    unsigned waiting_cnt;
    struct listener *listeners;
    unsigned listener_cnt;
    struct event *tick;
    bool retrying, again;
    uint64_t stranger_us; /* time up to which strangers' requests are used up (GCRA) */
    uint64_t requests, errors;
};

static json_t *problem(qn_rc rc, const char *why)
{
    json_t *p =
        json_pack("{s:s, s:s, s:s, s:s}", "code", qn_err_code(rc), "class", qn_err_class(rc),
                  "title", qn_err_text(rc), "detail", why && *why ? why : qn_err_text(rc));
    if (qn_err_hint(rc)) json_object_set_new(p, "hint", json_string(qn_err_hint(rc)));
    return p;
}

static int http_status(qn_rc rc)
{
    switch (qn_err_exit(rc)) {
    case 0: return 200;
    case QN_CLASS_USAGE: return 400;
    case QN_CLASS_NONE: return 404;
    case QN_CLASS_AUTH: return 403;
    case QN_CLASS_WAIT: return rc == QN_E_RATE ? 429 : 408;
    case QN_CLASS_PEER: return 400;
    case QN_CLASS_USER: return 409;
    default: return 500;
    }
}

static void reply_json(struct qn_http_req *req, int status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text) status = 500; /* jansson gives no object when a text in it is no UTF-8 */
    qn_http_reply(req, status, status < 400 ? "application/json" : "application/problem+json",
                  QN_SPAN_STR(text ? text : "{\"title\":\"the answer could not be built\"}"));
    free(text);
    json_decref(json);
}

/* Runs a call once. */
static qn_rc run(struct qn_api *api, struct pending *p, json_t **ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = ARENA_MAX };
    void *params = NULL;
    qn_rc rc = QN_OK;
    if (p->call->flags & QN_CALL_LOCAL && !p->owner)
        return qn_why(why, QN_E_AUTH, "%s is for the node's owner: use the socket or the cookie",
                      p->call->name);
    if (p->call->flags & QN_CALL_SOON && p->state) {
        params = NULL; /* taken when it was asked first */
    } else if (p->call->params) {
        params = qn_arena_alloc(&arena, p->call->params()->size);
        rc = qn_from_json(p->call->params(), p->params, &arena, params, why);
        if (rc && qn_err_exit(rc) == QN_CLASS_PEER) rc = QN_E_USAGE; /* the caller's words */
    } else if (json_object_size(p->params)) {
        rc = qn_why(why, QN_E_USAGE, "%s takes no parameters", p->call->name);
    }
    struct qn_call_ctx ctx = { .env = api->conf.env,
                               .view = p->call->flags & QN_CALL_BLIND
                                           ? NULL
                                           : qn_chain_view(qn_node_chain(api->conf.node)),
                               .node = api->conf.node,
                               .ops = api->conf.ops,
                               .jobs = api->conf.jobs,
                               .home = api->conf.home,
                               .arena = &arena,
                               .self = qn_node_self(api->conf.node, p->call),
                               .local = p->owner,
                               .state = &p->state };
    if (rc == QN_OK) rc = p->call->fn(&ctx, params, ret, why);
    if (rc == QN_OK && !*ret) rc = qn_why(why, QN_E_MEMORY, "the answer could not be built");
    qn_arena_free(&arena);
    return rc;
}

static json_t *rpc_answer(json_t *id, qn_rc rc, json_t *result, const char *why)
{
    if (rc == QN_OK)
        return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
    return json_pack("{s:s, s:O, s:{s:i, s:s, s:o}}", "jsonrpc", "2.0", "id", id, "error", "code",
                     rc == QN_E_USAGE ? -32602 : -32000 - (int)rc, "message", why, "data",
                     problem(rc, why));
}

/* One of a batch has its answer (QN_TAKES), or needs none; the last one sends them all, to who is still there. */
static void batch_put(struct batch *b, struct qn_http_req *req, size_t idx, json_t *answer)
{
    if (answer) json_array_set_new(b->answers, idx, answer);
    if (--b->left) return;
    if (req)
        reply_json(req, 200, b->answers);
    else
        json_decref(b->answers);
    free(b);
}

/* Tries p; true when it was answered (and p freed). */
static bool attempt(struct qn_api *api, struct pending *p)
{
    struct qn_why why = { "" };
    json_t *result = NULL;
    qn_rc rc = p->req ? run(api, p, &result, &why) : QN_OK;
    if (p->req && rc == QN_E_AGAIN && qn_env_mono_us(api->conf.env) < p->until_us) return false;
    if (p->req) {
        if (rc == QN_E_AGAIN) rc = QN_E_TIMEOUT;
        api->errors += rc != QN_OK;
        if (p->batch)
            batch_put(p->batch, p->req, p->idx, rpc_answer(p->rpc_id, rc, result, why.text));
        else if (p->rpc_id)
            reply_json(p->req, 200, rpc_answer(p->rpc_id, rc, result, why.text));
        else if (rc)
            reply_json(p->req, http_status(rc), problem(rc, why.text));
        else
            reply_json(p->req, 200, result);
    } else if (p->batch) {
        batch_put(p->batch, NULL, p->idx, NULL);
    }
    json_decref(p->params);
    json_decref(p->rpc_id);
    free(p);
    return true;
}

static void retry(struct qn_api *api, bool soon)
{
    if (api->retrying) { /* a call being tried has changed a job: the walk under way starts anew */
        api->again = true;
        return;
    }
    api->retrying = true;
    do {
        struct pending **at = &api->waiting;
        api->again = false;
        while (*at) {
            struct pending *p = *at, *next = p->next;
            if ((!soon || p->call->flags & QN_CALL_SOON) && attempt(api, p)) {
                *at = next;
                api->waiting_cnt--;
            } else {
                at = &p->next;
            }
        }
    } while (api->again);
    api->retrying = false;
}

void qn_api_retry(struct qn_api *api)
{
    retry(api, false);
}

void qn_api_retry_soon(struct qn_api *api)
{
    retry(api, true);
}

/* Requests without the cookie, together: what they may ask is cheap, but not free. Paid services are counted by their payment. */
static bool stranger_may(struct qn_api *api)
{
    uint64_t now = qn_env_mono_us(api->conf.env);
    api->stranger_us = QN_MAX(api->stranger_us, now - QN_MIN(now, (uint64_t)STRANGER_BURST_US));
    if (api->stranger_us > now) return false;
    api->stranger_us += STRANGER_US;
    return true;
}

static void start(struct qn_api *api, const struct pending *what, json_t *params QN_TAKES)
{
    struct pending *p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    uint64_t timeout_ms = TIMEOUT_MS;
    json_t *asked = json_object_get(params, "timeout_ms");
    if (json_is_integer(asked) && json_integer_value(asked) >= 0)
        timeout_ms = QN_MIN((uint64_t)json_integer_value(asked), (uint64_t)TIMEOUT_MAX_MS);
    else if (json_is_string(asked))
        timeout_ms = QN_MIN(strtoull(json_string_value(asked), NULL, 10),
                            (unsigned long long)TIMEOUT_MAX_MS);
    json_object_del(params, "timeout_ms");
    if (api->waiting_cnt >= WAITING_MAX) timeout_ms = 0;
    if (what->call->flags & QN_CALL_SOON) timeout_ms = TIMEOUT_MS;
    *p = *what;
    p->params = params;
    p->until_us = qn_env_mono_us(api->conf.env) + timeout_ms * 1000;
    if (attempt(api, p)) return;
    p->next = api->waiting;
    api->waiting = p;
    api->waiting_cnt++;
}

static void on_gone(void *arg, struct qn_http_req *req)
{
    struct qn_api *api = arg;
    for (struct pending *p = api->waiting; p; p = p->next)
        if (p->req == req) p->req = NULL;
    for (struct listener **at = &api->listeners; *at; at = &(*at)->next) {
        if ((*at)->req == req) {
            struct listener *gone = *at;
            *at = gone->next;
            free(gone);
            api->listener_cnt--;
            break;
        }
    }
}

static void refuse(struct qn_http_req *req, int status, qn_rc rc, const char *why)
{
    reply_json(req, status, problem(rc, why));
}

static void refuse_rate(struct qn_http_req *req, const char *why)
{
    qn_http_add(req, "Retry-After", "1");
    refuse(req, 429, QN_E_RATE, why);
}

static json_t *query_params(const char *query)
{
    json_t *params = json_object();
    struct evkeyvalq pairs;
    bool ok = true;
    if (!query) return params;
    if (evhttp_parse_query_str(query, &pairs) == 0) {
        for (struct evkeyval *kv = pairs.tqh_first; kv; kv = kv->next.tqe_next)
            ok &= json_object_set_new(params, kv->key, json_string(kv->value)) == 0; /* UTF-8 */
        evhttp_clear_headers(&pairs);
    }
    if (ok) return params;
    json_decref(params);
    return NULL;
}

static void handle_v1(struct qn_api *api, struct qn_http_req *req, const char *method,
                      const char *path, const char *query, struct qn_span body, bool owner)
{
    char name[80];
    snprintf(name, sizeof name, "%s", path);
    char *slash = strchr(name, '/');
    if (slash) *slash = '.';
    const struct qn_call *call = qn_call_find(name);
    if (!call) {
        refuse(req, 404, QN_E_NOTFOUND, "there is no such call; GET /openapi.json lists them");
        return;
    }
    if (strcmp(method, "GET") == 0 && !(call->flags & QN_CALL_QUERY)) {
        refuse(req, 405, QN_E_USAGE, "an action is a POST");
        return;
    }
    json_t *params =
        strcmp(method, "GET") == 0 ? query_params(query)
        : body.len ? json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL)
                   : json_object();
    if (!json_is_object(params)) {
        json_decref(params);
        refuse(req, 400, QN_E_USAGE, "the parameters are not a JSON object of UTF-8 text");
        return;
    }
    start(api, &(struct pending){ .req = req, .call = call, .owner = owner }, params);
}

static json_t *rpc_error(int code, const char *text, json_t *id)
{
    return json_pack("{s:s, s:O, s:{s:i, s:s}}", "jsonrpc", "2.0", "id", id ? id : json_null(),
                     "error", "code", code, "message", text);
}

/* One element of a batch. */
static void start_one(struct qn_api *api, struct qn_http_req *req, json_t *ask, struct batch *b,
                      size_t idx, bool owner)
{
    json_t *id = json_object_get(ask, "id"), *params = json_object_get(ask, "params");
    const char *name = json_string_value(json_object_get(ask, "method"));
    const struct qn_call *call = name ? qn_call_find(name) : NULL;
    if (!call) {
        batch_put(b, req, idx,
                  rpc_error(name ? -32601 : -32600, name ? "no such method" : "not a request", id));
        return;
    }
    start(api,
          &(struct pending){ .req = req,
                             .batch = b,
                             .idx = idx,
                             .call = call,
                             .rpc_id = id ? json_incref(id) : json_null(),
                             .owner = owner },
          json_is_object(params) ? json_incref(params) : json_object());
}

static void start_batch(struct qn_api *api, struct qn_http_req *req, json_t *asks, bool owner)
{
    struct batch *b = calloc(1, sizeof *b);
    json_t *one;
    size_t i;
    QN_ASSERT(b != NULL);
    b->answers = json_array();
    b->left = json_array_size(asks) + 1; /* not before all have begun */
    json_array_foreach(asks, i, one) json_array_append_new(b->answers, json_null());
    json_array_foreach(asks, i, one) start_one(api, req, one, b, i, owner);
    batch_put(b, req, 0, NULL);
}

static void handle_rpc(struct qn_api *api, struct qn_http_req *req, struct qn_span body, bool owner)
{
    json_t *ask = json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *id = json_object_get(ask, "id"), *params = json_object_get(ask, "params");
    const char *name = json_string_value(json_object_get(ask, "method"));
    const struct qn_call *call = name ? qn_call_find(name) : NULL;
    if (json_is_array(ask) && json_array_size(ask) > 0 && json_array_size(ask) <= BATCH_MAX) {
        start_batch(api, req, ask, owner);
    } else if (!ask) {
        reply_json(req, 200, rpc_error(-32700, "not JSON", NULL));
    } else if (!name || (params && !json_is_object(params))) {
        reply_json(
            req, 200,
            rpc_error(-32600, "not a request: method and params as an object are wanted", id));
    } else if (!call) {
        reply_json(req, 200, rpc_error(-32601, "no such method", id));
    } else {
        start(api,
              &(struct pending){ .req = req,
                                 .call = call,
                                 .rpc_id = id ? json_incref(id) : json_null(),
                                 .owner = owner },
              params ? json_incref(params) : json_object());
    }
    json_decref(ask);
}

static json_t *openapi(void)
{
    json_t *paths = json_object();
    const struct qn_call *c;
    for (size_t i = 0; (c = qn_call_at(i)); i++) {
        char path[100];
        snprintf(path, sizeof path, "/v1/%s", c->name);
        char *dot = strchr(path + 4, '.');
        if (dot) *dot = '/';
        json_t *schema =
            c->params ? qn_schema_json(c->params()) : json_pack("{s:s}", "type", "object");
        json_t *post =
            json_pack("{s:s, s:s, s:{s:{s:{s:o}}}, s:{s:{s:s, s:{s:{s:{s:s}}}}, s:{s:s}}}",
                      "operationId", c->name, "summary", c->doc, "requestBody", "content",
                      "application/json", "schema", schema, "responses", "200", "description",
                      c->result ? c->result : "the result", "content", "application/json", "schema",
                      "type", c->flags & QN_CALL_MANY ? "array" : "object", "default",
                      "description", "a problem (RFC 9457) with code and hint");
        json_object_set_new(paths, path, json_pack("{s:o}", "post", post));
    }
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:{s:{s:s, s:s}}}, s:[{s:[]}]}", "openapi",
                     "3.1.0", "info", "title", "quoin", "version", QN_VERSION, "summary",
                     "calls of a quoin node", "paths", paths, "components", "securitySchemes",
                     "cookie", "type", "http", "scheme", "bearer", "security", "cookie");
}

static void metrics(struct qn_api *api, struct qn_http_req *req)
{
    struct qn_buf out = { 0 };
    struct qn_chain *chain = qn_node_chain(api->conf.node);
    qn_buf_printf(&out,
                  "# TYPE quoin_build_info gauge\nquoin_build_info{version=\"" QN_VERSION "\"} 1\n"
                  "# TYPE quoin_bft_height gauge\nquoin_bft_height %llu\n"
                  "# TYPE quoin_pool_txs gauge\nquoin_pool_txs %zu\n"
                  "# TYPE quoin_ledger_supply_uqn gauge\nquoin_ledger_supply_uqn %llu\n"
                  "# TYPE quoin_http_requests_total counter\nquoin_http_requests_total %llu\n"
                  "# TYPE quoin_http_errors_total counter\nquoin_http_errors_total %llu\n"
                  "# TYPE quoin_http_streams gauge\nquoin_http_streams %u\n",
                  (unsigned long long)qn_view_height(qn_chain_view(chain)),
                  qn_replica_pooled(qn_node_replica(api->conf.node)),
                  (unsigned long long)QN_SUPPLY_UQN, (unsigned long long)api->requests,
                  (unsigned long long)api->errors, api->listener_cnt);
    if (qn_node_net(api->conf.node)) qn_net_metrics(qn_node_net(api->conf.node), &out);
    qn_http_reply(req, 200, "text/plain; version=0.0.4", qn_buf_get(&out));
    qn_buf_free(&out);
}

static void listen_events(struct qn_api *api, struct qn_http_req *req)
{
    if (api->listener_cnt >= LISTENERS_MAX) {
        refuse_rate(req, "too many listeners");
        return;
    }
    struct listener *l = calloc(1, sizeof *l);
    QN_ASSERT(l != NULL);
    *l = (struct listener){ api->listeners, req };
    api->listeners = l;
    api->listener_cnt++;
    qn_http_stream(req);
    qn_http_send(req, QN_SPAN_STR(": quoin\n\n"));
}

bool qn_api_heard(const struct qn_api *api)
{
    return api->listeners != NULL;
}

void qn_api_event(struct qn_api *api, const char *id, const char *topic, const json_t *event)
{
    if (!api->listeners) return;
    char *text = json_dumps(event, JSON_COMPACT);
    struct qn_buf out = { 0 };
    qn_buf_printf(&out, "id: %s\nevent: %s\ndata: %s\n\n", id, topic, text);
    for (struct listener *l = api->listeners, *next; l; l = next) {
        next = l->next;
        qn_http_send(l->req, qn_buf_get(&out));
    }
    qn_buf_free(&out);
    free(text);
}

/* A module's own path, if it is one. */
static bool handle_route(struct qn_api *api, struct qn_http_req *req, const char *method,
                         const char *path, const char *query, struct qn_span body, bool owner)
{
    void *self;
    const struct qn_route *route = qn_node_route(api->conf.node, path, &self);
    if (!route) return false;
    struct qn_arena arena = { .max = ARENA_MAX };
    uint64_t state = 0;
    struct qn_call_ctx ctx = { .env = api->conf.env,
                               .view = qn_chain_view(qn_node_chain(api->conf.node)),
                               .node = api->conf.node,
                               .ops = api->conf.ops,
                               .jobs = api->conf.jobs,
                               .home = api->conf.home,
                               .arena = &arena,
                               .self = self,
                               .local = owner,
                               .state = &state };
    route->handle(&ctx, req, method, path, query, body);
    qn_arena_free(&arena);
    return true;
}

static void handle(void *arg, struct qn_http_req *req, const char *method, const char *path,
                   const char *query, struct qn_span body, bool owner)
{
    struct qn_api *api = arg;
    api->requests++;
    if (strcmp(path, "/livez") == 0 || strcmp(path, "/readyz") == 0)
        qn_http_reply(req, 200, "text/plain", QN_SPAN_STR("ok\n"));
    else if (handle_route(api, req, method, path, query, body, owner))
        return;
    else if (!owner && !stranger_may(api))
        refuse_rate(req, "too many requests without the cookie; ask again in a second");
    else if (strcmp(path, "/metrics") == 0)
        metrics(api, req);
    else if (!owner)
        refuse(req, 401, QN_E_AUTH,
               "send the node's cookie: Authorization: Bearer, and what HOME/cookie holds");
    else if (strcmp(path, "/openapi.json") == 0)
        reply_json(req, 200, openapi());
    else if (strcmp(path, "/v1/events") == 0)
        listen_events(api, req);
    else if (strcmp(path, "/rpc") == 0 && strcmp(method, "POST") == 0)
        handle_rpc(api, req, body, owner);
    else if (strncmp(path, "/v1/", 4) == 0)
        handle_v1(api, req, method, path + 4, query, body, owner);
    else
        refuse(req, 404, QN_E_NOTFOUND,
               "there is nothing at this path; GET /openapi.json lists what there is");
}

static void on_tick(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    qn_api_retry(arg);
}

qn_rc qn_api_open(const struct qn_api_conf *conf, struct qn_api **ret, struct qn_why *why)
{
    struct qn_api *api = calloc(1, sizeof *api);
    QN_ASSERT(api != NULL);
    api->conf = *conf;
    struct qn_http_conf http = { .base = conf->base,
                                 .socket = conf->socket,
                                 .addr = conf->addr,
                                 .cookie = conf->cookie,
                                 .handle = handle,
                                 .gone = on_gone,
                                 .arg = api };
    qn_rc rc = qn_http_open(&http, &api->http, why);
    if (rc) {
        free(api);
        return rc;
    }
    struct timeval every = { 0, 100000 }; /* waiting calls also end by the clock */
    api->tick = event_new(conf->base, -1, EV_PERSIST, on_tick, api);
    event_add(api->tick, &every);
    *ret = api;
    return QN_OK;
}

unsigned qn_api_port(const struct qn_api *api)
{
    return qn_http_port(api->http);
}

void qn_api_close(struct qn_api *api)
{
    if (!api) return;
    while (api->waiting) {
        struct pending *p = api->waiting;
        api->waiting = p->next;
        if (p->batch)
            batch_put(p->batch, p->req, p->idx,
                      rpc_answer(p->rpc_id, QN_E_NONODE, NULL, "the node is stopping"));
        else if (p->req)
            refuse(p->req, 503, QN_E_NONODE, "the node is stopping");
        json_decref(p->params);
        json_decref(p->rpc_id);
        free(p);
    }
    event_free(api->tick);
    qn_http_close(api->http);
    while (api->listeners) {
        struct listener *l = api->listeners;
        api->listeners = l->next;
        free(l);
    }
    free(api);
}
