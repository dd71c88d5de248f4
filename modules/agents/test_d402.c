/* test_d402.c - payment headers there and back, and every way to be malformed. With an argument it writes the seeds of
 * fuzz_d402 into that folder. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/env/env.h"
#include "modules/agents/d402.h"

#include <sodium.h>
#include <stdlib.h>

static struct qn_hash h(const char *text)
{
    return qn_blake3(text, strlen(text));
}

static struct d402_offer an_offer(void)
{
    struct qn_hash chain = h("chain");
    struct d402_offer o = { .pay_to = h("payee"),
                            .key = h("key"),
                            .price = QN_UQN(500),
                            .resource = "/svc/vision",
                            .doc = "tells what it is",
                            .error = "call 7 is due",
                            .has_next = true,
                            .next_seq = 7,
                            .next_cum = QN_UQN(3500) };
    d402_network(&chain, o.network);
    return o;
}

static struct d402_payment a_payment(void)
{
    struct d402_offer o = an_offer();
    struct d402_payment p = { .pay_to = o.pay_to, .price = o.price, .idem = h("idem") };
    memcpy(p.network, o.network, sizeof p.network);
    p.voucher = (struct agents_voucher){
        .channel = h("channel"), .seq = 7, .cum = QN_UQN(3500), .ack = 6, .req = h("req")
    };
    return p;
}

static struct d402_settled a_settled(void)
{
    struct d402_settled s = { .success = true, .has_receipt = true, .payer = h("payer") };
    struct qn_hash chain = h("chain");
    d402_network(&chain, s.network);
    s.receipt = (struct agents_receipt){
        .channel = h("channel"), .seq = 7, .result = h("answer"), .charged_cum = QN_UQN(3500)
    };
    return s;
}

static void test_round_trip(struct qn_test_state *t)
{
    struct d402_offer o = an_offer(), o2;
    struct d402_payment p = a_payment(), p2;
    struct d402_settled s = a_settled(), s2;
    char *text = d402_offer_put(&o);
    CHECK_RC(d402_offer_get(QN_SPAN_STR(text), &o2, NULL), QN_OK);
    CHECK(memcmp(&o, &o2, sizeof o) == 0);
    free(text);
    text = d402_payment_put(&p);
    CHECK_RC(d402_payment_get(QN_SPAN_STR(text), &p2, NULL), QN_OK);
    CHECK(p2.price.uqn == 500 && qn_hash_eq(&p2.idem, &p.idem) && p2.voucher.cum.uqn == 3500);
    CHECK(strcmp(p2.network, p.network) == 0 && qn_hash_eq(&p2.voucher.req, &p.voucher.req));
    free(text);
    text = d402_settled_put(&s);
    CHECK_RC(d402_settled_get(QN_SPAN_STR(text), &s2, NULL), QN_OK);
    CHECK(s2.success && s2.has_receipt && s2.receipt.charged_cum.uqn == 3500);
    free(text);
}

static qn_rc read_json(const char *json)
{
    char text[4096];
    struct d402_payment p;
    sodium_bin2base64(text, sizeof text, (const uint8_t *)json, strlen(json),
                      sodium_base64_VARIANT_ORIGINAL);
    return d402_payment_get(QN_SPAN_STR(text), &p, NULL);
}

/* A payment with one member given another value (NULL: left out). */
static qn_rc with(const char *where, const char *member, json_t *value QN_TAKES)
{
    struct d402_payment p = a_payment();
    char *text = d402_payment_put(&p), json[4096];
    size_t len;
    QN_ASSERT(sodium_base642bin((uint8_t *)json, sizeof json, text, strlen(text), NULL, &len, NULL,
                                sodium_base64_VARIANT_ORIGINAL) == 0);
    json_t *all = json_loadb(json, len, 0, NULL);
    json_t *obj = where ? json_object_get(all, where) : all;
    if (value)
        json_object_set_new(obj, member, value);
    else
        json_object_del(obj, member);
    char *changed = json_dumps(all, 0);
    qn_rc rc = read_json(changed);
    free(changed);
    free(text);
    json_decref(all);
    return rc;
}

static void test_malformed(struct qn_test_state *t)
{
    struct d402_payment p = a_payment(), p2;
    char *text = d402_payment_put(&p), *more;
    CHECK_RC(with("accepted", "scheme", json_string("batch-settlement")), QN_OK);
    CHECK_RC(with(NULL, "x402Version", json_integer(1)), QN_E_FORMAT);
    CHECK_RC(with(NULL, "accepted", NULL), QN_E_FORMAT);
    CHECK_RC(with(NULL, "payload", json_array()), QN_E_FORMAT);
    CHECK_RC(with("accepted", "scheme", json_string("exact")), QN_E_FORMAT);
    CHECK_RC(with("accepted", "asset", json_string("USDC")), QN_E_FORMAT);
    CHECK_RC(with("accepted", "amount", json_integer(500)), QN_E_FORMAT);
    CHECK_RC(with("accepted", "amount", json_string("-1")), QN_E_FORMAT);
    CHECK_RC(with("accepted", "amount", json_string("0500")), QN_E_FORMAT);
    CHECK_RC(with("accepted", "amount", json_string("18446744073709551616")), QN_E_FORMAT);
    CHECK_RC(with("accepted", "amount", json_string("9000000000000000000")), QN_E_RANGE);
    CHECK_RC(
        with("accepted", "network", json_string("quoin:0123456789012345678901234567890123456789")),
        QN_E_FORMAT);
    CHECK_RC(with("accepted", "payTo", json_string("qn1nobody")), QN_E_FORMAT);
    CHECK_RC(with("payload", "idem", json_string("00")), QN_E_FORMAT);
    CHECK_RC(with("payload", "voucher", json_string("0")), QN_E_FORMAT);
    CHECK_RC(with("payload", "voucher", json_string("zz")), QN_E_FORMAT);
    CHECK_RC(with("payload", "voucher", json_string("00")), QN_E_SHORT);
    CHECK_RC(d402_payment_get(QN_SPAN(text, strlen(text) - 1), &p2, NULL), QN_E_FORMAT);
    CHECK_RC(d402_payment_get(QN_SPAN(text, 0), &p2, NULL), QN_E_FORMAT);
    CHECK_RC(d402_payment_get(QN_SPAN_STR("not base64!"), &p2, NULL), QN_E_FORMAT);
    CHECK_RC(read_json("[]"), QN_E_FORMAT);
    CHECK_RC(read_json("{\"x402Version\":2,\"x402Version\":2}"), QN_E_FORMAT);
    more = calloc(1, D402_HEADER_MAX + 2);
    memset(more, 'A', D402_HEADER_MAX + 1);
    CHECK_RC(d402_payment_get(QN_SPAN_STR(more), &p2, NULL), QN_E_TOOBIG);
    free(more);
    free(text);
}

static void seed(const char *dir, const char *name, char kind, char *text QN_TAKES)
{
    char path[500];
    struct qn_buf buf = { 0 };
    qn_buf_u8(&buf, (uint8_t)kind);
    qn_buf_str(&buf, text);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    QN_ASSERT(qn_file_write(path, qn_buf_get(&buf), 0644, NULL) == QN_OK);
    qn_buf_free(&buf);
    free(text);
}

int main(int argc, char **argv)
{
    struct d402_offer o = an_offer();
    struct d402_payment p = a_payment();
    struct d402_settled s = a_settled();
    if (argc == 2) {
        seed(argv[1], "offer", 'O', d402_offer_put(&o));
        seed(argv[1], "payment", 'P', d402_payment_put(&p));
        seed(argv[1], "settled", 'S', d402_settled_put(&s));
        s.has_receipt = false;
        seed(argv[1], "failed", 'S', d402_settled_put(&s));
        return 0;
    }
    TEST_BEGIN();
    TEST(test_round_trip);
    TEST(test_malformed);
    return TEST_END();
}
