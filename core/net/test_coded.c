/* test_coded.c - a large message to eleven peers as pieces, over real sockets: two of them pass nothing on, one sends forgeries. */
#include "core/crypto/hash.h"
#include "core/env/turns.h"
#include "core/net/coded.h"
#include "ledger/state/stake.h"
#include "net/libp2p/frames.h"

enum { HOSTS = 12, SILENT = 2 };

struct node {
    struct qn_key key;
    struct qn_host *host;
    struct qn_coded *coded;
    struct qn_host_watch watch;
    uint32_t identified, got, blames;
    struct qn_span want;
    const struct qn_key *leader;
};

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct node *n = arg;
    (void)info;
    n->identified++;
}

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct node *n = arg;
    (void)peer, (void)how, (void)what;
    n->blames++;
}

static bool leader(void *arg, uint32_t epoch, uint64_t view, struct qn_hash *ret)
{
    const struct node *n = arg;
    if (epoch != 4 || view > 10) return false;
    *ret = n->leader->pub;
    return true;
}

static uint64_t view_of(void *arg)
{
    (void)arg;
    return 5;
}

static void on_message(void *arg, uint32_t peer, struct qn_span message)
{
    struct node *n = arg;
    (void)peer;
    QN_ASSERT(qn_span_eq(message, n->want));
    n->got++;
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)arg, (void)peer, (void)why;
    QN_ASSERT(rc == QN_OK);
}

static void no_peer(void *arg, uint32_t peer, bool up)
{
    (void)arg, (void)peer, (void)up;
}

static void no_message(void *arg, uint32_t peer, struct qn_span message)
{
    (void)arg, (void)peer, (void)message;
}

static uint32_t count(const struct node *n, uint32_t from)
{
    uint32_t cnt = 0;
    for (uint32_t i = from; i < HOSTS; i++)
        cnt += n[i].got;
    return cnt;
}

struct roots_seen {
    struct qn_hash chain;
    unsigned cnt;
    bool good;
};

/* What the ledger's evidence.roots verifies (ledger/state/fault.c), spelled out once more. */
static bool holds(const struct roots_seen *s, const struct evidence_roots *e,
                  const struct evidence_root *r, const struct qn_hash *key)
{
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, s->chain.b, 32);
    qn_buf_u32(&buf, e->epoch);
    qn_buf_u64(&buf, e->view);
    qn_buf_u8(&buf, r->k);
    qn_buf_u32(&buf, r->body_len);
    qn_buf_put(&buf, r->root.b, 32);
    struct qn_hash what = qn_h("shard", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return qn_verify(key, QN_SPAN(what.b, 32), &r->sig);
}

static void on_roots(void *arg, const struct evidence_roots *e)
{
    struct roots_seen *s = arg;
    uint8_t seed[32] = { 1, 9 };
    struct qn_key leader_key;
    qn_key_from_seed(seed, &leader_key);
    struct qn_hash acct = qn_acct_key(&leader_key.pub);
    s->cnt++;
    s->good = e->epoch == 4 && e->view == 5 && qn_hash_eq(&e->validator, &acct) &&
              !qn_hash_eq(&e->a.root, &e->b.root) && holds(s, e, &e->a, &leader_key.pub) &&
              holds(s, e, &e->b, &leader_key.pub);
}

static void test_cast(struct qn_test_state *t)
{
    struct event_base *base = event_base_new();
    static struct node n[HOSTS];
    struct qn_hash chain = { { 0xab, 0xcd, 0xef, 1 } };
    const char *proto = "/quoin/abcdef01/shard/1";
    uint8_t *body = malloc(300000);
    for (size_t i = 0; i < 300000; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    struct qn_frames *mute[SILENT] = { NULL };
    CHECK_RC(qn_crypto_init(), QN_OK);
    for (uint32_t i = 0; i < HOSTS; i++) {
        uint8_t seed[32] = { (uint8_t)(i + 1), 9 };
        qn_key_from_seed(seed, &n[i].key);
        n[i].leader = &n[0].key;
        n[i].want = QN_SPAN(body, 300000);
        const struct qn_host_conf host = {
            .base = base, .env = qn_env_real(), .key = &n[i].key, .listen = "127.0.0.1:0"
        };
        CHECK_RC(qn_host_open(&host, &n[i].host, NULL), QN_OK);
        n[i].watch = (struct qn_host_watch){ .arg = &n[i],
                                             .on_identify = on_identify,
                                             .on_blame = on_blame };
        qn_host_watch(n[i].host, &n[i].watch);
        const struct qn_coded_conf conf = { .host = n[i].host,
                                            .chain = chain,
                                            .key = &n[i].key,
                                            .arg = &n[i],
                                            .leader = leader,
                                            .view = view_of,
                                            .on_message = on_message };
        if (i == 0 || i > SILENT) {
            CHECK_RC(qn_coded_open(&conf, &n[i].coded, NULL), QN_OK);
        } else { /* takes pieces, and keeps them */
            const struct qn_frames_conf frames = { .host = n[i].host,
                                                   .proto = proto,
                                                   .message_max = 1 << 20,
                                                   .on_peer = no_peer,
                                                   .on_message = no_message };
            CHECK_RC(qn_frames_open(&frames, &mute[i - 1]), QN_OK);
        }
    }
    CHECK(!qn_coded_cast(n[0].coded, 4, 5, n[0].want)); /* nobody is there */
    for (uint32_t i = 0; i < HOSTS; i++)
        for (uint32_t k = 0; k < i; k++) {
            char addr[64];
            snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(n[k].host));
            CHECK_RC(qn_host_dial(n[i].host, addr, dialled, NULL, NULL), QN_OK);
        }
    for (uint32_t i = 0; i < HOSTS; i++)
        UNTIL_ON(base, n[i].identified >= HOSTS - 1);
    CHECK(!qn_coded_cast(n[0].coded, 4, 5, QN_SPAN(body, SHARD_BODY_MIN))); /* too short to pay */
    CHECK(qn_coded_cast(n[0].coded, 4, 5, n[0].want));
    UNTIL_ON(base, count(n, SILENT + 1) == HOSTS - SILENT - 1);
    for (uint32_t i = 0; i < HOSTS; i++) {
        CHECK(n[i].blames == 0);
        CHECK(n[i].got == (i > SILENT));
    }
    struct qn_host_stat sent = qn_host_stat(n[0].host);
    CHECK(sent.out_bytes < 3 * 300000); /* whole, it would have been eleven times */

    /* The leader codes another in the same view: nothing comes of it but what the ledger takes for it. */
    struct roots_seen seen = { .chain = chain };
    CHECK(qn_coded_cast(n[0].coded, 4, 5, QN_SPAN(body + 1, 299999)));
    UNTIL_ON(base, qn_coded_stat(n[5].coded).twins > 0);
    qn_coded_roots(n[5].coded, on_roots, &seen);
    CHECK(seen.cnt == 1 && seen.good);
    CHECK(count(n, SILENT + 1) == HOSTS - SILENT - 1);

    /* Who is in the next epoch already is not blamed by those who are not, and its pieces of this one are taken. */
    for (uint64_t view = 5; view < 5 + SHARD_VIEWS; view++)
        CHECK(qn_coded_cast(n[0].coded, 5, view, n[0].want));
    CHECK(qn_coded_cast(n[0].coded, 4, 6, n[0].want));
    UNTIL_ON(base, count(n, SILENT + 1) == 2 * (HOSTS - SILENT - 1));
    for (uint32_t i = 0; i < HOSTS; i++)
        CHECK(n[i].blames == 0);

    /* Who does not lead sends: nothing is passed on, nothing comes of it, and it is noted. */
    CHECK(qn_coded_cast(n[HOSTS - 1].coded, 4, 7, n[0].want));
    UNTIL_ON(base, n[5].blames > 0 && n[0].blames > 0);
    CHECK(count(n, SILENT + 1) == 2 * (HOSTS - SILENT - 1));
    CHECK(qn_coded_stat(n[5].coded).rebuilt == 2);
    for (uint32_t i = 0; i < HOSTS; i++) {
        qn_coded_close(n[i].coded);
        if (i > 0 && i <= SILENT) qn_frames_close(mute[i - 1]);
        qn_host_close(n[i].host);
    }
    event_base_free(base);
    free(body);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_cast);
    return TEST_END();
}
