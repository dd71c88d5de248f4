/* fuzz_host.c - a host and a peer that finished its handshake honestly and then says anything: streams, negotiation, identify, ping, perf and
 * framed messages, in pieces. When the peer is gone nothing is left of it: no stream, no booked byte. */
#include "net/libp2p/frames.h"
#include "net/libp2p/host_in.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t clock_us = 1000000;

static uint64_t now_ms(void *self)
{
    (void)self;
    return clock_us / 1000;
}

static uint64_t mono_us(void *self)
{
    (void)self;
    return clock_us += 7;
}

static void no_random(void *self, void *dst, size_t len)
{
    (void)self;
    memset(dst, (int)(clock_us & 127), len);
}

static const struct qn_env ENV = { .now_ms = now_ms, .mono_us = mono_us, .random = no_random };

static void on_message(void *arg, uint32_t peer, struct qn_span m)
{
    (void)peer;
    *(uint64_t *)arg += m.len;
}

static struct event_base *base;
static struct qn_host *host;
static struct qn_key key, foe_key;
static struct qn_noise_self foe_self;
static struct qn_frames *frames;
static uint64_t message_bytes;

static void setup(void)
{
    uint8_t seed[32] = { 1 };
    QN_ASSERT(qn_crypto_init() == QN_OK);
    qn_key_from_seed(seed, &key);
    seed[0] = 2;
    qn_key_from_seed(seed, &foe_key);
    qn_noise_self_init(&foe_self, &foe_key, seed);
    base = event_base_new();
    const struct qn_host_conf conf = { .base = base, .env = &ENV, .key = &key, .perf = true };
    QN_ASSERT(qn_host_open(&conf, &host, NULL) == QN_OK);
    const struct qn_frames_conf fc = { .host = host,
                                       .proto = "/f",
                                       .message_max = 1 << 20,
                                       .on_message = on_message,
                                       .arg = &message_bytes };
    QN_ASSERT(qn_frames_open(&fc, &frames) == QN_OK);
}

static void drain(int fd)
{
    static uint8_t buf[65536];
    for (int i = 0; i < 4; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
            ;
    }
}

/* The honest part. */
static bool shake(int fd, struct qn_noise_cipher *ret_tx)
{
    static struct qn_upgrade up;
    uint8_t buf[8192], e[32] = { 5 };
    struct qn_buf out = { 0 };
    qn_rc rc = QN_E_AGAIN;
    qn_upgrade_init(&up, true, NULL, e, host->aead, &foe_self, &out);
    for (int i = 0; i < 4 && rc == QN_E_AGAIN; i++) {
        QN_ASSERT(send(fd, out.ptr, out.len, 0) == (ssize_t)out.len);
        qn_buf_clear(&out);
        event_base_loop(base, EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        struct qn_span in = QN_SPAN(buf, n > 0 ? (size_t)n : 0);
        rc = qn_upgrade_step(&up, host->aead, &foe_self, &in, &out);
    }
    if (rc == QN_OK && out.len) QN_ASSERT(send(fd, out.ptr, out.len, 0) == (ssize_t)out.len);
    *ret_tx = up.tx;
    qn_buf_free(&out);
    return rc == QN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct qn_endpoint remote = { .ip = { 8, 8, 8, 8 }, .port = 9 };
    struct qn_noise_cipher tx;
    int sv[2];
    if (size < 2 || size > 60000) return 0;
    if (!host) setup();
    QN_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0);
    struct conn *c = conn_new(host, sv[0], false, &remote);
    conn_start(c);
    QN_ASSERT(shake(sv[1], &tx));
    size_t piece = 1 + data[0] * 64u;
    for (size_t at = 1; at < size; at += piece) {
        static uint8_t rec[2 + 16385 + QN_NOISE_TAG];
        size_t n = QN_MIN(piece, size - at);
        memcpy(rec + 2, data + at, n);
        qn_aead_seal(host->aead, &tx, rec + 2, n);
        rec[0] = (uint8_t)((n + QN_NOISE_TAG) >> 8);
        rec[1] = (uint8_t)(n + QN_NOISE_TAG);
        if (send(sv[1], rec, n + 2 + QN_NOISE_TAG, MSG_NOSIGNAL) < 0) break;
        if (at / piece % 8 == 0) drain(sv[1]);
    }
    drain(sv[1]);
    QN_ASSERT(qn_host_stat(host).memory <= host->limits.peer_memory_blob);
    close(sv[1]);
    for (int i = 0; i < 20 && host->conns; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    QN_ASSERT(!host->conns && host->stat.streams == 0 && host->memory.used == 0);
    return 0;
}
