/* wire.c - the bytes of a proof. */
#include "modules/zkml/wire.h"

#include <string.h>

qn_rc zkml_file_split(struct qn_span bytes, struct zkml_file *ret, struct qn_why *why)
{
    struct qn_span magic;
    uint16_t version;
    uint8_t profile, flags;
    uint32_t len[ZK_SEC_CNT];
    if (bytes.len > ZK_PROOF_MAX)
        return qn_why(why, QN_E_TOOBIG, "a proof has at most %u bytes", ZK_PROOF_MAX);
    if (!qn_take(&bytes, 4, &magic) || memcmp(magic.ptr, ZK_MAGIC, 4) != 0)
        return qn_why(why, QN_E_FORMAT, "this is no proof: it does not begin with " ZK_MAGIC);
    if (!qn_take_u16(&bytes, &version) || !qn_take_u8(&bytes, &profile) ||
        !qn_take_u8(&bytes, &flags))
        return qn_why(why, QN_E_SHORT, "the proof ends in its header");
    if (version != 1 || profile != ZK_PROFILE_UD || flags != ZK_FLAG_HIDING)
        return qn_why(why, QN_E_FORMAT, "version %u, profile %u, flags %u are not known here",
                      version, profile, flags);
    for (int i = 0; i < ZK_SEC_CNT; i++)
        if (!qn_take_u32(&bytes, &len[i]))
            return qn_why(why, QN_E_SHORT, "the proof ends in its header");
    for (int i = 0; i < ZK_SEC_CNT; i++)
        if (!qn_take(&bytes, len[i], &ret->sec[i]))
            return qn_why(why, QN_E_SHORT, "the proof ends in section %d", i + 1);
    if (bytes.len) return qn_why(why, QN_E_EXTRA, "bytes follow the proof");
    return QN_OK;
}

void zkml_file_join(const struct zkml_file *file, struct qn_buf *out)
{
    qn_buf_str(out, ZK_MAGIC);
    qn_buf_u16(out, 1);
    qn_buf_u8(out, ZK_PROFILE_UD);
    qn_buf_u8(out, ZK_FLAG_HIDING);
    for (int i = 0; i < ZK_SEC_CNT; i++)
        qn_buf_u32(out, (uint32_t)file->sec[i].len);
    for (int i = 0; i < ZK_SEC_CNT; i++)
        qn_buf_span(out, file->sec[i]);
}

void zkml_shape_put(const struct zkml_shape *shape, struct qn_buf *out)
{
    qn_buf_u8(out, (uint8_t)shape->layer_cnt);
    for (uint32_t l = 0; l < shape->layer_cnt; l++) {
        const struct zkml_layer_shape *s = &shape->layer[l];
        qn_buf_u32(out, s->in);
        qn_buf_u32(out, s->out);
        qn_buf_u8(out, (uint8_t)s->m);
        qn_buf_u8(out, s->s);
        qn_buf_u8(out, s->relu);
    }
}

bool zkml_shape_get(struct qn_span *bytes, struct zkml_shape *ret)
{
    uint8_t cnt, m, relu;
    *ret = (struct zkml_shape){ 0 };
    if (!qn_take_u8(bytes, &cnt) || cnt < 1 || cnt > ZK_LAYERS_MAX) return false;
    ret->layer_cnt = cnt;
    for (uint32_t l = 0; l < cnt; l++) {
        struct zkml_layer_shape *s = &ret->layer[l];
        if (!qn_take_u32(bytes, &s->in) || !qn_take_u32(bytes, &s->out) || !qn_take_u8(bytes, &m) ||
            !qn_take_u8(bytes, &s->s) || !qn_take_u8(bytes, &relu) || relu > 1)
            return false;
        s->m = m;
        s->relu = relu;
    }
    return true;
}

void zkml_statement_put(const struct zkml_statement *st, struct qn_buf *out)
{
    struct qn_hash m = zkml_model_hash(&st->shape, st->budget, &st->root_w);
    uint32_t x_len = st->shape.layer[0].in, y_len = st->shape.layer[st->shape.layer_cnt - 1].out;
    qn_buf_put(out, m.b, 32);
    qn_buf_u16(out, ZK_SEMANTICS);
    zkml_shape_put(&st->shape, out);
    qn_buf_u32(out, st->budget);
    qn_buf_u32(out, x_len);
    qn_buf_put(out, st->x, x_len);
    qn_buf_u32(out, y_len);
    qn_buf_put(out, st->y, y_len);
    qn_buf_put(out, st->chain.b, 32);
    qn_buf_put(out, st->job.b, 32);
    qn_buf_u64(out, st->height_from);
    qn_buf_u64(out, st->height_to);
    qn_buf_put(out, st->prover.b, 32);
}

qn_rc zkml_statement_get(struct qn_span bytes, const struct qn_hash *root_w,
                         struct zkml_statement *ret, struct qn_why *why)
{
    struct qn_hash m, want;
    struct qn_span x, y;
    uint16_t semantics;
    uint32_t x_len, y_len;
    *ret = (struct zkml_statement){ .root_w = *root_w };
    if (!qn_take_hash(&bytes, &m) || !qn_take_u16(&bytes, &semantics) ||
        semantics != ZK_SEMANTICS || !zkml_shape_get(&bytes, &ret->shape) ||
        !qn_take_u32(&bytes, &ret->budget) || !qn_take_u32(&bytes, &x_len) ||
        x_len != ret->shape.layer[0].in || !qn_take(&bytes, x_len, &x) ||
        !qn_take_u32(&bytes, &y_len) || y_len != ret->shape.layer[ret->shape.layer_cnt - 1].out ||
        !qn_take(&bytes, y_len, &y) || !qn_take_hash(&bytes, &ret->chain) ||
        !qn_take_hash(&bytes, &ret->job) || !qn_take_u64(&bytes, &ret->height_from) ||
        !qn_take_u64(&bytes, &ret->height_to) || !qn_take_hash(&bytes, &ret->prover) || bytes.len)
        return qn_why(why, QN_E_FORMAT, "the statement is not of the expected form");
    ret->x = (const int8_t *)x.ptr;
    ret->y = (const int8_t *)y.ptr;
    want = zkml_model_hash(&ret->shape, ret->budget, root_w);
    if (!qn_hash_eq(&m, &want))
        return qn_why(why, QN_E_PROOF,
                      "the model's name is not the hash of its shape and commitment");
    return QN_OK;
}

bool zkml_planes_get(struct qn_span *bytes, size_t n, zkml_f *dst)
{
    struct qn_span raw;
    if (!qn_take(bytes, 4 * ZK_DEG * n, &raw)) return false;
    for (size_t i = 0; i < ZK_DEG * n; i++)
        if (!zkml_f_get(raw.ptr + 4 * i, &dst[i])) return false;
    return true;
}
