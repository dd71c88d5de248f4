/* base.c - panic, hash comparison, 128-bit scaling. */
#include "core/base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void qn_panic(const char *file, int line, const char *what)
{
    fprintf(stderr, "quoin: bug at %s:%d: %s\n", file, line, what);
    abort();
}

bool qn_hash_eq(const struct qn_hash *a, const struct qn_hash *b)
{
    uint64_t x[4], y[4]; /* no branch tells where they differ */
    memcpy(x, a->b, sizeof x);
    memcpy(y, b->b, sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

int qn_hash_cmp(const struct qn_hash *a, const struct qn_hash *b)
{
    return memcmp(a->b, b->b, sizeof a->b);
}

bool qn_hash_is_zero(const struct qn_hash *a)
{
    const struct qn_hash zero = { { 0 } };
    return qn_hash_eq(a, &zero);
}

bool qn_muldiv(uint64_t a, uint64_t b, uint64_t c, uint64_t *ret)
{
    if (c == 0) return false;
    __extension__ unsigned __int128 quot = (unsigned __int128)a * b / c;
    if (quot > UINT64_MAX) return false;
    *ret = (uint64_t)quot;
    return true;
}
