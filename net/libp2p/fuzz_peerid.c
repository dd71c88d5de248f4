/* fuzz_peerid.c - any bytes as an id, a text of one, a PublicKey, a key file: what is accepted has one form. */
#include "net/libp2p/peerid.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t SIG[64];
    struct qn_peer_id id, again;
    struct qn_key key;
    char text[QN_PEER_TEXT_MAX];
    if (qn_peer_id_read(QN_SPAN(data, size), &id) == QN_OK) {
        qn_peer_id_print(&id, text);
        QN_ASSERT(qn_peer_id_parse(text, &again) == QN_OK);
        QN_ASSERT(qn_peer_id_eq(&id, &again));
        QN_ASSERT(id.len == size && memcmp(id.b, data, size) == 0);
    }
    size_t len = QN_MIN(size, sizeof text - 1);
    memcpy(text, data, len);
    text[len] = 0;
    if (qn_peer_id_parse(text, &id) == QN_OK) {
        char out[QN_PEER_TEXT_MAX];
        qn_peer_id_print(&id, out);
        QN_ASSERT(text[0] == 'b' || strcmp(text, out) == 0);
    }
    if (size > 64) {
        qn_rc rc =
            qn_peer_verify(QN_SPAN(data + 64, size - 64), QN_SPAN_STR("m"), QN_SPAN(data, 64));
        QN_ASSERT(rc != QN_OK || data[64] == 8);
    }
    qn_rc rc = qn_peer_verify(QN_SPAN(data, size), QN_SPAN_STR("m"), QN_SPAN_OF(SIG));
    QN_ASSERT(rc != QN_OK ||
              size == 36); /* a signature of zeros holds for keys of low order only */
    if (qn_peer_key_read(QN_SPAN(data, size), &key) == QN_OK) {
        struct qn_buf buf = { 0 };
        qn_peer_key_write(&key, &buf);
        QN_ASSERT(size == 100 || qn_span_eq(qn_buf_get(&buf), QN_SPAN(data, size)));
        qn_buf_free(&buf);
    }
    return 0;
}
