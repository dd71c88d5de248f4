/* voucher.c - what a voucher is worth and when it may be paid; pure. */
#include "modules/agents/agents.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <sodium.h>

#define TICKS_MAX 4096

/* H(label, chain | record without its trailing signature). */
static struct qn_hash signed_hash(const char *label, const struct qn_hash *chain,
                                  const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, chain->b, sizeof chain->b);
    qn_encode(rec, obj, &buf);
    struct qn_hash ret = qn_h(label, buf.ptr, buf.len - sizeof(struct qn_sig));
    qn_buf_free(&buf);
    return ret;
}

struct qn_hash voucher_hash(const struct qn_hash *chain, const struct agents_voucher *v)
{
    return signed_hash("voucher", chain, agents_voucher_record(), v);
}

struct qn_hash receipt_hash(const struct qn_hash *chain, const struct agents_receipt *r)
{
    return signed_hash("receipt", chain, agents_receipt_record(), r);
}

void voucher_sign(const struct qn_hash *chain, const struct qn_key *signer,
                  struct agents_voucher *v)
{
    struct qn_hash hash = voucher_hash(chain, v);
    v->sig = qn_sign(signer, QN_SPAN_OF(hash));
}

struct qn_hash request_hash(const char *method, const char *target, struct qn_span body,
                            const struct qn_hash *idem)
{
    struct qn_buf buf = { 0 };
    struct qn_hash body_hash = qn_blake3(body.ptr, body.len);
    qn_buf_u32(&buf, (uint32_t)__builtin_strlen(method));
    qn_buf_str(&buf, method);
    qn_buf_u32(&buf, (uint32_t)__builtin_strlen(target));
    qn_buf_str(&buf, target);
    qn_buf_put(&buf, body_hash.b, sizeof body_hash.b);
    qn_buf_put(&buf, idem->b, sizeof idem->b);
    struct qn_hash ret = qn_h("req", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return ret;
}

qn_rc voucher_worth(const struct agents_voucher *v, uint32_t ticks, const struct qn_hash *link,
                    struct qn_amount *ret, struct qn_why *why)
{
    if (ticks > v->tick_cnt || ticks > TICKS_MAX)
        return qn_why(why, QN_E_LIMIT, "%u ticks revealed, the voucher has %u", ticks, v->tick_cnt);
    struct qn_hash at = *link;
    for (uint32_t i = 0; i < ticks; i++)
        crypto_hash_sha256(at.b, at.b, sizeof at.b);
    if (ticks && !qn_hash_eq(&at, &v->anchor))
        return qn_why(why, QN_E_PROOF, "the revealed link does not lead to the voucher's anchor");
    uint64_t extra;
    if (!qn_muldiv(v->tick.uqn, ticks, 1, &extra) || extra > QN_SUPPLY_UQN)
        return qn_why(why, QN_E_OVERFLOW, "the ticks are worth more than there is");
    return qn_amount_add(v->cum, QN_UQN(extra), ret);
}

qn_rc voucher_limits(const struct qn_hash *id, const struct agents_channel *channel,
                     const struct agents_voucher *v, struct qn_amount worth, uint64_t now_ms,
                     struct qn_why *why)
{
    if (!qn_hash_eq(&v->channel, id))
        return qn_why(why, QN_E_REFUSED, "the voucher is for another channel");
    if (channel->state == CHANNEL_CLOSED) return qn_why(why, QN_E_STATE, "the channel is closed");
    if (v->seq <= channel->claimed_seq)
        return qn_why(why, QN_E_DUPLICATE, "call %" PRIu64 " was claimed, up to %" PRIu64, v->seq,
                      channel->claimed_seq);
    if (v->seq > channel->calls_max)
        return qn_why(why, QN_E_LIMIT, "call %" PRIu64 " of at most %" PRIu64, v->seq,
                      channel->calls_max);
    if (v->ack > v->seq) return qn_why(why, QN_E_RANGE, "more calls acknowledged than made");
    if (worth.uqn > channel->deposit.uqn)
        return qn_why(why, QN_E_LIMIT, "the sum %" PRIu64 " uqn is above the deposit %" PRIu64,
                      worth.uqn, channel->deposit.uqn);
    if (worth.uqn < channel->claimed.uqn)
        return qn_why(why, QN_E_RANGE, "the sum %" PRIu64 " uqn is below what was claimed",
                      worth.uqn);
    uint64_t steps;
    if (qn_muldiv(channel->step_max.uqn, v->seq - channel->claimed_seq, 1, &steps) &&
        worth.uqn - channel->claimed.uqn > steps)
        return qn_why(why, QN_E_LIMIT, "%" PRIu64 " uqn for %" PRIu64 " calls of at most %" PRIu64,
                      worth.uqn - channel->claimed.uqn, v->seq - channel->claimed_seq,
                      channel->step_max.uqn);
    uint64_t age_ms = now_ms > channel->opened_ms ? now_ms - channel->opened_ms : 0, earned;
    if (!qn_muldiv(channel->rate_uqn_s, age_ms, 1000, &earned)) earned = QN_SUPPLY_UQN;
    if (worth.uqn > channel->burst.uqn && worth.uqn - channel->burst.uqn > earned)
        return qn_why(why, QN_E_LIMIT,
                      "the sum %" PRIu64 " uqn is above burst %" PRIu64 " + %" PRIu64
                      " earned by the rate",
                      worth.uqn, channel->burst.uqn, earned);
    return QN_OK;
}

qn_rc voucher_check(const struct qn_hash *chain, const struct qn_hash *id,
                    const struct agents_channel *channel, const struct agents_voucher *v,
                    struct qn_amount worth, uint64_t now_ms, struct qn_why *why)
{
    qn_rc rc = voucher_limits(id, channel, v, worth, now_ms, why);
    if (rc) return rc;
    struct qn_hash hash = voucher_hash(chain, v);
    if (!qn_verify(&channel->signer, QN_SPAN_OF(hash), &v->sig))
        return qn_why(why, QN_E_SIGNATURE, "the voucher is not signed by the channel's signer");
    return QN_OK;
}
