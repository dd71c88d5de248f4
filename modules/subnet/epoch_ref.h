/* epoch_ref.h - the epoch once more, plain and dense, written from the rule's text alone: what epoch.c is tested and measured against. */
#ifndef QN_MODULES_SUBNET_EPOCH_REF_H
#define QN_MODULES_SUBNET_EPOCH_REF_H

#include "modules/subnet/epoch.h"

/* subnet_epoch_ref gives the bits that subnet_epoch gives, in n * n memory and time. */
QN_CHECK qn_rc subnet_epoch_ref(const struct subnet_epoch_in *in, struct qn_arena *arena,
                                struct subnet_epoch_out *ret);

#endif
