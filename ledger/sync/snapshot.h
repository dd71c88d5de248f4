/* snapshot.h - a state to begin from: all rows after a final block in chunks that each prove themselves, and the blocks of the last ten
 * minutes, whose transactions must not come again.
 *
 *     manifest   "QNSN" | u8 2
 *                u32 len | the front of a proof (ledger/state/proof.h): the block, and why it is final
 *                u8 has | header, Borsh                     the block that the bodies begin above; has 0: they begin with block 1
 *                u32 cnt, cnt times a chunk:  hash[32] | u32 bytes | u16 len | to | u32 len | edge
 *                u32 cnt, cnt times a piece:  hash[32] | u32 bytes
 *     chunk      the rows from the chunk's before `to` up to its own, the last one's empty: to the end; ledger/state/trie.h
 *     piece      u32 len | block, Borsh, one after the other, rising
 *
 * A chunk is cut where the hash of a key begins with 14 zero bits, so that an unchanged part of the state is the same chunk, and the same blob,
 * in the next snapshot. Hashes are plain BLAKE3, the names of blobs. Nothing is believed but the chain's hash or a block's: each chunk's
 * edge leads to the state root of a final block, the bodies' hashes to that block. */
#ifndef QN_LEDGER_SYNC_SNAPSHOT_H
#define QN_LEDGER_SYNC_SNAPSHOT_H

#include "ledger/state/proof.h"

#define QN_CHUNK_MAX    (16u << 20) /* bytes of a chunk or piece, but for one row or block alone */
#define QN_MANIFEST_MAX (256u << 20)
#define QN_PARTS_MAX    65536u /* chunks and pieces: a state of some 130 GB */

/* Where chunks and pieces lie. */
struct qn_chunks {
    void *self;
    unsigned cut_bits;  /* zeros that a key's hash begins with where a chunk is cut; 0: 14 */
    size_t piece_bytes; /* of bodies in a piece; 0: 2 MiB */
    qn_rc (*put)(void *self, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why);
    qn_rc (*get)(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                 struct qn_why *why);
};

struct qn_snapshot {
    struct qn_proof proof;                /* the block */
    struct qn_header begin;               /* height 0: the bodies begin with block 1 */
    struct qn_span front, chunks, pieces; /* lent from the manifest; front: of the proof */
    uint32_t chunk_cnt, piece_cnt, block_cnt;
    uint64_t row_cnt, bytes;
};

/* qn_snapshot_make puts all of the chain's head away and appends the manifest. QN_E_AGAIN before the first block, and where the chain does not
 * hold the last ten minutes. */
QN_CHECK qn_rc qn_snapshot_make(struct qn_chain *chain, const struct qn_steps *steps,
                                const struct qn_chunks *chunks, struct qn_buf *ret,
                                struct qn_snapshot *ret_info, struct qn_why *why);
/* qn_snapshot_read reads a manifest alone: its block is final (trust and set as in qn_proof_front_by), its entries are whole. Of the chunks and pieces
 * that it names nothing is known yet. */
QN_CHECK qn_rc qn_snapshot_read(struct qn_span manifest, const struct qn_hash *trust,
                                const struct qn_set *set, struct qn_snapshot *ret,
                                struct qn_why *why);
/* qn_snapshot_reread reads one again that was read and believed: header is the encoded one of its block. Nothing of the proof is looked at. */
QN_CHECK qn_rc qn_snapshot_reread(struct qn_span manifest, const struct qn_hash *chain,
                                  struct qn_span header, struct qn_snapshot *ret,
                                  struct qn_why *why);
/* One that it names; spans are lent from the manifest. */
struct qn_part {
    struct qn_hash hash;
    uint32_t bytes;
    bool chunk; /* else a piece of bodies */
    struct qn_span from, to, edge;
    const uint8_t *rest; /* of the manifest, behind it */
};
/* qn_snapshot_next gives one after the other, chunks first: *at is zero at the beginning. false: there are no more. */
QN_CHECK bool qn_snapshot_next(const struct qn_snapshot *sn, struct qn_part *at);
/* qn_snapshot_chunk says whether rows are all of a chunk under the block's state root: by itself, whatever others are. */
QN_CHECK qn_rc qn_snapshot_chunk(const struct qn_snapshot *sn, const struct qn_part *chunk,
                                 struct qn_span rows);
/* A block that bodies must end in. Pieces prove themselves from the last to the first: its last block is the final one, and the first block of each names
 * the last of the piece before. Every block has another state root than the one before, for its time is in the state: the same has a filler only, which
 * stands on an epoch's last block, may be certified, and is no block to go on from. */
struct qn_link {
    uint64_t height;
    struct qn_hash block, above; /* above: the state root of the block that names it */
};
/* qn_snapshot_link is what the last piece must end in. */
struct qn_link qn_snapshot_link(const struct qn_snapshot *sn);
/* qn_snapshot_bodies says whether a piece's bytes are whole blocks that end in *link, and makes it what the piece before must end in. first: it is the
 * manifest's first piece, which begins above `begin`. QN_E_PROOF, QN_E_FORMAT. */
QN_CHECK qn_rc qn_snapshot_bodies(const struct qn_snapshot *sn, struct qn_span piece, bool first,
                                  struct qn_link *link);
/* qn_snapshot_check reads a manifest and everything that it names. trust as in qn_proof_check. why names the chunk that is not what it should
 * be. ret's spans are lent from the manifest. */
QN_CHECK qn_rc qn_snapshot_check(struct qn_span manifest, const struct qn_hash *trust,
                                 const struct qn_chunks *chunks, struct qn_snapshot *ret,
                                 struct qn_why *why);
/* qn_snapshot_restore is qn_snapshot_check (set as in qn_snapshot_read), and makes a journal and a checkpoint in home, where none may be, from which a node goes on. On
 * failure home is as it was. */
QN_CHECK qn_rc qn_snapshot_restore(struct qn_span manifest, const struct qn_hash *trust,
                                   const struct qn_set *set, const struct qn_chunks *chunks,
                                   const char *home, uint64_t map_gib, struct qn_snapshot *ret,
                                   struct qn_why *why);

/* qn_snapshot_store makes a checkpoint alone, a new file at path, of the block's rows, each chunk checked: beside a journal that holds that block and
 * those after it, it stands for one that was damaged. No body is read. */
QN_CHECK qn_rc qn_snapshot_store(struct qn_span manifest, const struct qn_chunks *chunks,
                                 const char *path, uint64_t map_gib, struct qn_snapshot *ret,
                                 struct qn_why *why);

#endif
