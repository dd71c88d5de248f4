/* epoch_json.c - reading cases, running their epochs, writing results. */
#include "modules/subnet/epoch_json.h"

#include "modules/subnet/epoch.h"

#include <stdlib.h>
#include <string.h>

#define CASES_MAX  1000000
#define EPOCHS_MAX 1000
#define ARENA_MAX  (1u << 30)

/* One case as it stands before an epoch; arrays of n in the case's arena. */
struct state {
    struct subnet_epoch_in in;
    uint64_t *stake, *last_update, *registered;
    bool *permit;
    struct subnet_row *weights, *bonds;
    struct qn_arena arena; /* of the case; epochs have their own */
    size_t case_idx;
    struct qn_why *why;
};

static qn_rc bad(const struct state *s, const char *name, const char *want)
{
    return qn_why(s->why, QN_E_FORMAT, "case %zu: %s: expected %s", s->case_idx, name, want);
}

/* null says what leaving it out says */
static bool given(const json_t *obj, const char *name)
{
    const json_t *val = json_object_get(obj, name);
    return val && !json_is_null(val);
}

static qn_rc get_num(const struct state *s, const json_t *obj, const char *name, uint64_t max,
                     bool needed, uint64_t *ret)
{
    const json_t *val = json_object_get(obj, name);
    if (!needed && !given(obj, name)) return QN_OK;
    if (!json_is_integer(val) || json_integer_value(val) < 0) return bad(s, name, "a whole number");
    if ((uint64_t)json_integer_value(val) > max)
        return qn_why(s->why, QN_E_RANGE, "case %zu: %s is above %llu", s->case_idx, name,
                      (unsigned long long)max);
    *ret = (uint64_t)json_integer_value(val);
    return QN_OK;
}

static qn_rc get_list(const struct state *s, const json_t *obj, const char *name, uint64_t *ret)
{
    const json_t *list = json_object_get(obj, name);
    if (!json_is_array(list) || json_array_size(list) != s->in.n)
        return bad(s, name, "a list of n numbers");
    for (size_t i = 0; i < s->in.n; i++) {
        const json_t *val = json_array_get(list, i);
        if (!json_is_integer(val) || json_integer_value(val) < 0)
            return bad(s, name, "whole numbers");
        ret[i] = (uint64_t)json_integer_value(val);
    }
    return QN_OK;
}

static qn_rc get_flags(const struct state *s, const json_t *obj, const char *name, bool *ret)
{
    const json_t *list = json_object_get(obj, name);
    if (!json_is_array(list) || json_array_size(list) != s->in.n)
        return bad(s, name, "a list of n flags");
    for (size_t i = 0; i < s->in.n; i++) {
        const json_t *val = json_array_get(list, i);
        if (!json_is_boolean(val) && (!json_is_integer(val) || (json_integer_value(val) != 0 &&
                                                                json_integer_value(val) != 1)))
            return bad(s, name, "flags: true, false, 1 or 0");
        ret[i] = json_is_true(val) || json_integer_value(val) == 1;
    }
    return QN_OK;
}

static int by_uid(const void *a, const void *b)
{
    uint32_t x = ((const struct subnet_cell *)a)->uid, y = ((const struct subnet_cell *)b)->uid;
    return x < y ? -1 : x > y;
}

static qn_rc get_rows(struct state *s, const json_t *obj, const char *name, struct subnet_row *ret)
{
    const json_t *list = json_object_get(obj, name);
    uint64_t cells = 0;
    if (!json_is_array(list) || json_array_size(list) != s->in.n)
        return bad(s, name, "a list of n rows");
    for (size_t i = 0; i < s->in.n; i++) {
        const json_t *row = json_array_get(list, i);
        size_t cnt = json_array_size(row);
        cells += cnt;
        if (!json_is_array(row) || cnt > s->in.n || cells > SUBNET_CELLS_MAX)
            return bad(s, name, "rows of at most n pairs, a million in all");
        struct subnet_cell *at = qn_arena_alloc(&s->arena, cnt * sizeof *at + 1);
        if (!at)
            return qn_why(s->why, QN_E_MEMORY, "case %zu passes the memory limit", s->case_idx);
        for (size_t c = 0; c < cnt; c++) {
            const json_t *pair = json_array_get(row, c), *uid = json_array_get(pair, 0),
                         *val = json_array_get(pair, 1);
            if (json_array_size(pair) != 2 || !json_is_integer(uid) || !json_is_integer(val) ||
                json_integer_value(uid) < 0 || json_integer_value(uid) >= (json_int_t)s->in.n ||
                json_integer_value(val) < 0 || json_integer_value(val) > 65535)
                return bad(s, name, "pairs [uid below n, u16]");
            at[c] = (struct subnet_cell){ (uint32_t)json_integer_value(uid),
                                          (uint16_t)json_integer_value(val) };
        }
        qsort(at, cnt, sizeof *at, by_uid);
        for (size_t c = 1; c < cnt; c++)
            if (at[c].uid == at[c - 1].uid) return bad(s, name, "each uid once a row");
        ret[i] = (struct subnet_row){ (uint32_t)cnt, at };
    }
    return QN_OK;
}

static qn_rc get_all(const struct state *s, const json_t *obj, const char *name, uint64_t *list)
{
    uint64_t val = 0;
    if (!given(obj, name)) return QN_OK;
    qn_rc rc = get_num(s, obj, name, INT64_MAX, true, &val);
    for (uint32_t i = 0; rc == QN_OK && i < s->in.n; i++)
        list[i] = val;
    return rc;
}

/* What a case and each of its steps may set. needed: the field must be there. */
static qn_rc apply_step(struct state *s, const json_t *obj, const json_t *needed)
{
    qn_rc rc = QN_OK;
#define NEEDED(name) (needed && !given(needed, name))
    if (!json_is_object(obj)) return bad(s, "steps", "a list of objects");
    rc = get_num(s, obj, "block", INT64_MAX, NEEDED("block"), &s->in.block);
    if (rc == QN_OK)
        rc = get_num(s, obj, "last_tempo", INT64_MAX, NEEDED("last_tempo"), &s->in.last_tempo);
    if (rc == QN_OK && (NEEDED("stake") || given(obj, "stake")))
        rc = get_list(s, obj, "stake", s->stake);
    if (rc == QN_OK && (NEEDED("weights_u16") || given(obj, "weights_u16")))
        rc = get_rows(s, obj, "weights_u16", s->weights);
#undef NEEDED
    if (rc == QN_OK && given(obj, "permits")) rc = get_flags(s, obj, "permits", s->permit);
    if (rc == QN_OK) rc = get_all(s, obj, "last_update_all", s->last_update);
    if (rc == QN_OK) rc = get_all(s, obj, "block_at_registration_all", s->registered);
    if (rc == QN_OK && given(obj, "last_update"))
        rc = get_list(s, obj, "last_update", s->last_update);
    if (rc == QN_OK && given(obj, "block_at_registration"))
        rc = get_list(s, obj, "block_at_registration", s->registered);
    return rc;
}

static qn_rc get_params(struct state *s, const json_t *obj)
{
    struct subnet_params *p = &s->in.params;
    uint64_t kappa = 0, penalty = 0, average = 0, low = 0, high = 0, validators = 0;
    const json_t *steep = json_object_get(obj, "alpha_sigmoid_steepness");
    qn_rc rc = get_num(s, obj, "kappa_u16", 65535, true, &kappa);
    if (rc == QN_OK) rc = get_num(s, obj, "bonds_penalty_u16", 65535, true, &penalty);
    if (rc == QN_OK) rc = get_num(s, obj, "bonds_moving_average", 1000000, true, &average);
    if (rc == QN_OK) rc = get_num(s, obj, "alpha_low_u16", 65535, false, &low);
    if (rc == QN_OK) rc = get_num(s, obj, "alpha_high_u16", 65535, false, &high);
    if (rc == QN_OK) rc = get_num(s, obj, "activity_cutoff", INT64_MAX, true, &p->activity_cutoff);
    if (rc == QN_OK) rc = get_num(s, obj, "max_validators", UINT32_MAX, true, &validators);
    if (rc == QN_OK) rc = get_num(s, obj, "min_stake", INT64_MAX, false, &p->min_stake);
    if (rc == QN_OK) rc = get_num(s, obj, "emission", INT64_MAX, true, &s->in.emission);
    if (rc) return rc;
    if (steep && (!json_is_integer(steep) || json_integer_value(steep) < INT16_MIN ||
                  json_integer_value(steep) > INT16_MAX))
        return bad(s, "alpha_sigmoid_steepness", "a number of 16 bits");
    p->kappa = (uint16_t)kappa;
    p->bonds_penalty = (uint16_t)penalty;
    p->bonds_moving_average = (uint32_t)average;
    p->alpha_low = (uint16_t)low;
    p->alpha_high = (uint16_t)high;
    p->steepness = (int16_t)json_integer_value(steep);
    p->max_validators = (uint32_t)validators;
    p->yuma3 = json_is_true(json_object_get(obj, "yuma3"));
    p->liquid_alpha = json_is_true(json_object_get(obj, "liquid_alpha"));
    return QN_OK;
}

static qn_rc get_case(struct state *s, const json_t *obj, uint64_t *ret_epochs)
{
    uint64_t n = 0, validators = 0, owner = 0, epochs = 0;
    const json_t *steps = json_object_get(obj, "steps");
    qn_rc rc = get_num(s, obj, "n", SUBNET_UIDS_MAX, true, &n);
    if (rc) return rc;
    s->in.n = (uint32_t)n;
    s->stake = qn_arena_alloc(&s->arena, n * 8 + 1);
    s->last_update = qn_arena_alloc(&s->arena, n * 8 + 1);
    s->registered = qn_arena_alloc(&s->arena, n * 8 + 1);
    s->permit = qn_arena_alloc(&s->arena, n + 1);
    s->weights = qn_arena_alloc(&s->arena, n * sizeof *s->weights + 1);
    s->bonds = qn_arena_alloc(&s->arena, n * sizeof *s->bonds + 1);
    if (!s->bonds || !s->weights)
        return qn_why(s->why, QN_E_MEMORY, "case %zu passes the memory limit", s->case_idx);
    rc = get_params(s, obj);
    if (rc == QN_OK)
        rc = get_num(s, obj, "validators", SUBNET_UIDS_MAX, !given(obj, "permits"), &validators);
    for (uint64_t i = 0; rc == QN_OK && i < n; i++)
        s->permit[i] = i < validators;
    if (rc == QN_OK && given(obj, "steps") && !json_is_array(steps))
        rc = bad(s, "steps", "a list of objects");
    if (rc == QN_OK)
        rc = apply_step(s, obj, json_array_size(steps) ? json_array_get(steps, 0) : obj);
    if (rc == QN_OK && given(obj, "bonds")) rc = get_rows(s, obj, "bonds", s->bonds);
    s->in.owner = -1;
    if (rc == QN_OK && given(obj, "owner")) {
        rc = get_num(s, obj, "owner", n ? n - 1 : 0, true, &owner);
        s->in.owner = (int64_t)owner;
    }
    /* Steps are one an epoch; more epochs than steps go on as the last one left it. */
    if (rc == QN_OK) rc = get_num(s, obj, "epochs", EPOCHS_MAX, false, &epochs);
    if (rc == QN_OK && json_array_size(steps) > EPOCHS_MAX) rc = bad(s, "steps", "at most 1000");
    *ret_epochs = QN_MAX(epochs, (uint64_t)json_array_size(steps));
    if (!given(obj, "epochs") && !given(obj, "steps")) *ret_epochs = 1;
    s->in.stake = s->stake;
    s->in.last_update = s->last_update;
    s->in.registered = s->registered;
    s->in.permit = s->permit;
    s->in.weights = s->weights;
    s->in.bonds = s->bonds;
    return rc;
}

static json_t *bits(const q32 *v, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(v[i]));
    return list;
}

static json_t *nums(const uint64_t *v, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)v[i]));
    return list;
}

static json_t *result_json(const struct subnet_epoch_out *o, uint32_t n)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < n; i++) {
        json_t *row = json_array();
        for (uint32_t c = 0; c < o->bonds[i].cnt; c++)
            json_array_append_new(row, json_pack("[i, i]", (int)o->bonds[i].cells[c].uid,
                                                 (int)o->bonds[i].cells[c].val));
        json_array_append_new(rows, row);
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "stake_bits",
                     bits(o->stake, n), "active_bits", bits(o->active, n), "consensus_bits",
                     bits(o->consensus, n), "vtrust_bits", bits(o->vtrust, n), "incentive_bits",
                     bits(o->incentive, n), "dividend_bits", bits(o->dividend, n), "server",
                     nums(o->server, n), "validator", nums(o->validator, n), "combined",
                     nums(o->combined, n), "bonds", rows);
}

/* New permits and bonds into the case's own memory, since the epoch's is freed. */
static qn_rc carry(struct state *s, const struct subnet_epoch_out *o)
{
    memcpy(s->permit, o->permit, s->in.n);
    for (uint32_t i = 0; i < s->in.n; i++) {
        const struct subnet_row *row = &o->bonds[i];
        void *copy = qn_arena_copy(&s->arena, row->cells, row->cnt * sizeof *row->cells);
        if (!copy)
            return qn_why(s->why, QN_E_MEMORY, "case %zu passes the memory limit", s->case_idx);
        s->bonds[i] = (struct subnet_row){ row->cnt, copy };
    }
    return QN_OK;
}

static qn_rc run_case(struct state *s, const json_t *obj,
                      void (*emit)(void *, size_t, size_t, json_t *), void *arg)
{
    uint64_t epochs = 0;
    const json_t *steps = json_object_get(obj, "steps");
    if (!json_is_object(obj))
        return qn_why(s->why, QN_E_FORMAT, "case %zu is not an object", s->case_idx);
    qn_rc rc = get_case(s, obj, &epochs);
    for (size_t e = 0; rc == QN_OK && e < epochs; e++) {
        struct qn_arena arena = { .max = ARENA_MAX };
        struct subnet_epoch_out out;
        if (e < json_array_size(steps)) rc = apply_step(s, json_array_get(steps, e), NULL);
        if (rc == QN_OK) {
            rc = subnet_epoch(&s->in, &arena, &out);
            if (rc) qn_why(s->why, rc, "case %zu passes the memory limit", s->case_idx);
        }
        if (rc == QN_OK) {
            json_t *line = result_json(&out, s->in.n);
            emit(arg, s->case_idx, e, line);
            json_decref(line);
            rc = carry(s, &out);
        }
        qn_arena_free(&arena);
    }
    return rc;
}

qn_rc subnet_epoch_json(const json_t *cases,
                        void (*emit)(void *arg, size_t case_idx, size_t epoch, json_t *line),
                        void *arg, struct qn_why *why)
{
    if (!json_is_array(cases) || json_array_size(cases) > CASES_MAX)
        return qn_why(why, QN_E_FORMAT, "expected a list of at most %d cases", CASES_MAX);
    qn_rc rc = QN_OK;
    for (size_t i = 0; rc == QN_OK && i < json_array_size(cases); i++) {
        struct state s = { .case_idx = i, .why = why, .arena = { .max = ARENA_MAX } };
        rc = run_case(&s, json_array_get(cases, i), emit, arg);
        qn_arena_free(&s.arena);
    }
    return rc;
}
