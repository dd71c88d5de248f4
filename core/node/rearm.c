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

struct name {
    bool there;
    char hex[33],
        key[65]; /* key: whose public key knows the journal; "" in homes of older versions */
    uint64_t restored_ms;
};

static qn_rc read_name(const char *home, const char *file, struct name *ret, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    char path[4096], text[101];
    *ret = (struct name){ 0 };
    snprintf(path, sizeof path, "%s/%s", home, file);
    qn_rc rc = qn_file_read(path, 100, &buf, why);
    if (rc == QN_OK) {
        snprintf(text, sizeof text, "%.*s", (int)buf.len, (const char *)buf.ptr);
        ret->there = sscanf(text, "%32[0-9a-f]", ret->hex) == 1 && strlen(ret->hex) == 32;
        bool more = ret->there && text[32] == ' ';
        if (more && strspn(text + 33, "0123456789abcdef") == 64)
            snprintf(ret->key, sizeof ret->key, "%.64s", text + 33);
        else if (more)
            ret->restored_ms = strtoull(text + 33, NULL, 10);
    }
    if (rc == QN_E_TOOBIG || (rc == QN_OK && !ret->there))
        rc = qn_why(why, QN_E_CORRUPT,
                    "%s: not a journal's name; move it away: the node then follows, until quoin "
                    "validator rearm lets its key sign again",
                    path);
    qn_buf_free(&buf);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

static qn_rc write_known(const char *home, const struct name *journal, const struct qn_hash *key,
                         struct qn_why *why)
{
    char path[4096], text[128], hex[65];
    qn_hex(key->b, sizeof key->b, hex);
    int len = snprintf(text, sizeof text, "%s %s", journal->hex, hex);
    snprintf(path, sizeof path, "%s/wallet/validator.journal", home);
    return qn_file_write(path, QN_SPAN(text, (size_t)len), 0600, why);
}

/* Whether it is this key that knows this journal: another one, put in its place, signed elsewhere. */
static bool knows(const struct name *known, const struct name *journal, const struct qn_hash *key)
{
    char hex[65];
    qn_hex(key->b, sizeof key->b, hex);
    return known->there && strcmp(known->hex, journal->hex) == 0 &&
           (!known->key[0] || strcmp(known->key, hex) == 0);
}

qn_rc qn_rearm_open(const struct qn_rearm *r, struct qn_rearmed *ret, struct qn_why *why)
{
    struct name journal, known;
    char hex[65];
    *ret = (struct qn_rearmed){ 0 };
    qn_rc rc = read_name(r->home, "journal/id", &journal, why);
    if (rc == QN_OK) rc = read_name(r->home, "wallet/validator.journal", &known, why);
    if (rc) return rc;
    if (!journal.there) {
        rc = qn_home_name(r->home, known.there && !r->fresh_chain && !r->fresh_key, why);
        if (rc == QN_OK) rc = read_name(r->home, "journal/id", &journal, why);
        if (rc) return rc;
    } else if (r->fresh_key && !r->fresh_chain && !known.there && journal.restored_ms == 0) {
        snprintf(ret->lost, sizeof ret->lost, "?"); /* the whole wallet is new */
    }
    qn_hex(r->key->b, sizeof r->key->b, hex);
    if (known.there && known.key[0] && !r->fresh_chain && strcmp(known.hex, journal.hex) == 0 &&
        strcmp(known.key, hex) != 0) {
        memcpy(ret->lost, known.key, sizeof ret->lost);
        return QN_OK;
    }
    if (r->fresh_key ||
        (!known.there &&
         journal.restored_ms == 0)) { /* begun here, by a key that signed nowhere else */
        rc = write_known(r->home, &journal, r->key, why);
        if (rc == QN_OK) ret->may = true;
        return rc;
    }
    ret->may = knows(&known, &journal, r->key);
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
    const struct qn_hash *key = qn_node_validator(ctx->node);
    bool armed = knows(&known, &journal, key);
    if (!armed && p->alone && qn_chain_set(chain)->cnt != 1)
        return qn_why(why, QN_E_REFUSED,
                      "alone: there are %u validators; wait for a block of theirs",
                      qn_chain_set(chain)->cnt);
    if (!armed && !p->alone && t_ms < journal.restored_ms + QN_REARM_MS)
        return qn_why(
            why, QN_E_AGAIN,
            "no final block is later than the restoring yet: the network has to go on first");
    if (!armed) rc = write_known(home, &journal, key, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:b, s:b, s:I}", "armed", 1, "restart", !armed, "height",
                         (json_int_t)qn_chain_header(chain)->height);
    return rc;
}
