/* json.c - verdicts and plans as JSON. */
#include "modules/zkml/zkml.h"

static void set_hash(json_t *obj, const char *name, const struct qn_hash *h)
{
    char hex[65];
    qn_hex(h->b, 32, hex);
    json_object_set_new(obj, name, json_string(hex));
}

static json_t *tenths(uint32_t v)
{
    return json_real((double)v / 10);
}

json_t *zkml_verdict_json(const struct zkml_verdict *v, size_t bytes)
{
    json_t *out = json_object(), *y = json_array();
    set_hash(out, "id", &v->id);
    set_hash(out, "model", &v->model);
    set_hash(out, "input", &v->input);
    json_object_set_new(out, "class", json_integer(v->class_idx));
    for (uint32_t i = 0; i < v->out_cnt; i++)
        json_array_append_new(y, json_integer(v->st.y[i]));
    json_object_set_new(out, "outputs", y);
    json_object_set_new(out, "bits", tenths(v->bits));
    json_object_set_new(out, "profile", json_string("ud"));
    json_object_set_new(out, "hiding", json_boolean(v->hiding));
    set_hash(out, "chain", &v->st.chain);
    set_hash(out, "prover", &v->st.prover);
    set_hash(out, "job", &v->st.job);
    json_object_set_new(out, "height_from",
                        json_integer((json_int_t)(v->st.height_from & QN_NUM_MAX)));
    json_object_set_new(out, "height_to", json_integer((json_int_t)(v->st.height_to & QN_NUM_MAX)));
    json_object_set_new(out, "bytes", json_integer((json_int_t)bytes));
    return out;
}

json_t *zkml_plan_json(const struct zkml_plan *p)
{
    json_t *out = json_object(), *layers = json_array();
    for (uint32_t l = 0; l < p->shape.layer_cnt; l++) {
        const struct zkml_layer_shape *s = &p->shape.layer[l];
        json_array_append_new(layers, json_pack("{s:I,s:I,s:I,s:I,s:b}", "in", (json_int_t)s->in,
                                                "out", (json_int_t)s->out, "m", (json_int_t)s->m,
                                                "s", (json_int_t)s->s, "relu", s->relu));
    }
    json_object_set_new(out, "layers", layers);
    json_object_set_new(out, "budget", json_integer(p->budget));
    json_object_set_new(out, "bits", tenths(p->bits));
    json_object_set_new(out, "bits_query", tenths(p->bits_query));
    json_object_set_new(out, "bits_gap", tenths(p->bits_gap));
    json_object_set_new(out, "bits_iop", tenths(p->bits_iop));
    json_object_set_new(out, "bits_hash", tenths(p->bits_hash));
    json_object_set_new(out, "queries", json_integer(p->queries));
    json_object_set_new(out, "grind", json_integer(p->grind));
    json_object_set_new(out, "domain", json_integer((json_int_t)1 << p->log_n));
    json_object_set_new(out, "degree", json_integer(p->w_deg));
    json_object_set_new(out, "rows", json_integer(p->m));
    json_object_set_new(out, "cells", json_integer((json_int_t)p->cells * p->slots));
    json_object_set_new(out, "bytes_max", json_integer(p->proof_max));
    json_object_set_new(out, "gas", json_integer((json_int_t)zkml_gas(p, p->proof_max)));
    return out;
}
