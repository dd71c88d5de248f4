/* parcel.c - blocks in one piece of memory, counted. */
#include "ledger/state/parcel.h"

#include "ledger/state/state.h"

#include <stdlib.h>

#define ARENA_MAX (64u << 20)

static struct qn_parcel *make(void)
{
    struct qn_parcel *parcel = calloc(1, sizeof *parcel);
    QN_ASSERT(parcel != NULL);
    parcel->refs = 1;
    parcel->arena.max = ARENA_MAX;
    return parcel;
}

/* Keeps a copy; false when it passes the limit. */
static bool hold(struct qn_parcel *p, struct qn_span message, size_t skip)
{
    uint8_t *copy = qn_arena_copy(&p->arena, message.ptr, message.len);
    QN_ASSERT(skip <= message.len);
    if (!copy) return false;
    p->message = QN_SPAN(copy, message.len);
    p->bytes = QN_SPAN(copy + skip, message.len - skip);
    return true;
}

qn_rc qn_parcel_read(struct qn_span message, size_t skip, struct qn_parcel **ret,
                     struct qn_why *why)
{
    struct qn_parcel *p = make();
    qn_rc rc = hold(p, message, skip)
                   ? qn_decode(qn_proposal_record(), p->bytes, &p->arena, &p->p, why)
                   : QN_E_MEMORY;
    if (rc) {
        qn_parcel_unref(p);
        return rc;
    }
    p->hash = qn_header_hash(&p->p.block.header);
    *ret = p;
    return QN_OK;
}

struct qn_parcel *qn_parcel_of(const struct qn_block *block)
{
    struct qn_parcel *p = make();
    struct qn_buf buf = { 0 };
    qn_encode(qn_block_record(), block, &buf);
    bool held = hold(p, qn_buf_get(&buf), 0);
    QN_ASSERT(held);
    qn_buf_free(&buf);
    QN_ASSERT(qn_decode(qn_block_record(), p->bytes, &p->arena, &p->p.block, NULL) == QN_OK);
    p->hash = qn_header_hash(&p->p.block.header);
    return p;
}

struct qn_parcel *qn_parcel_ref(struct qn_parcel *parcel)
{
    parcel->refs++;
    return parcel;
}

void qn_parcel_unref(struct qn_parcel *parcel)
{
    if (!parcel || --parcel->refs) return;
    qn_arena_free(&parcel->arena);
    free(parcel);
}

void qn_parcel_name(struct qn_parcel *parcel)
{
    const struct qn_block *b = &parcel->p.block;
    if (parcel->ids) return;
    parcel->arena.max = 0; /* names are ours */
    parcel->ids = qn_arena_alloc(&parcel->arena, (b->txs.cnt + 1) * sizeof *parcel->ids);
    parcel->wholes = qn_arena_alloc(&parcel->arena, (b->txs.cnt + 1) * sizeof *parcel->wholes);
    QN_ASSERT(parcel->ids && parcel->wholes);
    /* header | count | transactions: they are found from the first on, for Borsh has one form of each. */
    struct qn_buf head = { 0 };
    qn_encode(qn_header_record(), &b->header, &head);
    const uint8_t *at = parcel->bytes.ptr + head.len + 4;
    qn_buf_free(&head);
    for (uint32_t i = 0; i < b->txs.cnt; i++) {
        size_t len = qn_tx_len(&b->txs.ptr[i]);
        qn_tx_names(&b->txs.ptr[i], QN_SPAN(at, len), &parcel->ids[i], &parcel->wholes[i]);
        at += len;
    }
    QN_ASSERT(at <= parcel->bytes.ptr + parcel->bytes.len);
}

static bool find_out(struct qn_parcel *parcel)
{
    const struct qn_block *b = &parcel->p.block;
    size_t bytes = 0;
    if (b->txs.cnt > QN_BLOCK_TXS) return false;
    for (uint32_t i = 0; i < b->txs.cnt; i++)
        bytes += qn_tx_len(&b->txs.ptr[i]);
    if (bytes > QN_BLOCK_BYTES) return false;
    qn_parcel_name(parcel);
    struct qn_hash root = qn_body_root_of(parcel->wholes, b->txs.cnt);
    return qn_hash_eq(&root, &b->header.body_root);
}

bool qn_parcel_whole(struct qn_parcel *parcel)
{
    if (parcel->whole == 0) parcel->whole = find_out(parcel) ? 1 : -1;
    return parcel->whole > 0;
}
