/* share_calls.c - calls about blobs among peers. */
#include "core/net/coded.h"
#include "core/net/compact_net.h"
#include "core/net/net.h"
#include "core/net/share.h"
#include "core/node/node.h"

#include <stdlib.h>

#include "core/schema/declare.h"

#include "core/net/share.def"

#include "core/schema/define.h"

#include "core/net/share.def"

static qn_rc alone(const struct qn_call_ctx *ctx, const struct qn_hash *id, json_t **ret,
                   struct qn_why *why)
{
    char path[4096];
    qn_rc rc = ctx->ops->blob_path(ctx->node, id, path, sizeof path, NULL);
    if (rc) return qn_why(why, QN_E_NOTFOUND, "this node has no such blob, and no network to ask");
    *ret = json_pack("{s:[], s:i}", "peers", "ms", 0);
    return QN_OK;
}

static qn_rc blob_find(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct share_id *p = params;
    struct share *share = qn_node_share(ctx->node);
    if (share) return share_find(share, &p->id, ret, why);
    *ret = json_array();
    return QN_OK;
}

static qn_rc blob_fetch(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct share_id *p = params;
    struct share *share = qn_node_share(ctx->node);
    return share ? share_fetch(share, &p->id, ret, why) : alone(ctx, &p->id, ret, why);
}

static qn_rc blob_stat(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    struct share *share = qn_node_share(ctx->node);
    struct share_stat stat = { 0 };
    (void)params;
    (void)why;
    if (share) stat = share_stat(share);
    *ret = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "in_bytes", (json_int_t)stat.in_bytes,
                     "out_bytes", (json_int_t)stat.out_bytes, "serving", (json_int_t)stat.serving,
                     "fetching", (json_int_t)stat.fetching, "refused", (json_int_t)stat.refused,
                     "bad_peers", (json_int_t)stat.bad_peers);
    return QN_OK;
}

static qn_rc net_coded(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    struct qn_net *net = qn_node_net(ctx->node);
    const struct qn_coded *coded = net ? qn_net_coded(net) : NULL;
    struct qn_coded_stat stat = { 0 };
    (void)params;
    (void)why;
    if (coded) stat = qn_coded_stat(coded);
    *ret =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "peers",
                  (json_int_t)(coded ? qn_coded_peer_cnt(coded) : 0), "sent", (json_int_t)stat.sent,
                  "rebuilt", (json_int_t)stat.rebuilt, "relayed", (json_int_t)stat.relayed, "split",
                  (json_int_t)stat.split, "twins", (json_int_t)stat.twins);
    return QN_OK;
}

static qn_rc net_compact(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    struct qn_net *net = qn_node_net(ctx->node);
    const struct qn_compact *compact = net ? qn_net_compact(net) : NULL;
    struct qn_compact_stat stat = { 0 };
    (void)params;
    (void)why;
    if (compact) stat = qn_compact_stat(compact);
    *ret = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "made", (json_int_t)stat.made,
                     "made_bytes", (json_int_t)stat.made_bytes, "whole_bytes",
                     (json_int_t)stat.whole_bytes, "built", (json_int_t)stat.built, "asked",
                     (json_int_t)stat.asked, "filled", (json_int_t)stat.filled, "failed",
                     (json_int_t)stat.failed);
    return QN_OK;
}

const struct qn_call QN_SHARE_CALLS[] = {
    { "blob.find", "which peers have a blob, and how much of it", "blob find 5f3a..",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, share_id_record, "id", "peer bytes pieces of",
      blob_find },
    { "blob.fetch", "have this node fetch a blob from all peers that have it", "blob fetch 5f3a..",
      QN_CALL_LOCAL, share_id_record, "id", "bytes peers ms", blob_fetch },
    { "blob.stat", "blobs given to peers and taken from them", "blob stat",
      QN_CALL_QUERY | QN_CALL_LOCAL, NULL, NULL,
      "in_bytes out_bytes serving fetching refused bad_peers", blob_stat },
    { "net.coded", "proposals that came and went in pieces", "net coded",
      QN_CALL_QUERY | QN_CALL_LOCAL, NULL, NULL, "peers sent rebuilt relayed split twins",
      net_coded },
    { "net.compact", "proposals that came and went as ids of their transactions", "net compact",
      QN_CALL_QUERY | QN_CALL_LOCAL, NULL, NULL,
      "made made_bytes whole_bytes built asked filled failed", net_compact },
    { 0 },
};
