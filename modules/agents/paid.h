/* paid.h - what a payee must not forget: its channels' sums and its paid requests, in a journal of its own
 * (HOME/agents/paid) and, indexed, in memory.
 *
 * A paid request is first reserved: request and voucher are on the disk before anything runs. When it ended, the
 * answer and the signed receipt are on the disk before they leave. Many requests share one write: rows are staged,
 * paid_commit writes them as one frame. Memory is ahead of the disk between the two, so nothing that was staged
 * may be told before its commit; a commit that failed ends all (the next start reads what is there).
 *
 * Sums of a channel: due counts what was charged and what is reserved; the next voucher's sum is due + price.
 * best is the highest voucher for no more than what was charged: the one to claim. */
#ifndef QN_MODULES_AGENTS_PAID_H
#define QN_MODULES_AGENTS_PAID_H

#include "ledger/store/journal.h"
#include "modules/agents/agents.h"

#define PAID_KEPT_MAX                                                                              \
    (1u << 17) /* ended requests whose answers can be had again; the oldest go first */

enum paid_state { PAID_RESERVED, PAID_DONE, PAID_ABORTED };

struct paid_chan {
    struct paid_chan *next; /* in its bucket */
    struct paid_chan *list; /* all */
    struct qn_hash id;
    uint64_t seq; /* of the last accepted voucher */
    struct qn_amount due, charged;
    bool has_best;
    struct agents_voucher best;
    void *early;           /* requests ahead of their turn; serve.c's */
    uint64_t claim_height; /* of the last claim sent by itself */
};

struct paid_call {
    struct paid_call *next;  /* in its bucket */
    struct paid_call *newer; /* ended ones by age */
    struct qn_hash key;      /* H("paid", channel | idem) */
    struct qn_hash voucher;  /* H("paid voucher", its bytes) */
    struct paid_chan *chan;
    struct qn_amount price;
    enum paid_state state;
    struct qn_frame_at at; /* its latest row on the disk */
    uint32_t off;          /* within the frame */
    void *live;            /* being run: serve.c's */
};

struct paid;

QN_CHECK qn_rc paid_open(const char *home, struct paid **ret, struct qn_why *why);
void paid_close(struct paid *p);

struct paid_call *paid_find(struct paid *p, const struct qn_hash *channel,
                            const struct qn_hash *idem);
/* paid_chan_find returns NULL for a channel that never paid; _list the first of all. */
struct paid_chan *paid_chan_find(struct paid *p, const struct qn_hash *id);
struct paid_chan *paid_chan_list(struct paid *p);
struct qn_hash paid_voucher_hash(const struct agents_voucher *v);

/* paid_reserve stages a request that passed all checks. */
struct paid_call *paid_reserve(struct paid *p, const struct agents_paid *row);
/* paid_end stages how it ended; row->receipt.status says so, its charged_cum is paid_charge's; v is the voucher it was
 * reserved with. */
void paid_end(struct paid *p, struct paid_call *call, const struct agents_voucher *v,
              const struct agents_done *row);
/* paid_charge is the sum charged on the channel once this call ends with that status. */
struct qn_amount paid_charge(const struct paid_call *call, uint8_t status);
/* paid_commit writes what is staged; nothing staged is fine. */
QN_CHECK qn_rc paid_commit(struct paid *p, struct qn_why *why);
bool paid_broken(const struct paid *p);

/* paid_request and paid_answer read a committed row again. */
QN_CHECK qn_rc paid_request(struct paid *p, const struct paid_call *call, struct qn_arena *arena,
                            struct agents_paid *ret, struct qn_why *why);
QN_CHECK qn_rc paid_answer(struct paid *p, const struct paid_call *call, struct qn_arena *arena,
                           struct agents_done *ret, struct qn_why *why);

/* paid_each_open visits requests that are reserved and not run yet. */
void paid_each_open(struct paid *p, void (*visit)(void *arg, struct paid_call *call), void *arg);

#endif
