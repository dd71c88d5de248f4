/* epoch.h - Yuma consensus: weights and stake in, emissions and bonds out; a pure function. Mode compat-425 follows the published rule of subtensor
 * (commit 14bc6f9f) bit for bit.
 *
 * Bounds: n <= SUBNET_UIDS_MAX, at most SUBNET_CELLS_MAX weights and as many bonds. Rows are sorted by uid without repeats; the
 * reader of foreign input sees to that (epoch_json.c, the ledger). */
#ifndef QN_MODULES_SUBNET_EPOCH_H
#define QN_MODULES_SUBNET_EPOCH_H

#include "core/base/arena.h"
#include "modules/subnet/q32.h"

#define SUBNET_UIDS_MAX  4096
#define SUBNET_CELLS_MAX (1u << 20)

/* One entry of a row: a weight or a stored bond towards uid. */
struct subnet_cell {
    uint32_t uid;
    uint16_t val;
};

struct subnet_row {
    uint32_t cnt;
    struct subnet_cell *cells;
};

struct subnet_params {
    uint16_t kappa, bonds_penalty, alpha_low, alpha_high;
    int16_t steepness;
    uint32_t bonds_moving_average; /* of 10^6 */
    uint32_t max_validators;
    uint64_t activity_cutoff, min_stake;
    bool yuma3, liquid_alpha;
};

struct subnet_epoch_in {
    uint32_t n;
    uint64_t block, last_tempo, emission;
    const uint64_t *stake, *last_update, *registered; /* n each */
    const uint64_t
        *commit_block;  /* n: oldest unexpired commit, or UINT64_MAX; NULL: no commit-reveal */
    const bool *permit; /* n: of the epoch before */
    const struct subnet_row *weights, *bonds; /* n each */
    int64_t owner;                            /* uid of the owner, or -1 */
    struct subnet_params params;
};

/* All arrays have n entries and lie in the arena. */
struct subnet_epoch_out {
    q32 *stake, *active, *consensus, *vtrust, *incentive, *dividend;
    uint64_t *server, *validator, *combined; /* shares of the emission */
    bool *permit;                            /* counts from the next epoch */
    struct subnet_row *bonds;
};

/* subnet_epoch runs one epoch. QN_E_MEMORY when the arena's limit is passed. */
QN_CHECK qn_rc subnet_epoch(const struct subnet_epoch_in *in, struct qn_arena *arena,
                            struct subnet_epoch_out *ret);

/* subnet_median is the smallest score v whose cumulated stake {stake_i : score_i <= v} exceeds minority; 0 without rows. order-free. */
q32 subnet_median(const q32 *stake, const q32 *score, size_t cnt, q32 minority);
/* subnet_topk marks the k greatest of v; of equals the later stay. scratch has cnt entries. */
void subnet_topk(const q32 *v, size_t cnt, size_t k, uint32_t *scratch, bool *ret);
/* subnet_stake_norm turns raw stake into shares of its sum. */
void subnet_stake_norm(const uint64_t *stake, size_t cnt, q32 *ret);

/* Burn price of a registration: subnet_burn_factor is the greatest Q32 f with f^half_life <= 1/2. */
q32 subnet_burn_factor(uint32_t half_life);

#endif
