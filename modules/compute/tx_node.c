/* tx_node.c - machines: declared, bonded, heard of, offered, withdrawn. */
#include "modules/compute/compute.h"

#define CAP_MAX                                                                                    \
    (UINT64_C(1) << 40) /* of each quantity: far above any machine, far below wrapping */

static bool cap_sane(const struct compute_cap *cap)
{
    return cap->cpu_milli && cap->cpu_milli <= CAP_MAX && cap->ram_mib && cap->ram_mib <= CAP_MAX &&
           cap->disk_mib <= CAP_MAX && cap->net_kbps <= CAP_MAX && cap->gpu_slots <= 8 * 1024;
}

/* The difference between the bond there is and the one there shall be. */
static qn_rc move_bond(struct qn_apply *ap, const struct qn_hash *id, struct qn_amount from,
                       struct qn_amount to, struct qn_why *why)
{
    struct qn_hash acct = compute_bond_acct(id);
    if (to.uqn >= from.uqn) return qn_post(ap, &ap->sender, &acct, QN_UQN(to.uqn - from.uqn), why);
    return qn_post(ap, &acct, &ap->sender, QN_UQN(from.uqn - to.uqn), why);
}

qn_rc compute_tx_node_put(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_node_put *tx = body;
    struct compute_node node = { 0 };
    const struct compute_cap none = { 0 };
    if (!cap_sane(&tx->cap)) return qn_why(why, QN_E_RANGE, "cap: a processor and memory at least");
    if (tx->region > 63) return qn_why(why, QN_E_RANGE, "region: 0 to 63");
    bool old = compute_node_get(ap->view, ap->arena, &tx->node, &node);
    if (old && !qn_hash_eq(&node.owner, &ap->sender))
        return qn_why(why, QN_E_AUTH, "the machine belongs to somebody else");
    if (old && !compute_cap_fits(&node.used, &tx->cap, &none))
        return qn_why(why, QN_E_STATE, "more of the machine is under lease than would be left");
    if (old && node.lease_cnt && tx->bond.uqn < node.bond.uqn)
        return qn_why(why, QN_E_STATE, "the bond stays while leases run on the machine");
    if (!old) {
        struct qn_hash acct = compute_bond_acct(&tx->node);
        qn_acct_own(ap, &acct, "bond of a machine", &ap->sender);
    }
    qn_rc rc = move_bond(ap, &tx->node, node.bond, tx->bond, why);
    if (rc) return rc;
    node.owner = ap->sender;
    node.region = tx->region;
    node.machine_class = tx->machine_class;
    node.score = tx->score ? tx->score : 1024;
    node.iso = tx->iso;
    node.cap = tx->cap;
    node.attrs.cnt = tx->attrs.cnt;
    node.attrs.ptr = tx->attrs.ptr;
    node.url = tx->url;
    node.bond = tx->bond;
    node.drain = tx->drain;
    node.beat_ms = ap->now_ms;
    compute_node_save(ap, &tx->node, &node);
    compute_revive(ap, &tx->node);
    compute_audit_node(ap, &tx->node);
    return QN_OK;
}

static qn_rc own_node(struct qn_apply *ap, const struct qn_hash *id, struct compute_node *ret,
                      struct qn_why *why)
{
    if (!compute_node_get(ap->view, ap->arena, id, ret))
        return qn_why(why, QN_E_NOTFOUND, "no machine has that id");
    if (!qn_hash_eq(&ret->owner, &ap->sender))
        return qn_why(why, QN_E_AUTH, "the machine belongs to somebody else");
    return QN_OK;
}

struct book_key {
    uint8_t b[42];
};

static struct book_key book_key(uint16_t machine_class, uint64_t eff, const struct qn_hash *node)
{
    struct book_key key;
    key.b[0] = (uint8_t)(machine_class >> 8);
    key.b[1] = (uint8_t)machine_class;
    for (int i = 0; i < 8; i++)
        key.b[2 + i] = (uint8_t)(eff >> (56 - 8 * i));
    __builtin_memcpy(key.b + 10, node->b, 32);
    return key;
}

static void offer_drop(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_offer offer;
    struct qn_span val;
    if (!qn_view_get(ap->view, COMPUTE_T_OFFER, QN_SPAN_OF(*id), &val)) return;
    qn_rc rc = qn_decode(compute_offer_record(), val, ap->arena, &offer, NULL);
    QN_ASSERT(rc == QN_OK);
    struct book_key key = book_key(offer.machine_class, offer.eff, id);
    qn_row_del(ap, COMPUTE_T_BOOK, QN_SPAN_OF(key));
    qn_row_del(ap, COMPUTE_T_OFFER, QN_SPAN_OF(*id));
}

qn_rc compute_tx_node_exit(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_node_exit *tx = body;
    struct compute_node node;
    qn_rc rc = own_node(ap, &tx->node, &node, why);
    if (rc) return rc;
    if (node.lease_cnt)
        return qn_why(why, QN_E_STATE, "%u leases are on the machine", node.lease_cnt);
    offer_drop(ap, &tx->node);
    rc = move_bond(ap, &tx->node, node.bond, QN_UQN(0), why);
    if (rc) return rc;
    qn_row_del(ap, COMPUTE_T_NODE, QN_SPAN_OF(tx->node));
    return QN_OK;
}

qn_rc compute_tx_node_beat(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_node_beat *tx = body;
    struct compute_node node;
    qn_rc rc = own_node(ap, &tx->node, &node, why);
    if (rc) return rc;
    if (tx->seq <= node.seq)
        return qn_why(why, QN_E_DUPLICATE, "beat %llu came after %llu", (unsigned long long)tx->seq,
                      (unsigned long long)node.seq);
    node.seq = tx->seq;
    node.beat_ms = ap->now_ms;
    compute_node_save(ap, &tx->node, &node);
    compute_revive(ap, &tx->node);
    return QN_OK;
}

qn_rc compute_tx_offer_put(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_offer_put *tx = body;
    const struct compute_price *p = &tx->price;
    /* The shape offers are sorted by; scanning computes the true cost of each order. */
    const struct compute_cap shape = { .cpu_milli = 8000, .ram_mib = 32 * 1024, .gpu_slots = 8 };
    struct compute_node node;
    qn_rc rc = own_node(ap, &tx->node, &node, why);
    if (rc) return rc;
    offer_drop(ap, &tx->node);
    if (!p->gpu_slot_nqn && !p->cpu_nqn && !p->ram_gib_nqn && !p->disk_gib_nqn && !p->net_mbit_nqn)
        return QN_OK;
    struct compute_offer offer = { .owner = ap->sender,
                                   .node = tx->node,
                                   .price = tx->price,
                                   .machine_class = node.machine_class,
                                   .min_ms = tx->min_ms,
                                   .max_ms = tx->max_ms };
    if (!compute_cost(p, &shape, &offer.eff))
        return qn_why(why, QN_E_RANGE, "price: higher than any order may pay");
    offer.eff = offer.eff * 1024 / node.score;
    struct book_key key = book_key(offer.machine_class, offer.eff, &tx->node);
    qn_row_put(ap, COMPUTE_T_BOOK, QN_SPAN_OF(key), QN_SPAN("\1", 1));
    qn_row_put_rec(ap, COMPUTE_T_OFFER, QN_SPAN_OF(tx->node), compute_offer_record(), &offer);
    return QN_OK;
}
