/* audit.c - what must hold after each change: capacity used is the sum of the leases, an escrow's sums are
 * the sums of its streams, its account holds what was put in less what was spent. */
#include "modules/compute/compute.h"

#include <string.h>

void compute_audit_node(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_node node;
    struct compute_cap sum = { 0 };
    const struct compute_cap none = { 0 };
    struct qn_span key, val, after = { 0 };
    struct compute_pair_key at;
    uint32_t cnt = 0;
    if (!compute_node_get(ap->view, ap->arena, id, &node)) return;
    while (qn_view_next(ap->view, COMPUTE_T_NODE_LEASE, QN_SPAN_OF(*id), after, &key, &val)) {
        struct compute_lease lease;
        struct qn_hash lease_id;
        memcpy(at.b, key.ptr, sizeof at.b);
        after = QN_SPAN_OF(at);
        memcpy(lease_id.b, at.b + 32, 32);
        bool found = compute_lease_get(ap->view, ap->arena, &lease_id, &lease);
        QN_ASSERT(found && lease.state != COMPUTE_CLOSED);
        QN_ASSERT(qn_hash_eq(&lease.node, id));
        compute_cap_take(&sum, &lease.cap);
        cnt++;
    }
    QN_ASSERT(cnt == node.lease_cnt);
    QN_ASSERT(sum.cpu_milli == node.used.cpu_milli);
    QN_ASSERT(sum.ram_mib == node.used.ram_mib);
    QN_ASSERT(sum.disk_mib == node.used.disk_mib);
    QN_ASSERT(sum.net_kbps == node.used.net_kbps);
    QN_ASSERT(sum.gpu_slots == node.used.gpu_slots);
    QN_ASSERT(compute_cap_fits(&node.used, &node.cap, &none));
    struct qn_hash bond = compute_bond_acct(id);
    QN_ASSERT(qn_view_balance(ap->view, &bond).uqn >=
              node.bond.uqn); /* more: anybody may send coins there */
}

void compute_audit_escrow(struct qn_apply *ap, const struct qn_hash *order_id)
{
    struct compute_escrow e;
    struct compute_order order;
    struct compute_lease lease;
    bool found = compute_escrow_get(ap->view, ap->arena, order_id, &e) &&
                 compute_order_get(ap->view, ap->arena, order_id, &order);
    QN_ASSERT(found);
    uint64_t rate = 0, rem = 0;
    u128 sum = 0;
    if (order.lease.has) {
        found = compute_lease_get(ap->view, ap->arena, &order.lease.v, &lease);
        QN_ASSERT(found);
        if (lease.state == COMPUTE_RUNNING || lease.state == COMPUTE_GRACE) {
            rate = lease.rate_nqn_h;
            rem = lease.rem;
            sum = (u128)lease.rate_nqn_h * lease.until_ms;
        }
        QN_ASSERT(lease.paid.uqn == e.spent.uqn);
    }
    QN_ASSERT(e.rate == rate);
    QN_ASSERT(e.rem == rem);
    QN_ASSERT(((u128)e.sum_hi << 64 | e.sum_lo) == sum);
    struct qn_hash acct = compute_escrow_acct(order_id);
    uint64_t has =
        qn_view_balance(ap->view, &acct).uqn; /* may be more: anybody may send coins there */
    QN_ASSERT(e.spent.uqn <= e.put.uqn);
    QN_ASSERT(e.closed || has >= e.put.uqn - e.spent.uqn);
    QN_ASSERT(e.closed || e.put.uqn - e.spent.uqn >= e.guard.uqn);
}
