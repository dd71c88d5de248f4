/* define.h - include before a .def in one .c file: makes the descriptors. No guard: used many times. */
#include "core/schema/undef.h"
#define RECORD(rec, rec_doc)                                                                       \
    const struct qn_record *rec##_record(void)                                                     \
    {                                                                                              \
        typedef struct rec qn_rec_;                                                                \
        static const char name_[] = #rec, doc_[] = rec_doc;                                        \
        static const struct qn_field fields_[] = {
#define QN_F_(f, t, ...)    { .name = #f, .type = t, .off = offsetof(qn_rec_, f), __VA_ARGS__ },
#define U8(f, d)            QN_F_(f, QN_T_U8, .doc = d)
#define U16(f, d)           QN_F_(f, QN_T_U16, .doc = d)
#define U32(f, d)           QN_F_(f, QN_T_U32, .doc = d)
#define U64(f, d)           QN_F_(f, QN_T_U64, .doc = d)
#define NUM(f, d)           QN_F_(f, QN_T_NUM, .doc = d)
#define AMT(f, d)           QN_F_(f, QN_T_AMT, .doc = d)
#define I64(f, d)           QN_F_(f, QN_T_I64, .doc = d)
#define BOOL(f, d)          QN_F_(f, QN_T_BOOL, .doc = d)
#define ENUM(f, n, d)       QN_F_(f, QN_T_ENUM, .names = n, .doc = d)
#define HASH(f, d)          QN_F_(f, QN_T_HASH, .doc = d)
#define SIG(f, d)           QN_F_(f, QN_T_SIG, .doc = d)
#define VRF(f, d)           QN_F_(f, QN_T_VRF, .doc = d)
#define STR(f, m, d)        QN_F_(f, QN_T_STR, .max = m, .doc = d)
#define BYTES(f, m, d)      QN_F_(f, QN_T_BYTES, .max = m, .doc = d)
#define REC(f, r, d)        QN_F_(f, QN_T_REC, .rec = r##_record, .doc = d)
#define OPT_HASH(f, d)      QN_F_(f, QN_T_OPT_HASH, .doc = d)
#define OPT_NUM(f, d)       QN_F_(f, QN_T_OPT_NUM, .doc = d)
#define OPT_REC(f, r, d)    QN_F_(f, QN_T_OPT_REC, .rec = r##_record, .doc = d)
#define VEC_U32(f, m, d)    QN_F_(f, QN_T_VEC_U32, .max = m, .doc = d)
#define VEC_NUM(f, m, d)    QN_F_(f, QN_T_VEC_NUM, .max = m, .doc = d)
#define VEC_HASH(f, m, d)   QN_F_(f, QN_T_VEC_HASH, .max = m, .doc = d)
#define VEC_STR(f, m, e, d) QN_F_(f, QN_T_VEC_STR, .max = m, .each_max = e, .doc = d)
#define VEC_REC(f, r, m, d) QN_F_(f, QN_T_VEC_REC, .max = m, .rec = r##_record, .doc = d)
#define END(rec_)                                                                                  \
    }                                                                                              \
    ;                                                                                              \
    static const struct qn_record record_ = { .name = name_,                                       \
                                              .doc = doc_,                                         \
                                              .size = sizeof(qn_rec_),                             \
                                              .field_cnt = QN_COUNT(fields_),                      \
                                              .fields = fields_ };                                 \
    return &record_;                                                                               \
    }
