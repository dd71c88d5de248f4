/* bench_ledger.c - transfers a second: taken in (signature checked), one by one or as a peer sends them, made into blocks that are synced,
 * executed again from the journal with every signature checked, and taken up by one who was away, from blocks that hold two each; beside what
 * one core's Ed25519 allows one by one. */
#include "core/crypto/hash.h"
#include "ledger/sync/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ACCT_CNT = 512, TX_CNT = 20000, VERIFY_CNT = 1000 };

static void person(unsigned i, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("bench ledger", &i, sizeof i);
    qn_key_from_seed(seed.b, ret);
}

static double seconds(uint64_t since_us)
{
    return (double)(qn_env_mono_us(qn_env_real()) - since_us) / 1e6;
}

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static double wall_s(void)
{
    return (double)qn_env_mono_us(qn_env_real()) / 1e6;
}

/* Of the best round: what else runs on the machine only ever takes away. */
static double verify_rate(double (*now)(void))
{
    static const char MSG[] = "a message of the length of a transaction's";
    struct qn_key key;
    double best = 0;
    person(0, &key);
    struct qn_sig sig = qn_sign(&key, QN_SPAN_STR(MSG));
    for (unsigned round = 0; round < 8; round++) {
        unsigned good = 0;
        double begin = now();
        for (unsigned i = 0; i < VERIFY_CNT; i++)
            good += qn_verify(&key.pub, QN_SPAN_STR(MSG), &sig);
        QN_ASSERT(good == VERIFY_CNT);
        best = QN_MAX(best, VERIFY_CNT / (now() - begin));
    }
    return best;
}

enum how { ALONE, CALLS, PEER }; /* calls one by one; those of one turn; a peer's message */

/* Processor time by what it went for, in seconds. */
struct parts {
    double taken, made; /* into the pool; into blocks, those executed and synced */
};

/* Transfers a second until all are final. */
static double take_in(struct qn_replica *r, const struct qn_buf *txs, unsigned cnt, enum how how,
                      struct parts *parts)
{
    unsigned at_once = how == ALONE ? 1 : how == CALLS ? 64 : 200;
    struct qn_submit list[64];
    struct qn_hash id;
    struct qn_why why = { "" };
    uint64_t wait, begin = qn_env_mono_us(qn_env_real());
    for (unsigned i = 0; i < cnt; i += at_once) {
        struct qn_buf message = { 0 };
        double at = cpu_s();
        unsigned n = QN_MIN(at_once, cnt - i);
        if (how == ALONE) {
            QN_ASSERT(qn_replica_submit(r, qn_buf_get(&txs[i]), &id, &why) == QN_OK);
        } else if (how == CALLS) {
            for (unsigned k = 0; k < n; k++)
                list[k].tx = qn_buf_get(&txs[i + k]);
            qn_replica_submit_many(r, list, n);
            for (unsigned k = 0; k < n; k++)
                QN_ASSERT(list[k].rc == QN_OK);
        } else {
            qn_buf_u8(&message, 2); /* kind, count, transactions: docs/why/consensus.md */
            qn_buf_u32(&message, n);
            for (unsigned k = 0; k < n; k++)
                qn_buf_span(&message, qn_buf_get(&txs[i + k]));
            QN_ASSERT(qn_replica_recv(r, 1, qn_buf_get(&message), &why) == QN_ACCEPT);
        }
        qn_buf_free(&message);
        double then = cpu_s();
        parts->taken += then - at;
        if (i / 2000 != (i + at_once) / 2000) QN_ASSERT(qn_replica_turn(r, &wait, &why) == QN_OK);
        parts->made += cpu_s() - then;
    }
    double at = cpu_s();
    while (qn_replica_pooled(r))
        QN_ASSERT(qn_replica_turn(r, &wait, &why) == QN_OK);
    parts->made += cpu_s() - at;
    return cnt / seconds(begin);
}

/* --- two, of whom one comes late ------------------------------------------------------------------------------------------- */

struct two {
    struct qn_replica *r[2];
    struct qn_buf said[2]; /* to the other: u32 length, message.. */
};

static void say(struct two *t, uint32_t peer, struct qn_span message)
{
    qn_buf_u32(&t->said[peer], (uint32_t)message.len);
    qn_buf_span(&t->said[peer], message);
}

/* Peers have their own numbers here: who sends to 0 is 1. */
static void wire_send(void *self, uint32_t peer, enum qn_class class, struct qn_span message)
{
    (void)class;
    say(self, peer, message);
}

static void no_cast(void *self, enum qn_class class, struct qn_span message)
{
    (void)self;
    (void)class;
    (void)message;
}

static void hear(struct two *t, uint32_t who)
{
    struct qn_buf said = t->said[who];
    struct qn_span s = qn_buf_get(&said), message;
    struct qn_why why;
    uint32_t len;
    t->said[who] = (struct qn_buf){ 0 };
    while (qn_take_u32(&s, &len) && qn_take(&s, len, &message))
        QN_ASSERT(qn_replica_recv(t->r[who], 1 - who, message, &why) != QN_REJECT);
    qn_buf_free(&said);
}

/* Transfers a second of who catches up with `from`; and a second of processor time, which both share. */
static double catch_up(struct qn_replica *from, struct two *t, const struct qn_replica_conf *conf,
                       unsigned cnt, double *ret_cpu)
{
    struct qn_replica_conf late = *conf;
    struct qn_why why;
    uint64_t wait, height = qn_chain_header(qn_replica_chain(from))->height, begin;
    late.validator = NULL;
    t->r[0] = from;
    QN_ASSERT(qn_replica_open(&late, &t->r[1], &why) == QN_OK);
    qn_replica_peer(from, 1, true);
    qn_replica_peer(t->r[1], 0, true);
    double cpu = cpu_s();
    begin = qn_env_mono_us(qn_env_real());
    while (qn_chain_header(qn_replica_chain(t->r[1]))->height + 2 < height) {
        hear(t, 1);
        hear(t, 0);
        QN_ASSERT(qn_replica_turn(t->r[1], &wait, &why) == QN_OK);
    }
    double rate = cnt / seconds(begin);
    *ret_cpu = cnt / (cpu_s() - cpu);
    qn_replica_close(t->r[1]);
    for (unsigned i = 0; i < 2; i++)
        qn_buf_free(&t->said[i]);
    return rate;
}

static void print(const char *name, double rate, double limit)
{
    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"tx/s\",\"limit\":\"Ed25519 one by one on "
           "this core "
           "%.0f/s\",\"limit_ratio\":%.3f}\n",
           name, rate, limit, rate / limit);
}

/* What the signatures alone cost, side by side as a peer's message brings them. */
static double check_s(const struct qn_buf *bytes, unsigned cnt, const struct qn_hash *chain)
{
    struct qn_arena arena = { 0 };
    struct qn_tx *txs = qn_arena_alloc(&arena, cnt * sizeof *txs);
    const struct qn_tx **at = qn_arena_alloc(&arena, cnt * sizeof *at);
    struct qn_hash *ids = qn_arena_alloc(&arena, cnt * sizeof *ids);
    qn_rc *rcs = qn_arena_alloc(&arena, cnt * sizeof *rcs);
    struct qn_why why;
    QN_ASSERT(txs && at && ids && rcs);
    for (unsigned i = 0; i < cnt; i++) {
        QN_ASSERT(qn_decode(qn_tx_record(), qn_buf_get(&bytes[i]), &arena, &txs[i], &why) == QN_OK);
        ids[i] = qn_tx_id(&txs[i]);
        at[i] = &txs[i];
    }
    double begun = cpu_s();
    QN_ASSERT(qn_tx_check_many(at, ids, cnt, chain, rcs, &why) == QN_OK);
    double took = cpu_s() - begun;
    qn_arena_free(&arena);
    return took;
}

/* The floor of one transfer: its signature in lanes, its journal bytes; the rest is ours. */
static void print_parts(const struct parts *p, double check, unsigned cnt)
{
    const struct {
        const char *name;
        double s;
    } list[] = { { "its signature, of many at once", check },
                 { "decoding, names, fees, pool", p->taken - check },
                 { "picking, executing, root, journal", p->made } };
    for (unsigned i = 0; i < QN_COUNT(list); i++)
        printf("{\"name\":\"processor time of a transfer: %s\",\"value\":%.1f,\"unit\":\"us\","
               "\"limit\":\"its signature, of many at once: %.1f us\",\"limit_ratio\":%.2f}\n",
               list[i].name, list[i].s / cnt * 1e6, check / cnt * 1e6, list[i].s / check);
}

int main(void)
{
    char home[] = "/tmp/quoin-bench-XXXXXX", cmd[128];
    static struct qn_grant grants[ACCT_CNT];
    struct qn_key keys[ACCT_CNT], validator;
    struct qn_replica *r;
    struct qn_why why = { "" };
    QN_ASSERT(qn_crypto_init() == QN_OK && mkdtemp(home) != NULL);
    double limit = verify_rate(wall_s);
    for (unsigned i = 0; i < ACCT_CNT; i++) {
        person(i, &keys[i]);
        grants[i] = (struct qn_grant){ qn_acct_key(&keys[i].pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    }
    person(1000, &validator);
    struct qn_genesis genesis = { .name = QN_SPAN_STR("bench"),
                                  .t_ms = 1700000000000,
                                  .dev = true };
    genesis.validators.cnt = 1;
    genesis.validators.ptr = &validator.pub;
    genesis.grants.cnt = ACCT_CNT;
    genesis.grants.ptr = grants;
    struct two two = { .r = { NULL } };
    struct qn_replica_conf conf = {
        .chain = { .home = home, .env = qn_env_real(), .genesis = &genesis, .map_gib = 4 },
        .validator = &validator,
        .wire = { &two, wire_send, no_cast },
        .block_ms = 1,
    };
    struct qn_chain *chain;
    QN_ASSERT(qn_replica_open(&conf, &r, &why) == QN_OK);
    struct qn_buf *txs = calloc(TX_CNT, sizeof *txs);
    struct qn_hash id, chain_id = qn_chain_id(qn_replica_chain(r));
    for (unsigned i = 0; i < TX_CNT; i++) {
        struct qn_buf body = { 0 };
        struct ledger_send s = { .to = qn_acct_key(&keys[(i * 7 + 1) % ACCT_CNT].pub),
                                 .amount = QN_UQN(1) };
        qn_encode(ledger_send_record(), &s, &body);
        struct qn_tx_opts opts = { .salt = i, .span_ms = 300000 };
        qn_tx_build(&chain_id, QN_TX_SEND, qn_buf_get(&body), &keys[i % ACCT_CNT],
                    qn_env_now_ms(qn_env_real()), &opts, &txs[i], &id);
        qn_buf_free(&body);
    }
    const unsigned part = TX_CNT / 5;
    struct parts none = { .taken = 0 }, parts = { .taken = 0 };
    print("transfers, signature to synced block", take_in(r, txs, part, ALONE, &none), limit);
    print("transfers, calls of a turn together, to synced block",
          take_in(r, txs + part, part, CALLS, &none), limit);
    print("transfers, from a peer's message to synced block",
          take_in(r, txs + 2 * part, 2 * part, PEER, &parts), limit);
    print_parts(&parts, check_s(txs, 2 * part, &chain_id), 2 * part);
    for (unsigned i = 4 * part; i < TX_CNT; i += 2) /* blocks of two */
        take_in(r, txs + i, 2, ALONE, &none);
    char late[] = "/tmp/quoin-late-XXXXXX";
    QN_ASSERT(mkdtemp(late) != NULL);
    conf.chain.home = late;
    double cpu, caught = catch_up(r, &two, &conf, TX_CNT, &cpu), cpu_limit = verify_rate(cpu_s);
    conf.chain.home = home;
    qn_replica_close(r);
    conf.chain.no_store = true;
    uint64_t begin = qn_env_mono_us(qn_env_real());
    QN_ASSERT(qn_chain_open(&conf.chain, &chain, &why) == QN_OK);
    double rate = TX_CNT / seconds(begin);
    QN_ASSERT(qn_state_sum(qn_chain_view(chain)).uqn == QN_SUPPLY_UQN);
    qn_chain_close(chain);
    print("block apply, transfers from the journal", rate, limit);
    print("catching up from a peer's blocks, the last 2,000 with two transfers each", caught,
          limit);
    print("the same, both ends' processor time", cpu, cpu_limit);
    for (unsigned i = 0; i < TX_CNT; i++)
        qn_buf_free(&txs[i]);
    free(txs);
    snprintf(cmd, sizeof cmd, "rm -rf %s %s", home, late);
    return system(cmd) != 0;
}
