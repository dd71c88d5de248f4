/* fuzz_multiaddr.c - any bytes as an address, any text as one: what is accepted prints as text that reads back as the same bytes. */
#include "net/libp2p/multiaddr.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_maddr a, b;
    struct qn_endpoint e, f;
    char text[QN_MADDR_TEXT], out[QN_MADDR_TEXT];
    if (qn_maddr_read(QN_SPAN(data, size), &a) == QN_OK) {
        qn_maddr_print(&a, text);
        if (qn_maddr_endpoint(&a, &e) == QN_OK) {
            qn_maddr_of(&e, &b);
            QN_ASSERT(qn_maddr_eq(&a, &b));
            (void)qn_endpoint_public(&e);
        }
        struct qn_named named;
        if (qn_maddr_named(&a, &named) == QN_OK)
            QN_ASSERT(named.text != (named.v4 || named.v6) &&
                      strlen(named.name) < sizeof named.name);
        (void)qn_maddr_house(&a);
    }
    size_t len = QN_MIN(size, sizeof text - 1);
    memcpy(text, data, len);
    text[len] = 0;
    struct qn_why why;
    if (qn_maddr_parse(text, &a, &why) == QN_OK) {
        QN_ASSERT(qn_maddr_read(QN_SPAN(a.b, a.len), &b) == QN_OK);
        qn_maddr_print(&a, out);
        QN_ASSERT(qn_maddr_parse(out, &b, NULL) == QN_OK);
        QN_ASSERT(qn_maddr_eq(&a, &b));
        if (qn_maddr_endpoint(&a, &e) == QN_OK)
            QN_ASSERT(qn_maddr_endpoint(&b, &f) == QN_OK && e.port == f.port);
    }
    return 0;
}
