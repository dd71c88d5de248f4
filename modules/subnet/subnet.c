/* subnet.c - the module: its tables, and the epoch as an offline verb. */
#include "modules/subnet/subnet.h"

#include "core/env/env.h"
#include "core/module/module.h"
#include "modules/subnet/epoch_json.h"
#include "modules/subnet/local.h"

#include <stdio.h>
#include <string.h>

#include "core/schema/define.h"

#include "modules/subnet/subnet.def"

#define FILE_MAX (256u << 20)

static void print_line(void *arg, size_t case_idx, size_t epoch, json_t *line)
{
    const bool *json = arg;
    if (!*json) printf("case %zu epoch %zu  ", case_idx, epoch);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
}

static int fail(qn_rc rc, const struct qn_why *why, bool json)
{
    if (json) {
        json_t *err = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", qn_err_code(rc), "class",
                                qn_err_class(rc), "text", why->text);
        json_dumpf(err, stderr, JSON_COMPACT);
        fputc('\n', stderr);
        json_decref(err);
    } else {
        fprintf(stderr, "error: %s [%s]\n", why->text, qn_err_code(rc));
    }
    return qn_err_exit(rc);
}

static int epoch_verb(int argc, char **argv, bool json)
{
    struct qn_why why = { "" };
    struct qn_buf file = { 0 };
    json_error_t err;
    if (argc != 1)
        return fail(qn_why(&why, QN_E_USAGE, "subnet epoch takes one file of cases"), &why, json);
    qn_rc rc = qn_file_read(argv[0], FILE_MAX, &file, &why);
    if (rc == QN_OK) {
        json_t *cases = json_loadb((const char *)file.ptr, file.len, JSON_REJECT_DUPLICATES, &err);
        rc = cases ? subnet_epoch_json(cases, print_line, &json, &why)
                   : qn_why(&why, QN_E_FORMAT, "%s:%d:%d: %s", argv[0], err.line, err.column,
                            err.text);
        json_decref(cases);
    }
    qn_buf_free(&file);
    return rc ? fail(rc, &why, json) : 0;
}

static const struct qn_verb VERBS[] = {
    { "subnet epoch", "FILE [--json]", "run the epoch kernel on a JSON list of cases",
      "subnet epoch cases.json --json", epoch_verb },
    { 0 },
};

static const struct qn_tx_kind TXS[] = {
    { SUBNET_TX_CREATE, "subnet.create", "found a subnet: rules, script, locked coins",
      subnet_create_record, 20000, subnet_create_check, subnet_create_apply },
    { SUBNET_TX_BURN, "seat.burn", "take a seat in a subnet at the burn price", seat_burn_record,
      12000, NULL, seat_burn_apply },
    { SUBNET_TX_STAKE, "stake.add", "bind coins behind yourself in a subnet", stake_add_record,
      6000, stake_check, stake_add_apply },
    { SUBNET_TX_UNBOND, "stake.unbond", "take bound coins back, after eight tempos",
      stake_unbond_record, 6000, stake_check, stake_unbond_apply },
    { SUBNET_TX_COMMIT, "weights.commit", "bind yourself to weights without showing them",
      weights_commit_record, 8000, NULL, weights_commit_apply },
    { SUBNET_TX_REVEAL, "weights.reveal", "show weights committed in the epoch before",
      weights_reveal_record, 15000, NULL, weights_reveal_apply },
    { SUBNET_TX_SET, "weights.set", "set weights openly", weights_set_record, 15000, NULL,
      weights_set_apply },
    { 0 },
};

static const struct qn_due_kind DUES[] = {
    { SUBNET_DUE_EPOCH, "subnet.epoch", subnet_due_epoch },
    { SUBNET_DUE_UNBOND, "stake.left", subnet_due_unbond },
    { 0 },
};

static const struct qn_table TABLES[] = {
    { SUBNET_T_STATE, "subnet", subnet_state_record, "H(\"subnet\", name) h32" },
    { SUBNET_T_SEAT, "seat", subnet_seat_record, "subnet h32, uid u32" },
    { SUBNET_T_ROW, "weights", subnet_cells_record, "subnet h32, uid u32" },
    { SUBNET_T_BOND, "bond", subnet_cells_record, "subnet h32, uid u32" },
    { SUBNET_T_STAKE, "stake", subnet_stake_record, "H(\"subnet/stake\", subnet | hotkey) h32" },
    { SUBNET_T_COMMIT, "commit", subnet_commit_record, "subnet h32, epoch u64, hotkey h32" },
    { SUBNET_T_PAST, "past", subnet_past_record, "subnet h32, epoch u64" },
    { SUBNET_T_POOL, "subnet-pool", subnet_pool_record, "\"pool\"" },
    { 0 },
};

const struct qn_module subnet_module = {
    .name = "subnet",
    .doc = "scoring markets: seats, hidden weights, Yuma consensus, emissions, signed evidence",
    .tag = SUBNET_TAG,
    .txs = TXS,
    .dues = DUES,
    .tables = TABLES,
    .calls = SUBNET_CALLS,
    .chain = SUBNET_CHAIN,
    .verbs = VERBS,
    .locals = SUBNET_LOCALS,
};
