/* testnet.h - small random networks for tests and benches. */
#ifndef QN_MODULES_ZKML_TESTNET_H
#define QN_MODULES_ZKML_TESTNET_H

#include "modules/zkml/prove.h"

struct testnet {
    struct qn_arena arena;
    struct int8_model net;
    struct zkml_secret secret;
    int8_t *x;
};

/* testnet_make draws weights and an input from seed and commits to them; dims has layers + 1 sizes. */
QN_CHECK qn_rc testnet_make(struct testnet *n, const uint32_t *dims, uint32_t layers,
                            uint32_t budget, uint64_t seed, struct qn_why *why);
QN_CHECK qn_rc testnet_prove(const struct testnet *n, const struct zkml_lie *lie, uint64_t seed,
                             struct qn_buf *out, int8_t *ret_y, struct qn_why *why);
void testnet_free(struct testnet *n);

#endif
