/* ask.h - the node's side of requests to jobs that serve: the queue of one job, and the box in which answers wait
 * for calls that are tried again. */
#ifndef QN_CORE_JOB_ASK_H
#define QN_CORE_JOB_ASK_H

#include "core/job/wire.h"

#define ASK_BOX_MAX 1024 /* calls that wait; the API keeps at most 2,000 of all kinds */

struct ask {
    struct ask *next;
    uint64_t id, until_us;
    size_t len;          /* of its message */
    qn_job_answer_fn fn; /* NULL: it was told that time is over; the late answer is dropped */
    void *arg;
};

/* Requests of one job in the order they were sent. Zero-initialised is empty. */
struct ask_queue {
    struct ask *first, *last;
    uint32_t cnt;
    size_t bytes;
    uint64_t last_id;
};

/* ask_put appends a request and its message, framed, to out. */
QN_CHECK qn_rc ask_put(struct ask_queue *q, const json_t *message, uint64_t until_us,
                       qn_job_answer_fn fn, void *arg, struct qn_buf *out, struct qn_why *why);
/* ask_answer takes a worker's answer and tells who asked; QN_E_JOB when it is not the next one due. */
QN_CHECK qn_rc ask_answer(struct ask_queue *q, const struct wire_msg *msg, struct qn_why *why);
/* ask_tick tells those whose time is over. */
void ask_tick(struct ask_queue *q, uint64_t now_us);
/* ask_end tells all that no answer comes. */
void ask_end(struct ask_queue *q, const char *why);

/* Answers for qn_job_ask_wait by number. */
struct ask_slot {
    uint64_t number, done_us;
    bool done;
    qn_rc rc;
    struct qn_why why;
    json_t *result;
    struct qn_jobs *jobs;
};

struct ask_box {
    struct ask_slot *slots[ASK_BOX_MAX]; /* number n lies in slot n % ASK_BOX_MAX */
    uint64_t last;
};

/* ask_box_new makes a slot with a number of its own; NULL when all are taken. */
struct ask_slot *ask_box_new(struct ask_box *box);
/* ask_box_find returns the slot of that number, or NULL. */
struct ask_slot *ask_box_find(struct ask_box *box, uint64_t number);
void ask_box_drop(struct ask_box *box, struct ask_slot *slot);
/* ask_box_sweep drops answers that nobody came for; with now_us UINT64_MAX all that are done. */
void ask_box_sweep(struct ask_box *box, uint64_t now_us);

#endif
