/* d402.c - the three headers, written and read. */
#include "modules/agents/d402.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "batch-settlement"
#define ASSET  "QN"

void d402_network(const struct qn_hash *chain, char dst[40])
{
    memcpy(dst, "quoin:", 6);
    qn_hex(chain->b, 16, dst + 6);
}

/* --- base64 of JSON ------------------------------------------------------------------------------------- */

static char *pack(json_t *json QN_TAKES)
{
    QN_ASSERT(json != NULL);
    char *text = json_dumps(json, JSON_COMPACT);
    QN_ASSERT(text != NULL);
    size_t len = strlen(text),
           room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *ret = malloc(room);
    QN_ASSERT(ret != NULL);
    sodium_bin2base64(ret, room, (uint8_t *)text, len, sodium_base64_VARIANT_ORIGINAL);
    free(text);
    json_decref(json);
    return ret;
}

static qn_rc unpack(struct qn_span header, json_t **ret, struct qn_why *why)
{
    if (header.len > D402_HEADER_MAX)
        return qn_why(why, QN_E_TOOBIG, "the header has %zu bytes, at most %d", header.len,
                      D402_HEADER_MAX);
    uint8_t bytes[D402_HEADER_MAX];
    size_t len;
    if (sodium_base642bin(bytes, sizeof bytes, (const char *)header.ptr, header.len, NULL, &len,
                          NULL, sodium_base64_VARIANT_ORIGINAL))
        return qn_why(why, QN_E_FORMAT, "the header is not base64");
    json_t *json = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json) || json_integer_value(json_object_get(json, "x402Version")) != 2) {
        json_decref(json);
        return qn_why(why, QN_E_FORMAT, "the header is not x402 version 2");
    }
    *ret = json;
    return QN_OK;
}

/* --- members --------------------------------------------------------------------------------------------- */

static qn_rc get_text(const json_t *obj, const char *name, char *dst, size_t len,
                      struct qn_why *why)
{
    const json_t *val = json_object_get(obj, name);
    size_t n = json_string_length(val);
    if (!json_is_string(val) || n >= len || !qn_text_ok(QN_SPAN(json_string_value(val), n)))
        return qn_why(why, QN_E_FORMAT, "%s: expected text of at most %zu bytes", name, len - 1);
    memcpy(dst, json_string_value(val), n + 1);
    return QN_OK;
}

/* A decimal string, as every amount here: a JSON number loses digits above 2^53 in other languages. */
static qn_rc get_number(const json_t *obj, const char *name, uint64_t max, uint64_t *ret,
                        struct qn_why *why)
{
    const char *text = json_string_value(json_object_get(obj, name));
    size_t n = text ? strspn(text, "0123456789") : 0;
    if (n == 0 || n > 19 || text[n] || (text[0] == '0' && n > 1))
        return qn_why(why, QN_E_FORMAT, "%s: expected a decimal string", name);
    *ret = strtoull(text, NULL, 10);
    return *ret <= max ? QN_OK : qn_why(why, QN_E_RANGE, "%s is above %" PRIu64, name, max);
}

static qn_rc get_hash(const json_t *obj, const char *name, struct qn_hash *ret, struct qn_why *why)
{
    const char *hex = json_string_value(json_object_get(obj, name));
    return hex && qn_unhex(hex, strlen(hex), ret->b, 32)
               ? QN_OK
               : qn_why(why, QN_E_FORMAT, "%s: expected 64 hex digits", name);
}

static qn_rc get_addr(const json_t *obj, const char *name, struct qn_hash *ret, struct qn_why *why)
{
    const char *text = json_string_value(json_object_get(obj, name));
    return text && strlen(text) < 100 && qn_addr_parse(text, ret) == QN_OK
               ? QN_OK
               : qn_why(why, QN_E_FORMAT, "%s: expected an address, qn1..", name);
}

/* Hex of a record's Borsh. None of these records lends memory, so the arena goes at once. */
static qn_rc get_record(const json_t *obj, const char *name, const struct qn_record *rec, void *ret,
                        struct qn_why *why)
{
    uint8_t bytes[1024];
    const char *hex = json_string_value(json_object_get(obj, name));
    size_t len = hex ? strlen(hex) : 1;
    if (len % 2 || len / 2 > sizeof bytes || !qn_unhex(hex, len, bytes, len / 2))
        return qn_why(why, QN_E_FORMAT, "%s: expected hex", name);
    struct qn_arena arena = { .max = 4096 };
    qn_rc rc = qn_decode(rec, QN_SPAN(bytes, len / 2), &arena, ret, why);
    qn_arena_free(&arena);
    return rc;
}

static json_t *record_hex(const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    char hex[2049];
    qn_encode(rec, obj, &buf);
    QN_ASSERT(buf.len <= 1024);
    qn_hex(buf.ptr, buf.len, hex);
    qn_buf_free(&buf);
    return json_string(hex);
}

static json_t *number(uint64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, n);
    return json_string(text);
}

/* {scheme, network, amount, asset, payTo} of an offer, or of what a payer accepted. */
static json_t *terms_json(const char *network, struct qn_amount price, const struct qn_hash *pay_to)
{
    char addr[64];
    qn_addr_print(pay_to, addr);
    return json_pack("{s:s,s:s,s:o,s:s,s:s}", "scheme", SCHEME, "network", network, "amount",
                     number(price.uqn), "asset", ASSET, "payTo", addr);
}

static qn_rc get_terms(const json_t *obj, char network[40], struct qn_amount *ret_price,
                       struct qn_hash *ret_pay_to, struct qn_why *why)
{
    const char *scheme = json_string_value(json_object_get(obj, "scheme"));
    const char *asset = json_string_value(json_object_get(obj, "asset"));
    if (!scheme || strcmp(scheme, SCHEME) != 0)
        return qn_why(why, QN_E_FORMAT, "scheme: expected " SCHEME);
    if (!asset || strcmp(asset, ASSET) != 0)
        return qn_why(why, QN_E_FORMAT, "asset: expected " ASSET);
    qn_rc rc = get_text(obj, "network", network, 40, why);
    if (rc == QN_OK) rc = get_number(obj, "amount", QN_SUPPLY_UQN, &ret_price->uqn, why);
    if (rc == QN_OK) rc = get_addr(obj, "payTo", ret_pay_to, why);
    return rc;
}

/* --- the headers --------------------------------------------------------------------------------------------- */

char *d402_offer_put(const struct d402_offer *o)
{
    char key[65];
    qn_hex(o->key.b, 32, key);
    json_t *extra = json_pack("{s:s,s:s}", "unit", "uqn", "key", key);
    if (o->has_next) {
        json_object_set_new(extra, "seq", number(o->next_seq));
        json_object_set_new(extra, "cum", number(o->next_cum.uqn));
    }
    json_t *terms = terms_json(o->network, o->price, &o->pay_to);
    json_object_set_new(terms, "maxTimeoutSeconds", json_integer(60));
    json_object_set_new(terms, "extra", extra);
    return pack(json_pack("{s:i,s:s,s:{s:s,s:s,s:s},s:[o]}", "x402Version", 2, "error", o->error,
                          "resource", "url", o->resource, "description", o->doc, "mimeType",
                          "application/json", "accepts", terms));
}

static qn_rc get_offer(const json_t *json, struct d402_offer *o, struct qn_why *why)
{
    const json_t *list = json_object_get(json, "accepts");
    const json_t *resource = json_object_get(json, "resource");
    qn_rc rc = QN_E_FORMAT;
    *o = (struct d402_offer){ 0 };
    for (size_t i = 0; rc && i < json_array_size(list) && i < 16; i++) {
        const json_t *one = json_array_get(list, i), *extra = json_object_get(one, "extra");
        rc = get_terms(one, o->network, &o->price, &o->pay_to, why);
        if (rc == QN_OK) rc = get_hash(extra, "key", &o->key, why);
        o->has_next = rc == QN_OK && json_object_get(extra, "seq");
        if (o->has_next) rc = get_number(extra, "seq", QN_NUM_MAX, &o->next_seq, why);
        if (o->has_next && rc == QN_OK)
            rc = get_number(extra, "cum", QN_SUPPLY_UQN, &o->next_cum.uqn, why);
    }
    if (rc) return qn_why(why, QN_E_FORMAT, "it accepts no payment by a channel of quoin");
    rc = get_text(resource, "url", o->resource, sizeof o->resource, why);
    if (rc == QN_OK) rc = get_text(resource, "description", o->doc, sizeof o->doc, why);
    if (rc == QN_OK) rc = get_text(json, "error", o->error, sizeof o->error, why);
    return rc;
}

qn_rc d402_offer_get(struct qn_span header, struct d402_offer *ret, struct qn_why *why)
{
    json_t *json = NULL;
    struct d402_offer o;
    qn_rc rc = unpack(header, &json, why);
    if (rc) return rc;
    rc = get_offer(json, &o, why);
    json_decref(json);
    if (rc == QN_OK) *ret = o;
    return rc;
}

char *d402_payment_put(const struct d402_payment *p)
{
    char idem[65];
    qn_hex(p->idem.b, 32, idem);
    return pack(json_pack("{s:i,s:o,s:{s:s,s:o}}", "x402Version", 2, "accepted",
                          terms_json(p->network, p->price, &p->pay_to), "payload", "idem", idem,
                          "voucher", record_hex(agents_voucher_record(), &p->voucher)));
}

qn_rc d402_payment_get(struct qn_span header, struct d402_payment *ret, struct qn_why *why)
{
    json_t *json = NULL;
    struct d402_payment p = { 0 };
    qn_rc rc = unpack(header, &json, why);
    if (rc) return rc;
    const json_t *payload = json_object_get(json, "payload");
    rc = get_terms(json_object_get(json, "accepted"), p.network, &p.price, &p.pay_to, why);
    if (rc == QN_OK) rc = get_hash(payload, "idem", &p.idem, why);
    if (rc == QN_OK) rc = get_record(payload, "voucher", agents_voucher_record(), &p.voucher, why);
    json_decref(json);
    if (rc == QN_OK) *ret = p;
    return rc;
}

char *d402_settled_put(const struct d402_settled *s)
{
    char payer[64], channel[65];
    qn_addr_print(&s->payer, payer);
    qn_hex(s->receipt.channel.b, 32, channel);
    json_t *json =
        json_pack("{s:i,s:b,s:s,s:s,s:s}", "x402Version", 2, "success", s->success, "transaction",
                  s->has_receipt ? channel : "", "network", s->network, "payer", payer);
    QN_ASSERT(json != NULL);
    if (s->has_receipt)
        json_object_set_new(json, "receipt", record_hex(agents_receipt_record(), &s->receipt));
    return pack(json);
}

qn_rc d402_settled_get(struct qn_span header, struct d402_settled *ret, struct qn_why *why)
{
    json_t *json = NULL;
    struct d402_settled s = { 0 };
    qn_rc rc = unpack(header, &json, why);
    if (rc) return rc;
    s.success = json_is_true(json_object_get(json, "success"));
    s.has_receipt = json_object_get(json, "receipt") != NULL;
    rc = get_text(json, "network", s.network, sizeof s.network, why);
    if (rc == QN_OK) rc = get_addr(json, "payer", &s.payer, why);
    if (rc == QN_OK && s.has_receipt)
        rc = get_record(json, "receipt", agents_receipt_record(), &s.receipt, why);
    json_decref(json);
    if (rc == QN_OK) *ret = s;
    return rc;
}
