/* base.h - what every file may use: result marks, assertions, small helpers. libc only. */
#ifndef QN_CORE_BASE_BASE_H
#define QN_CORE_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QN_CHECK                    __attribute__((warn_unused_result))
#define QN_PRINTF(fmt_idx, arg_idx) __attribute__((format(printf, fmt_idx, arg_idx)))
#define QN_UNUSED                   __attribute__((unused))
#define QN_TAKES                    /* the callee owns the argument from here on */
#define QN_GIVES                    /* the caller owns the result */

#define QN_COUNT(array)             (sizeof(array) / sizeof((array)[0]))
#define QN_MIN(a, b)                ((a) < (b) ? (a) : (b))
#define QN_MAX(a, b)                ((a) > (b) ? (a) : (b))

/* qn_panic prints file, line and what broke to stderr and aborts. For bugs only: what the outside can
 * cause is an error, see err.h. */
_Noreturn void qn_panic(const char *file, int line, const char *what);

/* Assertions stay on in releases. */
#define QN_ASSERT(cond)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) qn_panic(__FILE__, __LINE__, #cond);                     \
    } while (0)
#define QN_BUG(what) qn_panic(__FILE__, __LINE__, what)

#ifdef QN_SLOW_CHECKS
#define QN_SLOW_ASSERT(cond) QN_ASSERT(cond)
#else
#define QN_SLOW_ASSERT(cond) ((void)sizeof(cond))
#endif

/* A 32-byte hash, key or account id; a struct so that it can be assigned and returned. */
struct qn_hash {
    uint8_t b[32];
};

/* An Ed25519 signature. */
struct qn_sig {
    uint8_t b[64];
};

struct qn_vrf_proof {
    uint8_t b[80]; /* core/crypto/vrf.h */
};

/* qn_hash_eq compares in constant time. */
bool qn_hash_eq(const struct qn_hash *a, const struct qn_hash *b);
/* qn_hash_cmp orders bytewise, as memcmp. */
int qn_hash_cmp(const struct qn_hash *a, const struct qn_hash *b);
bool qn_hash_is_zero(const struct qn_hash *a);

/* qn_muldiv returns floor(a * b / c) with a 128-bit middle; false when c is 0 or it leaves u64. */
QN_CHECK bool qn_muldiv(uint64_t a, uint64_t b, uint64_t c, uint64_t *ret);

#endif
