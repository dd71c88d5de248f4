/* bench_ledger_accounts.c - transfers a second on one core when there are many accounts: from a peer's message (signatures checked) over the pool
 * into blocks that are synced, with checkpoints on the way; beside what one core verifies one by one. Each sender is another account and pays one
 * drawn from all of them, so that rows are cold. 1 M accounts, 10 M with QUOIN_BENCH_LONG=1 (some 5 GB of memory, minutes to fill). */
#include "core/crypto/hash.h"
#include "ledger/state/chain_in.h"
#include "ledger/sync/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SENDERS = 20000, AT_ONCE = 200, VERIFY_CNT = 1000, EACH_UQN = 1000000 };

/* Processor time: who else is on the machine does not count, and neither does waiting for the disk; bench_ledger has the clock's. */
static double cpu_s(void)
{
    struct timespec ts;
    QN_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void key_of(unsigned i, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("bench accounts", &i, sizeof i);
    qn_key_from_seed(seed.b, ret);
}

static double verify_rate(void)
{
    struct qn_key key;
    double best = 0;
    key_of(0, &key);
    struct qn_sig sig = qn_sign(&key, QN_SPAN_STR("a message of the length of a transaction's"));
    for (unsigned round = 0; round < 8; round++) {
        unsigned good = 0;
        double begin = cpu_s();
        for (unsigned i = 0; i < VERIFY_CNT; i++)
            good += qn_verify(&key.pub, QN_SPAN_STR("a message of the length of a transaction's"),
                              &sig);
        QN_ASSERT(good == VERIFY_CNT);
        best = QN_MAX(best, VERIFY_CNT / (cpu_s() - begin));
    }
    return best;
}

static void put(struct qn_chain *c, const struct qn_hash *acct, uint64_t uqn)
{
    struct qn_account a = { .balance = QN_UQN(uqn) };
    struct qn_buf val = { 0 };
    uint8_t key[33] = { QN_TABLE_ACCOUNT };
    memcpy(key + 1, acct->b, 32);
    qn_encode(qn_account_record(), &a, &val);
    qn_trie_put(qn_state_trie(c->st), QN_SPAN(key, 33), qn_buf_get(&val));
    qn_chain_note_dirty(c, QN_SPAN(key, 33));
    qn_buf_free(&val);
}

static struct qn_hash nobody(uint64_t i)
{
    return qn_h("bench nobody", &i, sizeof i);
}

static qn_rc turn(struct qn_replica *r)
{
    struct qn_why why = { "" };
    uint64_t wait;
    qn_rc rc = qn_replica_turn(r, &wait, &why);
    if (rc) fprintf(stderr, "%s\n", why.text);
    return rc;
}

static double take_in(struct qn_replica *r, const struct qn_buf *txs, unsigned cnt)
{
    struct qn_why why = { "" };
    double begin = cpu_s();
    for (unsigned i = 0; i < cnt; i += AT_ONCE) {
        struct qn_buf message = { 0 };
        qn_buf_u8(&message, 2); /* kind, count, transactions: docs/why/consensus.md */
        qn_buf_u32(&message, QN_MIN(AT_ONCE, cnt - i));
        for (unsigned k = i; k < cnt && k < i + AT_ONCE; k++)
            qn_buf_span(&message, qn_buf_get(&txs[k]));
        QN_ASSERT(qn_replica_recv(r, 1, qn_buf_get(&message), &why) == QN_ACCEPT);
        qn_buf_free(&message);
        if (i % 2000 == 0) QN_ASSERT(turn(r) == QN_OK);
    }
    while (qn_replica_pooled(r))
        QN_ASSERT(turn(r) == QN_OK);
    return cnt / (cpu_s() - begin);
}

int main(void)
{
    char home[] = "/tmp/quoin-bench-XXXXXX", cmd[64];
    const char *env = getenv("QUOIN_BENCH_LONG");
    uint64_t cnt = env && env[0] == '1' ? 10000000 : 1000000;
    struct qn_key validator, *keys = calloc(SENDERS, sizeof *keys);
    struct qn_buf *txs = calloc(SENDERS, sizeof *txs);
    struct qn_replica *r;
    struct qn_why why = { "" };
    QN_ASSERT(qn_crypto_init() == QN_OK && mkdtemp(home) != NULL && keys && txs);
    double limit = verify_rate();
    key_of(SENDERS, &validator);
    struct qn_genesis genesis = { .name = QN_SPAN_STR("bench"),
                                  .t_ms = 1700000000000,
                                  .dev = true };
    genesis.validators.cnt = 1;
    genesis.validators.ptr = &validator.pub;
    struct qn_replica_conf conf = {
        .chain = { .home = home, .env = qn_env_real(), .genesis = &genesis, .map_gib = 64 },
        .validator = &validator,
    };
    QN_ASSERT(qn_replica_open(&conf, &r, &why) == QN_OK);
    struct qn_chain *chain = qn_replica_chain(r);
    for (unsigned i = 0; i < SENDERS; i++) {
        key_of(i, &keys[i]);
        struct qn_hash acct = qn_acct_key(&keys[i].pub);
        put(chain, &acct, EACH_UQN);
    }
    for (uint64_t i = SENDERS; i < cnt; i++) {
        struct qn_hash acct = nobody(i);
        put(chain, &acct, EACH_UQN);
    }
    while (chain->saved.height == 0) { /* the first checkpoint has them all */
        QN_ASSERT(turn(r) == QN_OK);
        usleep(1000);
    }
    struct qn_hash id, chain_id = qn_chain_id(chain);
    for (unsigned i = 0; i < SENDERS; i++) {
        struct qn_buf body = { 0 };
        uint64_t to = SENDERS + i * UINT64_C(0x9e3779b97f4a7c15) % (cnt - SENDERS);
        struct ledger_send s = { .to = nobody(to), .amount = QN_UQN(1) };
        qn_encode(ledger_send_record(), &s, &body);
        struct qn_tx_opts opts = { .salt = i, .span_ms = 300000 };
        qn_tx_build(&chain_id, QN_TX_SEND, qn_buf_get(&body), &keys[i],
                    qn_env_now_ms(qn_env_real()), &opts, &txs[i], &id);
        qn_buf_free(&body);
    }
    double rate = take_in(r, txs, SENDERS);
    struct qn_hash first = qn_acct_key(&keys[0].pub);
    QN_ASSERT(qn_view_balance(qn_chain_view(chain), &first).uqn < EACH_UQN);
    printf("{\"name\":\"transfers on one core among %llu accounts, from a peer's message to synced "
           "block and checkpoint\",\"value\":%.0f,\"unit\":\"tx/s of processor time\",\"limit\":"
           "\"Ed25519 one by one on this core %.0f/s\",\"limit_ratio\":%.3f}\n",
           (unsigned long long)cnt, rate, limit, rate / limit);
    qn_replica_close(r);
    for (unsigned i = 0; i < SENDERS; i++)
        qn_buf_free(&txs[i]);
    free(txs);
    free(keys);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    return system(cmd) != 0;
}
