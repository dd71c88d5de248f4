/* test_replica.c - a network of one on a disk: kill -9 under load at random and at every named point, damage, foreign files, proofs, replay. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/state/proof.h"
#include "ledger/sync/replica.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ACCT_CNT = 8 };

static void person(unsigned i, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("test chain", &i, sizeof i);
    qn_key_from_seed(seed.b, ret);
}

static qn_rc open_chain_of(const char *home, bool audit, unsigned by, struct qn_replica **ret,
                           struct qn_why *why)
{
    struct qn_grant grants[ACCT_CNT];
    struct qn_key key;
    for (unsigned i = 0; i < ACCT_CNT; i++) {
        person(i, &key);
        grants[i] = (struct qn_grant){ qn_acct_key(&key.pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    }
    static struct qn_key validator; /* lives as long as the chain */
    person(by, &validator);
    struct qn_genesis genesis = { .name = QN_SPAN_STR("test"), .t_ms = 1700000000000, .dev = true };
    genesis.validators.cnt = 1;
    genesis.validators.ptr = &validator.pub;
    genesis.grants.cnt = ACCT_CNT;
    genesis.grants.ptr = grants;
    struct qn_replica_conf conf = { .chain = { .home = home,
                                               .env = qn_env_real(),
                                               .genesis = &genesis,
                                               .map_gib = 1,
                                               .no_store = audit },
                                    .validator = audit ? NULL : &validator };
    return qn_replica_open(&conf, ret, why);
}

static qn_rc open_chain(const char *home, bool audit, struct qn_replica **ret, struct qn_why *why)
{
    return open_chain_of(home, audit, 100, ret, why);
}

static struct qn_hash send(struct qn_replica *r, unsigned from, unsigned to, uint64_t uqn,
                           uint64_t salt)
{
    struct qn_key key, other;
    struct qn_buf body = { 0 }, tx = { 0 };
    struct qn_hash id, chain_id = qn_chain_id(qn_replica_chain(r));
    struct qn_why why;
    person(from, &key);
    person(to, &other);
    struct ledger_send s = { .to = qn_acct_key(&other.pub), .amount = QN_UQN(uqn) };
    qn_encode(ledger_send_record(), &s, &body);
    struct qn_tx_opts opts = { .salt = salt };
    qn_tx_build(&chain_id, QN_TX_SEND, qn_buf_get(&body), &key, qn_env_now_ms(qn_env_real()), &opts,
                &tx, &id);
    struct qn_hash got;
    QN_ASSERT(qn_replica_submit(r, qn_buf_get(&tx), &got, &why) == QN_OK && qn_hash_eq(&got, &id));
    qn_buf_free(&body);
    qn_buf_free(&tx);
    return id;
}

/* The child: sends, turns, and tells the parent each id once it is final. */
static void load(const char *home, int fd, unsigned seed)
{
    struct qn_replica *r;
    struct qn_why why;
    uint64_t wait, height;
    if (open_chain(home, false, &r, &why)) {
        fprintf(stderr, "%s\n", why.text);
        _exit(3);
    }
    for (uint64_t n = 0;; n++) {
        struct qn_hash ids[5];
        for (unsigned k = 0; k < 5; k++)
            ids[k] = send(r, (unsigned)(n + k) % ACCT_CNT, (unsigned)(n * 3 + k + 1) % ACCT_CNT,
                          1 + n, (uint64_t)seed << 32 | n << 4 | k);
        if (qn_replica_turn(r, &wait, &why)) _exit(4);
        for (unsigned k = 0; k < 5; k++)
            if (qn_replica_tx(r, &ids[k], &height) == QN_TX_FINAL && write(fd, &ids[k], 32) != 32)
                _exit(5);
    }
}

static void kill_once(struct qn_test_state *t, const char *home, unsigned seed, const char *point)
{
    int fds[2];
    QN_ASSERT(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        if (point) setenv("QUOIN_CRASH_AT", point, 1);
        load(home, fds[1], seed);
    }
    close(fds[1]);
    struct qn_hash acked[20000];
    size_t cnt = 0;
    if (!point) { /* every other kill falls at once, into recovery; the rest into work, however slow the machine is */
        struct qn_hash h = qn_h("kill", &seed, sizeof seed);
        if (seed % 2 && read(fds[0], &acked[cnt], 32) == 32) cnt++;
        usleep((useconds_t)(h.b[0] * 120u + 1000u));
        kill(pid, SIGKILL);
    }
    while (cnt < QN_COUNT(acked) && read(fds[0], &acked[cnt], 32) == 32)
        cnt++;
    close(fds[0]);
    int status;
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct qn_replica *r;
    struct qn_why why = { "" };
    qn_rc rc = open_chain(home, false, &r, &why);
    if (rc) printf("seed %u point %s: %s\n", seed, point ? point : "-", why.text);
    CHECK_RC(rc, QN_OK);
    if (rc) return;
    uint64_t height;
    for (size_t i = 0; i < cnt; i++)
        CHECK(qn_replica_tx(r, &acked[i], &height) == QN_TX_FINAL);
    CHECK(qn_state_sum(qn_chain_view(qn_replica_chain(r))).uqn == QN_SUPPLY_UQN);
    qn_replica_close(r);
}

static void test_kill(struct qn_test_state *t)
{
    static const char *const POINTS[] = { "journal-before",    "journal-after",
                                          "block-before",      "block-after",
                                          "block-after:7",     "journal-before:3",
                                          "checkpoint-before", "checkpoint-after" };
    char home[] = "/tmp/quoin-chain-XXXXXX", cmd[128];
    QN_ASSERT(mkdtemp(home) != NULL);
    unsigned kills = test_long() ? 2000 : 200;
    for (unsigned i = 0; i < kills; i++)
        kill_once(t, home, i, NULL);
    for (unsigned i = 0; i < QN_COUNT(POINTS); i++)
        kill_once(t, home, 10000 + i, POINTS[i]);
    struct qn_replica *a, *b;
    struct qn_why why = { "" };
    CHECK_RC(open_chain(home, false, &a, &why), QN_OK);
    CHECK_RC(open_chain(home, true, &b, &why), QN_OK); /* from genesis alone */
    struct qn_hash ra = qn_chain_root(qn_replica_chain(a)), rb = qn_chain_root(qn_replica_chain(b));
    CHECK(qn_hash_eq(&ra, &rb) && qn_view_height(qn_chain_view(qn_replica_chain(a))) > kills / 2);
    qn_replica_close(a);
    qn_replica_close(b);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    CHECK(system(cmd) == 0);
}

static void poke(const char *home, const char *file, long off, const char *bytes, size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", home, file);
    FILE *f = fopen(path, "r+");
    QN_ASSERT(f && fseek(f, off, SEEK_SET) == 0 && fwrite(bytes, 1, len, f) == len);
    fclose(f);
}

static void test_damage(struct qn_test_state *t)
{
    char home[] = "/tmp/quoin-chain-XXXXXX", cmd[256];
    struct qn_replica *r;
    struct qn_why why = { "" };
    uint64_t wait;
    QN_ASSERT(mkdtemp(home) != NULL);
    CHECK_RC(open_chain(home, false, &r, &why), QN_OK);
    for (unsigned i = 0; i < 20; i++) {
        send(r, 0, 1, 5, i);
        CHECK_RC(qn_replica_turn(r, &wait, &why), QN_OK);
    }
    struct qn_hash root = qn_chain_root(qn_replica_chain(r));
    qn_replica_close(r);
    snprintf(cmd, sizeof cmd, "rm %s/state.mdb*", home);
    CHECK(system(cmd) == 0);
    CHECK_RC(open_chain(home, false, &r, &why), QN_OK); /* the journal has it all */
    struct qn_hash again = qn_chain_root(qn_replica_chain(r));
    CHECK(qn_hash_eq(&root, &again));
    qn_replica_close(r);
    snprintf(cmd, sizeof cmd, "mv %s/journal %s/kept", home, home);
    CHECK(system(cmd) == 0);
    for (unsigned i = 0; i < 3; i++) { /* what cannot be opened is left as it is, however often */
        CHECK_RC(open_chain(home, false, &r, &why), QN_E_CORRUPT);
        CHECK(strstr(why.text, "the journal ends at block 0, state.mdb is of block") != NULL);
    }
    snprintf(cmd, sizeof cmd, "rm -r %s/journal && mv %s/kept %s/journal", home, home, home);
    CHECK(system(cmd) == 0);
    CHECK_RC(open_chain(home, false, &r, &why), QN_OK);
    again = qn_chain_root(qn_replica_chain(r));
    CHECK(qn_hash_eq(&root, &again));
    qn_replica_close(r);
    poke(home, "journal/seg-0000000000.qj", 3000, "X", 1);
    why.text[0] = 0;
    CHECK_RC(open_chain(home, false, &r, &why), QN_E_CORRUPT);
    CHECK(strstr(why.text, "seg-0000000000.qj: damaged at byte") != NULL);
    snprintf(cmd, sizeof cmd, "echo hello > %s/state.mdb", home);
    CHECK(system(cmd) == 0);
    CHECK_RC(open_chain(home, false, &r, &why), QN_E_FOREIGN);
    snprintf(cmd, sizeof cmd, "test $(cat %s/state.mdb) = hello && rm -rf %s", home, home);
    CHECK(system(cmd) == 0);
}

/* A sender whose coins cover two of 2,000 sends costs the proposer one pass, and nobody else their place. */
static void test_misfits(struct qn_test_state *t)
{
    char home[] = "/tmp/quoin-test-XXXXXX";
    struct qn_replica *r;
    struct qn_why why;
    uint64_t wait, height;
    QN_ASSERT(mkdtemp(home) != NULL);
    CHECK_RC(open_chain(home, false, &r, &why), QN_OK);
    struct qn_hash bad[1000], good;
    for (unsigned i = 0; i < QN_COUNT(bad);
         i++) /* each leaves less than the next one's fee may be */
        bad[i] = send(r, 0, 1, 999 * QN_UQN_PER_QN + 989000, i);
    good = send(r, 2, 3, 5, 1);
    CHECK_RC(qn_replica_turn(r, &wait, &why), QN_OK);
    for (unsigned i = 0; i < 1000 && qn_replica_pooled(r); i++) /* a slow machine's view is over */
        CHECK_RC(qn_replica_turn(r, &wait, &why), QN_OK);
    unsigned final = 0;
    for (unsigned i = 0; i < QN_COUNT(bad); i++)
        final += qn_replica_tx(r, &bad[i], &height) == QN_TX_FINAL;
    CHECK(final >= 1 && final < 50); /* the rest cannot even set their fee aside */
    CHECK(qn_replica_pooled(r) == 0);
    CHECK(qn_replica_tx(r, &good, &height) == QN_TX_FINAL);
    CHECK(qn_state_sum(qn_chain_view(qn_replica_chain(r))).uqn == QN_SUPPLY_UQN);
    qn_replica_close(r);
    CHECK_RC(open_chain(home, true, &r, &why), QN_OK); /* and the block replays */
    qn_replica_close(r);
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    CHECK(system(cmd) == 0);
}

/* --- each call to the disk fails, once ------------------------------------------------------------------------------------ */

/* The linker puts these in front of the system's own (CMakeLists.txt): journal and LMDB alike go through them. */
static struct {
    unsigned at, seen; /* the at-th call fails; 0: none */
    int err;
} once;

static bool fails(void)
{
    if (!once.at || ++once.seen != once.at) return false;
    errno = once.err;
    return true;
}

ssize_t __real_pwrite(int fd, const void *p, size_t len, off_t off);
ssize_t __real_writev(int fd, const struct iovec *v, int cnt);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_posix_fallocate(int fd, off_t off, off_t len);
int __real_ftruncate(int fd, off_t len);
ssize_t __wrap_pwrite(int fd, const void *p, size_t len, off_t off);
ssize_t __wrap_writev(int fd, const struct iovec *v, int cnt);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_posix_fallocate(int fd, off_t off, off_t len);
int __wrap_ftruncate(int fd, off_t len);

ssize_t __wrap_pwrite(int fd, const void *p, size_t len, off_t off)
{
    return fails() ? -1 : __real_pwrite(fd, p, len, off);
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int cnt)
{
    return fails() ? -1 : __real_writev(fd, v, cnt);
}

int __wrap_fdatasync(int fd)
{
    return fails() ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    return fails() ? -1 : __real_fsync(fd);
}

int __wrap_posix_fallocate(int fd, off_t off, off_t len)
{
    return fails() ? once.err : __real_posix_fallocate(fd, off, len);
}

int __wrap_ftruncate(int fd, off_t len)
{
    return fails() ? -1 : __real_ftruncate(fd, len);
}

/* Opens, works, closes; one call of all that fails. Ids of what was told to be final go to acked. True: a call did fail. */
static bool work_once(struct qn_test_state *t, const char *home, unsigned at,
                      struct qn_hash acked[64], size_t *ret_cnt)
{
    struct qn_replica *r;
    struct qn_why why = { "" };
    uint64_t wait, height;
    *ret_cnt = 0;
    once.seen = 0;
    once.err = at % 2 ? EIO : ENOSPC;
    once.at = at;
    qn_rc rc = open_chain(home, false, &r, &why);
    if (rc == QN_OK) {
        for (unsigned n = 0; n < 6 && rc == QN_OK; n++) {
            struct qn_hash ids[4];
            for (unsigned k = 0; k < 4; k++)
                ids[k] = send(r, k, k + 1, 1 + n, (uint64_t)at << 16 | n << 4 | k);
            rc = qn_replica_turn(r, &wait, &why);
            for (unsigned k = 0; k < 4; k++)
                if (qn_replica_tx(r, &ids[k], &height) == QN_TX_FINAL) acked[(*ret_cnt)++] = ids[k];
        }
        if (rc) CHECK_RC(qn_replica_turn(r, &wait, &why), rc); /* nothing is tried again */
        qn_replica_close(r);
    }
    CHECK(rc == QN_OK || why.text[0]);
    bool hit = once.seen >= once.at;
    once.at = 0;
    return hit;
}

static void test_once(struct qn_test_state *t)
{
    struct qn_hash acked[64];
    size_t cnt;
    unsigned at = 1;
    char home[] = "/tmp/quoin-once-XXXXXX", cmd[64];
    QN_ASSERT(mkdtemp(home) != NULL);
    for (bool hit = true; hit && !t->bad && at < 1000; at++) {
        struct qn_replica *r;
        struct qn_why why = { "" };
        uint64_t height;
        if (at % 8 == 1) { /* from nothing again: what only a fresh home does fails, too */
            snprintf(cmd, sizeof cmd, "rm -rf %s/*", home);
            QN_ASSERT(system(cmd) == 0);
        }
        hit = work_once(t, home, at, acked, &cnt);
        qn_rc rc = open_chain(home, false, &r, &why);
        if (rc) printf("call %u: %s\n", at, why.text);
        CHECK_RC(rc, QN_OK);
        if (rc) break;
        for (size_t i = 0; i < cnt; i++)
            CHECK(qn_replica_tx(r, &acked[i], &height) == QN_TX_FINAL);
        CHECK(qn_state_sum(qn_chain_view(qn_replica_chain(r))).uqn == QN_SUPPLY_UQN);
        qn_replica_close(r);
    }
    printf("once: each of %u calls failed\n", at - 2);
    CHECK(
        at >
        6); /* a block of a network of one is a write: six blocks, and what opening and closing cost */
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    QN_ASSERT(system(cmd) == 0);
}

/* --- many at once ----------------------------------------------------------------------------------------------------------- */

enum { MANY = 200 };

/* Of many that come together each is judged as if it had come alone: bad ones, and those that came before, cost no other anything. */
static void test_many(struct qn_test_state *t)
{
    char homes[2][40] = { "/tmp/quoin-many-XXXXXX", "/tmp/quoin-many-XXXXXX" }, cmd[120];
    struct qn_replica *r[2];
    struct qn_why why;
    struct qn_submit list[MANY] = { { .rc = QN_OK } };
    struct qn_buf txs[MANY] = { { .len = 0 } };
    uint64_t wait, height;
    for (unsigned i = 0; i < 2; i++) {
        QN_ASSERT(mkdtemp(homes[i]) != NULL);
        CHECK_RC(open_chain(homes[i], false, &r[i], &why), QN_OK);
    }
    struct qn_hash chain = qn_chain_id(qn_replica_chain(r[0])), id;
    uint64_t now = qn_env_now_ms(qn_env_real());
    for (unsigned i = 0; i < MANY; i++) {
        struct qn_key key;
        struct qn_buf body = { 0 };
        struct ledger_send s = { .to = qn_blake3("many", 4), .amount = QN_UQN(1) };
        bool again = i % 50 == 7; /* the same as number 6 */
        struct qn_tx_opts opts = { .salt = again ? 6 : i };
        person((again ? 6 : i) % ACCT_CNT, &key);
        qn_encode(ledger_send_record(), &s, &body);
        qn_tx_build(&chain, QN_TX_SEND, qn_buf_get(&body), &key,
                    i % 11 == 3 && !again ? now - 100000 : now, &opts, &txs[i], &id);
        if (i % 13 == 5 && !again) txs[i].ptr[txs[i].len - 1 - i % 60] ^= 1; /* in its signature */
        if (i % 17 == 9) txs[i].len -= 3;
        if (i % 19 == 4) txs[i].ptr[40] ^= 1; /* another chain, or kind, or sender */
        list[i].tx = qn_buf_get(&txs[i]);
        qn_buf_free(&body);
    }
    qn_replica_submit_many(r[0], list, MANY);
    unsigned good = 0, bad = 0, fresh = 0;
    for (unsigned i = 0; i < MANY; i++) {
        why.text[0] = 0;
        qn_rc rc = qn_replica_submit(r[1], list[i].tx, &id, &why);
        CHECK_RC(list[i].rc, rc);
        CHECK(rc == QN_OK ? qn_hash_eq(&id, &list[i].id) : why.text[0] && list[i].why.text[0]);
        good += rc == QN_OK;
        bad += rc == QN_E_SIGNATURE;
        fresh += list[i].fresh;
    }
    CHECK(good > 100 && bad > 10 && fresh == good - 4); /* number 6 came five times */
    CHECK(qn_replica_pooled(r[0]) == fresh && qn_replica_pooled(r[1]) == fresh);
    for (unsigned i = 0; i < 100 && qn_replica_pooled(r[0]); i++)
        CHECK_RC(qn_replica_turn(r[0], &wait, &why), QN_OK);
    for (unsigned i = 0; i < MANY; i++) {
        if (list[i].rc == QN_OK) CHECK(qn_replica_tx(r[0], &list[i].id, &height) == QN_TX_FINAL);
        qn_buf_free(&txs[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        qn_replica_close(r[i]);
    snprintf(cmd, sizeof cmd, "rm -rf %s %s", homes[0], homes[1]);
    CHECK(system(cmd) == 0);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_misfits);
    TEST(test_many);
    TEST(test_damage);
    TEST(test_kill);
    TEST(test_once);
    return TEST_END();
}
