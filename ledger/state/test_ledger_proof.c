/* test_ledger_proof.c - proof files written by hand: rows, absence and lists under one set of validators and under sets that change; forged
 * sets, forged votes and every altered byte are refused. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"
#include "ledger/state/proof.h"

enum { ROW_CNT = 40, STEP_MAX = 6, SET_MAX = 8 };

/* A block that validators first..first + cnt - 1 made final; signers of the first `votes` of them. next: the set that its state names for
 * the epoch after, first..first + cnt - 1; cnt 0: none. */
struct by {
    unsigned first, cnt, votes;
    uint8_t kind;
    struct {
        unsigned first, cnt;
    } next;
};

struct world {
    struct qn_trie *trie;
    struct qn_buf genesis;
    struct qn_hash chain, block[STEP_MAX];
    struct qn_hash validators[SET_MAX];
    bool empty; /* blocks have the root of an empty body */
    uint8_t signers;
};

static void key_of(unsigned i, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("test proof", &i, sizeof i);
    qn_key_from_seed(seed.b, ret);
}

static void world_init(struct world *w, unsigned first, unsigned cnt)
{
    struct qn_key key;
    memset(w, 0, sizeof *w);
    w->trie = qn_trie_new();
    for (uint8_t i = 0; i < ROW_CNT; i++) {
        uint8_t row[3] = { 1 + i / 20, (uint8_t)(i * 6), i };
        qn_trie_put(w->trie, QN_SPAN(row, 3), QN_SPAN(row, i % 4));
    }
    for (unsigned i = 0; i < cnt; i++) {
        key_of(first + i, &key);
        w->validators[i] = key.pub;
    }
    struct qn_genesis g = { .name = QN_SPAN_STR("t"), .t_ms = 5, .dev = true };
    g.validators.cnt = cnt;
    g.validators.ptr = w->validators;
    w->chain = qn_genesis_hash(&g);
    qn_encode(qn_genesis_record(), &g, &w->genesis);
}

static void world_fini(struct world *w)
{
    qn_trie_free(w->trie);
    qn_buf_free(&w->genesis);
}

static unsigned weight_of(unsigned who)
{
    return 1 + who / 4 * 5; /* 1 each in the first set, then 6 */
}

static void set_of(unsigned first, unsigned cnt, struct qn_set *ret)
{
    struct qn_key key;
    memset(ret, 0, sizeof *ret);
    ret->cnt = cnt;
    for (unsigned i = 0; i < cnt; i++) {
        key_of(first + i, &key);
        ret->keys[i] = key.pub;
        ret->weights[i] = weight_of(first + i);
    }
}

static void put_set(const struct qn_set *set, struct qn_buf *ret)
{
    for (unsigned i = 0; i < set->cnt; i++) {
        qn_buf_put(ret, set->keys[i].b, 32);
        qn_buf_u64(ret, set->weights[i]);
    }
}

/* Step `height`, a block of that epoch. */
static void put_step(struct world *w, unsigned height, const struct by *by, struct qn_buf *ret)
{
    struct qn_key key;
    struct qn_set set, next;
    struct qn_cert_vote votes[SET_MAX];
    struct qn_buf row = { 0 }, rows = { 0 }, edge = { 0 };
    uint8_t at[6] = { QN_TABLE_SET, 0, 0, 0, (uint8_t)(height + 1), 0 };
    set_of(by->first, by->cnt, &set);
    qn_buf_u16(ret, (uint16_t)by->cnt);
    put_set(&set, ret);
    if (by->next.cnt) {
        set_of(by->next.first, by->next.cnt, &next);
        qn_buf_u32(&row, next.cnt);
        put_set(&next, &row);
        qn_trie_put(w->trie, QN_SPAN(at, 5), qn_buf_get(&row));
        qn_trie_prove(w->trie, QN_SPAN(at, 5), QN_SPAN(at, 6), &rows, &edge);
    }
    struct qn_header h = { .ver = 1,
                           .chain = w->chain,
                           .epoch = height,
                           .height = height,
                           .view = height,
                           .t_ms = height,
                           .state_root = qn_trie_root(w->trie),
                           .set_root = qn_set_hash(&set),
                           .signers = { { w->signers } } };
    if (w->empty) h.body_root = qn_body_root(NULL, 0);
    struct qn_hash hash = qn_header_hash(&h);
    struct qn_cert cert = { .kind = by->kind, .epoch = height, .view = height, .block = hash };
    cert.votes.ptr = votes;
    uint8_t kind = by->kind == QN_CERT_FAST ? QN_VOTE_FIRST : QN_VOTE_FINAL;
    for (unsigned i = 0; i < by->votes; i++) {
        key_of(by->first + i, &key);
        struct qn_vote v = qn_vote_make(&key, (uint16_t)i, &w->chain, kind, height, height, &hash);
        qn_cert_add(&cert, &v);
    }
    qn_encode(qn_header_record(), &h, ret);
    qn_encode(qn_cert_record(), &cert, ret);
    qn_buf_u32(ret, (uint32_t)edge.len);
    qn_buf_span(ret, qn_buf_get(&edge));
    w->block[height - 1] = hash;
    qn_buf_free(&row);
    qn_buf_free(&rows);
    qn_buf_free(&edge);
}

static void put_file(struct world *w, const struct by *by, unsigned cnt, struct qn_span from,
                     struct qn_span to, struct qn_buf *ret)
{
    qn_buf_clear(ret);
    qn_buf_put(ret, "QNLP\4", 5);
    qn_buf_u32(ret, (uint32_t)w->genesis.len);
    qn_buf_span(ret, qn_buf_get(&w->genesis));
    qn_buf_u16(ret, (uint16_t)cnt);
    for (unsigned i = 0; i < cnt; i++)
        put_step(w, i + 1, &by[i], ret);
    qn_proof_range(w->trie, from, to, ret);
}

static void test_rows(struct qn_test_state *t)
{
    static const struct by ONE = { 0, 1, 1, QN_CERT_FAST, { 0, 0 } },
                           FOUR = { 0, 4, 3, QN_CERT_SLOW, { 0, 0 } };
    struct qn_why why = { "" };
    for (unsigned n = 0; n < 2; n++) {
        struct world w;
        struct qn_buf file = { 0 };
        struct qn_proof p;
        world_init(&w, 0, n ? 4 : 1);
        uint8_t there[4] = { 1, 6, 1, 0 }, gone[4] = { 1, 6, 2, 0 };
        const uint8_t *key[] = { there, gone };
        for (unsigned i = 0; i < 2; i++) {
            put_file(&w, n ? &FOUR : &ONE, 1, QN_SPAN(key[i], 3), QN_SPAN(key[i], 4), &file);
            CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.chain, &p, &why), QN_OK);
            json_t *said = qn_proof_json(&p);
            CHECK(json_is_true(json_object_get(said, "present")) == (i == 0));
            CHECK(json_is_true(json_object_get(said, "pinned")));
            json_decref(said);
            CHECK_RC(qn_proof_check(qn_buf_get(&file), NULL, &p, &why), QN_OK);
            CHECK(!p.pinned);
            CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.block[0], &p, &why), QN_OK);
            CHECK(p.pinned);
            struct qn_hash other = qn_blake3("x", 1);
            CHECK_RC(qn_proof_check(qn_buf_get(&file), &other, &p, &why), QN_E_PROOF);
        }
        put_file(&w, n ? &FOUR : &ONE, 1, QN_SPAN("\1", 1), QN_SPAN("\2", 1), &file);
        CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.chain, &p, &why), QN_OK);
        json_t *said = qn_proof_json(&p);
        CHECK(json_integer_value(json_object_get(said, "cnt")) == 20);
        json_decref(said);
        qn_buf_free(&file);
        world_fini(&w);
    }
}

/* A header that may be of a filler is named: empty, and nobody in it who was heard. */
static void test_filler(struct qn_test_state *t)
{
    static const struct by ONE = { 0, 1, 1, QN_CERT_FAST, { 0, 0 } };
    struct qn_why why = { "" };
    for (unsigned n = 0; n < 4; n++) {
        struct world w;
        struct qn_buf file = { 0 };
        struct qn_proof p;
        world_init(&w, 0, 1);
        w.empty = n & 1;
        w.signers = (n >> 1) & 1;
        put_file(&w, &ONE, 1, QN_SPAN("\1", 1), QN_SPAN("\2", 1), &file);
        CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.chain, &p, &why), QN_OK);
        json_t *said = qn_proof_json(&p);
        CHECK(qn_proof_maybe_filler(&p) == (n == 1));
        CHECK(json_is_true(json_object_get(said, "maybe_filler")) == (n == 1));
        json_decref(said);
        qn_buf_free(&file);
        world_fini(&w);
    }
}

static void test_sets(struct qn_test_state *t)
{
    static const struct {
        const char *what;
        struct by by[4];
        unsigned cnt;
        qn_rc want;
    } CASES[] = {
        { "the same set later",
          { { 0, 4, 3, QN_CERT_SLOW, { 0, 0 } }, { 0, 4, 4, QN_CERT_FAST, { 0, 0 } } },
          2,
          QN_OK },
        { "one of four new",
          { { 0, 4, 3, QN_CERT_SLOW, { 0, 0 } }, { 1, 4, 4, QN_CERT_SLOW, { 0, 0 } } },
          2,
          QN_OK },
        { "two of four new",
          { { 2, 4, 4, QN_CERT_SLOW, { 0, 0 } } },
          1,
          QN_OK }, /* 2 and 3 sign: more than the one traitor */
        { "three of four new, one known signs",
          { { 3, 4, 3, QN_CERT_SLOW, { 0, 0 } } },
          1,
          QN_E_PROOF },
        { "all new, step by step",
          { { 2, 4, 4, QN_CERT_FAST, { 0, 0 } },
            { 4, 4, 3, QN_CERT_SLOW, { 0, 0 } },
            { 6, 4, 3, QN_CERT_SLOW, { 0, 0 } } },
          3,
          QN_OK },
        { "all new, as the state before names them",
          { { 0, 4, 3, QN_CERT_SLOW, { 4, 4 } }, { 4, 4, 3, QN_CERT_SLOW, { 0, 0 } } },
          2,
          QN_OK },
        { "all new, the state before names others",
          { { 0, 4, 3, QN_CERT_SLOW, { 3, 4 } }, { 4, 4, 4, QN_CERT_FAST, { 0, 0 } } },
          2,
          QN_E_PROOF },
        { "all new, named two epochs before",
          { { 0, 4, 3, QN_CERT_SLOW, { 4, 4 } },
            { 0, 4, 3, QN_CERT_SLOW, { 0, 0 } },
            { 4, 4, 4, QN_CERT_FAST, { 0, 0 } } },
          3,
          QN_E_PROOF },
        { "three of four, but the heavy one is missing",
          { { 1, 4, 3, QN_CERT_SLOW, { 0, 0 } } },
          1,
          QN_E_PROOF },
        { "all new at once", { { 4, 4, 4, QN_CERT_FAST, { 0, 0 } } }, 1, QN_E_PROOF },
        { "too few of their own", { { 0, 4, 2, QN_CERT_SLOW, { 0, 0 } } }, 1, QN_E_PROOF },
        { "a fast one without all", { { 0, 4, 3, QN_CERT_FAST, { 0, 0 } } }, 1, QN_E_PROOF },
        { "a certificate of a view", { { 0, 4, 4, QN_CERT_VIEW, { 0, 0 } } }, 1, QN_E_PROOF },
    };
    struct qn_buf file = { 0 };
    for (unsigned i = 0; i < QN_COUNT(CASES); i++) {
        struct world w;
        struct qn_proof p;
        struct qn_why why = { "" };
        world_init(&w, 0, 4);
        put_file(&w, CASES[i].by, CASES[i].cnt, QN_SPAN("\1", 1), QN_SPAN("\2", 1), &file);
        qn_rc rc = qn_proof_check(qn_buf_get(&file), &w.chain, &p, &why);
        if (rc != CASES[i].want) printf("%s: %s\n", CASES[i].what, why.text);
        CHECK_RC(rc, CASES[i].want);
        if (rc == QN_OK) CHECK(p.header.height == CASES[i].cnt && p.steps == CASES[i].cnt);
        world_fini(&w);
    }
    /* Who trusts a block needs nothing before it. */
    static const struct by FAR[] = { { 0, 4, 3, QN_CERT_SLOW, { 0, 0 } },
                                     { 4, 4, 3, QN_CERT_SLOW, { 0, 0 } },
                                     { 5, 4, 4, QN_CERT_SLOW, { 0, 0 } } };
    struct world w;
    struct qn_proof p;
    struct qn_why why;
    world_init(&w, 0, 4);
    put_file(&w, FAR, 3, QN_SPAN("\1", 1), QN_SPAN("\2", 1), &file);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.block[0], &p, &why), QN_E_PROOF);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.block[1], &p, &why), QN_OK);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.block[2], &p, &why), QN_OK);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.chain, &p, &why), QN_E_PROOF);
    world_fini(&w);
    qn_buf_free(&file);
}

/* Somebody else's validators sign whatever they like; under the hash of our chain it proves nothing. */
static void test_forged(struct qn_test_state *t)
{
    static const struct by THEIRS = { 4, 4, 4, QN_CERT_FAST, { 0, 0 } },
                           OURS = { 0, 4, 4, QN_CERT_FAST, { 0, 0 } };
    struct world ours, theirs;
    struct qn_buf file = { 0 }, mixed = { 0 };
    struct qn_proof p;
    struct qn_why why = { "" };
    world_init(&ours, 0, 4);
    world_init(&theirs, 4, 4);
    put_file(&theirs, &THEIRS, 1, QN_SPAN("\1", 1), QN_SPAN("\2", 1), &file);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &theirs.chain, &p, &why), QN_OK);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &ours.chain, &p, &why), QN_E_PROOF);
    size_t head = 5 + 4 + ours.genesis.len;
    put_file(&ours, &OURS, 1, QN_SPAN("\1", 1), QN_SPAN("\2", 1), &mixed);
    CHECK(file.len == mixed.len);
    memcpy(mixed.ptr + head, file.ptr + head, file.len - head);
    CHECK_RC(qn_proof_check(qn_buf_get(&mixed), &ours.chain, &p, &why), QN_E_PROOF);
    theirs.chain = ours.chain; /* their block claims to be of our chain */
    put_file(&theirs, &THEIRS, 1, QN_SPAN("\1", 1), QN_SPAN("\2", 1), &file);
    memcpy(mixed.ptr + head, file.ptr + head, file.len - head);
    CHECK_RC(qn_proof_check(qn_buf_get(&mixed), &ours.chain, &p, &why), QN_E_PROOF);
    CHECK(strstr(why.text, "signed by others") != NULL);
    qn_buf_free(&file);
    qn_buf_free(&mixed);
    world_fini(&ours);
    world_fini(&theirs);
}

static void test_altered(struct qn_test_state *t)
{
    static const struct by FOUR = { 0, 4, 3, QN_CERT_SLOW, { 0, 0 } };
    struct world w;
    struct qn_buf file = { 0 };
    struct qn_proof p, good;
    struct qn_why why = { "" };
    world_init(&w, 0, 4);
    put_file(&w, &FOUR, 1, QN_SPAN("\1\6", 2), QN_SPAN("\1\12", 2), &file);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.chain, &good, &why), QN_OK);
    for (size_t at = 0; at < file.len; at++) {
        for (unsigned bit = 0; bit < 8; bit += 7) {
            file.ptr[at] ^= (uint8_t)(1u << bit);
            if (qn_proof_check(qn_buf_get(&file), &w.chain, &p, &why) == QN_OK) {
                /* Only the range may have become another one with the same rows, and says so. */
                CHECK(qn_span_eq(p.rows, good.rows) && qn_hash_eq(&p.block, &good.block));
                size_t off = (size_t)(p.from.ptr - file.ptr);
                CHECK(at >= off && at < off + p.from.len + 2 + p.to.len);
            }
            file.ptr[at] ^= (uint8_t)(1u << bit);
        }
        CHECK(qn_proof_check(QN_SPAN(file.ptr, at), &w.chain, &p, &why) != QN_OK);
    }
    qn_buf_u8(&file, 0);
    CHECK_RC(qn_proof_check(qn_buf_get(&file), &w.chain, &p, &why), QN_E_EXTRA);
    qn_buf_free(&file);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    if (argc == 3) { /* makes a file for tests/peers/light.sh and tests/corpus/fuzz_proof */
        static const struct by OVERLAP[] = { { 0, 4, 3, QN_CERT_SLOW, { 0, 0 } },
                                             { 1, 4, 4, QN_CERT_FAST, { 0, 0 } } },
                               HANDED[] = { { 0, 4, 3, QN_CERT_SLOW, { 4, 4 } },
                                            { 4, 4, 4, QN_CERT_FAST, { 0, 0 } } };
        struct world w;
        struct qn_buf file = { 0 };
        world_init(&w, 0, 4);
        bool handed = strcmp(argv[1], "handed") == 0;
        w.empty = handed;
        put_file(&w, handed ? HANDED : OVERLAP, 2, QN_SPAN("\1\6", 2), QN_SPAN("\1\36", 2), &file);
        FILE *f = fopen(argv[2], "w");
        QN_ASSERT(f && fwrite(file.ptr, 1, file.len, f) == file.len && fclose(f) == 0);
        return 0;
    }
    TEST(test_rows);
    TEST(test_filler);
    TEST(test_sets);
    TEST(test_forged);
    TEST(test_altered);
    return TEST_END();
}
