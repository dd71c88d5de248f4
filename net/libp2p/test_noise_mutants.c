/* test_noise_mutants.c - a dozen ways to cheat in a handshake, and then some: each breaks one rule, all others kept, and is refused for that. */
#include "core/base/test.h"
#include "core/schema/protobuf.h"
#include "net/libp2p/noise_pair.h"

#include <sodium.h>

/* Somebody who speaks Noise and breaks one rule. He dials or answers; the honest side is a whole upgrade. */
struct cheat {
    struct pair p;
    struct qn_noise n;         /* his */
    struct qn_noise_self self; /* what he says of himself; honest until a mutant changes it */
    struct qn_noise_cipher tx, rx;
    struct qn_buf out; /* his next message, unframed */
    bool dials;
};

static qn_rc hear(struct cheat *c, const struct qn_buf *bytes)
{
    int h = c->dials; /* the honest side's number */
    struct qn_span in = qn_buf_get(bytes);
    c->p.wire[h].len = 0;
    return qn_upgrade_step(&c->p.up[h], c->p.aead, &c->p.self[h], &in, &c->p.wire[h]);
}

/* Frames what he has to say and lets the honest side hear it. */
static qn_rc tell(struct cheat *c)
{
    struct qn_buf b = { 0 };
    qn_buf_u8(&b, (uint8_t)(c->out.len >> 8));
    qn_buf_u8(&b, (uint8_t)c->out.len);
    qn_buf_span(&b, qn_buf_get(&c->out));
    qn_rc rc = hear(c, &b);
    qn_buf_free(&b);
    c->out.len = 0;
    return rc;
}

static qn_rc his(struct cheat *c, struct qn_span payload)
{
    return qn_noise_write(&c->n, c->p.aead, c->self.sk, c->self.pk, payload, &c->out);
}

/* Reads the message that the honest side's words end with. */
static void read_honest(struct cheat *c, size_t len)
{
    struct qn_buf *w = &c->p.wire[c->dials], payload = { 0 };
    QN_ASSERT(w->len >= len);
    QN_ASSERT(qn_noise_read(&c->n, c->p.aead, QN_SPAN(w->ptr + w->len - len, len), &payload) ==
              QN_OK);
    qn_buf_free(&payload);
}

/* Up to the message that carries his payload: multistream done, message 1 said and, when he dials, message 2 heard. */
static void cheat_open(struct cheat *c, bool dials)
{
    static const char HELLO[] = "\x13/multistream/1.0.0\n\x07/noise\n";
    uint8_t e[32] = { 0x77 };
    struct qn_buf hello = { 0 };
    memset(c, 0, sizeof *c);
    pair_open(&c->p, NULL);
    c->dials = dials;
    c->self = c->p.self[!dials];
    qn_noise_init(&c->n, dials, e);
    if (!dials) read_honest(c, 32); /* the dialler's flight ends with e */
    qn_buf_put(&hello, HELLO, sizeof HELLO - 1);
    QN_ASSERT(hear(c, &hello) == QN_E_AGAIN);
    qn_buf_free(&hello);
}

static void cheat_close(struct cheat *c)
{
    qn_buf_free(&c->out);
    pair_close(&c->p);
}

/* Message 1 of a dialler, honestly, and the answer read. */
static void shake_one(struct cheat *c)
{
    QN_ASSERT(his(c, QN_SPAN(NULL, 0)) == QN_OK);
    QN_ASSERT(tell(c) == QN_E_AGAIN);
    read_honest(c, 216);
}

static qn_rc finish(struct cheat *c)
{
    qn_rc rc = his(c, QN_SPAN(c->self.payload, c->self.payload_len));
    return rc ? rc : tell(c);
}

static qn_rc with_payload(struct cheat *c, const struct qn_buf *payload)
{
    QN_ASSERT(his(c, qn_buf_get(payload)) == QN_OK);
    return tell(c);
}

/* A payload of parts, each as he likes it. */
static qn_rc with_parts(struct cheat *c, struct qn_span key, struct qn_span sig)
{
    struct qn_buf b = { 0 };
    if (key.len) qn_pb_put_bytes(&b, 1, key);
    if (sig.len) qn_pb_put_bytes(&b, 2, sig);
    qn_rc rc = with_payload(c, &b);
    qn_buf_free(&b);
    return rc;
}

/* His identity's signature over prefix | a static key. */
static struct qn_sig sign_static(const struct cheat *c, const char *prefix, const uint8_t pk[32])
{
    struct qn_buf text = { 0 };
    qn_buf_str(&text, prefix);
    qn_buf_put(&text, pk, 32);
    struct qn_sig sig = qn_sign(&c->p.key[!c->dials], qn_buf_get(&text));
    qn_buf_free(&text);
    return sig;
}

static const char PREFIX[] = "noise-libp2p-static-key:";

static struct qn_span public_of(const struct cheat *c, uint8_t dst[36])
{
    qn_peer_public(&c->p.key[!c->dials].pub, dst);
    return QN_SPAN(dst, 36);
}

/* Each breaks one rule, and returns what the honest side says. */
static qn_rc honest(struct cheat *c)
{
    if (c->dials) shake_one(c);
    return finish(c);
}

static qn_rc another_static(struct cheat *c) /* a true payload, of another static key */
{
    c->self.sk[0] ^= 8;
    crypto_scalarmult_base(c->self.pk, c->self.sk);
    return honest(c);
}

static qn_rc no_prefix(struct cheat *c) /* signed without the words that say for what */
{
    uint8_t pub[36];
    if (c->dials) shake_one(c);
    struct qn_sig sig = sign_static(c, "", c->self.pk);
    return with_parts(c, public_of(c, pub), QN_SPAN_OF(sig));
}

static qn_rc another_identity(struct cheat *c) /* somebody else's name over his own signature */
{
    uint8_t pub[36];
    if (c->dials) shake_one(c);
    struct qn_sig sig = sign_static(c, PREFIX, c->self.pk);
    qn_peer_public(&c->p.key[c->dials].pub, pub);
    return with_parts(c, QN_SPAN_OF(pub), QN_SPAN_OF(sig));
}

static qn_rc no_signature(struct cheat *c)
{
    uint8_t pub[36];
    if (c->dials) shake_one(c);
    return with_parts(c, public_of(c, pub), QN_SPAN(NULL, 0));
}

static qn_rc no_key(struct cheat *c)
{
    if (c->dials) shake_one(c);
    struct qn_sig sig = sign_static(c, PREFIX, c->self.pk);
    return with_parts(c, QN_SPAN(NULL, 0), QN_SPAN_OF(sig));
}

static qn_rc no_payload(struct cheat *c)
{
    struct qn_buf none = { 0 };
    if (c->dials) shake_one(c);
    return with_payload(c, &none);
}

static qn_rc other_encoding(struct cheat *c) /* one key, a second name: its length in two bytes */
{
    uint8_t pub[36], twice[37];
    if (c->dials) shake_one(c);
    struct qn_sig sig = sign_static(c, PREFIX, c->self.pk);
    public_of(c, pub);
    memcpy(twice, pub, 3);
    twice[3] = 0x80 | 32;
    twice[4] = 0;
    memcpy(twice + 5, pub + 4, 32);
    return with_parts(c, QN_SPAN_OF(twice), QN_SPAN_OF(sig));
}

static qn_rc turned_encoding(struct cheat *c) /* or its two fields the other way about */
{
    uint8_t pub[36], turned[36];
    if (c->dials) shake_one(c);
    struct qn_sig sig = sign_static(c, PREFIX, c->self.pk);
    public_of(c, pub);
    memcpy(turned, pub + 2, 34);
    memcpy(turned + 34, pub, 2);
    return with_parts(c, QN_SPAN_OF(turned), QN_SPAN_OF(sig));
}

static qn_rc key_plus_p(struct cheat *c) /* a key whose y is not below p: of small order as well */
{
    uint8_t pub[36];
    struct qn_sig sig = { { 1 } }; /* R = 1, S = 0: what a verifier with the cofactor takes */
    if (c->dials) shake_one(c);
    public_of(c, pub);
    memset(pub + 4, 0xff, 32);
    pub[4] = 0xee;
    pub[35] = 0x7f;
    return with_parts(c, QN_SPAN_OF(pub), QN_SPAN_OF(sig));
}

static qn_rc reflected(struct cheat *c) /* what the honest side says of itself, said back */
{
    const struct qn_noise_self *s = &c->p.self[c->dials];
    struct qn_buf b = { 0 };
    if (c->dials) shake_one(c);
    qn_buf_put(&b, s->payload, s->payload_len);
    qn_rc rc = with_payload(c, &b);
    qn_buf_free(&b);
    return rc;
}

static qn_rc early_payload(struct cheat *c) /* in message 1, where nothing protects it */
{
    QN_ASSERT(his(c, QN_SPAN(c->self.payload, c->self.payload_len)) == QN_OK);
    return tell(c);
}

static qn_rc early_extension(struct cheat *c) /* muxers alone, said too early */
{
    struct qn_buf ext = { 0 }, b = { 0 };
    qn_pb_put_str(&ext, 2, "/yamux/1.0.0");
    qn_pb_put_bytes(&b, 4, qn_buf_get(&ext));
    QN_ASSERT(his(c, qn_buf_get(&b)) == QN_OK);
    qn_buf_free(&ext);
    qn_buf_free(&b);
    return tell(c);
}

static qn_rc broken_extension(struct cheat *c) /* swapped for bytes that are no record */
{
    struct qn_buf b = { 0 };
    uint8_t pub[36];
    if (c->dials) shake_one(c);
    struct qn_sig sig = sign_static(c, PREFIX, c->self.pk);
    qn_pb_put_bytes(&b, 1, public_of(c, pub));
    qn_pb_put_bytes(&b, 2, QN_SPAN_OF(sig));
    qn_pb_put_bytes(&b, 4, QN_SPAN_STR("\x12\x7fyamux"));
    qn_rc rc = with_payload(c, &b);
    qn_buf_free(&b);
    return rc;
}

static qn_rc zero_ephemeral(struct cheat *c) /* a point that makes every shared secret zero */
{
    QN_ASSERT(c->dials || his(c, QN_SPAN(c->self.payload, c->self.payload_len)) == QN_OK);
    if (c->dials) qn_buf_grow(&c->out, 32);
    memset(c->out.ptr, 0, 32);
    return tell(c);
}

static qn_rc
low_static(struct cheat *c) /* the same for the static key, sealed and signed as it should be */
{
    uint8_t pub[36];
    if (c->dials) shake_one(c);
    /* The secret with it is zero for everybody, so that he need not know one. */
    uint8_t low[32] = { 1 }, before = c->n.step;
    memcpy(c->self.pk, low, 32);
    struct qn_sig sig = sign_static(c, PREFIX, low);
    public_of(c, pub);
    struct qn_buf b = { 0 };
    qn_pb_put_bytes(&b, 1, QN_SPAN_OF(pub));
    qn_pb_put_bytes(&b, 2, QN_SPAN_OF(sig));
    QN_ASSERT(his(c, qn_buf_get(&b)) == QN_OK && c->n.step == before + 1);
    qn_buf_free(&b);
    return tell(c);
}

static qn_rc no_tag_static(struct cheat *c) /* a bit of the tag over the static key */
{
    if (c->dials) shake_one(c);
    QN_ASSERT(his(c, QN_SPAN(c->self.payload, c->self.payload_len)) == QN_OK);
    c->out.ptr[(c->dials ? 0 : 32) + 47] ^= 1;
    return tell(c);
}

static qn_rc no_tag_payload(struct cheat *c)
{
    if (c->dials) shake_one(c);
    QN_ASSERT(his(c, QN_SPAN(c->self.payload, c->self.payload_len)) == QN_OK);
    c->out.ptr[c->out.len - 1] ^= 0x80;
    return tell(c);
}

static qn_rc cut_off(struct cheat *c) /* a message that ends in its static key */
{
    if (c->dials) shake_one(c);
    QN_ASSERT(his(c, QN_SPAN(c->self.payload, c->self.payload_len)) == QN_OK);
    c->out.len = c->dials ? 40 : 70;
    return tell(c);
}

static qn_rc cut_payload(struct cheat *c) /* or in its payload */
{
    if (c->dials) shake_one(c);
    QN_ASSERT(his(c, QN_SPAN(c->self.payload, c->self.payload_len)) == QN_OK);
    c->out.len -= 20;
    return tell(c);
}

static qn_rc grown(struct cheat *c) /* or has a byte more */
{
    if (c->dials) shake_one(c);
    QN_ASSERT(his(c, QN_SPAN(c->self.payload, c->self.payload_len)) == QN_OK);
    qn_buf_u8(&c->out, 0);
    return tell(c);
}

static qn_rc endless(struct cheat *c)
{
    if (c->dials) shake_one(c);
    memset(qn_buf_grow(&c->out, QN_NOISE_SHAKE_MAX + 1), 0, QN_NOISE_SHAKE_MAX + 1);
    return tell(c);
}

static qn_rc other_prologue(struct cheat *c) /* he began from other words */
{
    c->n.h[0] ^= 1;
    if (c->dials) {
        QN_ASSERT(his(c, QN_SPAN(NULL, 0)) == QN_OK && tell(c) == QN_E_AGAIN);
        /* He cannot read the answer, and guesses. */
        memset(qn_buf_grow(&c->out, 184), 7, 184);
        return tell(c);
    }
    return finish(c);
}

static qn_rc reused_nonce(struct cheat *c) /* the payload sealed with the static key's nonce */
{
    if (c->dials) shake_one(c);
    c->n.k.n += c->dials; /* message 3's static key has nonce 1 */
    return finish(c);
}

/* The honest session's message, recorded and said again to the same listener in another session. */
static qn_rc replayed(struct cheat *c)
{
    struct cheat other;
    cheat_open(&other, c->dials);
    if (c->dials) shake_one(&other);
    QN_ASSERT(his(&other, QN_SPAN(other.self.payload, other.self.payload_len)) == QN_OK);
    if (c->dials) shake_one(c);
    uint8_t e[32] = { 0x99, 1 }; /* the listener's ephemeral key is fresh each time */
    if (c->dials) {
        crypto_scalarmult_base(c->p.up[1].noise.e_pk, e);
        memcpy(c->p.up[1].noise.e_sk, e, 32);
    } else {
        crypto_scalarmult_base(c->p.up[0].noise.e_pk, e);
        memcpy(c->p.up[0].noise.e_sk, e, 32);
    }
    qn_buf_span(&c->out, qn_buf_get(&other.out));
    cheat_close(&other);
    return tell(c);
}

static qn_rc not_dialled(struct cheat *c) /* all is true, and he is not who was dialled */
{
    c->p.up[0].has_want = true;
    c->p.up[0].want = qn_peer_id_of_key(&c->p.key[0].pub);
    return honest(c);
}

static void test_mutants(struct qn_test_state *t)
{
    enum { DIALS = 1, ANSWERS = 2, BOTH = 3 };
    static const struct {
        const char *name;
        qn_rc (*run)(struct cheat *c);
        int who;
        qn_rc rc;
    } MUTANTS[] = {
        { "signature is of another static key", another_static, BOTH, QN_E_SIGNATURE },
        { "signature without its prefix", no_prefix, BOTH, QN_E_SIGNATURE },
        { "another's identity key", another_identity, BOTH, QN_E_SIGNATURE },
        { "no signature", no_signature, BOTH, QN_E_SIGNATURE },
        { "no identity key", no_key, BOTH, QN_E_FORMAT },
        { "no payload", no_payload, BOTH, QN_E_FORMAT },
        { "identity key, long varint", other_encoding, BOTH, QN_E_FORMAT },
        { "identity key, fields turned", turned_encoding, BOTH, QN_E_FORMAT },
        { "identity key of small order, y + p", key_plus_p, BOTH, QN_E_SIGNATURE },
        { "the other's payload reflected", reflected, BOTH, QN_E_SIGNATURE },
        { "payload in message 1", early_payload, DIALS, QN_E_FORMAT },
        { "extension in message 1", early_extension, DIALS, QN_E_FORMAT },
        { "extension that is no record", broken_extension, BOTH, QN_E_SHORT },
        { "ephemeral key of low order", zero_ephemeral, BOTH, QN_E_FORMAT },
        { "static key of low order", low_static, BOTH, QN_E_FORMAT },
        { "tag of the static key", no_tag_static, BOTH, QN_E_PROOF },
        { "tag of the payload", no_tag_payload, BOTH, QN_E_PROOF },
        { "cut in the static key", cut_off, BOTH, QN_E_FORMAT },
        { "cut in the payload", cut_payload, BOTH, QN_E_PROOF },
        { "a byte more", grown, BOTH, QN_E_PROOF },
        { "longer than a handshake", endless, BOTH, QN_E_TOOBIG },
        { "another prologue", other_prologue, BOTH, QN_E_PROOF },
        { "a nonce too far", reused_nonce, DIALS, QN_E_PROOF },
        { "a message of another session", replayed, BOTH, QN_E_PROOF },
        { "not who was dialled", not_dialled, ANSWERS, QN_E_SIGNATURE },
    };
    unsigned refused = 0, all = 0;
    for (int dials = 0; dials < 2; dials++) { /* the same ways without a lie */
        struct cheat c;
        cheat_open(&c, dials);
        CHECK_RC(honest(&c), QN_OK);
        cheat_close(&c);
    }
    for (size_t i = 0; i < QN_COUNT(MUTANTS); i++)
        for (int dials = 0; dials < 2; dials++) {
            struct cheat c;
            if (!(MUTANTS[i].who & (dials ? DIALS : ANSWERS))) continue;
            cheat_open(&c, dials);
            qn_rc rc = MUTANTS[i].run(&c);
            if (rc != MUTANTS[i].rc)
                printf("%s (%s): %s\n", MUTANTS[i].name, dials ? "dials" : "answers",
                       qn_err_code(rc));
            CHECK_RC(rc, MUTANTS[i].rc);
            refused += rc != QN_OK && rc != QN_E_AGAIN;
            all++;
            cheat_close(&c);
        }
    CHECK(QN_COUNT(MUTANTS) >= 12);
    CHECK(refused == all);
    /* After the handshake: a record once more, and one that was left out. */
    struct cheat c;
    uint8_t one[16 + QN_NOISE_TAG] = "one", two[16 + QN_NOISE_TAG] = "two", copy[sizeof one];
    cheat_open(&c, true);
    CHECK_RC(honest(&c), QN_OK);
    qn_noise_split(&c.n, &c.tx, &c.rx);
    qn_aead_seal(c.p.aead, &c.tx, one, 16);
    qn_aead_seal(c.p.aead, &c.tx, two, 16);
    memcpy(copy, two, sizeof copy);
    CHECK(!qn_aead_open(c.p.aead, &c.p.up[1].rx, copy, sizeof copy));
    memcpy(copy, one, sizeof copy);
    CHECK(qn_aead_open(c.p.aead, &c.p.up[1].rx, copy, sizeof copy));
    CHECK(!qn_aead_open(c.p.aead, &c.p.up[1].rx, one, sizeof one));
    CHECK(qn_aead_open(c.p.aead, &c.p.up[1].rx, two, sizeof two));
    cheat_close(&c);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    TEST(test_mutants);
    return TEST_END();
}
