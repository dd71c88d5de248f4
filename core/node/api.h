/* api.h - the faces of the calls over HTTP: /v1/NOUN/VERB, JSON-RPC at /rpc, /openapi.json, events, health, metrics. */
#ifndef QN_CORE_NODE_API_H
#define QN_CORE_NODE_API_H

#include "core/http/server.h"
#include "core/node/registry.h"

struct qn_api;

struct qn_api_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct qn_node *node;
    const struct qn_node_ops *ops;
    struct qn_jobs *jobs;
    const char *home, *socket, *addr, *cookie;
};

QN_CHECK qn_rc qn_api_open(const struct qn_api_conf *conf, struct qn_api **ret, struct qn_why *why);
void qn_api_close(struct qn_api *api);
unsigned qn_api_port(const struct qn_api *api);
/* qn_api_retry tries waiting calls again: after a block or a job's change. */
void qn_api_retry(struct qn_api *api);
/* qn_api_retry_soon tries those that wait for this turn alone (QN_CALL_SOON). */
void qn_api_retry_soon(struct qn_api *api);
/* qn_api_event sends a JSON object to every listener of /v1/events; id is "HEIGHT.IDX". */
/* qn_api_heard says whether anybody listens to events. */
bool qn_api_heard(const struct qn_api *api);
void qn_api_event(struct qn_api *api, const char *id, const char *topic, const json_t *event);

#endif
