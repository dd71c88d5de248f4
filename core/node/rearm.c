/* rearm.c - beside which journal a validator's key may sign. */
#include "core/node/rearm.h"

#include "core/node/node.h"
#include "ledger/sync/home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/schema/declare.h"

#include "core/node/node.def"

#define CLOCKS_MS 10000 /* ten times what block time may be off an honest clock */

struct name {
    bool there;
    char hex[33];
    uint64_t restored_ms;
};

static qn_rc read_name(const char *home, const char *file, struct name *ret, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    char path[4096], text[81];
    *ret = (struct name){ 0 };
    snprintf(path, sizeof path, "%s/%s", home, file);
    qn_rc rc = qn_file_read(path, 80, &buf, why);
    if (rc == QN_OK) {
        snprintf(text, sizeof text, "%.*s", (int)buf.len, (const char *)buf.ptr);
        ret->there = sscanf(text, "%32[0-9a-f]", ret->hex) == 1 && strlen(ret->hex) == 32;
        if (ret->there && text[32] == ' ') ret->restored_ms = strtoull(text + 33, NULL, 10);
        if (!ret->there) rc = qn_why(why, QN_E_CORRUPT, "%s: not a journal's name", path);
    }
    qn_buf_free(&buf);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

static qn_rc write_known(const char *home, const struct name *journal, struct qn_why *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/wallet/validator.journal", home);
    return qn_file_write(path, QN_SPAN(journal->hex, 32), 0600, why);
}

qn_rc qn_rearm_open(const char *home, bool fresh, bool *ret_may, struct qn_why *why)
{
    struct name journal, known;
    qn_rc rc = read_name(home, "journal/id", &journal, why);
    if (rc == QN_OK) rc = read_name(home, "wallet/validator.journal", &known, why);
    if (rc) return rc;
    if (!journal.there) {
        rc = qn_home_name(home, known.there && !fresh, why);
        if (rc == QN_OK) rc = read_name(home, "journal/id", &journal, why);
        if (rc) return rc;
    }
    if (!known.there &&
        journal.restored_ms == 0) { /* begun here, by a key that signed nowhere else */
        rc = write_known(home, &journal, why);
        if (rc) return rc;
        known = journal;
    }
    *ret_may = known.there && strcmp(known.hex, journal.hex) == 0;
    return QN_OK;
}

qn_rc qn_call_validator_rearm(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                              struct qn_why *why)
{
    const struct node_rearm *p = params;
    const char *home = qn_node_home(ctx->node);
    struct qn_chain *chain = qn_node_chain(ctx->node);
    uint64_t t_ms = qn_chain_header(chain)->t_ms;
    struct name journal, known;
    qn_rc rc = read_name(home, "journal/id", &journal, why);
    if (rc == QN_OK) rc = read_name(home, "wallet/validator.journal", &known, why);
    if (rc) return rc;
    bool armed = known.there && strcmp(known.hex, journal.hex) == 0;
    if (!armed && p->alone && qn_chain_set(chain)->cnt != 1)
        return qn_why(why, QN_E_REFUSED,
                      "alone: there are %u validators; wait for a block of theirs",
                      qn_chain_set(chain)->cnt);
    if (!armed && !p->alone && t_ms < journal.restored_ms + CLOCKS_MS)
        return qn_why(
            why, QN_E_AGAIN,
            "no final block is later than the restoring yet: the network has to go on first");
    if (!armed) rc = write_known(home, &journal, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:b, s:b, s:I}", "armed", 1, "restart", !armed, "height",
                         (json_int_t)qn_chain_header(chain)->height);
    return rc;
}
