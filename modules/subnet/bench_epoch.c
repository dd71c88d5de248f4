/* bench_epoch.c - an epoch of 256 seats, 64 of them validators with full rows, as rows of the ledger have it, on one thread; beside it the plain
 * dense reference, interleaved, best of each. */
#include "modules/subnet/epoch_ref.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N      256u
#define V      64u
#define ROUNDS 20

static double now(void)
{
    struct timespec t; /* of this thread: others may have the core in between */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct world {
    struct subnet_epoch_in in;
    uint64_t stake[N], update[N], since[N];
    bool permit[N];
    struct subnet_row rows[N], bonds[N];
    struct subnet_cell cells[2][V][N];
};

static void fill(struct world *w, bool liquid)
{
    uint64_t s = 88172645463325252u;
    *w = (struct world){ .in = { .n = N,
                                 .block = 1000,
                                 .last_tempo = 640,
                                 .emission = 1000000000,
                                 .owner = -1,
                                 .params = { .kappa = 32767,
                                             .bonds_penalty = 65535,
                                             .alpha_low = 45875,
                                             .alpha_high = 58982,
                                             .steepness = 1000,
                                             .bonds_moving_average = 900000,
                                             .max_validators = V,
                                             .activity_cutoff = 5000,
                                             .yuma3 = true,
                                             .liquid_alpha = liquid } } };
    w->in.stake = w->stake;
    w->in.last_update = w->update;
    w->in.registered = w->since;
    w->in.permit = w->permit;
    w->in.weights = w->rows;
    w->in.bonds = w->bonds;
    for (uint32_t i = 0; i < V; i++) {
        w->stake[i] = 1000000 + i;
        w->permit[i] = true;
        w->update[i] = 900;
        w->rows[i].cells = w->cells[0][i];
        w->bonds[i].cells = w->cells[1][i];
        for (uint32_t j = V; j < N; j++) { /* validators agree up to some noise */
            s ^= s << 13, s ^= s >> 7, s ^= s << 17;
            uint16_t base = (uint16_t)(j * 200 + (s & 2047));
            w->rows[i].cells[w->rows[i].cnt++] = (struct subnet_cell){ j, base };
            w->bonds[i].cells[w->bonds[i].cnt++] = (struct subnet_cell){ j, (uint16_t)(s >> 20) };
        }
    }
}

typedef qn_rc epoch_fn(const struct subnet_epoch_in *, struct qn_arena *,
                       struct subnet_epoch_out *);

static double once(const struct world *w, epoch_fn *fn)
{
    struct qn_arena arena = { 0 };
    struct subnet_epoch_out out;
    double t0 = now();
    qn_rc rc = fn(&w->in, &arena, &out);
    double took = now() - t0;
    QN_ASSERT(rc == QN_OK && out.incentive[N - 1] > 0);
    qn_arena_free(&arena);
    return took * 1e3;
}

int main(void)
{
    struct world *w = calloc(1, sizeof *w);
    QN_ASSERT(w != NULL);
    for (int liquid = 0; liquid < 2; liquid++) {
        double ours = 1e9, ref = 1e9;
        fill(w, liquid);
        for (int i = 0; i < ROUNDS; i++) {
            double a = once(w, subnet_epoch), b = once(w, subnet_epoch_ref);
            ours = QN_MIN(ours, a);
            ref = QN_MIN(ref, b);
        }
        printf("{\"name\":\"epoch 256/64 "
               "%s\",\"value\":%.4f,\"unit\":\"ms\",\"peer\":\"epoch_ref\",\"peer_value\":%.4f,"
               "\"ratio\":%.2f}\n",
               liquid ? "liquid" : "dense", ours, ref, ref / ours);
    }
    free(w);
    return 0;
}
