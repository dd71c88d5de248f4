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
    unsigned diff = 0;
    for (size_t i = 0; i < sizeof a->b; i++)
        diff |= (unsigned)(a->b[i] ^ b->b[i]);
    return diff == 0;
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
