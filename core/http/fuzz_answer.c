/* fuzz_answer.c - any bytes that a server may answer with: head and body lie in what came, whatever lengths it names. */
#include "core/http/client.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    QN_ASSERT(text != NULL);
    if (size) memcpy(text, data, size);
    text[size] = 0;
    for (int ended = 0; ended < 2; ended++) {
        size_t head = 0, len = 0, val_len;
        int status;
        if (qn_http_answer(text, size, ended, &head, &len, &status) == QN_OK)
            QN_ASSERT(head <= len && len <= size);
        const char *val = qn_http_find(text, "PAYMENT-RESPONSE", &val_len);
        QN_ASSERT(!val || (val >= text && val + val_len <= text + size));
    }
    free(text);
    return 0;
}
