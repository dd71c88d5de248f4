/* score.c - running a subnet's script: questions, scores, rows. */
#include "modules/subnet/score.h"

#include "core/crypto/hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD      64 /* bytes before the first record of a data set ("QNDS", see modules/training) */
#define TRUTH_MAX 1024
#define DEPTH_MAX 16

qn_rc market_get(struct qn_call_ctx *ctx, struct qn_span name, struct subnet_market *ret,
                 struct qn_why *why)
{
    *ret = (struct subnet_market){ .ctx = ctx, .gas = SUBNET_GAS_ALL };
    qn_rc rc = subnet_get(ctx->view, name, ctx->arena, &ret->sid, &ret->s, why);
    if (rc) return rc;
    bool found = qn_view_get(ctx->view, SUBNET_T_SCRIPT, QN_SPAN(ret->sid.b, 32), &ret->script);
    QN_ASSERT(found); /* founded together */
    return QN_OK;
}

static qn_rc run(struct subnet_market *m, const char *fn, json_t *args QN_TAKES, uint64_t max,
                 json_t **ret, struct qn_why *why)
{
    char name[40];
    uint64_t used = 0;
    *ret = NULL;
    snprintf(name, sizeof name, "%.*s", (int)m->s.name.len, (const char *)m->s.name.ptr);
    qn_rc rc = m->ctx->ops->script(m->ctx->node, name, m->script, fn, args, QN_MIN(max, m->gas),
                                   &used, ret, why);
    m->gas -= QN_MIN(m->gas, used);
    json_decref(args);
    if (rc == QN_OK && !*ret) *ret = json_null();
    return rc;
}

/* --- the data set ------------------------------------------------------------------------------------------------------ */

struct set {
    int fd;
    uint32_t rec_bytes, rec_cnt, label_off, class_cnt;
};

static qn_rc set_open(const struct subnet_market *m, struct set *ret, struct qn_why *why)
{
    char path[4096];
    uint8_t head[HEAD];
    struct qn_span s = QN_SPAN(head, HEAD), magic;
    uint32_t version, dims[4];
    qn_rc rc = m->ctx->ops->blob_path(m->ctx->node, &m->s.data.v, path, sizeof path, why);
    if (rc) return rc;
    ret->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (ret->fd < 0) return qn_why(why, QN_E_IO, "the data set cannot be opened");
    bool ok = read(ret->fd, head, HEAD) == HEAD && qn_take(&s, 4, &magic) &&
              memcmp(magic.ptr, "QNDS", 4) == 0 && qn_take_u32(&s, &version) && version == 1 &&
              qn_take_u32(&s, &ret->rec_bytes) && qn_take_u32(&s, &ret->rec_cnt);
    for (int i = 0; ok && i < 4; i++)
        ok = qn_take_u32(&s, &dims[i]);
    ok = ok && qn_take_u32(&s, &ret->label_off) && qn_take_u32(&s, &ret->class_cnt) &&
         ret->label_off < ret->rec_bytes && ret->rec_cnt > 0;
    if (ok) return QN_OK;
    close(ret->fd);
    return qn_why(why, QN_E_FORMAT, "the subnet's data set is none");
}

static qn_rc set_json(const struct subnet_market *m, json_t **ret, struct qn_why *why)
{
    struct set set;
    if (!m->s.data.has) {
        *ret = json_object();
        return QN_OK;
    }
    qn_rc rc = set_open(m, &set, why);
    if (rc) return rc;
    close(set.fd);
    *ret = json_pack("{s:I, s:I}", "rec_cnt", (json_int_t)set.rec_cnt, "class_cnt",
                     (json_int_t)set.class_cnt);
    return QN_OK;
}

/* Labels of the records that a question's `idx` names. */
static qn_rc truth_of(const struct subnet_market *m, const json_t *task, json_t **ret,
                      struct qn_why *why)
{
    struct set set;
    const json_t *idx = json_object_get(task, "idx");
    *ret = json_array();
    if (!m->s.data.has || !json_is_array(idx)) return QN_OK;
    qn_rc rc = set_open(m, &set, why);
    if (rc) return rc;
    for (size_t i = 0; rc == QN_OK && i < json_array_size(idx) && i < TRUTH_MAX; i++) {
        const json_t *at = json_array_get(idx, i);
        uint8_t label = 0;
        if (!json_is_integer(at) || json_integer_value(at) < 0 ||
            json_integer_value(at) >= (json_int_t)set.rec_cnt)
            rc = qn_why(why, QN_E_SCRIPT, "the question names a record that is not there");
        else if (pread(set.fd, &label, 1,
                       HEAD + (off_t)json_integer_value(at) * set.rec_bytes + set.label_off) != 1)
            rc = qn_why(why, QN_E_CORRUPT, "the data set is cut off");
        else
            json_array_append_new(*ret, json_integer(label));
    }
    close(set.fd);
    return rc;
}

/* --- questions and answers ------------------------------------------------------------------------------------------------ */

static struct qn_hash seed_of(const struct qn_hash *beacon, const struct qn_hash *sid, uint64_t reg,
                              uint32_t ctr)
{
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, beacon->b, 32);
    qn_buf_put(&buf, sid->b, 32);
    qn_buf_u64(&buf, reg);
    qn_buf_u32(&buf, ctr);
    struct qn_hash ret = qn_h("task", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return ret;
}

qn_rc market_task(struct subnet_market *m, uint64_t epoch, uint64_t reg, uint32_t ctr, json_t **ret,
                  struct qn_hash *ret_body, struct qn_why *why)
{
    struct qn_hash beacon;
    json_t *data = NULL;
    if (!subnet_beacon(m->ctx->view, &m->sid, &m->s, epoch, &beacon))
        return qn_why(why, QN_E_EXPIRED, "epoch %llu is not open, nor one of the last 64",
                      (unsigned long long)epoch);
    qn_rc rc = set_json(m, &data, why);
    if (rc) return rc;
    struct qn_hash seed = seed_of(&beacon, &m->sid, reg, ctr);
    rc = run(m, "task", json_pack("[o, o]", subnet_hex(&seed), data), SUBNET_GAS, ret, why);
    if (rc) return rc;
    char *text = json_dumps(*ret, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    QN_ASSERT(text != NULL);
    *ret_body = qn_blake3(text, strlen(text));
    free(text);
    return QN_OK;
}

static bool plain(const json_t *v, int depth)
{
    json_t *mutable = (json_t *)(uintptr_t)v, *one;
    const char *name;
    size_t i;
    if (depth > DEPTH_MAX || json_is_real(v)) return false;
    if (json_is_array(v))
        json_array_foreach(mutable, i, one) if (!plain(one, depth + 1)) return false;
    if (json_is_object(v))
        json_object_foreach(mutable, name, one) if (!plain(one, depth + 1)) return false;
    return true;
}

json_t *market_reply(struct qn_span body)
{
    json_t *v = json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
    if (v && !plain(v, 0)) {
        json_decref(v);
        return NULL;
    }
    return v;
}

qn_rc market_score(struct subnet_market *m, const json_t *task, const json_t *reply,
                   uint32_t late_ms, q32 *ret, char ret_why[64], struct qn_why *why)
{
    json_t *truth = NULL, *got = NULL;
    struct qn_why said = { "" };
    *ret = 0;
    ret_why[0] = 0;
    qn_rc rc = truth_of(m, task, &truth, why);
    if (rc) {
        json_decref(truth);
        return rc;
    }
    if (!reply) {
        snprintf(ret_why, 64, "no answer");
        json_decref(truth);
        return QN_OK;
    }
    json_t *args = json_pack("[O, O, o, I]", task, reply, truth, (json_int_t)late_ms);
    QN_ASSERT(args != NULL);
    rc = run(m, "score", args, SUBNET_GAS, &got, &said);
    if (rc == QN_OK && json_is_integer(got) && json_integer_value(got) >= 0 &&
        json_integer_value(got) <= Q32_ONE)
        *ret = json_integer_value(got);
    else
        snprintf(ret_why, 64, "%.60s", rc ? said.text : "the script gave no score from 0 to one");
    json_decref(got);
    return QN_OK;
}

/* --- rows ---------------------------------------------------------------------------------------------------------------------- */

static json_t *leaf_json(const struct subnet_market *m, const struct subnet_leaf *l)
{
    uint32_t uid;
    struct subnet_seat seat;
    if (!subnet_uid_of(m->ctx->view, &m->sid, &l->task.miner, &uid)) return NULL;
    subnet_seat_get(m->ctx->view, &m->sid, uid, m->ctx->arena, &seat);
    json_t *one = json_pack("{s:I, s:I, s:b, s:I, s:I, s:I, s:b}", "uid", (json_int_t)uid, "reg",
                            (json_int_t)seat.reg, "common", l->task.reg == 0, "ctr",
                            (json_int_t)l->task.ctr, "score", (json_int_t)l->score, "late_ms",
                            (json_int_t)l->late_ms, "silent", l->reply == NULL);
    if (l->task.reg == 0 && l->reply) {
        json_t *reply = market_reply(l->reply->body);
        if (reply) json_object_set_new(one, "reply", reply);
    }
    return one;
}

qn_rc market_row(struct subnet_market *m, const struct subnet_leaf *leaves, uint32_t cnt,
                 uint32_t *ret_uids, uint32_t *ret_vals, uint32_t *ret_cnt, struct qn_why *why)
{
    json_t *list = json_array(), *row = NULL, *one;
    size_t i;
    for (uint32_t k = 0; k < cnt; k++) {
        json_t *leaf = leaf_json(m, &leaves[k]);
        if (leaf) json_array_append_new(list, leaf); /* a miner that lost its seat is left out */
    }
    qn_rc rc = run(m, "aggregate", json_pack("[o]", list), SUBNET_GAS_ALL / 2, &row, why);
    *ret_cnt = 0;
    if (rc == QN_OK && (!json_is_array(row) || json_array_size(row) > SUBNET_SEATS_MAX))
        rc = qn_why(why, QN_E_SCRIPT, "aggregate gave no list of weights");
    json_array_foreach(row, i, one)
    {
        json_t *uid = json_object_get(one, "uid"), *weight = json_object_get(one, "weight");
        if (rc) break;
        if (!json_is_integer(uid) || !json_is_integer(weight) || json_integer_value(uid) < 0 ||
            json_integer_value(uid) >= (json_int_t)m->s.n || json_integer_value(weight) < 0 ||
            json_integer_value(weight) > 65535 ||
            (i && json_integer_value(uid) <= (json_int_t)ret_uids[i - 1])) {
            rc =
                qn_why(why, QN_E_SCRIPT, "aggregate: weight %zu is no {uid rising, weight u16}", i);
            break;
        }
        ret_uids[i] = (uint32_t)json_integer_value(uid);
        ret_vals[i] = (uint32_t)json_integer_value(weight);
        *ret_cnt = (uint32_t)i + 1;
    }
    json_decref(row);
    return rc;
}
