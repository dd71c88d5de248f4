/* calls.c - what anyone may ask about subnets, and what contracts may. */
#include "modules/subnet/score.h"
#include "modules/subnet/subnet.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

json_t *subnet_hex(const struct qn_hash *h)
{
    char text[65];
    qn_hex(h->b, 32, text);
    return json_string(text);
}

static json_t *state_json(const struct qn_view *view, const struct subnet_state *s)
{
    json_t *ret = qn_to_json(subnet_state_record(), s);
    json_object_set_new(ret, "price_uqn",
                        json_integer((json_int_t)subnet_price(s, qn_view_height(view) + 1)));
    json_object_set_new(ret, "next_ms",
                        json_integer((json_int_t)(s->epoch_ms + s->rules.tempo_ms)));
    return ret;
}

static qn_rc list_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    (void)params, (void)why;
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash sid;
    *ret = json_array();
    while (json_array_size(*ret) < 1024 &&
           qn_view_next(ctx->view, SUBNET_T_STATE, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct subnet_state s;
        memcpy(sid.b, key.ptr, 32);
        after = QN_SPAN(sid.b, 32);
        qn_rc rc =
            qn_view_rec(ctx->view, SUBNET_T_STATE, after, subnet_state_record(), ctx->arena, &s);
        if (rc) return rc;
        json_array_append_new(*ret, state_json(ctx->view, &s));
    }
    return QN_OK;
}

static qn_rc show_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct subnet_name *p = params;
    struct subnet_state s;
    struct qn_hash sid;
    qn_rc rc = subnet_get(ctx->view, p->subnet, ctx->arena, &sid, &s, why);
    if (rc == QN_OK) *ret = state_json(ctx->view, &s);
    return rc;
}

/* Q32 as it is, and readable parts of a million. */
static void add_q32(json_t *obj, const char *name, q32 v)
{
    char ppm[32];
    snprintf(ppm, sizeof ppm, "%s_ppm", name);
    json_object_set_new(obj, ppm, json_integer(q32_mul(v, 1000000)));
}

static json_t *seat_json(const struct qn_view *view, const struct qn_hash *sid, uint32_t uid,
                         const struct subnet_seat *seat)
{
    json_t *ret = qn_to_json(subnet_seat_record(), seat);
    json_object_set_new(ret, "uid", json_integer(uid));
    json_object_set_new(ret, "bonded_uqn",
                        json_integer((json_int_t)subnet_bonded(view, sid, &seat->hotkey)));
    add_q32(ret, "incentive", seat->incentive);
    add_q32(ret, "dividend", seat->dividend);
    add_q32(ret, "consensus", seat->consensus);
    add_q32(ret, "trust", seat->trust);
    return ret;
}

static qn_rc metagraph_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why)
{
    const struct subnet_name *p = params;
    struct subnet_state s;
    struct qn_hash sid;
    qn_rc rc = subnet_get(ctx->view, p->subnet, ctx->arena, &sid, &s, why);
    if (rc) return rc;
    *ret = json_array();
    for (uint32_t uid = 0; uid < s.n; uid++) {
        struct subnet_seat seat;
        subnet_seat_get(ctx->view, &sid, uid, ctx->arena, &seat);
        json_array_append_new(*ret, seat_json(ctx->view, &sid, uid, &seat));
    }
    return QN_OK;
}

static qn_rc uid_of(struct qn_call_ctx *ctx, const struct subnet_uid *p, struct qn_hash *sid,
                    struct subnet_state *s, struct qn_why *why)
{
    qn_rc rc = subnet_get(ctx->view, p->subnet, ctx->arena, sid, s, why);
    if (rc == QN_OK && p->uid >= s->n)
        rc = qn_why(why, QN_E_NOTFOUND, "the subnet has seats 0 to %d", (int)s->n - 1);
    return rc;
}

static json_t *cells_json(const struct qn_view *view, uint8_t table, const struct qn_hash *sid,
                          uint32_t uid, struct qn_arena *arena)
{
    struct subnet_cells cells = { 0 };
    struct subnet_key key = subnet_key_uid(sid, uid);
    json_t *ret = json_array();
    if (qn_view_rec(view, table, subnet_key_span(&key), subnet_cells_record(), arena, &cells))
        return ret;
    for (uint32_t i = 0; i < cells.uids.cnt; i++)
        json_array_append_new(ret,
                              json_pack("[i, i]", (int)cells.uids.ptr[i], (int)cells.vals.ptr[i]));
    return ret;
}

static qn_rc seat_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct subnet_uid *p = params;
    struct subnet_state s;
    struct subnet_seat seat;
    struct qn_hash sid;
    qn_rc rc = uid_of(ctx, p, &sid, &s, why);
    if (rc) return rc;
    subnet_seat_get(ctx->view, &sid, p->uid, ctx->arena, &seat);
    *ret = seat_json(ctx->view, &sid, p->uid, &seat);
    json_object_set_new(*ret, "weights",
                        cells_json(ctx->view, SUBNET_T_ROW, &sid, p->uid, ctx->arena));
    json_object_set_new(*ret, "bonds",
                        cells_json(ctx->view, SUBNET_T_BOND, &sid, p->uid, ctx->arena));
    return QN_OK;
}

static qn_rc past_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct subnet_at *p = params;
    struct subnet_state s;
    struct subnet_past past;
    struct qn_hash sid;
    qn_rc rc = subnet_get(ctx->view, p->subnet, ctx->arena, &sid, &s, why);
    if (rc) return rc;
    uint64_t epoch = p->epoch.has ? p->epoch.v : s.epoch ? s.epoch - 1 : 0;
    struct subnet_key key = subnet_key_epoch(&sid, epoch);
    rc = qn_view_rec(ctx->view, SUBNET_T_PAST, subnet_key_span(&key), subnet_past_record(),
                     ctx->arena, &past);
    if (rc) return qn_why(why, rc, "that epoch has not run, or is older than the last 64");
    *ret = qn_to_json(subnet_past_record(), &past);
    json_object_set_new(*ret, "epoch", json_integer((json_int_t)epoch));
    return QN_OK;
}

/* Each term of the epoch for one seat, on the rows as they stand: what the next epoch would give if nothing changed. */
static qn_rc why_call(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct subnet_uid *p = params;
    struct subnet_state s;
    struct subnet_epoch_in in;
    struct subnet_epoch_out out;
    struct qn_hash sid;
    qn_rc rc = uid_of(ctx, p, &sid, &s, why);
    if (rc) return rc;
    subnet_input(ctx->view, &sid, &s, s.carry.uqn, ctx->arena, &in);
    rc = subnet_epoch(&in, ctx->arena, &out);
    if (rc) return qn_why(why, rc, "the epoch passes the request's memory");
    uint32_t j = p->uid;
    json_t *from = json_array(), *bonds = json_array();
    for (uint32_t i = 0; i < in.n; i++) {
        uint64_t sum = 0, given = 0;
        const char *masked = NULL;
        for (uint32_t c = 0; c < in.weights[i].cnt; c++) {
            sum += in.weights[i].cells[c].val;
            if (in.weights[i].cells[c].uid == j) given = in.weights[i].cells[c].val;
        }
        if (in.weights[i].cnt == 0) continue;
        if (!in.permit[i])
            masked = "the validator had no permit";
        else if (i == j && in.owner != (int64_t)i)
            masked = "its own weight";
        else if (in.last_update[i] <= in.registered[j])
            masked = "the row is older than the seat";
        else if (in.commit_block && in.commit_block[i] < in.registered[j])
            masked = "the commit is older than the seat";
        else if (out.active[i] == 0)
            masked = "the validator is inactive or without stake";
        q32 w = masked || !sum ? 0 : q32_div((q32)given << 32, (q32)sum << 32);
        q32 cut = QN_MIN(w, out.consensus[j]);
        json_t *one =
            json_pack("{s:i, s:I, s:I}", "validator", (int)i, "weight_u16", (json_int_t)given,
                      "active_stake_ppm", (json_int_t)q32_mul(out.active[i], 1000000));
        add_q32(one, "share", w);
        add_q32(one, "clipped", cut);
        add_q32(one, "adds", q32_mul(out.active[i], cut));
        if (masked) json_object_set_new(one, "masked", json_string(masked));
        json_array_append_new(from, one);
    }
    for (uint32_t c = 0; c < out.bonds[j].cnt; c++) {
        uint32_t to = out.bonds[j].cells[c].uid;
        json_t *one =
            json_pack("{s:i, s:i}", "miner", (int)to, "bond_u16", (int)out.bonds[j].cells[c].val);
        add_q32(one, "incentive", out.incentive[to]);
        json_array_append_new(bonds, one);
    }
    *ret = json_pack("{s:i, s:b, s:o, s:o}", "uid", (int)j, "permit_next", out.permit[j], "rows",
                     from, "bonds", bonds);
    add_q32(*ret, "stake", out.stake[j]);
    add_q32(*ret, "active", out.active[j]);
    add_q32(*ret, "consensus", out.consensus[j]);
    add_q32(*ret, "trust", out.vtrust[j]);
    add_q32(*ret, "incentive", out.incentive[j]);
    add_q32(*ret, "dividend", out.dividend[j]);
    json_object_set_new(*ret, "server_uqn", json_integer((json_int_t)out.server[j]));
    json_object_set_new(*ret, "validator_uqn", json_integer((json_int_t)out.validator[j]));
    return QN_OK;
}

static qn_rc hide_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    (void)why;
    const struct subnet_hide *p = params;
    struct qn_hash chain = qn_view_chain(ctx->view), sid = subnet_id(p->subnet);
    struct qn_hash h =
        weights_hash(&chain, &sid, &p->hotkey, p->epoch, &p->leaf_root, p->leaf_cnt, &p->body);
    *ret = json_pack("{s:o}", "body_hash", subnet_hex(&h));
    return QN_OK;
}

/* To add a call: a function above (or in score_calls.c), a line here. */
const struct qn_call SUBNET_CALLS[] = {
    { "subnet.list", "subnets of this chain", "subnet list", QN_CALL_QUERY | QN_CALL_MANY, NULL,
      NULL, "name owner epoch n price_uqn carry", list_call },
    { "subnet.show", "a subnet: rules, price of a seat, open epoch", "subnet show fashion",
      QN_CALL_QUERY, subnet_name_record, "subnet", "name owner rules epoch n price_uqn next_ms",
      show_call },
    { "subnet.metagraph", "all seats of a subnet with what the last epoch gave them",
      "subnet metagraph fashion", QN_CALL_QUERY | QN_CALL_MANY, subnet_name_record, "subnet",
      "uid permit incentive_ppm dividend_ppm emission bonded_uqn hotkey", metagraph_call },
    { "subnet.seat", "a seat with its weights and bonds", "subnet seat fashion 3", QN_CALL_QUERY,
      subnet_uid_record, "subnet uid", "uid hotkey weights bonds emission earned", seat_call },
    { "subnet.past", "what an epoch came to", "subnet past fashion", QN_CALL_QUERY,
      subnet_at_record, "subnet epoch", "epoch root at_ms emission owner carry", past_call },
    { "subnet.why", "each term of the epoch for a seat, on the rows as they stand",
      "subnet why fashion 3", QN_CALL_QUERY, subnet_uid_record, "subnet uid",
      "uid rows bonds consensus_ppm incentive_ppm dividend_ppm server_uqn validator_uqn",
      why_call },
    { "subnet.hide", "the hash that a commit of weights is bound to",
      "subnet hide --subnet fashion --hotkey @val1 --epoch 3 --body "
      "'{\"uids\":[0],\"vals\":[65535]}'",
      QN_CALL_QUERY, subnet_hide_record, NULL, "body_hash", hide_call },
    SUBNET_SCORE_CALLS,
    { 0 },
};

/* --- contracts ------------------------------------------------------------------------------------------------------------ */

struct ranked {
    uint32_t uid;
    struct subnet_seat seat;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->seat.emission.uqn != y->seat.emission.uqn)
        return x->seat.emission.uqn > y->seat.emission.uqn ? -1 : 1;
    return x->seat.reg < y->seat.reg ? -1 : x->seat.reg > y->seat.reg;
}

/* The last closed epoch's miners, best first; never the open one, so that nobody acts on what may still change. */
static qn_rc ranking(const struct qn_view *view, const json_t *arg, json_t **ret,
                     struct qn_why *why)
{
    struct qn_arena arena = { .max = 4u << 20 };
    struct subnet_state s;
    struct qn_hash sid;
    uint32_t cnt = 0;
    const char *name = json_string_value(json_object_get(arg, "subnet"));
    json_int_t k = json_object_get(arg, "k") ? json_integer_value(json_object_get(arg, "k")) : 10;
    if (!name || k < 1 || k > 100)
        return qn_why(why, QN_E_USAGE, "ranking: expected {subnet = name, k = 1 to 100}");
    qn_rc rc = subnet_get(view, QN_SPAN(name, strlen(name)), &arena, &sid, &s, why);
    struct ranked *list = rc ? NULL : qn_arena_alloc(&arena, s.n * sizeof *list + 1);
    if (rc == QN_OK && !list) rc = QN_E_MEMORY;
    for (uint32_t uid = 0; rc == QN_OK && uid < s.n; uid++) {
        subnet_seat_get(view, &sid, uid, &arena, &list[cnt].seat);
        list[cnt].uid = uid;
        cnt += list[cnt].seat.incentive > 0;
    }
    if (rc == QN_OK) {
        qsort(list, cnt, sizeof *list, by_rank);
        *ret = json_array();
        for (uint32_t i = 0; i < cnt && i < (uint32_t)k; i++)
            json_array_append_new(*ret,
                                  json_pack("{s:i, s:o, s:I, s:I, s:I}", "uid", (int)list[i].uid,
                                            "account", subnet_hex(&list[i].seat.hotkey),
                                            "incentive", (json_int_t)list[i].seat.incentive,
                                            "emission", (json_int_t)list[i].seat.emission.uqn,
                                            "reg", (json_int_t)list[i].seat.reg));
    }
    qn_arena_free(&arena);
    return rc;
}

const struct qn_chain_fn SUBNET_CHAIN[] = {
    { "ranking", "miners of a subnet's last closed epoch, best first: {subnet = name, k = 10}",
      20000, ranking },
    { 0 },
};
