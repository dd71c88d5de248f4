/* fuzz_frames.c - a peer's messages, cut into pieces as a network cuts them: input is `u8 length of the next piece | piece` again and again. */
#include "net/libp2p/frames.h"

#include "core/crypto/sign.h"
#include "net/link/limit.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_MAX 600
#define PROTO       "/quoin/00000000/ledger/1"

struct fuzz {
    struct event_base *base;
    struct qn_key key[2];
    struct qn_host *host[2];
    struct qn_frames *frames;
    uint32_t peer; /* of the sender's */
    bool alive;    /* its stream */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_member(void *arg, uint32_t peer, bool up)
{
    (void)arg, (void)peer, (void)up;
}

static void on_message(void *arg, uint32_t peer, struct qn_span message)
{
    (void)arg, (void)peer;
    QN_ASSERT(message.len <= MESSAGE_MAX);
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < message.len; i++) /* all of it is there */
        sum = (uint8_t)(sum + message.ptr[i]);
}

static void on_dial(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct fuzz *f = arg;
    (void)why;
    QN_ASSERT(rc == QN_OK);
    f->peer = peer;
}

static void turns(struct fuzz *f, int cnt)
{
    for (int i = 0; i < cnt; i++)
        event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static struct fuzz *begin(void)
{
    struct fuzz *f = calloc(1, sizeof *f);
    struct qn_limits limits = qn_limits_default();
    char addr[40];
    /* Refusals and offences are what is looked for. */
    limits.peer_resets_s = limits.peer_resets_burst = limits.peer_blames = 1u << 30;
    QN_ASSERT(f && qn_crypto_init() == QN_OK);
    f->base = event_base_new();
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t seed[32] = { (uint8_t)(i + 1) };
        qn_key_from_seed(seed, &f->key[i]);
        const struct qn_host_conf conf = { .base = f->base,
                                           .env = qn_env_real(),
                                           .key = &f->key[i],
                                           .limits = &limits,
                                           .listen = "127.0.0.1:0" };
        qn_rc rc = qn_host_open(&conf, &f->host[i], NULL);
        QN_ASSERT(rc == QN_OK);
    }
    const struct qn_frames_conf conf = { .host = f->host[1],
                                         .proto = PROTO,
                                         .message_max = MESSAGE_MAX,
                                         .on_peer = on_member,
                                         .on_message = on_message };
    qn_rc rc = qn_frames_open(&conf, &f->frames);
    QN_ASSERT(rc == QN_OK);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(f->host[1]));
    rc = qn_host_dial(f->host[0], addr, on_dial, f, NULL);
    QN_ASSERT(rc == QN_OK);
    while (!f->peer)
        event_base_loop(f->base, EVLOOP_ONCE);
    return f;
}

static void on_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct fuzz *f = arg;
    (void)s, (void)end;
    f->alive = false;
}

static const struct qn_stream_ops OPS = { .on_close = on_close };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz *f; /* a handshake each time would cost more than what is tried */
    struct qn_stream *s;
    if (!f) f = begin();
    qn_rc rc = qn_host_stream(f->host[0], f->peer, PROTO, QN_NET_TX, &OPS, f, &s);
    QN_ASSERT(rc == QN_OK);
    f->alive = true;
    for (size_t at = 0; at < size && f->alive;) {
        size_t len = QN_MIN((size_t)data[at] + 1, size - at - 1);
        if (len) (void)!qn_stream_write(s, QN_SPAN(data + at + 1, len));
        at += len + 1;
        turns(f, 3); /* a piece is a frame; a refusal comes in between */
    }
    if (f->alive) qn_stream_finish(s);
    turns(f, 3);
    if (f->alive) qn_stream_reset(s);
    while (f->alive)
        event_base_loop(f->base, EVLOOP_ONCE);
    struct qn_peer_info info;
    turns(f, 3);
    uint32_t other;
    bool there = qn_host_find(f->host[1], qn_host_id(f->host[0]), &other) &&
                 qn_host_peer(f->host[1], other, &info);
    QN_ASSERT(there); /* no message of its kind costs a peer its connection */
    return 0;
}
