/* stake_calls.c - looking at validators, stake, parameters and proposals. Changing them is a transaction, from its table. */
#include "core/net/net.h"
#include "core/node/evidence.h"
#include "core/node/node.h"
#include "ledger/state/gov.h"
#include "ledger/state/param.h"
#include "ledger/state/stake.h"

#include <stdlib.h>
#include <string.h>

#include "core/schema/declare.h"

#include "core/node/stake.def"

#include "core/schema/define.h"

#include "core/node/stake.def"

#define LIMIT 100

static json_t *hex(const struct qn_hash *h)
{
    char text[65];
    qn_hex(h->b, 32, text);
    return json_string(text);
}

static json_t *text(struct qn_span s)
{
    return json_stringn((const char *)s.ptr, s.len);
}

static uint64_t num(const json_t *obj, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(obj, name));
}

/* The first `limit` of list, most `field` first. */
static json_t *top(json_t *list, const char *field, uint64_t limit)
{
    size_t cnt = json_array_size(list);
    for (size_t i = 1; i < cnt; i++) /* lists of validators are short, or nearly sorted */
        for (size_t k = i;
             k > 0 && num(json_array_get(list, k), field) > num(json_array_get(list, k - 1), field);
             k--) {
            json_t *a = json_incref(json_array_get(list, k));
            json_array_remove(list, k);
            json_array_insert_new(list, k - 1, a);
        }
    while (json_array_size(list) > limit)
        json_array_remove(list, json_array_size(list) - 1);
    return list;
}

/* --- validators -------------------------------------------------------------------------------------------- */

static const char *state_of(const struct qn_validator *v, bool now, bool next)
{
    if (v->barred) return "barred";
    if (v->jailed_ms) return "jailed";
    return now ? "active" : next ? "next" : "waiting";
}

static json_t *validator_json(const struct qn_view *view, const struct qn_stake_sets *sets,
                              const struct qn_hash *id, const struct qn_validator *v)
{
    int now = qn_set_find(&sets->now, &v->key), next = qn_set_find(&sets->next, &v->key);
    json_t *ret = json_pack(
        "{s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "id", hex(id), "name",
        text(v->name), "state", state_of(v, now >= 0, next >= 0), "stake_uqn",
        (json_int_t)v->stake.uqn, "own_uqn", (json_int_t)qn_stake_of(view, id, v, &v->owner).uqn,
        "leaving_uqn", (json_int_t)v->leaving.uqn, "commission_ppm", (json_int_t)v->commission_ppm,
        "weight", (json_int_t)(now >= 0 ? sets->now.weights[now] : 0), "absent",
        (json_int_t)v->absent_cnt, "version", (json_int_t)v->version, "owner", hex(&v->owner),
        "key", hex(&v->key));
    if (v->jailed_ms) json_object_set_new(ret, "jailed_ms", json_integer((json_int_t)v->jailed_ms));
    return ret;
}

static qn_rc validator_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why)
{
    const struct node_stake_page *p = params;
    struct qn_stake_sets *sets = qn_arena_alloc(ctx->arena, sizeof *sets);
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    if (!sets) return QN_E_MEMORY;
    qn_stake_set(ctx->view, sets);
    json_t *list = json_array();
    while (json_array_size(list) < 10000 &&
           qn_view_next(ctx->view, QN_TABLE_VALIDATOR, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_validator v;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        qn_rc rc = qn_stake_get(ctx->view, &id, ctx->arena, &v);
        if (rc) {
            json_decref(list);
            return qn_why(why, rc, "the listing passes the memory limit");
        }
        json_array_append_new(list, validator_json(ctx->view, sets, &id, &v));
    }
    for (uint32_t i = 0; i < sets->now.cnt; i++) { /* those of a chain without stake */
        struct qn_validator v = { .key = sets->now.keys[i] };
        id = qn_acct_key(&v.key);
        if (!qn_view_get(ctx->view, QN_TABLE_VALIDATOR, QN_SPAN(id.b, 32), &val))
            json_array_append_new(list, validator_json(ctx->view, sets, &id, &v));
    }
    *ret = top(list, "stake_uqn", p->limit ? p->limit : LIMIT);
    return QN_OK;
}

static qn_rc validator_set(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why)
{
    (void)params;
    (void)why;
    struct qn_stake_sets *sets = qn_arena_alloc(ctx->arena, sizeof *sets);
    if (!sets) return QN_E_MEMORY;
    qn_stake_set(ctx->view, sets);
    struct qn_quorum q = qn_set_quorum(&sets->now);
    struct qn_hash now = qn_set_hash(&sets->now), next = qn_set_hash(&sets->next);
    *ret = json_pack("{s:I, s:i, s:I, s:I, s:I, s:I, s:b, s:I, s:o, s:i, s:o, s:I}", "epoch",
                     (json_int_t)sets->now.epoch, "validators", (int)sets->now.cnt, "weight",
                     (json_int_t)q.all, "quorum", (json_int_t)q.q, "fast", (json_int_t)q.fast,
                     "traitors", (json_int_t)q.traitors, "last", sets->last, "ends_ms",
                     (json_int_t)sets->ends_ms, "set", hex(&now), "next_validators",
                     (int)sets->next.cnt, "next_set", hex(&next), "epoch_ms",
                     (json_int_t)qn_param(ctx->view, QN_PARAM_epoch_ms));
    return QN_OK;
}

/* --- whose stake ------------------------------------------------------------------------------------------- */

static qn_rc stake_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct node_stake_owner *p = params;
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    qn_rc rc = QN_OK;
    if (qn_hash_is_zero(&p->owner))
        return qn_why(why, QN_E_USAGE, "whose stake? an account: quoin stake list @owner");
    json_t *list = json_array();
    while (rc == QN_OK &&
           qn_view_next(ctx->view, QN_TABLE_VALIDATOR, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_validator v;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        rc = qn_stake_get(ctx->view, &id, ctx->arena, &v);
        uint64_t uqn = rc ? 0 : qn_stake_of(ctx->view, &id, &v, &p->owner).uqn;
        if (uqn)
            json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:I}", "state", "staked",
                                                  "validator", hex(&id), "name", text(v.name),
                                                  "stake_uqn", (json_int_t)uqn));
    }
    after = QN_SPAN(NULL, 0);
    while (rc == QN_OK && json_array_size(list) < 1000 &&
           qn_view_next(ctx->view, QN_TABLE_UNBOND, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_unbond u;
        struct qn_validator v;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        rc = qn_view_rec(ctx->view, QN_TABLE_UNBOND, after, qn_unbond_record(), ctx->arena, &u);
        if (rc || !qn_hash_eq(&u.owner, &p->owner)) continue;
        rc = qn_stake_get(ctx->view, u.to.has ? &u.to.v : &u.validator, ctx->arena, &v);
        if (rc) break;
        uint64_t uqn = u.to.has ? qn_worth(u.shares, v.stake.uqn, v.shares)
                                : qn_worth(u.shares, v.leaving.uqn, v.leaving_shares);
        json_t *one =
            json_pack("{s:s, s:o, s:o, s:I, s:I}", "state", u.to.has ? "moved" : "leaving",
                      "validator", hex(&u.validator), "name", text(v.name), "stake_uqn",
                      (json_int_t)uqn, "at_ms", (json_int_t)u.at_ms);
        if (u.to.has) json_object_set_new(one, "to", hex(&u.to.v));
        json_array_append_new(list, one);
    }
    if (rc) {
        json_decref(list);
        return qn_why(why, rc, "the listing passes the memory limit");
    }
    *ret = list;
    return QN_OK;
}

/* --- votes ------------------------------------------------------------------------------------------------- */

static qn_rc gov_list(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_stake_page *p = params;
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    json_t *list = json_array();
    while (json_array_size(list) < 10000 &&
           qn_view_next(ctx->view, QN_TABLE_PROPOSAL, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_gov_proposal g;
        char word[64] = "";
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        qn_rc rc = qn_view_rec(ctx->view, QN_TABLE_PROPOSAL, after, qn_gov_proposal_record(),
                               ctx->arena, &g);
        if (rc) {
            json_decref(list);
            return qn_why(why, rc, "the listing passes the memory limit");
        }
        qn_gov_count(ctx->view, ctx->arena, &id, &g);
        bool known =
            qn_enum_word(qn_field_find(qn_gov_proposal_record(), "state")->names, g.state, word);
        QN_ASSERT(known);
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id",
                            hex(&id), "state", word, "title", text(g.title), "param", text(g.param),
                            "value", (json_int_t)g.value, "height", (json_int_t)g.height, "ends_ms",
                            (json_int_t)g.ends_ms, "yes_uqn", (json_int_t)g.yes.uqn, "no_uqn",
                            (json_int_t)g.no.uqn, "abstain_uqn", (json_int_t)g.abstain.uqn,
                            "all_uqn", (json_int_t)g.all.uqn));
    }
    *ret = top(list, "ends_ms", p->limit ? p->limit : LIMIT);
    return QN_OK;
}

static qn_rc param_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    (void)params;
    (void)why;
    *ret = json_array();
    for (unsigned i = 0; i < QN_PARAM_CNT; i++) {
        const struct qn_param_info *info = qn_param_info((enum qn_param)i);
        json_array_append_new(
            *ret, json_pack("{s:s, s:I, s:I, s:I, s:I, s:s}", "name", info->name, "value",
                            (json_int_t)qn_param(ctx->view, (enum qn_param)i), "default",
                            (json_int_t)info->def, "min", (json_int_t)info->min, "max",
                            (json_int_t)info->max, "doc", info->doc));
    }
    return QN_OK;
}

static qn_rc evidence_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why)
{
    (void)params;
    (void)why;
    struct qn_net *net = qn_node_net(ctx->node);
    const struct qn_coded *coded = net ? qn_net_coded(net) : NULL;
    *ret = qn_evidence_json(qn_node_replica(ctx->node), coded);
    return QN_OK;
}

const struct qn_call QN_STAKE_CALLS[] = {
    { "validator.list", "validators by stake: their state, stake and weight", "validator list",
      QN_CALL_QUERY | QN_CALL_MANY, node_stake_page_record, NULL,
      "id name state stake_uqn own_uqn leaving_uqn commission_ppm weight absent version owner key",
      validator_list },
    { "validator.set", "the epoch, and what its validators weigh", "validator set", QN_CALL_QUERY,
      NULL, NULL,
      "epoch validators weight quorum fast traitors last ends_ms set next_validators next_set "
      "epoch_ms",
      validator_set },
    { "stake.list", "what an account has staked, and what of it is leaving", "stake list @owner",
      QN_CALL_QUERY | QN_CALL_MANY, node_stake_owner_record, "owner",
      "state validator name stake_uqn at_ms to", stake_list },
    { "gov.list", "proposals and how their votes stand, latest first", "gov list",
      QN_CALL_QUERY | QN_CALL_MANY, node_stake_page_record, NULL,
      "id state title param value height ends_ms yes_uqn no_uqn abstain_uqn all_uqn", gov_list },
    { "evidence.list",
      "pairs of votes, or of blocks, that this node saw and no honest validator signs",
      "evidence list --json", QN_CALL_QUERY | QN_CALL_MANY, NULL, NULL, "validator epoch view a b",
      evidence_list },
    { "param.list", "what votes may change, and within which bounds", "param list",
      QN_CALL_QUERY | QN_CALL_MANY, NULL, NULL, "name value default min max doc", param_list },
    { 0 },
};
