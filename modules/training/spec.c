/* spec.c - jobs as JSON. */
#include "modules/training/spec.h"

#include <stdlib.h>
#include <string.h>

qn_rc spec_num(const json_t *obj, const char *name, uint64_t max, uint64_t *ret, struct qn_why *why)
{
    const json_t *v = json_object_get(obj, name);
    uint64_t n = 0;
    if (json_is_string(v)) { /* any 64 bits come as decimal text */
        const char *text = json_string_value(v);
        char *end = NULL;
        n = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end)
            return qn_why(why, QN_E_FORMAT, "%s: expected a number", name);
    } else if (json_is_integer(v) && json_integer_value(v) >= 0) {
        n = (uint64_t)json_integer_value(v);
    } else {
        return qn_why(why, QN_E_FORMAT, "%s: expected a number", name);
    }
    if (n > max) return qn_why(why, QN_E_RANGE, "%s: at most %llu", name, (unsigned long long)max);
    *ret = n;
    return QN_OK;
}

qn_rc spec_hash(const json_t *obj, const char *name, struct qn_hash *ret, struct qn_why *why)
{
    const char *hex = json_string_value(json_object_get(obj, name));
    if (!hex || !qn_unhex(hex, strlen(hex), ret->b, 32))
        return qn_why(why, QN_E_FORMAT, "%s: expected a hash", name);
    return QN_OK;
}

json_t *spec_hex(const struct qn_hash *h)
{
    char hex[65];
    qn_hex(h->b, 32, hex);
    return json_string(hex);
}

json_t *spec_hexes(const struct qn_hash *h, uint32_t cnt)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < cnt; i++)
        json_array_append_new(list, spec_hex(&h[i]));
    return list;
}

json_t *spec_bytes(const void *src, size_t len)
{
    char *hex = malloc(2 * len + 1);
    QN_ASSERT(hex != NULL);
    qn_hex(src, len, hex);
    json_t *json = json_string(hex);
    free(hex);
    return json;
}

qn_rc spec_graph(const json_t *job, struct qn_arena *arena, struct graph *ret, struct qn_why *why)
{
    const json_t *v = json_object_get(job, "graph");
    size_t len = json_string_length(v) / 2;
    uint8_t *bytes = qn_arena_alloc(arena, len + 1);
    if (!bytes || !json_is_string(v) ||
        !qn_unhex(json_string_value(v), json_string_length(v), bytes, len))
        return qn_why(why, QN_E_FORMAT, "graph: expected bytes in hex");
    return graph_decode(QN_SPAN(bytes, len), arena, ret, why);
}

static qn_rc read_set(struct qn_worker *w, const char *name, struct qn_buf *file,
                      struct dataset *ret, struct qn_why *why)
{
    char path[4096];
    if (!qn_worker_in(w, name, path, sizeof path)) return QN_E_NOTFOUND;
    qn_rc rc = qn_file_read(path, DATASET_BYTES_MAX, file, why);
    return rc ? rc : dataset_open(qn_buf_get(file), ret, why);
}

static qn_rc read_lie(const json_t *lie, struct replay_lie *ret, struct qn_why *why)
{
    uint64_t node, elem, flip = 0;
    if (!json_is_object(lie)) return QN_OK;
    ret->on = true;
    qn_rc rc = spec_num(lie, "step", UINT64_MAX, &ret->step, why);
    if (rc == QN_OK) rc = spec_num(lie, "op", UINT32_MAX, &node, why);
    if (rc == QN_OK) rc = spec_num(lie, "index", UINT32_MAX, &elem, why);
    if (rc == QN_OK && json_object_get(lie, "flip"))
        rc = spec_num(lie, "flip", UINT32_MAX, &flip, why);
    if (rc) return rc;
    ret->node = (uint32_t)node;
    ret->elem = (uint32_t)elem;
    ret->flip = (uint32_t)flip;
    return QN_OK;
}

qn_rc spec_data_fits(const json_t *job, const struct dataset *data, struct qn_why *why)
{
    uint64_t rec_bytes, rec_cnt;
    qn_rc rc = spec_num(job, "rec_bytes", UINT32_MAX, &rec_bytes, why);
    if (rc == QN_OK) rc = spec_num(job, "rec_cnt", UINT64_MAX, &rec_cnt, why);
    if (rc == QN_OK && (rec_bytes != data->rec_bytes || rec_cnt != data->rec_cnt))
        rc = qn_why(why, QN_E_CHECK,
                    "the data set has %u records of %u bytes, not what the registry says",
                    data->rec_cnt, data->rec_bytes);
    return rc;
}

qn_rc spec_read(struct qn_worker *w, const json_t *request, struct spec *ret, struct qn_why *why)
{
    const json_t *job = json_object_get(request, "job");
    struct replay_conf *c = &ret->conf;
    uint64_t batch, seg;
    *ret = (struct spec){ 0 };
    qn_rc rc = spec_graph(job, &ret->arena, &c->g, why);
    if (rc == QN_OK) rc = spec_num(job, "seed", UINT64_MAX, &c->seed, why);
    if (rc == QN_OK) rc = spec_hash(job, "init", &ret->init, why);
    if (rc == QN_OK) rc = spec_hash(job, "order", &c->order, why);
    if (rc == QN_OK) rc = spec_num(job, "batch", 1u << 20, &batch, why);
    if (rc == QN_OK) rc = spec_num(job, "steps", 1u << 24, &c->steps, why);
    if (rc == QN_OK) rc = spec_num(job, "seg", TRACE_SEG_MAX, &seg, why);
    if (rc == QN_OK) rc = read_lie(json_object_get(request, "lie"), &c->lie, why);
    if (rc) return rc;
    c->batch = (uint32_t)batch;
    c->seg = (uint32_t)seg;
    rc = read_set(w, "data", &ret->data_file, &c->data, why);
    if (rc)
        return rc == QN_E_NOTFOUND ? qn_why(why, QN_E_USAGE, "the request passed no input data")
                                   : rc;
    rc = spec_data_fits(job, &c->data, why);
    if (rc) return rc;
    rc = read_set(w, "test", &ret->test_file, &ret->test, why);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

void spec_fini(struct spec *spec)
{
    qn_buf_free(&spec->data_file);
    qn_buf_free(&spec->test_file);
    qn_arena_free(&spec->arena);
}
