/* client.c - asking a node. */
#include "core/cli/client.h"

#include "core/cli/cookie.h"
#include "core/http/client.h"
#include "core/node/wallet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void qn_client_init(struct qn_client *c, const char *home, const char *node)
{
    *c = (struct qn_client){ .timeout_ms = 35000 };
    const char *env = getenv("QUOIN_HOME"), *xdg = getenv("XDG_DATA_HOME"), *user = getenv("HOME");
    if (home)
        snprintf(c->home, sizeof c->home, "%s", home);
    else if (env && *env)
        snprintf(c->home, sizeof c->home, "%s", env);
    else if (xdg && *xdg == '/')
        snprintf(c->home, sizeof c->home, "%s/quoin", xdg);
    else
        snprintf(c->home, sizeof c->home, "%s/.local/share/quoin",
                 user && *user ? user : "/var/lib");
    if (c->home[0] != '/') { /* a socket's path must hold wherever a child stands */
        char *abs = realpath(".", NULL);
        char rel[4000];
        snprintf(rel, sizeof rel, "%s", c->home);
        snprintf(c->home, sizeof c->home, "%.2000s/%.1900s", abs ? abs : "", rel);
        free(abs);
    }
    c->named = node != NULL;
    if (node)
        snprintf(c->where, sizeof c->where, "%s", node);
    else
        snprintf(c->where, sizeof c->where, "%s/api.sock", c->home);
    if (c->where[0] == '/') return;
    /* A home that was named has the cookie. Else it is sent to no other node than the one whose it is. */
    const char *address = strncmp(c->where, "http://", 7) == 0 ? c->where + 7 : c->where;
    qn_cookie_of(c->home, home || (env && *env) ? NULL : address, c->cookie);
    if (!c->cookie[0]) qn_cookie_find(address, c->cookie);
}

static qn_rc node_error(const json_t *problem, int status, struct qn_why *why)
{
    qn_rc rc = QN_E_BUG;
    const char *code = json_string_value(json_object_get(problem, "code"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    if (!code || !qn_err_find(code, &rc))
        return qn_why(why, QN_E_FORMAT, "the node answered with status %d", status);
    return qn_why(why, rc, "%s", detail ? detail : qn_err_text(rc));
}

qn_rc qn_client_call(const struct qn_client *c, const char *name, const json_t *params,
                     json_t **ret, struct qn_why *why)
{
    char path[120], header[128] = "";
    struct qn_buf answer = { 0 };
    int status = 0;
    snprintf(path, sizeof path, "/v1/%s", name);
    char *dot = strchr(path + 4, '.');
    if (dot) *dot = '/';
    if (c->cookie[0]) snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", c->cookie);
    char *body = params ? json_dumps(params, JSON_COMPACT) : NULL;
    qn_rc rc = qn_http_ask(c->where, "POST", path, header, QN_SPAN(body, body ? strlen(body) : 0),
                           c->timeout_ms, &status, NULL, &answer, why);
    free(body);
    if (rc == QN_E_NONODE && c->named)
        rc = qn_why(why, rc, "no node answers at %s", c->where);
    else if (rc == QN_E_NONODE)
        rc = qn_why(why, rc, "no node runs for %s", c->home);
    else if (rc == QN_E_TIMEOUT && !status)
        rc = qn_why(why, rc, "%s: no answer in %.1f s; --timeout waits longer", c->where,
                    (double)c->timeout_ms / 1000);
    else if (rc == QN_E_AUTH && !status)
        rc = qn_why(why, rc, "%s: no permission; the node's owner may ask it", c->where);
    else if (rc == QN_OK && (status == 401 || status == 403) && c->named && !c->cookie[0])
        rc = qn_why(why, QN_E_AUTH,
                    "%s wants its cookie, which is not to be found: --home HOME of that node",
                    c->where);
    if (rc == QN_OK) {
        json_t *json = json_loadb((const char *)answer.ptr, answer.len, JSON_DECODE_ANY, NULL);
        if (!json)
            rc = qn_why(why, QN_E_FORMAT, "the node's answer is not JSON");
        else if (status != 200)
            rc = node_error(json, status, why);
        else
            *ret = json_incref(json);
        json_decref(json);
    }
    qn_buf_free(&answer);
    return rc;
}

static qn_rc chain_of(const struct qn_client *c, struct qn_hash *ret, uint64_t *ret_now_ms,
                      struct qn_why *why)
{
    json_t *status = NULL;
    qn_rc rc = qn_client_call(c, "node.status", NULL, &status, why);
    if (rc) return rc;
    const char *hex = json_string_value(json_object_get(status, "chain"));
    uint64_t block_ms = (uint64_t)json_integer_value(json_object_get(status, "now_ms"));
    if (!hex || !qn_unhex(hex, strlen(hex), ret->b, 32))
        rc = qn_why(why, QN_E_FORMAT, "the node does not say its chain");
    *ret_now_ms = QN_MAX(block_ms, qn_env_now_ms(qn_env_real()));
    json_decref(status);
    return rc;
}

/* What a transaction says was typed here, not sent by a peer; but a proof or a signature in it may be somebody's work. */
static qn_rc own_words(qn_rc rc)
{
    return rc == QN_E_RANGE || rc == QN_E_FORMAT || rc == QN_E_TOOBIG || rc == QN_E_SHORT ||
                   rc == QN_E_EXTRA
               ? QN_E_USAGE
               : rc;
}

qn_rc qn_client_tx(const struct qn_client *c, const char *kind_name, const json_t *fields,
                   const char *as, const struct qn_hash *mandate, bool wait, json_t **ret,
                   struct qn_why *why)
{
    const struct qn_tx_kind *kind = qn_txkind_find(kind_name);
    struct qn_arena arena = { 0 };
    struct qn_key key = { 0 };
    struct qn_hash chain, id;
    struct qn_tx_opts opts = { 0 };
    struct qn_buf body = { 0 }, tx = { 0 };
    json_t *ask = NULL, *got = NULL;
    uint64_t now_ms;
    if (!kind) return qn_why(why, QN_E_NOTFOUND, "no transaction kind is called %s", kind_name);
    void *obj = qn_arena_alloc(&arena, kind->body()->size);
    const json_t *gas =
        qn_field_find(kind->body(), "gas_max") ? NULL : json_object_get(fields, "gas_max");
    json_t *own = json_copy((json_t *)(uintptr_t)fields); /* shallow: json_copy only reads */
    if (gas) json_object_del(own, "gas_max");
    qn_rc rc = qn_from_json(kind->body(), own, &arena, obj, why);
    json_decref(own);
    if (gas && (!json_is_integer(gas) || json_integer_value(gas) <= 0 ||
                json_integer_value(gas) > UINT32_MAX))
        rc = qn_why(why, QN_E_USAGE, "gas_max: expected a number above 0");
    else if (gas)
        opts.gas_max = (uint32_t)json_integer_value(gas);
    if (rc == QN_OK && kind->check) rc = kind->check(obj, why);
    rc = own_words(rc);
    if (rc == QN_OK) rc = qn_wallet_load(c->home, as, &key, why);
    if (rc == QN_OK) rc = chain_of(c, &chain, &now_ms, why);
    if (rc) goto out;
    qn_env_random(qn_env_real(), &opts.salt, sizeof opts.salt);
    if (mandate) opts.mandate = (struct qn_opt_hash){ true, *mandate };
    qn_encode(kind->body(), obj, &body);
    qn_tx_build(&chain, kind->kind, qn_buf_get(&body), &key, now_ms, &opts, &tx, &id);
    char *hex = qn_arena_alloc(&arena, 2 * tx.len + 1), id_hex[65];
    qn_hex(tx.ptr, tx.len, hex);
    qn_hex(id.b, 32, id_hex);
    ask = json_pack("{s:s}", "tx", hex);
    rc = qn_client_call(c, "tx.send", ask, &got, why);
    if (rc == QN_OK && wait) {
        json_decref(ask);
        json_decref(got);
        got = NULL;
        uint64_t wait_ms =
            c->timeout_ms > QN_CLIENT_MORE_MS ? c->timeout_ms - QN_CLIENT_MORE_MS : c->timeout_ms;
        ask = json_pack("{s:s, s:I}", "id", id_hex, "timeout_ms", (json_int_t)wait_ms);
        rc = qn_client_call(c, "tx.wait", ask, &got, why);
        if (rc == QN_E_TIMEOUT) /* so that nobody pays twice */
            rc = qn_why(why, rc, "it was sent and is not final yet: quoin tx wait %s", id_hex);
        json_int_t code = json_integer_value(json_object_get(got, "rc"));
        if (rc == QN_OK && code > 0 && code < QN_RC_CNT)
            rc = own_words(
                qn_why(why, (qn_rc)code, "%s", json_string_value(json_object_get(got, "why"))));
    }
    if (rc == QN_OK) *ret = json_incref(got);
out:
    json_decref(ask);
    json_decref(got);
    qn_buf_free(&body);
    qn_buf_free(&tx);
    qn_key_wipe(&key);
    qn_arena_free(&arena);
    return rc;
}
