/* row.c - keys, and rows read into memory that outlives the next write. */
#include "modules/subnet/subnet.h"

#include "core/crypto/hash.h"

#include <string.h>

struct qn_hash subnet_id(struct qn_span name)
{
    return qn_h("subnet", name.ptr, name.len);
}

static void put_be(struct subnet_key *key, uint64_t v, size_t len)
{
    for (size_t i = len; i-- > 0;)
        key->b[key->len++] = (uint8_t)(v >> (8 * i));
}

static struct subnet_key begin(const struct qn_hash *sid)
{
    struct subnet_key key = { .len = 32 };
    memcpy(key.b, sid->b, 32);
    return key;
}

struct subnet_key subnet_key_uid(const struct qn_hash *sid, uint32_t uid)
{
    struct subnet_key key = begin(sid);
    put_be(&key, uid, 4);
    return key;
}

struct subnet_key subnet_key_hotkey(const struct qn_hash *sid, const struct qn_hash *hotkey)
{
    struct subnet_key key = begin(sid);
    memcpy(key.b + 32, hotkey->b, 32);
    key.len = 64;
    return key;
}

struct subnet_key subnet_key_epoch(const struct qn_hash *sid, uint64_t epoch)
{
    struct subnet_key key = begin(sid);
    put_be(&key, epoch, 8);
    return key;
}

struct subnet_key subnet_key_commit(const struct qn_hash *sid, uint64_t epoch,
                                    const struct qn_hash *hotkey)
{
    struct subnet_key key = subnet_key_epoch(sid, epoch);
    memcpy(key.b + key.len, hotkey->b, 32);
    key.len += 32;
    return key;
}

qn_rc subnet_get(const struct qn_view *view, struct qn_span name, struct qn_arena *arena,
                 struct qn_hash *ret_sid, struct subnet_state *ret, struct qn_why *why)
{
    *ret_sid = subnet_id(name);
    qn_rc rc = qn_view_rec(view, SUBNET_T_STATE, QN_SPAN(ret_sid->b, 32), subnet_state_record(),
                           arena, ret);
    if (rc)
        return qn_why(why, rc, "no subnet is called %.*s", (int)name.len, (const char *)name.ptr);
    return QN_OK;
}

void subnet_seat_get(const struct qn_view *view, const struct qn_hash *sid, uint32_t uid,
                     struct qn_arena *arena, struct subnet_seat *ret)
{
    struct subnet_key key = subnet_key_uid(sid, uid);
    qn_rc rc =
        qn_view_rec(view, SUBNET_T_SEAT, subnet_key_span(&key), subnet_seat_record(), arena, ret);
    QN_ASSERT(rc == QN_OK); /* uids below n are taken */
}

bool subnet_uid_of(const struct qn_view *view, const struct qn_hash *sid,
                   const struct qn_hash *hotkey, uint32_t *ret)
{
    struct subnet_key key = subnet_key_hotkey(sid, hotkey);
    struct qn_span val;
    if (!qn_view_get(view, SUBNET_T_HOTKEY, subnet_key_span(&key), &val)) return false;
    QN_ASSERT(val.len == sizeof *ret);
    return qn_take_u32(&val, ret);
}

bool subnet_commit_get(const struct qn_view *view, const struct qn_hash *sid, uint64_t epoch,
                       const struct qn_hash *hotkey, struct subnet_commit *ret)
{
    struct qn_arena arena = { 0 };
    struct subnet_key key = subnet_key_commit(sid, epoch, hotkey);
    qn_rc rc = qn_view_rec(view, SUBNET_T_COMMIT, subnet_key_span(&key), subnet_commit_record(),
                           &arena, ret); /* nothing in it lies in the arena */
    qn_arena_free(&arena);
    return rc == QN_OK;
}

struct qn_hash subnet_stake_id(const struct qn_hash *sid, const struct qn_hash *hotkey)
{
    return qn_h2("subnet/stake", sid, hotkey);
}

uint64_t subnet_bonded(const struct qn_view *view, const struct qn_hash *sid,
                       const struct qn_hash *hotkey)
{
    struct qn_arena arena = { 0 };
    struct qn_hash id = subnet_stake_id(sid, hotkey);
    struct subnet_stake s;
    qn_rc rc =
        qn_view_rec(view, SUBNET_T_STAKE, QN_SPAN(id.b, 32), subnet_stake_record(), &arena, &s);
    qn_arena_free(&arena);
    return rc ? 0 : s.bonded.uqn;
}

bool subnet_beacon(const struct qn_view *view, const struct qn_hash *sid,
                   const struct subnet_state *s, uint64_t epoch, struct qn_hash *ret)
{
    struct qn_arena arena = { 0 };
    struct subnet_past past;
    struct subnet_key key = subnet_key_epoch(sid, epoch);
    if (epoch == s->epoch) {
        *ret = s->beacon;
        return true;
    }
    qn_rc rc = qn_view_rec(view, SUBNET_T_PAST, subnet_key_span(&key), subnet_past_record(), &arena,
                           &past);
    if (rc == QN_OK) *ret = past.beacon;
    qn_arena_free(&arena);
    return rc == QN_OK;
}

void subnet_state_save(struct qn_apply *ap, const struct qn_hash *sid, const struct subnet_state *s)
{
    qn_row_put_rec(ap, SUBNET_T_STATE, QN_SPAN(sid->b, 32), subnet_state_record(), s);
}
