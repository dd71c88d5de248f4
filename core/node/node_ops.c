/* node_ops.c - what calls may use of the node, and the modules that are on. */
#include "core/node/node_in.h"

#include "core/net/blob.h"
#include "core/node/sends.h"
#include "core/node/wallet.h"
#include "lua/bind/pure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qn_rc op_tx_send(struct qn_node *node, struct qn_span tx, struct qn_hash *ret_id,
                        struct qn_why *why)
{
    qn_rc rc = qn_replica_submit(node->replica, tx, ret_id, why);
    if (rc == QN_OK && qn_replica_pooled(node->replica)) qn_node_kick(node);
    return rc;
}

static qn_rc op_tx_offer(struct qn_node *node, struct qn_span tx, uint64_t *state,
                         struct qn_hash *ret_id, struct qn_why *why)
{
    return sends_put(node->sends, tx, state, ret_id, why);
}

static qn_rc op_blob_put(struct qn_node *node, struct qn_span bytes, struct qn_hash *ret,
                         struct qn_why *why)
{
    return blob_put(node->opts->home, bytes, ret, why);
}

static qn_rc op_blob_path(struct qn_node *node, const struct qn_hash *hash, char *dst,
                          size_t dst_len, struct qn_why *why)
{
    return blob_path(node->opts->home, hash, dst, dst_len, why);
}

static qn_rc op_blob_keep(struct qn_node *node, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                          struct qn_why *why)
{
    return blob_keep(node->opts->home, fd, ret, ret_bytes, why);
}

static qn_rc op_key(struct qn_node *node, const char *name, struct qn_key *ret, struct qn_why *why)
{
    return qn_wallet_load(node->opts->home, name, ret, why);
}

struct later {
    void (*fn)(void *arg);
    void *arg;
};

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct later l = *(struct later *)arg;
    (void)fd;
    (void)what;
    free(arg);
    l.fn(l.arg);
}

static void op_later(struct qn_node *node, uint32_t ms, void (*fn)(void *arg), void *arg)
{
    const struct timeval when = { ms / 1000, (suseconds_t)(ms % 1000 * 1000) };
    struct later *l = malloc(sizeof *l);
    QN_ASSERT(l != NULL);
    *l = (struct later){ fn, arg };
    QN_ASSERT(event_base_once(node->base, -1, EV_TIMEOUT, on_later, l, &when) == 0);
}

static unsigned op_api(struct qn_node *node)
{
    return qn_api_port(node->api);
}

static qn_rc op_script(struct qn_node *node, const char *name, struct qn_span source,
                       const char *fn, const json_t *args, uint64_t gas, uint64_t *ret_gas,
                       json_t **ret, struct qn_why *why)
{
    (void)node;
    return qn_lua_pure(name, source, fn, args, gas, ret_gas, ret, why);
}

const struct qn_node_ops QN_NODE_OPS = { op_tx_send,   op_blob_put, op_blob_path,
                                         op_key,       op_later,    op_api,
                                         op_blob_keep, op_script,   op_tx_offer };

/* --- modules ----------------------------------------------------------------------------------------------- */

static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, name, n) == 0) return true;
        at += n + (at[n] == ',');
    }
    return false;
}

static qn_rc check_names(const char *list, struct qn_why *why)
{
    char name[65];
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)QN_MIN(n, (size_t)64), at);
        if (!qn_module_find(name))
            return qn_why(
                why, QN_E_USAGE,
                "there is no module \"%s\" in this build; quoin config modules lists them", name);
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

qn_rc qn_node_pick_modules(struct qn_node *node, struct qn_why *why)
{
    const struct qn_module *mod;
    qn_rc rc = check_names(node->opts->enable, why);
    if (rc == QN_OK) rc = check_names(node->opts->disable, why);
    for (size_t i = 0; rc == QN_OK && (mod = qn_module_at(i)); i++) {
        if ((node->opts->enable && !listed(node->opts->enable, mod->name)) ||
            listed(node->opts->disable, mod->name))
            continue;
        QN_ASSERT(node->exec_cnt < MODULES_MAX);
        node->exec[node->exec_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    }
    return rc;
}

static struct qn_call_ctx ctx_of(struct qn_node *node, size_t idx, struct qn_arena *arena,
                                 uint64_t *state)
{
    return (struct qn_call_ctx){ .env = qn_env_real(),
                                 .view = qn_chain_view(qn_node_chain(node)),
                                 .node = node,
                                 .ops = &QN_NODE_OPS,
                                 .jobs = node->jobs,
                                 .home = node->opts->home,
                                 .arena = arena,
                                 .self = node->self[idx],
                                 .local = true,
                                 .state = state };
}

qn_rc qn_node_start_modules(struct qn_node *node, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    for (size_t i = 0; rc == QN_OK && i < node->exec_cnt; i++) {
        const struct qn_module *mod = qn_module_find(node->exec[i].name);
        struct qn_arena arena = { .max = 64u << 20 };
        uint64_t state = 0;
        struct qn_call_ctx ctx = ctx_of(node, i, &arena, &state);
        if (mod->start) rc = mod->start(&ctx, &node->self[i], why);
        node->begun[i] = mod->start && rc == QN_OK;
        qn_arena_free(&arena);
    }
    return rc;
}

void qn_node_stop_modules(struct qn_node *node)
{
    for (size_t i = 0; i < node->exec_cnt; i++)
        if (node->begun[i]) qn_module_find(node->exec[i].name)->stop(node->self[i]);
}

void qn_node_tell_modules(struct qn_node *node)
{
    for (size_t i = 0; i < node->exec_cnt; i++) {
        const struct qn_module *mod = qn_module_find(node->exec[i].name);
        struct qn_arena arena = { .max = 64u << 20 };
        uint64_t state = 0;
        struct qn_call_ctx ctx = ctx_of(node, i, &arena, &state);
        if (mod->on_final) mod->on_final(&ctx);
        qn_arena_free(&arena);
    }
}

void *qn_node_self(struct qn_node *node, const struct qn_call *call)
{
    for (size_t i = 0; i < node->exec_cnt; i++)
        for (const struct qn_call *c = qn_module_find(node->exec[i].name)->calls; c && c->name; c++)
            if (c == call) return node->self[i];
    return NULL;
}

const struct qn_route *qn_node_route(struct qn_node *node, const char *path, void **ret_self)
{
    for (size_t i = 0; i < node->exec_cnt; i++) {
        const struct qn_route *r = qn_module_find(node->exec[i].name)->routes;
        for (; r && r->prefix; r++) {
            if (strncmp(path, r->prefix, strlen(r->prefix)) != 0) continue;
            *ret_self = node->self[i];
            return r;
        }
    }
    return NULL;
}

json_t *qn_node_modules(struct qn_node *node)
{
    const struct qn_module *mod;
    json_t *list = json_array();
    for (size_t i = 0; (mod = qn_module_at(i)); i++) {
        bool on = false;
        for (size_t k = 0; k < node->exec_cnt; k++)
            on |= node->exec[k].name == mod->name;
        json_array_append_new(list, json_pack("{s:s, s:b}", "name", mod->name, "on", on));
    }
    return list;
}
