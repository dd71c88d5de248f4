/* arena.h - memory with the life of a block, message or request: taken piece by piece, freed at once. */
#ifndef QN_CORE_BASE_ARENA_H
#define QN_CORE_BASE_ARENA_H

#include "core/base/span.h"

struct qn_arena_chunk;

/* Zero-initialised is empty and has no limit. */
struct qn_arena {
    struct qn_arena_chunk *head;
    size_t used, max; /* bytes handed out; max 0: no limit */
};

/* qn_arena_alloc returns n zeroed bytes aligned to 16, or NULL when max would be passed. */
void *qn_arena_alloc(struct qn_arena *arena, size_t n);
/* qn_arena_copy copies len bytes (a 0 byte follows them), or returns NULL as above. */
void *qn_arena_copy(struct qn_arena *arena, const void *src, size_t len);
/* qn_arena_free gives everything back; the arena is empty and usable afterwards. */
void qn_arena_free(struct qn_arena *arena);

#endif
