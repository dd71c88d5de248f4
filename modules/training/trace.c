/* trace.c - marks, segments, roots. */
#include "modules/training/trace.h"

#include "modules/training/perm.h"

#include <string.h>

uint32_t trace_seg_len(uint64_t state_bytes, uint32_t samples)
{
    uint32_t want = state_bytes <= UINT64_C(16) << 20 ? 2300u : 16000u; /* design: 2F / (Hb T I) */
    uint32_t len = (want + samples - 1) / QN_MAX(samples, 1u);
    return QN_MIN(QN_MAX(len, 1u), TRACE_SEG_MAX);
}

void trace_step_put(const struct trace_step *s, uint8_t dst[TRACE_STEP_BYTES])
{
    memcpy(dst, &s->step, 8);
    memcpy(dst + 8, s->batch_root.b, 32);
    memcpy(dst + 40, &s->loss, 4);
    memcpy(dst + 44, &s->gnorm, 4);
    memcpy(dst + 48, s->chain.b, 32);
}

void trace_step_get(const uint8_t src[TRACE_STEP_BYTES], struct trace_step *ret)
{
    memcpy(&ret->step, src, 8);
    memcpy(ret->batch_root.b, src + 8, 32);
    memcpy(&ret->loss, src + 40, 4);
    memcpy(&ret->gnorm, src + 44, 4);
    memcpy(ret->chain.b, src + 48, 32);
}

struct qn_hash trace_step_hash(const struct trace_step *s)
{
    uint8_t bytes[TRACE_STEP_BYTES];
    trace_step_put(s, bytes);
    return qn_h("train/step", bytes, sizeof bytes);
}

void trace_segment_put(const struct trace_segment *s, uint8_t dst[TRACE_SEGMENT_BYTES])
{
    memcpy(dst, &s->seg, 4);
    memcpy(dst + 4, &s->flags, 4);
    memcpy(dst + 8, s->from.b, 32);
    memcpy(dst + 40, s->to.b, 32);
    memcpy(dst + 72, s->steps.b, 32);
    memcpy(dst + 104, s->wit.b, 32);
}

void trace_segment_get(const uint8_t src[TRACE_SEGMENT_BYTES], struct trace_segment *ret)
{
    memcpy(&ret->seg, src, 4);
    memcpy(&ret->flags, src + 4, 4);
    memcpy(ret->from.b, src + 8, 32);
    memcpy(ret->to.b, src + 40, 32);
    memcpy(ret->steps.b, src + 72, 32);
    memcpy(ret->wit.b, src + 104, 32);
}

struct qn_hash trace_segment_hash(const struct trace_segment *s)
{
    uint8_t bytes[TRACE_SEGMENT_BYTES];
    trace_segment_put(s, bytes);
    return qn_h("train/segment", bytes, sizeof bytes);
}

struct qn_hash trace_chain(const struct qn_hash *before, const struct trace_step *s)
{
    uint8_t bytes[32 + 8 + 4 + 4 + 32];
    memcpy(bytes, before->b, 32);
    memcpy(bytes + 32, &s->step, 8);
    memcpy(bytes + 40, &s->loss, 4);
    memcpy(bytes + 44, &s->gnorm, 4);
    memcpy(bytes + 48, s->batch_root.b, 32);
    return qn_h("train/chain", bytes, sizeof bytes);
}

struct qn_hash trace_chain_first(const struct qn_hash *seed)
{
    return qn_h("train/chain0", seed->b, 32);
}

struct qn_hash trace_batch(const struct qn_hash *seed, uint64_t rec_cnt, uint32_t batch,
                           uint64_t step, uint32_t *ret_recs)
{
    struct qn_hasher h;
    uint32_t recs[256];
    qn_hasher_label(&h, "train/batch");
    for (uint32_t at = 0; at < batch; at += QN_COUNT(recs)) {
        uint32_t cnt = QN_MIN((uint32_t)QN_COUNT(recs), batch - at);
        for (uint32_t b = 0; b < cnt; b++)
            recs[b] = (uint32_t)perm_record(seed, rec_cnt, batch, step, at + b);
        qn_hasher_put(&h, recs, cnt * sizeof *recs);
        if (ret_recs) memcpy(ret_recs + at, recs, cnt * sizeof *recs);
    }
    return qn_hasher_end(&h);
}
