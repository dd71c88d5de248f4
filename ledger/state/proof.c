/* proof.c - what a node says of its state, and who is not a node believes. */
#include "ledger/state/proof.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t MAGIC[5] = { 'Q', 'N', 'L', 'P', 4 };

/* --- making ------------------------------------------------------------------------------------------------ */

qn_rc qn_proof_head(struct qn_chain *c, const struct qn_steps *steps, struct qn_buf *ret,
                    struct qn_why *why)
{
    struct qn_span genesis = qn_chain_genesis(c);
    struct qn_arena arena = { 0 };
    struct qn_buf head = { 0 };
    struct qn_genesis g;
    struct qn_set set;
    qn_rc rc = qn_step_head(c, &head, why);
    if (rc == QN_OK) rc = qn_decode(qn_genesis_record(), genesis, &arena, &g, why);
    if (rc == QN_OK) rc = qn_set_genesis(&g, &set, why);
    if (rc == QN_OK) {
        qn_buf_put(ret, MAGIC, sizeof MAGIC);
        qn_buf_u32(ret, (uint32_t)genesis.len);
        qn_buf_span(ret, genesis);
        rc = qn_steps_put(steps, &set, qn_buf_get(&head), ret, why);
    }
    qn_buf_free(&head);
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

qn_rc qn_proof_front(struct qn_span *s, const struct qn_hash *trust, struct qn_proof *ret,
                     struct qn_why *why)
{
    return qn_proof_front_by(s, trust, NULL, ret, why);
}

qn_rc qn_proof_front_by(struct qn_span *s, const struct qn_hash *trust, const struct qn_set *set,
                        struct qn_proof *ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 4u << 20 }; /* keeps its limit when freed */
    struct qn_span magic, bytes;
    struct qn_hash chain, hash = { { 0 } };
    struct qn_genesis g;
    struct qn_set known; /* the last believed */
    struct qn_step *step = calloc(2, sizeof *step), *before = NULL;
    uint32_t genesis_len;
    uint16_t cnt;
    uint64_t height = 0;
    QN_ASSERT(step != NULL);
    qn_rc rc = QN_E_FORMAT;
    if (!qn_take(s, sizeof MAGIC, &magic) || memcmp(magic.ptr, MAGIC, sizeof MAGIC) != 0) {
        qn_why(why, rc, "this is not a ledger proof");
        goto out;
    }
    if (!qn_take_u32(s, &genesis_len) || !qn_take(s, genesis_len, &bytes) ||
        !qn_take_u16(s, &cnt)) {
        rc = qn_why(why, QN_E_SHORT, "the proof's head is cut off");
        goto out;
    }
    if (cnt == 0 || cnt > QN_STEPS_MAX) {
        qn_why(why, rc, "a proof has 1 to %d steps", QN_STEPS_MAX);
        goto out;
    }
    rc = qn_decode(qn_genesis_record(), bytes, &arena, &g, why);
    if (rc == QN_OK) rc = qn_set_genesis(&g, &known, why);
    if (rc) goto out;
    chain = qn_genesis_hash(&g);
    bool believe = !trust || (!set && qn_hash_eq(trust, &chain));
    if (set && !(trust && qn_hash_eq(trust, &chain))) {
        rc = qn_why(why, QN_E_PROOF, "the proof is of another chain");
        goto out;
    }
    struct qn_step *now = step;
    for (uint32_t i = 0; i < cnt; i++) {
        now = &step[i % 2];
        qn_arena_free(&arena); /* of a certificate only its own turn makes use */
        rc = qn_step_take(s, known.fast_ppm, &arena, now, why);
        if (rc) goto out;
        hash = qn_header_hash(&now->header);
        rc = QN_E_PROOF;
        if (!qn_hash_eq(&chain, &now->header.chain) || now->header.height <= height) {
            qn_why(why, rc, "the proof's blocks are not of one chain, rising");
            goto out;
        }
        height = now->header.height;
        if (set && !believe) {
            believe = qn_step_follows(set, NULL, now); /* theirs, or enough of them signed it */
        } else if (trust && qn_hash_eq(trust, &hash)) {
            believe =
                true; /* this block is what the reader trusts; those before count for nothing */
        } else if (believe && !qn_step_follows(&known, before, now)) {
            qn_why(why, rc, "block %llu is signed by others than who is trusted",
                   (unsigned long long)height);
            goto out;
        }
        if (believe) {
            known = now->set;
            before = now;
        }
    }
    if (now->edge.len) {
        rc = qn_why(why, QN_E_EXTRA, "the proof's last block hands on to none");
        goto out;
    }
    if (!believe) {
        qn_why(why, rc, "the proof is %s",
               set ? "signed by others than who is trusted" : "of another chain");
        goto out;
    }
    *ret = (struct qn_proof){ .chain = chain,
                              .block = hash,
                              .header = now->header,
                              .validators = known.cnt,
                              .steps = cnt,
                              .pinned = trust != NULL,
                              .genesis = bytes,
                              .cert = now->cert_bytes };
    rc = QN_OK;
out:
    free(step);
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

bool qn_proof_maybe_filler(const struct qn_proof *p)
{
    struct qn_hash none = qn_body_root(NULL, 0);
    return qn_hash_is_zero(&p->header.signers) && qn_hash_eq(&p->header.body_root, &none);
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
    if (qn_proof_maybe_filler(p)) json_object_set_new(ret, "maybe_filler", json_true());
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
