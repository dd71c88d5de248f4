/* autonat.c - AutoNAT v2: messages, one question, one answer. */
#include "net/libp2p/autonat.h"

#include "core/schema/protobuf.h"

#include <string.h>

static qn_rc read_request(struct qn_span s, struct autonat_message *m)
{
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        if (f.number == 1 && f.wire == QN_PB_BYTES) {
            if (m->addr_cnt == AUTONAT_ADDRS) return QN_E_LIMIT;
            struct kad_addr *a = &m->addr[m->addr_cnt++];
            *a = (struct kad_addr){ 0 };
            if (f.bytes.len > KAD_ADDR_MAX) continue; /* indices are the asker's */
            a->len = (uint8_t)f.bytes.len;
            if (a->len) memcpy(a->b, f.bytes.ptr, a->len);
        } else if (f.number == 2 && f.wire == QN_PB_FIXED64) {
            m->nonce = f.value;
        }
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

static qn_rc read_numbers(struct qn_span s, uint64_t v[4])
{
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        if (f.number < 4 && f.wire == QN_PB_VARINT) v[f.number] = f.value;
        if (f.number == 1 && f.wire == QN_PB_BYTES) v[1] = f.bytes.len;
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

qn_rc autonat_read(struct qn_span bytes, struct autonat_message *ret)
{
    struct qn_pb_field f;
    uint64_t v[4] = { 0 };
    qn_rc rc;
    memset(ret, 0, sizeof *ret);
    if (bytes.len > AUTONAT_MESSAGE) return QN_E_TOOBIG;
    while ((rc = qn_pb_next(&bytes, &f)) == QN_OK) {
        if (f.number == 0 || f.number > 4 || f.wire != QN_PB_BYTES) continue;
        if (ret->kind != AUTONAT_NONE) return QN_E_FORMAT; /* one of four */
        ret->kind = (enum autonat_kind)f.number;
        rc = ret->kind == AUTONAT_REQUEST ? read_request(f.bytes, ret) : read_numbers(f.bytes, v);
        if (rc) return rc;
    }
    if (rc != QN_E_AGAIN) return rc;
    if (v[1] > UINT32_MAX || v[3] > UINT32_MAX) return QN_E_RANGE;
    switch (ret->kind) {
    case AUTONAT_NONE: return QN_E_FORMAT;
    case AUTONAT_REQUEST: return QN_OK;
    case AUTONAT_RESPONSE:
        if (v[2] > UINT32_MAX) return QN_E_RANGE;
        ret->status = (uint32_t)v[1], ret->addr_idx = (uint32_t)v[2], ret->dial = (uint32_t)v[3];
        return QN_OK;
    case AUTONAT_DATA_REQUEST: ret->addr_idx = (uint32_t)v[1], ret->bytes = v[2]; return QN_OK;
    case AUTONAT_DATA: ret->bytes = v[1]; return QN_OK;
    }
    return QN_E_FORMAT;
}

static void put_fixed64(struct qn_buf *buf, uint32_t number, uint64_t v)
{
    QN_ASSERT(number < 16);
    qn_buf_u8(buf, (uint8_t)(number << 3 | QN_PB_FIXED64));
    qn_buf_u64(buf, v);
}

void autonat_write(const struct autonat_message *m, struct qn_buf *buf)
{
    static const uint8_t ZEROS[AUTONAT_CHUNK];
    struct qn_buf one = { 0 };
    switch (m->kind) {
    case AUTONAT_NONE: QN_BUG("a message has a kind");
    case AUTONAT_REQUEST:
        for (uint32_t i = 0; i < m->addr_cnt; i++)
            qn_pb_put_bytes(&one, 1, QN_SPAN(m->addr[i].b, m->addr[i].len));
        put_fixed64(&one, 2, m->nonce);
        break;
    case AUTONAT_RESPONSE:
        qn_pb_put_varint(&one, 1, m->status);
        qn_pb_put_varint(&one, 2, m->addr_idx);
        qn_pb_put_varint(&one, 3, m->dial);
        break;
    case AUTONAT_DATA_REQUEST:
        qn_pb_put_varint(&one, 1, m->addr_idx);
        qn_pb_put_varint(&one, 2, m->bytes);
        break;
    case AUTONAT_DATA:
        QN_ASSERT(m->bytes <= sizeof ZEROS);
        qn_pb_put_bytes(&one, 1, QN_SPAN(ZEROS, (size_t)m->bytes));
        break;
    }
    qn_pb_put_bytes(buf, m->kind, qn_buf_get(&one));
    qn_buf_free(&one);
}

qn_rc autonat_back_read(struct qn_span bytes, uint64_t *ret_nonce)
{
    struct qn_pb_field f;
    uint64_t nonce = 0;
    bool has = false;
    qn_rc rc;
    if (bytes.len > 1024) return QN_E_TOOBIG;
    while ((rc = qn_pb_next(&bytes, &f)) == QN_OK)
        if (f.number == 1 && f.wire == QN_PB_FIXED64) nonce = f.value, has = true;
    if (rc != QN_E_AGAIN || !has) return rc == QN_E_AGAIN ? QN_E_FORMAT : rc;
    *ret_nonce = nonce;
    return QN_OK;
}

void autonat_back_write(uint64_t nonce, struct qn_buf *buf)
{
    put_fixed64(buf, 1, nonce);
}

/* --- asking -------------------------------------------------------------------------------------------- */

void autonat_ask(struct autonat_client *c, struct net_dice *dice, const struct kad_addr *addrs,
                 uint32_t cnt, struct qn_buf *out)
{
    struct autonat_message m = { .kind = AUTONAT_REQUEST };
    QN_ASSERT(cnt > 0);
    *c = (struct autonat_client){ .nonce = net_dice_draw(dice) };
    c->addr_cnt = QN_MIN(cnt, (uint32_t)AUTONAT_ADDRS);
    memcpy(c->addr, addrs, c->addr_cnt * sizeof *addrs);
    m.nonce = c->nonce;
    m.addr_cnt = c->addr_cnt;
    memcpy(m.addr, c->addr, sizeof m.addr);
    autonat_write(&m, out);
}

bool autonat_back(struct autonat_client *c, uint64_t nonce)
{
    if (c->over || nonce != c->nonce) return false;
    c->back = true;
    return true;
}

enum autonat_verdict autonat_heard(struct autonat_client *c, const struct autonat_message *m,
                                   uint64_t *ret_data, uint32_t *ret_idx)
{
    if (c->over || m->addr_idx >= c->addr_cnt) return c->over = true, AUTONAT_VOID;
    if (m->kind == AUTONAT_DATA_REQUEST) {
        if (c->sent || m->bytes > AUTONAT_DATA_MAX || m->bytes == 0)
            return c->over = true, AUTONAT_VOID;
        c->sent = *ret_data = m->bytes;
        return AUTONAT_SEND;
    }
    c->over = true;
    if (m->kind != AUTONAT_RESPONSE || m->status != AUTONAT_OK) return AUTONAT_VOID;
    *ret_idx = m->addr_idx;
    if (m->dial == AUTONAT_DIAL_OK)
        return c->back ? AUTONAT_REACHED : AUTONAT_VOID; /* said is not done */
    return m->dial == AUTONAT_DIAL_ERROR ? AUTONAT_FAILED : AUTONAT_VOID;
}

void autonat_vote(struct autonat_votes *v, bool reached)
{
    v->yes = (uint8_t)(v->yes << 1 | reached);
    if (v->cnt < 8) v->cnt++;
}

uint32_t autonat_yes(const struct autonat_votes *v)
{
    return (uint32_t)__builtin_popcount(v->yes & ((1u << v->cnt) - 1));
}

bool autonat_public(const struct autonat_votes *v, uint32_t servers)
{
    uint32_t need = QN_MIN(QN_MAX(servers, 1u), AUTONAT_NEED);
    return v->cnt >= need && autonat_yes(v) * 3 >= v->cnt * 2;
}

/* --- answering ----------------------------------------------------------------------------------------- */

static qn_rc refuse(enum autonat_status why, struct qn_buf *reply)
{
    struct autonat_message m = { .kind = AUTONAT_RESPONSE, .status = why };
    autonat_write(&m, reply);
    return QN_E_REFUSED;
}

static bool over_rate(struct autonat_server *s, const struct net_ip *from, uint64_t now_ms)
{
    uint32_t mine = 0;
    uint64_t who = net_ip_prefix(from, 32, 56);
    if (s->minute != now_ms / 60000) s->minute = now_ms / 60000, s->dials = 0;
    for (uint32_t i = 0; i < s->dials; i++)
        mine += s->asker[i] == who;
    if (s->dials == AUTONAT_MINUTE_MAX || mine == AUTONAT_PEER_MAX) return true;
    s->asker[s->dials++] = who;
    return false;
}

qn_rc autonat_serve(struct autonat_server *s, const struct autonat_message *m,
                    const struct net_ip *from, bool private, uint64_t now_ms,
                    struct autonat_job *job, struct qn_buf *reply)
{
    if (m->kind != AUTONAT_REQUEST) return QN_E_FORMAT;
    uint32_t i = 0;
    for (; i < m->addr_cnt; i++) {
        enum net_range range;
        if (!kad_addr_ip(&m->addr[i], &job->addr)) continue;
        range = net_ip_range(&job->addr.ip);
        if (range == NET_PUBLIC || (private && range != NET_NOWHERE)) break;
    }
    if (i == m->addr_cnt) return refuse(AUTONAT_REFUSED, reply);
    if (over_rate(s, from, now_ms)) return refuse(AUTONAT_REJECTED, reply);
    job->idx = i;
    job->nonce = m->nonce;
    job->due = 0;
    if (net_ip_eq(&job->addr.ip, from)) return QN_OK;
    job->due = AUTONAT_DATA_MIN + net_dice_below(&s->dice, AUTONAT_DATA_MAX - AUTONAT_DATA_MIN);
    struct autonat_message ask = { .kind = AUTONAT_DATA_REQUEST, .addr_idx = i, .bytes = job->due };
    autonat_write(&ask, reply);
    return QN_OK;
}

qn_rc autonat_data(struct autonat_job *job, const struct autonat_message *m)
{
    if (m->kind != AUTONAT_DATA || m->bytes == 0 || m->bytes > AUTONAT_CHUNK) return QN_E_FORMAT;
    job->due -= QN_MIN(job->due, m->bytes);
    return job->due ? QN_E_AGAIN : QN_OK;
}

void autonat_done(const struct autonat_job *job, enum autonat_dial how, struct qn_buf *reply)
{
    struct autonat_message m = {
        .kind = AUTONAT_RESPONSE, .status = AUTONAT_OK, .addr_idx = job->idx, .dial = how
    };
    QN_ASSERT(job->due == 0);
    autonat_write(&m, reply);
}
