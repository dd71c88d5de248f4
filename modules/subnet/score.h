/* score.h - scoring off the ledger: questions and scores by a subnet's own script, and the signed evidence for them.
 *
 * A question is task(seed) with seed = H("task", beacon(epoch) | subnet | reg | ctr): nobody chooses it, anyone can draw it again. Registration
 * 0 stands for the common question, the same for all miners, by which equal models are found. The text a task record is bound to is the
 * question as JSON, compact, members sorted. */
#ifndef QN_MODULES_SUBNET_SCORE_H
#define QN_MODULES_SUBNET_SCORE_H

#include "modules/subnet/subnet.h"

#define SUBNET_GAS     4000000u   /* of one task or score, about 6 ms */
#define SUBNET_GAS_ALL 200000000u /* of checking one row, about 0.3 s of the node */
#define SUBNET_CTR_SHIFT                                                                           \
    16 /* a validator numbers its questions from its uid << 16; the common one is 0 */

struct subnet_market {
    struct qn_call_ctx *ctx;
    struct qn_hash sid;
    struct subnet_state s;
    struct qn_span script;
    uint64_t gas; /* left */
};

/* market_get finds subnet and script. */
QN_CHECK qn_rc market_get(struct qn_call_ctx *ctx, struct qn_span name, struct subnet_market *ret,
                          struct qn_why *why);
/* market_task draws a question; *ret_body is the hash of its text. QN_E_EXPIRED when the epoch's beacon is gone. */
QN_CHECK qn_rc market_task(struct subnet_market *m, uint64_t epoch, uint64_t reg, uint32_t ctr,
                           json_t **ret, struct qn_hash *ret_body, struct qn_why *why);
/* market_reply reads an answer; NULL when it is no list or object of whole numbers, text and flags. */
json_t *market_reply(struct qn_span body);
/* market_score gives 0 for silence, for what is no answer, and where the script fails or its gas ends: *ret_why (64 bytes) says which.
 * Only what is this node's own failure (its data set is missing) is an error. */
QN_CHECK qn_rc market_score(struct subnet_market *m, const json_t *task, const json_t *reply,
                            uint32_t late_ms, q32 *ret, char ret_why[64], struct qn_why *why);
/* market_row runs aggregate over leaves in order; *ret_vals has SUBNET_SEATS_MAX places each. */
QN_CHECK qn_rc market_row(struct subnet_market *m, const struct subnet_leaf *leaves, uint32_t cnt,
                          uint32_t *ret_uids, uint32_t *ret_vals, uint32_t *ret_cnt,
                          struct qn_why *why);

/* evidence.c */
struct qn_hash task_hash(const struct qn_hash *chain, const struct subnet_task *t);
struct qn_hash reply_hash(const struct qn_hash *chain, const struct subnet_reply *r);
/* key_signs says whether key belongs to the account and signed hash. */
QN_CHECK bool key_signs(const struct qn_hash *acct, const struct qn_hash *key,
                        const struct qn_hash *hash, const struct qn_sig *sig);
/* leaf_root is the root of a binary tree over H("subnet/leaf", leaf); an odd last node goes up as it is; zero leaves: zero. */
struct qn_hash leaf_root(const struct subnet_leaf *leaves, uint32_t cnt);
/* leaf_sort orders by question's registration, miner, number. */
void leaf_sort(struct subnet_leaf *leaves, uint32_t cnt);
int leaf_cmp(const struct subnet_leaf *a, const struct subnet_leaf *b);
/* bundle_read decodes evidence; memory from arena. */
QN_CHECK qn_rc bundle_read(struct qn_span bytes, struct qn_arena *arena, struct subnet_bundle *ret,
                           struct qn_why *why);

json_t *subnet_hex(const struct qn_hash *h);

qn_rc subnet_task_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why);
qn_rc subnet_score_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why);
qn_rc subnet_pack_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why);
qn_rc subnet_verify_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why);
qn_rc subnet_template_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why);

#define SUBNET_SCORE_CALLS                                                                         \
    { "subnet.task",                                                                               \
      "a question of an epoch, drawn from its beacon",                                             \
      "subnet task fashion --epoch 3 --reg 5 --ctr 65536",                                         \
      QN_CALL_QUERY,                                                                               \
      subnet_draw_record,                                                                          \
      "subnet",                                                                                    \
      "task body seed gas",                                                                        \
      subnet_task_call },                                                                          \
        { "subnet.score",                                                                          \
          "score an answer to a question by the subnet's script",                                  \
          "subnet score fashion --epoch 3 --reg 5 --ctr 65536 --reply 5b5d",                       \
          QN_CALL_QUERY,                                                                           \
          subnet_judge_record,                                                                     \
          "subnet",                                                                                \
          "score score_ppm gas why",                                                               \
          subnet_score_call },                                                                     \
        { "subnet.pack",                                                                           \
          "keep evidence, and say which row of weights follows from it",                           \
          "subnet pack fashion --leaves '[]'",                                                     \
          QN_CALL_LOCAL,                                                                           \
          subnet_pack_record,                                                                      \
          "subnet",                                                                                \
          "blob leaf_root leaf_cnt uids vals",                                                     \
          subnet_pack_call },                                                                      \
        { "subnet.verify",                                                                         \
          "check a row against its evidence: signatures, questions, scores, root, sum",            \
          "subnet verify fashion --hotkey @val1 --epoch 3 --blob 81ab..",                          \
          QN_CALL_QUERY,                                                                           \
          subnet_check_record,                                                                     \
          "subnet",                                                                                \
          "ok leaves faults gas",                                                                  \
          subnet_verify_call },                                                                    \
    {                                                                                              \
        "subnet.template", "the text of a subnet that ships with quoin",                           \
            "subnet template fashion", QN_CALL_QUERY, subnet_template_record, "name", "name text", \
            subnet_template_call                                                                   \
    }

#endif
