/* tx.c - transactions alone, without state. */
#include "ledger/state/tx.h"

#include "core/crypto/hash.h"

#include <string.h>

#include "core/schema/define.h"
#include "ledger/state/core.def"

#define GAS_MAX_DEFAULT 10000000u

static struct qn_hash hash_of(const char *label, const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    qn_encode(rec, obj, &buf);
    struct qn_hash ret = qn_h(label, buf.ptr, buf.len);
    qn_buf_free(&buf);
    return ret;
}

struct qn_hash qn_header_hash(const struct qn_header *header)
{
    return hash_of("header", qn_header_record(), header);
}

struct qn_hash qn_genesis_hash(const struct qn_genesis *genesis)
{
    return hash_of("genesis", qn_genesis_record(), genesis);
}

struct qn_hash qn_tx_id(const struct qn_tx *tx)
{
    struct qn_tx bare = *tx;
    struct qn_buf buf = { 0 };
    bare.auths.cnt = 0;
    qn_encode(qn_tx_record(), &bare, &buf);
    struct qn_hash ret = qn_h("tx", buf.ptr, buf.len - 4); /* without the empty list's count */
    qn_buf_free(&buf);
    return ret;
}

/* What is signed: "quoin tx" 00 | chain | id. */
#define MESSAGE 73
static void message(const struct qn_hash *chain, const struct qn_hash *id, uint8_t ret[MESSAGE])
{
    memcpy(ret, "quoin tx", 9);
    memcpy(ret + 9, chain->b, 32);
    memcpy(ret + 41, id->b, 32);
}

struct qn_hash qn_acct_key(const struct qn_hash *pub)
{
    uint8_t policy[33] = { 0 };
    memcpy(policy + 1, pub->b, 32);
    return qn_h("acct", policy, sizeof policy);
}

void qn_tx_build(const struct qn_hash *chain, uint16_t kind, struct qn_span body,
                 const struct qn_key *key, uint64_t now_ms, const struct qn_tx_opts *opts,
                 struct qn_buf *ret, struct qn_hash *ret_id)
{
    uint8_t policy[33] = { 0 }, msg[MESSAGE];
    memcpy(policy + 1, key->pub.b, 32);
    struct qn_auth_sig sig = { 0 };
    struct qn_auth auth = { .acct = qn_acct_key(&key->pub),
                            .policy = QN_SPAN(policy, sizeof policy),
                            .sigs = { 1, &sig } };
    struct qn_tx tx = {
        .ver = 1,
        .chain = *chain,
        .kind = kind,
        .sender = auth.acct,
        .salt = opts->salt,
        .from_ms = now_ms > 1000 ? now_ms - 1000 : 0, /* a block's time may lag the reader's */
        .until_ms = now_ms + (opts->span_ms ? opts->span_ms : 60000),
        .gas_max = opts->gas_max ? opts->gas_max : GAS_MAX_DEFAULT,
        .fee_max = opts->fee_max.uqn ? opts->fee_max : QN_UQN(QN_UQN_PER_QN),
        .tip = opts->tip,
        .mandate = opts->mandate,
        .body = body,
        .auths = { 1, &auth },
    };
    *ret_id = qn_tx_id(&tx);
    message(chain, ret_id, msg);
    sig.sig = qn_sign(key, QN_SPAN(msg, sizeof msg));
    qn_encode(qn_tx_record(), &tx, ret);
}

/* What the account asks for; the signatures' keys go to pubs, which holds SIGS_MAX. */
#define SIGS_MAX 32
static qn_rc look_auth(const struct qn_auth *auth, const struct qn_hash *pubs[], struct qn_why *why)
{
    struct qn_span p = auth->policy;
    struct qn_hash acct = qn_h("acct", p.ptr, p.len);
    uint8_t kind, need = 1, keys = 1;
    if (!qn_hash_eq(&acct, &auth->acct))
        return qn_why(why, QN_E_SIGNATURE, "the policy is not that of the account");
    if (!qn_take_u8(&p, &kind) || kind > 1)
        return qn_why(why, QN_E_FORMAT, "unknown kind of policy");
    if (kind == 1 && (!qn_take_u8(&p, &need) || !qn_take_u8(&p, &keys) || need == 0 ||
                      need > keys || keys > SIGS_MAX))
        return qn_why(why, QN_E_FORMAT, "a policy of several keys needs 1 <= m <= n <= 32");
    if (p.len != keys * (size_t)32)
        return qn_why(why, QN_E_FORMAT, "the policy has the wrong length");
    if (auth->sigs.cnt != need)
        return qn_why(why, QN_E_SIGNATURE, "%u signatures, the account needs %u", auth->sigs.cnt,
                      need);
    int last = -1;
    for (uint32_t i = 0; i < auth->sigs.cnt; i++) {
        const struct qn_auth_sig *s = &auth->sigs.ptr[i];
        if (s->key <= last || s->key >= keys)
            return qn_why(why, QN_E_FORMAT, "signatures must have rising key numbers");
        last = s->key;
        pubs[i] = (const struct qn_hash *)(p.ptr + s->key * (size_t)32);
    }
    return QN_OK;
}

struct qn_hash qn_tx_whole(const struct qn_tx *tx)
{
    struct qn_buf buf = { 0 };
    qn_encode(qn_tx_record(), tx, &buf);
    struct qn_hash h = qn_h("tx whole", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return h;
}

struct qn_hash qn_body_root(const struct qn_tx *txs, uint32_t cnt)
{
    struct qn_hasher h;
    qn_hasher_label(&h, "body");
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_hash whole = qn_tx_whole(&txs[i]);
        qn_hasher_put(&h, whole.b, sizeof whole.b);
    }
    return qn_hasher_end(&h);
}

struct qn_hash qn_body_root_of(const struct qn_hash *wholes, uint32_t cnt)
{
    return qn_h("body", wholes, cnt * sizeof *wholes);
}

/* Bytes of what is not in the id: the list of auths. core.def has the fields. */
static size_t auths_len(const struct qn_tx *tx)
{
    size_t len = 4;
    for (uint32_t i = 0; i < tx->auths.cnt; i++)
        len += 32 + 4 + tx->auths.ptr[i].policy.len + 4 + 65 * (size_t)tx->auths.ptr[i].sigs.cnt;
    return len;
}

size_t qn_tx_len(const struct qn_tx *tx)
{
    return 1 + 32 + 2 + 32 + 8 + 8 + 8 + 4 + 8 + 8 + 1 + (tx->mandate.has ? 32u : 0u) + 4 +
           tx->body.len + auths_len(tx);
}

void qn_tx_names(const struct qn_tx *tx, struct qn_span bytes, struct qn_hash *ret_id,
                 struct qn_hash *ret_whole)
{
    QN_ASSERT(bytes.len == qn_tx_len(tx));
    *ret_id = qn_h("tx", bytes.ptr, bytes.len - auths_len(tx));
    *ret_whole = qn_h("tx whole", bytes.ptr, bytes.len);
}

bool qn_tx_slot(const struct qn_hash *sender, uint64_t salt, struct qn_hash *ret)
{
    uint8_t buf[40];
    if (salt >> 63 == 0) return false;
    memcpy(buf, sender->b, 32);
    memcpy(buf + 32, &salt, 8);
    *ret = qn_h("slot", buf, sizeof buf);
    return true;
}

qn_rc qn_tx_look(const struct qn_tx *tx, const struct qn_hash *chain, struct qn_why *why)
{
    if (tx->ver != 1)
        return qn_why(why, QN_E_FORMAT, "transaction version %u, this node knows 1", tx->ver);
    if (!qn_hash_eq(&tx->chain, chain))
        return qn_why(why, QN_E_FOREIGN, "the transaction is for another chain");
    if (tx->until_ms <= tx->from_ms || tx->until_ms - tx->from_ms > QN_TX_SPAN_MS)
        return qn_why(why, QN_E_RANGE, "it must be valid for 1 to %u ms", QN_TX_SPAN_MS);
    /* Signatures are not in the id: one more than needed would be a stranger's to add, at the sender's cost. */
    if (tx->auths.cnt != 1 || !qn_hash_eq(&tx->auths.ptr[0].acct, &tx->sender))
        return qn_why(why, QN_E_SIGNATURE, "the sender signs, and nobody else");
    return QN_OK;
}

qn_rc qn_tx_check(const struct qn_tx *tx, const struct qn_hash *id, const struct qn_hash *chain,
                  struct qn_why *why)
{
    const struct qn_hash *pubs[SIGS_MAX];
    uint8_t msg[MESSAGE];
    qn_rc rc = qn_tx_look(tx, chain, why);
    if (rc == QN_OK) rc = look_auth(tx->auths.ptr, pubs, why);
    if (rc) return rc;
    message(chain, id, msg);
    for (uint32_t i = 0; i < tx->auths.ptr->sigs.cnt; i++)
        if (!qn_verify(pubs[i], QN_SPAN(msg, sizeof msg), &tx->auths.ptr->sigs.ptr[i].sig))
            return qn_why(why, QN_E_SIGNATURE, "a signature does not verify");
    return QN_OK;
}

/* Signatures on their way to qn_verify_many: of whole transactions, until there are GROUP. */
#define GROUP 64
struct group {
    struct qn_verify_item items[GROUP + SIGS_MAX];
    size_t of[GROUP + SIGS_MAX]; /* the transaction of each */
    uint8_t msgs[GROUP][MESSAGE];
    size_t sig_cnt, tx_cnt;
};

static void verify(struct group *g, qn_rc ret_rc[])
{
    bool ok[GROUP + SIGS_MAX];
    qn_verify_many(g->items, g->sig_cnt, ok);
    for (size_t i = 0; i < g->sig_cnt; i++)
        if (!ok[i]) ret_rc[g->of[i]] = QN_E_SIGNATURE;
    g->sig_cnt = g->tx_cnt = 0;
}

qn_rc qn_tx_check_many(const struct qn_tx *const txs[], const struct qn_hash ids[], size_t cnt,
                       const struct qn_hash *chain, qn_rc ret_rc[], struct qn_why *why)
{
    const struct qn_hash *pubs[SIGS_MAX];
    struct group g = { .sig_cnt = 0 };
    struct qn_why said;
    for (size_t i = 0; i < cnt; i++) {
        ret_rc[i] = qn_tx_look(txs[i], chain, &said);
        if (ret_rc[i] == QN_OK) ret_rc[i] = look_auth(txs[i]->auths.ptr, pubs, &said);
        if (ret_rc[i]) continue;
        const struct qn_auth *auth = txs[i]->auths.ptr;
        uint8_t *msg = g.msgs[g.tx_cnt++]; /* each has at least one signature */
        message(chain, &ids[i], msg);
        for (uint32_t k = 0; k < auth->sigs.cnt; k++, g.sig_cnt++) {
            g.items[g.sig_cnt] =
                (struct qn_verify_item){ pubs[k], &auth->sigs.ptr[k].sig, QN_SPAN(msg, MESSAGE) };
            g.of[g.sig_cnt] = i;
        }
        if (g.sig_cnt >= GROUP) verify(&g, ret_rc);
    }
    verify(&g, ret_rc);
    for (size_t i = 0; i < cnt; i++)
        if (ret_rc[i]) return qn_tx_check(txs[i], &ids[i], chain, why) ? ret_rc[i] : QN_E_SIGNATURE;
    return QN_OK;
}
