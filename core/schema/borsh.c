/* borsh.c - the byte form of records: Borsh, canonical, bounded. */
#include "core/schema/schema.h"

#include <string.h>

#define DEPTH_MAX 16 /* nesting of records; descriptors are ours, so this only guards a cycle */

static uint64_t num_max(enum qn_type type)
{
    if (type == QN_T_NUM || type == QN_T_OPT_NUM || type == QN_T_VEC_NUM) return QN_NUM_MAX;
    return type == QN_T_AMT ? QN_SUPPLY_UQN : UINT64_MAX;
}

static void encode_text(const struct qn_field *f, struct qn_span s, uint32_t max,
                        struct qn_buf *buf)
{
    QN_ASSERT(s.len <= max && (f->type == QN_T_BYTES || qn_text_ok(s)));
    qn_buf_u32(buf, (uint32_t)s.len);
    qn_buf_span(buf, s);
}

static void encode_vec(const struct qn_field *f, struct qn_vec vec, struct qn_buf *buf)
{
    QN_ASSERT(vec.cnt <= f->max);
    qn_buf_u32(buf, vec.cnt);
    for (uint32_t i = 0; i < vec.cnt; i++) {
        if (f->type == QN_T_VEC_U32) {
            qn_buf_u32(buf, ((const uint32_t *)vec.ptr)[i]);
        } else if (f->type == QN_T_VEC_NUM) {
            uint64_t v = ((const uint64_t *)vec.ptr)[i];
            QN_ASSERT(v <= QN_NUM_MAX);
            qn_buf_u64(buf, v);
        } else if (f->type == QN_T_VEC_HASH) {
            qn_buf_put(buf, ((const struct qn_hash *)vec.ptr)[i].b, 32);
        } else if (f->type == QN_T_VEC_STR) {
            encode_text(f, ((const struct qn_span *)vec.ptr)[i], f->each_max, buf);
        } else {
            const struct qn_record *rec = f->rec();
            qn_encode(rec, (const uint8_t *)vec.ptr + i * rec->size, buf);
        }
    }
}

static void encode_num(const struct qn_field *f, const uint8_t *at, struct qn_buf *buf)
{
    uint64_t v;
    memcpy(&v, at, 8);
    QN_ASSERT(f->type == QN_T_I64 || v <= num_max(f->type));
    qn_buf_u64(buf, v);
}

static void encode_field(const struct qn_field *f, const uint8_t *at, struct qn_buf *buf)
{
    struct qn_span s;
    struct qn_vec vec;
    struct qn_opt_hash hash;
    struct qn_opt_num num;
    const void *ptr;
    switch (f->type) {
    case QN_T_ENUM:
        QN_ASSERT(*at < qn_enum_cnt(f->names));
        qn_buf_u8(buf, *at);
        return;
    case QN_T_U8:
    case QN_T_BOOL: qn_buf_u8(buf, *at); return;
    case QN_T_U16: qn_buf_put(buf, at, 2); return;
    case QN_T_U32: qn_buf_put(buf, at, 4); return;
    case QN_T_U64:
    case QN_T_NUM:
    case QN_T_AMT:
    case QN_T_I64: encode_num(f, at, buf); return;
    case QN_T_HASH: qn_buf_put(buf, at, 32); return;
    case QN_T_SIG: qn_buf_put(buf, at, 64); return;
    case QN_T_VRF: qn_buf_put(buf, at, 80); return;
    case QN_T_STR:
    case QN_T_BYTES:
        memcpy(&s, at, sizeof s);
        encode_text(f, s, f->max, buf);
        return;
    case QN_T_REC: qn_encode(f->rec(), at, buf); return;
    case QN_T_OPT_HASH:
        memcpy(&hash, at, sizeof hash);
        qn_buf_u8(buf, hash.has);
        if (hash.has) qn_buf_put(buf, hash.v.b, 32);
        return;
    case QN_T_OPT_NUM:
        memcpy(&num, at, sizeof num);
        qn_buf_u8(buf, num.has);
        if (num.has) encode_num(f, (const uint8_t *)&num.v, buf);
        return;
    case QN_T_OPT_REC:
        memcpy(&ptr, at, sizeof ptr);
        qn_buf_u8(buf, ptr != NULL);
        if (ptr) qn_encode(f->rec(), ptr, buf);
        return;
    case QN_T_VEC_U32:
    case QN_T_VEC_NUM:
    case QN_T_VEC_HASH:
    case QN_T_VEC_STR:
    case QN_T_VEC_REC:
        memcpy(&vec, at, sizeof vec);
        encode_vec(f, vec, buf);
        return;
    }
    QN_BUG("qn_type out of range");
}

void qn_encode(const struct qn_record *rec, const void *obj, struct qn_buf *buf)
{
    for (uint32_t i = 0; i < rec->field_cnt; i++)
        encode_field(&rec->fields[i], (const uint8_t *)obj + rec->fields[i].off, buf);
}

struct reader {
    struct qn_span in;
    struct qn_arena *arena;
    struct qn_why *why;
    int depth;
};

static qn_rc decode(struct reader *r, const struct qn_record *rec, void *obj);

static qn_rc short_of(struct reader *r, const struct qn_field *f)
{
    return qn_why(r->why, QN_E_SHORT, "the record ends inside field %s", f->name);
}

static qn_rc no_memory(struct reader *r, const struct qn_field *f)
{
    return qn_why(r->why, QN_E_MEMORY, "field %s passes the memory limit", f->name);
}

static qn_rc decode_text(struct reader *r, const struct qn_field *f, uint32_t max,
                         struct qn_span *ret)
{
    uint32_t len;
    if (!qn_take_u32(&r->in, &len)) return short_of(r, f);
    if (len > max)
        return qn_why(r->why, QN_E_TOOBIG, "field %s has %u bytes, at most %u", f->name, len, max);
    if (!qn_take(&r->in, len, ret)) return short_of(r, f);
    if (f->type != QN_T_BYTES && !qn_text_ok(*ret))
        return qn_why(r->why, QN_E_RANGE, "field %s is not clean UTF-8 text", f->name);
    return QN_OK;
}

static qn_rc decode_num(struct reader *r, const struct qn_field *f, uint64_t *ret)
{
    if (!qn_take_u64(&r->in, ret)) return short_of(r, f);
    if (f->type != QN_T_I64 && *ret > num_max(f->type))
        return qn_why(r->why, QN_E_RANGE, "field %s is above its limit", f->name);
    return QN_OK;
}

static size_t elem_size(const struct qn_field *f)
{
    if (f->type == QN_T_VEC_U32) return sizeof(uint32_t);
    if (f->type == QN_T_VEC_NUM) return sizeof(uint64_t);
    if (f->type == QN_T_VEC_HASH) return sizeof(struct qn_hash);
    if (f->type == QN_T_VEC_STR) return sizeof(struct qn_span);
    return f->rec()->size;
}

static qn_rc decode_elem(struct reader *r, const struct qn_field *f, void *at)
{
    if (f->type == QN_T_VEC_U32) return qn_take_u32(&r->in, at) ? QN_OK : short_of(r, f);
    if (f->type == QN_T_VEC_NUM) return decode_num(r, f, at);
    if (f->type == QN_T_VEC_HASH) return qn_take_hash(&r->in, at) ? QN_OK : short_of(r, f);
    if (f->type == QN_T_VEC_STR) return decode_text(r, f, f->each_max, at);
    return decode(r, f->rec(), at);
}

static qn_rc decode_vec(struct reader *r, const struct qn_field *f, void *at)
{
    uint32_t cnt;
    if (!qn_take_u32(&r->in, &cnt)) return short_of(r, f);
    if (cnt > f->max)
        return qn_why(r->why, QN_E_TOOBIG, "field %s has %u items, at most %u", f->name, cnt,
                      f->max);
    if (cnt > r->in.len) /* each takes a byte at least: refused before memory is taken */
        return short_of(r, f);
    size_t size = elem_size(f);
    struct qn_vec vec = { cnt, cnt ? qn_arena_alloc(r->arena, cnt * size) : NULL };
    if (cnt && !vec.ptr) return no_memory(r, f);
    for (uint32_t i = 0; i < cnt; i++) {
        qn_rc rc = decode_elem(r, f, (uint8_t *)vec.ptr + i * size);
        if (rc) return rc;
    }
    memcpy(at, &vec, sizeof vec);
    return QN_OK;
}

static qn_rc decode_flag(struct reader *r, const struct qn_field *f, bool *ret)
{
    uint8_t v;
    if (!qn_take_u8(&r->in, &v)) return short_of(r, f);
    if (v > 1) return qn_why(r->why, QN_E_RANGE, "field %s: a flag is 0 or 1, not %u", f->name, v);
    *ret = v;
    return QN_OK;
}

static qn_rc decode_opt(struct reader *r, const struct qn_field *f, void *at)
{
    bool has;
    qn_rc rc = decode_flag(r, f, &has);
    if (rc || !has) return rc;
    if (f->type == QN_T_OPT_HASH) {
        struct qn_opt_hash *opt = at;
        opt->has = true;
        return qn_take_hash(&r->in, &opt->v) ? QN_OK : short_of(r, f);
    }
    if (f->type == QN_T_OPT_NUM) {
        struct qn_opt_num *opt = at;
        opt->has = true;
        return decode_num(r, f, &opt->v);
    }
    void *ptr = qn_arena_alloc(r->arena, f->rec()->size);
    if (!ptr) return no_memory(r, f);
    memcpy(at, &ptr, sizeof ptr);
    return decode(r, f->rec(), ptr);
}

static qn_rc decode_field(struct reader *r, const struct qn_field *f, void *at)
{
    struct qn_span s;
    switch (f->type) {
    case QN_T_U8: return qn_take_u8(&r->in, at) ? QN_OK : short_of(r, f);
    case QN_T_ENUM: {
        uint8_t v;
        if (!qn_take_u8(&r->in, &v)) return short_of(r, f);
        if (v >= qn_enum_cnt(f->names))
            return qn_why(r->why, QN_E_RANGE, "field %s: no word has number %u", f->name, v);
        *(uint8_t *)at = v;
        return QN_OK;
    }
    case QN_T_BOOL: return decode_flag(r, f, at);
    case QN_T_U16: return qn_take_u16(&r->in, at) ? QN_OK : short_of(r, f);
    case QN_T_U32: return qn_take_u32(&r->in, at) ? QN_OK : short_of(r, f);
    case QN_T_U64:
    case QN_T_NUM:
    case QN_T_AMT:
    case QN_T_I64: return decode_num(r, f, at);
    case QN_T_HASH: return qn_take_hash(&r->in, at) ? QN_OK : short_of(r, f);
    case QN_T_SIG:
    case QN_T_VRF:
        if (!qn_take(&r->in, f->type == QN_T_SIG ? 64 : 80, &s)) return short_of(r, f);
        memcpy(at, s.ptr, s.len);
        return QN_OK;
    case QN_T_STR:
    case QN_T_BYTES: return decode_text(r, f, f->max, at);
    case QN_T_REC: return decode(r, f->rec(), at);
    case QN_T_OPT_HASH:
    case QN_T_OPT_NUM:
    case QN_T_OPT_REC: return decode_opt(r, f, at);
    case QN_T_VEC_U32:
    case QN_T_VEC_NUM:
    case QN_T_VEC_HASH:
    case QN_T_VEC_STR:
    case QN_T_VEC_REC: return decode_vec(r, f, at);
    }
    QN_BUG("qn_type out of range");
}

static qn_rc decode(struct reader *r, const struct qn_record *rec, void *obj)
{
    QN_ASSERT(r->depth < DEPTH_MAX);
    r->depth++;
    memset(obj, 0, rec->size);
    qn_rc rc = QN_OK;
    for (uint32_t i = 0; i < rec->field_cnt && rc == QN_OK; i++)
        rc = decode_field(r, &rec->fields[i], (uint8_t *)obj + rec->fields[i].off);
    r->depth--;
    return rc;
}

qn_rc qn_decode_front(const struct qn_record *rec, struct qn_span *bytes, struct qn_arena *arena,
                      void *ret_obj, struct qn_why *why)
{
    struct reader r = { .in = *bytes, .arena = arena, .why = why };
    qn_rc rc = decode(&r, rec, ret_obj);
    if (rc == QN_OK) *bytes = r.in;
    return rc;
}

qn_rc qn_decode(const struct qn_record *rec, struct qn_span bytes, struct qn_arena *arena,
                void *ret_obj, struct qn_why *why)
{
    qn_rc rc = qn_decode_front(rec, &bytes, arena, ret_obj, why);
    if (rc == QN_OK && bytes.len)
        return qn_why(why, QN_E_EXTRA, "%zu bytes follow the end of %s", bytes.len, rec->name);
    return rc;
}
