/* schema.h - records declared once, with many faces.
 *
 * A record is written in a .def file as a list of fields and included with different macros:
 *
 *     RECORD(compute_bid, "a provider's answer to an order")
 *         HASH(order, "the order")
 *         NUM(rate_nqn_h, "asked rate, nano-quoin an hour")
 *         OPT_HASH(node, "machine that would run it")
 *     END(compute_bid)
 *
 * and becomes, by `#include "core/schema/declare.h"` then the .def in a header, `struct compute_bid` and
 * `const struct qn_record *compute_bid_record(void)`; by `#include "core/schema/define.h"` then the .def
 * in one .c file, the body of that function. The descriptor drives everything else: Borsh both ways
 * (little-endian, canonical: https://borsh.io), JSON both ways, CLI flags, Lua tables, OpenAPI, docs.
 *
 * Field words (all take a doc string last):
 *   U8 U16 U32(name)      JSON number                        C uint8_t uint16_t uint32_t
 *   U64(name)             any 64 bits; JSON decimal string   C uint64_t
 *   NUM(name)             u64 <= 2^53 - 1; JSON number (heights, times in ms, counts, rates)
 *   AMT(name)             u64 <= total supply; JSON number in uqn; also read from "2.5QN"   C struct qn_amount
 *   I64(name)             signed; JSON decimal string        C int64_t
 *   BOOL(name)            one byte 0 or 1                    C bool
 *   ENUM(name, "a|b|c")   one byte; JSON the word            C uint8_t
 *   HASH(name)            32 bytes, JSON hex ("qn1.." is also read)   C struct qn_hash
 *   SIG(name)             64 bytes, JSON hex                 C struct qn_sig
 *   VRF(name)             80 bytes, JSON hex                 C struct qn_vrf_proof
 *   STR(name, max)        UTF-8 without control characters, at most max bytes   C struct qn_span
 *   BYTES(name, max)      JSON hex                           C struct qn_span
 *   REC(name, record)     a record inline                    C struct record
 *   OPT_HASH(name)        C struct qn_opt_hash { bool has; struct qn_hash v; }
 *   OPT_NUM(name)         C struct qn_opt_num { bool has; uint64_t v; }
 *   OPT_REC(name, record) C struct record * (NULL: absent)
 *   VEC_U32 VEC_NUM VEC_HASH(name, max)          C struct { uint32_t cnt; T *ptr; }
 *   VEC_STR(name, max, bytes max each)           T is struct qn_span
 *   VEC_REC(name, record, max)                   T is struct record */
#ifndef QN_CORE_SCHEMA_SCHEMA_H
#define QN_CORE_SCHEMA_SCHEMA_H

#include "core/base/amount.h"
#include "core/base/arena.h"

#include <jansson.h>

#define QN_NUM_MAX ((UINT64_C(1) << 53) - 1)

enum qn_type {
    QN_T_U8,
    QN_T_U16,
    QN_T_U32,
    QN_T_U64,
    QN_T_NUM,
    QN_T_AMT,
    QN_T_I64,
    QN_T_BOOL,
    QN_T_ENUM,
    QN_T_HASH,
    QN_T_SIG,
    QN_T_VRF,
    QN_T_STR,
    QN_T_BYTES,
    QN_T_REC,
    QN_T_OPT_HASH,
    QN_T_OPT_NUM,
    QN_T_OPT_REC,
    QN_T_VEC_U32,
    QN_T_VEC_NUM,
    QN_T_VEC_HASH,
    QN_T_VEC_STR,
    QN_T_VEC_REC,
};

struct qn_opt_hash {
    bool has;
    struct qn_hash v;
};

struct qn_opt_num {
    bool has;
    uint64_t v;
};

/* Every VEC field has this layout; generic code goes through it. */
struct qn_vec {
    uint32_t cnt;
    void *ptr;
};

struct qn_record;
typedef const struct qn_record *(*qn_record_fn)(void);

struct qn_field {
    const char *name;
    enum qn_type type;
    uint32_t max;      /* STR, BYTES: bytes; VEC: elements */
    uint32_t each_max; /* VEC_STR: bytes of one */
    size_t off;
    qn_record_fn rec;  /* REC, OPT_REC, VEC_REC */
    const char *names; /* ENUM: "open|closed" */
    const char *doc;
};

struct qn_record {
    const char *name, *doc;
    size_t size;
    uint32_t field_cnt;
    const struct qn_field *fields;
};

/* qn_encode appends the Borsh form of obj (of type rec) to buf. obj must be within the record's limits:
 * that is asserted, since decode and from_json let nothing else in. */
void qn_encode(const struct qn_record *rec, const void *obj, struct qn_buf *buf);

/* qn_decode reads one record that fills bytes exactly. STR, BYTES and VECs lie in bytes or arena.
 *
 * ret_obj  rec->size bytes, aligned as the struct; undefined on failure
 *
 * QN_E_SHORT, QN_E_EXTRA, QN_E_RANGE, QN_E_TOOBIG, QN_E_MEMORY (arena->max); why names the field. */
QN_CHECK qn_rc qn_decode(const struct qn_record *rec, struct qn_span bytes, struct qn_arena *arena,
                         void *ret_obj, struct qn_why *why);

/* qn_decode_front is qn_decode of a record that other bytes may follow; *bytes moves behind it. */
QN_CHECK qn_rc qn_decode_front(const struct qn_record *rec, struct qn_span *bytes,
                               struct qn_arena *arena, void *ret_obj, struct qn_why *why);

/* qn_to_json returns a new object with every field, absent options left out. */
json_t *qn_to_json(const struct qn_record *rec, const void *obj) QN_GIVES;

/* qn_from_json fills ret_obj from a JSON object. Missing fields are zero, empty or absent; what that
 * means is the reader's rule. An unknown member, a wrong type or a value out of range is QN_E_RANGE or
 * QN_E_FORMAT naming it. Numbers and flags may also come as strings (CLI flags do), VECs as one
 * comma-separated string. */
QN_CHECK qn_rc qn_from_json(const struct qn_record *rec, const json_t *json, struct qn_arena *arena,
                            void *ret_obj, struct qn_why *why);

/* qn_schema_json returns the JSON Schema (2020-12) of the record, for OpenAPI and tools. */
json_t *qn_schema_json(const struct qn_record *rec) QN_GIVES;

/* qn_field_find returns the field of that name, or NULL. */
const struct qn_field *qn_field_find(const struct qn_record *rec, const char *name);

/* qn_type_word returns what help and reference call the type: "hash", "amount", "list of text". */
const char *qn_type_word(enum qn_type type);

/* qn_text_ok says whether s is well-formed UTF-8 without control characters (tab and newline may be). */
bool qn_text_ok(struct qn_span s);

/* qn_enum_cnt counts the words of an ENUM; qn_enum_word copies word idx into dst[64], false past the end;
 * qn_enum_find finds one. */
uint32_t qn_enum_cnt(const char *names);
bool qn_enum_word(const char *names, uint32_t idx, char dst[64]);
QN_CHECK bool qn_enum_find(const char *names, const char *word, uint8_t *ret);

#endif
