/* embed.h - files of the tree that travel in the binary (Lua library, examples, reference pages). */
#ifndef QN_CORE_BASE_EMBED_H
#define QN_CORE_BASE_EMBED_H

#include "core/base/span.h"

struct qn_embed {
    const char *path; /* "lua/std/check.lua"; NULL ends the table */
    const uint8_t *ptr;
    size_t len; /* a 0 byte follows, not counted */
};

/* qn_embed_get finds a file by its path in the tree; false when it did not travel. Lent for ever. */
QN_CHECK bool qn_embed_get(const char *path, struct qn_span *ret);
/* qn_embed_all returns the whole table, sorted as the build listed it. */
const struct qn_embed *qn_embed_all(void);

#endif
