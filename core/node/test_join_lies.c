/* test_join_lies.c - snapshots that are none: each is found by the first part that says so, costs who offers it his name, and the joiner nothing. */
#include "core/node/join_world.h"
#include "net/blob/wire.h"

enum lying { NAMES_MINE, MANIFEST_MINE, TWICE, TOO_MANY, LONG_PART, MUCH, EMPTY, HALF, LYINGS };

/* A manifest that offers the joiner what is none, and what the joiner has of its own by that name. */
static void offer_lie(struct qn_test_state *t, struct join_world *w, struct node *n, enum lying how,
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
    static struct join_world w;
    struct node *joiner = &w.n[JOINER], *liar = &w.n[LIAR];
    const char *text = "a blob that the joiner's owner put there";
    char path[4096], cmd[200];
    struct qn_hash mine;
    world_open(t, &w, 60);
    for (enum lying how = 0; how < LYINGS; how++) {
        node_open(t, &w, LIAR, true);
        node_open(t, &w, JOINER, true);
        offer_snaps(t, liar);
        CHECK_RC(blob_put(joiner->home, QN_SPAN_STR(text), &mine, NULL), QN_OK);
        offer_lie(t, &w, liar, how, &mine, strlen(text));
        meet(t, &w, JOINER, LIAR);
        join_begin(t, &w, NULL, 0, true);
        /* Of three bodies the last, without which none is proven, nobody has: that may be bad luck. */
        uint32_t refused = how != HALF;
        UNTIL_AHEAD(&w, how == HALF ? 300 : 0,
                    w.ended || join_info(joiner->join).refused + join_info(joiner->join).put_off);
        CHECK(w.ended == 0 && join_info(joiner->join).refused == refused);
        CHECK(join_info(joiner->join).work_max < 300);
        CHECK((w.had == UINT32_MAX) == (how != HALF)); /* nothing of the others was fetched */
        CHECK(strchr(joiner->blamed, 'b') != NULL);
        CHECK_RC(blob_path(joiner->home, &mine, path, sizeof path, NULL), QN_OK);
        /* Nothing of what was refused stays. */
        snprintf(cmd, sizeof cmd, "find %s/blobs -type f | wc -l", joiner->home);
        FILE *find = popen(cmd, "r");
        int left = 0;
        CHECK(fscanf(find, "%d", &left) == 1 && (how == HALF ? left > 1 : left == 1));
        pclose(find);
        snprintf(path, sizeof path, "%s/joining/manifest", joiner->home);
        CHECK((access(path, F_OK) == 0) == (how == HALF));
        /* Who lied is not listened to again. */
        turns_for(w.base, 300);
        CHECK(join_info(joiner->join).refused == refused);
        node_close(joiner);
        node_close(liar);
        remove_home(joiner);
        remove_home(liar);
    }
    world_close(&w);
}

static void read_blob(struct qn_test_state *t, const struct node *n, const struct qn_hash *id,
                      struct qn_buf *ret)
{
    char path[4096];
    qn_buf_clear(ret);
    blob_beside(n->home, id, "", path, sizeof path);
    CHECK_RC(qn_file_read(path, QN_MANIFEST_MAX, ret, NULL), QN_OK);
}

/* Offers bytes as a manifest, with what said tells of an honest one. */
static void offer_bytes(struct qn_test_state *t, struct node *n, json_t *said, struct qn_span bytes)
{
    struct qn_hash id;
    char hex[65];
    CHECK_RC(blob_put(n->home, bytes, &id, NULL), QN_OK);
    qn_hex(id.b, 32, hex);
    json_object_set_new(said, "manifest", json_string(hex));
    json_object_set_new(said, "manifest_bytes", json_integer((json_int_t)bytes.len));
    snaps_add(n->snaps, said);
}

static struct qn_hash manifest_of(const json_t *said)
{
    struct qn_hash id;
    QN_ASSERT(qn_unhex(json_string_value(json_object_get(said, "manifest")), 64, id.b, 32));
    return id;
}

/* One body in the middle is not what its block says; or it is right, and stands where another should. Found when it is looked at, before what is left
 * of the snapshot came, and never restored. */
static void test_bodies(struct qn_test_state *t)
{
    static struct join_world w;
    struct node *joiner = &w.n[JOINER], *liar = &w.n[LIAR];
    world_open(t, &w, 220);
    for (int swap = 0; swap < 2; swap++) {
        struct qn_buf manifest = { 0 }, piece = { 0 };
        struct qn_snapshot sn;
        struct qn_part at = { .rest = NULL };
        struct qn_hash body[32], id;
        uint32_t cnt = 0;
        node_open(t, &w, LIAR, true);
        node_open(t, &w, JOINER, true);
        offer_snaps(t, liar);
        json_t *said = make_snapshot(t, &w, liar);
        id = manifest_of(said);
        read_blob(t, liar, &id, &manifest);
        CHECK_RC(qn_snapshot_read(qn_buf_get(&manifest), NULL, NULL, &sn, &w.why), QN_OK);
        while (qn_snapshot_next(&sn, &at))
            if (!at.chunk) body[cnt++] = at.hash;
        CHECK(cnt > 4 && cnt < 32);
        uint8_t *entry = memmem(manifest.ptr, manifest.len, body[cnt - 3].b, 32);
        QN_ASSERT(entry != NULL);
        if (swap) {
            uint8_t *other = memmem(manifest.ptr, manifest.len, body[cnt - 4].b, 32), tmp[36];
            memcpy(tmp, entry, 36);
            memcpy(entry, other, 36);
            memcpy(other, tmp, 36);
        } else {
            struct qn_hash made;
            read_blob(t, liar, &body[cnt - 3], &piece);
            piece.ptr[piece.len / 2] ^= 1;
            CHECK_RC(blob_put(liar->home, qn_buf_get(&piece), &made, NULL), QN_OK);
            memcpy(entry, made.b, 32);
        }
        offer_bytes(t, liar, said, qn_buf_get(&manifest));
        json_decref(said);
        meet(t, &w, JOINER, LIAR);
        join_begin(t, &w, NULL, 0, true);
        UNTIL(&w, w.ended || join_info(joiner->join).refused);
        CHECK(w.ended == 0 && strstr(w.log, "its bodies do not lead to its block") != NULL);
        CHECK(strstr(w.log, "restoring") == NULL);
        CHECK(strcmp(joiner->blamed, "b") == 0); /* once */
        /* What was proven before stays, what was not does not. */
        char path[4096];
        CHECK_RC(blob_path(joiner->home, &body[cnt - 1], path, sizeof path, NULL), QN_OK);
        CHECK(blob_path(joiner->home, &body[cnt - 4], path, sizeof path, NULL) == QN_E_NOTFOUND);
        node_close(joiner);
        node_close(liar);
        remove_home(joiner);
        remove_home(liar);
        qn_buf_free(&manifest);
        qn_buf_free(&piece);
    }
    world_close(&w);
}

/* A manifest with as many parts as any may have: whatever becomes of it, no turn of the loop is long. */
static void test_many_parts(struct qn_test_state *t)
{
    static struct join_world w;
    struct node *joiner = &w.n[JOINER], *liar = &w.n[LIAR];
    struct qn_buf manifest = { 0 }, made = { 0 };
    struct qn_snapshot sn;
    struct qn_part first = { .rest = NULL };
    world_open(t, &w, 60);
    node_open(t, &w, LIAR, true);
    node_open(t, &w, JOINER, true);
    offer_snaps(t, liar);
    json_t *said = make_snapshot(t, &w, liar);
    struct qn_hash id = manifest_of(said);
    read_blob(t, liar, &id, &manifest);
    CHECK_RC(qn_snapshot_read(qn_buf_get(&manifest), NULL, NULL, &sn, &w.why), QN_OK);
    CHECK(qn_snapshot_next(&sn, &first));
    qn_buf_put(&made, manifest.ptr, (size_t)(sn.chunks.ptr - manifest.ptr) - 4);
    uint32_t cnt = QN_PARTS_MAX - sn.piece_cnt;
    qn_buf_u32(&made, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_hash part = qn_blake3(&i, sizeof i);
        qn_buf_put(&made, part.b, 32);
        qn_buf_u32(&made, 1000);
        qn_buf_u16(&made, i + 1 < cnt ? 4 : 0);
        for (int k = 24; k >= 0 && i + 1 < cnt; k -= 8)
            qn_buf_u8(&made, (uint8_t)(i >> k));
        qn_buf_u32(&made, 0);
    }
    qn_buf_u32(&made, sn.piece_cnt);
    qn_buf_span(&made, sn.pieces);
    offer_bytes(t, liar, said, qn_buf_get(&made));
    json_decref(said);
    meet(t, &w, JOINER, LIAR);
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, w.ended || strstr(w.log, "65536 parts"));
    CHECK(join_info(joiner->join).total == QN_PARTS_MAX);
    UNTIL_AHEAD(&w, 300, w.ended || join_info(joiner->join).put_off);
    CHECK(w.ended == 0 && join_info(joiner->join).done <= sn.piece_cnt);
    CHECK(join_info(joiner->join).work_max <= 270); /* not of the number of parts */
    qn_buf_free(&manifest);
    qn_buf_free(&made);
    world_close(&w);
}

/* --- a crowd ----------------------------------------------------------------------------------------------------------- */

#define CROWD       70
#define EMPTY_HANDS 5 /* of OFFER_MAX offers each */
#define STALLS      8 /* of one offer each */

/* Each offers a snapshot of its own, newer than the honest one, which is a few bytes of anything; all give each other's blobs. */
struct crowd {
    struct join_world *w;
    struct qn_key key[CROWD];
    struct qn_host *host[CROWD];
    struct share *share[CROWD];
    struct offers offers[CROWD];
    struct qn_proto proto[CROWD];
    char home[64], name[64];
    uint32_t asked;
    bool mute; /* they have what they offer, and give none of it */
    struct qn_proto has[CROWD], none[CROWD];
};

struct one {
    struct crowd *of;
    uint32_t i;
};

static void crowd_ask(void *arg, struct qn_stream *s)
{
    struct one *one = arg;
    struct qn_buf buf = { 0 };
    one->of->asked++;
    offers_put(&one->of->offers[one->i], &buf);
    QN_ASSERT(qn_stream_write(s, qn_buf_get(&buf)) == QN_OK);
    qn_stream_finish(s);
    qn_buf_free(&buf);
}

static void say_has(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    const struct one *one = arg;
    const struct offer *o = &one->of->offers[one->i].list[0];
    const uint8_t bits = 1;
    struct qn_hash id;
    struct qn_buf have = { 0 }, buf = { 0 };
    bool mine = blob_have_ask_get(bytes, &id) == QN_OK && qn_hash_eq(&id, &o->manifest);
    if (mine) blob_have_put(o->bytes, &bits, &have);
    blob_frame_put(mine ? BLOB_OK : BLOB_ABSENT, qn_buf_get(&have), &buf);
    if (qn_stream_write(s, qn_buf_get(&buf))) qn_stream_reset(s);
    qn_buf_free(&have);
    qn_buf_free(&buf);
}

static void say_nothing(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    (void)arg, (void)s, (void)bytes;
}

static void crowd_open(struct qn_test_state *t, struct join_world *w, struct crowd *c)
{
    char hex[9];
    struct qn_hash chain = qn_chain_id(qn_replica_chain(w->c.r));
    c->w = w;
    snprintf(c->home, sizeof c->home, "/tmp/quoin-crowd-XXXXXX");
    CHECK(mkdtemp(c->home) != NULL);
    qn_hex(chain.b, 4, hex);
    snprintf(c->name, sizeof c->name, OFFER_PROTOCOL, hex);
}

/* One more of them meets the joiner. */
static void crowd_join(struct qn_test_state *t, struct crowd *c, struct one *one, uint32_t i)
{
    static const struct qn_stream_ops OPS = { .on_finish = crowd_ask };
    static const struct qn_stream_ops HAS = { .on_data = say_has },
                                      NONE = { .on_data = say_nothing };
    struct join_world *w = c->w;
    struct node *joiner = &w->n[JOINER];
    char addr[64];
    uint8_t seed[32] = { (uint8_t)i, 77 };
    qn_key_from_seed(seed, &c->key[i]);
    const struct qn_host_conf host = {
        .base = w->base, .env = qn_env_real(), .key = &c->key[i], .listen = "127.0.0.1:0"
    };
    CHECK_RC(qn_host_open(&host, &c->host[i], NULL), QN_OK);
    const struct share_conf share = {
        .base = w->base, .env = qn_env_real(), .host = c->host[i], .home = c->home
    };
    c->has[i] = (struct qn_proto){ .id = BLOB_HAVE, .ops = &HAS, .arg = one };
    c->none[i] = (struct qn_proto){ .id = BLOB_PROTOCOL, .ops = &NONE };
    if (!c->mute)
        CHECK_RC(share_open(&share, &c->share[i], NULL), QN_OK);
    else
        CHECK(!qn_host_proto(c->host[i], &c->has[i]) && !qn_host_proto(c->host[i], &c->none[i]));
    *one = (struct one){ c, i };
    c->proto[i] = (struct qn_proto){ .id = c->name, .ops = &OPS, .arg = one };
    CHECK_RC(qn_host_proto(c->host[i], &c->proto[i]), QN_OK);
    c->offers[i].height = c->offers[i].first = 1000000;
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(c->host[i]));
    uint32_t before = joiner->identified;
    CHECK_RC(qn_host_dial(joiner->host, addr, dialled, NULL, NULL), QN_OK);
    UNTIL(w, joiner->identified > before);
}

static void crowd_close(struct crowd *c, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        share_detach(c->share[i]);
        qn_host_close(c->host[i]);
        share_close(c->share[i]);
    }
    chain_world_remove(c->home);
}

/* More liars than a table of them might hold: each is refused once, none is taken again, not when it comes back under its name either; and the honest
 * one behind them is found. */
static void test_crowd(struct qn_test_state *t)
{
    static struct join_world w;
    static struct crowd c;
    static struct one one[CROWD];
    struct node *joiner = &w.n[JOINER];
    char addr[64];
    world_open(t, &w, 60);
    crowd_open(t, &w, &c);
    node_open(t, &w, HONEST, true);
    node_open(t, &w, JOINER, true);
    for (uint32_t i = 0; i < CROWD; i++) {
        uint8_t seed[32] = { (uint8_t)i, 77 };
        struct offer *o = &c.offers[i].list[0];
        c.offers[i].cnt = 1;
        CHECK_RC(blob_put(c.home, QN_SPAN(seed, sizeof seed), &o->manifest, NULL), QN_OK);
        *o = (struct offer){ 1000 + i, o->manifest, o->manifest, sizeof seed };
        crowd_join(t, &c, &one[i], i);
    }
    join_begin(t, &w, NULL, 0, true);
    UNTIL(&w, w.ended || join_info(joiner->join).refused == CROWD);
    CHECK(w.ended == 0 && strlen(joiner->blamed) == 0); /* of strangers to the fixture */
    CHECK(qn_host_stat(joiner->host).blames == CROWD);
    /* One comes back, with what it offered first and with something new. */
    struct offer other = c.offers[0].list[0];
    other.height = 5000;
    c.offers[0].list[c.offers[0].cnt++] = other;
    qn_host_hangup(joiner->host, 1, "bye");
    qn_host_hangup(c.host[0], 1, "bye");
    turns_for(w.base, 400);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(c.host[0]));
    CHECK_RC(qn_host_dial(joiner->host, addr, dialled, NULL, NULL), QN_OK);
    uint32_t asked = c.asked;
    for (int i = 0; i < 60; i++) {
        w.ahead_ms += 500;
        event_base_loop(w.base, EVLOOP_ONCE);
    }
    CHECK(join_info(joiner->join).refused == CROWD && c.asked == asked);
    offer_snaps(t, &w.n[HONEST]);
    json_t *said = make_snapshot(t, &w, &w.n[HONEST]);
    snaps_add(w.n[HONEST].snaps, said);
    json_decref(said);
    meet(t, &w, JOINER, HONEST);
    UNTIL(&w, w.ended);
    CHECK(w.how == JOIN_RESTORED && strchr(joiner->blamed, 'a') == NULL);
    check_home(t, &w);
    node_close(joiner);
    crowd_close(&c, CROWD);
    world_close(&w);
}

/* Each of some liars offers as many as one may, all newer than the honest one, and gives none: one of each is tried, before the honest one. */
static void test_empty_hands(struct qn_test_state *t)
{
    static struct join_world w;
    static struct crowd c;
    static struct one one[EMPTY_HANDS];
    struct node *joiner = &w.n[JOINER];
    world_open(t, &w, 60);
    crowd_open(t, &w, &c);
    node_open(t, &w, HONEST, true);
    node_open(t, &w, JOINER, true);
    for (uint32_t i = 0; i < EMPTY_HANDS; i++) {
        for (uint32_t k = 0; k < OFFER_MAX; k++) {
            struct offer *o = &c.offers[i].list[k];
            uint32_t no = i * OFFER_MAX + k;
            *o = (struct offer){ 1000 + no, qn_blake3(&no, sizeof no), { { 0 } }, 100 };
            o->manifest = qn_blake3(&o->block, sizeof o->block);
        }
        c.offers[i].cnt = OFFER_MAX;
        crowd_join(t, &c, &one[i], i);
    }
    offer_snaps(t, &w.n[HONEST]);
    json_t *said = make_snapshot(t, &w, &w.n[HONEST]);
    snaps_add(w.n[HONEST].snaps, said);
    json_decref(said);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, NULL, 0, true);
    UNTIL_AHEAD(&w, 300, w.ended);
    CHECK(w.how == JOIN_RESTORED && join_info(joiner->join).put_off <= EMPTY_HANDS);
    CHECK(strchr(joiner->blamed, 'a') == NULL);
    check_home(t, &w);
    node_close(joiner);
    crowd_close(&c, EMPTY_HANDS);
    world_close(&w);
}

/* Some liars have what each of them offers, they say, and give none of it: each is waited for, in the beginning not for long. */
static void test_stalls(struct qn_test_state *t)
{
    static struct join_world w;
    static struct crowd c;
    static struct one one[STALLS];
    world_open(t, &w, 60);
    crowd_open(t, &w, &c);
    node_open(t, &w, HONEST, true);
    node_open(t, &w, JOINER, true);
    c.mute = true;
    for (uint32_t i = 0; i < STALLS; i++) {
        struct qn_hash of = qn_blake3(&i, sizeof i);
        c.offers[i].list[0] = (struct offer){ 1000 + i, of, of, 100 };
        c.offers[i].cnt = 1;
        crowd_join(t, &c, &one[i], i);
    }
    offer_snaps(t, &w.n[HONEST]);
    json_t *said = make_snapshot(t, &w, &w.n[HONEST]);
    snaps_add(w.n[HONEST].snaps, said);
    json_decref(said);
    meet(t, &w, JOINER, HONEST);
    join_begin(t, &w, NULL, 0, true);
    UNTIL_AHEAD(&w, 100, w.ended);
    CHECK(w.how == JOIN_RESTORED && join_info(w.n[JOINER].join).put_off == STALLS);
    CHECK(w.ahead_ms < STALLS * UINT64_C(15000));
    check_home(t, &w);
    node_close(&w.n[JOINER]);
    crowd_close(&c, STALLS);
    world_close(&w);
}

/* A liar offers the honest one's manifest as what it is not: newer, of another block, of another length. Only the liar is to blame, and the honest
 * offer of the same manifest is taken. */
static void test_false_names(struct qn_test_state *t)
{
    static const char *const FIELDS[] = { "height", "block", "manifest_bytes" };
    static struct join_world w;
    struct node *joiner = &w.n[JOINER];
    world_open(t, &w, 60);
    for (unsigned i = 0; i < QN_COUNT(FIELDS); i++) {
        for (int k = HONEST; k <= JOINER; k++)
            if (k != NOISE) node_open(t, &w, k, true);
        offer_snaps(t, &w.n[HONEST]);
        offer_snaps(t, &w.n[LIAR]);
        json_t *said = make_snapshot(t, &w, &w.n[HONEST]);
        snaps_add(w.n[HONEST].snaps, said);
        struct qn_hash id = manifest_of(said);
        char hex[65];
        qn_hex(id.b, 32, hex);
        json_int_t bytes = json_integer_value(json_object_get(said, "manifest_bytes"));
        if (i == 1)
            json_object_set_new(said, "block", json_string(hex));
        else
            json_object_set_new(said, FIELDS[i], json_integer(i ? bytes - 1 : 1000000));
        snaps_add(w.n[LIAR].snaps, said);
        json_decref(said);
        meet(t, &w, JOINER, LIAR);
        join_begin(t, &w, NULL, 0, true);
        UNTIL(&w, join_info(joiner->join).offers == 1);
        meet(t, &w, JOINER, HONEST);
        UNTIL(&w, w.ended);
        CHECK(w.how == JOIN_RESTORED && strchr(joiner->blamed, 'a') == NULL);
        check_home(t, &w);
        for (int k = HONEST; k <= JOINER; k++) {
            node_close(&w.n[k]);
            remove_home(&w.n[k]);
        }
    }
    world_close(&w);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_liars);
    TEST(test_bodies);
    TEST(test_many_parts);
    TEST(test_crowd);
    TEST(test_empty_hands);
    TEST(test_stalls);
    TEST(test_false_names);
    return TEST_END();
}
