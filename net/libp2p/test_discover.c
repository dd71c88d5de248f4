/* test_discover.c - a dozen hosts over real sockets on loopback, each told one address: they find each other, find a peer by its id and who
 * provides what, and after a restart need no address at all. */
#include "net/libp2p/discover.h"

#include "core/env/turns.h"
#include "net/libp2p/discover_int.h"
#include "net/libp2p/record.h"

#include <signal.h>
#include <unistd.h>

#define NODES 12
#define PROTO "/quoin/00112233/kad/1.0.0"
#define OTHER "/quoin/44556677/kad/1.0.0"

struct node {
    struct qn_key key;
    struct qn_host *host;
    struct qn_discover *d;
};

struct world {
    struct event_base *base;
    struct node n[NODES];
};

static void node_open_of(struct qn_test_state *t, struct world *w, uint32_t i, const char *book,
                         const char *proto)
{
    struct node *n = &w->n[i];
    uint8_t seed[32] = { (uint8_t)(i + 1), 7 };
    struct qn_why why;
    qn_key_from_seed(seed, &n->key);
    const struct qn_host_conf conf = {
        .base = w->base, .env = qn_env_real(), .key = &n->key, .listen = "127.0.0.1:0"
    };
    CHECK_RC(qn_host_open(&conf, &n->host, &why), QN_OK);
    const struct qn_discover_conf dc = { .base = w->base,
                                         .env = qn_env_real(),
                                         .host = n->host,
                                         .proto = proto,
                                         .book_path = book,
                                         .private = true };
    CHECK_RC(qn_discover_open(&dc, &n->d, &why), QN_OK);
}

static void node_open(struct qn_test_state *t, struct world *w, uint32_t i, const char *book)
{
    node_open_of(t, w, i, book, PROTO);
}

static void node_close(struct world *w, uint32_t i)
{
    qn_discover_close(w->n[i].d);
    qn_host_close(w->n[i].host);
    w->n[i] = (struct node){ 0 };
}

static bool all_know(struct world *w, uint32_t cnt, uint32_t want)
{
    for (uint32_t i = 0; i < cnt; i++)
        if (qn_host_peer_cnt(w->n[i].host) < want || qn_discover_info(w->n[i].d).kad.peers < want)
            return false;
    return true;
}

struct answer {
    int rc; /* -1: not yet */
    uint32_t peer, providers;
    bool ended;
    struct qn_peer_id id;
};

static void on_found(void *arg, qn_rc rc, uint32_t peer)
{
    struct answer *a = arg;
    a->rc = (int)rc;
    a->peer = peer;
}

static void on_provider(void *arg, const struct kad_peer *p)
{
    struct answer *a = arg;
    if (!p)
        a->ended = true;
    else
        a->providers++, a->id = p->id;
}

static void test_network(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    char book[] = "/tmp/test_discover.XXXXXX", addr[64];
    int fd = mkstemp(book);
    CHECK(fd >= 0);
    close(fd);
    unlink(book);
    for (uint32_t i = 0; i < NODES; i++)
        node_open(t, &w, i, i == 5 ? book : NULL);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w.n[0].host));
    for (uint32_t i = 1; i < NODES; i++)
        CHECK_RC(qn_discover_join(w.n[i].d, addr, NULL), QN_OK);
    CHECK_RC(qn_discover_join(w.n[0].d, "nonsense", NULL), QN_E_FORMAT);
    UNTIL(&w, all_know(&w, NODES, 8));
    for (uint32_t i = 0; t->bad && i < NODES; i++) {
        struct qn_discover_info inf = qn_discover_info(w.n[i].d);
        struct qn_host_stat st = qn_host_stat(w.n[i].host);
        printf("node %u: %u peers, full %u block %u told %u tried %u, table %u, searches %u "
               "queries %u; dialled %llu fails %llu conns %u\n",
               i, qn_host_peer_cnt(w.n[i].host), inf.full, inf.block, inf.told, inf.tried,
               inf.kad.peers, inf.kad.searches, inf.kad.queries, (unsigned long long)st.dialled,
               (unsigned long long)st.handshake_fails, st.conns);
    }

    struct answer a = { .rc = -1 };
    struct qn_peer_id id = *qn_host_id(w.n[9].host);
    CHECK_RC(qn_discover_peer(w.n[3].d, &id, on_found, &a), QN_OK);
    UNTIL(&w, a.rc >= 0);
    CHECK(a.rc == QN_OK);
    struct qn_peer_info info;
    CHECK(qn_host_peer(w.n[3].host, a.peer, &info) && qn_peer_id_eq(&info.id, &id));
    struct qn_key nobody;
    uint8_t seed[32] = { 99 };
    qn_key_from_seed(seed, &nobody);
    id = qn_peer_id_of_key(&nobody.pub);
    a.rc = -1;
    CHECK_RC(qn_discover_peer(w.n[3].d, &id, on_found, &a), QN_OK);
    UNTIL(&w, a.rc >= 0);
    CHECK(a.rc == QN_E_NOTFOUND);

    uint8_t key[34] = { 0x1e, 32, 5 };
    CHECK_RC(qn_discover_provide(w.n[2].d, QN_SPAN_OF(key)), QN_OK);
    uint64_t end = turns_ms() + 20000;
    do { /* publishing takes a moment that nothing tells of */
        a = (struct answer){ 0 };
        CHECK_RC(qn_discover_providers(w.n[7].d, QN_SPAN_OF(key), 0, on_provider, &a), QN_OK);
        UNTIL(&w, a.ended);
    } while (!a.providers && turns_ms() < end);
    CHECK(a.providers == 1 && qn_peer_id_eq(&a.id, qn_host_id(w.n[2].host)));

    /* A restart from the book alone. */
    node_close(&w, 5);
    CHECK(access(book, R_OK) == 0);
    node_open(t, &w, 5, book);
    CHECK(qn_discover_info(w.n[5].d).tried + qn_discover_info(w.n[5].d).told >= 8);
    UNTIL(&w, qn_host_peer_cnt(w.n[5].host) >= 5);

    /* Closed with searches and dials under way. */
    for (uint32_t i = 0; i < 6; i++) {
        (void)!qn_discover_peer(w.n[i].d, &id, on_found, &a);
        (void)!qn_discover_providers(w.n[i].d, QN_SPAN_STR("k"), 0, on_provider, &a);
    }
    for (int i = 0; i < 20; i++)
        event_base_loop(w.base, EVLOOP_NONBLOCK);
    for (uint32_t i = 0; i < NODES; i++)
        node_close(&w, i);
    unlink(book);
    event_base_free(w.base);
}

/* --- two networks that know each other's addresses -------------------------------------------------------- */

#define EACH 4 /* nodes of one network; the rest are of the other */

struct foreign {
    struct world *w;
    uint32_t node, kin, chosen,
        tabled; /* connected strangers; of these chosen by us, in our table */
};

static void count_foreign(void *arg, const struct qn_peer_info *info)
{
    struct foreign *f = arg;
    struct qn_discover *d = f->w->n[f->node].d;
    enum outbound_kind kind;
    for (uint32_t i = 0; i < 2 * EACH; i++) {
        if (!qn_peer_id_eq(&info->id, qn_host_id(f->w->n[i].host))) continue;
        bool stranger = i / EACH != f->node / EACH;
        f->kin += !stranger;
        f->chosen += stranger && qn_discover_kind(d, info->peer, &kind);
        f->tabled += stranger && kad_table_get(qn_discover_table(d), &info->id) != NULL;
    }
}

static struct foreign foreign_of(struct world *w, uint32_t node)
{
    struct foreign f = { .w = w, .node = node };
    qn_host_peers(w->n[node].host, count_foreign, &f);
    return f;
}

static bool kin_met(struct world *w)
{
    for (uint32_t i = 0; i < 2 * EACH; i++)
        if (foreign_of(w, i).kin < EACH - 1 || qn_discover_info(w->n[i].d).kad.peers < EACH - 1)
            return false;
    return true;
}

static void hear(void *arg, const struct qn_peer_info *info)
{
    struct world *w = arg;
    for (uint32_t i = 0; i < 2 * EACH; i++) /* everybody hears of everybody, of both networks */
        (void)!qn_discover_hear(w->n[i].d, 1, info->record);
}

static void test_two(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    char addr[64];
    for (uint32_t i = 0; i < 2 * EACH; i++)
        node_open_of(t, &w, i, NULL, i < EACH ? PROTO : OTHER);
    for (uint32_t i = 0; i < 2 * EACH;
         i++) /* told an address of the other network, and of its own */
        for (uint32_t j = 0; j < 2; j++) {
            snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w.n[j * EACH].host));
            CHECK_RC(qn_discover_join(w.n[i].d, addr, NULL), QN_OK);
        }
    UNTIL(&w, kin_met(&w));
    for (uint32_t i = 0; i < 2 * EACH; i++)
        qn_host_peers(w.n[i].host, hear, &w);
    turns_for(w.base, 2500); /* some turns of all outbound machines */
    for (uint32_t i = 0; i < 2 * EACH; i++) {
        struct foreign f = foreign_of(&w, i);
        struct qn_discover_info inf = qn_discover_info(w.n[i].d);
        CHECK(f.kin == EACH - 1 && f.chosen == 0 && f.tabled == 0);
        CHECK(inf.kad.peers == EACH - 1 && inf.tried < EACH);
        CHECK(i % EACH == 0 ||
              inf.strangers >= 1); /* to the first of each the strangers came by themselves */
    }
    for (uint32_t i = 0; i < 2 * EACH; i++)
        node_close(&w, i);
    event_base_free(w.base);
}

/* --- peer exchange --------------------------------------------------------------------------------------- */

/* The record of an invented peer that says it listens there. */
static struct qn_peer_id invent(uint8_t number, const char *addr, struct qn_buf *ret)
{
    uint8_t seed[32] = { number, 77 };
    struct qn_maddr maddr = { 0 };
    struct qn_key key;
    qn_rc rc = qn_maddr_parse(addr, &maddr, NULL);
    QN_ASSERT(rc == QN_OK);
    qn_key_from_seed(seed, &key);
    qn_buf_clear(ret);
    qn_record_write(&key, 1, &maddr, 1, ret);
    return qn_peer_id_of_key(&key.pub);
}

struct told {
    struct qn_buf record;
    struct qn_peer_id id;
    uint32_t peer;
};

static void note_record(void *arg, const struct qn_peer_info *info)
{
    struct told *told = arg;
    if (!qn_peer_id_eq(&info->id, &told->id)) return;
    qn_buf_clear(&told->record);
    qn_buf_span(&told->record, info->record);
    told->peer = info->peer;
}

static void on_dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)arg, (void)rc, (void)peer, (void)why;
}

static qn_rc px(struct world *w, uint32_t from, const struct qn_peer_id *id,
                const struct qn_buf *record)
{
    return qn_discover_px(w->n[0].d, from, QN_SPAN(id->b, id->len), qn_buf_get(record));
}

/* What node 1 names to node 0 as it throws it out: believed when it is signed by whom it names, looked up in no house, dialled by twos. */
static void test_px(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    struct told one = { 0 }, two = { 0 };
    struct qn_buf record = { 0 };
    char addr[64];
    for (uint32_t i = 0; i < 3; i++)
        node_open(t, &w, i, NULL);
    one.id = *qn_host_id(w.n[1].host);
    two.id = *qn_host_id(w.n[2].host);
    /* 0 - 1 - 2, and 1 tells nobody: its table and book are closed. */
    qn_discover_close(w.n[1].d);
    w.n[1].d = NULL;
    for (uint32_t i = 0; i < 3; i += 2) {
        snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w.n[1].host));
        CHECK_RC(qn_host_dial(w.n[i].host, addr, on_dialled, NULL, NULL), QN_OK);
    }
    UNTIL(&w, (qn_host_peers(w.n[1].host, note_record, &two), two.record.len) &&
                  (qn_host_peers(w.n[0].host, note_record, &one), one.record.len));
    uint64_t dialled = qn_host_stat(w.n[0].host).dialled;
    uint32_t told = qn_discover_info(w.n[0].d).told;

    /* Lies, and what is nothing: no address is noted, nobody dialled. */
    struct qn_peer_id other = invent(1, "127.0.0.1:1", &record), id = two.id;
    CHECK_RC(px(&w, one.peer, &other, &two.record), QN_E_SIGNATURE); /* another's */
    CHECK_RC(px(&w, one.peer, &id, &record), QN_E_SIGNATURE);
    for (size_t i = 0; i < two.record.len; i += 7) { /* of any byte */
        qn_buf_clear(&record);
        qn_buf_span(&record, qn_buf_get(&two.record));
        record.ptr[i] ^= 1;
        CHECK(px(&w, one.peer, &id, &record) != QN_OK);
        record.len = i;
        CHECK(px(&w, one.peer, &id, &record) != QN_OK);
    }
    qn_buf_clear(&record);
    qn_buf_span(&record, qn_buf_get(&two.record));
    record.ptr[record.len - 1] ^= 1; /* the signature's */
    CHECK_RC(px(&w, one.peer, &id, &record), QN_E_SIGNATURE);
    CHECK_RC(px(&w, 12345, &id, &two.record), QN_E_NOTFOUND); /* nobody said it */
    CHECK(qn_host_stat(w.n[0].host).dialled == dialled);
    CHECK(qn_discover_info(w.n[0].d).told == told);

    /* Ourselves and who is here: fine, and nothing to do. */
    CHECK_RC(px(&w, one.peer, &one.id, &one.record), QN_OK);
    CHECK(qn_host_stat(w.n[0].host).dialled == dialled);

    /* The real one is connected to. */
    CHECK_RC(px(&w, one.peer, &id, &two.record), QN_OK);
    CHECK(qn_host_stat(w.n[0].host).dialled == dialled + 1);
    uint32_t peer;
    UNTIL(&w, qn_host_find(w.n[0].host, &id, &peer));

    /* Any number at once: all are noted, two are dialled. */
    dialled = qn_host_stat(w.n[0].host).dialled;
    for (uint8_t i = 10; i < 210; i++) {
        snprintf(addr, sizeof addr, "127.0.0.1:%u", 1u + i);
        id = invent(i, addr, &record);
        CHECK_RC(px(&w, one.peer, &id, &record), QN_OK);
    }
    CHECK(qn_host_stat(w.n[0].host).dialled == dialled + DISCOVER_PX);
    CHECK(qn_discover_info(w.n[0].d).told > 50);

    /* A node on the internet takes no house's address, and looks up no name. */
    qn_discover_close(w.n[0].d);
    const struct qn_discover_conf dc = {
        .base = w.base, .env = qn_env_real(), .host = w.n[0].host, .proto = PROTO
    };
    CHECK_RC(qn_discover_open(&dc, &w.n[0].d, NULL), QN_OK);
    dialled = qn_host_stat(w.n[0].host).dialled;
    static const char *const HOUSE[] = {
        "192.168.1.1:4460", "127.0.0.1:4460",           "10.0.0.1:4460",
        "[fc00::1]:4460",   "/dns4/evil.example/tcp/1", "169.254.1.1:4460"
    };
    for (uint8_t i = 0; i < QN_COUNT(HOUSE); i++) {
        id = invent(i, HOUSE[i], &record);
        CHECK_RC(px(&w, one.peer, &id, &record), QN_OK);
        CHECK(qn_record_fit(qn_buf_get(&record)) == (i == 4)); /* nor does it tell of one */
    }
    CHECK(qn_host_stat(w.n[0].host).dialled == dialled);
    CHECK(qn_discover_info(w.n[0].d).told == 0);
    id = invent(99, "8.8.8.8:4460", &record); /* noted; nothing of the test waits for the dial */
    CHECK_RC(px(&w, one.peer, &id, &record), QN_OK);
    CHECK(qn_record_fit(qn_buf_get(&record)));
    CHECK(qn_discover_info(w.n[0].d).told == 1);
    qn_buf_free(&record);
    qn_buf_free(&one.record);
    qn_buf_free(&two.record);
    for (uint32_t i = 0; i < 3; i++)
        node_close(&w, i);
    event_base_free(w.base);
}

/* --- as a peer for tests/peers/kad.sh: commands on stdin, a line of JSON for each ------------------------ */

struct tool {
    struct world w;
    struct event *in;
    char line[256];
    size_t len;
};

static void tool_found(void *arg, qn_rc rc, uint32_t peer)
{
    (void)arg, (void)peer;
    printf("{\"find\":\"%s\"}\n", qn_err_code(rc));
    fflush(stdout);
}

static void tool_provider(void *arg, const struct kad_peer *p)
{
    struct answer *a = arg;
    char id[QN_PEER_TEXT_MAX];
    if (p) {
        qn_peer_id_print(&p->id, id);
        printf("%s\"%s\"", a->providers++ ? "," : "{\"providers\":[", id);
        return;
    }
    printf("%s]}\n", a->providers ? "" : "{\"providers\":[");
    fflush(stdout);
    free(a);
}

static void tool_do(struct tool *tool, const char *line)
{
    struct qn_discover *d = tool->w.n[0].d;
    uint8_t key[64];
    struct qn_peer_id id;
    char word[16], arg[200];
    if (sscanf(line, "%15s %199s", word, arg) != 2) return;
    size_t len = strlen(arg) / 2;
    if (strcmp(word, "find") == 0 && qn_peer_id_parse(arg, &id) == QN_OK) {
        if (qn_discover_peer(d, &id, tool_found, NULL)) puts("{\"find\":\"LIMIT\"}");
    } else if (len <= sizeof key && qn_unhex(arg, len * 2, key, len)) {
        if (strcmp(word, "provide") == 0) {
            printf("{\"provide\":\"%s\"}\n",
                   qn_err_code(qn_discover_provide(d, QN_SPAN(key, len))));
            fflush(stdout);
        } else if (qn_discover_providers(d, QN_SPAN(key, len), 0, tool_provider,
                                         calloc(1, sizeof(struct answer)))) {
            puts("{\"providers\":null}");
        }
    }
}

static void tool_read(int fd, short what, void *arg)
{
    struct tool *tool = arg;
    char c;
    (void)what;
    if (read(fd, &c, 1) != 1) {
        event_base_loopbreak(tool->w.base);
        return;
    }
    if (c != '\n' && tool->len + 1 < sizeof tool->line) {
        tool->line[tool->len++] = c;
        return;
    }
    tool->line[tool->len] = 0;
    tool->len = 0;
    tool_do(tool, tool->line);
}

static int tool_run(void)
{
    struct qn_test_state t = { 0 };
    struct tool *tool = calloc(1, sizeof *tool);
    struct qn_maddr addr;
    char text[QN_MADDR_TEXT], id[QN_PEER_TEXT_MAX];
    QN_ASSERT(tool);
    tool->w.base = event_base_new();
    node_open(&t, &tool->w, 0, NULL);
    if (t.bad || !qn_host_addrs(tool->w.n[0].host, &addr, 1)) return 1;
    qn_maddr_print(&addr, text);
    qn_peer_id_print(qn_host_id(tool->w.n[0].host), id);
    printf("{\"addr\":\"%s\",\"id\":\"%s\"}\n", text, id);
    fflush(stdout);
    tool->in = event_new(tool->w.base, 0, EV_READ | EV_PERSIST, tool_read, tool);
    event_add(tool->in, NULL);
    event_base_dispatch(tool->w.base);
    struct qn_discover_info info = qn_discover_info(tool->w.n[0].d);
    printf("{\"table\":%u,\"records\":%u,\"blames\":%llu}\n", info.kad.peers, info.kad.records,
           (unsigned long long)qn_host_stat(tool->w.n[0].host).blames);
    event_free(tool->in);
    node_close(&tool->w, 0);
    event_base_free(tool->w.base);
    free(tool);
    return 0;
}

int main(int argc, char **argv)
{
    if (qn_crypto_init() || signal(SIGPIPE, SIG_IGN) == SIG_ERR) return 1;
    if (argc > 1 && strcmp(argv[1], "peer") == 0) return tool_run();
    TEST_BEGIN();
    TEST(test_network);
    TEST(test_two);
    TEST(test_px);
    return TEST_END();
}
