/* epoch_json.h - epochs from JSON cases, for `quoin subnet epoch FILE`.
 *
 * A case: n, stake[n], weights_u16[n] rows of [uid, u16], block, last_tempo, emission, kappa_u16, bonds_penalty_u16, bonds_moving_average,
 * alpha_sigmoid_steepness, alpha_low_u16, alpha_high_u16, activity_cutoff, max_validators, yuma3, liquid_alpha, epochs;
 * last_update_all and block_at_registration_all, or arrays last_update and block_at_registration; permits[n], or validators (the uids
 * below it hold one); optional min_stake, bonds[n], owner, and steps: one object an epoch that overrides stake, permits, weights_u16, block,
 * last_tempo, last_update, block_at_registration from then on. Bonds and new permits carry over. */
#ifndef QN_MODULES_SUBNET_EPOCH_JSON_H
#define QN_MODULES_SUBNET_EPOCH_JSON_H

#include "core/base/err.h"

#include <jansson.h>

/* subnet_epoch_json runs every case and calls emit with one object a case and epoch (borrowed). Input is foreign: every number is bounded before
 * use; why names case and field. */
QN_CHECK qn_rc subnet_epoch_json(const json_t *cases,
                                 void (*emit)(void *arg, size_t case_idx, size_t epoch,
                                              json_t *line),
                                 void *arg, struct qn_why *why);

#endif
