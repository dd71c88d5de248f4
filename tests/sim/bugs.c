/* bugs.c - what the linker puts in the place of some of the node's functions, in this program alone (-Wl,--wrap): signatures as keyed
 * hashes, and bugs planted to see whether the checks bite. */
#include "ledger/bft/beacon.h"
#include "ledger/state/recent.h"
#include "ledger/state/trie.h"
#include "ledger/store/journal.h"
#include "ledger/store/store.h"
#include "tests/sim/sim.h"

#include <malloc.h>
#include <string.h>

/* The replaced functions are reached without a context: here lies the one of whoever runs. */
static struct {
    struct sim_host *host;
    int bug;
    bool real_keys, quiet;
} now;

void sim_bugs_enter(struct sim_host *h)
{
    now.host = h;
}

void sim_quiet(bool quiet)
{
    now.quiet = quiet;
}

void sim_bugs_arm(int bug, bool real_keys)
{
    now.bug = bug;
    now.real_keys = real_keys;
}

/* --- signatures ---------------------------------------------------------------------------------------------------------------- */

struct qn_sig __real_qn_sign(const struct qn_key *key, struct qn_span msg);
bool __real_qn_verify(const struct qn_hash *pub, struct qn_span msg, const struct qn_sig *sig);
struct qn_sig __wrap_qn_sign(const struct qn_key *key, struct qn_span msg);
bool __wrap_qn_verify(const struct qn_hash *pub, struct qn_span msg, const struct qn_sig *sig);
void __real_qn_verify_many(const struct qn_verify_item items[], size_t cnt, bool ret_ok[]);
void __wrap_qn_verify_many(const struct qn_verify_item items[], size_t cnt, bool ret_ok[]);

static uint64_t mix(uint64_t h, uint64_t x)
{
    __extension__ unsigned __int128 m = (unsigned __int128)(h ^ x) * 0x9e3779b97f4a7c15u;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t keyed(uint64_t h, const uint8_t *p, size_t len)
{
    uint64_t x;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&x, p, 8);
        h = mix(h, x);
    }
    x = len;
    memcpy(&x, p, len);
    return mix(h, x ^ (uint64_t)len << 56);
}

static struct qn_sig hash_sign(const struct qn_hash *pub, struct qn_span msg)
{
    struct qn_sig sig = { { 0 } };
    for (unsigned i = 0; i < 2; i++) {
        uint64_t h = keyed(keyed(0x243f6a8885a308d3u + i, pub->b, 32), msg.ptr, msg.len);
        memcpy(sig.b + 8 * i, &h, 8);
    }
    return sig;
}

struct qn_sig __wrap_qn_sign(const struct qn_key *key, struct qn_span msg)
{
    if (now.real_keys) return __real_qn_sign(key, msg);
    return hash_sign(&key->pub, msg);
}

bool __wrap_qn_verify(const struct qn_hash *pub, struct qn_span msg, const struct qn_sig *sig)
{
    if (now.bug == SIM_BUG_no_verify) return true;
    if (now.real_keys) return __real_qn_verify(pub, msg, sig);
    struct qn_sig want = hash_sign(pub, msg);
    return memcmp(want.b, sig->b, sizeof want.b) == 0;
}

void __wrap_qn_verify_many(const struct qn_verify_item items[], size_t cnt, bool ret_ok[])
{
    if (now.real_keys) {
        __real_qn_verify_many(items, cnt, ret_ok);
        return;
    }
    for (size_t i = 0; i < cnt; i++)
        ret_ok[i] = __wrap_qn_verify(items[i].pub, items[i].msg, items[i].sig);
}

/* The beacon's draw: what hash_sign gives, shown as the proof. */
void __real_qn_vrf_prove(const struct qn_key *key, struct qn_span alpha, struct qn_vrf_proof *ret,
                         uint8_t ret_out[QN_VRF_OUT]);
bool __real_qn_vrf_verify(const struct qn_hash *pub, struct qn_span alpha,
                          const struct qn_vrf_proof *proof, uint8_t ret_out[QN_VRF_OUT]);
void __wrap_qn_vrf_prove(const struct qn_key *key, struct qn_span alpha, struct qn_vrf_proof *ret,
                         uint8_t ret_out[QN_VRF_OUT]);
bool __wrap_qn_vrf_verify(const struct qn_hash *pub, struct qn_span alpha,
                          const struct qn_vrf_proof *proof, uint8_t ret_out[QN_VRF_OUT]);

static void hash_draw(const struct qn_hash *pub, struct qn_span alpha, struct qn_vrf_proof *ret,
                      uint8_t *ret_out)
{
    struct qn_sig out = hash_sign(pub, alpha);
    *ret = (struct qn_vrf_proof){ { 0 } };
    memcpy(ret->b, out.b, sizeof out.b);
    if (ret_out) memcpy(ret_out, out.b, QN_VRF_OUT);
}

void __wrap_qn_vrf_prove(const struct qn_key *key, struct qn_span alpha, struct qn_vrf_proof *ret,
                         uint8_t ret_out[QN_VRF_OUT])
{
    if (now.real_keys)
        __real_qn_vrf_prove(key, alpha, ret, ret_out);
    else
        hash_draw(&key->pub, alpha, ret, ret_out);
}

bool __wrap_qn_vrf_verify(const struct qn_hash *pub, struct qn_span alpha,
                          const struct qn_vrf_proof *proof, uint8_t ret_out[QN_VRF_OUT])
{
    struct qn_vrf_proof want;
    if (now.bug == SIM_BUG_no_vrf) {
        memcpy(ret_out, proof->b, QN_VRF_OUT);
        return true;
    }
    if (now.real_keys) return __real_qn_vrf_verify(pub, alpha, proof, ret_out);
    hash_draw(pub, alpha, &want, ret_out);
    return memcmp(want.b, proof->b, sizeof want.b) == 0;
}

void __real_qn_vrf_verify_many(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                               uint8_t ret_out[][QN_VRF_OUT]);
void __wrap_qn_vrf_verify_many(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                               uint8_t ret_out[][QN_VRF_OUT]);

void __wrap_qn_vrf_verify_many(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                               uint8_t ret_out[][QN_VRF_OUT])
{
    if (now.real_keys && now.bug != SIM_BUG_no_vrf) {
        __real_qn_vrf_verify_many(items, cnt, ret_ok, ret_out);
        return;
    }
    for (size_t i = 0; i < cnt; i++)
        ret_ok[i] = __wrap_qn_vrf_verify(items[i].pub, items[i].alpha, items[i].proof, ret_out[i]);
}

bool sim_beacon_good(const struct sim_world *w, const struct qn_header *h)
{
    struct qn_hash beacon;
    int bug = now.bug;
    now.bug = 0;
    bool good = qn_beacon_check(&h->proposer, &w->chain, &w->beacon, h->height, &h->vrf, &beacon) &&
                qn_hash_eq(&beacon, &h->beacon);
    now.bug = bug;
    return good;
}

/* --- memory, and a map that is full ------------------------------------------------------------------------------------------------- */

void *__real_malloc(size_t len);
void *__real_calloc(size_t cnt, size_t len);
void *__real_realloc(void *p, size_t len);
void __real_free(void *p);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t cnt, size_t len);
void *__wrap_realloc(void *p, size_t len);
void __wrap_free(void *p);
qn_rc __real_qn_store_put(struct qn_store *st, struct qn_span key, struct qn_span val,
                          struct qn_why *why);
qn_rc __wrap_qn_store_put(struct qn_store *st, struct qn_span key, struct qn_span val,
                          struct qn_why *why);

qn_rc __real_qn_journal_read(struct qn_journal *j, struct qn_frame_at at, struct qn_buf *ret,
                             struct qn_why *why);
qn_rc __wrap_qn_journal_read(struct qn_journal *j, struct qn_frame_at at, struct qn_buf *ret,
                             struct qn_why *why);

/* Counts what is held by whoever runs. */
static void *held(void *p, int sign)
{
    if (p && now.host && !now.quiet) now.host->memory += sign * (int64_t)malloc_usable_size(p);
    return p;
}

void *__wrap_malloc(size_t len)
{
    return held(__real_malloc(len), 1);
}

void *__wrap_calloc(size_t cnt, size_t len)
{
    return held(__real_calloc(cnt, len), 1);
}

void *__wrap_realloc(void *p, size_t len)
{
    held(p, -1);
    return held(__real_realloc(p, len), 1);
}

void __wrap_free(void *p)
{
    held(p, -1);
    __real_free(p);
}

qn_rc __wrap_qn_store_put(struct qn_store *st, struct qn_span key, struct qn_span val,
                          struct qn_why *why)
{
    if (now.host && now.host->map_full)
        return qn_why(why, QN_E_MAPFULL, "state.mdb: the map is full");
    return __real_qn_store_put(st, key, val, why);
}

qn_rc __wrap_qn_journal_read(struct qn_journal *j, struct qn_frame_at at, struct qn_buf *ret,
                             struct qn_why *why)
{
    qn_rc rc = __real_qn_journal_read(j, at, ret, why);
    if (rc == QN_E_CORRUPT && now.host) sim_saw(now.host->w, SEEN_rot_read);
    return rc;
}

/* --- planted bugs ------------------------------------------------------------------------------------------------------------------ */

void __real_qn_delta_swap(struct qn_state *st, struct qn_delta *delta);
void __wrap_qn_delta_swap(struct qn_state *st, struct qn_delta *delta);
qn_rc __real_qn_chain_pledge(struct qn_chain *c, const struct qn_pledge *p, struct qn_why *why);
qn_rc __wrap_qn_chain_pledge(struct qn_chain *c, const struct qn_pledge *p, struct qn_why *why);
qn_rc __real_qn_cert_valid(const struct qn_cert *cert, const struct qn_hash *chain,
                           const struct qn_set *set, struct qn_why *why);
qn_rc __wrap_qn_cert_valid(const struct qn_cert *cert, const struct qn_hash *chain,
                           const struct qn_set *set, struct qn_why *why);
void __real_qn_due_set(struct qn_apply *ap, uint16_t kind, const struct qn_hash *id,
                       uint64_t at_ms);
void __wrap_qn_due_set(struct qn_apply *ap, uint16_t kind, const struct qn_hash *id,
                       uint64_t at_ms);
unsigned long __real_crc32(unsigned long crc, const unsigned char *buf, unsigned len);
unsigned long __wrap_crc32(unsigned long crc, const unsigned char *buf, unsigned len);
qn_rc __real_qn_trie_check(const struct qn_hash *root, struct qn_span from, struct qn_span to,
                           struct qn_span rows, struct qn_span edge);
qn_rc __wrap_qn_trie_check(const struct qn_hash *root, struct qn_span from, struct qn_span to,
                           struct qn_span rows, struct qn_span edge);
qn_rc __real_qn_store_del(struct qn_store *st, struct qn_span key, struct qn_why *why);
qn_rc __wrap_qn_store_del(struct qn_store *st, struct qn_span key, struct qn_why *why);
const struct qn_recent_block *__real_qn_recent_find(const struct qn_recent *r,
                                                    const struct qn_hash *key);
const struct qn_recent_block *__wrap_qn_recent_find(const struct qn_recent *r,
                                                    const struct qn_hash *key);

void __wrap_qn_delta_swap(struct qn_state *st, struct qn_delta *delta)
{
    if (now.bug != SIM_BUG_no_undo) __real_qn_delta_swap(st, delta);
}

qn_rc __wrap_qn_chain_pledge(struct qn_chain *c, const struct qn_pledge *p, struct qn_why *why)
{
    struct qn_pledge bare = *p;
    if (now.bug == SIM_BUG_no_body) bare.proposals.cnt = 0;
    return __real_qn_chain_pledge(c, &bare, why);
}

qn_rc __wrap_qn_cert_valid(const struct qn_cert *cert, const struct qn_hash *chain,
                           const struct qn_set *set, struct qn_why *why)
{
    return now.bug == SIM_BUG_blind_cert ? QN_OK : __real_qn_cert_valid(cert, chain, set, why);
}

void __wrap_qn_due_set(struct qn_apply *ap, uint16_t kind, const struct qn_hash *id, uint64_t at_ms)
{
    bool late = now.bug == SIM_BUG_clock_apply && now.host && sim_host_ms(now.host) % 2;
    __real_qn_due_set(ap, kind, id, at_ms + late);
}

unsigned long __wrap_crc32(unsigned long crc, const unsigned char *buf, unsigned len)
{
    return now.bug == SIM_BUG_no_crc ? 1 : __real_crc32(crc, buf, len);
}

qn_rc __wrap_qn_store_del(struct qn_store *st, struct qn_span key, struct qn_why *why)
{
    return now.bug == SIM_BUG_no_mark ? QN_OK : __real_qn_store_del(st, key, why);
}

const struct qn_recent_block *__wrap_qn_recent_find(const struct qn_recent *r,
                                                    const struct qn_hash *key)
{
    return now.bug == SIM_BUG_no_ids ? NULL : __real_qn_recent_find(r, key);
}

qn_rc __wrap_qn_trie_check(const struct qn_hash *root, struct qn_span from, struct qn_span to,
                           struct qn_span rows, struct qn_span edge)
{
    return now.bug == SIM_BUG_blind_rows ? QN_OK : __real_qn_trie_check(root, from, to, rows, edge);
}
