/* bench_net_blob.c - hashing as a tree, verified streams, Reed-Solomon beside ISA-L, and how fast a swarm spreads a blob. CPU seconds, best
 * of several: this machine is shared. */
#include "core/crypto/hash.h"
#include "net/blob/swarm_sim.h"
#include "net/gossip/shard.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

struct file {
    uint8_t *bytes, *outer;
    uint64_t size;
    struct qn_hash id;
};

static void hash_tree(struct file *f)
{
    uint64_t cnt = blob_group_cnt(f->size);
    struct qn_hash *cv = malloc(cnt * sizeof *cv);
    QN_ASSERT(cv != NULL);
    qn_group_cvs(f->bytes, f->size / QN_GROUP, 0, cv); /* the bench's size is whole groups */
    blob_outer_build(cv, cnt, f->outer, &f->id);
    free(cv);
}

/* GB/s of one b3sum thread by its user and system time, its start and its reading of the file included; 0: there is none. */
static double b3sum(const struct file *f)
{
    char path[] = "/tmp/quoin-bench-XXXXXX", cmd[200];
    double user = 0, sys = 0;
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, f->bytes, f->size) != (ssize_t)f->size) return 0;
    close(fd);
    snprintf(cmd, sizeof cmd,
             "bash -c 'TIMEFORMAT=\"%%U %%S\"; time b3sum --num-threads 1 %s >/dev/null 2>&1' 2>&1",
             path);
    double best = 0;
    for (int i = 0; i < 3; i++) {
        FILE *p = popen(cmd, "r");
        if (p && fscanf(p, "%lf %lf", &user, &sys) == 2 && user + sys > 0.005)
            best = QN_MAX(best, (double)f->size / (user + sys) / 1e9);
        if (p) pclose(p);
    }
    unlink(path);
    return best;
}

static void bench_hash(struct file *f)
{
    double tree = 0, plain = 0, peer = b3sum(f);
    for (int i = 0; i < 4; i++) {
        double t = now();
        hash_tree(f);
        tree = QN_MAX(tree, (double)f->size / (now() - t) / 1e9);
        t = now();
        struct qn_hash id = qn_blake3(f->bytes, f->size);
        plain = QN_MAX(plain, (double)f->size / (now() - t) / 1e9);
        QN_ASSERT(qn_hash_eq(&id, &f->id));
    }
    printf("{\"name\":\"blob.tree\",\"value\":%.3f,\"unit\":\"GB/s a core\"", tree);
    if (peer > 0)
        printf(",\"peer\":\"b3sum, one thread\",\"peer_value\":%.3f,\"ratio\":%.3f", peer,
               tree / peer);
    printf(",\"limit\":\"the same bytes hashed without a tree\",\"limit_ratio\":%.3f}\n",
           tree / plain);
}

static qn_rc get_node(void *self, uint64_t node, uint8_t ret[BLOB_NODE])
{
    const struct file *f = self;
    memcpy(ret, f->outer + node * BLOB_NODE, BLOB_NODE);
    return QN_OK;
}

static qn_rc get_group(void *self, uint64_t group, uint8_t *dst, uint32_t len)
{
    const struct file *f = self;
    memcpy(dst, f->bytes + group * QN_GROUP, len);
    return QN_OK;
}

static qn_rc see_node(void *self, uint64_t node, const uint8_t bytes[BLOB_NODE])
{
    (void)self, (void)node, (void)bytes;
    return QN_OK;
}

static qn_rc see_group(void *self, uint64_t group, struct qn_span bytes)
{
    uint8_t *to = self;
    memcpy(to + group * QN_GROUP, bytes.ptr, bytes.len);
    return QN_OK;
}

/* One core encodes (and hashes what it reads), then decodes, in requests of 16 MiB; only the receiver's half is the value. */
static void bench_stream(struct file *f)
{
    const struct blob_source from = { f, get_node, get_group, NULL, NULL };
    uint8_t *to = malloc(f->size);
    QN_ASSERT(to != NULL);
    const struct blob_sink sink = { to, NULL, see_node, see_group, NULL };
    struct blob_encoder *e = malloc(sizeof *e);
    struct blob_decoder *d = malloc(sizeof *d);
    double best_out = 0, best_in = 0, plain = 0;
    struct qn_buf out = { 0 }, frame = { 0 };
    for (int round = 0; round < 4; round++) {
        double out_s = 0, in_s = 0;
        for (uint64_t first = 0; first < blob_group_cnt(f->size); first += BLOB_ASK_GROUPS) {
            const struct blob_range range = { first, BLOB_ASK_GROUPS };
            bool more = true;
            qn_buf_clear(&out);
            blob_encode_init(e, &f->id, f->size, &range, 1);
            while (more) { /* in frames, as it goes out */
                double t = now();
                qn_buf_clear(&frame);
                while (more && frame.len < BLOB_FRAME_MAX - QN_GROUP)
                    QN_ASSERT(blob_encode_next(e, &from, &frame, &more) == QN_OK);
                out_s += now() - t;
                qn_buf_span(&out, qn_buf_get(&frame));
            }
            double t = now();
            blob_decode_init(d, &f->id, f->size, &range, 1);
            for (size_t at = 0; at < out.len; at += 65519) /* as records come */
                QN_ASSERT(
                    blob_decode_put(d, QN_SPAN(out.ptr + at, QN_MIN((size_t)65519, out.len - at)),
                                    &sink) == QN_OK);
            in_s += now() - t;
            QN_ASSERT(blob_decode_done(d));
        }
        best_out = QN_MAX(best_out, (double)f->size / out_s / 1e9);
        best_in = QN_MAX(best_in, (double)f->size / in_s / 1e9);
        double t = now();
        (void)qn_blake3(f->bytes, f->size);
        plain = QN_MAX(plain, (double)f->size / (now() - t) / 1e9);
    }
    qn_buf_free(&out);
    qn_buf_free(&frame);
    QN_ASSERT(memcmp(to, f->bytes, f->size) == 0);
    printf("{\"name\":\"blob.stream.verify\",\"value\":%.3f,\"unit\":\"GB/s a core\",\"limit\":"
           "\"plain BLAKE3\",\"limit_ratio\":%.3f}\n",
           best_in, best_in / plain);
    printf("{\"name\":\"blob.stream.send\",\"value\":%.3f,\"unit\":\"GB/s a core\",\"limit\":"
           "\"plain BLAKE3\",\"limit_ratio\":%.3f}\n",
           best_out, best_out / plain);
    free(to);
    free(e);
    free(d);
}

/* What ISA-L reaches, of the program beside this one; false: it was not built. */
static bool isal(const char *self, double ret[3][2])
{
    char cmd[4096];
    const char *slash = strrchr(self, '/');
    snprintf(cmd, sizeof cmd, "%.*srs_peer 2>/dev/null", slash ? (int)(slash - self + 1) : 0, self);
    FILE *p = popen(cmd, "r");
    int got = 0, k;
    for (; p && got < 3 && fscanf(p, "%d %lf %lf", &k, &ret[got][0], &ret[got][1]) == 3; got++)
        ;
    if (p) pclose(p);
    return got == 3;
}

static void rs_line(const char *what, unsigned k, double value, bool has_peer, double peer)
{
    printf("{\"name\":\"rs.%s.k%u\",\"value\":%.3f,\"unit\":\"GB/s a core\"", what, k, value);
    if (has_peer)
        printf(",\"peer\":\"ISA-L\",\"peer_value\":%.3f,\"ratio\":%.3f", peer, value / peer);
    printf("}\n");
}

static void bench_rs(const char *self)
{
    static const unsigned KS[] = { 32, 64, 127 };
    double peer[3][2] = { { 0 } };
    bool has_peer = isal(self, peer);
    for (int n = 0; n < 3; n++) {
        unsigned k = KS[n];
        const size_t len = 16384;
        uint8_t *mem = malloc(3 * k * len), *piece[SHARD_CNT_MAX], *back[RS_K_MAX];
        const uint8_t *lost[SHARD_CNT_MAX] = { NULL };
        QN_ASSERT(mem != NULL);
        for (unsigned i = 0; i < 2 * k; i++) {
            piece[i] = mem + i * len;
            if (i < k) back[i] = mem + (2 * k + i) * len;
            if (i >= k) lost[i] = piece[i];
        }
        for (size_t i = 0; i < k * len; i++)
            mem[i] = (uint8_t)(i * 2654435761u >> 9);
        double encode = 0, restore = 0;
        for (int round = 0; round < 30; round++) {
            double t = now();
            rs_encode(k, (const uint8_t *const *)piece, piece + k, len);
            encode = QN_MAX(encode, (double)k * (double)len / (now() - t) / 1e9);
            t = now();
            bool ok = rs_restore(k, lost, back, len);
            restore = QN_MAX(restore, (double)k * (double)len / (now() - t) / 1e9);
            QN_ASSERT(ok && memcmp(back[0], piece[0], k * len) == 0);
        }
        rs_line("encode", k, encode, has_peer, peer[n][0]);
        rs_line("restore", k, restore, has_peer, peer[n][1]);
        free(mem);
    }
}

/* A whole proposal of 1 MiB: split with its tree; taken piece by piece, rebuilt and encoded again. */
static bool always(void *self, uint32_t epoch, uint64_t view, const struct qn_hash *message,
                   const struct qn_sig *sig)
{
    (void)self, (void)epoch, (void)view, (void)message, (void)sig;
    return true;
}

static void bench_shard(const struct file *f)
{
    double split = 1e9, take = 1e9;
    static const struct qn_hash CHAIN = { { 1 } };
    for (int round = 0; round < 10; round++) {
        struct shard_set set;
        struct shard_event ev;
        double t = now();
        shard_split(&set, 1, 1, QN_SPAN(f->bytes, 1u << 20));
        split = QN_MIN(split, now() - t);
        struct qn_buf wire[SHARD_CNT_MAX] = { { 0 } };
        for (unsigned i = set.head.k; i < 2u * set.head.k; i++)
            shard_put(&set, i, &wire[i]);
        struct shard_pool *pool = shard_pool_new(&CHAIN, (struct shard_trust){ NULL, always });
        t = now();
        for (unsigned i = set.head.k; i < 2u * set.head.k; i++)
            QN_ASSERT(shard_pool_recv(pool, qn_buf_get(&wire[i]), &ev) == QN_OK);
        take = QN_MIN(take, now() - t);
        QN_ASSERT(ev.body.len == 1u << 20);
        shard_pool_free(pool);
        for (unsigned i = 0; i < SHARD_CNT_MAX; i++)
            qn_buf_free(&wire[i]);
        shard_set_free(&set);
    }
    printf("{\"name\":\"shard.split.1MiB\",\"value\":%.3f,\"unit\":\"ms\"}\n", split * 1e3);
    printf("{\"name\":\"shard.rebuild.1MiB\",\"value\":%.3f,\"unit\":\"ms\"}\n", take * 1e3);
}

static void bench_spread(void)
{
    static const enum sim_kind KIND[9] = { SIM_SEEDS };
    const uint64_t size = UINT64_C(1) << 30, rate = 12500000;
    struct sim *s = malloc(sizeof *s);
    QN_ASSERT(s != NULL);
    bool ok = sim_run(s, KIND, 9, size, rate, 40000, 1);
    uint64_t last = 0;
    for (int i = 1; ok && i < 9; i++)
        last = QN_MAX(last, s->node[i].done_us);
    printf("{\"name\":\"blob.spread.1GiB.8\",\"value\":%.3f,\"unit\":\"x size / "
           "uplink\",\"limit\":\"1, "
           "the seed's one copy\",\"limit_ratio\":%.3f}\n",
           (double)last * (double)rate / 1e6 / (double)size,
           (double)size * 1e6 / ((double)last * (double)rate));
    sim_free(s);
    free(s);
}

int main(int argc, char **argv)
{
    struct file f = { .size = 128u << 20 };
    (void)argc;
    f.bytes = malloc(f.size);
    f.outer = malloc(blob_outer_len(f.size));
    QN_ASSERT(f.bytes && f.outer);
    for (uint64_t i = 0; i < f.size; i++)
        f.bytes[i] = (uint8_t)(i * 2654435761u >> 11);
    bench_hash(&f);
    bench_stream(&f);
    bench_rs(argv[0]);
    bench_shard(&f);
    bench_spread();
    free(f.bytes);
    free(f.outer);
    return 0;
}
