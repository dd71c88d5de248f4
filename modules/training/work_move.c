/* work_move.c - job kind `train.move`: the next move of a dispute, for whichever side is to move. The worker runs the
 * disputed steps again from the nearest state that it kept.
 *
 *     request  {"job": .., "lie": .., "game": the ledger's row, "state_done": n}     inputs "data", "state" */
#include "modules/training/move.h"
#include "modules/training/spec.h"
#include "modules/training/work.h"

static qn_rc read_state(struct qn_worker *w, const json_t *request, struct qn_buf *buf,
                        struct move_from *ret, struct qn_why *why)
{
    char path[4096];
    *ret = (struct move_from){ 0 };
    if (!qn_worker_in(w, "state", path, sizeof path)) return QN_OK;
    qn_rc rc = spec_num(request, "state_done", UINT64_MAX, &ret->done, why);
    if (rc == QN_OK) rc = qn_file_read(path, UINT32_MAX, buf, why);
    ret->bytes = qn_buf_get(buf);
    return rc;
}

qn_rc work_move(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    struct spec spec;
    struct training_game game;
    struct move_from from;
    struct qn_buf state = { 0 };
    qn_rc rc = spec_read(w, request, &spec, why);
    if (rc == QN_OK)
        rc = qn_from_json(training_game_record(), json_object_get(request, "game"), &spec.arena,
                          &game, why);
    if (rc == QN_OK) rc = read_state(w, request, &state, &from, why);
    if (rc == QN_OK)
        rc = move_find(&spec.conf, qn_buf_get(&spec.data_file), &game, &from, ret, why);
    qn_buf_free(&state);
    spec_fini(&spec);
    return rc;
}
