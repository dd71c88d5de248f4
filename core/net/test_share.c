/* test_share.c - blobs between nodes of one process over real sockets: from one, from many at once, among liars and leavers. */
#include "core/crypto/hash.h"
#include "core/env/turns.h"
#include "core/net/blob.h"
#include "core/net/share.h"
#include "net/blob/wire.h"

#include <unistd.h>

#define NODES_MAX 4

struct node {
    char home[64];
    struct qn_key key;
    struct qn_host *host;
    struct share *share;
    struct qn_host_watch watch;
    uint32_t identified, down, blames;
};

struct world {
    struct event_base *base;
    uint32_t cnt;
    struct node n[NODES_MAX];
};

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct node *n = arg;
    (void)info;
    n->identified++;
}

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct node *n = arg;
    (void)peer, (void)id, (void)outbound;
    n->down += !up;
}

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct node *n = arg;
    (void)peer, (void)how, (void)what;
    n->blames++;
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)arg, (void)peer, (void)why;
    QN_ASSERT(rc == QN_OK);
}

/* A world of cnt nodes, each connected to each. raw: a bit for each that shares nothing by itself. */
static void open_world(struct qn_test_state *t, struct world *w, uint32_t cnt, unsigned raw)
{
    *w = (struct world){ .base = event_base_new(), .cnt = cnt };
    CHECK_RC(qn_crypto_init(), QN_OK);
    for (uint32_t i = 0; i < cnt; i++) {
        struct node *n = &w->n[i];
        uint8_t seed[32] = { (uint8_t)(i + 1), 77 };
        snprintf(n->home, sizeof n->home, "/tmp/quoin-share-XXXXXX");
        QN_ASSERT(mkdtemp(n->home) != NULL);
        qn_key_from_seed(seed, &n->key);
        const struct qn_host_conf conf = {
            .base = w->base, .env = qn_env_real(), .key = &n->key, .listen = "127.0.0.1:0"
        };
        CHECK_RC(qn_host_open(&conf, &n->host, NULL), QN_OK);
        n->watch = (struct qn_host_watch){
            .arg = n, .on_identify = on_identify, .on_peer = on_peer, .on_blame = on_blame
        };
        qn_host_watch(n->host, &n->watch);
        char stale[4096]; /* of a run that was killed */
        const struct qn_hash cut = { { 0x5a } };
        blob_beside(n->home, &cut, ".part", stale, sizeof stale);
        *strrchr(stale, '/') = 0;
        CHECK_RC(qn_dir_make(stale, NULL), QN_OK);
        stale[strlen(stale)] = '/';
        CHECK_RC(qn_file_write(stale, QN_SPAN_STR("half"), 0600, NULL), QN_OK);
        const struct share_conf share = {
            .base = w->base, .env = qn_env_real(), .host = n->host, .home = n->home
        };
        if (!(raw >> i & 1)) {
            CHECK_RC(share_open(&share, &n->share, NULL), QN_OK);
            CHECK(access(stale, F_OK) != 0);
        }
    }
}

static void join_world(struct qn_test_state *t, struct world *w)
{
    for (uint32_t i = 0; i < w->cnt; i++)
        for (uint32_t k = 0; k < i; k++) {
            char addr[64];
            snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w->n[k].host));
            CHECK_RC(qn_host_dial(w->n[i].host, addr, dialled, NULL, NULL), QN_OK);
        }
    for (uint32_t i = 0; i < w->cnt; i++)
        UNTIL(w, w->n[i].identified >= w->cnt - 1);
}

static void node_close(struct node *n)
{
    if (!n->host) return;
    share_detach(n->share);
    qn_host_close(n->host);
    share_close(n->share);
    n->host = NULL;
    n->share = NULL;
}

static void close_world(struct world *w)
{
    for (uint32_t i = 0; i < w->cnt; i++) {
        char cmd[128];
        node_close(&w->n[i]);
        snprintf(cmd, sizeof cmd, "rm -rf %s", w->n[i].home);
        QN_ASSERT(system(cmd) == 0);
    }
    event_base_free(w->base);
}

static struct qn_buf content(size_t len, uint32_t seed)
{
    struct qn_buf buf = { 0 };
    uint8_t *at = qn_buf_grow(&buf, len ? len : 1);
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)((i * 2654435761u + seed) >> 9);
    buf.len = len;
    return buf;
}

static bool same(const struct node *n, const struct qn_hash *id, const struct qn_buf *want)
{
    char path[4096];
    struct qn_buf got = { 0 };
    bool ok = blob_path(n->home, id, path, sizeof path, NULL) == QN_OK &&
              qn_file_read(path, 1u << 30, &got, NULL) == QN_OK &&
              qn_span_eq(qn_buf_get(&got), qn_buf_get(want));
    qn_buf_free(&got);
    return ok;
}

/* Runs the loop until a fetch has an outcome. */
static qn_rc fetched(struct world *w, struct node *n, const struct qn_hash *id, json_t **ret)
{
    uint64_t end = turns_ms() + 60000;
    qn_rc rc;
    while ((rc = share_fetch(n->share, id, ret, NULL)) == QN_E_AGAIN && turns_ms() < end)
        event_base_loop(w->base, EVLOOP_ONCE);
    return rc;
}

static bool exists(const struct node *n, const struct qn_hash *id, const char *suffix)
{
    char path[4096];
    blob_beside(n->home, id, suffix, path, sizeof path);
    return access(path, F_OK) == 0;
}

static void test_one(struct qn_test_state *t)
{
    static const size_t LENS[] = { 0, 1, 16384, 16385, 1 << 20, (5 << 20) + 123 };
    struct world w;
    open_world(t, &w, 2, 0);
    join_world(t, &w);
    for (size_t i = 0; i < QN_COUNT(LENS); i++) {
        struct qn_buf want = content(LENS[i], (uint32_t)i);
        struct qn_hash id, plain = qn_blake3(want.ptr, want.len);
        json_t *said = NULL, *list = NULL;
        CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&want), &id, NULL), QN_OK);
        CHECK(qn_hash_eq(&id, &plain));
        qn_rc rc;
        uint64_t end = turns_ms() + 10000;
        while ((rc = share_find(w.n[1].share, &id, &list, NULL)) == QN_E_AGAIN && turns_ms() < end)
            event_base_loop(w.base, EVLOOP_ONCE);
        CHECK_RC(rc, QN_OK);
        CHECK(json_array_size(list) == 1);
        json_t *one = json_array_get(list, 0);
        CHECK(json_integer_value(json_object_get(one, "bytes")) == (json_int_t)LENS[i]);
        CHECK(json_integer_value(json_object_get(one, "pieces")) ==
              json_integer_value(json_object_get(one, "of")));
        CHECK_RC(fetched(&w, &w.n[1], &id, &said), QN_OK);
        CHECK(json_array_size(json_object_get(said, "peers")) == 1);
        CHECK(same(&w.n[1], &id, &want));
        CHECK(!exists(&w.n[1], &id, ".part"));
        CHECK(exists(&w.n[1], &id, ".tree") == (LENS[i] > BLOB_PIECE));
        json_decref(said);
        json_decref(list);
        CHECK_RC(fetched(&w, &w.n[1], &id, &said), QN_OK); /* here already */
        CHECK(json_array_size(json_object_get(said, "peers")) == 0);
        json_decref(said);
        qn_buf_free(&want);
    }
    struct qn_hash none = { { 1, 2, 3 } };
    json_t *said = NULL;
    uint64_t before = turns_ms();
    CHECK_RC(fetched(&w, &w.n[1], &none, &said), QN_E_NOTFOUND);
    CHECK(turns_ms() - before < 10000);
    CHECK(w.n[0].blames == 0 && w.n[1].blames == 0);
    close_world(&w);
}

/* Two fetch from one seed and from each other; a fourth comes when the seed has gone. */
static void test_many(struct qn_test_state *t)
{
    struct world w;
    struct qn_buf want = content((24 << 20) + 77, 5);
    struct qn_hash id;
    json_t *a = NULL, *b = NULL, *c = NULL;
    open_world(t, &w, 4, 0);
    CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&want), &id, NULL), QN_OK);
    join_world(t, &w);
    CHECK_RC(share_fetch(w.n[2].share, &id, &b, NULL), QN_E_AGAIN);
    CHECK_RC(fetched(&w, &w.n[1], &id, &a), QN_OK);
    CHECK_RC(fetched(&w, &w.n[2], &id, &b), QN_OK);
    CHECK(same(&w.n[1], &id, &want) && same(&w.n[2], &id, &want));
    struct share_stat one = share_stat(w.n[1].share), two = share_stat(w.n[2].share),
                      seed = share_stat(w.n[0].share);
    CHECK(one.in_bytes == want.len && two.in_bytes == want.len);
    CHECK(one.out_bytes + two.out_bytes > 0); /* they gave each other what they had */
    CHECK(seed.out_bytes < 2 * want.len);
    CHECK(json_array_size(json_object_get(a, "peers")) == 2);
    node_close(&w.n[0]);
    CHECK_RC(fetched(&w, &w.n[3], &id, &c), QN_OK);
    CHECK(same(&w.n[3], &id, &want));
    CHECK(json_array_size(json_object_get(c, "peers")) == 2);
    json_decref(a);
    json_decref(b);
    json_decref(c);
    qn_buf_free(&want);
    close_world(&w);
}

/* The only source goes while bytes come; then another comes up with the blob. */
static void test_leaves(struct qn_test_state *t)
{
    struct world w;
    struct qn_buf want = content(40 << 20, 6);
    struct qn_hash id;
    json_t *said = NULL;
    open_world(t, &w, 2, 0);
    CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&want), &id, NULL), QN_OK);
    join_world(t, &w);
    CHECK_RC(share_fetch(w.n[1].share, &id, &said, NULL), QN_E_AGAIN);
    UNTIL(&w, share_stat(w.n[1].share).in_bytes > 1 << 20);
    CHECK(share_stat(w.n[1].share).in_bytes < want.len);
    CHECK(exists(&w.n[1], &id, ".part"));
    node_close(&w.n[0]);
    CHECK_RC(fetched(&w, &w.n[1], &id, &said), QN_E_NOTFOUND);
    CHECK(exists(&w.n[1], &id, ".part") && !exists(&w.n[1], &id, "")); /* for who comes again */
    qn_buf_free(&want);
    close_world(&w);
}

/* A disk that turned a bit: nothing wrong is sent, nobody is blamed, and who has it right serves it. */
static void test_rot(struct qn_test_state *t)
{
    struct world w;
    struct qn_buf want = content((3 << 20) + 5, 8);
    struct qn_hash id;
    char path[4096];
    json_t *said = NULL;
    open_world(t, &w, 3, 0);
    CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&want), &id, NULL), QN_OK);
    CHECK_RC(blob_put(w.n[1].home, qn_buf_get(&want), &id, NULL), QN_OK);
    CHECK_RC(blob_path(w.n[0].home, &id, path, sizeof path, NULL), QN_OK);
    FILE *f = fopen(path, "r+");
    QN_ASSERT(f && fseek(f, 2000000, SEEK_SET) == 0 && fputc(want.ptr[2000000] ^ 1, f) != EOF);
    fclose(f);
    join_world(t, &w);
    CHECK_RC(fetched(&w, &w.n[2], &id, &said), QN_OK);
    CHECK(same(&w.n[2], &id, &want));
    CHECK(w.n[2].blames == 0);
    json_decref(said);
    qn_buf_free(&want);
    close_world(&w);
}

/* --- a peer that speaks the protocols, and lies --------------------------------------------------------------------- */

struct liar {
    uint64_t size;
    uint32_t asked;
};

static void liar_have(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct liar *l = arg;
    uint8_t bits[64];
    struct qn_buf payload = { 0 }, buf = { 0 };
    (void)bytes;
    uint32_t cnt = blob_piece_cnt(l->size);
    memset(bits, 0xff, sizeof bits);
    if (cnt % 8) bits[cnt / 8] = (uint8_t)((1u << cnt % 8) - 1);
    blob_have_put(l->size, bits, &payload);
    blob_frame_put(BLOB_OK, qn_buf_get(&payload), &buf);
    QN_ASSERT(qn_stream_write(s, qn_buf_get(&buf)) == QN_OK);
    qn_stream_finish(s);
    qn_buf_free(&payload);
    qn_buf_free(&buf);
}

static void liar_blob(void *arg, struct qn_stream *s)
{
    struct liar *l = arg;
    struct qn_buf payload = { 0 }, buf = { 0 };
    l->asked++;
    qn_buf_u64(&payload, l->size);
    memset(qn_buf_grow(&payload, 40000), 0x5a, 40000);
    blob_frame_put(BLOB_OK, qn_buf_get(&payload), &buf);
    QN_ASSERT(qn_stream_write(s, qn_buf_get(&buf)) == QN_OK);
    qn_stream_finish(s);
    qn_buf_free(&payload);
    qn_buf_free(&buf);
}

static void test_liar(struct qn_test_state *t)
{
    static const struct qn_stream_ops HAVE = { .on_data = liar_have },
                                      BLOB = { .on_finish = liar_blob };
    struct world w;
    struct qn_buf want = content((6 << 20) + 1, 9);
    struct liar liar = { .size = want.len };
    struct qn_hash id;
    json_t *said = NULL;
    open_world(t, &w, 3, 1);
    const struct qn_proto have = { .id = BLOB_HAVE, .ops = &HAVE, .arg = &liar },
                          blob = { .id = BLOB_PROTOCOL, .ops = &BLOB, .arg = &liar };
    CHECK_RC(qn_host_proto(w.n[0].host, &have), QN_OK);
    CHECK_RC(qn_host_proto(w.n[0].host, &blob), QN_OK);
    CHECK_RC(blob_put(w.n[1].home, qn_buf_get(&want), &id, NULL), QN_OK);
    join_world(t, &w);
    CHECK_RC(fetched(&w, &w.n[2], &id, &said), QN_OK);
    CHECK(same(&w.n[2], &id, &want));
    CHECK(json_array_size(json_object_get(said, "peers")) == 1);
    CHECK(liar.asked >= 1 && liar.asked <= 2 * 4);
    CHECK(w.n[2].blames >= 1);
    json_decref(said);
    qn_buf_free(&want);
    close_world(&w);
}

/* Two peers open all that they may of what a node has, and neither read nor end it: a third is served. */
static void hoard(struct qn_test_state *t, bool silent)
{
    static const struct qn_stream_ops DEAF = { .on_open = NULL };
    struct world w;
    struct qn_hash some[20], id;
    json_t *said = NULL;
    open_world(t, &w, 4, 1u << 1 | 1u << 3);
    for (uint32_t i = 0; i < QN_COUNT(some); i++) {
        struct qn_buf one = content((400 << 10) + i, i);
        CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&one), &some[i], NULL), QN_OK);
        qn_buf_free(&one);
    }
    struct qn_buf want = content((3 << 20) + 7, 99);
    CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&want), &id, NULL), QN_OK);
    join_world(t, &w);
    uint32_t opened = 0;
    for (uint32_t i = 1; i < 4; i += 2) {
        uint32_t peer;
        CHECK(qn_host_find(w.n[i].host, qn_host_id(w.n[0].host), &peer));
        for (uint32_t k = 0; k < 64; k++) {
            struct qn_buf ask = { 0 };
            struct qn_stream *s;
            bool blob = k < 4;
            if (blob) {
                struct blob_ask all = { .id = some[k + 4 * i], .range_cnt = 1 };
                all.range[0] = (struct blob_range){ 0, BLOB_ASK_GROUPS };
                blob_ask_put(&all, &ask);
            } else if (!silent) {
                blob_have_ask_put(&some[(k + 20 - i) % 20], &ask);
            }
            if (qn_host_stream(w.n[i].host, peer, blob ? BLOB_PROTOCOL : BLOB_HAVE, QN_NET_REQUEST,
                               &DEAF, NULL, &s))
                break;
            opened++;
            qn_stream_pause(s, true);
            CHECK_RC(qn_stream_write(s, qn_buf_get(&ask)), QN_OK);
            if (blob) qn_stream_finish(s);
            qn_buf_free(&ask);
        }
    }
    CHECK(opened > 120);
    uint64_t end = turns_ms() + 500;
    while (turns_ms() < end)
        event_base_loop(w.base, EVLOOP_ONCE);
    CHECK_RC(fetched(&w, &w.n[2], &id, &said), QN_OK);
    CHECK(same(&w.n[2], &id, &want));
    json_decref(said);
    qn_buf_free(&want);
    close_world(&w);
}

static void test_hoard(struct qn_test_state *t)
{
    hoard(t, false);
    hoard(t, true); /* opens, and never says what it wants */
}

/* More at once than a source has places for one peer: none fails of it, and nobody is to blame. */
static void test_side_by_side(struct qn_test_state *t)
{
    enum { BLOBS = 10 };
    struct world w;
    struct qn_hash id[BLOBS];
    json_t *said;
    open_world(t, &w, 2, 0);
    for (uint32_t i = 0; i < BLOBS; i++) {
        struct qn_buf want = content((3 << 20) + i, 40 + i);
        CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&want), &id[i], NULL), QN_OK);
        qn_buf_free(&want);
    }
    join_world(t, &w);
    for (uint32_t i = 0; i < BLOBS; i++)
        CHECK_RC(share_fetch(w.n[1].share, &id[i], &said, NULL), QN_E_AGAIN);
    for (uint32_t i = 0; i < BLOBS; i++) {
        said = NULL;
        CHECK_RC(fetched(&w, &w.n[1], &id[i], &said), QN_OK);
        json_decref(said);
    }
    CHECK(w.n[0].blames == 0 && w.n[1].blames == 0);
    close_world(&w);
}

/* Cut off in the middle, by the node's end or by a peer's: the next fetch takes what is missing, and no damaged byte with it. */
static void test_resume(struct qn_test_state *t)
{
    struct world w;
    struct qn_buf want = content((24 << 20) + 77, 3);
    struct qn_hash id;
    char part[4096];
    json_t *said = NULL;
    open_world(t, &w, 2, 0);
    CHECK_RC(blob_put(w.n[0].home, qn_buf_get(&want), &id, NULL), QN_OK);
    join_world(t, &w);
    CHECK_RC(share_fetch(w.n[1].share, &id, &said, NULL), QN_E_AGAIN);
    UNTIL(&w, share_stat(w.n[1].share).in_bytes > (8u << 20));
    uint64_t had = share_stat(w.n[1].share).in_bytes;
    CHECK(had < want.len);
    node_close(&w.n[1]);
    CHECK(exists(&w.n[1], &id, ".part") && exists(&w.n[1], &id, ".outer"));
    /* One group is damaged meanwhile: it is fetched again, and only it. */
    blob_beside(w.n[1].home, &id, ".part", part, sizeof part);
    struct qn_buf file = { 0 };
    CHECK_RC(qn_file_read(part, 1u << 30, &file, NULL), QN_OK);
    bool hit = false;
    for (uint64_t g = 0; g < want.len / 16384 && !hit; g++) {
        if (memcmp(file.ptr + g * 16384, want.ptr + g * 16384, 16384) != 0) continue;
        file.ptr[g * 16384 + 5] ^= 1;
        hit = true;
    }
    CHECK(hit);
    CHECK_RC(qn_file_write(part, qn_buf_get(&file), 0600, NULL), QN_OK);
    qn_buf_free(&file);
    const struct qn_host_conf host = {
        .base = w.base, .env = qn_env_real(), .key = &w.n[1].key, .listen = "127.0.0.1:0"
    };
    CHECK_RC(qn_host_open(&host, &w.n[1].host, NULL), QN_OK);
    qn_host_watch(w.n[1].host, &w.n[1].watch);
    const struct share_conf share = {
        .base = w.base, .env = qn_env_real(), .host = w.n[1].host, .home = w.n[1].home
    };
    CHECK_RC(share_open(&share, &w.n[1].share, NULL), QN_OK);
    w.n[0].identified = w.n[1].identified = 0;
    join_world(t, &w);
    CHECK_RC(fetched(&w, &w.n[1], &id, &said), QN_OK);
    CHECK(same(&w.n[1], &id, &want));
    CHECK(share_stat(w.n[1].share).in_bytes == want.len - had + 16384);
    CHECK(!exists(&w.n[1], &id, ".part") && !exists(&w.n[1], &id, ".outer"));
    json_decref(said);
    qn_buf_free(&want);
    close_world(&w);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_one);
    TEST(test_many);
    TEST(test_leaves);
    TEST(test_rot);
    TEST(test_liar);
    TEST(test_hoard);
    TEST(test_side_by_side);
    TEST(test_resume);
    return TEST_END();
}
