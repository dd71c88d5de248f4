/* subnet.h - scoring markets on the ledger: seats are bought, validators commit to rows of weights and show them, the epoch (epoch.h)
 * turns rows into shares of the emission. Scoring itself is a Lua text run off the ledger (score.h), with signed evidence.
 *
 * Time is block time in ms wherever the published rule counts blocks: the epoch only compares, block times rise strictly, and the
 * deadline index counts ms. A subnet's id is H("subnet", name); keys start with it, so a subnet's rows lie together. */
#ifndef QN_MODULES_SUBNET_SUBNET_H
#define QN_MODULES_SUBNET_SUBNET_H

#include "core/module/call.h"
#include "ledger/state/apply.h"
#include "modules/subnet/epoch.h"

#include "core/schema/declare.h"
#include "modules/subnet/subnet.def"

enum { SUBNET_TAG = 3 };
enum {
    SUBNET_T_STATE = 0x30,  /* sid -> subnet_state */
    SUBNET_T_SEAT = 0x31,   /* sid, uid -> subnet_seat */
    SUBNET_T_ROW = 0x32,    /* sid, uid -> subnet_cells: weights */
    SUBNET_T_BOND = 0x33,   /* sid, uid -> subnet_cells */
    SUBNET_T_STAKE = 0x34,  /* subnet_stake_id -> subnet_stake */
    SUBNET_T_COMMIT = 0x35, /* sid, epoch, hotkey -> subnet_commit */
    SUBNET_T_HOTKEY = 0x36, /* sid, hotkey -> uid */
    SUBNET_T_PAST = 0x37,   /* sid, epoch -> subnet_past */
    SUBNET_T_SCRIPT = 0x38, /* sid -> the text */
    SUBNET_T_POOL = 0x39,   /* "pool" -> subnet_pool */
};
enum {
    SUBNET_TX_CREATE = SUBNET_TAG << 8 | 1,
    SUBNET_TX_BURN,
    SUBNET_TX_STAKE,
    SUBNET_TX_UNBOND,
    SUBNET_TX_COMMIT,
    SUBNET_TX_REVEAL,
    SUBNET_TX_SET,
};
enum { SUBNET_DUE_EPOCH = SUBNET_TAG << 8 | 1, SUBNET_DUE_UNBOND };

#define SUBNET_SEATS_MAX                                                                           \
    1024 /* of a subnet on the ledger: an epoch of 1,024 / 64 takes about 10 ms */

#define SUBNET_COMMITS_KEPT 8 /* epochs; as long a row can be checked against its evidence */

/* A key of the tables above. */
struct subnet_key {
    uint8_t b[72];
    size_t len;
};

struct qn_hash subnet_id(struct qn_span name);
struct subnet_key subnet_key_uid(const struct qn_hash *sid, uint32_t uid);
struct subnet_key subnet_key_hotkey(const struct qn_hash *sid, const struct qn_hash *hotkey);
struct subnet_key subnet_key_epoch(const struct qn_hash *sid, uint64_t epoch);
struct subnet_key subnet_key_commit(const struct qn_hash *sid, uint64_t epoch,
                                    const struct qn_hash *hotkey);
static inline struct qn_span subnet_key_span(const struct subnet_key *key)
{
    return QN_SPAN(key->b, key->len);
}

/* Reading; memory from arena. QN_E_NOTFOUND in words. */
QN_CHECK qn_rc subnet_get(const struct qn_view *view, struct qn_span name, struct qn_arena *arena,
                          struct qn_hash *ret_sid, struct subnet_state *ret, struct qn_why *why);
void subnet_seat_get(const struct qn_view *view, const struct qn_hash *sid, uint32_t uid,
                     struct qn_arena *arena, struct subnet_seat *ret);
QN_CHECK bool subnet_uid_of(const struct qn_view *view, const struct qn_hash *sid,
                            const struct qn_hash *hotkey, uint32_t *ret);
QN_CHECK bool subnet_commit_get(const struct qn_view *view, const struct qn_hash *sid,
                                uint64_t epoch, const struct qn_hash *hotkey,
                                struct subnet_commit *ret);
struct qn_hash subnet_stake_id(const struct qn_hash *sid, const struct qn_hash *hotkey);
uint64_t subnet_bonded(const struct qn_view *view, const struct qn_hash *sid,
                       const struct qn_hash *hotkey);
/* subnet_beacon is the randomness of an epoch that is open or past; false when it is neither. */
QN_CHECK bool subnet_beacon(const struct qn_view *view, const struct qn_hash *sid,
                            const struct subnet_state *s, uint64_t epoch, struct qn_hash *ret);

/* Price of a seat at a block: decays by half in half_life blocks, one floor a block; subnet_burn_bump is what a registration does. */
uint64_t subnet_burn_block(uint64_t price, q32 factor, uint64_t min, uint64_t max);
uint64_t subnet_burn_bump(uint64_t price, uint32_t mult_ppm, uint64_t min, uint64_t max);
uint64_t subnet_price(const struct subnet_state *s, uint64_t height);

/* subnet_rules_fill puts standard values for zeros; QN_E_RANGE naming what is out of range. */
QN_CHECK qn_rc subnet_rules_fill(struct subnet_rules *rules, struct qn_why *why);

/* subnet_share_sync counts what the pool got since; what a subnet may give away is in s->carry then. */
void subnet_share_sync(struct qn_apply *ap, struct subnet_state *s, struct subnet_pool *ret);
void subnet_state_save(struct qn_apply *ap, const struct qn_hash *sid,
                       const struct subnet_state *s);

/* subnet_input gathers what the epoch of a subnet would run on at view's time. */
void subnet_input(const struct qn_view *view, const struct qn_hash *sid,
                  const struct subnet_state *s, uint64_t emission, struct qn_arena *arena,
                  struct subnet_epoch_in *ret);

/* weights_hash is what a commit is bound to. */
struct qn_hash weights_hash(const struct qn_hash *chain, const struct qn_hash *sid,
                            const struct qn_hash *hotkey, uint64_t epoch,
                            const struct qn_hash *leaf_root, uint32_t leaf_cnt,
                            const struct weights_body *body);

/* Handlers, for the tables in subnet.c. */
qn_rc subnet_create_check(const void *body, struct qn_why *why);
qn_rc subnet_create_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc seat_burn_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc stake_check(const void *body, struct qn_why *why);
qn_rc stake_add_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc stake_unbond_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc weights_commit_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc weights_reveal_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
qn_rc weights_set_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
void subnet_due_epoch(struct qn_apply *ap, const struct qn_hash *sid);
void subnet_due_unbond(struct qn_apply *ap, const struct qn_hash *id);

extern const struct qn_call SUBNET_CALLS[];
extern const struct qn_chain_fn SUBNET_CHAIN[];

#endif
