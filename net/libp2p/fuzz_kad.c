/* fuzz_kad.c - any bytes as a request and as an answer: what is read writes back to what reads the same, and a table that hears nonsense
 * stays within its bounds. */
#include "net/libp2p/kad.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_ask(void *arg, uint32_t query, const struct kad_peer *peer, struct qn_span message,
                   bool one_way)
{
    (void)peer, (void)message;
    if (!one_way) *(uint32_t *)arg = query;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t WHO[34] = { 0x12, 32, 1 }, ME[34] = { 0x12, 32, 2 };
    struct kad_message *m = malloc(2 * sizeof *m);
    struct qn_span bytes = QN_SPAN(data, size);
    uint32_t query = 0;
    if (kad_read(bytes, &m[0]) == QN_OK) {
        struct qn_buf buf = { 0 }, again = { 0 };
        kad_write(&m[0], &buf);
        qn_rc rc = kad_read(qn_buf_get(&buf), &m[1]);
        QN_ASSERT(rc == QN_OK);
        kad_write(&m[1], &again);
        QN_ASSERT(qn_span_eq(qn_buf_get(&buf), qn_buf_get(&again)));
        qn_buf_free(&buf);
        qn_buf_free(&again);
    }
    free(m);
    struct kad_conf conf = { .server = true,
                             .private = size & 1,
                             .ops = { &query, on_ask, NULL, NULL } };
    QN_ASSERT(qn_peer_id_read(QN_SPAN_OF(ME), &conf.self) == QN_OK);
    struct kad *kad = kad_new(&conf);
    struct net_addr addr = { net_ip4(8, 8, 8, 8), 1 };
    struct kad_peer peer = { .addr_cnt = 1 };
    QN_ASSERT(qn_peer_id_read(QN_SPAN_OF(WHO), &peer.id) == QN_OK);
    peer.addr[0] = kad_addr_of(&addr);
    kad_self_set(kad, peer.addr, 1);
    kad_hello(kad, &peer, &addr.ip, 1000);
    struct qn_buf reply = { 0 };
    if (kad_serve(kad, &peer.id, bytes, 1000, &reply) == QN_OK)
        QN_ASSERT(reply.len <= KAD_MESSAGE_MAX);
    uint32_t no = kad_search(kad, size & 2 ? KAD_GET_PROVIDERS : KAD_FIND_NODE, QN_SPAN("key", 3),
                             0, NULL, NULL, 1000);
    QN_ASSERT(no);
    kad_turn(kad, 1000);
    QN_ASSERT(query);
    if (kad_answer(kad, query, &addr.ip, bytes, 1000) == QN_OK) kad_turn(kad, 2000);
    kad_turn(kad, 30000);
    qn_buf_free(&reply);
    kad_free(kad);
    return 0;
}
