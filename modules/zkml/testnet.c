/* testnet.c - small random networks for tests and benches. */
#include "modules/zkml/testnet.h"

#include "core/crypto/hash.h"

#include <string.h>

qn_rc testnet_make(struct testnet *n, const uint32_t *dims, uint32_t layers, uint32_t budget,
                   uint64_t seed, struct qn_why *why)
{
    struct qn_hash h = qn_h("testnet", &seed, sizeof seed);
    struct zkml_rand r;
    *n = (struct testnet){ .net.layer_cnt = layers };
    zkml_rand_init(&r, h.b, 9);
    for (uint32_t l = 0; l < layers; l++) {
        int8_t *w = qn_arena_alloc(&n->arena, (size_t)dims[l] * dims[l + 1]);
        int32_t *b = qn_arena_alloc(&n->arena, 4 * (size_t)dims[l + 1]);
        for (size_t i = 0; i < (size_t)dims[l] * dims[l + 1]; i++)
            w[i] = (int8_t)(zkml_rand_f(&r) >> 8);
        for (uint32_t o = 0; o < dims[l + 1]; o++)
            b[o] = (int32_t)(zkml_rand_f(&r) % 20001) - 10000;
        n->net.layer[l] = (struct int8_layer){ dims[l], dims[l + 1], w, b, 1, 9, l + 1 < layers };
    }
    n->x = qn_arena_alloc(&n->arena, dims[0]);
    for (uint32_t i = 0; i < dims[0]; i++)
        n->x[i] = (int8_t)(zkml_rand_f(&r) >> 9 & 127);
    return zkml_secret_make(&n->net, budget, h.b, &n->secret, why);
}

qn_rc testnet_prove(const struct testnet *n, const struct zkml_lie *lie, uint64_t seed,
                    struct qn_buf *out, int8_t *ret_y, struct qn_why *why)
{
    struct qn_hash h = qn_h("testnet proof", &seed, sizeof seed);
    struct zkml_prove_in in = { .secret = &n->secret, .x = n->x, .height_to = 1000 };
    memcpy(in.seed, h.b, 32);
    in.prover = in.chain = in.job = h;
    return zkml_prove(&in, lie, out, ret_y, why);
}

void testnet_free(struct testnet *n)
{
    zkml_secret_free(&n->secret);
    qn_arena_free(&n->arena);
}
