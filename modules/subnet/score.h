/* score.h - scoring off the ledger: tasks and scores by a subnet's own script, and the evidence for them. */
#ifndef QN_MODULES_SUBNET_SCORE_H
#define QN_MODULES_SUBNET_SCORE_H

#include "modules/subnet/subnet.h"

json_t *subnet_hex(const struct qn_hash *h);

#define SUBNET_SCORE_CALLS                                                                         \
    {                                                                                              \
        NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL                                                \
    }

#endif
