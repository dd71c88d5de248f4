/* fuzz_d402.c - hostile payment headers; the first byte says which. What is read must write and read again to the same. */
#include "modules/agents/d402.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct qn_why why;
    if (len == 0) return 0;
    struct qn_span header = QN_SPAN(data + 1, len - 1);
    if (data[0] == 'O') {
        struct d402_offer o, again;
        if (d402_offer_get(header, &o, &why)) return 0;
        char *text = d402_offer_put(&o);
        QN_ASSERT(strlen(text) > D402_HEADER_MAX ||
                  d402_offer_get(QN_SPAN_STR(text), &again, &why) == QN_OK);
        free(text);
    } else if (data[0] == 'P') {
        struct d402_payment p, again;
        if (d402_payment_get(header, &p, &why)) return 0;
        char *text = d402_payment_put(&p);
        QN_ASSERT(d402_payment_get(QN_SPAN_STR(text), &again, &why) == QN_OK);
        QN_ASSERT(again.voucher.seq == p.voucher.seq && qn_hash_eq(&again.idem, &p.idem));
        free(text);
        /* and what the voucher says may be anything */
        struct agents_channel c = { .signer = p.pay_to, .deposit = p.voucher.cum, .calls_max = 9 };
        struct qn_amount worth;
        qn_rc rc = voucher_worth(&p.voucher, (uint32_t)(len & 15), &p.idem, &worth, &why);
        if (rc == QN_OK)
            rc = voucher_check(&p.idem, &p.voucher.channel, &c, &p.voucher, worth, len, &why);
        QN_ASSERT(rc != QN_OK); /* a forged signature */
    } else {
        struct d402_settled s, again;
        if (d402_settled_get(header, &s, &why)) return 0;
        char *text = d402_settled_put(&s);
        QN_ASSERT(d402_settled_get(QN_SPAN_STR(text), &again, &why) == QN_OK);
        QN_ASSERT(again.has_receipt == s.has_receipt);
        free(text);
    }
    return 0;
}
