/* ask.c - requests to a job in their order, and answers that wait to be fetched. */
#include "core/job/ask.h"

#include <stdlib.h>

#define UNCLAIMED_US UINT64_C(10000000)

qn_rc ask_put(struct ask_queue *q, const json_t *message, uint64_t until_us, qn_job_answer_fn fn,
              void *arg, struct qn_buf *out, struct qn_why *why)
{
    if (q->cnt >= QN_JOB_ASKS_MAX || q->bytes >= QN_JOB_ASK_BYTES_MAX)
        return qn_why(why, QN_E_RATE, "%u requests of this job are unanswered", q->cnt);
    size_t before = out->len;
    json_t *json = json_pack("{s:s,s:I,s:O}", "t", "ask", "id", (json_int_t)(q->last_id + 1),
                             "message", message);
    qn_rc rc = json ? wire_put(out, json) : QN_E_FORMAT;
    json_decref(json);
    if (rc)
        return qn_why(why, rc, "the message does not fit: at most %u bytes", QN_JOB_MESSAGE_MAX);
    struct ask *ask = calloc(1, sizeof *ask);
    QN_ASSERT(ask);
    *ask = (struct ask){
        .id = ++q->last_id, .until_us = until_us, .len = out->len - before, .fn = fn, .arg = arg
    };
    *(q->last ? &q->last->next : &q->first) = ask;
    q->last = ask;
    q->cnt++;
    q->bytes += ask->len;
    return QN_OK;
}

static struct ask *pop(struct ask_queue *q)
{
    struct ask *ask = q->first;
    if (!ask) return NULL;
    q->first = ask->next;
    if (!q->first) q->last = NULL;
    q->cnt--;
    q->bytes -= ask->len;
    return ask;
}

qn_rc ask_answer(struct ask_queue *q, const struct wire_msg *msg, struct qn_why *why)
{
    if (!q->first || q->first->id != msg->ask)
        return qn_why(why, QN_E_JOB, "the worker answered request %llu, %llu was due",
                      (unsigned long long)msg->ask,
                      (unsigned long long)(q->first ? q->first->id : 0));
    struct ask *ask = pop(q);
    if (ask->fn) ask->fn(ask->arg, msg->rc, msg->result, msg->why.text);
    free(ask);
    return QN_OK;
}

void ask_tick(struct ask_queue *q, uint64_t now_us)
{
    /* What is asked from within fn comes behind the last of these and is not due yet. */
    for (struct ask *ask = q->first; ask; ask = ask->next) {
        if (!ask->fn || now_us < ask->until_us) continue;
        qn_job_answer_fn fn = ask->fn;
        ask->fn = NULL;
        fn(ask->arg, QN_E_TIMEOUT, NULL, "the job did not answer in time");
    }
}

void ask_end(struct ask_queue *q, const char *why)
{
    for (struct ask *ask; (ask = pop(q));) {
        if (ask->fn) ask->fn(ask->arg, QN_E_JOB, NULL, why);
        free(ask);
    }
}

/* --- the box ------------------------------------------------------------------------------------------ */

struct ask_slot *ask_box_new(struct ask_box *box)
{
    for (size_t i = 0; i < ASK_BOX_MAX; i++) {
        uint64_t number = ++box->last;
        struct ask_slot **at = &box->slots[number % ASK_BOX_MAX];
        if (*at) continue;
        *at = calloc(1, sizeof **at);
        QN_ASSERT(*at);
        (*at)->number = number;
        return *at;
    }
    return NULL;
}

struct ask_slot *ask_box_find(struct ask_box *box, uint64_t number)
{
    struct ask_slot *slot = box->slots[number % ASK_BOX_MAX];
    return slot && slot->number == number ? slot : NULL;
}

void ask_box_drop(struct ask_box *box, struct ask_slot *slot)
{
    box->slots[slot->number % ASK_BOX_MAX] = NULL;
    json_decref(slot->result);
    free(slot);
}

void ask_box_sweep(struct ask_box *box, uint64_t now_us)
{
    for (size_t i = 0; i < ASK_BOX_MAX; i++) {
        struct ask_slot *slot = box->slots[i];
        if (slot && slot->done && now_us - slot->done_us > UNCLAIMED_US) ask_box_drop(box, slot);
    }
}
