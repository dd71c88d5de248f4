/* local.h - functions on the side of whoever holds a validator's or a miner's key. */
#ifndef QN_MODULES_SUBNET_LOCAL_H
#define QN_MODULES_SUBNET_LOCAL_H

#include "core/module/local.h"

extern const struct qn_local SUBNET_LOCALS[];

#endif
