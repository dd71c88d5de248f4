/* calls.h - inside of modules/training: what its calls share. */
#ifndef QN_MODULES_TRAINING_CALLS_H
#define QN_MODULES_TRAINING_CALLS_H

#include "modules/training/training.h"

json_t *training_with_id(const struct qn_record *rec, const void *obj,
                         const struct qn_hash *id) QN_GIVES;
json_t *training_list_rows(struct qn_call_ctx *ctx, uint8_t table, const struct qn_record *rec,
                           const struct training_list *page) QN_GIVES;
QN_CHECK qn_rc training_get_row(struct qn_call_ctx *ctx, uint8_t table, const struct qn_record *rec,
                                const struct qn_hash *id, const char *what, json_t **ret,
                                struct qn_why *why);

#define TRAINING_CALL(name)                                                                        \
    QN_CHECK qn_rc name(struct qn_call_ctx *ctx, const void *params, json_t **ret,                 \
                        struct qn_why *why)
TRAINING_CALL(training_train_list);
TRAINING_CALL(training_train_get);
TRAINING_CALL(training_train_cert);
TRAINING_CALL(training_train_plan);
TRAINING_CALL(training_train_manifest);
TRAINING_CALL(training_train_check);
TRAINING_CALL(training_train_move);
TRAINING_CALL(training_game_list);
TRAINING_CALL(training_game_show);

#endif
