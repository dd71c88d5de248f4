/* multiaddr.c - codes, texts and bytes of addresses. */
#include "net/libp2p/multiaddr.h"

#include "core/schema/protobuf.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_NONE, VALUE_IP4, VALUE_IP6, VALUE_PORT, VALUE_NAME, VALUE_PEER, VALUE_BLOB };

/* Codes of multiformats/multiaddr protocols.csv. To know another: one line. */
static const struct part {
    uint32_t code;
    uint8_t value;
    const char *name;
} PARTS[] = {
    { 4, VALUE_IP4, "ip4" },
    { 6, VALUE_PORT, "tcp" },
    { 41, VALUE_IP6, "ip6" },
    { 53, VALUE_NAME, "dns" },
    { 54, VALUE_NAME, "dns4" },
    { 55, VALUE_NAME, "dns6" },
    { 56, VALUE_NAME, "dnsaddr" },
    { 273, VALUE_PORT, "udp" },
    { 280, VALUE_NONE, "webrtc-direct" },
    { 281, VALUE_NONE, "webrtc" },
    { 290, VALUE_NONE, "p2p-circuit" },
    { 421, VALUE_PEER, "p2p" },
    { 448, VALUE_NONE, "tls" },
    { 449, VALUE_NAME, "sni" },
    { 454, VALUE_NONE, "noise" },
    { 460, VALUE_NONE, "quic" },
    { 461, VALUE_NONE, "quic-v1" },
    { 465, VALUE_NONE, "webtransport" },
    { 466, VALUE_BLOB, "certhash" },
    { 477, VALUE_NONE, "ws" },
    { 478, VALUE_NONE, "wss" },
};

static const struct part *by_code(uint64_t code)
{
    for (size_t i = 0; i < QN_COUNT(PARTS); i++)
        if (PARTS[i].code == code) return &PARTS[i];
    return NULL;
}

static bool name_ok(struct qn_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '_';
        if (!good) return false;
    }
    return s.len > 0 && s.len <= 253;
}

/* Takes one part from the front of s. */
static bool next_part(struct qn_span *s, const struct part **ret, struct qn_span *ret_value)
{
    uint64_t code, len = 0;
    struct qn_span at = *s, value = { 0 };
    struct qn_peer_id id;
    if (!qn_pb_varint(&at, &code)) return false;
    const struct part *part = by_code(code);
    if (!part || s->len - at.len != (code < 128 ? 1u : 2u)) return false; /* shortest varint */
    switch (part->value) {
    case VALUE_IP4: len = 4; break;
    case VALUE_IP6: len = 16; break;
    case VALUE_PORT: len = 2; break;
    case VALUE_NAME:
    case VALUE_PEER:
    case VALUE_BLOB:
        if (!qn_pb_varint(&at, &len)) return false;
        break;
    default: break;
    }
    if (len > at.len || !qn_take(&at, (size_t)len, &value)) return false;
    if (part->value == VALUE_NAME && !name_ok(value)) return false;
    if (part->value == VALUE_PEER && qn_peer_id_read(value, &id) != QN_OK) return false;
    *s = at;
    *ret = part;
    *ret_value = value;
    return true;
}

qn_rc qn_maddr_read(struct qn_span bytes, struct qn_maddr *ret)
{
    struct qn_span s = bytes, value;
    const struct part *part;
    if (bytes.len > QN_MADDR_MAX) return QN_E_TOOBIG;
    if (bytes.len == 0) return QN_E_FORMAT;
    while (s.len)
        if (!next_part(&s, &part, &value)) return QN_E_FORMAT;
    memset(ret, 0, sizeof *ret);
    ret->len = (uint16_t)bytes.len;
    memcpy(ret->b, bytes.ptr, bytes.len);
    return QN_OK;
}

bool qn_maddr_eq(const struct qn_maddr *a, const struct qn_maddr *b)
{
    return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

/* --- text -------------------------------------------------------------------------------------------- */

void qn_maddr_print(const struct qn_maddr *a, char dst[QN_MADDR_TEXT])
{
    struct qn_span s = QN_SPAN(a->b, a->len), value;
    const struct part *part;
    struct qn_peer_id id;
    char text[260];
    size_t at = 0;
    dst[0] = 0;
    while (s.len && next_part(&s, &part, &value)) {
        text[0] = 0;
        switch (part->value) {
        case VALUE_IP4: inet_ntop(AF_INET, value.ptr, text, sizeof text); break;
        case VALUE_IP6: inet_ntop(AF_INET6, value.ptr, text, sizeof text); break;
        case VALUE_PORT:
            snprintf(text, sizeof text, "%u", (unsigned)value.ptr[0] << 8 | value.ptr[1]);
            break;
        case VALUE_NAME:
            snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.ptr);
            break;
        case VALUE_PEER:
            if (qn_peer_id_read(value, &id) == QN_OK) qn_peer_id_print(&id, text);
            break;
        case VALUE_BLOB:
            text[0] = 'u'; /* multibase base64url */
            qn_b64url(value.ptr, QN_MIN(value.len, 150u), text + 1);
            break;
        default: break;
        }
        int n =
            snprintf(dst + at, QN_MADDR_TEXT - at, text[0] ? "/%s/%s" : "/%s", part->name, text);
        if (n < 0 || (size_t)n >= QN_MADDR_TEXT - at) return; /* cut short, still a text */
        at += (size_t)n;
    }
}

static void put_varint(struct qn_maddr *a, uint64_t v, bool *ok)
{
    for (bool more = true; more; v >>= 7) {
        more = v > 127;
        if (a->len == QN_MADDR_MAX) {
            *ok = false;
            return;
        }
        a->b[a->len++] = (uint8_t)((v & 127) | (more ? 128 : 0));
    }
}

static void put_bytes(struct qn_maddr *a, const void *src, size_t len, bool *ok)
{
    if (len > (size_t)(QN_MADDR_MAX - a->len)) {
        *ok = false;
        return;
    }
    memcpy(a->b + a->len, src, len);
    a->len = (uint16_t)(a->len + len);
}

static bool parse_port(const char *text, uint16_t *ret)
{
    uint32_t v = 0;
    if (!*text || strlen(text) > 5) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        v = v * 10 + (uint32_t)(*text - '0');
    }
    *ret = (uint16_t)v;
    return v <= 65535;
}

static bool put_value(struct qn_maddr *a, const struct part *part, const char *text)
{
    uint8_t ip[16];
    uint16_t port;
    struct qn_peer_id id;
    bool ok = true;
    switch (part->value) {
    case VALUE_IP4:
        if (inet_pton(AF_INET, text, ip) != 1) return false;
        put_bytes(a, ip, 4, &ok);
        break;
    case VALUE_IP6:
        if (inet_pton(AF_INET6, text, ip) != 1) return false;
        put_bytes(a, ip, 16, &ok);
        break;
    case VALUE_PORT:
        if (!parse_port(text, &port)) return false;
        put_bytes(a, (uint8_t[2]){ (uint8_t)(port >> 8), (uint8_t)port }, 2, &ok);
        break;
    case VALUE_NAME:
        if (!name_ok(QN_SPAN_STR(text))) return false;
        put_varint(a, strlen(text), &ok);
        put_bytes(a, text, strlen(text), &ok);
        break;
    case VALUE_PEER:
        if (qn_peer_id_parse(text, &id) != QN_OK) return false;
        put_varint(a, id.len, &ok);
        put_bytes(a, id.b, id.len, &ok);
        break;
    default: return false;
    }
    return ok;
}

/* "node.example": its last part begins with a letter, or it is an address gone wrong. */
static bool parse_named(const char *host, uint16_t port, struct qn_maddr *ret)
{
    const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
    struct qn_maddr a = { 0 };
    bool ok = true, letter = (*last >= 'a' && *last <= 'z') || (*last >= 'A' && *last <= 'Z');
    if (!letter || !name_ok(QN_SPAN_STR(host))) return false;
    put_varint(&a, 53, &ok);
    put_varint(&a, strlen(host), &ok);
    put_bytes(&a, host, strlen(host), &ok);
    put_varint(&a, 6, &ok);
    put_bytes(&a, (uint8_t[2]){ (uint8_t)(port >> 8), (uint8_t)port }, 2, &ok);
    if (ok) *ret = a;
    return ok;
}

/* "1.2.3.4:4460", "[::1]:4460", "node.example:4460" */
static bool parse_plain(const char *text, struct qn_maddr *ret)
{
    struct qn_endpoint e = { 0 };
    char host[254];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host || !parse_port(colon + 1, &e.port))
        return false;
    size_t len = (size_t)(colon - text);
    memcpy(host, text, len);
    host[len] = 0;
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = 0;
        e.v6 = true;
        if (inet_pton(AF_INET6, host + 1, e.ip) != 1) return false;
    } else if (inet_pton(AF_INET, host, e.ip) != 1) {
        return parse_named(host, e.port, ret);
    }
    qn_maddr_of(&e, ret);
    return true;
}

qn_rc qn_maddr_parse(const char *text, struct qn_maddr *ret, struct qn_why *why)
{
    struct qn_maddr a = { 0 };
    char word[QN_MADDR_TEXT];
    if (text[0] != '/') {
        if (parse_plain(text, ret)) return QN_OK;
        return qn_why(
            why, QN_E_FORMAT,
            "%.80s: expected IP:PORT, NAME:PORT, /ip4/IP/tcp/PORT/p2p/ID or /dnsaddr/NAME", text);
    }
    size_t len = strlen(text);
    if (len >= sizeof word) return qn_why(why, QN_E_TOOBIG, "%.80s..: too long", text);
    memcpy(word, text, len + 1);
    for (char *save = NULL, *w = strtok_r(word, "/", &save); w; w = strtok_r(NULL, "/", &save)) {
        const struct part *part = NULL;
        bool ok = true;
        for (size_t i = 0; i < QN_COUNT(PARTS); i++)
            if (strcmp(PARTS[i].name, strcmp(w, "ipfs") == 0 ? "p2p" : w) == 0) part = &PARTS[i];
        if (!part) return qn_why(why, QN_E_FORMAT, "%.80s: does not know '%.40s'", text, w);
        put_varint(&a, part->code, &ok);
        if (part->value != VALUE_NONE) {
            w = strtok_r(NULL, "/", &save);
            ok = ok && w && put_value(&a, part, w);
        }
        if (!ok) return qn_why(why, QN_E_FORMAT, "%.80s: bad value for /%s", text, part->name);
    }
    if (a.len == 0) return qn_why(why, QN_E_FORMAT, "an empty address");
    *ret = a;
    return QN_OK;
}

/* --- endpoints ----------------------------------------------------------------------------------------- */

void qn_maddr_of(const struct qn_endpoint *e, struct qn_maddr *ret)
{
    struct qn_maddr a = { 0 };
    bool ok = true;
    put_varint(&a, e->v6 ? 41 : 4, &ok);
    put_bytes(&a, e->ip, e->v6 ? 16 : 4, &ok);
    put_varint(&a, 6, &ok);
    put_bytes(&a, (uint8_t[2]){ (uint8_t)(e->port >> 8), (uint8_t)e->port }, 2, &ok);
    if (e->has_id) {
        put_varint(&a, 421, &ok);
        put_varint(&a, e->id.len, &ok);
        put_bytes(&a, e->id.b, e->id.len, &ok);
    }
    QN_ASSERT(ok);
    *ret = a;
}

/* Who is expected there, or nothing. */
static bool read_id(struct qn_span s, struct qn_endpoint *e)
{
    struct qn_span value;
    const struct part *part;
    if (!s.len) return true;
    if (!next_part(&s, &part, &value) || part->code != 421 || s.len) return false;
    e->has_id = qn_peer_id_read(value, &e->id) == QN_OK;
    return e->has_id;
}

/* What comes behind where a machine is: a TCP port, and who is expected there. */
static bool read_tail(struct qn_span s, struct qn_endpoint *e)
{
    struct qn_span value;
    const struct part *part;
    if (!next_part(&s, &part, &value) || part->code != 6) return false;
    e->port = (uint16_t)(value.ptr[0] << 8 | value.ptr[1]);
    return e->port != 0 && read_id(s, e);
}

qn_rc qn_maddr_endpoint(const struct qn_maddr *a, struct qn_endpoint *ret)
{
    struct qn_span s = QN_SPAN(a->b, a->len), value;
    struct qn_endpoint e = { 0 };
    const struct part *part;
    if (!next_part(&s, &part, &value) || (part->code != 4 && part->code != 41)) return QN_E_ABSENT;
    e.v6 = part->code == 41;
    memcpy(e.ip, value.ptr, value.len);
    if (!read_tail(s, &e)) return QN_E_ABSENT;
    *ret = e;
    return QN_OK;
}

qn_rc qn_maddr_named(const struct qn_maddr *a, struct qn_named *ret)
{
    struct qn_span s = QN_SPAN(a->b, a->len), value;
    struct qn_named n = { .v4 = false };
    const struct part *part;
    if (!next_part(&s, &part, &value) || part->code < 53 || part->code > 56) return QN_E_ABSENT;
    n.text = part->code == 56;
    n.v4 = !n.text && part->code != 55;
    n.v6 = !n.text && part->code != 54;
    memcpy(n.name, value.ptr, value.len); /* name_ok: 253 bytes at most */
    if (!(n.text ? read_id(s, &n.to) : read_tail(s, &n.to))) return QN_E_ABSENT;
    *ret = n;
    return QN_OK;
}

static bool in4(const uint8_t ip[4], uint32_t net, uint32_t bits)
{
    uint32_t v = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
    return (v ^ net) >> (32 - bits) == 0;
}

static bool public4(const uint8_t ip[4])
{
    /* RFC 6890 and its updates; 240/4 with broadcast. */
    static const struct {
        uint32_t net, bits;
    } NOT[] = {
        { 0x00000000, 8 },  { 0x0a000000, 8 },  { 0x64400000, 10 }, { 0x7f000000, 8 },
        { 0xa9fe0000, 16 }, { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0000200, 24 },
        { 0xc0586300, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 }, { 0xc6336400, 24 },
        { 0xcb007100, 24 }, { 0xe0000000, 4 },  { 0xf0000000, 4 },
    };
    for (size_t i = 0; i < QN_COUNT(NOT); i++)
        if (in4(ip, NOT[i].net, NOT[i].bits)) return false;
    return true;
}

bool qn_endpoint_public(const struct qn_endpoint *e)
{
    static const uint8_t MAPPED[12] = { [10] = 0xff, [11] = 0xff };
    static const uint8_t DOC[4] = { 0x20, 0x01, 0x0d, 0xb8 };
    if (!e->v6) return public4(e->ip);
    if (memcmp(e->ip, MAPPED, 12) == 0) return public4(e->ip + 12);
    if (memcmp(e->ip, DOC, 4) == 0) return false;
    return (e->ip[0] & 0xe0) == 0x20; /* 2000::/3 is all that is given out */
}

bool qn_maddr_house(const struct qn_maddr *a)
{
    struct qn_span s = QN_SPAN(a->b, a->len), value;
    struct qn_endpoint e = { 0 };
    const struct part *part;
    if (!next_part(&s, &part, &value) || (part->code != 4 && part->code != 41)) return false;
    e.v6 = part->code == 41;
    memcpy(e.ip, value.ptr, value.len);
    return !qn_endpoint_public(&e);
}

uint64_t qn_endpoint_group(const struct qn_endpoint *e)
{
    if (e->v6)
        return 1ull << 32 | (uint64_t)e->ip[0] << 24 | (uint64_t)e->ip[1] << 16 |
               (uint64_t)e->ip[2] << 8 | e->ip[3];
    return (uint64_t)e->ip[0] << 8 | e->ip[1];
}
