/* json.c - the JSON form of records, both ways, and its schema. */
#include "core/crypto/sign.h"
#include "core/schema/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16 /* nesting of records in foreign JSON */

/* --- out ------------------------------------------------------------------------------------------- */

static json_t *hex_json(const void *src, size_t len)
{
    char *hex = malloc(2 * len + 1);
    QN_ASSERT(hex != NULL);
    qn_hex(src, len, hex);
    json_t *ret = json_string(hex);
    free(hex);
    return ret;
}

static json_t *u64_json(uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    return json_string(text);
}

static json_t *vec_json(const struct qn_field *f, struct qn_vec vec)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < vec.cnt; i++) {
        json_t *item;
        if (f->type == QN_T_VEC_U32) {
            item = json_integer(((const uint32_t *)vec.ptr)[i]);
        } else if (f->type == QN_T_VEC_NUM) {
            item = json_integer((json_int_t)((const uint64_t *)vec.ptr)[i]);
        } else if (f->type == QN_T_VEC_HASH) {
            item = hex_json(((const struct qn_hash *)vec.ptr)[i].b, 32);
        } else if (f->type == QN_T_VEC_STR) {
            struct qn_span s = ((const struct qn_span *)vec.ptr)[i];
            item = json_stringn((const char *)s.ptr, s.len);
        } else {
            const struct qn_record *rec = f->rec();
            item = qn_to_json(rec, (const uint8_t *)vec.ptr + i * rec->size);
        }
        json_array_append_new(list, item);
    }
    return list;
}

/* A value as it lies at `at`; NULL for an absent option. */
static json_t *field_json(const struct qn_field *f, const void *at)
{
    struct qn_span s;
    struct qn_vec vec;
    struct qn_opt_hash hash;
    struct qn_opt_num num;
    const void *ptr;
    char word[64];
    switch (f->type) {
    case QN_T_U8: return json_integer(*(const uint8_t *)at);
    case QN_T_U16: return json_integer(*(const uint16_t *)at);
    case QN_T_U32: return json_integer(*(const uint32_t *)at);
    case QN_T_U64: return u64_json(*(const uint64_t *)at);
    case QN_T_NUM:
    case QN_T_AMT: return json_integer((json_int_t) * (const uint64_t *)at);
    case QN_T_I64:
        snprintf(word, sizeof word, "%" PRId64, *(const int64_t *)at);
        return json_string(word);
    case QN_T_BOOL: return json_boolean(*(const bool *)at);
    case QN_T_ENUM:
        QN_ASSERT(qn_enum_word(f->names, *(const uint8_t *)at, word));
        return json_string(word);
    case QN_T_HASH: return hex_json(at, 32);
    case QN_T_SIG: return hex_json(at, 64);
    case QN_T_VRF: return hex_json(at, 80);
    case QN_T_STR: memcpy(&s, at, sizeof s); return json_stringn((const char *)s.ptr, s.len);
    case QN_T_BYTES: memcpy(&s, at, sizeof s); return hex_json(s.ptr, s.len);
    case QN_T_REC: return qn_to_json(f->rec(), at);
    case QN_T_OPT_HASH:
        memcpy(&hash, at, sizeof hash);
        return hash.has ? hex_json(hash.v.b, 32) : NULL;
    case QN_T_OPT_NUM:
        memcpy(&num, at, sizeof num);
        return num.has ? json_integer((json_int_t)num.v) : NULL;
    case QN_T_OPT_REC: memcpy(&ptr, at, sizeof ptr); return ptr ? qn_to_json(f->rec(), ptr) : NULL;
    case QN_T_VEC_U32:
    case QN_T_VEC_NUM:
    case QN_T_VEC_HASH:
    case QN_T_VEC_STR:
    case QN_T_VEC_REC: memcpy(&vec, at, sizeof vec); return vec_json(f, vec);
    }
    QN_BUG("qn_type out of range");
}

json_t *qn_to_json(const struct qn_record *rec, const void *obj)
{
    json_t *ret = json_object();
    for (uint32_t i = 0; i < rec->field_cnt; i++) {
        const struct qn_field *f = &rec->fields[i];
        json_t *val = field_json(f, (const uint8_t *)obj + f->off);
        if (val) json_object_set_new(ret, f->name, val);
    }
    return ret;
}

/* --- in -------------------------------------------------------------------------------------------- */

struct reader {
    struct qn_arena *arena;
    struct qn_why *why;
    int depth;
};

static qn_rc bad(struct reader *r, const struct qn_field *f, const char *want)
{
    return qn_why(r->why, QN_E_FORMAT, "%s: expected %s", f->name, want);
}

static qn_rc no_memory(struct reader *r, const struct qn_field *f)
{
    return qn_why(r->why, QN_E_MEMORY, "%s passes the memory limit", f->name);
}

/* A whole number >= 0 from a JSON integer or a decimal string. */
static qn_rc get_num(struct reader *r, const struct qn_field *f, const json_t *json, uint64_t max,
                     uint64_t *ret)
{
    uint64_t v;
    if (json_is_integer(json)) {
        if (json_integer_value(json) < 0)
            return qn_why(r->why, QN_E_RANGE, "%s is negative", f->name);
        v = (uint64_t)json_integer_value(json);
    } else if (json_is_string(json)) {
        const char *text = json_string_value(json);
        char *end;
        errno = 0;
        v = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end || errno) return bad(r, f, "a whole number");
    } else {
        return bad(r, f, "a whole number");
    }
    if (v > max)
        return qn_why(r->why, QN_E_RANGE, "%s is %" PRIu64 ", at most %" PRIu64, f->name, v, max);
    *ret = v;
    return QN_OK;
}

static qn_rc get_amount(struct reader *r, const struct qn_field *f, const json_t *json,
                        struct qn_amount *ret)
{
    if (json_is_string(json)) {
        qn_rc rc = qn_amount_parse(json_string_value(json), ret);
        if (rc == QN_E_RANGE)
            return qn_why(r->why, rc,
                          "%s: %.60s is too much; the largest is %" PRIu64 "QN, all that exists",
                          f->name, json_string_value(json), QN_SUPPLY_UQN / QN_UQN_PER_QN);
        return rc ? bad(r, f, "an amount such as 2.5QN or 300uqn, of at most six decimals") : QN_OK;
    }
    return get_num(r, f, json, QN_SUPPLY_UQN, &ret->uqn);
}

static qn_rc get_i64(struct reader *r, const struct qn_field *f, const json_t *json, int64_t *ret)
{
    if (json_is_integer(json)) {
        *ret = json_integer_value(json);
        return QN_OK;
    }
    const char *text = json_is_string(json) ? json_string_value(json) : "";
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (!*text || *end || errno || (*text != '-' && (*text < '0' || *text > '9')))
        return bad(r, f, "a whole number");
    return QN_OK;
}

static qn_rc get_bool(struct reader *r, const struct qn_field *f, const json_t *json, bool *ret)
{
    const char *text = json_is_string(json) ? json_string_value(json) : NULL;
    if (json_is_true(json) || (text && strcmp(text, "true") == 0))
        *ret = true;
    else if (json_is_false(json) || (text && strcmp(text, "false") == 0))
        *ret = false;
    else
        return bad(r, f, "true or false");
    return QN_OK;
}

static qn_rc get_hex(struct reader *r, const struct qn_field *f, const json_t *json, void *dst,
                     size_t len)
{
    const char *text = json_string_value(json);
    size_t text_len = json_string_length(json);
    if (text && len == 32 && text_len > 3 && memcmp(text, "qn1", 3) == 0)
        return qn_addr_parse(text, dst) ? bad(r, f, "an address qn1..") : QN_OK;
    if (!text || !qn_unhex(text, text_len, dst, len))
        return qn_why(r->why, QN_E_FORMAT, "%s: expected %zu hex digits%s", f->name, 2 * len,
                      len == 32 ? ", or an address qn1.." : "");
    return QN_OK;
}

static qn_rc get_text(struct reader *r, const struct qn_field *f, const json_t *json, uint32_t max,
                      struct qn_span *ret)
{
    if (!json_is_string(json)) return bad(r, f, "text");
    struct qn_span s = QN_SPAN(json_string_value(json), json_string_length(json));
    if (s.len > max)
        return qn_why(r->why, QN_E_TOOBIG, "%s has %zu bytes, at most %u", f->name, s.len, max);
    if (!qn_text_ok(s)) return bad(r, f, "text without control characters");
    void *copy = qn_arena_copy(r->arena, s.ptr, s.len);
    if (!copy) return no_memory(r, f);
    *ret = QN_SPAN(copy, s.len);
    return QN_OK;
}

static qn_rc get_bytes(struct reader *r, const struct qn_field *f, const json_t *json,
                       struct qn_span *ret)
{
    if (!json_is_string(json) || json_string_length(json) % 2)
        return bad(r, f, "hex digits, two a byte");
    size_t len = json_string_length(json) / 2;
    if (len > f->max)
        return qn_why(r->why, QN_E_TOOBIG, "%s has %zu bytes, at most %u", f->name, len, f->max);
    uint8_t *dst = qn_arena_alloc(r->arena, len + 1);
    if (!dst) return no_memory(r, f);
    if (!qn_unhex(json_string_value(json), 2 * len, dst, len))
        return bad(r, f, "hex digits, two a byte");
    *ret = QN_SPAN(dst, len);
    return QN_OK;
}

static qn_rc get_record(struct reader *r, const struct qn_record *rec, const json_t *json,
                        void *obj);

static qn_rc get_elem(struct reader *r, const struct qn_field *f, const json_t *json, void *at)
{
    uint64_t v;
    qn_rc rc;
    switch ((int)f->type) {
    case QN_T_VEC_U32:
        rc = get_num(r, f, json, UINT32_MAX, &v);
        if (rc == QN_OK) *(uint32_t *)at = (uint32_t)v;
        return rc;
    case QN_T_VEC_NUM: return get_num(r, f, json, QN_NUM_MAX, at);
    case QN_T_VEC_HASH: return get_hex(r, f, json, at, 32);
    case QN_T_VEC_STR: return get_text(r, f, json, f->each_max, at);
    default: return get_record(r, f->rec(), json, at);
    }
}

static size_t elem_size(const struct qn_field *f)
{
    switch ((int)f->type) {
    case QN_T_VEC_U32: return sizeof(uint32_t);
    case QN_T_VEC_NUM: return sizeof(uint64_t);
    case QN_T_VEC_HASH: return sizeof(struct qn_hash);
    case QN_T_VEC_STR: return sizeof(struct qn_span);
    default: return f->rec()->size;
    }
}

/* "a,b,c" as a list, for the command line. */
static json_t *split(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        size_t n = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, n));
        text += n + (text[n] == ',');
    }
    return list;
}

static qn_rc get_vec(struct reader *r, const struct qn_field *f, const json_t *json, void *at)
{
    json_t *own = json_is_string(json) ? split(json_string_value(json)) : NULL;
    const json_t *list = own ? own : json;
    qn_rc rc = QN_OK;
    size_t cnt = json_array_size(list), size = elem_size(f);
    struct qn_vec vec = { 0 };
    if (json_is_object(list) && json_object_size(list) == 0)
        goto out; /* Lua cannot tell an empty list from an empty table */
    if (!json_is_array(list)) {
        rc = bad(r, f, "a list");
        goto out;
    }
    if (cnt > f->max) {
        rc = qn_why(r->why, QN_E_TOOBIG, "%s has %zu items, at most %u", f->name, cnt, f->max);
        goto out;
    }
    vec = (struct qn_vec){ (uint32_t)cnt, cnt ? qn_arena_alloc(r->arena, cnt * size) : NULL };
    if (cnt && !vec.ptr) {
        rc = no_memory(r, f);
        goto out;
    }
    for (size_t i = 0; i < cnt && rc == QN_OK; i++)
        rc = get_elem(r, f, json_array_get(list, i), (uint8_t *)vec.ptr + i * size);
out:
    memcpy(at, &vec, sizeof vec);
    json_decref(own);
    return rc;
}

static qn_rc get_field(struct reader *r, const struct qn_field *f, const json_t *json, void *at)
{
    uint64_t v = 0;
    qn_rc rc;
    switch (f->type) {
    case QN_T_U8:
        rc = get_num(r, f, json, UINT8_MAX, &v);
        *(uint8_t *)at = (uint8_t)v;
        return rc;
    case QN_T_U16:
        rc = get_num(r, f, json, UINT16_MAX, &v);
        *(uint16_t *)at = (uint16_t)v;
        return rc;
    case QN_T_U32:
        rc = get_num(r, f, json, UINT32_MAX, &v);
        *(uint32_t *)at = (uint32_t)v;
        return rc;
    case QN_T_U64: return get_num(r, f, json, UINT64_MAX, at);
    case QN_T_NUM: return get_num(r, f, json, QN_NUM_MAX, at);
    case QN_T_AMT: return get_amount(r, f, json, at);
    case QN_T_I64: return get_i64(r, f, json, at);
    case QN_T_BOOL: return get_bool(r, f, json, at);
    case QN_T_ENUM:
        if (!json_is_string(json) || !qn_enum_find(f->names, json_string_value(json), at))
            return qn_why(r->why, QN_E_FORMAT, "%s: expected one of %s", f->name, f->names);
        return QN_OK;
    case QN_T_HASH: return get_hex(r, f, json, at, 32);
    case QN_T_SIG: return get_hex(r, f, json, at, 64);
    case QN_T_VRF: return get_hex(r, f, json, at, 80);
    case QN_T_STR: return get_text(r, f, json, f->max, at);
    case QN_T_BYTES: return get_bytes(r, f, json, at);
    case QN_T_REC: return get_record(r, f->rec(), json, at);
    case QN_T_OPT_HASH:
        ((struct qn_opt_hash *)at)->has = true;
        return get_hex(r, f, json, ((struct qn_opt_hash *)at)->v.b, 32);
    case QN_T_OPT_NUM:
        ((struct qn_opt_num *)at)->has = true;
        return get_num(r, f, json, QN_NUM_MAX, &((struct qn_opt_num *)at)->v);
    case QN_T_OPT_REC: {
        void *ptr = qn_arena_alloc(r->arena, f->rec()->size);
        if (!ptr) return no_memory(r, f);
        memcpy(at, &ptr, sizeof ptr);
        return get_record(r, f->rec(), json, ptr);
    }
    case QN_T_VEC_U32:
    case QN_T_VEC_NUM:
    case QN_T_VEC_HASH:
    case QN_T_VEC_STR:
    case QN_T_VEC_REC: return get_vec(r, f, json, at);
    }
    QN_BUG("qn_type out of range");
}

static qn_rc get_record(struct reader *r, const struct qn_record *rec, const json_t *json,
                        void *obj)
{
    memset(obj, 0, rec->size);
    if (json_is_array(json) && json_array_size(json) == 0) return QN_OK; /* an empty Lua table */
    if (!json_is_object(json))
        return qn_why(r->why, QN_E_FORMAT, "%s: expected an object", rec->name);
    if (r->depth >= DEPTH_MAX)
        return qn_why(r->why, QN_E_TOOBIG, "%s: nested too deeply", rec->name);
    r->depth++;
    qn_rc rc = QN_OK;
    const char *name;
    json_t *val, *mutable = NULL;
    memcpy(&mutable, &json, sizeof mutable); /* the macro only reads, but is not const */
    json_object_foreach(mutable, name, val)
    {
        const struct qn_field *f = qn_field_find(rec, name);
        if (!f)
            rc = qn_why(r->why, QN_E_FORMAT, "%s has no field \"%.64s\"", rec->name, name);
        else if (!json_is_null(val))
            rc = get_field(r, f, val, (uint8_t *)obj + f->off);
        if (rc) break;
    }
    r->depth--;
    return rc;
}

qn_rc qn_from_json(const struct qn_record *rec, const json_t *json, struct qn_arena *arena,
                   void *ret_obj, struct qn_why *why)
{
    struct reader r = { .arena = arena, .why = why };
    return get_record(&r, rec, json, ret_obj);
}

/* --- schema ---------------------------------------------------------------------------------------- */

static json_t *whole(json_int_t max)
{
    return json_pack("{s:s, s:i, s:I}", "type", "integer", "minimum", 0, "maximum", max);
}

static json_t *hex_schema(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *list_of(const struct qn_field *f, json_t *item)
{
    return json_pack("{s:s, s:i, s:o}", "type", "array", "maxItems", (int)f->max, "items", item);
}

static json_t *text_schema(uint32_t max)
{
    return json_pack("{s:s, s:i}", "type", "string", "maxLength", (int)max);
}

static json_t *field_schema(const struct qn_field *f)
{
    switch (f->type) {
    case QN_T_U8: return whole(UINT8_MAX);
    case QN_T_U16: return whole(UINT16_MAX);
    case QN_T_U32: return whole(UINT32_MAX);
    case QN_T_U64: return hex_schema("^[0-9]{1,20}$");
    case QN_T_I64: return hex_schema("^-?[0-9]{1,19}$");
    case QN_T_NUM:
    case QN_T_OPT_NUM: return whole((json_int_t)QN_NUM_MAX);
    case QN_T_AMT: return whole((json_int_t)QN_SUPPLY_UQN);
    case QN_T_BOOL: return json_pack("{s:s}", "type", "boolean");
    case QN_T_ENUM: {
        json_t *words = json_array();
        char word[64];
        for (uint32_t i = 0; qn_enum_word(f->names, i, word); i++)
            json_array_append_new(words, json_string(word));
        return json_pack("{s:s, s:o}", "type", "string", "enum", words);
    }
    case QN_T_HASH:
    case QN_T_OPT_HASH: return hex_schema("^([0-9a-fA-F]{64}|qn1[0-9a-z]+)$");
    case QN_T_SIG: return hex_schema("^[0-9a-fA-F]{128}$");
    case QN_T_VRF: return hex_schema("^[0-9a-fA-F]{160}$");
    case QN_T_STR: return text_schema(f->max);
    case QN_T_BYTES: return hex_schema("^([0-9a-fA-F]{2})*$");
    case QN_T_REC:
    case QN_T_OPT_REC: return qn_schema_json(f->rec());
    case QN_T_VEC_U32: return list_of(f, whole(UINT32_MAX));
    case QN_T_VEC_NUM: return list_of(f, whole((json_int_t)QN_NUM_MAX));
    case QN_T_VEC_HASH: return list_of(f, hex_schema("^([0-9a-fA-F]{64}|qn1[0-9a-z]+)$"));
    case QN_T_VEC_STR: return list_of(f, text_schema(f->each_max));
    case QN_T_VEC_REC: return list_of(f, qn_schema_json(f->rec()));
    }
    QN_BUG("qn_type out of range");
}

json_t *qn_schema_json(const struct qn_record *rec)
{
    json_t *props = json_object();
    for (uint32_t i = 0; i < rec->field_cnt; i++) {
        json_t *one = field_schema(&rec->fields[i]);
        json_object_set_new(one, "description", json_string(rec->fields[i].doc));
        json_object_set_new(props, rec->fields[i].name, one);
    }
    return json_pack("{s:s, s:s, s:o, s:b}", "type", "object", "description", rec->doc,
                     "properties", props, "additionalProperties", 0);
}
