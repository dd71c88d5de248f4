/* test_addrbook.c - the address book: who can place what where, what survives a flood, a crash and a damaged file. */
#include "net/libp2p/addrbook.h"

#include "core/base/test.h"
#include "core/crypto/sign.h"

#include <unistd.h>

#define NOW UINT64_C(1800000000000)
#define MIN UINT64_C(60000)

static struct addrbook *book_of(uint8_t seed, bool private)
{
    struct qn_hash key = { { seed } };
    return addrbook_new(&key, private);
}

static struct net_addr at(uint32_t group, uint32_t host)
{
    /* 4,096 public /16 networks: 17.0 .. 32.255 */
    return (struct net_addr){ net_ip4((uint8_t)(17 + (group >> 8 & 15)), (uint8_t)group,
                                      (uint8_t)(host >> 8), (uint8_t)host),
                              4460 };
}

static struct qn_peer_id id_of(uint32_t n)
{
    struct qn_peer_id id = { .len = 34, .b = { 0x12, 32 } };
    memcpy(id.b + 2, &n, sizeof n);
    return id;
}

/* Somebody of group `from` speaks of a. */
static bool told(struct addrbook *book, struct net_addr a, const struct qn_peer_id *id,
                 uint32_t from, uint64_t now)
{
    struct net_addr teller = at(from, 9);
    return addrbook_add(book, &a, id, &teller.ip, now, now);
}

static void test_life(struct qn_test_state *t)
{
    struct addrbook *book = book_of(1, false);
    struct addrbook_entry e;
    struct net_addr anchor[ADDRBOOK_ANCHOR];
    struct net_addr a = at(1, 1), lan = { net_ip4(192, 168, 0, 5), 4460 };
    struct qn_peer_id liar = id_of(666), real = id_of(1);
    CHECK(!addrbook_pick(book, false, NOW, &e));
    CHECK(!addrbook_add(book, &lan, NULL, &lan.ip, NOW, NOW)); /* a house is not the network */
    CHECK(told(book, a, &liar, 9, NOW));
    CHECK(!told(book, a, &real, 8, NOW));
    CHECK(addrbook_pick(book, false, NOW, &e) && net_addr_eq(&e.addr, &a));
    addrbook_tried(book, &a, NOW);
    addrbook_good(book, &a, &real, NOW + 1);
    CHECK(addrbook_find(book, &a, &e) && e.tried && e.fails == 0 && qn_peer_id_eq(&e.id, &real));
    CHECK(addrbook_count(book).tried == 1 && addrbook_count(book).told == 0);
    CHECK(addrbook_pick(book, false, NOW, &e) && e.tried);
    CHECK(!addrbook_pick(book, true, NOW, &e));
    struct net_addr b = at(2, 1);
    CHECK(told(book, b, &liar, 9, NOW) && told(book, at(3, 1), &liar, 9, NOW));
    addrbook_anchor_set(book, &a, 1);
    addrbook_forget(book, &a); /* tried, and an anchor */
    addrbook_forget(book, &a);
    CHECK(!addrbook_find(book, &a, &e) && addrbook_anchor_get(book, anchor) == 0);
    addrbook_forget(book, &b); /* only heard of */
    CHECK(addrbook_count(book).tried == 0 && addrbook_count(book).told == 1);
    CHECK(told(book, a, &real, 9, NOW)); /* its slots are free */
    addrbook_free(book);
    book = book_of(1, true);
    CHECK(addrbook_add(book, &lan, NULL, &lan.ip, NOW, NOW));
    addrbook_free(book);
}

/* However much one group says, it reaches 64 of 1,024 buckets: 4,096 slots. */
static void test_teller(struct qn_test_state *t)
{
    struct addrbook *book = book_of(2, false);
    for (uint32_t i = 0; i < 200; i++) {
        struct net_addr honest = at(2000 + i, 1);
        told(book, honest, NULL, 1000 + i, NOW);
    }
    uint32_t before = addrbook_count(book).told;
    CHECK(before > 196); /* few meet in a slot */
    struct net_addr liar = at(7, 9);
    struct net_ip teller = liar.ip;
    for (uint32_t i = 0; i < 60000; i++) {
        struct net_addr lie = at(i & 1023, i >> 10);
        addrbook_add(book, &lie, NULL, &teller, NOW, NOW);
    }
    uint32_t lies = addrbook_count(book).told - before;
    CHECK(lies <= 64 * 64 && lies > 3000);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 200; i++) {
        struct net_addr honest = at(2000 + i, 1);
        struct addrbook_entry e;
        kept += addrbook_find(book, &honest, &e);
    }
    CHECK(kept == before); /* a slot is not given away while its holder is worth it */
    /* Drawn by bucket, not by entry: 4,096 lies in 64 buckets get 64 of some 250 draws. */
    uint32_t bad = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        struct addrbook_entry e;
        CHECK(addrbook_pick(book, true, NOW, &e));
        bad += net_ip_eq(&e.source, &teller);
    }
    CHECK(bad < 800);
    addrbook_free(book);
}

/* A group reaches 8 of 256 tried buckets, and a holder that answers is not pushed out. */
static void test_tried(struct qn_test_state *t)
{
    struct addrbook *book = book_of(3, false);
    for (uint32_t i = 0; i < 3000; i++) {
        struct net_addr a = at(5, i);
        addrbook_good(book, &a, NULL, NOW + i);
    }
    uint32_t full = addrbook_count(book).tried;
    CHECK(full <= 8 * 64 && full > 150);
    struct addrbook_entry e, old;
    CHECK(addrbook_feeler(book, NOW + 290 * MIN, &e) &&
          e.tried); /* holders of disputed slots come first */
    old = e;
    addrbook_tried(book, &e.addr, NOW + 300 * MIN); /* silent, 5 h after its last success */
    CHECK(addrbook_feeler(book, NOW + 302 * MIN, &e));
    CHECK(addrbook_find(book, &old.addr, &e) &&
          !e.tried); /* its rival has the slot, it is among the told again */
    addrbook_free(book);

    book = book_of(3, false);
    for (uint32_t i = 0; i < 3000; i++) {
        struct net_addr a = at(5, i);
        addrbook_good(book, &a, NULL, NOW + i);
    }
    CHECK(addrbook_feeler(book, NOW + 290 * MIN, &old) && old.tried);
    addrbook_tried(book, &old.addr, NOW + 290 * MIN);
    addrbook_good(book, &old.addr, NULL, NOW + 290 * MIN + 50); /* it answers */
    CHECK(addrbook_feeler(book, NOW + 292 * MIN, &e));
    CHECK(addrbook_find(book, &old.addr, &e) && e.tried);
    addrbook_free(book);
}

static void test_terrible(struct qn_test_state *t)
{
    struct addrbook *book = book_of(4, false);
    struct net_addr a = at(3, 3);
    struct addrbook_entry got[8];
    addrbook_add(book, &a, NULL, &a.ip, NOW, NOW);
    CHECK(addrbook_sample(book, 8, NOW, got) == 1);
    for (int i = 0; i < 3; i++)
        addrbook_tried(book, &a, NOW);
    CHECK(addrbook_sample(book, 8, NOW + 10 * MIN, got) ==
          0); /* others are not sent to where nobody answered */
    addrbook_free(book);
}

static void test_file(struct qn_test_state *t)
{
    struct addrbook *book = book_of(5, false), *again = NULL;
    struct qn_buf buf = { 0 }, twice = { 0 };
    struct qn_why why;
    for (uint32_t i = 0; i < 500; i++) {
        struct net_addr a = at(i * 7, i);
        struct qn_peer_id id = id_of(i);
        told(book, a, &id, i, NOW);
        if (i % 3 == 0) addrbook_good(book, &a, &id, NOW + i);
    }
    struct net_addr anchor[2] = { at(7, 1), at(14, 2) }, back[2];
    addrbook_anchor_set(book, anchor, 2);
    addrbook_write(book, &buf);
    CHECK_RC(addrbook_read(qn_buf_get(&buf), false, &again, &why), QN_OK);
    CHECK(addrbook_count(again).tried == addrbook_count(book).tried);
    CHECK(addrbook_count(again).told == addrbook_count(book).told);
    CHECK(addrbook_anchor_get(again, back) == 2 && net_addr_eq(&back[1], &anchor[1]));
    struct addrbook_entry x, y;
    struct net_addr a = at(21, 3);
    CHECK(addrbook_find(book, &a, &x) && addrbook_find(again, &a, &y));
    CHECK(y.tried && qn_peer_id_eq(&x.id, &y.id) && x.ok_ms == y.ok_ms &&
          net_ip_eq(&x.source, &y.source));
    addrbook_write(again, &twice);
    CHECK(qn_span_eq(qn_buf_get(&buf), qn_buf_get(&twice)));
    addrbook_free(again);

    /* Any cut and any flipped bit is found. */
    for (size_t cut = 0; cut < buf.len; cut += 997)
        CHECK_RC(addrbook_read(QN_SPAN(buf.ptr, cut), false, &again, &why), QN_E_CORRUPT);
    for (size_t i = 0; i < buf.len; i += 499) {
        buf.ptr[i] ^= 4;
        CHECK_RC(addrbook_read(qn_buf_get(&buf), false, &again, &why), QN_E_CORRUPT);
        buf.ptr[i] ^= 4;
    }
    CHECK(strchr(why.text, '\n') == NULL && why.text[0]);

    char path[] = "/tmp/test_addrbook.XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    CHECK_RC(addrbook_save(book, path, &why), QN_OK);
    again = addrbook_open(qn_env_real(), path, false, &why);
    CHECK(why.text[0] == 0 && addrbook_count(again).tried == addrbook_count(book).tried);
    addrbook_free(again);
    CHECK_RC(qn_file_write(path, QN_SPAN(buf.ptr, buf.len - 5), 0600, &why), QN_OK);
    again = addrbook_open(qn_env_real(), path, false, &why);
    CHECK(strstr(why.text, "fresh") && addrbook_count(again).told == 0);
    addrbook_free(again);
    unlink(path);
    again = addrbook_open(qn_env_real(), path, false, &why);
    CHECK(why.text[0] == 0 && addrbook_count(again).told == 0);
    addrbook_free(again);
    qn_buf_free(&buf);
    qn_buf_free(&twice);
    addrbook_free(book);
}

/* Random use in any order keeps the tables whole: what is counted is found, and found again after a round over the disk. */
static void test_churn(struct qn_test_state *t)
{
    struct net_dice dice;
    net_dice_init(&dice, QN_SPAN_STR("churn"));
    struct addrbook *book = book_of(6, false), *again;
    uint64_t now = NOW;
    for (uint32_t i = 0; i < 200000; i++) {
        struct net_addr a = at(net_dice_below(&dice, 4096), net_dice_below(&dice, 60));
        struct addrbook_entry e;
        now += net_dice_below(&dice, 20000);
        switch (net_dice_below(&dice, 6)) {
        case 0:
        case 1:
        case 2: told(book, a, NULL, net_dice_below(&dice, 4096), now); break;
        case 3:
            if (addrbook_pick(book, net_dice_below(&dice, 2), now, &e))
                addrbook_tried(book, &e.addr, now);
            break;
        case 4:
            if (addrbook_pick(book, net_dice_below(&dice, 2), now, &e))
                addrbook_good(book, &e.addr, NULL, now);
            break;
        default:
            if (addrbook_feeler(book, now, &e) && net_dice_below(&dice, 2))
                addrbook_good(book, &e.addr, NULL, now);
        }
    }
    struct addrbook_cnt cnt = addrbook_count(book);
    CHECK(cnt.told > 10000 && cnt.tried > 10000 && cnt.tried <= 256 * 64);
    struct qn_buf buf = { 0 };
    struct qn_why why;
    addrbook_write(book, &buf);
    CHECK_RC(addrbook_read(qn_buf_get(&buf), false, &again, &why), QN_OK);
    CHECK(addrbook_count(again).tried ==
          cnt.tried); /* each has its own slot, which its key gives */
    addrbook_free(again);
    addrbook_free(book);
    qn_buf_free(&buf);
}

int main(void)
{
    if (qn_crypto_init()) return 1;
    TEST_BEGIN();
    TEST(test_life);
    TEST(test_teller);
    TEST(test_tried);
    TEST(test_terrible);
    TEST(test_file);
    TEST(test_churn);
    return TEST_END();
}
