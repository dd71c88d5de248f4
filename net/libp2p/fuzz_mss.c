/* fuzz_mss.c - any bytes to a listener and to a dialler; cut in two anywhere they mean the same. */
#include "net/libp2p/mss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const void *pick(void *arg, struct qn_span name)
{
    (void)arg;
    return name.len && name.ptr[0] == '/' ? "/x" : NULL;
}

static qn_rc run(bool dialer, const uint8_t *data, size_t size, size_t cut, struct qn_buf *out,
                 size_t *ret_left)
{
    struct qn_mss m;
    const void *got = NULL;
    if (dialer)
        qn_mss_dial(&m, "/x", out);
    else
        qn_mss_listen(&m);
    struct qn_span in = QN_SPAN(data, cut);
    qn_rc rc = qn_mss_step(&m, &in, out, "/x", pick, NULL, &got);
    *ret_left = in.len + size - cut;
    if (rc != QN_E_AGAIN) return rc;
    QN_ASSERT(in.len == 0);
    in = QN_SPAN(data + cut, size - cut);
    rc = qn_mss_step(&m, &in, out, "/x", pick, NULL, &got);
    *ret_left = in.len;
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    for (int dialer = 0; dialer < 2; dialer++) {
        struct qn_buf a = { 0 }, b = { 0 };
        size_t left_a, left_b, cut = 1 + data[0] % size;
        qn_rc rc_a = run(dialer, data, size, size, &a, &left_a);
        qn_rc rc_b = run(dialer, data, size, cut, &b, &left_b);
        QN_ASSERT(rc_a == rc_b);
        QN_ASSERT(rc_a != QN_OK || left_a == left_b);
        QN_ASSERT(qn_span_eq(qn_buf_get(&a), qn_buf_get(&b)));
        QN_ASSERT(a.len <= 40 + 4 * (size + 1));
        qn_buf_free(&a);
        qn_buf_free(&b);
    }
    return 0;
}
