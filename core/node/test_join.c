/* test_join.c - a chain whose old blocks are gone is taken from peers by its snapshot: among liars, after being cut off, and from a trusted block. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/net/blob.h"
#include "core/node/join.h"
#include "core/node/offer.h"
#include "core/node/snaps.h"
#include "ledger/sync/replica.h"
#include "ledger/sync/snapshot.h"
#include "net/blob/wire.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HONEST, LIAR, NOISE, JOINER, CNT };

struct node {
    char home[64];
    struct qn_key key;
    struct qn_host *host;
    struct share *share;
    struct snaps *snaps;
    struct aside *aside;
    struct join *join;
    struct qn_host_watch watch;
    uint32_t identified;
    char blamed[400]; /* letters of those it blamed: a, b, c */
    struct world *w;
};

struct world {
    struct event_base *base;
    struct node n[CNT];
    /* The chain, in time of its own. */
    char home[64];
    struct qn_disk disk;
    struct qn_env env;
    struct qn_key validator, rich;
    uint64_t now_ms;
    struct qn_replica *r;
    struct qn_steps *steps;
    struct qn_why why;
    uint32_t noise;
    /* What the joiner said. */
    int ended;
    enum join_end how;
    uint32_t had; /* parts that were there when it began */
};

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#define UNTIL(w, cond)                                                                             \
    do {                                                                                           \
        uint64_t end_ = real_ms() + 60000;                                                         \
        while (!(cond) && real_ms() < end_)                                                        \
            event_base_loop((w)->base, EVLOOP_ONCE);                                               \
        CHECK(cond);                                                                               \
    } while (0)

/* --- the chain --------------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(void *self)
{
    return ((struct world *)self)->now_ms;
}

static uint64_t mono_us(void *self)
{
    return ((struct world *)self)->now_ms * 1000;
}

static void fill(void *self, void *dst, size_t len)
{
    (void)self;
    memset(dst, 7, len);
}

static void on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct world *w = arg;
    (void)f, (void)hash;
    if (w->r) qn_steps_note(w->steps, qn_replica_chain(w->r));
}

/* One block with a few transfers, 10 s later. */
static void block(struct world *w, uint64_t salt)
{
    struct qn_chain *c = qn_replica_chain(w->r);
    struct qn_hash chain = qn_chain_id(c), id;
    uint64_t height = qn_chain_header(c)->height, wait;
    for (uint64_t i = 0; i < 4; i++) {
        struct qn_buf body = { 0 }, tx = { 0 };
        uint64_t to = salt << 8 | i;
        struct ledger_send s = { .to = qn_blake3(&to, sizeof to),
                                 .amount = QN_UQN(5),
                                 .memo = QN_SPAN_STR("so that a segment of the journal fills up in "
                                                     "a while, and is let go in a while more") };
        qn_encode(ledger_send_record(), &s, &body);
        struct qn_tx_opts opts = { .salt = salt << 8 | i };
        qn_tx_build(&chain, QN_TX_SEND, qn_buf_get(&body), &w->rich, w->now_ms, &opts, &tx, &id);
        QN_ASSERT(qn_replica_submit(w->r, qn_buf_get(&tx), &id, &w->why) == QN_OK);
        qn_buf_free(&body);
        qn_buf_free(&tx);
    }
    for (unsigned i = 0; i < 20 && qn_chain_header(c)->height == height; i++) {
        w->now_ms += 500;
        QN_ASSERT(qn_replica_turn(w->r, &wait, &w->why) == QN_OK);
    }
    QN_ASSERT(qn_chain_header(c)->height > height);
    w->now_ms += 9500;
}

static void make_chain(struct qn_test_state *t, struct world *w, uint64_t cnt)
{
    struct qn_hash seed = qn_h("test join", "v", 1), rich = qn_h("test join", "r", 1);
    snprintf(w->home, sizeof w->home, "/tmp/quoin-join-XXXXXX");
    QN_ASSERT(mkdtemp(w->home) != NULL);
    w->disk = *qn_disk_real();
    w->disk.file_bytes = 64 << 10;
    w->disk.grow_bytes = 16 << 10;
    w->now_ms = 1700000001000;
    w->env = (struct qn_env){ w, now_ms, mono_us, fill, &w->disk };
    qn_key_from_seed(seed.b, &w->validator);
    qn_key_from_seed(rich.b, &w->rich);
    struct qn_grant grant = { qn_acct_key(&w->rich.pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    struct qn_genesis genesis = { .name = QN_SPAN_STR("test"), .t_ms = 1700000000000, .dev = true };
    genesis.validators.cnt = genesis.grants.cnt = 1;
    genesis.validators.ptr = &w->validator.pub;
    genesis.grants.ptr = &grant;
    struct qn_replica_conf conf = { .chain = { .home = w->home,
                                               .env = &w->env,
                                               .genesis = &genesis,
                                               .map_gib = 1,
                                               .keep_ms = 1300000,
                                               .on_block = on_block,
                                               .arg = w },
                                    .validator = &w->validator };
    CHECK_RC(qn_steps_open(w->home, &w->steps, NULL), QN_OK);
    CHECK_RC(qn_replica_open(&conf, &w->r, &w->why), QN_OK);
    for (uint64_t i = 0; i < cnt; i++)
        block(w, i);
}

/* --- nodes -------------------------------------------------------------------------------------------------------------- */

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct node *n = arg;
    (void)info;
    n->identified++;
}

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct node *n = arg;
    struct qn_peer_info info;
    (void)how, (void)what;
    if (!qn_host_peer(n->host, peer, &info)) return;
    for (int i = 0; i < CNT; i++) {
        const struct qn_host *host = n->w->n[i].host;
        size_t len = strlen(n->blamed);
        if (host && memcmp(qn_host_id(host), &info.id, sizeof info.id) == 0 &&
            len + 1 < sizeof n->blamed)
            n->blamed[len] = (char)('a' + i);
    }
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)arg, (void)peer, (void)why;
    QN_ASSERT(rc == QN_OK);
}

static void changed(void *arg)
{
    struct node *n = arg;
    if (n->join) join_turn(n->join);
}

static void node_open(struct qn_test_state *t, struct world *w, int i, bool shares)
{
    struct node *n = &w->n[i];
    uint8_t seed[32] = { (uint8_t)(i + 1), 99 };
    n->w = w;
    n->blamed[0] = 0;
    memset(n->blamed, 0, sizeof n->blamed);
    n->identified = 0;
    if (!n->home[0]) {
        snprintf(n->home, sizeof n->home, "/tmp/quoin-join-XXXXXX");
        QN_ASSERT(mkdtemp(n->home) != NULL);
    }
    qn_key_from_seed(seed, &n->key);
    const struct qn_host_conf host = {
        .base = w->base, .env = qn_env_real(), .key = &n->key, .listen = "127.0.0.1:0"
    };
    CHECK_RC(qn_host_open(&host, &n->host, NULL), QN_OK);
    n->watch = (struct qn_host_watch){ .arg = n, .on_identify = on_identify, .on_blame = on_blame };
    qn_host_watch(n->host, &n->watch);
    n->aside = aside_new(w->base, changed, n);
    const struct share_conf share = { .base = w->base,
                                      .env = qn_env_real(),
                                      .host = n->host,
                                      .home = n->home,
                                      .changed = changed,
                                      .arg = n };
    if (shares) CHECK_RC(share_open(&share, &n->share, NULL), QN_OK);
}

static void node_close(struct node *n)
{
    if (!n->host) return;
    aside_free(n->aside);
    join_detach(n->join);
    share_detach(n->share);
    qn_host_close(n->host);
    share_close(n->share);
    snaps_close(n->snaps);
    join_close(n->join);
    n->host = NULL;
    n->share = NULL;
    n->snaps = NULL;
    n->join = NULL;
}

static void offer_snaps(struct qn_test_state *t, struct node *n)
{
    const struct snaps_conf conf = { .home = n->home,
                                     .host = n->host,
                                     .share = n->share,
                                     .aside = n->aside,
                                     .chain = qn_replica_chain(n->w->r),
                                     .steps = n->w->steps,
                                     .keep = 2 };
    CHECK_RC(snaps_open(&conf, &n->snaps, NULL), QN_OK);
}

static void meet(struct qn_test_state *t, struct world *w, int a, int b)
{
    char addr[64];
    uint32_t before = w->n[a].identified;
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w->n[b].host));
    CHECK_RC(qn_host_dial(w->n[a].host, addr, dialled, NULL, NULL), QN_OK);
    UNTIL(w, w->n[a].identified > before);
}

/* The snapshot, in many chunks, among the blobs of a home. */
static json_t *make_snapshot(struct qn_test_state *t, struct world *w, struct node *n)
{
    struct snap_work work = { .chain = qn_replica_chain(w->r), .steps = w->steps, .cut_bits = 5 };
    uint64_t ticket;
    json_t *said = NULL;
    qn_rc rc;
    snprintf(work.dir, sizeof work.dir, "%s", n->home);
    CHECK_RC(aside_start(n->aside, "a test's", qn_snapshot_work, &work, &ticket, &w->why), QN_OK);
    CHECK_RC(aside_start(n->aside, "another", qn_snapshot_work, &work, &ticket, &w->why),
             QN_E_BUSY);
    while ((rc = aside_result(n->aside, ticket, &said, &w->why)) == QN_E_AGAIN)
        event_base_loop(w->base, EVLOOP_ONCE);
    CHECK_RC(rc, QN_OK);
    CHECK(json_integer_value(json_object_get(said, "chunks")) > 4);
    return said;
}

/* The same with one chunk that says of one row what it is not; everything else holds. */
static void lie(struct qn_test_state *t, struct world *w, struct node *n, json_t *said)
{
    char path[4096], hex[65];
    struct qn_hash id, chunk;
    struct qn_buf manifest = { 0 }, rows = { 0 };
    struct qn_snapshot sn;
    struct qn_part part = { .rest = NULL };
    const char *text = json_string_value(json_object_get(said, "manifest"));
    QN_ASSERT(qn_unhex(text, 64, id.b, 32));
    blob_beside(n->home, &id, "", path, sizeof path);
    CHECK_RC(qn_file_read(path, QN_MANIFEST_MAX, &manifest, NULL), QN_OK);
    unlink(path);
    CHECK_RC(qn_snapshot_read(qn_buf_get(&manifest), NULL, NULL, &sn, &w->why), QN_OK);
    for (int i = 0; i < 7; i++)
        CHECK(qn_snapshot_next(&sn, &part) && part.chunk);
    blob_beside(n->home, &part.hash, "", path, sizeof path);
    CHECK_RC(qn_file_read(path, QN_CHUNK_MAX, &rows, NULL), QN_OK);
    rows.ptr[rows.len - 1] ^= 1;
    CHECK_RC(blob_put(n->home, qn_buf_get(&rows), &chunk, NULL), QN_OK);
    uint8_t *at = memmem(manifest.ptr, manifest.len, part.hash.b, 32);
    QN_ASSERT(at != NULL);
    memcpy(at, chunk.b, 32);
    CHECK_RC(blob_put(n->home, qn_buf_get(&manifest), &id, NULL), QN_OK);
    qn_hex(id.b, 32, hex);
    json_object_set_new(said, "manifest", json_string(hex));
    qn_buf_free(&manifest);
    qn_buf_free(&rows);
}

/* Says that it has every blob of the honest one, and sends noise of the right length. */
static void noise_have(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct world *w = arg;
    uint8_t bits[64];
    struct qn_hash id;
    struct stat st = { 0 };
    char path[4096];
    struct qn_buf payload = { 0 }, buf = { 0 };
    if (blob_have_ask_get(bytes, &id)) return;
    blob_beside(w->n[HONEST].home, &id, "", path, sizeof path);
    if (stat(path, &st)) st.st_size = 5;
    uint32_t cnt = blob_piece_cnt((uint64_t)st.st_size);
    memset(bits, 0xff, sizeof bits);
    if (cnt % 8) bits[cnt / 8] = (uint8_t)((1u << cnt % 8) - 1);
    blob_have_put((uint64_t)st.st_size, bits, &payload);
    blob_frame_put(BLOB_OK, qn_buf_get(&payload), &buf);
    QN_ASSERT(qn_stream_write(s, qn_buf_get(&buf)) == QN_OK);
    qn_stream_finish(s);
    qn_buf_free(&payload);
    qn_buf_free(&buf);
}

static void noise_blob(void *arg, struct qn_stream *s)
{
    struct world *w = arg;
    struct qn_buf payload = { 0 }, buf = { 0 };
    w->noise++;
    qn_buf_u64(&payload, 5000);
    memset(qn_buf_grow(&payload, 5000), 0x5a, 5000);
    blob_frame_put(BLOB_OK, qn_buf_get(&payload), &buf);
    QN_ASSERT(qn_stream_write(s, qn_buf_get(&buf)) == QN_OK);
    qn_stream_finish(s);
    qn_buf_free(&payload);
    qn_buf_free(&buf);
}

static void on_log(void *arg, const char *line)
{
    struct world *w = arg;
    const char *at = strstr(line, "MB, ");
    unsigned had;
    if (at && sscanf(at, "MB, %u of them here", &had) == 1) w->had = had;
}

static void on_end(void *arg, enum join_end how, qn_rc rc, const struct qn_why *why)
{
    struct world *w = arg;
    (void)rc;
    if (why) w->why = *why;
    w->ended++;
    w->how = how;
}

static void join_begin(struct qn_test_state *t, struct world *w, const struct qn_hash *trust,
                       uint64_t height)
{
    struct node *n = &w->n[JOINER];
    struct join_conf conf = { .base = w->base,
                              .env = qn_env_real(),
                              .host = n->host,
                              .share = n->share,
                              .aside = n->aside,
                              .home = n->home,
                              .map_gib = 1,
                              .chain = qn_chain_id(qn_replica_chain(w->r)),
                              .pinned = trust != NULL,
                              .trust_height = height,
                              .patient = true,
                              .arg = w,
                              .log = on_log,
                              .end = on_end };
    if (trust) conf.trust = *trust;
    w->ended = 0;
    w->had = UINT32_MAX;
    CHECK_RC(join_open(&conf, &n->join, &w->why), QN_OK);
}

/* What the joiner made opens, and is the chain. */
static void check_home(struct qn_test_state *t, struct world *w)
{
    struct qn_env env = w->env; /* its checkpoint is of LMDB, unlike that of a disk of our own */
    env.disk = NULL;
    struct qn_chain_conf conf = { .home = w->n[JOINER].home, .env = &env, .map_gib = 1 };
    struct qn_chain *c = NULL, *was = qn_replica_chain(w->r);
    CHECK_RC(qn_chain_open(&conf, &c, &w->why), QN_OK);
    if (!c) return;
    struct qn_hash root = qn_chain_root(c), want = qn_chain_root(was), head = qn_chain_head(c),
                   there = qn_chain_head(was);
    CHECK(qn_hash_eq(&root, &want));
    CHECK(qn_hash_eq(&head, &there));
    CHECK(qn_chain_first(c) > 20);
    qn_chain_close(c);
}

static void remove_home(struct node *n)
{
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", n->home);
    QN_ASSERT(system(cmd) == 0);
    n->home[0] = 0;
}

enum lying { NAMES_MINE, MANIFEST_MINE, TWICE, TOO_MANY, LONG_PART, MUCH, EMPTY, HALF, LYINGS };

/* A manifest that offers the joiner what is none, and what the joiner has of its own by that name. */
static void offer_lie(struct qn_test_state *t, struct world *w, struct node *n, enum lying how,
                      const struct qn_hash *mine, uint64_t mine_bytes)
{
    char path[4096], hex[65];
    struct qn_hash id;
    struct qn_buf manifest = { 0 }, made = { 0 };
    struct qn_snapshot sn;
    json_t *said = make_snapshot(t, w, n);
    QN_ASSERT(qn_unhex(json_string_value(json_object_get(said, "manifest")), 64, id.b, 32));
    blob_beside(n->home, &id, "", path, sizeof path);
    CHECK_RC(qn_file_read(path, QN_MANIFEST_MAX, &manifest, NULL), QN_OK);
    unlink(path);
    CHECK_RC(qn_snapshot_read(qn_buf_get(&manifest), NULL, NULL, &sn, &w->why), QN_OK);
    qn_buf_put(&made, manifest.ptr, (size_t)(sn.pieces.ptr - manifest.ptr) - 4);
    uint32_t cnt = how == TWICE      ? 2
                   : how == TOO_MANY ? 300000
                   : how == MUCH     ? 50
                   : how == HALF     ? 3
                                     : 1;
    uint32_t bytes = how == NAMES_MINE  ? 7
                     : how == LONG_PART ? UINT32_MAX
                     : how == MUCH      ? QN_CHUNK_MAX
                                        : how != EMPTY;
    qn_buf_u32(&made, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        uint8_t body = (uint8_t)i;
        struct qn_hash part = qn_blake3(&i, how == TWICE ? 0 : sizeof i);
        if (how == HALF && i < 2)
            CHECK_RC(blob_put(n->home, QN_SPAN(&body, 1), &part, NULL), QN_OK);
        qn_buf_put(&made, how == NAMES_MINE ? mine->b : part.b, 32);
        qn_buf_u32(&made, bytes);
    }
    uint64_t len = made.len;
    if (how == MANIFEST_MINE) {
        id = *mine;
        len = mine_bytes;
    } else {
        CHECK_RC(blob_put(n->home, qn_buf_get(&made), &id, NULL), QN_OK);
    }
    qn_hex(id.b, 32, hex);
    json_object_set_new(said, "manifest", json_string(hex));
    json_object_set_new(said, "manifest_bytes", json_integer((json_int_t)len));
    snaps_add(n->snaps, said);
    json_decref(said);
    qn_buf_free(&manifest);
    qn_buf_free(&made);
}

/* Lies that would cost the joiner files of its own, its disk or its time. */
static void test_liars(struct qn_test_state *t)
{
    static struct world w;
    struct node *joiner = &w.n[JOINER], *liar = &w.n[LIAR];
    const char *text = "a blob that the joiner's owner put there";
    char path[4096], cmd[200];
    struct qn_hash mine;
    w.base = event_base_new();
    make_chain(t, &w, 60);
    for (enum lying how = 0; how < LYINGS; how++) {
        node_open(t, &w, LIAR, true);
        node_open(t, &w, JOINER, true);
        offer_snaps(t, liar);
        CHECK_RC(blob_put(joiner->home, QN_SPAN_STR(text), &mine, NULL), QN_OK);
        offer_lie(t, &w, liar, how, &mine, strlen(text));
        meet(t, &w, JOINER, LIAR);
        join_begin(t, &w, NULL, 0);
        UNTIL(&w, w.ended || join_info(joiner->join).refused == 1);
        CHECK(w.ended == 0);
        CHECK((w.had == UINT32_MAX) == (how != HALF)); /* nothing of the others was fetched */
        CHECK(strchr(joiner->blamed, 'b') != NULL);
        CHECK_RC(blob_path(joiner->home, &mine, path, sizeof path, NULL), QN_OK);
        /* Of what came only chunks stay: they are proven. Bodies have one byte here. */
        snprintf(cmd, sizeof cmd, "set -f; find %s/blobs -type f %s | wc -l", joiner->home,
                 how == HALF ? "-size -2c -o -name *.part -o -name *.outer" : "");
        FILE *find = popen(cmd, "r");
        int left = 0;
        CHECK(fscanf(find, "%d", &left) == 1 && left == (how != HALF));
        pclose(find);
        snprintf(path, sizeof path, "%s/joining/manifest", joiner->home);
        CHECK(access(path, F_OK) != 0);
        /* Who lied is not listened to again. */
        for (uint64_t begin = real_ms(); real_ms() - begin < 500;)
            event_base_loop(w.base, EVLOOP_ONCE);
        CHECK(join_info(joiner->join).refused == 1);
        node_close(joiner);
        node_close(liar);
        remove_home(joiner);
        remove_home(liar);
    }
    qn_replica_close(w.r);
    qn_steps_close(w.steps);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w.home);
    QN_ASSERT(system(cmd) == 0);
    event_base_free(w.base);
}

static void test_join(struct qn_test_state *t)
{
    static const struct qn_stream_ops HAVE = { .on_data = noise_have },
                                      BLOB = { .on_finish = noise_blob };
    static struct world w;
    struct node *joiner = &w.n[JOINER];
    CHECK_RC(qn_crypto_init(), QN_OK);
    w.base = event_base_new();
    make_chain(t, &w, 220);
    CHECK(qn_chain_first(qn_replica_chain(w.r)) > 20); /* the first are gone */
    const struct qn_proto have = { .id = BLOB_HAVE, .ops = &HAVE, .arg = &w },
                          blob = { .id = BLOB_PROTOCOL, .ops = &BLOB, .arg = &w };
    for (int i = 0; i < CNT; i++)
        node_open(t, &w, i, i != NOISE);
    CHECK_RC(qn_host_proto(w.n[NOISE].host, &have), QN_OK);
    CHECK_RC(qn_host_proto(w.n[NOISE].host, &blob), QN_OK);
    for (int i = HONEST; i <= LIAR; i++) {
        offer_snaps(t, &w.n[i]);
        json_t *said = make_snapshot(t, &w, &w.n[i]);
        if (i == LIAR) lie(t, &w, &w.n[i], said);
        snaps_add(w.n[i].snaps, said);
        json_decref(said);
    }
    /* A liar alone: found out by the chunk that does not lead to the root. */
    meet(t, &w, JOINER, LIAR);
    join_begin(t, &w, NULL, 0);
    UNTIL(&w, join_info(joiner->join).refused == 1);
    CHECK(strchr(joiner->blamed, 'b') != NULL);
    CHECK(w.ended == 0);
    /* With others: from the honest one, whatever noise another sends. Cut off when a few parts are here. */
    meet(t, &w, JOINER, NOISE);
    meet(t, &w, JOINER, HONEST);
    UNTIL(&w, w.ended || (join_info(joiner->join).height && join_info(joiner->join).done > 8));
    CHECK(w.ended == 0);
    node_close(joiner);
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, NOISE);
    meet(t, &w, JOINER, HONEST);
    meet(t, &w, JOINER, LIAR);
    join_begin(t, &w, NULL, 0);
    UNTIL(&w, w.ended);
    CHECK(w.how == JOIN_RESTORED);
    CHECK(w.had > 8 && w.had != UINT32_MAX); /* what had come was not fetched again */
    CHECK(w.noise > 0);
    CHECK(strchr(joiner->blamed, 'c') != NULL);
    CHECK(strchr(joiner->blamed, 'a') == NULL);
    check_home(t, &w);
    node_close(joiner);
    remove_home(joiner);
    /* From a block that is trusted, old blocks or not; and from one that is not of this chain there is no way. */
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_chain *c = qn_replica_chain(w.r);
    uint64_t height = qn_chain_header(c)->height - 5;
    CHECK_RC(qn_chain_frame(c, height, &arena, &f, NULL), QN_OK);
    struct qn_hash trust = qn_header_hash(&f.block.header), other = trust;
    qn_arena_free(&arena);
    other.b[0] ^= 1;
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, &other, height);
    for (uint64_t begin = real_ms(); real_ms() - begin < 2500;)
        event_base_loop(w.base, EVLOOP_ONCE);
    CHECK(w.ended == 0 && join_info(joiner->join).height == 0 && join_info(joiner->join).offers);
    CHECK(joiner->blamed[0] == 0);
    node_close(joiner);
    remove_home(joiner);
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, &trust, height);
    UNTIL(&w, w.ended);
    CHECK(w.how == JOIN_RESTORED);
    check_home(t, &w);
    for (int i = 0; i < CNT; i++) {
        node_close(&w.n[i]);
        remove_home(&w.n[i]);
    }
    qn_replica_close(w.r);
    qn_steps_close(w.steps);
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", w.home);
    QN_ASSERT(system(cmd) == 0);
    event_base_free(w.base);
}

/* Snapshots that are kept, and what goes with those that are not. */
static void test_keep(struct qn_test_state *t)
{
    static struct world w;
    struct node *n = &w.n[HONEST];
    char cmd[200];
    struct qn_buf own = { 0 };
    struct qn_hash mine;
    w.base = event_base_new();
    make_chain(t, &w, 60);
    node_open(t, &w, HONEST, true);
    offer_snaps(t, n);
    qn_buf_put(&own, "a blob of somebody", 18);
    CHECK_RC(blob_put(n->home, qn_buf_get(&own), &mine, NULL), QN_OK);
    int cnt[5];
    for (int i = 0; i < 5; i++) {
        for (uint64_t k = 0; k < 5; k++)
            block(&w, 1000 + (uint64_t)i * 100 + k);
        json_t *said = make_snapshot(t, &w, n);
        snaps_add(n->snaps, said);
        json_decref(said);
        CHECK(snaps_cnt(n->snaps) == (uint32_t)QN_MIN(i + 1, 2));
        snprintf(cmd, sizeof cmd, "find %s/blobs -type f | wc -l", n->home);
        FILE *find = popen(cmd, "r");
        CHECK(fscanf(find, "%d", &cnt[i]) == 1);
        pclose(find);
    }
    /* Two are kept; the third took the first's place. */
    CHECK(cnt[4] < 3 * cnt[0]);
    CHECK(cnt[4] - cnt[1] < cnt[0]);
    char path[4096];
    CHECK_RC(blob_path(n->home, &mine, path, sizeof path, NULL), QN_OK);
    qn_buf_free(&own);
    node_close(n);
    remove_home(n);
    qn_replica_close(w.r);
    qn_steps_close(w.steps);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w.home);
    QN_ASSERT(system(cmd) == 0);
    event_base_free(w.base);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_join);
    TEST(test_liars);
    TEST(test_keep);
    return TEST_END();
}
