/* row.c - keys, accounts, and rows read into memory that outlives the next write. */
#include "modules/compute/compute.h"

#include "core/crypto/hash.h"

#include <string.h>

struct compute_pair_key compute_pair(const struct qn_hash *a, const struct qn_hash *b)
{
    struct compute_pair_key key;
    memcpy(key.b, a->b, 32);
    memcpy(key.b + 32, b->b, 32);
    return key;
}

struct qn_hash compute_escrow_acct(const struct qn_hash *order)
{
    return qn_acct_module(COMPUTE_TAG, "escrow", order);
}

struct qn_hash compute_bond_acct(const struct qn_hash *node)
{
    return qn_acct_module(COMPUTE_TAG, "bond", node);
}

struct qn_hash compute_hold_acct(const struct qn_hash *lease)
{
    return qn_acct_module(COMPUTE_TAG, "hold", lease);
}

struct qn_hash compute_pool_acct(void)
{
    const struct qn_hash zero = { { 0 } };
    return qn_acct_module(0, "public", &zero); /* the ledger's own, for the common good */
}

struct qn_hash compute_bid_acct(const struct qn_hash *bid_id)
{
    return qn_acct_module(COMPUTE_TAG, "bid", bid_id);
}

struct qn_hash compute_bid_id(const struct qn_hash *order, const struct qn_hash *node)
{
    return qn_h2("compute/bid", order, node);
}

struct qn_hash compute_lease_id(const struct qn_hash *order, uint16_t part)
{
    uint8_t in[34];
    memcpy(in, order->b, 32);
    in[32] = (uint8_t)part;
    in[33] = (uint8_t)(part >> 8);
    return qn_h("compute/lease", in, sizeof in);
}

static bool row_get(const struct qn_view *view, struct qn_arena *arena, uint8_t table,
                    struct qn_span key, const struct qn_record *rec, void *ret)
{
    return qn_view_rec(view, table, key, rec, arena, ret) == QN_OK;
}

void compute_params_get(const struct qn_view *view, struct compute_params *ret)
{
    struct qn_arena arena = { 0 };
    bool found =
        row_get(view, &arena, COMPUTE_T_MISC, QN_SPAN_STR("params"), compute_params_record(), ret);
    QN_ASSERT(found); /* genesis wrote it */
    qn_arena_free(&arena);
}

bool compute_node_get(const struct qn_view *view, struct qn_arena *arena, const struct qn_hash *id,
                      struct compute_node *ret)
{
    return row_get(view, arena, COMPUTE_T_NODE, QN_SPAN_OF(*id), compute_node_record(), ret);
}

bool compute_order_get(const struct qn_view *view, struct qn_arena *arena, const struct qn_hash *id,
                       struct compute_order *ret)
{
    return row_get(view, arena, COMPUTE_T_ORDER, QN_SPAN_OF(*id), compute_order_record(), ret);
}

bool compute_lease_get(const struct qn_view *view, struct qn_arena *arena, const struct qn_hash *id,
                       struct compute_lease *ret)
{
    return row_get(view, arena, COMPUTE_T_LEASE, QN_SPAN_OF(*id), compute_lease_record(), ret);
}

bool compute_escrow_get(const struct qn_view *view, struct qn_arena *arena,
                        const struct qn_hash *order, struct compute_escrow *ret)
{
    return row_get(view, arena, COMPUTE_T_ESCROW, QN_SPAN_OF(*order), compute_escrow_record(), ret);
}

void compute_node_save(struct qn_apply *ap, const struct qn_hash *id,
                       const struct compute_node *node)
{
    qn_row_put_rec(ap, COMPUTE_T_NODE, QN_SPAN_OF(*id), compute_node_record(), node);
}

void compute_order_save(struct qn_apply *ap, const struct qn_hash *id,
                        const struct compute_order *order)
{
    qn_row_put_rec(ap, COMPUTE_T_ORDER, QN_SPAN_OF(*id), compute_order_record(), order);
}

void compute_lease_save(struct qn_apply *ap, const struct qn_hash *id,
                        const struct compute_lease *lease)
{
    qn_row_put_rec(ap, COMPUTE_T_LEASE, QN_SPAN_OF(*id), compute_lease_record(), lease);
}

void compute_escrow_save(struct qn_apply *ap, const struct qn_hash *order,
                         const struct compute_escrow *escrow)
{
    qn_row_put_rec(ap, COMPUTE_T_ESCROW, QN_SPAN_OF(*order), compute_escrow_record(), escrow);
}
