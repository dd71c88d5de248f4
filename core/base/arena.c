/* arena.c - chunks of at least 4 KiB, doubling up to 1 MiB. */
#include "core/base/arena.h"

#include <stdlib.h>
#include <string.h>

struct qn_arena_chunk {
    struct qn_arena_chunk *next;
    size_t used, cap;
    _Alignas(16) uint8_t data[];
};

void *qn_arena_alloc(struct qn_arena *arena, size_t n)
{
    if (n > SIZE_MAX / 4) return NULL;
    n = (n + 15) & ~(size_t)15;
    if (arena->max && (n > arena->max || arena->used > arena->max - n)) return NULL;
    struct qn_arena_chunk *chunk = arena->head;
    if (!chunk || chunk->cap - chunk->used < n) {
        size_t cap = chunk ? QN_MIN(chunk->cap * 2, (size_t)1 << 20) : 4096;
        cap = QN_MAX(cap, n);
        chunk = malloc(sizeof *chunk + cap);
        QN_ASSERT(chunk != NULL);
        *chunk = (struct qn_arena_chunk){ .next = arena->head, .cap = cap };
        arena->head = chunk;
    }
    void *at = chunk->data + chunk->used;
    chunk->used += n;
    arena->used += n;
    memset(at, 0, n);
    return at;
}

void *qn_arena_copy(struct qn_arena *arena, const void *src, size_t len)
{
    if (len == SIZE_MAX) return NULL;
    uint8_t *at = qn_arena_alloc(arena, len + 1);
    if (at && len) memcpy(at, src, len);
    return at;
}

void qn_arena_free(struct qn_arena *arena)
{
    if (!arena) return;
    for (struct qn_arena_chunk *chunk = arena->head; chunk;) {
        struct qn_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->head = NULL;
    arena->used = 0;
}
