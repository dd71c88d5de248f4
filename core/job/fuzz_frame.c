/* fuzz_frame.c - a hostile worker's bytes: framing and message reading must bound them all. */
#include "core/job/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct qn_span in = QN_SPAN(data, len), body;
    while (wire_next(&in, &body) == QN_OK) {
        QN_ASSERT(body.len >= 1 && body.len <= QN_JOB_MESSAGE_MAX);
        QN_ASSERT(body.ptr >= data && body.ptr + body.len <= data + len);
        struct wire_msg msg;
        struct qn_why why;
        if (wire_parse(body, &msg, &why)) continue;
        bool answer = msg.type == WIRE_ANSWER;
        QN_ASSERT(answer || (msg.type == WIRE_RESULT) == (msg.result != NULL));
        QN_ASSERT(answer || (msg.type == WIRE_ERROR) == (msg.rc != QN_OK));
        QN_ASSERT(!answer || (msg.ask && (msg.result != NULL) != (msg.rc != QN_OK)));
        json_decref(msg.result);
    }
    return 0;
}
