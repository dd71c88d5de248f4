/* bench_ledger_light.c - what a phone pays to believe one account: the bytes of a proof file and the milliseconds to check it, with 20 and with
 * 200 validators of whom as many signed as a final block needs. The proof is of one account among 100,000; who checks it knows the chain's hash
 * and nothing else. Then what of it must travel when its reader knows genesis and validators already: header, certificate, the way to the row. */
#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"
#include "ledger/state/chain_in.h"
#include "ledger/state/proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 100000, ROUNDS = 30 };

static double cpu_ms(void)
{
    struct timespec ts;
    QN_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void key_of(unsigned i, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("bench light", &i, sizeof i);
    qn_key_from_seed(seed.b, ret);
}

/* More accounts than a genesis may name: the way to a row is as long as on a chain that has grown. */
static struct qn_hash fill(struct qn_chain *chain)
{
    struct qn_account a = { .balance = QN_UQN(1000000) };
    struct qn_buf val = { 0 };
    struct qn_hash acct = { { 0 } };
    qn_encode(qn_account_record(), &a, &val);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t key[33] = { QN_TABLE_ACCOUNT };
        acct = qn_h("bench account", &i, sizeof i);
        memcpy(key + 1, acct.b, 32);
        qn_trie_put(qn_state_trie(chain->st), QN_SPAN(key, 33), qn_buf_get(&val));
    }
    qn_buf_free(&val);
    return acct;
}

static void make_final(struct qn_chain *chain, const struct qn_key *keys, uint32_t cnt)
{
    const struct qn_header *head = qn_chain_header(chain);
    struct qn_quorum q = qn_set_quorum(qn_chain_set(chain));
    struct qn_cert_vote votes[QN_SET_MAX];
    struct qn_hash hash, chain_id = qn_chain_id(chain);
    struct qn_why why = { "" };
    struct qn_make m = {
        .parent = qn_chain_head(chain), .view = 1, .t_ms = head->t_ms + 500, .key = &keys[0]
    };
    qn_rc rc = qn_chain_make(chain, &m, NULL, &hash, &why);
    if (rc) fprintf(stderr, "%s\n", why.text);
    QN_ASSERT(rc == QN_OK);
    struct qn_cert cert = { .kind = QN_CERT_SLOW, .epoch = 1, .view = 1, .block = hash };
    cert.epoch = qn_chain_block(chain, &hash)->header.epoch;
    cert.votes.ptr = votes;
    for (uint16_t i = 0; i < cnt && i < q.q; i++) {
        struct qn_vote v =
            qn_vote_make(&keys[i], i, &chain_id, QN_VOTE_FINAL, cert.epoch, 1, &hash);
        qn_cert_add(&cert, &v);
    }
    struct qn_why_final by = { .cert = &cert };
    rc = qn_chain_final(chain, &hash, &by, &why);
    if (rc) fprintf(stderr, "%s\n", why.text);
    QN_ASSERT(rc == QN_OK);
}

static void measure(uint32_t cnt, unsigned known_max, unsigned tenth_ms)
{
    char home[] = "/tmp/quoin-bench-XXXXXX", cmd[64];
    static struct qn_key keys[QN_SET_MAX];
    static struct qn_hash pubs[QN_SET_MAX];
    struct qn_chain *chain;
    struct qn_why why = { "" };
    struct qn_buf file = { 0 }, front = { 0 };
    struct qn_proof proof;
    QN_ASSERT(mkdtemp(home) != NULL);
    for (uint32_t i = 0; i < cnt; i++) {
        key_of(i, &keys[i]);
        pubs[i] = keys[i].pub;
    }
    struct qn_genesis g = { .name = QN_SPAN_STR("bench"), .t_ms = 1700000000000, .dev = true };
    g.fast_ppm = cnt > 20 ? 50000 : 0;
    g.validators.cnt = cnt;
    g.validators.ptr = pubs;
    struct qn_chain_conf conf = { .home = home, .env = qn_env_real(), .genesis = &g, .map_gib = 1 };
    qn_rc rc = qn_chain_open(&conf, &chain, &why);
    if (rc) fprintf(stderr, "%s\n", why.text);
    QN_ASSERT(rc == QN_OK);
    struct qn_hash acct = fill(chain), id = qn_chain_id(chain);
    make_final(chain, keys, cnt);
    uint8_t key[34] = { QN_TABLE_ACCOUNT };
    memcpy(key + 1, acct.b, 32);
    QN_ASSERT(qn_proof_head(chain, NULL, &front, &why) == QN_OK);
    qn_buf_span(&file, qn_buf_get(&front));
    qn_proof_range(qn_chain_trie(chain), QN_SPAN(key, 33), QN_SPAN(key, 34), &file);
    double best = 1e9;
    for (unsigned i = 0; i < ROUNDS; i++) {
        double begin = cpu_ms();
        rc = qn_proof_check(qn_buf_get(&file), &id, &proof, &why);
        best = QN_MIN(best, cpu_ms() - begin);
        if (rc) fprintf(stderr, "%s\n", why.text);
        QN_ASSERT(rc == QN_OK && proof.pinned && proof.validators == cnt);
    }
    struct qn_buf header = { 0 };
    qn_encode(qn_header_record(), &proof.header, &header);
    size_t known = header.len + proof.cert.len + (file.len - front.len);
    printf("{\"name\":\"light proof of an account, n = %u, whole "
           "file\",\"value\":%zu,\"unit\":\"B\"}\n"
           "{\"name\":\"light proof of an account, n = %u, to who knows the validators\",\"value\":"
           "%zu,\"unit\":\"B\",\"limit\":\"the goal, %u B\",\"limit_ratio\":%.3f}\n"
           "{\"name\":\"light proof of an account, n = %u, checked "
           "in\",\"value\":%.2f,\"unit\":\"ms\","
           "\"limit\":\"the goal, %.1f ms\",\"limit_ratio\":%.3f}\n",
           cnt, file.len, cnt, known, known_max, (double)known / known_max, cnt, best,
           (double)tenth_ms / 10, best * 10 / tenth_ms);
    fflush(stdout);
    qn_buf_free(&header);
    qn_buf_free(&front);
    qn_buf_free(&file);
    qn_chain_close(chain);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    QN_ASSERT(system(cmd) == 0);
}

int main(void)
{
    QN_ASSERT(qn_crypto_init() == QN_OK);
    measure(20, 2500, 15);
    measure(200, 11000, 90);
    return 0;
}
