/* test_scrub.c - one bit that changes in the checkpoint, in any table, or in memory, is found and said; the file is made again. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/env/still.h"
#include "ledger/state/scrub.h"
#include "ledger/store/scan.h"
#include "ledger/sync/replica.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, ROWS = 6 };

/* A sanitizer's child takes a second: each so many-th place, of those that the plain build takes. */
#ifdef QN_SANITIZED
enum { STEP = 16 };
#else
enum { STEP = 1 };
#endif

/* Rows in every table that a module may have, some longer than a page. */
static void genesis(struct qn_apply *ap)
{
    static const uint8_t LONG[3 * PAGE] = { 1, 2, 3 };
    for (unsigned table = 0x10; table < 0x100; table++)
        for (uint8_t i = 0; i < ROWS; i++) {
            struct qn_hash key = qn_blake3(&i, 1);
            qn_row_put(ap, (uint8_t)table, QN_SPAN(key.b, 32),
                       i == 0 ? QN_SPAN_OF(LONG) : QN_SPAN(key.b, i % 32));
        }
}

static const struct qn_exec_module MODULE = { .name = "rows", .genesis = genesis };

struct world {
    char home[64], path[80];
    struct qn_env env;
    struct qn_key validator, rich;
    uint64_t now_ms, salt;
    struct qn_replica *r;
    struct qn_chain *c;
    struct qn_why why;
};

static qn_rc open_replica(struct world *w)
{
    struct qn_grant grant = { qn_acct_key(&w->rich.pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    struct qn_genesis g = { .name = QN_SPAN_STR("test"), .t_ms = 1700000000000, .dev = true };
    g.validators.cnt = g.grants.cnt = 1;
    g.validators.ptr = &w->validator.pub;
    g.grants.ptr = &grant;
    struct qn_replica_conf conf = { .chain = { .home = w->home,
                                               .env = &w->env,
                                               .genesis = &g,
                                               .map_gib = 1,
                                               .run_blocks = 4, /* annals from the first minutes */
                                               .modules = &MODULE,
                                               .module_cnt = 1 },
                                    .validator = &w->validator };
    return qn_replica_open(&conf, &w->r, &w->why);
}

static void up(struct world *w)
{
    qn_rc rc = open_replica(w);
    if (rc) printf("%s\n", w->why.text);
    QN_ASSERT(rc == QN_OK);
    w->c = qn_replica_chain(w->r);
}

/* A block with a transfer, and time enough for a checkpoint. */
static void block(struct world *w)
{
    struct qn_hash chain = qn_chain_id(w->c), id;
    uint64_t height = qn_chain_header(w->c)->height, wait;
    struct qn_buf body = { 0 }, tx = { 0 };
    w->salt++;
    struct ledger_send s = { .to = qn_blake3(&w->salt, sizeof w->salt), .amount = QN_UQN(5) };
    qn_encode(ledger_send_record(), &s, &body);
    struct qn_tx_opts opts = { .salt = w->salt };
    qn_tx_build(&chain, QN_TX_SEND, qn_buf_get(&body), &w->rich, w->now_ms, &opts, &tx, &id);
    QN_ASSERT(qn_replica_submit(w->r, qn_buf_get(&tx), &id, &w->why) == QN_OK);
    qn_buf_free(&body);
    qn_buf_free(&tx);
    for (unsigned i = 0; i < 20 && qn_chain_header(w->c)->height == height; i++) {
        w->now_ms += 500;
        QN_ASSERT(qn_replica_turn(w->r, &wait, &w->why) == QN_OK);
    }
    QN_ASSERT(qn_chain_header(w->c)->height > height);
}

static void saved(struct world *w)
{
    w->now_ms += 5000;
    QN_ASSERT(qn_chain_save(w->c, &w->why) == QN_OK);
}

static void world_init(struct world *w)
{
    struct qn_hash seed = qn_h("test scrub", "v", 1), rich = qn_h("test scrub", "r", 1);
    *w = (struct world){ .home = "/tmp/quoin-scrub-XXXXXX", .now_ms = 1700000001000 };
    QN_ASSERT(mkdtemp(w->home) != NULL);
    snprintf(w->path, sizeof w->path, "%s/state.mdb", w->home);
    w->env = still_env(&w->now_ms, NULL);
    qn_key_from_seed(seed.b, &w->validator);
    qn_key_from_seed(rich.b, &w->rich);
    up(w);
    for (int i = 0; i < 20; i++) {
        block(w);
        w->now_ms += 60000;
        saved(w);
    }
}

static void world_fini(struct world *w)
{
    char cmd[100];
    qn_replica_close(w->r);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->home);
    QN_ASSERT(system(cmd) == 0);
}

static void reading(void *arg, const char *what)
{
    (void)arg;
    (void)what;
}

/* All slices of so many rows, in a child as in a node, so that each sees the file anew. What it says of a row comes back through ret. */
static qn_rc scrub(struct world *w, size_t max, struct qn_scrub *ret, uint64_t *ret_rows)
{
    struct qn_scrub s = { .max = max, .reading = reading };
    qn_rc rc = QN_OK;
    *ret_rows = 0;
    while (rc == QN_OK && !s.end) {
        rc = qn_chain_scrub(w->c, &s, &w->why);
        *ret_rows += s.rows;
    }
    *ret = s;
    return rc;
}

/* In another process, as LMDB answers a bad page with a signal; that counts as damage found. *ret_row: the row that is named. */
static qn_rc scrub_aside(struct world *w, struct qn_scrub *ret)
{
    int ends[2], how;
    struct {
        qn_rc rc;
        struct qn_scrub s;
        struct qn_why why;
    } said = { .rc = QN_E_SYSTEM };
    QN_ASSERT(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t rows;
        alarm(60);
        for (int sig = 1; sig < 32; sig++)
            if (sig != SIGALRM) signal(sig, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        said.rc = scrub(w, 100000, &said.s, &rows);
        said.why = w->why;
        _exit(write(ends[1], &said, sizeof said) != sizeof said);
    }
    close(ends[1]);
    bool told = read(ends[0], &said, sizeof said) == sizeof said;
    close(ends[0]);
    QN_ASSERT(waitpid(pid, &how, 0) == pid);
    if (told) w->why = said.why;
    *ret = said.s;
    if (told) return said.rc;
    QN_ASSERT(!WIFSIGNALED(how) || WTERMSIG(how) != SIGALRM); /* it would read for ever */
    return QN_E_CORRUPT;
}

static void flip(const struct world *w, off_t at)
{
    uint8_t byte;
    int fd = open(w->path, O_RDWR);
    QN_ASSERT(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= (uint8_t)(1u << at % 8);
    QN_ASSERT(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/* Where the middle row of each table lies in the file, a byte of its value or, where it has none, of its key. */
struct place {
    off_t at;
    uint8_t key[QN_TRIE_KEY_MAX];
    size_t len;
};

static unsigned find(const struct world *w, struct place places[256])
{
    struct qn_scan *scan;
    struct qn_store_meta meta;
    struct qn_why why;
    struct qn_span key, val;
    unsigned cnt[256] = { 0 }, tables = 0;
    QN_ASSERT(qn_scan_open(w->path, &scan, &meta, &why) == QN_OK);
    while (qn_scan_next(scan, QN_SPAN(NULL, 0), &key, &val, &why) == QN_OK) {
        struct place *p = &places[key.ptr[0]];
        if (++cnt[key.ptr[0]] > ROWS / 2 && p->len) continue;
        const uint8_t *byte = val.len ? val.ptr + val.len / 2 : val.ptr - 1,
                      *page = val.ptr - (uintptr_t)val.ptr % PAGE; /* its first, where long */
        uint64_t number;
        memcpy(&number, page, 8);
        tables += p->len == 0;
        p->at = (off_t)(number * PAGE) + (byte - page);
        memcpy(p->key, key.ptr, key.len);
        p->len = key.len;
    }
    qn_scan_close(scan);
    return tables;
}

static void test_clean(struct qn_test_state *t)
{
    struct world w;
    struct qn_scrub s;
    uint64_t all, rows;
    world_init(&w);
    CHECK_RC(scrub(&w, 1000000, &s, &all), QN_OK);
    CHECK(all == s.rows_all && all > 240 * ROWS);
    CHECK_RC(scrub(&w, 7, &s, &rows), QN_OK); /* in slices */
    CHECK(rows == all);
    for (int i = 0; i < 5; i++) { /* what is not in the file yet is no damage */
        block(&w);
        CHECK_RC(scrub(&w, 1000, &s, &rows), QN_OK);
    }
    saved(&w);
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_OK);
    CHECK(rows > all);
    world_fini(&w);
}

static void test_each_table(struct qn_test_state *t)
{
    struct world w;
    struct qn_scrub s;
    static struct place places[256]; /* large */
    world_init(&w);
    unsigned tables = find(&w, places), found = 0, tried = 0;
    CHECK(tables > 240);
    for (unsigned i = 0; i < 256; i++) {
        if (places[i].len == 0 || i % STEP) continue;
        tried++;
        flip(&w, places[i].at);
        qn_rc rc = scrub_aside(&w, &s);
        CHECK_RC(rc, QN_E_CORRUPT);
        CHECK(!s.memory && s.row && s.last[0] == i);
        found += rc == QN_E_CORRUPT && s.row && w.why.text[0] != 0;
        flip(&w, places[i].at);
    }
    CHECK(found == tried && tried >= tables / STEP);
    CHECK_RC(scrub_aside(&w, &s), QN_OK);
    world_fini(&w);
}

/* Each page's head and its list of rows: what is found is damage, what is not is a page that nothing is read from. */
static void test_pages(struct qn_test_state *t)
{
    struct world w;
    struct qn_scrub s;
    struct stat st;
    unsigned found = 0, all = 0, step = test_long() ? 1 : 11 * STEP;
    world_init(&w);
    QN_ASSERT(stat(w.path, &st) == 0);
    for (off_t page = 2; page < st.st_size / PAGE; page += step)
        for (off_t at = 0; at < 24; at += 7) {
            flip(&w, page * PAGE + at);
            found += scrub_aside(&w, &s) == QN_E_CORRUPT;
            all++;
            flip(&w, page * PAGE + at);
        }
    printf("%u of %u changes in pages' heads found\n", found, all);
    CHECK(found > all / 3);
    CHECK_RC(scrub_aside(&w, &s), QN_OK);
    world_fini(&w);
}

/* What the file knows of old blocks: which is in no state, and has sums of its own. */
static void test_past(struct qn_test_state *t)
{
    struct world w;
    struct qn_scrub s;
    struct qn_scan *scan;
    struct qn_store_meta meta;
    struct qn_span key, val;
    struct qn_frame f;
    struct qn_arena arena = { 0 };
    char path[100];
    unsigned rows = 0;
    uint64_t number;
    off_t at = 0;
    world_init(&w);
    CHECK_RC(qn_scan_open(w.path, &scan, &meta, &w.why), QN_OK);
    CHECK_RC(qn_scan_past(scan, &w.why), QN_OK);
    while (qn_scan_next(scan, QN_SPAN(NULL, 0), &key, &val, &w.why) == QN_OK) {
        const uint8_t *byte = val.ptr + val.len / 2, *page = byte - (uintptr_t)byte % PAGE;
        memcpy(&number, page, 8);
        at = (off_t)(number * PAGE) + (byte - page);
        rows++;
    }
    qn_scan_close(scan);
    CHECK(rows >= 4);
    CHECK_RC(scrub_aside(&w, &s), QN_OK);
    flip(&w, at);
    CHECK_RC(scrub_aside(&w, &s), QN_E_CORRUPT);
    CHECK(!s.memory && !s.row && strstr(w.why.text, "old blocks") != NULL);
    qn_chain_drop_store(w.c);
    CHECK_RC(qn_chain_frame(w.c, 1, &arena, &f, &w.why), QN_E_CORRUPT); /* it does not guess */
    snprintf(path, sizeof path, "%s/state.mdb.new", w.home);
    CHECK_RC(qn_chain_write_store(w.c, path, &w.why), QN_E_CORRUPT);
    flip(&w, at);
    CHECK_RC(qn_chain_write_store(w.c, path, &w.why), QN_OK);
    CHECK_RC(qn_chain_take_store(w.c, path, &w.why), QN_OK);
    CHECK_RC(qn_chain_frame(w.c, 1, &arena, &f, &w.why), QN_OK);
    CHECK(f.block.header.height == 1);
    CHECK_RC(scrub_aside(&w, &s), QN_OK);
    qn_arena_free(&arena);
    world_fini(&w);
}

static void test_memory(struct qn_test_state *t)
{
    struct world w;
    struct qn_scrub s;
    struct qn_span key, val;
    uint64_t rows;
    world_init(&w);
    struct qn_trie *trie = qn_chain_trie(w.c);
    CHECK(qn_trie_next(trie, QN_SPAN("\x55", 1), false, &key, &val) && val.len);
    uint8_t *byte = (uint8_t *)(uintptr_t)(val.ptr + val.len / 2);
    *byte ^= 16;
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_E_CORRUPT);
    CHECK(s.memory && s.row && s.last_len == key.len && memcmp(s.last, key.ptr, key.len) == 0);
    qn_chain_distrust(w.c); /* it does not reach the disk */
    qn_replica_close(w.r);
    up(&w);
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_OK);
    world_fini(&w);
}

static void test_again(struct qn_test_state *t)
{
    struct world w;
    struct qn_scrub s;
    static struct place places[256];
    char path[100];
    struct stat st;
    uint64_t rows;
    world_init(&w);
    memset(places, 0, sizeof places);
    find(&w, places);
    flip(&w, places[0x33].at);
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_E_CORRUPT);
    qn_chain_drop_store(w.c);
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_OK); /* memory alone */
    for (int i = 0; i < 5; i++)                  /* blocks go on, none of them in a checkpoint */
        block(&w);
    saved(&w);
    snprintf(path, sizeof path, "%s/state.mdb.new", w.home);
    CHECK_RC(qn_chain_write_store(w.c, path, &w.why), QN_OK);
    for (int i = 0; i < 5; i++) /* it was written aside: the chain is further by now */
        block(&w);
    CHECK_RC(qn_chain_take_store(w.c, path, &w.why), QN_OK);
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_OK);
    saved(&w);
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_OK);
    struct qn_hash root = qn_chain_root(w.c), again;
    snprintf(path, sizeof path, "%s/state.mdb.damaged", w.home);
    CHECK(stat(path, &st) == 0 && st.st_size > 0);
    qn_replica_close(w.r);
    up(&w);
    again = qn_chain_root(w.c);
    CHECK(qn_hash_eq(&root, &again));
    CHECK_RC(scrub(&w, 1000, &s, &rows), QN_OK);
    world_fini(&w);
}

/* The row that says of which block the others are is one that rots like them: without it, or at block 0, nothing may be executed on the rest. */
static void test_head(struct qn_test_state *t)
{
    struct world w;
    struct qn_store_meta meta;
    struct qn_store *st;
    world_init(&w);
    qn_replica_close(w.r);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_RC(qn_store_open(w.path, 1, &st, &meta, &w.why), QN_OK);
        if (i) memset(&meta, 0, sizeof meta);
        meta.height = 0;
        CHECK_RC(qn_store_begin(st, &w.why), QN_OK);
        CHECK_RC(qn_store_commit(st, &meta, &w.why), QN_OK);
        qn_store_close(st);
        CHECK_RC(open_replica(&w), QN_E_CORRUPT);
        CHECK(strstr(w.why.text, "names no block") != NULL);
    }
    unlink(w.path);
    up(&w);
    world_fini(&w);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_clean);
    TEST(test_each_table);
    TEST(test_pages);
    TEST(test_past);
    TEST(test_memory);
    TEST(test_again);
    TEST(test_head);
    return TEST_END();
}
