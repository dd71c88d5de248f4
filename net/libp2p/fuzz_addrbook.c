/* fuzz_addrbook.c - any bytes as peers.dat, as they are and with the hash that fits; what is read can be written and read again. */
#include "core/crypto/hash.h"
#include "net/libp2p/addrbook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(struct qn_span bytes)
{
    struct addrbook *book, *again;
    struct addrbook_entry e;
    struct qn_why why;
    if (addrbook_read(bytes, true, &book, &why)) return;
    struct qn_buf buf = { 0 };
    addrbook_write(book, &buf);
    qn_rc rc = addrbook_read(qn_buf_get(&buf), true, &again, &why);
    QN_ASSERT(rc == QN_OK);
    QN_ASSERT(addrbook_count(again).tried == addrbook_count(book).tried);
    if (addrbook_pick(book, false, 1000, &e)) addrbook_good(book, &e.addr, NULL, 1000);
    addrbook_free(again);
    addrbook_free(book);
    qn_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_buf buf = { 0 };
    one(QN_SPAN(data, size));
    qn_buf_put(&buf, data, size);
    struct qn_hash sum = qn_h("peers.dat", data, size);
    qn_buf_put(&buf, sum.b, sizeof sum.b);
    one(qn_buf_get(&buf));
    qn_buf_free(&buf);
    return 0;
}
