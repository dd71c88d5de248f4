/* upgrade.c - the steps of a connection's upgrade. */
#include "net/libp2p/upgrade.h"

#include <sodium.h>
#include <string.h>

static const char NOISE[] = "/noise";

static qn_rc put_message(struct qn_upgrade *u, struct qn_aead *aead,
                         const struct qn_noise_self *self, struct qn_span payload,
                         struct qn_buf *out)
{
    size_t at = out->len;
    qn_buf_grow(out, 2);
    qn_rc rc = qn_noise_write(&u->noise, aead, self->sk, self->pk, payload, out);
    if (rc) return rc;
    size_t len = out->len - at - 2;
    out->ptr[at] = (uint8_t)(len >> 8);
    out->ptr[at + 1] = (uint8_t)len;
    return QN_OK;
}

void qn_upgrade_init(struct qn_upgrade *u, bool dialer, const struct qn_peer_id *want,
                     const uint8_t ephemeral[32], struct qn_aead *aead,
                     const struct qn_noise_self *self, struct qn_buf *out)
{
    memset(u, 0, sizeof *u);
    u->dialer = dialer;
    if (want) {
        u->has_want = true;
        u->want = *want;
    }
    qn_noise_init(&u->noise, dialer, ephemeral);
    if (!dialer) {
        qn_mss_listen(&u->mss);
        return;
    }
    qn_mss_dial(&u->mss, NOISE, out);
    qn_rc rc = put_message(u, aead, self, QN_SPAN(NULL, 0), out);
    QN_ASSERT(rc == QN_OK); /* message 1 computes nothing with the peer's bytes */
}

void qn_upgrade_wipe(struct qn_upgrade *u)
{
    sodium_memzero(u, sizeof *u);
}

static const void *pick(void *arg, struct qn_span name)
{
    (void)arg;
    return qn_span_eq(name, QN_SPAN_STR(NOISE)) ? NOISE : NULL;
}

/* Moves bytes to part until a whole handshake message is there. */
static qn_rc take_message(struct qn_upgrade *u, struct qn_span *in, struct qn_span *ret)
{
    for (;;) {
        size_t want = 2;
        if (u->have >= 2) {
            size_t len = (size_t)u->part[0] << 8 | u->part[1];
            if (len > QN_NOISE_SHAKE_MAX) return QN_E_TOOBIG;
            want += len;
            if (u->have == want) break;
        }
        size_t n = QN_MIN(want - u->have, in->len);
        if (n == 0) return QN_E_AGAIN;
        memcpy(u->part + u->have, in->ptr, n);
        u->have = (uint16_t)(u->have + n);
        *in = QN_SPAN(in->ptr + n, in->len - n);
    }
    *ret = QN_SPAN(u->part + 2, u->have - 2u);
    u->have = 0;
    return QN_OK;
}

static qn_rc check_payload(struct qn_upgrade *u, struct qn_span payload)
{
    if (u->noise.step == 1) return payload.len ? QN_E_FORMAT : QN_OK; /* nothing in the clear */
    qn_rc rc = qn_noise_payload(payload, u->noise.rs, &u->peer);
    if (rc) return rc;
    return u->has_want && !qn_peer_id_eq(&u->want, &u->peer.id) ? QN_E_SIGNATURE : QN_OK;
}

qn_rc qn_upgrade_step(struct qn_upgrade *u, struct qn_aead *aead, const struct qn_noise_self *self,
                      struct qn_span *in, struct qn_buf *out)
{
    struct qn_buf payload = { 0 };
    const void *got;
    qn_rc rc = QN_OK;
    if (!u->agreed) {
        rc = qn_mss_step(&u->mss, in, out, NOISE, pick, NULL, &got);
        if (rc) return rc;
        u->agreed = true;
    }
    while (u->noise.step < 3) {
        struct qn_span msg;
        rc = take_message(u, in, &msg);
        if (rc) break;
        qn_buf_clear(&payload);
        rc = qn_noise_read(&u->noise, aead, msg, &payload);
        if (rc) break;
        rc = check_payload(u, qn_buf_get(&payload));
        if (rc) break;
        if (u->noise.step == 3) break;
        rc = put_message(u, aead, self, QN_SPAN(self->payload, self->payload_len), out);
        if (rc) break;
    }
    qn_buf_free(&payload);
    if (rc) return rc;
    qn_noise_split(&u->noise, &u->tx, &u->rx);
    return QN_OK;
}
