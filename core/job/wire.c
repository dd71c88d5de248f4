/* wire.c - framing and reading of the messages between node and worker. */
#include "core/job/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

qn_rc wire_next(struct qn_span *in, struct qn_span *ret_body)
{
    struct qn_span s = *in;
    uint32_t len;
    if (!qn_take_u32(&s, &len)) return QN_E_AGAIN;
    if (len == 0) return QN_E_FORMAT;
    if (len > QN_JOB_MESSAGE_MAX) return QN_E_TOOBIG;
    struct qn_span body;
    if (!qn_take(&s, len, &body)) return QN_E_AGAIN;
    *in = s;
    *ret_body = body;
    return QN_OK;
}

static qn_rc parse_progress(const json_t *json, struct wire_msg *ret, struct qn_why *why)
{
    const json_t *done = json_object_get(json, "done"), *total = json_object_get(json, "total");
    const char *unit = json_string_value(json_object_get(json, "unit"));
    if (!json_is_integer(done) || !json_is_integer(total) || json_integer_value(done) < 0 ||
        json_integer_value(total) < 0 || !unit || strlen(unit) >= sizeof ret->unit)
        return qn_why(why, QN_E_FORMAT, "the worker sent a progress message out of form");
    ret->type = WIRE_PROGRESS;
    ret->done = (uint64_t)json_integer_value(done);
    ret->total = (uint64_t)json_integer_value(total);
    memcpy(ret->unit, unit, strlen(unit));
    return QN_OK;
}

static qn_rc parse_error(const json_t *json, struct wire_msg *ret, struct qn_why *why)
{
    const char *code = json_string_value(json_object_get(json, "code"));
    const char *text = json_string_value(json_object_get(json, "why"));
    if (!code || !text || !qn_err_find(code, &ret->rc) || ret->rc == QN_OK)
        return qn_why(why, QN_E_FORMAT, "the worker sent an error out of form");
    ret->rc = qn_why(&ret->why, ret->rc, "%s", text);
    return QN_OK;
}

static qn_rc parse_answer(const json_t *json, struct wire_msg *ret, struct qn_why *why)
{
    const json_t *id = json_object_get(json, "id");
    json_t *result = json_object_get(json, "result");
    if (!json_is_integer(id) || json_integer_value(id) <= 0)
        return qn_why(why, QN_E_FORMAT, "the worker sent an answer without its number");
    ret->ask = (uint64_t)json_integer_value(id);
    if (!result) return parse_error(json, ret, why);
    ret->result = json_incref(result);
    return QN_OK;
}

qn_rc wire_parse(struct qn_span body, struct wire_msg *ret, struct qn_why *why)
{
    struct wire_msg msg = { 0 };
    json_error_t err;
    json_t *json =
        json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &err);
    const char *type = json_string_value(json_object_get(json, "t"));
    qn_rc rc = QN_OK;
    if (!type) {
        rc = qn_why(why, QN_E_FORMAT, "the worker sent what is no message");
    } else if (strcmp(type, "answer") == 0) {
        msg.type = WIRE_ANSWER;
        rc = parse_answer(json, &msg, why);
    } else if (strcmp(type, "progress") == 0) {
        rc = parse_progress(json, &msg, why);
    } else if (strcmp(type, "serving") == 0) {
        msg.type = WIRE_SERVING;
    } else if (strcmp(type, "result") == 0) {
        msg.type = WIRE_RESULT;
        msg.result = json_incref(json_object_get(json, "result"));
        if (!msg.result) rc = qn_why(why, QN_E_FORMAT, "the worker sent a result without one");
    } else if (strcmp(type, "error") == 0) {
        msg.type = WIRE_ERROR;
        rc = parse_error(json, &msg, why);
    } else {
        rc = qn_why(why, QN_E_FORMAT, "the worker sent a message of no known type");
    }
    json_decref(json);
    if (rc == QN_OK) *ret = msg;
    return rc;
}

qn_rc wire_put(struct qn_buf *buf, const json_t *json)
{
    size_t len = json_dumpb(json, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (len == 0) return QN_E_FORMAT;
    if (len > QN_JOB_MESSAGE_MAX) return QN_E_TOOBIG;
    qn_buf_u32(buf, (uint32_t)len);
    char *at = (char *)qn_buf_grow(buf, len);
    size_t put = json_dumpb(json, at, len, JSON_COMPACT | JSON_ENCODE_ANY);
    QN_ASSERT(put == len);
    return QN_OK;
}
