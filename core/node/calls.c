/* calls.c - the core's calls. To add one: a function here and a row in the table at the end. */
#include "core/job/jobs.h"
#include "core/net/net.h"
#include "core/node/health.h"
#include "core/node/join.h"
#include "core/node/node.h"
#include "core/node/proofs.h"
#include "core/node/rearm.h"
#include "core/node/scrub.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/schema/declare.h"

#include "core/node/node.def"

#include "core/schema/define.h"

#include "core/node/node.def"

static json_t *hex(const struct qn_hash *h)
{
    char text[65];
    qn_hex(h->b, 32, text);
    return json_string(text);
}

/* How the chain gets to where the peers are. */
static void sync_text(const struct qn_call_ctx *ctx, const struct qn_replica_info *info,
                      char dst[HEALTH_TEXT])
{
    const struct join *join = qn_node_join(ctx->node);
    if (join)
        join_text(join, dst);
    else if (info->syncing)
        snprintf(dst, HEALTH_TEXT, "blocks: %" PRIu64 " of %" PRIu64, info->height,
                 info->peer_height);
    else if (!health_halted(ctx, dst) && (info->peers || !health_deaf(ctx->node, dst)))
        snprintf(dst, HEALTH_TEXT, "%s", info->peers ? "up to date" : "no peers");
}

static qn_rc status_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    (void)params;
    (void)why;
    struct qn_chain *chain = qn_node_chain(ctx->node);
    struct qn_hash id = qn_chain_id(chain), head = qn_chain_head(chain),
                   root = qn_chain_root(chain);
    const struct qn_hash unissued = qn_acct_unissued();
    const struct qn_replica_info info = qn_replica_info(qn_node_replica(ctx->node));
    char text[HEALTH_TEXT];
    *ret = json_pack(
        "{s:s, s:o, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:i, s:i, s:I, s:b, s:i, s:I, s:o}",
        "version", QN_VERSION, "chain", hex(&id), "height", (json_int_t)qn_view_height(ctx->view),
        "block_hash", hex(&head), "state_root", hex(&root), "now_ms",
        (json_int_t)qn_view_now_ms(ctx->view), "supply_uqn", (json_int_t)QN_SUPPLY_UQN, "sum_uqn",
        (json_int_t)qn_state_sum(ctx->view).uqn, "unissued_uqn",
        (json_int_t)qn_view_balance(ctx->view, &unissued).uqn, "peers", (int)info.peers,
        "validators", (int)info.validators, "view", (json_int_t)info.view, "syncing", info.syncing,
        "pool", (int)qn_replica_pooled(qn_node_replica(ctx->node)), "up_ms",
        (json_int_t)(qn_env_now_ms(ctx->env) - qn_node_started_ms(ctx->node)), "modules",
        qn_node_modules(ctx->node));
    sync_text(ctx, &info, text);
    json_object_set_new(*ret, "sync", json_string(text));
    health_self(ctx, text);
    json_object_set_new(*ret, "self", json_string(text));
    char addr[QN_MADDR_TEXT] = "";
    if (qn_node_net(ctx->node)) qn_net_addr(qn_node_net(ctx->node), addr);
    if (*addr) json_object_set_new(*ret, "p2p", json_string(addr));
    return QN_OK;
}

static qn_rc stop_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    (void)params;
    (void)why;
    struct qn_hash root = qn_chain_root(qn_node_chain(ctx->node));
    qn_replica_silence(qn_node_replica(ctx->node),
                       true); /* no block of ours follows while the answer leaves */
    qn_node_stop(ctx->node);
    *ret = json_pack("{s:b, s:I, s:o}", "stopping", 1, "height",
                     (json_int_t)qn_view_height(ctx->view), "state_root", hex(&root));
    return QN_OK;
}

static qn_rc block_get(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct node_height *p = params;
    struct qn_frame f;
    uint64_t height = p->height ? p->height : qn_view_height(ctx->view);
    qn_rc rc = qn_chain_frame(qn_node_chain(ctx->node), height, ctx->arena, &f, why);
    if (rc) return rc;
    struct qn_hash hash = qn_header_hash(&f.block.header);
    *ret = qn_to_json(qn_frame_record(), &f);
    json_object_set_new(*ret, "hash", hex(&hash));
    struct qn_buf raw = { 0 };
    qn_encode(qn_block_record(), &f.block, &raw);
    char *text = qn_arena_alloc(ctx->arena, 2 * raw.len + 1);
    if (text) {
        qn_hex(raw.ptr, raw.len, text);
        json_object_set_new(*ret, "borsh", json_string(text));
    }
    qn_buf_free(&raw);
    return QN_OK;
}

static qn_rc block_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct node_page *p = params;
    uint64_t left = QN_MIN(p->limit ? p->limit : 20, UINT64_C(1000)),
             at = qn_view_height(ctx->view);
    if (p->after) at = QN_MIN(at, p->after - 1);
    *ret = json_array();
    for (; left && at; left--, at--) {
        struct qn_frame f;
        qn_rc rc = qn_chain_frame(qn_node_chain(ctx->node), at, ctx->arena, &f, why);
        if (rc) return rc;
        struct qn_hash hash = qn_header_hash(&f.block.header);
        json_array_append_new(*ret, json_pack("{s:I, s:I, s:i, s:o}", "height", (json_int_t)at,
                                              "t_ms", (json_int_t)f.block.header.t_ms, "txs",
                                              (int)f.block.txs.cnt, "hash", hex(&hash)));
    }
    return QN_OK;
}

static qn_rc tx_send(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_tx *p = params;
    struct qn_hash id;
    const struct qn_span tx =
        p ? p->tx : QN_SPAN(NULL, 0); /* known by its number the second time */
    qn_rc rc = ctx->ops->tx_offer(ctx->node, tx, ctx->state, &id, why);
    if (rc == QN_OK) *ret = json_pack("{s:o}", "tx", hex(&id));
    return rc;
}

static qn_rc tx_find(struct qn_call_ctx *ctx, const struct qn_hash *id, uint64_t height,
                     json_t **ret, struct qn_why *why)
{
    struct qn_frame f;
    qn_rc rc = qn_chain_frame(qn_node_chain(ctx->node), height, ctx->arena, &f, why);
    if (rc) return rc;
    for (uint32_t i = 0; i < f.receipts.cnt; i++) {
        if (!qn_hash_eq(&f.receipts.ptr[i].tx, id)) continue;
        *ret = qn_to_json(qn_receipt_record(), &f.receipts.ptr[i]);
        json_object_set_new(*ret, "height", json_integer((json_int_t)height));
        json_object_set_new(*ret, "state", json_string("final"));
        json_t *ev, *events = json_object_get(*ret, "events");
        size_t at;
        json_array_foreach(events, at, ev) /* the data is JSON itself */
            json_object_set_new(
                ev, "data",
                json_loads(json_string_value(json_object_get(ev, "data")), JSON_DECODE_ANY, NULL));
        return QN_OK;
    }
    return qn_why(why, QN_E_NOTFOUND,
                  "it is final in block %" PRIu64 ", which came with a snapshot: its receipt is "
                  "with who executed it",
                  height);
}

static qn_rc tx_get(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_id *p = params;
    uint64_t height;
    switch (qn_replica_tx(qn_node_replica(ctx->node), &p->id, &height)) {
    case QN_TX_FINAL: return tx_find(ctx, &p->id, height, ret, why);
    case QN_TX_POOLED: *ret = json_pack("{s:s}", "state", "pool"); return QN_OK;
    case QN_TX_UNKNOWN: break;
    }
    if (qn_node_scrub(ctx->node) && scrub_damage(qn_node_scrub(ctx->node)))
        return qn_why(why, QN_E_CORRUPT,
                      "state.mdb is damaged, and with it the index of old transactions: quoin "
                      "ledger repair");
    return qn_why(why, QN_E_NOTFOUND, "no such transaction is final or waits");
}

static qn_rc tx_wait(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_id *p = params;
    uint64_t height;
    switch (qn_replica_tx(qn_node_replica(ctx->node), &p->id, &height)) {
    case QN_TX_FINAL: return tx_find(ctx, &p->id, height, ret, why);
    case QN_TX_POOLED: *ctx->state = 1; return qn_why(why, QN_E_AGAIN, "it waits for a block");
    case QN_TX_UNKNOWN: break;
    }
    if (*ctx->state) return qn_why(why, QN_E_EXPIRED, "no block took it in its time");
    return qn_why(why, QN_E_NOTFOUND, "no such transaction is final or waits");
}

static qn_rc tx_kinds(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    (void)params;
    (void)why;
    const struct qn_tx_kind *k;
    *ret = json_array();
    for (size_t i = 0; (k = qn_txkind_at(i)); i++)
        if (qn_state_kind(qn_chain_state(qn_node_chain(ctx->node)), k->kind))
            json_array_append_new(*ret, json_pack("{s:s, s:i, s:s, s:i, s:o}", "name", k->name,
                                                  "kind", k->kind, "doc", k->doc, "gas",
                                                  (int)k->gas, "body", qn_schema_json(k->body())));
    return QN_OK;
}

static qn_rc tx_encode(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct node_encode *p = params;
    char name[65];
    snprintf(name, sizeof name, "%.*s", (int)p->kind.len, (const char *)p->kind.ptr);
    const struct qn_tx_kind *k = qn_txkind_find(name);
    if (!k) return qn_why(why, QN_E_NOTFOUND, "no transaction kind is called %s", name);
    json_t *json = json_loadb((const char *)p->body.ptr, p->body.len, JSON_REJECT_DUPLICATES, NULL);
    void *body = qn_arena_alloc(ctx->arena, k->body()->size);
    qn_rc rc = !json || !body ? qn_why(why, QN_E_USAGE, "body: not a JSON object")
                              : qn_from_json(k->body(), json, ctx->arena, body, why);
    json_decref(json);
    if (rc) return qn_err_exit(rc) == QN_CLASS_PEER ? QN_E_USAGE : rc; /* the caller's words */
    struct qn_buf raw = { 0 };
    qn_encode(k->body(), body, &raw);
    char *text = qn_arena_alloc(ctx->arena, 2 * raw.len + 1);
    rc = text ? QN_OK : QN_E_MEMORY;
    if (text) {
        qn_hex(raw.ptr, raw.len, text);
        *ret = json_pack("{s:i, s:s}", "kind", k->kind, "body", text);
    }
    qn_buf_free(&raw);
    return rc;
}

static qn_rc account_get(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct node_id *p = params;
    struct qn_account a = { 0 };
    const struct qn_hash none = { 0 };
    char addr[64];
    if (qn_hash_eq(&p->id, &none)) return qn_why(why, QN_E_USAGE, "id: which account");
    qn_rc rc = qn_view_rec(ctx->view, QN_TABLE_ACCOUNT, QN_SPAN(p->id.b, 32), qn_account_record(),
                           ctx->arena, &a);
    if (rc && rc != QN_E_NOTFOUND) return rc;
    qn_addr_print(&p->id, addr);
    *ret = json_pack("{s:s, s:o, s:I, s:s%}", "address", addr, "account", hex(&p->id),
                     "balance_uqn", (json_int_t)a.balance.uqn, "what",
                     a.what.len ? (const char *)a.what.ptr : "", a.what.len);
    if (a.owner.has) json_object_set_new(*ret, "owner", hex(&a.owner.v));
    return QN_OK;
}

#define AUDIT_MAX 10000 /* accounts that the answer lists; the sum is over all */

static qn_rc audit(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    (void)params;
    struct qn_span key, val, after = { NULL, 0 };
    uint8_t last[32];
    uint64_t accounts = 0;
    json_t *held = json_array(), *keys = json_array();
    qn_rc rc = QN_OK;
    while (qn_view_next(ctx->view, QN_TABLE_ACCOUNT, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_account a;
        memcpy(last, key.ptr, sizeof last);
        after = QN_SPAN(last, sizeof last);
        accounts++;
        rc = qn_view_rec(ctx->view, QN_TABLE_ACCOUNT, after, qn_account_record(), ctx->arena, &a);
        if (rc) break;
        if (a.balance.uqn == 0 || json_array_size(held) + json_array_size(keys) >= AUDIT_MAX)
            continue;
        struct qn_hash acct;
        memcpy(acct.b, last, sizeof last);
        if (a.what.len == 0) {
            json_array_append_new(keys, json_pack("{s:o, s:I}", "account", hex(&acct),
                                                  "balance_uqn", (json_int_t)a.balance.uqn));
        } else {
            json_array_append_new(held, json_pack("{s:o, s:s%, s:o, s:I}", "account", hex(&acct),
                                                  "what", (const char *)a.what.ptr, a.what.len,
                                                  "owner", hex(&a.owner.v), "balance_uqn",
                                                  (json_int_t)a.balance.uqn));
        }
    }
    uint64_t sum = qn_state_sum(ctx->view).uqn;
    struct qn_hash root = qn_chain_root(qn_node_chain(ctx->node));
    *ret =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "ok", sum == QN_SUPPLY_UQN,
                  "supply_uqn", (json_int_t)QN_SUPPLY_UQN, "sum_uqn", (json_int_t)sum, "accounts",
                  (json_int_t)accounts, "height", (json_int_t)qn_view_height(ctx->view),
                  "state_root", hex(&root), "held", held, "keys", keys);
    return rc ? qn_why(why, rc, "the listing passes the memory limit") : QN_OK;
}

static qn_rc mandate_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    (void)params;
    (void)why;
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    *ret = json_array();
    while (json_array_size(*ret) < 1000 &&
           qn_view_next(ctx->view, QN_TABLE_MANDATE, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_mandate m;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        qn_rc rc =
            qn_view_rec(ctx->view, QN_TABLE_MANDATE, after, qn_mandate_record(), ctx->arena, &m);
        if (rc) return rc;
        json_t *one = qn_to_json(qn_mandate_record(), &m);
        json_object_set_new(one, "id", hex(&id));
        json_array_append_new(*ret, one);
    }
    return QN_OK;
}

static qn_rc contract_query(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why)
{
    const struct node_query *p = params;
    char method[65];
    uint64_t gas = 0;
    json_t *args = p->args.len ? json_loadb((const char *)p->args.ptr, p->args.len, 0, NULL)
                               : json_array(),
           *result = NULL;
    if (!json_is_array(args)) {
        json_decref(args);
        return qn_why(why, QN_E_USAGE, "args: expected a JSON array");
    }
    snprintf(method, sizeof method, "%.*s", (int)p->method.len, (const char *)p->method.ptr);
    qn_rc rc =
        qn_contract_query(ctx->view, &p->contract, method, args, 10000000, &gas, &result, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:o, s:I}", "result", result ? result : json_null(), "gas",
                         (json_int_t)gas);
    json_decref(args);
    return rc;
}

static qn_rc blob_put(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_blob_put *p = params;
    struct qn_hash id;
    qn_rc rc = ctx->ops->blob_put(ctx->node, p->data, &id, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:o, s:I}", "blob", hex(&id), "bytes", (json_int_t)p->data.len);
    return rc;
}

static qn_rc blob_add(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_blob_add *p = params;
    struct qn_buf file = { 0 };
    struct qn_hash id;
    struct stat st;
    char path[4096];
    snprintf(path, sizeof path, "%.*s", (int)p->path.len, (const char *)p->path.ptr);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* a pipe would hold the node */
        return qn_why(why, QN_E_USAGE, "%s is no regular file", path);
    qn_rc rc = qn_file_read(path, 256u << 20, &file, why);
    if (rc == QN_OK) rc = ctx->ops->blob_put(ctx->node, qn_buf_get(&file), &id, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:o, s:I}", "blob", hex(&id), "bytes", (json_int_t)file.len);
    qn_buf_free(&file);
    return rc;
}

static qn_rc blob_path(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct node_id *p = params;
    char path[4096];
    qn_rc rc = ctx->ops->blob_path(ctx->node, &p->id, path, sizeof path, why);
    if (rc == QN_OK) *ret = json_pack("{s:s}", "path", path);
    return rc;
}

/* A piece of a blob as hex: what scripts take samples from. */
static qn_rc blob_read(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct node_blob_read *p = params;
    size_t len = QN_MIN(p->len, UINT32_C(1) << 20);
    char path[4096];
    qn_rc rc = ctx->ops->blob_path(ctx->node, &p->id, path, sizeof path, why);
    if (rc) return rc;
    uint8_t *bytes = qn_arena_alloc(ctx->arena, len + 1);
    char *text = qn_arena_alloc(ctx->arena, 2 * len + 1);
    if (!bytes || !text) return QN_E_MEMORY;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, bytes, len, (off_t)p->offset);
    int err = errno;
    if (fd >= 0) close(fd);
    if (n < 0) return qn_why(why, qn_err_errno(err), "%s: %s", path, strerror(err));
    qn_hex(bytes, (size_t)n, text);
    *ret = json_pack("{s:I, s:I, s:s}", "offset", (json_int_t)p->offset, "bytes", (json_int_t)n,
                     "data", text);
    return QN_OK;
}

static json_t *job_json(const struct qn_job_info *info)
{
    static const char *const STATES[] = { "queued", "running", "done", "failed", "cancelled" };
    json_t *ret = json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:I}", "id", hex(&info->id), "kind",
                            info->kind, "state", STATES[info->state], "done",
                            (json_int_t)info->done, "total", (json_int_t)info->total, "started_ms",
                            (json_int_t)info->started_ms, "ended_ms", (json_int_t)info->ended_ms);
    if (info->result) json_object_set_new(ret, "result", json_deep_copy(info->result));
    if (info->why) json_object_set_new(ret, "why", json_string(info->why));
    if (info->rc) json_object_set_new(ret, "code", json_string(qn_err_code(info->rc)));
    return ret;
}

static qn_rc job_wait(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_id *p = params;
    struct qn_job_info info;
    qn_rc rc = qn_job_get(ctx->jobs, &p->id, &info);
    if (rc) return qn_why(why, rc, "there is no such job");
    if (info.state == QN_JOB_QUEUED || info.state == QN_JOB_RUNNING)
        return qn_why(why, QN_E_AGAIN, "it is not done");
    *ret = job_json(&info);
    return QN_OK;
}

static qn_rc call_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    (void)ctx;
    (void)params;
    (void)why;
    const struct qn_call *c;
    *ret = json_array();
    for (size_t i = 0; (c = qn_call_at(i)); i++)
        json_array_append_new(*ret, json_pack("{s:s, s:s, s:s}", "name", c->name, "kind",
                                              c->flags & QN_CALL_QUERY ? "query" : "action", "doc",
                                              c->doc));
    return QN_OK;
}

const struct qn_call QN_CORE_CALLS[] = {
    { "node.status", "what this node is and where its chain stands", "node status", QN_CALL_QUERY,
      NULL, NULL,
      "version chain height block_hash state_root now_ms supply_uqn sum_uqn unissued_uqn peers "
      "validators view syncing pool up_ms modules sync self p2p",
      status_call },
    { "node.stop", "stop the node cleanly", "node stop", QN_CALL_LOCAL, NULL, NULL,
      "stopping height state_root", stop_call },
    { "block.get", "a final block with its receipts", "block get 12", QN_CALL_QUERY,
      node_height_record, "height", "block cert receipts events hash borsh", block_get },
    { "block.list", "final blocks, newest first", "block list --limit 5",
      QN_CALL_QUERY | QN_CALL_MANY, node_page_record, NULL, "height t_ms txs hash", block_list },
    { "tx.send", "send a signed transaction", "tx send 01ab..", QN_CALL_BLIND | QN_CALL_SOON,
      node_tx_record, "tx", "tx", tx_send },
    { "tx.get", "where a transaction is, and its receipt", "tx get 9b1e..", QN_CALL_QUERY,
      node_id_record, "id", "state height rc gas fee events", tx_get },
    { "tx.wait", "wait until a transaction is final", "tx wait 9b1e..", QN_CALL_QUERY,
      node_id_record, "id", "state height rc gas fee events", tx_wait },
    { "tx.kinds", "transaction kinds of this chain, with their bodies", "tx kinds",
      QN_CALL_QUERY | QN_CALL_MANY, NULL, NULL, "name kind doc gas body", tx_kinds },
    { "tx.encode", "the Borsh bytes of a transaction's body",
      "tx encode wallet.send '{\"to\":\"qn1..\",\"amount\":5}'", QN_CALL_QUERY, node_encode_record,
      "kind body", "kind body", tx_encode },
    { "account.get", "an account and its balance", "account get @owner", QN_CALL_QUERY,
      node_id_record, "id", "address account balance_uqn what owner", account_get },
    { "ledger.audit", "add up every account and compare with the supply", "ledger audit",
      QN_CALL_QUERY, NULL, NULL, "ok supply_uqn sum_uqn accounts height state_root held keys",
      audit },
    { "ledger.scrub",
      "look whether every row is still the one that was written, in memory and on the disk",
      "ledger scrub", QN_CALL_LOCAL, node_scrub_record, NULL, "ok rows all run ms height",
      qn_call_ledger_scrub },
    { "ledger.repair",
      "make a damaged state.mdb again: of a running node from memory, else from journal or "
      "snapshot",
      "ledger repair", QN_CALL_LOCAL, NULL, NULL, "from height rows", qn_call_ledger_repair },
    { "ledger.row", "the proof of a row or of its absence, as hex", "ledger row account 5f3a..",
      QN_CALL_QUERY, node_row_record, "table key", "height proof", qn_call_ledger_row },
    { "ledger.list",
      "all rows of a table with a key from one up to another, and the proof that they are all",
      "ledger list mandate --proof all.qp", QN_CALL_QUERY, node_rows_record, "table",
      "height cnt rows proof", qn_call_ledger_list },
    { "validator.rearm",
      "let the validator's key sign beside a journal that was restored, from the next start on",
      "validator rearm", QN_CALL_LOCAL, node_rearm_record, NULL, "armed restart height",
      qn_call_validator_rearm },
    { "backup.create", "copy chain and state, without keys and votes", "backup create /tmp/backup",
      QN_CALL_LOCAL, node_backup_record, "dir", "dir chain block first height rows",
      qn_call_backup_create },
    { "snapshot.create",
      "put the state of the last final block away in chunks that prove themselves",
      "snapshot create /tmp/snap", QN_CALL_LOCAL, node_snapshot_record, NULL,
      "file manifest height chunks rows blocks bytes", qn_call_snapshot_create },
    { "mandate.list", "mandates and what is left of them", "mandate list",
      QN_CALL_QUERY | QN_CALL_MANY, NULL, NULL, "id owner key total spent", mandate_list },
    { "contract.query", "ask a contract without a transaction",
      "contract query 77aa.. balance '[]'", QN_CALL_QUERY, node_query_record,
      "contract method args", "result gas", contract_query },
    { "blob.put", "keep bytes under their hash", "blob put 00ff", QN_CALL_LOCAL,
      node_blob_put_record, "data", "blob bytes", blob_put },
    { "blob.add", "keep a file under its hash", "blob add model.onnx", QN_CALL_LOCAL,
      node_blob_add_record, "path", "blob bytes", blob_add },
    { "blob.path", "where a blob lies on this machine", "blob path 5f3a..",
      QN_CALL_QUERY | QN_CALL_LOCAL, node_id_record, "id", "path", blob_path },
    { "blob.read", "a piece of a blob, as hex", "blob read 5f3a.. --offset 64 --len 800",
      QN_CALL_QUERY | QN_CALL_LOCAL, node_blob_read_record, "id", "offset bytes data", blob_read },
    { "job.wait", "wait until a job has ended", "job wait 5f3a..", QN_CALL_QUERY | QN_CALL_LOCAL,
      node_id_record, "id", "id kind state result", job_wait },
    { "call.list", "every call of this node", "call list", QN_CALL_QUERY | QN_CALL_MANY, NULL, NULL,
      "name kind doc", call_list },
    { 0 },
};
