/* text.c - what text may hold, words of enums, names of types. */
#include "core/schema/schema.h"

#include <stdio.h>
#include <string.h>

bool qn_text_ok(struct qn_span s)
{
    for (size_t i = 0; i < s.len;) {
        uint8_t c = s.ptr[i];
        uint32_t cp = c, least = 0;
        size_t n = 1;
        if (c >= 0xf0 && c < 0xf5)
            cp = c & 7u, n = 4, least = 0x10000;
        else if (c >= 0xe0 && c < 0xf0)
            cp = c & 15u, n = 3, least = 0x800;
        else if (c >= 0xc2 && c < 0xe0)
            cp = c & 31u, n = 2, least = 0x80;
        else if (c >= 0x80)
            return false;
        if (s.len - i < n) return false;
        for (size_t k = 1; k < n; k++) {
            if ((s.ptr[i + k] & 0xc0) != 0x80) return false;
            cp = cp << 6 | (s.ptr[i + k] & 63u);
        }
        if (cp < least || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) return false;
        if ((cp < 0x20 && cp != '\n' && cp != '\t') || (cp >= 0x7f && cp < 0xa0)) return false;
        i += n;
    }
    return true;
}

uint32_t qn_enum_cnt(const char *names)
{
    uint32_t cnt = 1;
    for (; *names; names++)
        cnt += *names == '|';
    return cnt;
}

bool qn_enum_word(const char *names, uint32_t idx, char dst[64])
{
    for (; idx; idx--) {
        names = strchr(names, '|');
        if (!names) return false;
        names++;
    }
    snprintf(dst, 64, "%.*s", (int)strcspn(names, "|"), names);
    return true;
}

bool qn_enum_find(const char *names, const char *word, uint8_t *ret)
{
    size_t len = strlen(word);
    uint8_t idx = 0;
    for (;; idx++) {
        size_t n = strcspn(names, "|");
        if (n == len && memcmp(names, word, n) == 0) {
            *ret = idx;
            return true;
        }
        if (!names[n]) return false;
        names += n + 1;
    }
}

const char *qn_type_word(enum qn_type type)
{
    switch (type) {
    case QN_T_U8:
    case QN_T_U16:
    case QN_T_U32:
    case QN_T_U64:
    case QN_T_NUM:
    case QN_T_OPT_NUM:
    case QN_T_I64: return "number";
    case QN_T_AMT: return "amount";
    case QN_T_BOOL: return "flag";
    case QN_T_ENUM: return "word";
    case QN_T_HASH:
    case QN_T_OPT_HASH: return "hash";
    case QN_T_SIG: return "signature";
    case QN_T_VRF: return "proof";
    case QN_T_STR: return "text";
    case QN_T_BYTES: return "hex";
    case QN_T_REC:
    case QN_T_OPT_REC: return "object";
    case QN_T_VEC_U32:
    case QN_T_VEC_NUM: return "numbers";
    case QN_T_VEC_HASH: return "hashes";
    case QN_T_VEC_STR: return "texts";
    case QN_T_VEC_REC: return "objects";
    }
    QN_BUG("qn_type out of range");
}

const struct qn_field *qn_field_find(const struct qn_record *rec, const char *name)
{
    for (uint32_t i = 0; i < rec->field_cnt; i++)
        if (strcmp(rec->fields[i].name, name) == 0) return &rec->fields[i];
    return NULL;
}
