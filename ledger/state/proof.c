/* proof.c - what a node says of its state, and who is not a node believes. */
#include "ledger/state/proof.h"

#include "core/crypto/hash.h"
#include "ledger/bft/quorum.h"
#include "ledger/bft/vote.h"

#include <string.h>

qn_rc qn_chain_prove(struct qn_chain *c, uint8_t table, struct qn_span key, struct qn_buf *ret,
                     struct qn_why *why)
{
    uint8_t full[QN_TRIE_KEY_MAX];
    struct qn_span val = { NULL, 0 };
    struct qn_trie *trie = qn_chain_trie(c);
    if (qn_chain_header(c)->height == 0) return qn_why(why, QN_E_AGAIN, "no block is final yet");
    if (key.len == 0 || key.len >= QN_TRIE_KEY_MAX)
        return qn_why(why, QN_E_RANGE, "a key has 1 to %d bytes", QN_TRIE_KEY_MAX - 1);
    full[0] = table;
    memcpy(full + 1, key.ptr, key.len);
    struct qn_span whole = QN_SPAN(full, key.len + 1);
    bool present = qn_trie_get(trie, whole, &val);
    qn_buf_put(ret, "QNLP\2", 5);
    qn_buf_span(ret, qn_chain_genesis(c));
    qn_encode(qn_header_record(), qn_chain_header(c), ret);
    qn_buf_span(ret, qn_chain_cert(c));
    qn_buf_u8(ret, table);
    qn_buf_u16(ret, (uint16_t)key.len);
    qn_buf_span(ret, key);
    qn_buf_u32(ret, present ? (uint32_t)val.len : 0);
    if (present) qn_buf_span(ret, val);
    qn_trie_prove(trie, whole, ret);
    return QN_OK;
}

qn_rc qn_chain_verify(struct qn_span file, const struct qn_hash *trust, json_t **ret,
                      struct qn_why *why)
{
    struct qn_arena arena = { .max = 4u << 20 };
    struct qn_span s = file, magic, key, val;
    struct qn_genesis genesis;
    struct qn_header header;
    struct qn_cert cert;
    struct qn_hash value, want;
    uint32_t val_len;
    uint16_t key_len;
    uint8_t table, full[QN_TRIE_KEY_MAX];
    bool present = false;
    qn_rc rc = QN_E_FORMAT;
    if (!qn_take(&s, 5, &magic) || memcmp(magic.ptr, "QNLP\2", 5) != 0) {
        qn_why(why, rc, "this is not a ledger proof");
        goto out;
    }
    rc = qn_decode_front(qn_genesis_record(), &s, &arena, &genesis, why);
    if (rc == QN_OK) rc = qn_decode_front(qn_header_record(), &s, &arena, &header, why);
    if (rc == QN_OK) rc = qn_decode_front(qn_cert_record(), &s, &arena, &cert, why);
    if (rc) goto out;
    const struct qn_hash *set = genesis.validators.ptr;
    uint32_t cnt = genesis.validators.cnt;
    rc = QN_E_PROOF;
    if (cnt == 0 || cnt > QN_SET_MAX) {
        qn_why(why, rc, "the genesis names %u validators", cnt);
        goto out;
    }
    struct qn_hash chain = qn_genesis_hash(&genesis), set_root = qn_set_root(set, cnt),
                   hash = qn_header_hash(&header);
    if (!qn_hash_eq(&chain, &header.chain) || (trust && !qn_hash_eq(trust, &chain))) {
        qn_why(why, rc, "the proof is of another chain");
        goto out;
    }
    if (!qn_hash_eq(&set_root, &header.set_root)) {
        qn_why(why, rc, "the header names other validators than the genesis");
        goto out;
    }
    rc = qn_cert_check(&cert, &header.chain, &hash, set, cnt, why);
    if (rc) goto out;
    rc = QN_E_SHORT;
    if (!qn_take_u8(&s, &table) || !qn_take_u16(&s, &key_len) || key_len == 0 ||
        key_len >= QN_TRIE_KEY_MAX || !qn_take(&s, key_len, &key) || !qn_take_u32(&s, &val_len) ||
        !qn_take(&s, val_len, &val)) {
        qn_why(why, rc, "the row is cut off");
        goto out;
    }
    full[0] = table;
    memcpy(full + 1, key.ptr, key_len);
    rc = qn_trie_check(&header.state_root, QN_SPAN(full, key_len + 1u), s, &present, &value);
    want = qn_h("value", val.ptr, val.len);
    if (rc == QN_OK && (present ? !qn_hash_eq(&want, &value) : val.len != 0)) rc = QN_E_PROOF;
    if (rc) {
        qn_why(why, rc, "the path does not lead from the row to the header's state root");
        goto out;
    }
    char chain_hex[65], root_hex[65];
    qn_hex(header.chain.b, 32, chain_hex);
    qn_hex(header.state_root.b, 32, root_hex);
    char *key_hex = qn_arena_alloc(&arena, 2 * key.len + 1),
         *val_hex = qn_arena_alloc(&arena, 2 * val.len + 1);
    qn_hex(key.ptr, key.len, key_hex);
    qn_hex(val.ptr, val.len, val_hex);
    *ret = json_pack("{s:b, s:b, s:b, s:s, s:I, s:I, s:s, s:i, s:s, s:s, s:i}", "valid", 1,
                     "present", present, "pinned", trust != NULL, "chain", chain_hex, "height",
                     (json_int_t)header.height, "t_ms", (json_int_t)header.t_ms, "state_root",
                     root_hex, "table", table, "key", key_hex, "value", val_hex, "validators",
                     (int)cnt);
out:
    qn_arena_free(&arena);
    return rc;
}
