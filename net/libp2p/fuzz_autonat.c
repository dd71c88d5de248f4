/* fuzz_autonat.c - any bytes as a message and as a dial-back; what is read writes back to what reads the same. */
#include "net/libp2p/autonat.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct autonat_message m, again;
    struct autonat_server s = { 0 };
    struct autonat_job job;
    struct qn_buf buf = { 0 };
    uint64_t nonce;
    struct net_ip from = net_ip4(8, 8, 8, 8);
    if (autonat_back_read(QN_SPAN(data, size), &nonce) == QN_OK) autonat_back_write(nonce, &buf);
    qn_buf_clear(&buf);
    if (autonat_read(QN_SPAN(data, size), &m) == QN_OK &&
        (m.kind != AUTONAT_DATA || m.bytes <= AUTONAT_CHUNK)) {
        autonat_write(&m, &buf);
        qn_rc rc = autonat_read(qn_buf_get(&buf), &again);
        QN_ASSERT(rc == QN_OK && memcmp(&m, &again, sizeof m) == 0);
        qn_buf_clear(&buf);
        if (autonat_serve(&s, &m, &from, size & 1, 1000, &job, &buf) == QN_OK)
            QN_ASSERT(job.due <= AUTONAT_DATA_MAX);
    }
    qn_buf_free(&buf);
    return 0;
}
