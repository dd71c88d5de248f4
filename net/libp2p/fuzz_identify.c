/* fuzz_identify.c - any bytes as an identify message and as a signed record: what is read can be written, and is read again the same. */
#include "net/libp2p/identify.h"

#include "core/schema/protobuf.h"
#include "net/libp2p/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qn_identify a, b;
    static struct qn_record rec;
    if (qn_identify_read(QN_SPAN(data, size), &a) == QN_OK && size < QN_IDENTIFY_OUT_MAX / 2) {
        struct qn_buf buf = { 0 };
        uint64_t len = 0;
        qn_identify_write(&a, &buf);
        struct qn_span s = qn_buf_get(&buf);
        QN_ASSERT(qn_pb_varint(&s, &len) && len == s.len);
        QN_ASSERT(qn_identify_read(s, &b) == QN_OK);
        QN_ASSERT(a.addr_cnt == b.addr_cnt && a.proto_cnt == b.proto_cnt &&
                  qn_span_eq(a.agent, b.agent));
        qn_buf_free(&buf);
    }
    bool fit = qn_record_fit(QN_SPAN(data, size)); /* on bytes that nobody checked as well */
    if (qn_record_read(QN_SPAN(data, size), &rec) == QN_OK) {
        QN_ASSERT(rec.addr_cnt <= QN_RECORD_ADDRS);
        for (uint32_t i = 0; fit && i < rec.addr_cnt; i++)
            QN_ASSERT(!qn_maddr_house(&rec.addr[i]));
    }
    return 0;
}
