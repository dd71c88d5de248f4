/* journal.h - the append-only truth of a node: frames, synced before append returns.
 *
 * Segments HOME/journal/seg-NNNNNNNNNN.qj, grown by preallocated zeros. A frame, 8-aligned, little-endian:
 *
 *     u32 len | u8 kind | u8[3] 0 | u64 seq | payload[len] | 0-padding to 8 | u64 prev | u32 crc32 | u32 0
 *
 * crc32 (zlib's) covers all before it; prev is the first 8 bytes of H("frame", the frame before), so that a missing
 * middle shows. len 0 ends a segment. A frame cut off by a power failure is legal only as the very last: any of its
 * sectors may be missing, and no whole frame is behind it. It is dropped. Anything else that does not fit is QN_E_CORRUPT, naming file and offset, and
 * nothing is written.
 *
 * The upper half of kind is the format of what frames hold. A journal of another one is QN_E_FOREIGN, and nothing is written.
 *
 * What need not be synced by itself waits and goes with the next frame that must, as one frame: so a power failure leaves all of it or nothing.
 * A group holds them in order, each in the form of a frame with seq and prev 0. */
#ifndef QN_LEDGER_STORE_JOURNAL_H
#define QN_LEDGER_STORE_JOURNAL_H

#include "core/env/disk.h"

#define QN_FRAME_MAX      (16u << 20)

#define QN_JOURNAL_FORMAT 1 /* 0: certificates that said with each vote what all have in common */

enum qn_frame_kind {
    QN_FRAME_GENESIS = QN_JOURNAL_FORMAT << 4 | 1,
    QN_FRAME_BLOCK,
    QN_FRAME_VOTE,
    QN_FRAME_ANCHOR, /* all that a reader needs of what came before: a journal may begin with it, at any seq */
    QN_FRAME_FINAL, /* a block is final whose body a frame of the same segment holds */
    QN_FRAME_GROUP, /* several, written at once and under one checksum; visited one by one */
};

struct qn_journal;

/* Where a frame lies, for reading it again. */
struct qn_frame_at {
    uint32_t seg;
    uint64_t off;
};

/* qn_journal_open opens or makes dir and visits every frame in order. visit may refuse: its error ends the opening.
 * The payload is lent for the call. */
QN_CHECK qn_rc qn_journal_open(const char *dir,
                               qn_rc (*visit)(void *arg, uint8_t kind, uint64_t seq,
                                              struct qn_frame_at at, struct qn_span payload,
                                              struct qn_why *why),
                               void *arg, struct qn_journal **ret, struct qn_why *why);
/* qn_journal_open_on is the same on a given disk, borrowed for the journal's life; NULL: the machine's own. */
QN_CHECK qn_rc qn_journal_open_on(const struct qn_disk *disk, const char *dir,
                                  qn_rc (*visit)(void *arg, uint8_t kind, uint64_t seq,
                                                 struct qn_frame_at at, struct qn_span payload,
                                                 struct qn_why *why),
                                  void *arg, struct qn_journal **ret, struct qn_why *why);
/* qn_journal_add appends a frame that may be lost with the power as long as nothing is appended after it; until then it lies in memory.
 * qn_journal_flush writes what waits. */
QN_CHECK qn_rc qn_journal_add(struct qn_journal *j, uint8_t kind, struct qn_span payload,
                              struct qn_frame_at *ret_at, struct qn_why *why);
QN_CHECK qn_rc qn_journal_flush(struct qn_journal *j, struct qn_why *why);
bool qn_journal_waits(const struct qn_journal *j);   /* whether there is any */
uint32_t qn_journal_seg(const struct qn_journal *j); /* where the next frame goes, unless full */
/* qn_journal_append returns when the frame is on the disk. After an error the journal takes nothing more: the node has to
 * start again from what is there. */
QN_CHECK qn_rc qn_journal_append(struct qn_journal *j, uint8_t kind, struct qn_span payload,
                                 struct qn_frame_at *ret_at, struct qn_why *why);
/* qn_journal_read appends the payload of the frame at `at` to ret. */
QN_CHECK qn_rc qn_journal_read(struct qn_journal *j, struct qn_frame_at at, struct qn_buf *ret,
                               struct qn_why *why);
uint64_t qn_journal_seq(const struct qn_journal *j); /* of the next frame */
/* qn_journal_full says whether the next frame begins a new segment; an anchor should. qn_journal_cut empties the segments below seg, which
 * must begin with an anchor: the files stay, without content, so that nobody looks for lost ones. */
bool qn_journal_full(const struct qn_journal *j);
QN_CHECK qn_rc qn_journal_cut(struct qn_journal *j, uint32_t seg, struct qn_why *why);
void qn_journal_close(struct qn_journal *j);

#endif
