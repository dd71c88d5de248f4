/* move.h - what a side of a dispute answers next: found by running the disputed steps again. The solver runs this code as
 * the challenger does; a cheat's conf has his lie in it. For workers. */
#ifndef QN_MODULES_TRAINING_MOVE_H
#define QN_MODULES_TRAINING_MOVE_H

#include "modules/training/replay.h"
#include "modules/training/training.h"

/* A state to start from instead of the first one: what replay_save wrote after `done` steps. */
struct move_from {
    uint64_t done;
    struct qn_span bytes; /* empty: none */
};

/* move_find gives the members of the next move but for its game: {"hashes": [..]} for the solver, {"index": n} or {"tiles":
 * [..], "chunks": [..]} for the challenger.
 *
 * data  the whole blob of the job's data set
 * game  untrusted; QN_E_RANGE when it does not fit the job
 *
 * QN_E_CHECK when this side, as challenger, has nothing to reject. */
QN_CHECK qn_rc move_find(const struct replay_conf *conf, struct qn_span data,
                         const struct training_game *game, const struct move_from *from,
                         json_t **ret, struct qn_why *why);

/* move_challenge gives the members of game.open for segment seg of a trace of cnt segments (their bytes, one after another),
 * but for run and salt. */
json_t *move_challenge(struct qn_span trace, uint32_t cnt, uint32_t seg) QN_GIVES;

#endif
