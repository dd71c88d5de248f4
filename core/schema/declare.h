/* declare.h - include before a .def in a header: makes the structs. No guard: used many times. */
#include "core/schema/undef.h"
#define RECORD(rec, doc)    struct rec {
#define U8(f, doc)          uint8_t f;
#define U16(f, doc)         uint16_t f;
#define U32(f, doc)         uint32_t f;
#define U64(f, doc)         uint64_t f;
#define NUM(f, doc)         uint64_t f;
#define AMT(f, doc)         struct qn_amount f;
#define I64(f, doc)         int64_t f;
#define BOOL(f, doc)        bool f;
#define ENUM(f, names, doc) uint8_t f;
#define HASH(f, doc)        struct qn_hash f;
#define SIG(f, doc)         struct qn_sig f;
#define VRF(f, doc)         struct qn_vrf_proof f;
#define STR(f, max, doc)    struct qn_span f;
#define BYTES(f, max, doc)  struct qn_span f;
#define REC(f, r, doc)      struct r f;
#define OPT_HASH(f, doc)    struct qn_opt_hash f;
#define OPT_NUM(f, doc)     struct qn_opt_num f;
#define OPT_REC(f, r, doc)  struct r *f;
#define QN_VEC_(f, T)                                                                              \
    struct {                                                                                       \
        uint32_t cnt;                                                                              \
        T *ptr;                                                                                    \
    } f;
#define VEC_U32(f, max, doc)       QN_VEC_(f, uint32_t)
#define VEC_NUM(f, max, doc)       QN_VEC_(f, uint64_t)
#define VEC_HASH(f, max, doc)      QN_VEC_(f, struct qn_hash)
#define VEC_STR(f, max, each, doc) QN_VEC_(f, struct qn_span)
#define VEC_REC(f, r, max, doc)    QN_VEC_(f, struct r)
#define END(rec)                                                                                   \
    }                                                                                              \
    ;                                                                                              \
    const struct qn_record *rec##_record(void);
