/* net_desk.c - tickets for dials and pings; a sample of every peer's bytes each second. */
#include "core/net/net_desk.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define TICKET_CNT 64
#define PEER_CNT   512 /* more than limit.def lets in */
#define KEEP_US    60000000
#define SAMPLE_S   1

struct ticket {
    struct net_desk *desk;
    uint64_t number;       /* 0: free */
    bool done, ping, ours; /* ours: dialled for the ping alone */
    uint64_t begun_us;
    qn_rc rc;
    struct qn_why why;
    uint32_t peer;
    struct net_answer answer;
};

struct rate {
    uint32_t peer;
    bool known; /* the two rates are */
    uint64_t in_bytes, out_bytes, in_s, out_s;
};

struct net_desk {
    struct net_desk_conf conf;
    struct event *tick;
    uint64_t numbers, sampled_us;
    struct ticket ticket[TICKET_CNT];
    struct rate rate[PEER_CNT], next[PEER_CNT]; /* of peers in the host's order */
    uint32_t rate_cnt, next_cnt, at;
};

static uint64_t now_us(const struct net_desk *desk)
{
    return qn_env_mono_us(desk->conf.env);
}

/* --- tickets ----------------------------------------------------------------------------------------------------- */

static struct ticket *issue(struct net_desk *desk, struct qn_why *why)
{
    uint64_t now = now_us(desk);
    for (uint32_t i = 0; i < TICKET_CNT; i++) {
        struct ticket *t = &desk->ticket[i];
        if (t->number && (!t->done || now - t->begun_us < KEEP_US)) continue;
        *t = (struct ticket){ .desk = desk, .number = ++desk->numbers, .begun_us = now };
        return t;
    }
    qn_why(why, QN_E_LIMIT, "%d dials and pings are on their way; wait for them", TICKET_CNT);
    return NULL;
}

static void settle(struct ticket *t, qn_rc rc)
{
    struct net_desk *desk = t->desk;
    t->done = true;
    t->rc = rc;
    if (t->ours && rc != QN_E_IO) qn_host_hangup(desk->conf.host, t->peer, "pinged");
    if (desk->conf.changed) desk->conf.changed(desk->conf.arg);
}

static void on_ping(void *arg, qn_rc rc, uint64_t rtt_us)
{
    struct ticket *t = arg;
    t->answer.rtt_us = rtt_us;
    if (rc)
        rc = qn_why(&t->why, rc,
                    rc == QN_E_TIMEOUT  ? "no answer within 10 s"
                    : rc == QN_E_ABSENT ? "the peer does not speak /ipfs/ping/1.0.0"
                                        : "the peer went before it answered");
    settle(t, rc);
}

static void ping(struct ticket *t)
{
    qn_rc rc = qn_host_ping(t->desk->conf.host, t->peer, on_ping, t);
    if (rc) settle(t, qn_why(&t->why, rc, "the peer cannot be pinged now"));
}

static void on_dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct ticket *t = arg;
    struct qn_peer_info info;
    uint64_t now = now_us(t->desk);
    if (rc == QN_OK && !qn_host_peer(t->desk->conf.host, peer, &info))
        rc = qn_why(&t->why, QN_E_IO, "the peer came and went");
    else if (rc && why)
        t->why = *why;
    if (rc) {
        settle(t, rc);
        return;
    }
    t->peer = peer;
    t->answer.id = info.id;
    /* Up since before we dialled, in the clock's milliseconds: another connection, not to be hung up. */
    bool was_up = info.up_ms < t->begun_us / 1000;
    t->ours = t->ping && !was_up && info.outbound;
    t->answer.dial_us = was_up ? 0 : QN_MAX(now - t->begun_us, (uint64_t)1);
    if (t->ping)
        ping(t);
    else
        settle(t, QN_OK);
}

qn_rc net_desk_dial(struct net_desk *desk, const char *addr, bool with_ping, uint64_t *ret_ticket,
                    struct qn_why *why)
{
    struct ticket *t = issue(desk, why);
    if (!t) return QN_E_LIMIT;
    t->ping = with_ping;
    qn_rc rc = qn_host_dial(desk->conf.host, addr, on_dialled, t, why);
    if (rc)
        t->number = 0;
    else
        *ret_ticket = t->number;
    return rc;
}

qn_rc net_desk_ping(struct net_desk *desk, uint32_t peer, uint64_t *ret_ticket, struct qn_why *why)
{
    struct qn_peer_info info;
    if (!qn_host_peer(desk->conf.host, peer, &info))
        return qn_why(why, QN_E_NOTFOUND, "that peer is not connected");
    struct ticket *t = issue(desk, why);
    if (!t) return QN_E_LIMIT;
    t->ping = true;
    t->peer = peer;
    t->answer.id = info.id;
    qn_rc rc = qn_host_ping(desk->conf.host, peer, on_ping, t);
    if (rc)
        t->number = 0;
    else
        *ret_ticket = t->number;
    return rc ? qn_why(why, rc, "the peer cannot be pinged now") : QN_OK;
}

qn_rc net_desk_answer(struct net_desk *desk, uint64_t ticket, struct net_answer *ret,
                      struct qn_why *why)
{
    for (uint32_t i = 0; i < TICKET_CNT; i++) {
        struct ticket *t = &desk->ticket[i];
        if (t->number != ticket) continue;
        if (!t->done) return qn_why(why, QN_E_AGAIN, "no answer yet");
        t->number = 0;
        *ret = t->answer;
        *why = t->why;
        return t->rc;
    }
    return qn_why(why, QN_E_EXPIRED, "the answer was not fetched in time");
}

/* --- rates --------------------------------------------------------------------------------------------------------- */

/* Peers are visited in the order in which they came, so both lists are walked once. */
static void sample(void *arg, const struct qn_peer_info *info)
{
    struct net_desk *desk = arg;
    uint64_t us = QN_MAX(now_us(desk) - desk->sampled_us, (uint64_t)1);
    if (desk->next_cnt == PEER_CNT) return;
    struct rate *r = &desk->next[desk->next_cnt++];
    *r = (struct rate){ info->peer, false, info->in_bytes, info->out_bytes, 0, 0 };
    uint32_t at = desk->at;
    while (at < desk->rate_cnt && desk->rate[at].peer != info->peer)
        at++;
    if (at == desk->rate_cnt) return; /* new */
    const struct rate *old = &desk->rate[at];
    desk->at = at + 1;
    /* Two connections to a peer become one: its counts may fall. */
    uint64_t in = info->in_bytes - QN_MIN(old->in_bytes, info->in_bytes),
             out = info->out_bytes - QN_MIN(old->out_bytes, info->out_bytes);
    in = in * 1000000 / us;
    out = out * 1000000 / us;
    r->known = true;
    r->in_s = old->known ? (3 * old->in_s + in) / 4 : in;
    r->out_s = old->known ? (3 * old->out_s + out) / 4 : out;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct net_desk *desk = arg;
    (void)fd;
    (void)what;
    desk->next_cnt = desk->at = 0;
    qn_host_peers(desk->conf.host, sample, desk);
    memcpy(desk->rate, desk->next, desk->next_cnt * sizeof desk->next[0]);
    desk->rate_cnt = desk->next_cnt;
    desk->sampled_us = now_us(desk);
}

bool net_desk_rate(const struct net_desk *desk, uint32_t peer, uint64_t *ret_in, uint64_t *ret_out)
{
    for (uint32_t i = 0; i < desk->rate_cnt; i++) {
        if (desk->rate[i].peer != peer || !desk->rate[i].known) continue;
        *ret_in = desk->rate[i].in_s;
        *ret_out = desk->rate[i].out_s;
        return true;
    }
    return false;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

struct net_desk *net_desk_open(const struct net_desk_conf *conf)
{
    const struct timeval every = { SAMPLE_S, 0 };
    struct net_desk *desk = calloc(1, sizeof *desk);
    QN_ASSERT(desk != NULL);
    desk->conf = *conf;
    desk->sampled_us = now_us(desk);
    desk->tick = event_new(conf->base, -1, EV_PERSIST, on_tick, desk);
    event_add(desk->tick, &every);
    return desk;
}

void net_desk_close(struct net_desk *desk)
{
    if (!desk) return;
    event_free(desk->tick);
    free(desk);
}
