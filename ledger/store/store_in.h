/* store_in.h - what the writer (store.c) and the reader (scan.c) of state.mdb both know. */
#ifndef QN_LEDGER_STORE_STORE_IN_H
#define QN_LEDGER_STORE_STORE_IN_H

#include "core/base/span.h"
#include "core/env/disk.h"

#include <string.h>
#include <zlib.h>

#define STORE_KEY_MAX 511u /* of LMDB as of the state */

static const char STORE_META_KEY[] = "quoin-state-1";

/* qn_store_name syncs the folder of a file that was made: a checkpoint whose name power takes away is lost as a whole, and the journal let go of what
 * it holds. 0 or -errno. */
int qn_store_name(const struct qn_disk *disk, const char *path);

/* A row of the table of the past: value | u32 crc32 of key and value. */
static inline uint32_t store_past_sum(struct qn_span key, struct qn_span val)
{
    uLong sum = crc32(0, key.ptr, (uInt)key.len);
    return (uint32_t)crc32(sum, val.ptr, (uInt)val.len);
}

/* Takes the sum off a row's end; false: it is not that of the row. */
static inline bool store_past_take(struct qn_span key, struct qn_span *val)
{
    uint32_t sum;
    if (val->len < sizeof sum) return false;
    val->len -= sizeof sum;
    memcpy(&sum, val->ptr + val->len, sizeof sum);
    return sum == store_past_sum(key, *val);
}

#endif
