/* subnet.c - the module. Today it has the epoch as an offline verb; seats, weights and pay on the ledger are not there yet. */
#include "core/env/env.h"
#include "core/module/module.h"
#include "modules/subnet/epoch_json.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX (256u << 20)

static void print_line(void *arg, size_t case_idx, size_t epoch, json_t *line)
{
    const bool *json = arg;
    if (!*json) printf("case %zu epoch %zu  ", case_idx, epoch);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
}

static int fail(qn_rc rc, const struct qn_why *why)
{
    fprintf(stderr, "error: %s [%s]\n", why->text, qn_err_code(rc));
    return qn_err_exit(rc);
}

static int epoch_verb(int argc, char **argv, bool json)
{
    struct qn_why why = { "" };
    struct qn_buf file = { 0 };
    json_error_t err;
    if (argc != 1)
        return fail(qn_why(&why, QN_E_USAGE, "subnet epoch takes one file of cases"), &why);
    qn_rc rc = qn_file_read(argv[0], FILE_MAX, &file, &why);
    if (rc == QN_OK) {
        json_t *cases = json_loadb((const char *)file.ptr, file.len, JSON_REJECT_DUPLICATES, &err);
        rc = cases ? subnet_epoch_json(cases, print_line, &json, &why)
                   : qn_why(&why, QN_E_FORMAT, "%s:%d:%d: %s", argv[0], err.line, err.column,
                            err.text);
        json_decref(cases);
    }
    qn_buf_free(&file);
    return rc ? fail(rc, &why) : 0;
}

static const struct qn_verb VERBS[] = {
    { "subnet epoch", "FILE [--json]", "run the epoch kernel on a JSON list of cases",
      "subnet epoch cases.json --json", epoch_verb },
    { 0 },
};

const struct qn_module subnet_module = {
    .name = "subnet",
    .doc = "scores to emissions: Yuma consensus",
    .tag = 3,
    .verbs = VERBS,
};
