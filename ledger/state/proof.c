/* proof.c - what a node says of its state, and who is not a node believes. */
#include "ledger/state/proof.h"

#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"

#include <string.h>

static const uint8_t MAGIC[5] = { 'Q', 'N', 'L', 'P', 3 };

/* --- making ------------------------------------------------------------------------------------------------ */

static void put_step(struct qn_buf *ret, const struct qn_set *set, const struct qn_header *header,
                     struct qn_span cert)
{
    qn_buf_u16(ret, (uint16_t)set->cnt);
    for (uint32_t i = 0; i < set->cnt; i++) {
        qn_buf_put(ret, set->keys[i].b, 32);
        qn_buf_u64(ret, set->weights[i]);
    }
    qn_encode(qn_header_record(), header, ret);
    qn_buf_span(ret, cert);
}

qn_rc qn_proof_head(struct qn_chain *c, struct qn_buf *ret, struct qn_why *why)
{
    struct qn_span genesis = qn_chain_genesis(c);
    struct qn_arena arena = { 0 };
    struct qn_genesis g;
    struct qn_set set;
    if (qn_chain_cert(c).len == 0)
        return qn_why(why, QN_E_AGAIN, "no block with a certificate of its own is final yet");
    qn_rc rc = qn_decode(qn_genesis_record(), genesis, &arena, &g, why);
    if (rc == QN_OK) rc = qn_set_genesis(&g, &set, why);
    if (rc == QN_OK) {
        qn_buf_put(ret, MAGIC, sizeof MAGIC);
        qn_buf_u32(ret, (uint32_t)genesis.len);
        qn_buf_span(ret, genesis);
        qn_buf_u16(ret, 1);
        put_step(ret, &set, qn_chain_header(c), qn_chain_cert(c));
    }
    qn_arena_free(&arena);
    return rc;
}

void qn_proof_range(struct qn_trie *trie, struct qn_span from, struct qn_span to,
                    struct qn_buf *ret)
{
    struct qn_buf rows = { 0 }, edge = { 0 };
    qn_trie_prove(trie, from, to, &rows, &edge);
    qn_buf_u16(ret, (uint16_t)from.len);
    qn_buf_span(ret, from);
    qn_buf_u16(ret, (uint16_t)to.len);
    qn_buf_span(ret, to);
    qn_buf_u32(ret, (uint32_t)rows.len);
    qn_buf_span(ret, qn_buf_get(&rows));
    qn_buf_span(ret, qn_buf_get(&edge));
    qn_buf_free(&rows);
    qn_buf_free(&edge);
}

/* --- checking ---------------------------------------------------------------------------------------------- */

struct step {
    struct qn_set set;
    struct qn_header header;
    struct qn_cert cert;
    struct qn_hash hash;
};

static qn_rc take_set(struct qn_span *s, struct qn_set *ret, struct qn_why *why)
{
    uint16_t cnt;
    if (!qn_take_u16(s, &cnt)) return qn_why(why, QN_E_SHORT, "a step is cut off");
    if (cnt == 0 || cnt > QN_SET_MAX)
        return qn_why(why, QN_E_PROOF, "a step names %u validators", cnt);
    ret->cnt = cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        if (!qn_take_hash(s, &ret->keys[i]) || !qn_take_u64(s, &ret->weights[i]))
            return qn_why(why, QN_E_SHORT, "a step is cut off");
        if (ret->weights[i] == 0 || ret->weights[i] > QN_SUPPLY_UQN)
            return qn_why(why, QN_E_PROOF, "a validator weighs nothing, or more than there is");
    }
    return QN_OK;
}

/* Whether those of `known` who signed step weigh more than the traitors that it bears. Each of them counts once, however often the step
 * names its key. */
static bool vouched(const struct qn_set *known, const struct step *step)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < known->cnt; i++) {
        bool signs = false;
        for (uint32_t v = 0; v < step->cert.votes.cnt && !signs; v++)
            signs = qn_hash_eq(&known->keys[i], &step->set.keys[step->cert.votes.ptr[v].signer]);
        if (signs) sum += known->weights[i];
    }
    return sum > qn_set_quorum(known).traitors;
}

static bool same_set(const struct qn_set *a, const struct qn_set *b)
{
    return a->cnt == b->cnt && memcmp(a->keys, b->keys, a->cnt * sizeof *a->keys) == 0 &&
           memcmp(a->weights, b->weights, a->cnt * sizeof *a->weights) == 0;
}

static qn_rc take_step(struct qn_span *s, uint32_t fast_ppm, struct qn_arena *arena,
                       struct step *ret, struct qn_why *why)
{
    qn_rc rc = take_set(s, &ret->set, why);
    if (rc == QN_OK) rc = qn_decode_front(qn_header_record(), s, arena, &ret->header, why);
    if (rc == QN_OK) rc = qn_decode_front(qn_cert_record(), s, arena, &ret->cert, why);
    if (rc) return rc;
    ret->set.epoch = ret->header.epoch;
    ret->set.fast_ppm = fast_ppm;
    struct qn_hash root = qn_set_hash(&ret->set);
    ret->hash = qn_header_hash(&ret->header);
    if (!qn_hash_eq(&root, &ret->header.set_root))
        return qn_why(why, QN_E_PROOF, "a step names other validators than its header");
    return qn_cert_final(&ret->cert, &ret->header.chain, &ret->hash, &ret->set, why);
}

static qn_rc take_genesis(struct qn_span bytes, struct qn_arena *arena, struct qn_set *ret_set,
                          struct qn_hash *ret_chain, struct qn_why *why)
{
    struct qn_genesis g;
    qn_rc rc = qn_decode(qn_genesis_record(), bytes, arena, &g, why);
    if (rc) return rc;
    if (qn_set_genesis(&g, ret_set, why)) return QN_E_PROOF;
    *ret_chain = qn_genesis_hash(&g);
    return QN_OK;
}

qn_rc qn_proof_front(struct qn_span *s, const struct qn_hash *trust, struct qn_proof *ret,
                     struct qn_why *why)
{
    struct qn_arena arena = { .max = 4u << 20 };
    struct qn_span magic, genesis;
    struct qn_hash chain = { { 0 } };
    struct qn_set *known = NULL; /* the last believed */
    struct step step;
    struct qn_set from_genesis = { 0 }, last;
    uint32_t genesis_len;
    uint16_t cnt;
    uint64_t height = 0;
    bool pinned = false;
    qn_rc rc = QN_E_FORMAT;
    if (!qn_take(s, sizeof MAGIC, &magic) || memcmp(magic.ptr, MAGIC, sizeof MAGIC) != 0)
        return qn_why(why, rc, "this is not a ledger proof");
    if (!qn_take_u32(s, &genesis_len) || !qn_take(s, genesis_len, &genesis) ||
        !qn_take_u16(s, &cnt))
        return qn_why(why, QN_E_SHORT, "the proof's head is cut off");
    if (cnt == 0 || cnt > QN_PROOF_STEPS_MAX)
        return qn_why(why, rc, "a proof has 1 to %d steps", QN_PROOF_STEPS_MAX);
    if (genesis_len) {
        rc = take_genesis(genesis, &arena, &from_genesis, &chain, why);
        if (rc) goto out;
        pinned = trust && qn_hash_eq(trust, &chain);
        if (!trust || pinned) known = &from_genesis;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        qn_arena_free(&arena);
        arena = (struct qn_arena){ .max = 4u << 20 };
        rc = take_step(s, from_genesis.fast_ppm, &arena, &step, why);
        if (rc) goto out;
        if (i == 0 && !genesis_len) chain = step.header.chain;
        rc = QN_E_PROOF;
        if (!qn_hash_eq(&chain, &step.header.chain) || step.header.height <= height) {
            qn_why(why, rc, "the steps are not of one chain, rising");
            goto out;
        }
        height = step.header.height;
        if (trust && qn_hash_eq(trust, &step.hash)) /* this block is what the reader trusts */
            pinned = true;
        else if (!known && trust)
            continue; /* before what the reader trusts */
        else if (known && !same_set(known, &step.set) && !vouched(known, &step)) {
            qn_why(why, rc, "block %llu is signed by others than who is trusted",
                   (unsigned long long)height);
            goto out;
        }
        last = step.set;
        known = &last;
    }
    rc = QN_E_PROOF;
    if (trust && !pinned) {
        qn_why(why, rc, "the proof is of another chain");
        goto out;
    }
    *ret = (struct qn_proof){ .chain = chain,
                              .block = step.hash,
                              .header = step.header,
                              .validators = step.set.cnt,
                              .steps = cnt,
                              .pinned = pinned };
    rc = QN_OK;
out:
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_proof_check(struct qn_span s, const struct qn_hash *trust, struct qn_proof *ret,
                     struct qn_why *why)
{
    uint16_t from_len, to_len;
    uint32_t rows_len;
    qn_rc rc = qn_proof_front(&s, trust, ret, why);
    if (rc) return rc;
    if (!qn_take_u16(&s, &from_len) || !qn_take(&s, from_len, &ret->from) ||
        !qn_take_u16(&s, &to_len) || !qn_take(&s, to_len, &ret->to) ||
        !qn_take_u32(&s, &rows_len) || !qn_take(&s, rows_len, &ret->rows))
        return qn_why(why, QN_E_SHORT, "the rows are cut off");
    if (from_len > QN_TRIE_KEY_MAX + 1 || to_len > QN_TRIE_KEY_MAX + 1)
        return qn_why(why, QN_E_FORMAT, "the range is longer than a key");
    rc = qn_trie_check(&ret->header.state_root, ret->from, ret->to, ret->rows, s);
    return rc ? qn_why(why, rc, "the rows do not lead to the block's state root") : QN_OK;
}

/* --- telling ------------------------------------------------------------------------------------------------ */

static json_t *hex_of(struct qn_span s)
{
    struct qn_buf buf = { 0 };
    qn_hex(s.ptr, s.len, (char *)qn_buf_grow(&buf, 2 * s.len + 1));
    json_t *ret = json_string((const char *)buf.ptr);
    qn_buf_free(&buf);
    return ret;
}

static struct qn_span behind(struct qn_span key)
{
    return key.len ? QN_SPAN(key.ptr + 1, key.len - 1) : key;
}

json_t *qn_proof_json(const struct qn_proof *p)
{
    struct qn_span rows = p->rows, key, val = { NULL, 0 };
    json_t *ret =
        json_pack("{s:b, s:b, s:o, s:o, s:I, s:I, s:o, s:i, s:i}", "valid", 1, "pinned", p->pinned,
                  "chain", hex_of(QN_SPAN_OF(p->chain)), "block", hex_of(QN_SPAN_OF(p->block)),
                  "height", (json_int_t)p->header.height, "t_ms", (json_int_t)p->header.t_ms,
                  "state_root", hex_of(QN_SPAN_OF(p->header.state_root)), "validators",
                  (int)p->validators, "steps", (int)p->steps);
    if (p->from.len) json_object_set_new(ret, "table", json_integer(p->from.ptr[0]));
    bool one = p->from.len > 1 && p->to.len == p->from.len + 1 && p->to.ptr[p->from.len] == 0 &&
               qn_span_starts(p->to, p->from);
    if (one) {
        bool present = qn_row_take(&rows, &key, &val);
        json_object_set_new(ret, "present", json_boolean(present));
        json_object_set_new(ret, "key", hex_of(behind(p->from)));
        json_object_set_new(ret, "value", hex_of(val));
    } else {
        json_t *list = json_array();
        while (qn_row_take(&rows, &key, &val))
            json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "table", key.ptr[0], "key",
                                                  hex_of(behind(key)), "value", hex_of(val)));
        json_object_set_new(ret, "complete", json_true());
        json_object_set_new(ret, "from", hex_of(p->from));
        json_object_set_new(ret, "to", hex_of(p->to));
        json_object_set_new(ret, "cnt", json_integer((json_int_t)json_array_size(list)));
        json_object_set_new(ret, "rows", list);
    }
    return ret;
}
