/* test_join.c - a chain whose old blocks are gone is taken from peers by its snapshot: among liars, after being cut off, from a trusted block; and
 * what only takes time is waited for. */
#include "core/node/join_kept.h"
#include "core/node/join_world.h"
#include "net/blob/wire.h"

#include <errno.h>

/* The disk is full when a test says so: for what is allocated before it is written. */
static bool full;
int __real_posix_fallocate(int fd, off_t off, off_t len);
int __wrap_posix_fallocate(int fd, off_t off, off_t len);
int __wrap_posix_fallocate(int fd, off_t off, off_t len)
{
    return full ? ENOSPC : __real_posix_fallocate(fd, off, len);
}

/* The same with one chunk that says of one row what it is not; everything else holds. */
static void lie(struct qn_test_state *t, struct join_world *w, struct node *n, json_t *said)
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
    struct join_world *w = arg;
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
    struct join_world *w = arg;
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

static struct join_world w; /* one chain for all of them but the last */

static void test_join(struct qn_test_state *t)
{
    static const struct qn_stream_ops HAVE = { .on_data = noise_have },
                                      BLOB = { .on_finish = noise_blob };
    struct node *joiner = &w.n[JOINER];
    char text[JOIN_TEXT];
    CHECK(qn_chain_first(qn_replica_chain(w.c.r)) > 20); /* the first are gone */
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
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, join_info(joiner->join).refused == 1);
    CHECK(strchr(joiner->blamed, 'b') != NULL);
    CHECK(w.ended == 0);
    node_close(joiner);
    remove_home(joiner);
    /* Of the honest one, whatever noise another sends. Cut off when a few parts are here. */
    node_open(t, &w, JOINER, true);
    join_begin(t, &w, NULL, 0, true);
    meet(t, &w, JOINER, NOISE);
    meet(t, &w, JOINER, HONEST);
    UNTIL(&w, w.ended || (join_info(joiner->join).height && join_info(joiner->join).done > 8));
    CHECK(w.ended == 0);
    bool heard_noise = strchr(joiner->blamed, 'c') != NULL;
    node_close(joiner);
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, NOISE);
    meet(t, &w, JOINER, HONEST);
    meet(t, &w, JOINER, LIAR);
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, w.ended);
    CHECK(w.how == JOIN_RESTORED);
    CHECK(w.had > 8 && w.had != UINT32_MAX); /* what had come was not fetched again */
    CHECK(w.noise > 0);
    CHECK(heard_noise || strchr(joiner->blamed, 'c') != NULL);
    CHECK(strchr(joiner->blamed, 'a') == NULL);
    check_home(t, &w);
    node_close(joiner);
    remove_home(joiner);
    /* From a block that is trusted, old blocks or not; and from one that is not of this chain there is no way. */
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_chain *c = qn_replica_chain(w.c.r);
    uint64_t height = qn_chain_header(c)->height - 5;
    CHECK_RC(qn_chain_frame(c, height, &arena, &f, NULL), QN_OK);
    struct qn_hash trust = qn_header_hash(&f.block.header), other = trust;
    qn_arena_free(&arena);
    other.b[0] ^= 1;
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, &other, height, true);
    /* Said once, and where people look: that others have another block there. */
    UNTIL_AHEAD(&w, 100, strstr(w.log, "1 of 1 peers have another block") != NULL);
    join_text(joiner->join, text);
    CHECK(strstr(text, "looking for a snapshot: 1 of 1 peers have another block") != NULL);
    CHECK(w.ended == 0 && join_info(joiner->join).height == 0 && join_info(joiner->join).offers);
    node_close(joiner);
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, &other, height + 100000, true);
    UNTIL_AHEAD(&w, 100, strstr(w.log, "no peer knows who voted at the trusted block") != NULL);
    const char *once = strstr(w.log, "no peer knows who voted");
    for (int i = 0; i < 50; i++) {
        w.ahead_ms += 500;
        event_base_loop(w.base, EVLOOP_ONCE);
    }
    CHECK(once && strstr(once + 1, "no peer knows") == NULL);
    join_text(joiner->join, text);
    CHECK(strstr(text, "no peer knows who voted at the trusted block") != NULL);
    CHECK(strstr(text, "HASH or height may be wrong") != NULL);
    CHECK(strstr(text, "or leave --trust out") != NULL); /* all of it fits */
    CHECK(w.ended == 0 && join_info(joiner->join).height == 0);
    node_close(joiner);
    node_open(t, &w, JOINER, true);
    join_begin(t, &w, &other, height, true);
    UNTIL_AHEAD(&w, 100, strstr(w.log, "no peer to ask for the trusted block") != NULL);
    CHECK(joiner->blamed[0] == 0);
    node_close(joiner);
    remove_home(joiner);
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, &trust, height, true);
    UNTIL(&w, w.ended);
    CHECK(w.how == JOIN_RESTORED);
    check_home(t, &w);
    CHECK(qn_chain_first(qn_replica_chain(w.c.r)) > 20);
    nodes_close(&w);
}

/* An honest one and one who joins from it. */
static void two(struct qn_test_state *t, bool offers)
{
    node_open(t, &w, HONEST, true);
    node_open(t, &w, JOINER, true);
    offer_snaps(t, &w.n[HONEST]);
    if (offers) {
        json_t *said = make_snapshot(t, &w, &w.n[HONEST]);
        snaps_add(w.n[HONEST].snaps, said);
        json_decref(said);
    }
    meet(t, &w, JOINER, HONEST);
}

/* Nobody offers any: the blocks, where somebody has all of them and nobody insists; else it waits, and says so. */
static void test_blocks(struct qn_test_state *t)
{
    world_open(t, &w, 60);
    char text[JOIN_TEXT];
    two(t, false);
    join_begin(t, &w, NULL, 0, true);
    UNTIL_AHEAD(&w, 300, strstr(w.log, "no peer offers one, of 1 asked; this node waits") != NULL);
    CHECK(w.ended == 0);
    join_text(w.n[JOINER].join, text);
    CHECK(strstr(text, "no peer offers one") != NULL);
    node_close(&w.n[JOINER]);
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, NULL, 0, false);
    UNTIL_AHEAD(&w, 300, w.ended);
    CHECK(w.how == JOIN_BLOCKS && strstr(w.log, "blocks, then") != NULL);
    node_close(&w.n[JOINER]);
    more_blocks(&w, 100, 160); /* the first are gone now */
    CHECK(qn_chain_first(qn_replica_chain(w.c.r)) > 1);
    node_open(t, &w, JOINER, true);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, NULL, 0, false);
    UNTIL_AHEAD(&w, 300, strstr(w.log, "this node waits") != NULL);
    CHECK(w.ended == 0);
    /* One that is made later is taken. */
    json_t *said = make_snapshot(t, &w, &w.n[HONEST]);
    snaps_add(w.n[HONEST].snaps, said);
    json_decref(said);
    UNTIL_AHEAD(&w, 300, w.ended);
    CHECK(w.how == JOIN_RESTORED);
    nodes_close(&w);
}

static void fill_up(struct join_world *world, const char *line)
{
    unsigned have, all;
    (void)world;
    if (sscanf(line, "sync: %u of %u parts", &have, &all) == 2 && have == all) full = true;
}

/* The disk is full, while parts come and while the home is made: said, nothing of it lost, and it goes on when there is room. */
static void test_full(struct qn_test_state *t)
{
    char text[JOIN_TEXT];
    two(t, true);
    struct node *joiner = &w.n[JOINER];
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, join_info(joiner->join).done > 4);
    full = true;
    UNTIL(&w, strstr(w.log, "the disk is full") != NULL);
    join_text(joiner->join, text);
    CHECK(strstr(text, "the disk is full, waits for room") != NULL);
    uint64_t had = join_info(joiner->join).done;
    for (int i = 0; i < 30; i++) {
        w.ahead_ms += 1000;
        event_base_loop(w.base, EVLOOP_ONCE);
    }
    CHECK(w.ended == 0 && join_info(joiner->join).done >= had && had > 4);
    CHECK(join_info(joiner->join).refused == 0 && joiner->blamed[0] == 0);
    full = false;
    w.ahead_ms += 200000;
    w.on_log = fill_up;
    UNTIL_AHEAD(&w, 100, full);
    UNTIL(&w, strstr(w.log, "sync: restoring") != NULL);
    const char *restoring = strstr(w.log, "sync: restoring");
    UNTIL_AHEAD(&w, 100, restoring && strstr(restoring, "the disk is full") != NULL);
    CHECK(w.ended == 0 && access(joiner->home, F_OK) == 0);
    w.on_log = NULL;
    full = false;
    w.ahead_ms += 200000;
    UNTIL_AHEAD(&w, 100, w.ended);
    CHECK(w.how == JOIN_RESTORED);
    check_home(t, &w);
    nodes_close(&w);
}

/* The only source goes in the middle and comes back: nobody is condemned, nothing is fetched twice. */
static void test_gone(struct qn_test_state *t)
{
    two(t, true);
    struct node *joiner = &w.n[JOINER];
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, join_info(joiner->join).done > 4);
    node_close(&w.n[HONEST]);
    uint64_t bytes = share_stat(joiner->share).in_bytes;
    UNTIL_AHEAD(&w, 300, join_info(joiner->join).put_off == 1);
    CHECK(w.ended == 0 && join_info(joiner->join).refused == 0);
    CHECK(strstr(w.log, "put off: nobody has a part of it") != NULL);
    node_open(t, &w, HONEST, true);
    offer_snaps(t, &w.n[HONEST]); /* of its list */
    CHECK(snaps_cnt(w.n[HONEST].snaps) == 1);
    meet(t, &w, JOINER, HONEST);
    UNTIL_AHEAD(&w, 300, w.ended);
    CHECK(w.how == JOIN_RESTORED && w.had > 4 && w.had != UINT32_MAX);
    CHECK(share_stat(joiner->share).in_bytes > bytes);
    check_home(t, &w);
    nodes_close(&w);
}

static uint32_t blob_files(const struct node *n)
{
    char cmd[200];
    unsigned cnt = 0;
    snprintf(cmd, sizeof cmd, "find %s/blobs -type f | wc -l", n->home);
    FILE *find = popen(cmd, "r");
    QN_ASSERT(find && fscanf(find, "%u", &cnt) == 1);
    pclose(find);
    return cnt;
}

/* Killed in the middle of one, it finds another when it comes back: bodies of the first go at once, everything else that no snapshot names in the
 * end. What was in the home before stays. */
static void test_killed(struct qn_test_state *t)
{
    char path[4096];
    struct qn_hash mine;
    const char *text = "a blob that the joiner's owner put there";
    two(t, true);
    struct node *joiner = &w.n[JOINER];
    CHECK_RC(blob_put(joiner->home, QN_SPAN_STR(text), &mine, NULL), QN_OK);
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, join_info(joiner->join).done > 6 && join_info(joiner->join).proven > 1);
    node_close(joiner); /* nothing is tidied there */
    struct join_kept *kept = join_kept_open(joiner->home);
    struct qn_hash manifest;
    CHECK(kept->cnt > 6 && join_kept_chosen(joiner->home, &manifest));
    uint32_t cnt[4] = { 0 };
    for (size_t i = 0; i < kept->cnt; i++)
        cnt[kept->at[i].kind] +=
            blob_path(joiner->home, &kept->at[i].id, path, sizeof path, NULL) == QN_OK;
    CHECK(cnt[JOIN_KIND_MANIFEST] == 1 && cnt[JOIN_KIND_CHUNK] && cnt[JOIN_KIND_BODY] > 1);
    /* Much later the honest one has others. */
    node_close(&w.n[HONEST]);
    remove_home(&w.n[HONEST]);
    more_blocks(&w, 1000, 80);
    two(t, true);
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, w.ended || join_info(joiner->join).done > 20);
    CHECK(w.ended == 0);
    for (size_t i = 0; i < kept->cnt; i++)
        if (kept->at[i].kind != JOIN_KIND_CHUNK)
            CHECK(blob_path(joiner->home, &kept->at[i].id, path, sizeof path, NULL) != QN_OK);
    UNTIL(&w, w.ended);
    CHECK(w.how == JOIN_RESTORED);
    uint32_t parts = (uint32_t)join_info(joiner->join).total;
    check_home(t, &w);
    offer_snaps(t, joiner); /* as its next start does */
    CHECK(snaps_cnt(joiner->snaps) == 1);
    CHECK(blob_files(joiner) == parts + 2); /* and the manifest, and the owner's */
    CHECK_RC(blob_path(joiner->home, &mine, path, sizeof path, NULL), QN_OK);
    snprintf(path, sizeof path, "%s/joining", joiner->home);
    CHECK(access(path, F_OK) != 0);
    join_kept_free(kept);
    nodes_close(&w);
}

/* Snapshots that are kept, and what goes with those that are not. */
static void test_keep(struct qn_test_state *t)
{
    world_close(&w);
    struct node *n = &w.n[HONEST];
    struct qn_buf own = { 0 };
    struct qn_hash mine;
    world_open(t, &w, 60);
    node_open(t, &w, HONEST, true);
    offer_snaps(t, n);
    qn_buf_put(&own, "a blob of somebody", 18);
    CHECK_RC(blob_put(n->home, qn_buf_get(&own), &mine, NULL), QN_OK);
    int cnt[5];
    for (int i = 0; i < 5; i++) {
        more_blocks(&w, 1000 + (uint64_t)i * 100, 5);
        json_t *said = make_snapshot(t, &w, n);
        snaps_add(n->snaps, said);
        json_decref(said);
        CHECK(snaps_cnt(n->snaps) == (uint32_t)QN_MIN(i + 1, 2));
        cnt[i] = (int)blob_files(n);
    }
    /* Two are kept; the third took the first's place. */
    CHECK(cnt[4] < 3 * cnt[0]);
    CHECK(cnt[4] - cnt[1] < cnt[0]);
    char path[4096];
    CHECK_RC(blob_path(n->home, &mine, path, sizeof path, NULL), QN_OK);
    qn_buf_free(&own);
    world_close(&w);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_blocks);
    TEST(test_join);
    TEST(test_full);
    TEST(test_gone);
    TEST(test_killed);
    TEST(test_keep);
    return TEST_END();
}
