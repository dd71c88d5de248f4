/* d402.h - payment over HTTP 402 in the header form of x402 version 2, with quoin's channels as the scheme.
 *
 * Each header is base64 (RFC 4648, padded) of a JSON object; amounts are decimal strings in uqn:
 *
 *     402  PAYMENT-REQUIRED   {"x402Version":2, "error":TEXT, "resource":{"url":PATH,"description":TEXT,"mimeType":..},
 *                              "accepts":[{"scheme":"batch-settlement", "network":"quoin:" + 32 hex of the chain,
 *                                "amount":"500", "asset":"QN", "payTo":"qn1..", "maxTimeoutSeconds":60,
 *                                "extra":{"unit":"uqn", "key":hex of the payee's Ed25519 key,
 *                                         "seq":"7", "cum":"3500"}}]}
 *          extra.seq and .cum: what the next voucher of the channel in question must say; absent without one
 *     ask  PAYMENT-SIGNATURE  {"x402Version":2, "accepted":{scheme, network, amount, asset, payTo},
 *                              "payload":{"idem":64 hex, "voucher":hex of the Borsh agents_voucher}}
 *     200  PAYMENT-RESPONSE   {"success":true, "transaction":hex of the channel, "network":.., "payer":"qn1..",
 *                              "receipt":hex of the Borsh agents_receipt}
 *
 * A voucher's req is request_hash("POST", path, body, idem): it pays for this request and no other. */
#ifndef QN_MODULES_AGENTS_D402_H
#define QN_MODULES_AGENTS_D402_H

#include "modules/agents/agents.h"

#define D402_REQUIRED   "PAYMENT-REQUIRED"
#define D402_SIGNATURE  "PAYMENT-SIGNATURE"
#define D402_RESPONSE   "PAYMENT-RESPONSE"
#define D402_HEADER_MAX 8192 /* bytes of base64 */

/* What a service asks for. */
struct d402_offer {
    char network[40];
    struct qn_hash pay_to, key; /* account, and the Ed25519 key that signs receipts */
    struct qn_amount price;
    char resource[320], doc[260];
    char error[400];
    bool has_next;
    uint64_t next_seq;
    struct qn_amount next_cum;
};

/* What a payer sends. */
struct d402_payment {
    char network[40];
    struct qn_hash pay_to;
    struct qn_amount price;
    struct qn_hash idem;
    struct agents_voucher voucher;
};

/* What came of it. */
struct d402_settled {
    bool success, has_receipt;
    char network[40];
    struct qn_hash payer;
    struct agents_receipt receipt;
};

/* d402_network names a chain, CAIP-2. */
void d402_network(const struct qn_hash *chain, char dst[40]);

/* Writers return a header's value on the heap; readers take a hostile one: QN_E_FORMAT, QN_E_RANGE, QN_E_TOOBIG
 * with words. */
char *d402_offer_put(const struct d402_offer *offer) QN_GIVES;
QN_CHECK qn_rc d402_offer_get(struct qn_span header, struct d402_offer *ret, struct qn_why *why);
char *d402_payment_put(const struct d402_payment *payment) QN_GIVES;
QN_CHECK qn_rc d402_payment_get(struct qn_span header, struct d402_payment *ret,
                                struct qn_why *why);
char *d402_settled_put(const struct d402_settled *settled) QN_GIVES;
QN_CHECK qn_rc d402_settled_get(struct qn_span header, struct d402_settled *ret,
                                struct qn_why *why);

#endif
