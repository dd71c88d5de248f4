/* test_game.c - whole disputes on a ledger in memory, played by the same code as in workers: every kind of lie is convicted
 * at the very operator and tile it was told in, false alarms cost their bond, silence loses, and what is forged, out of
 * turn or replayed is refused. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "gpu/graph/mlp.h"
#include "ledger/state/fixture.h"
#include "modules/training/follow.h"
#include "modules/training/move.h"

#include <stdlib.h>

extern const struct qn_module training_module;

enum { REQUESTER, HONEST, CHEAT, WHISTLE, OTHER, CURATOR };

#define RECS  300u
#define STEPS 11u
#define SEG   4u
#define PAY   UINT64_C(5000000)
#define BOND  UINT64_C(2000000)

struct world {
    struct qn_fix fix;
    struct qn_exec_module exec;
    struct qn_buf blob;
    struct qn_arena arena;
    struct replay_conf conf; /* honest */
    struct qn_hash data, init, job, run[3];
    struct qn_why why;
};

static uint64_t rnd(uint64_t *s)
{
    uint64_t z = *s += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void make_data(struct world *w)
{
    struct dataset d = {
        .rec_bytes = 320, .rec_cnt = RECS, .dims = { 300 }, .label_off = 300, .class_cnt = 10
    };
    uint64_t s = 5;
    dataset_put(&d, &w->blob);
    uint8_t *p = qn_buf_grow(&w->blob, (size_t)320 * RECS);
    memset(p, 0, (size_t)320 * RECS);
    for (uint32_t i = 0; i < RECS; i++, p += 320) {
        p[300] = (uint8_t)(rnd(&s) % 10);
        for (uint32_t k = 0; k < 300; k++)
            p[k] = (uint8_t)(rnd(&s) % 3 ? rnd(&s) & 127 : k % 10 == p[300] ? 255 : 0);
    }
    w->data = qn_blake3(w->blob.ptr, w->blob.len);
    QN_ASSERT(dataset_open(qn_buf_get(&w->blob), &w->conf.data, NULL) == QN_OK);
}

static qn_rc tx(struct world *w, unsigned who, uint16_t kind, const void *body)
{
    return qn_fix_tx(&w->fix, who, kind, body, NULL, &w->why);
}

static struct train_job terms(struct world *w, uint8_t solvers)
{
    struct qn_buf bytes = { 0 };
    graph_encode(&w->conf.g, &bytes);
    void *copy = qn_arena_copy(&w->arena, bytes.ptr, bytes.len);
    struct train_job job = { .graph = QN_SPAN(copy, bytes.len),
                             .seed = w->conf.seed,
                             .init = w->init,
                             .data = w->data,
                             .batch = w->conf.batch,
                             .steps = w->conf.steps,
                             .seg = w->conf.seg,
                             .solvers = solvers,
                             .pay = QN_UQN(PAY),
                             .bond = QN_UQN(BOND),
                             .window_ms = 60000,
                             .move_ms = 5000 };
    qn_buf_free(&bytes);
    return job;
}

static void begin(struct world *w)
{
    const struct qn_module *m = &training_module;
    struct graph_mlp o = graph_mlp_default(STEPS);
    struct replay *r = NULL;
    *w = (struct world){ .exec = { m->name, m->txs, m->dues, m->tables, m->chain, m->genesis,
                                   m->block_end } };
    qn_fix_init(&w->fix, &w->exec, 1, NULL);
    make_data(w);
    o.layer_cnt = 2;
    o.dims[0] = 300; /* two running sums, 19 tiles high */
    o.dims[1] = 40;
    o.dims[2] = 10;
    o.batch = 24;
    o.label_off = 300;
    QN_ASSERT(graph_mlp(&o, &w->arena, &w->conf.g, NULL) == QN_OK);
    w->conf.seed = 77;
    w->conf.steps = STEPS;
    w->conf.batch = 24;
    w->conf.seg = SEG;
    QN_ASSERT(replay_new(&w->conf, &r, NULL) == QN_OK);
    w->init = replay_root(r);
    replay_free(r);
    const struct data_put put = { .data = w->data,
                                  .name = QN_SPAN_STR("toy"),
                                  .licence = QN_SPAN_STR("CC0-1.0"),
                                  .bytes = w->blob.len,
                                  .rec_bytes = 320,
                                  .rec_cnt = RECS };
    QN_ASSERT(tx(w, CURATOR, TRAINING_TX_DATA_PUT, &put) == QN_OK);
}

static void end(struct world *w)
{
    qn_fix_fini(&w->fix);
    qn_buf_free(&w->blob);
    qn_arena_free(&w->arena);
}

static struct training_job job_row(struct world *w)
{
    struct training_job job;
    QN_ASSERT(training_job_get(w->fix.view, &w->arena, &w->job, &job, NULL) == QN_OK);
    return job;
}

static struct training_run run_row(struct world *w, unsigned who)
{
    struct training_run run;
    QN_ASSERT(training_run_get(w->fix.view, &w->arena, &w->run[who], &run, NULL) == QN_OK);
    return run;
}

static struct training_game game_row(struct world *w, const struct qn_hash *id)
{
    struct training_game game;
    QN_ASSERT(training_game_get(w->fix.view, &w->arena, id, &game, NULL) == QN_OK);
    return game;
}

static uint64_t balance(const struct world *w, unsigned person)
{
    struct qn_hash acct = qn_fix_acct(person);
    return qn_view_balance(w->fix.view, &acct).uqn;
}

/* A job taken by HONEST (and CHEAT), its order drawn. */
static void start(struct world *w, uint8_t solvers)
{
    struct train_job job = terms(w, solvers);
    QN_ASSERT(tx(w, REQUESTER, TRAINING_TX_JOB, &job) == QN_OK);
    QN_ASSERT(qn_fix_event(&w->fix, "train.posted", &w->job));
    const struct train_take take = { .job = w->job };
    for (unsigned who = solvers == 1 ? CHEAT : HONEST; who <= CHEAT; who++) {
        QN_ASSERT(tx(w, who, TRAINING_TX_TAKE, &take) == QN_OK);
        QN_ASSERT(qn_fix_event(&w->fix, "train.taken", &w->run[who]));
    }
    for (int i = 0; i < 4 && job_row(w).state != TRAINING_JOB_RUNNING; i++)
        qn_fix_wait(&w->fix, 10);
    QN_ASSERT(job_row(w).state == TRAINING_JOB_RUNNING);
    w->conf.order = job_row(w).order;
}

/* False when the lie leads to no number at all: such a run is given up, not committed. */
static bool solve(struct world *w, const struct replay_lie *lie, struct follow *ret)
{
    struct spec spec = { .conf = w->conf, .init = w->init };
    if (lie) spec.conf.lie = *lie;
    qn_rc rc = follow_run(NULL, &spec, ret, &w->why);
    QN_ASSERT(rc == QN_OK || (lie && rc == QN_E_JOB));
    return rc == QN_OK;
}

static qn_rc commit(struct world *w, unsigned who, const struct follow *f)
{
    const struct train_commit b = {
        .job = w->job, .cnt = f->seg_cnt, .root = f->root, .weights = f->weights
    };
    return tx(w, who, TRAINING_TX_COMMIT, &b);
}

/* The first segment in which two traces differ; seg_cnt when they do not. */
static uint32_t differs(const struct follow *a, const struct follow *b)
{
    uint32_t i = 0;
    while (i < a->seg_cnt && memcmp(&a->segs[i], &b->segs[i], sizeof a->segs[i]) == 0)
        i++;
    return i;
}

static qn_rc announce(struct world *w, unsigned who, const struct qn_hash *salt, uint32_t seg,
                      uint64_t mark)
{
    struct qn_hash acct = qn_fix_acct(who);
    const struct game_commit b = { .claim = training_claim_hash(&acct, salt, &w->run[CHEAT], seg,
                                                                mark) };
    return tx(w, who, TRAINING_TX_GAME_COMMIT, &b);
}

static struct game_open opening(struct world *w, const struct follow *f, uint32_t seg)
{
    struct game_open b = { 0 };
    json_t *json = move_challenge(qn_buf_get(&f->trace), f->seg_cnt, seg);
    QN_ASSERT(qn_from_json(game_open_record(), json, &w->arena, &b, &w->why) == QN_OK);
    json_decref(json);
    b.run = w->run[CHEAT];
    b.salt = qn_blake3("salt", 4);
    return b;
}

/* Announces and opens a challenge of CHEAT's run. */
static qn_rc challenge(struct world *w, unsigned who, const struct follow *f, uint32_t seg,
                       struct qn_hash *ret)
{
    struct game_open b = opening(w, f, seg);
    qn_rc rc = announce(w, who, &b.salt, seg, UINT64_MAX);
    if (rc == QN_OK) rc = tx(w, who, TRAINING_TX_GAME_OPEN, &b);
    if (rc == QN_OK) QN_ASSERT(qn_fix_event(&w->fix, "game.opened", ret));
    return rc;
}

/* One move by whoever is to move; the challenger computes honestly. */
static qn_rc step(struct world *w, const struct qn_hash *id, const struct replay_lie *lie,
                  unsigned challenger)
{
    struct training_game game = game_row(w, id);
    struct replay_conf conf = w->conf;
    const struct move_from none = { 0 };
    bool solver = training_solver_moves(game.phase);
    json_t *json = NULL;
    union {
        struct game_roots roots;
        struct game_pick pick;
        struct game_tile tile;
    } body;
    if (solver && lie) conf.lie = *lie;
    qn_rc rc = move_find(&conf, qn_buf_get(&w->blob), &game, &none, &json, &w->why);
    if (rc) return rc;
    uint16_t kind = solver                        ? TRAINING_TX_GAME_ROOTS
                    : game.phase == TRAINING_TILE ? TRAINING_TX_GAME_TILE
                                                  : TRAINING_TX_GAME_PICK;
    const struct qn_record *rec = solver                          ? game_roots_record()
                                  : kind == TRAINING_TX_GAME_TILE ? game_tile_record()
                                                                  : game_pick_record();
    char hex[65];
    qn_hex(id->b, 32, hex);
    json_object_set_new(json, "game", json_string(hex));
    rc = qn_from_json(rec, json, &w->arena, &body, &w->why);
    json_decref(json);
    return rc ? rc : tx(w, solver ? CHEAT : challenger, kind, &body);
}

static qn_rc play(struct world *w, const struct qn_hash *id, const struct replay_lie *lie)
{
    for (int i = 0; i < 40; i++) {
        if (game_row(w, id).result != TRAINING_OPEN) return QN_OK;
        qn_rc rc = step(w, id, lie, WHISTLE);
        if (rc) return rc;
    }
    return QN_E_BUG;
}

static bool computes(const struct graph_node *n)
{
    return n->op != GRAPH_CONST && n->op != GRAPH_STEP && n->op != GRAPH_STATE;
}

/* One lie, from the commitment to the split of the bond. True when the trace shows it at all. */
static bool convict(struct qn_test_state *t, const struct replay_lie *lie)
{
    struct world w;
    struct follow good, bad;
    struct qn_hash game;
    begin(&w);
    start(&w, 2);
    solve(&w, NULL, &good);
    bool whole = solve(&w, lie, &bad);
    uint32_t seg = differs(&good, &bad);
    bool shows =
        whole && seg < good.seg_cnt && memcmp(&good.segs[seg].to, &bad.segs[seg].to, 32) != 0;
    if (shows) {
        CHECK(seg == lie->step / SEG);
        CHECK_RC(commit(&w, HONEST, &good), QN_OK);
        CHECK_RC(commit(&w, CHEAT, &bad), QN_OK);
        uint64_t before = balance(&w, WHISTLE);
        CHECK_RC(challenge(&w, WHISTLE, &bad, seg, &game), QN_OK);
        qn_rc rc = play(&w, &game, lie);
        if (rc) printf("%s\n", w.why.text);
        CHECK_RC(rc, QN_OK);
        struct training_game g = game_row(&w, &game);
        const struct graph_node *n = &w.conf.g.node.ptr[lie->node];
        CHECK(g.result == TRAINING_CHALLENGER && g.node == lie->node && g.step_lo == lie->step);
        CHECK(g.tile == lie->elem / n->cols / 16 * graph_tiles(n->cols) + lie->elem % n->cols / 16);
        CHECK(run_row(&w, CHEAT).state == TRAINING_RUN_CONVICTED &&
              run_row(&w, HONEST).state == TRAINING_RUN_WINDOW);
        uint64_t gained =
            balance(&w, WHISTLE) - before + 100000; /* fees of the moves are below that */
        CHECK(gained > BOND * 45 / 100 && gained <= BOND * 45 / 100 + 100000);
        qn_fix_wait(&w.fix, 60001);
        CHECK(run_row(&w, HONEST).state == TRAINING_RUN_PAID &&
              job_row(&w).state == TRAINING_JOB_CLOSED);
    }
    follow_fini(&good);
    follow_fini(&bad);
    end(&w);
    return shows;
}

static void test_lies(struct qn_test_state *t)
{
    struct world w;
    uint64_t s = 1;
    uint32_t shown = 0, cnt = test_long() ? 1000 : 24;
    begin(&w);
    for (uint32_t i = 0; i < cnt; i++) {
        static const uint32_t FLIPS[] = { 1, 0x80000000, 0,
                                          0x00400000 }; /* an ulp, a sign, anything, much */
        struct replay_lie lie = { .on = true, .step = rnd(&s) % STEPS, .flip = FLIPS[i % 4] };
        do
            lie.node = (uint32_t)(rnd(&s) % w.conf.g.node.cnt);
        while (!computes(&w.conf.g.node.ptr[lie.node]));
        const struct graph_node *n = &w.conf.g.node.ptr[lie.node];
        lie.elem = (uint32_t)(rnd(&s) % (n->rows * n->cols));
        shown += convict(t, &lie);
        if (t->bad) {
            printf("lie %u: step %llu op %u elem %u flip %08x\n", i, (unsigned long long)lie.step,
                   lie.node, lie.elem, lie.flip);
            break;
        }
    }
    CHECK(shown >
          cnt / 3); /* the others changed nothing that lasts: a dead unit, a gradient's norm */
    end(&w);
}

/* Each operator once, at its last element, so that no kind is left to chance. */
static void test_every_op(struct qn_test_state *t)
{
    struct world w;
    begin(&w);
    bool kinds[GRAPH_OP_CNT] = { false };
    for (uint32_t i = 0; i < w.conf.g.node.cnt && !t->bad; i++) {
        const struct graph_node *n = &w.conf.g.node.ptr[i];
        if (!computes(n)) continue;
        struct replay_lie lie = { .on = true, .step = 5, .node = i, .elem = n->rows * n->cols - 1 };
        bool shows = convict(t, &lie);
        /* A softmax hardly sees a shift of its maximum; a great one loses digits. */
        lie.flip = 0x02000000;
        for (lie.elem = 0; n->op == GRAPH_ROWMAX && !shows && lie.elem < n->rows; lie.elem++)
            shows = convict(t, &lie);
        if (shows) kinds[n->op] = true;
        if (t->bad) printf("op %u %s\n", i, graph_op_word(n->op));
    }
    CHECK(kinds[GRAPH_CONTRACT] && kinds[GRAPH_ROWSUM] && kinds[GRAPH_ROWMAX] && kinds[GRAPH_MAP] &&
          kinds[GRAPH_INPUT]);
    end(&w);
}

/* A challenger who lies himself: he rejects what is right, all the way down. */
static void test_false_alarm(struct qn_test_state *t)
{
    struct world w;
    struct follow good;
    struct qn_hash game;
    begin(&w);
    start(&w, 1);
    solve(&w, NULL, &good);
    CHECK_RC(commit(&w, CHEAT, &good), QN_OK);
    uint64_t solver = balance(&w, CHEAT);
    CHECK_RC(challenge(&w, WHISTLE, &good, 1, &game), QN_OK);
    for (int i = 0; i < 40 && game_row(&w, &game).result == TRAINING_OPEN && !t->bad; i++) {
        struct training_game g = game_row(&w, &game);
        if (training_solver_moves(g.phase) || g.phase == TRAINING_TILE) {
            CHECK_RC(step(&w, &game, NULL, WHISTLE), QN_OK);
            continue;
        }
        CHECK_RC(step(&w, &game, NULL, WHISTLE), QN_E_CHECK); /* an honest machine finds nothing */
        uint32_t idx = g.phase == TRAINING_PICK_NODE ? w.conf.g.wgrad : g.list.cnt - 1;
        const struct game_pick pick = { .game = game, .index = idx };
        CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_PICK, &pick), QN_OK);
    }
    CHECK(game_row(&w, &game).result == TRAINING_SOLVER);
    CHECK(run_row(&w, CHEAT).state == TRAINING_RUN_WINDOW && run_row(&w, CHEAT).game_cnt == 0);
    qn_fix_wait(&w.fix, 60001);
    CHECK(run_row(&w, CHEAT).state == TRAINING_RUN_PAID);
    CHECK(balance(&w, CHEAT) + 100000 >
          solver + PAY + BOND + 10000); /* and half the challenger's bond, less fees */
    follow_fini(&good);
    end(&w);
}

static void test_silence(struct qn_test_state *t)
{
    const struct replay_lie lie = { .on = true, .step = 6, .node = 0, .elem = 3, .flip = 0 };
    for (int who = 0; who < 2 && !t->bad; who++) {
        struct world w;
        struct follow bad;
        struct qn_hash game;
        struct replay_lie at = lie;
        begin(&w);
        at.node = w.conf.g.wgrad;
        start(&w, 1);
        solve(&w, &at, &bad);
        CHECK_RC(commit(&w, CHEAT, &bad), QN_OK);
        CHECK_RC(challenge(&w, WHISTLE, &bad, 1, &game), QN_OK);
        for (int i = 0; i < who; i++)
            CHECK_RC(step(&w, &game, &at, WHISTLE), QN_OK);
        qn_fix_wait(&w.fix, 4900);
        CHECK(game_row(&w, &game).result == TRAINING_OPEN);
        qn_fix_wait(&w.fix, 101);
        CHECK(game_row(&w, &game).result == (who ? TRAINING_SOLVER : TRAINING_CHALLENGER));
        CHECK(run_row(&w, CHEAT).state == (who ? TRAINING_RUN_WINDOW : TRAINING_RUN_CONVICTED));
        CHECK_RC(step(&w, &game, &at, WHISTLE), QN_E_STATE);
        follow_fini(&bad);
        end(&w);
    }
}

/* Out of turn, by strangers, with hashes that do not fit, replayed. */
static void test_refused(struct qn_test_state *t)
{
    struct world w;
    struct follow bad;
    struct qn_hash game;
    begin(&w);
    struct replay_lie lie = { .on = true, .step = 6, .node = w.conf.g.wgrad, .elem = 3, .flip = 1 };
    start(&w, 1);
    solve(&w, &lie, &bad);
    CHECK_RC(commit(&w, CHEAT, &bad), QN_OK);
    CHECK_RC(commit(&w, CHEAT, &bad), QN_E_STATE);
    struct game_open b = opening(&w, &bad, 1);
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_OPEN, &b), QN_E_REFUSED); /* not announced */
    CHECK_RC(announce(&w, WHISTLE, &b.salt, 1, UINT64_MAX), QN_OK);
    CHECK_RC(tx(&w, OTHER, TRAINING_TX_GAME_OPEN, &b), QN_E_REFUSED); /* a copy of it */
    b.leaf = QN_SPAN(bad.trace.ptr, TRACE_SEGMENT_BYTES);             /* segment 0 */
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_OPEN, &b), QN_E_PROOF);
    b = opening(&w, &bad, 1);
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_OPEN, &b), QN_OK);
    CHECK(qn_fix_event(&w.fix, "game.opened", &game));
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_OPEN, &b),
             QN_E_REFUSED); /* again, without a new announcement */
    const struct train_accept accept = { .run = w.run[CHEAT] };
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_ACCEPT, &accept), QN_E_STATE);

    struct game_pick pick = { .game = game };
    struct qn_hash four[4] = { { { 1 } }, { { 2 } }, { { 3 } }, bad.segs[1].to };
    struct game_roots roots = { .game = game, .hashes = { 4, four } };
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_PICK, &pick),
             QN_E_STATE); /* the solver moves first */
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_ROOTS, &roots), QN_E_AUTH);
    roots.hashes.cnt = 3;
    CHECK_RC(tx(&w, CHEAT, TRAINING_TX_GAME_ROOTS, &roots), QN_E_RANGE);
    roots.hashes.cnt = 4;
    four[3].b[0] ^= 1;
    CHECK_RC(tx(&w, CHEAT, TRAINING_TX_GAME_ROOTS, &roots),
             QN_E_PROOF); /* another end than committed */
    CHECK_RC(step(&w, &game, &lie, WHISTLE), QN_OK);
    pick.index = 4;
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_PICK, &pick), QN_E_RANGE);
    CHECK_RC(step(&w, &game, &lie, WHISTLE), QN_OK);
    CHECK(game_row(&w, &game).phase == TRAINING_NODES && game_row(&w, &game).step_lo == 6);
    /* the solver's operators must give both states, the true ones as well as any others do not */
    CHECK_RC(step(&w, &game, NULL, WHISTLE), QN_E_PROOF);
    CHECK_RC(step(&w, &game, &lie, WHISTLE), QN_OK);
    pick.index = w.conf.g.next.ptr[0].state;
    CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_PICK, &pick),
             QN_E_REFUSED); /* a state is no computation */
    CHECK_RC(step(&w, &game, &lie, WHISTLE), QN_OK);
    CHECK_RC(step(&w, &game, NULL, WHISTLE),
             QN_E_PROOF); /* the true tiles do not make up the false tensor */
    CHECK_RC(play(&w, &game, &lie), QN_OK);
    CHECK(game_row(&w, &game).result == TRAINING_CHALLENGER);
    follow_fini(&bad);
    end(&w);
}

/* Openings with one bit changed anywhere, too few or too many: never a verdict. */
static void test_forged(struct qn_test_state *t)
{
    for (int input = 0; input < 2 && !t->bad; input++) {
        struct world w;
        struct follow bad;
        struct qn_hash game;
        uint64_t s = 9;
        const struct move_from none = { 0 };
        begin(&w);
        struct replay_lie lie = { .on = true, .step = 6, .elem = 290, .flip = 0 };
        for (uint32_t i = 0; i < w.conf.g.node.cnt;
             i++) /* pixels, or the first contraction, which has a running sum */
            if (w.conf.g.node.ptr[i].op == (input ? GRAPH_INPUT : GRAPH_CONTRACT)) {
                lie.node = i;
                break;
            }
        start(&w, 1);
        solve(&w, &lie, &bad);
        CHECK_RC(commit(&w, CHEAT, &bad), QN_OK);
        CHECK_RC(challenge(&w, WHISTLE, &bad, 1, &game), QN_OK);
        while (game_row(&w, &game).phase != TRAINING_TILE && !t->bad)
            CHECK_RC(step(&w, &game, &lie, WHISTLE), QN_OK);
        struct training_game g = game_row(&w, &game);
        json_t *json = NULL;
        struct game_tile good, forged;
        CHECK_RC(move_find(&w.conf, qn_buf_get(&w.blob), &g, &none, &json, &w.why), QN_OK);
        CHECK_RC(qn_from_json(game_tile_record(), json, &w.arena, &good, &w.why), QN_OK);
        json_decref(json);
        good.game = game;
        CHECK(input ? good.chunks.cnt > 0 && good.tiles.cnt == 0
                    : good.chunks.cnt == 0 && good.tiles.cnt > 5);
        for (int i = 0; i < 40; i++) {
            struct qn_buf bytes = { 0 };
            qn_encode(game_tile_record(), &good, &bytes);
            size_t at = 32 + rnd(&s) % (bytes.len - 32);
            bytes.ptr[at] ^= (uint8_t)(1u << rnd(&s) % 8);
            uint8_t *copy = qn_arena_copy(&w.arena, bytes.ptr, bytes.len);
            if (qn_decode(game_tile_record(), QN_SPAN(copy, bytes.len), &w.arena, &forged, NULL) ==
                QN_OK) {
                qn_rc rc = tx(&w, WHISTLE, TRAINING_TX_GAME_TILE, &forged);
                CHECK(rc == QN_E_PROOF || rc == QN_E_RANGE || rc == QN_E_SHORT);
            }
            qn_buf_free(&bytes);
        }
        forged = good;
        if (input)
            forged.chunks.cnt--;
        else
            forged.tiles.cnt--;
        qn_rc rc = tx(&w, WHISTLE, TRAINING_TX_GAME_TILE, &forged);
        CHECK(rc == QN_E_PROOF || rc == QN_E_RANGE);
        CHECK_RC(tx(&w, OTHER, TRAINING_TX_GAME_TILE, &good), QN_E_AUTH);
        CHECK(game_row(&w, &game).result == TRAINING_OPEN);
        CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_TILE, &good), QN_OK);
        CHECK(game_row(&w, &game).result == TRAINING_CHALLENGER);
        CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_TILE, &good), QN_E_STATE);
        follow_fini(&bad);
        end(&w);
    }
}

/* Two at once: the first to show it wins, the other has his bond back. */
static void test_parallel(struct qn_test_state *t)
{
    struct world w;
    struct follow bad;
    struct qn_hash one, two;
    begin(&w);
    struct replay_lie lie = { .on = true, .step = 2, .node = w.conf.g.wgrad, .elem = 700 };
    start(&w, 1);
    solve(&w, &lie, &bad);
    CHECK_RC(commit(&w, CHEAT, &bad), QN_OK);
    CHECK_RC(challenge(&w, OTHER, &bad, 0, &two), QN_OK);
    uint64_t staked = balance(&w, OTHER);
    CHECK_RC(challenge(&w, WHISTLE, &bad, 0, &one), QN_OK);
    CHECK_RC(step(&w, &two, &lie, OTHER), QN_OK);
    CHECK_RC(play(&w, &one, &lie), QN_OK);
    CHECK(game_row(&w, &one).result == TRAINING_CHALLENGER &&
          game_row(&w, &two).result == TRAINING_MOOT);
    CHECK(balance(&w, OTHER) == staked + 20000 + BOND / 100);
    CHECK_RC(step(&w, &two, &lie, OTHER), QN_E_STATE);
    follow_fini(&bad);
    end(&w);
}

/* A trace that contradicts itself is decided as soon as it is shown. */
static void test_at_once(struct qn_test_state *t)
{
    for (int how = 0; how < 3 && !t->bad; how++) {
        struct world w;
        struct follow f;
        struct qn_hash game;
        struct trace_segment seg;
        begin(&w);
        start(&w, 1);
        solve(&w, NULL, &f);
        uint32_t at = how == 0 ? 0 : 1;
        seg = f.segs[at];
        if (how == 2)
            seg.seg = 9;
        else
            seg.from.b[3] ^= 1; /* not the job's first state; not where the one before ended */
        trace_segment_put(&seg, f.trace.ptr + at * TRACE_SEGMENT_BYTES);
        struct qn_hash leaves[3];
        for (uint32_t i = 0; i < 3; i++) {
            trace_segment_get(f.trace.ptr + i * TRACE_SEGMENT_BYTES, &seg);
            leaves[i] = trace_segment_hash(&seg);
        }
        f.root = tree_root(leaves, 3);
        CHECK_RC(commit(&w, CHEAT, &f), QN_OK);
        CHECK_RC(challenge(&w, WHISTLE, &f, at, &game), QN_OK);
        CHECK(game_row(&w, &game).result == TRAINING_CHALLENGER);
        follow_fini(&f);
        end(&w);
    }
}

/* False marks: other records, a broken chain, a loss that was not; states are all true. */
static void test_marks(struct qn_test_state *t)
{
    for (int how = 0; how < 4 && !t->bad; how++) {
        struct world w;
        struct follow f;
        struct qn_hash game = { { 0 } }, leaves[SEG], path[TREE_DEPTH_MAX], path2[TREE_DEPTH_MAX],
                       roots[3];
        struct trace_step marks[SEG];
        uint8_t bytes[TRACE_STEP_BYTES], before[TRACE_STEP_BYTES];
        begin(&w);
        start(&w, 1);
        solve(&w, NULL, &f);
        for (uint32_t i = 0; i < SEG; i++)
            trace_step_get(f.marks.ptr + (SEG + i) * TRACE_STEP_BYTES,
                           &marks[i]); /* of segment 1 */
        if (how == 0) marks[2].batch_root.b[0] ^= 1;
        if (how == 1) marks[2].chain.b[0] ^= 1;
        if (how == 2) marks[2].loss ^= 1;
        if (how == 2)
            marks[2].chain = trace_chain(&marks[1].chain, &marks[2]); /* or the chain tells */
        for (uint32_t i = 0; i < SEG; i++)
            leaves[i] = trace_step_hash(&marks[i]);
        f.segs[1].steps = tree_root(leaves, SEG);
        trace_segment_put(&f.segs[1], f.trace.ptr + TRACE_SEGMENT_BYTES);
        for (uint32_t i = 0; i < 3; i++)
            roots[i] = trace_segment_hash(&f.segs[i]);
        f.root = tree_root(roots, 3);
        CHECK_RC(commit(&w, CHEAT, &f), QN_OK);
        struct game_open b = opening(&w, &f, 1);
        trace_step_put(&marks[2], bytes);
        trace_step_put(&marks[1], before);
        b.mark = QN_SPAN(bytes, sizeof bytes);
        b.before = QN_SPAN(before, sizeof before);
        b.mark_path.cnt = tree_path(leaves, SEG, 2, path);
        b.mark_path.ptr = path;
        b.before_path.cnt = tree_path(leaves, SEG, 1, path2);
        b.before_path.ptr = path2;
        CHECK_RC(announce(&w, WHISTLE, &b.salt, 1, marks[2].step), QN_OK);
        CHECK_RC(tx(&w, WHISTLE, TRAINING_TX_GAME_OPEN, &b), QN_OK);
        CHECK(qn_fix_event(&w.fix, "game.opened", &game));
        if (how < 2) { /* shown at once */
            CHECK(game_row(&w, &game).result == TRAINING_CHALLENGER);
        } else { /* the solver cannot name operators that give this loss, and loses by the clock; a true one he can */
            CHECK_RC(step(&w, &game, NULL, WHISTLE), QN_OK);
            CHECK_RC(step(&w, &game, NULL, WHISTLE), QN_OK);
            CHECK(game_row(&w, &game).step_lo == marks[2].step &&
                  game_row(&w, &game).phase == TRAINING_NODES);
            CHECK_RC(step(&w, &game, NULL, WHISTLE), how == 2 ? QN_E_PROOF : QN_OK);
            qn_fix_wait(&w.fix, 5001);
            CHECK(game_row(&w, &game).result == (how == 2 ? TRAINING_CHALLENGER : TRAINING_SOLVER));
        }
        follow_fini(&f);
        end(&w);
    }
}

/* Jobs that end otherwise: nobody comes, taken back, silent, what a job may not be. */
static void test_job(struct qn_test_state *t)
{
    struct world w;
    begin(&w);
    uint64_t before = balance(&w, REQUESTER);
    struct train_job job = terms(&w, 2);
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_JOB, &job), QN_OK);
    CHECK(qn_fix_event(&w.fix, "train.posted", &w.job));
    struct train_cancel cancel = { .job = w.job };
    const struct train_take take = { .job = w.job };
    CHECK_RC(tx(&w, HONEST, TRAINING_TX_TAKE, &take), QN_OK);
    CHECK_RC(tx(&w, HONEST, TRAINING_TX_TAKE, &take), QN_E_EXISTS);
    CHECK_RC(tx(&w, OTHER, TRAINING_TX_CANCEL, &cancel), QN_E_AUTH);
    qn_fix_wait(&w.fix, 600001); /* one of two came: everybody has his money back */
    CHECK(job_row(&w).state == TRAINING_JOB_CLOSED);
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_CANCEL, &cancel), QN_E_STATE);
    CHECK(before - balance(&w, REQUESTER) < 10000 &&
          qn_fix_acct(HONEST).b[0] + balance(&w, HONEST) > 999000000);

    job.batch = 23;
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_JOB, &job), QN_E_RANGE);
    job = terms(&w, 2);
    job.data.b[0] ^= 1;
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_JOB, &job), QN_E_NOTFOUND);
    job = terms(&w, 2);
    job.graph.len--;
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_JOB, &job), QN_E_SHORT);
    job = terms(&w, 9);
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_JOB, &job), QN_E_RANGE);
    job = terms(&w, 1);
    job.batch = 1 << 18; /* no mark of so many records could be challenged within a block's gas */
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_JOB, &job), QN_E_RANGE);
    job = terms(&w, 1);
    job.pay = QN_UQN(2000 * QN_UQN_PER_QN);
    job.bond = QN_UQN(3 * QN_UQN_PER_QN);
    CHECK_RC(tx(&w, REQUESTER, TRAINING_TX_JOB, &job), QN_E_FUNDS);

    start(&w, 1); /* then silence */
    before = balance(&w, REQUESTER);
    qn_fix_wait(&w.fix, 3600001);
    CHECK(run_row(&w, CHEAT).state == TRAINING_RUN_LOST &&
          balance(&w, REQUESTER) - before == PAY + BOND / 10);
    end(&w);
}

/* Coins that a stranger sends to the accounts of a job and its runs stop nothing. */
static void test_gift(struct qn_test_state *t)
{
    struct world w;
    begin(&w);
    start(&w, 1);
    const struct qn_hash to[] = { training_escrow_acct(&w.job), training_bond_acct(&w.run[CHEAT]) };
    for (size_t i = 0; i < QN_COUNT(to); i++)
        qn_fix_gift(&w.fix, OTHER, &to[i], 7);
    uint64_t before = balance(&w, REQUESTER);
    qn_fix_wait(&w.fix, 3600001);
    CHECK(run_row(&w, CHEAT).state == TRAINING_RUN_LOST);
    CHECK(balance(&w, REQUESTER) - before == PAY + BOND / 10 + 7);
    end(&w);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_job);
    TEST(test_gift);
    TEST(test_false_alarm);
    TEST(test_silence);
    TEST(test_refused);
    TEST(test_forged);
    TEST(test_parallel);
    TEST(test_at_once);
    TEST(test_marks);
    TEST(test_every_op);
    TEST(test_lies);
    return TEST_END();
}
