/* offer.c - offers as bytes. */
#include "core/node/offer.h"

#include <string.h>

void offers_put(const struct offers *o, struct qn_buf *ret)
{
    size_t mark = ret->len + 1;
    QN_ASSERT(o->cnt <= OFFER_MAX);
    qn_buf_u8(ret, 0);
    qn_buf_u32(ret, 0);
    qn_buf_u64(ret, o->height);
    qn_buf_u64(ret, o->first);
    qn_buf_u8(ret, (uint8_t)o->cnt);
    for (uint32_t i = 0; i < o->cnt; i++) {
        qn_buf_u64(ret, o->list[i].height);
        qn_buf_put(ret, o->list[i].block.b, 32);
        qn_buf_put(ret, o->list[i].manifest.b, 32);
        qn_buf_u32(ret, o->list[i].bytes);
    }
    qn_buf_span(ret, o->pin);
    uint32_t len = (uint32_t)(ret->len - mark - 4);
    memcpy(ret->ptr + mark, &len, 4);
}

qn_rc offers_get(struct qn_span in, struct offers *ret)
{
    uint8_t code, cnt;
    uint32_t len;
    memset(ret, 0, sizeof *ret);
    if (!qn_take_u8(&in, &code) || !qn_take_u32(&in, &len)) return QN_E_SHORT;
    if (code || in.len != len) return QN_E_FORMAT;
    if (!qn_take_u64(&in, &ret->height) || !qn_take_u64(&in, &ret->first) || !qn_take_u8(&in, &cnt))
        return QN_E_SHORT;
    if (cnt > OFFER_MAX) return QN_E_FORMAT;
    for (; ret->cnt < cnt; ret->cnt++) {
        struct offer *o = &ret->list[ret->cnt];
        if (!qn_take_u64(&in, &o->height) || !qn_take_hash(&in, &o->block) ||
            !qn_take_hash(&in, &o->manifest) || !qn_take_u32(&in, &o->bytes))
            return QN_E_SHORT;
    }
    ret->pin = in;
    return QN_OK;
}
