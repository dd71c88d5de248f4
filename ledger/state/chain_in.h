/* chain_in.h - inside of a chain, shared by its files: chain_open.c reads the journal, chain.c holds the tree of blocks, chain_final.c makes them
 * final and writes checkpoints, chain_past.c remembers those, chain_read.c answers. */
#ifndef QN_LEDGER_STATE_CHAIN_IN_H
#define QN_LEDGER_STATE_CHAIN_IN_H

#include "ledger/state/annals.h"
#include "ledger/state/chain.h"
#include "ledger/state/idmap.h"

/* An executed block that is not final. */
struct branch {
    struct branch *next, *parent; /* parent NULL: the head */
    struct qn_hash hash;
    struct qn_parcel *parcel;
    struct qn_frame frame; /* cert empty; the block is the parcel's, the rest the arena's */
    struct qn_idmap *has;  /* ids and slots, while it is not final */
    struct qn_arena arena;
    struct qn_delta *delta;     /* NULL: a filler */
    bool pledged;               /* the journal holds the body: */
    struct qn_frame_at pledge;  /* the frame, */
    uint8_t pledge_idx;         /* the number in it */
    struct qn_stake_sets *sets; /* of a block that ends its epoch: who votes then */
};

/* A segment of the journal that begins above this block, and needs none before it. */
struct anchor {
    uint64_t height, t_ms;
    uint32_t seg;
};

struct pledge {
    struct pledge *next;
    struct qn_pledge p;
    struct qn_arena arena;
};

struct qn_chain {
    struct qn_chain_conf conf;
    struct qn_state *st;
    struct qn_journal *journal;
    struct qn_store *store;
    struct qn_hash id, head, set_root;
    struct qn_set set;
    struct qn_header header; /* of the head */
    struct qn_buf cert, by;  /* of the head, Borsh; empty: it has none of its own; or a filler's */
    struct qn_buf genesis;   /* Borsh */
    struct qn_store_meta saved; /* what the checkpoint holds */
    bool store_bad; /* state.mdb is damaged: it is neither written nor read; ledger/state/scrub.h */
    struct qn_trie *dirty;    /* keys changed since */
    struct qn_recent *recent; /* ids and slots of blocks that are not aged, or not noted */
    struct qn_place *at;      /* at[at_off + i] says where block at_low + i + 1 lies */
    size_t at_off, at_cnt, at_cap;
    uint64_t at_base;       /* the journal begins above this block, */
    uint64_t at_low;        /* places are in memory above this one */
    uint64_t aged;          /* up to here no transaction can come again */
    uint64_t noted;         /* up to here the annals know all */
    size_t aged_ids;        /* of blocks above noted, up to aged */
    bool strange;           /* the annals are of another journal */
    struct anchor *anchors; /* segments that begin with one */
    size_t anchor_cnt, anchor_cap;
    struct branch *branches, *tip; /* tip: whose changes the rows hold; NULL: the head's alone */
    struct {
        struct qn_hash parent, pub;
        struct qn_vrf_proof vrf;
        struct qn_hash beacon;
    } drawn;                /* by qn_chain_draw; all zero: nothing */
    struct pledge *pledges; /* of views that are not over, first the newest */
    uint64_t saved_ms;      /* monotonic, of the last checkpoint */
    bool opened;            /* what is here may be written; until then nothing is */
    uint64_t flushed_ms;    /* when nothing waited in the journal */
    uint64_t secret;        /* of maps by id */
};

/* Whether the header's beacon is the one its proposer could not choose. */
bool qn_chain_beacon_ok(const struct qn_chain *c, const struct qn_hash *before,
                        const struct qn_header *h);
/* Whether a head may say this of who was heard to vote (not at all above a block of another set, or in a filler): nothing, or so many that
 * they certify a block, as who builds on one has them. Nobody can check more: a proposer may keep silent about votes that it saw, and say
 * that it saw some. fault.c judges with that in mind. */
bool qn_chain_signers_ok(const struct qn_chain *c, const struct qn_hash *signers, bool may);
/* Tells the state what the block that is executed next says of it. */
void qn_chain_tell_signers(struct qn_chain *c, const struct qn_hash *signers);
void qn_chain_note_dirty(void *arg, struct qn_span key);
/* The head is from now on this block. */
void qn_chain_note_block(struct qn_chain *c, const struct qn_block *block,
                         const struct qn_hash *ids, struct qn_place at);
/* The journal begins above this block; or does from now on. */
void qn_chain_begin_above(struct qn_chain *c, uint64_t height);
void qn_chain_forget_below(struct qn_chain *c, uint64_t height);
/* Whether so much is old that it is worth a run of the annals. */
QN_CHECK bool qn_chain_old_due(const struct qn_chain *c);
/* In the checkpoint that was begun: notes what is old when that is due. qn_chain_noted says, after the commit, up to where that was. */
QN_CHECK qn_rc qn_chain_note_old(struct qn_chain *c, uint64_t *ret_to, struct qn_why *why);
void qn_chain_noted(struct qn_chain *c, uint64_t to);
/* Where a block lies that the journal has. */
QN_CHECK qn_rc qn_chain_place(struct qn_chain *c, uint64_t height, struct qn_place *ret,
                              struct qn_why *why);
void qn_chain_note_cert(struct qn_chain *c, const struct qn_frame *f);
void qn_chain_branch_free(struct branch *b);
struct branch *qn_chain_branch_find(const struct qn_chain *c, const struct qn_hash *hash);
bool qn_chain_descends(const struct branch *b, const struct branch *from);
/* Makes the rows those after b; NULL: after the head. */
void qn_chain_go(struct qn_chain *c, struct branch *b);
void qn_chain_to_head(struct qn_chain *c);
void qn_chain_note_anchor(struct qn_chain *c, const struct qn_header *h, uint32_t seg);
/* Forgets what was pledged in views that the head has ended. */
void qn_chain_settle_pledges(struct qn_chain *c);
struct qn_frame qn_chain_frame_of(const struct qn_final *final, const struct qn_block *block);

#endif
