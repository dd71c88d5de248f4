/* rs_peer.c - ISA-L's half of bench_net_blob, dynamically linked since Debian has no archive of it: for each k a line of "k encode restore",
 * GB/s of data. */
#include <isa-l.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Best of many: GB/s of k pieces in, k out. */
static double race(int len, int k, unsigned char *tables, unsigned char **in, unsigned char **out)
{
    double best = 0;
    for (int round = 0; round < 30; round++) {
        double t = now();
        ec_encode_data(len, k, k, tables, in, out);
        t = now() - t;
        double gbs = (double)k * len / t / 1e9;
        if (gbs > best) best = gbs;
    }
    return best;
}

int main(void)
{
    static const int KS[] = { 32, 64, 127 };
    for (int n = 0; n < 3; n++) {
        int k = KS[n], len = 16384;
        unsigned char *m = malloc((size_t)2 * k * k), *inv = malloc((size_t)k * k),
                      *tables = malloc((size_t)32 * k * k), *piece[254];
        for (int i = 0; i < 2 * k; i++) {
            piece[i] = malloc((size_t)len);
            for (int j = 0; j < len; j++)
                piece[i][j] = (unsigned char)(i * 31 + j * 7);
        }
        gf_gen_cauchy1_matrix(m, 2 * k, k);
        ec_init_tables(k, k, m + k * k, tables);
        double encode = race(len, k, tables, piece, piece + k);
        double t = now(), restore;
        gf_invert_matrix(m + k * k, inv, k); /* all the data is lost */
        ec_init_tables(k, k, inv, tables);
        t = now() - t;
        restore = race(len, k, tables, piece + k, piece);
        restore = 1 / (1 / restore + t / ((double)k * len / 1e9));
        printf("%d %.4f %.4f\n", k, encode, restore);
    }
    return 0;
}
