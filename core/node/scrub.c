/* scrub.c - when a node looks over its rows, what it says, and the calls that ask for it. */
#include "core/node/scrub.h"

#include "core/env/crash.h"
#include "core/node/node.h"
#include "ledger/state/scrub.h"

#include "core/schema/declare.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/node/node.def"

#define SLICE    500000u /* rows: one to three seconds, as long as LMDB must keep what it read */
#define TRIES    20u     /* a checkpoint comes each 2 s: one slice is lost to it, not twenty */
#define SLICE_MS 60000u  /* a reader that hangs makes the file grow: it is ended */
#define RETRY_MS 10000u
#define DAMAGE   512u

struct run {
    uint64_t rows, all, slices, begun_ms;
    struct qn_scrub at;
    unsigned tries;
};

struct scrub {
    struct scrub_conf conf;
    struct run run;
    uint64_t ticket, next_ms, slice_ms;
    uint64_t done; /* runs that ended */
    bool asked, running;
    uint64_t last_rows, last_ms;
    char damage[DAMAGE];
};

struct scrub *scrub_open(const struct scrub_conf *conf)
{
    struct scrub *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    s->conf = *conf;
    s->next_ms = qn_env_mono_us(conf->env) / 1000 + conf->every_ms;
    return s;
}

void scrub_close(struct scrub *s)
{
    free(s);
}

const char *scrub_damage(const struct scrub *s)
{
    return s->damage[0] ? s->damage : NULL;
}

/* --- in the child -------------------------------------------------------------------------------------------------------- */

struct slice {
    struct qn_chain *chain;
    struct qn_scrub at;
    struct aside *aside;
};

static void reading(void *arg, const char *what)
{
    aside_reading(((struct slice *)arg)->aside, what);
}

static const char *table_name(uint8_t number)
{
    const struct qn_table *t;
    for (size_t i = 0; (t = qn_table_at(i)); i++)
        if (t->table == number) return t->name;
    return "of no module here";
}

/* What is wrong is a result as well: the parent has to know where. */
static qn_rc look(void *arg, struct aside *aside, json_t **ret, struct qn_why *why)
{
    struct slice *s = arg;
    char last[2 * QN_TRIE_KEY_MAX + 1], key[36];
    struct qn_why how = { "" }, where = { "" };
    s->aside = aside;
    s->at.arg = s;
    s->at.reading = reading;
    qn_crash_point("scrub-slice");
    qn_rc rc = qn_chain_scrub(s->chain, &s->at, &how);
    if (rc == QN_E_AGAIN) {
        *ret = json_pack("{s:b}", "again", true);
        return QN_OK;
    }
    if (rc && rc != QN_E_CORRUPT) return qn_why(why, rc, "%s", how.text);
    qn_hex(s->at.last, s->at.last_len, last);
    if (rc && s->at.row) {
        size_t len = QN_MIN(s->at.last_len - 1, (size_t)16);
        qn_hex(s->at.last + 1, len, key);
        qn_why(&where, rc, "table %s, row %s%s: ", table_name(s->at.last[0]), key,
               len < s->at.last_len - 1 ? ".." : "");
    }
    *ret =
        json_pack("{s:s, s:I, s:I, s:b, s:b, s:b, s:s, s:s}", "last", last, "rows",
                  (json_int_t)s->at.rows, "all", (json_int_t)s->at.rows_all, "past", s->at.past,
                  "end", s->at.end, "memory", s->at.memory, "where", where.text, "how", how.text);
    return QN_OK;
}

/* --- in the node ---------------------------------------------------------------------------------------------------------- */

static void over(struct scrub *s)
{
    uint64_t now = qn_env_mono_us(s->conf.env) / 1000;
    s->last_rows = s->run.rows;
    s->last_ms = now - s->run.begun_ms;
    s->next_ms = now + s->conf.every_ms;
    s->running = s->asked = false;
    s->done++;
}

/* The file is damaged: it is closed, and nothing is signed. */
static void file_damaged(struct scrub *s, const char *where, const char *how)
{
    char line[DAMAGE + 300];
    snprintf(s->damage, sizeof s->damage, "%s%s", where, how);
    qn_chain_drop_store(qn_replica_chain(s->conf.replica));
    qn_replica_silence(s->conf.replica, true);
    snprintf(line, sizeof line,
             "scrub: state.mdb is damaged: %s. What is served is right, it is in memory; this "
             "node votes no more. Run quoin ledger repair, and look after the disk",
             s->damage);
    s->conf.log(s->conf.arg, line);
}

static void memory_damaged(struct scrub *s, const char *where, const char *how)
{
    struct qn_why why;
    snprintf(s->damage, sizeof s->damage, "%s%s", where, how);
    qn_chain_distrust(qn_replica_chain(s->conf.replica));
    qn_why(&why, QN_E_CORRUPT,
           "scrub: this machine's memory is damaged: %.300s. The node stops before it serves or "
           "votes on that; the disk has the right rows: test the memory, then start again",
           s->damage);
    s->conf.wrong(s->conf.arg, QN_E_CORRUPT, &why);
}

static void take(struct scrub *s, const json_t *said)
{
    const char *last = json_string_value(json_object_get(said, "last")),
               *where = json_string_value(json_object_get(said, "where")),
               *how = json_string_value(json_object_get(said, "how"));
    s->run.slices++;
    s->run.tries = 0;
    s->run.rows += (uint64_t)json_integer_value(json_object_get(said, "rows"));
    s->run.all = (uint64_t)json_integer_value(json_object_get(said, "all"));
    s->run.at.past = json_is_true(json_object_get(said, "past"));
    s->run.at.end = json_is_true(json_object_get(said, "end"));
    s->run.at.last_len = last ? strlen(last) / 2 : 0;
    QN_ASSERT(last && s->run.at.last_len <= QN_TRIE_KEY_MAX && /* our own child's words */
              qn_unhex(last, strlen(last), s->run.at.last, s->run.at.last_len));
    if (how && *how) {
        if (json_is_true(json_object_get(said, "memory")))
            memory_damaged(s, where, how);
        else
            file_damaged(s, where, how);
    }
    if ((how && *how) || s->run.at.end) over(s);
}

static void heard(struct scrub *s)
{
    struct qn_why why = { "" };
    json_t *said = NULL;
    qn_rc rc = aside_result(s->conf.aside, s->ticket, &said, &why);
    if (rc == QN_E_AGAIN) return;
    s->ticket = 0;
    if (rc == QN_OK && json_object_get(said, "again")) rc = QN_E_AGAIN;
    if (rc == QN_OK) {
        take(s, said);
    } else if (rc == QN_E_AGAIN && ++s->run.tries < TRIES) {
        ; /* a checkpoint came between: the slice once more */
    } else if (rc == QN_E_CORRUPT && strncmp(why.text, "this machine's memory", 21) == 0) {
        memory_damaged(s, "", why.text);
        over(s);
    } else if (rc == QN_E_CORRUPT || rc == QN_E_IO || rc == QN_E_AGAIN) {
        file_damaged(s, "",
                     rc == QN_E_AGAIN ? "it says of another block that it is its state" : why.text);
        over(s);
    } else { /* no memory for a child, say: later */
        char line[500];
        snprintf(line, sizeof line, "scrub: %.400s; once more later", why.text);
        s->conf.log(s->conf.arg, line);
        over(s);
    }
    json_decref(said);
}

void scrub_turn(struct scrub *s)
{
    struct qn_why why;
    uint64_t now = qn_env_mono_us(s->conf.env) / 1000;
    if (s->ticket) heard(s);
    if (s->ticket) {
        if (now - s->slice_ms > SLICE_MS) aside_end(s->conf.aside, s->ticket);
        return;
    }
    bool due = s->conf.every_ms && now >= s->next_ms && !s->damage[0];
    if (!s->running && !s->asked && !due) return;
    if (!s->running) {
        s->run = (struct run){ .begun_ms = now, .at.max = SLICE };
        s->running = true;
    }
    struct slice slice = { .chain = qn_replica_chain(s->conf.replica), .at = s->run.at };
    slice.at.max = SLICE;
    s->slice_ms = now;
    qn_rc rc = aside_start(s->conf.aside, "a scrub", look, &slice, &s->ticket, &why);
    if (rc && rc != QN_E_BUSY) { /* no child is to be had now */
        s->conf.log(s->conf.arg, why.text);
        over(s);
        s->next_ms = now + RETRY_MS;
    }
}

/* --- calls ------------------------------------------------------------------------------------------------------------------ */

qn_rc qn_call_ledger_scrub(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why)
{
    const struct node_scrub *p = params;
    struct scrub *s = qn_node_scrub(ctx->node);
    uint64_t run = p->run ? p->run : *ctx->state;
    if (!s) return qn_why(why, QN_E_STATE, "the node is joining: it has no state yet");
    if (run == 0) /* one from its beginning: what is under way has passed some rows */
        run = *ctx->state = s->done + 1 + s->running;
    if (s->done < run) {
        s->asked = true;
        scrub_turn(s);
    }
    bool ended = s->done >= run;
    if (!ended && !p->poll)
        return qn_why(why, QN_E_AGAIN, "%" PRIu64 " of %" PRIu64 " rows", s->run.rows, s->run.all);
    if (ended && s->damage[0])
        return qn_why(why, QN_E_CORRUPT, "state.mdb is damaged: %s; run quoin ledger repair",
                      s->damage);
    struct qn_chain *chain = qn_replica_chain(s->conf.replica);
    *ret = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "ok", ended, "rows",
                     (json_int_t)(ended ? s->last_rows : s->run.rows), "all",
                     (json_int_t)s->run.all, "run", (json_int_t)run, "ms", (json_int_t)s->last_ms,
                     "height", (json_int_t)qn_view_height(qn_chain_view(chain)));
    return QN_OK;
}

struct copy {
    struct qn_chain *chain;
    char path[4096];
};

static qn_rc write_again(void *arg, struct aside *aside, json_t **ret, struct qn_why *why)
{
    struct copy *c = arg;
    (void)aside;
    qn_crash_point("repair-rows");
    qn_rc rc = qn_chain_write_store(c->chain, c->path, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:I, s:I}", "height", (json_int_t)qn_chain_header(c->chain)->height,
                         "rows", (json_int_t)qn_trie_cnt(qn_chain_trie(c->chain)));
    return rc;
}

qn_rc qn_call_ledger_repair(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why)
{
    struct scrub *s = qn_node_scrub(ctx->node);
    struct copy copy;
    (void)params;
    if (!s) return qn_why(why, QN_E_STATE, "the node is joining: it has no state yet");
    copy.chain = qn_replica_chain(s->conf.replica);
    snprintf(copy.path, sizeof copy.path, "%s/state.mdb.new", s->conf.home);
    if (*ctx->state == 0) {
        if (s->running)
            return QN_E_AGAIN; /* what memory holds is not written before it is known to be right */
        if (!s->damage[0])
            return qn_why(why, QN_E_STATE,
                          "nothing is known to be damaged; quoin ledger scrub looks");
        qn_rc rc = aside_start(s->conf.aside, "a repair", write_again, &copy, ctx->state, why);
        return rc == QN_OK || rc == QN_E_BUSY ? QN_E_AGAIN : rc;
    }
    qn_rc rc = aside_result(s->conf.aside, *ctx->state, ret, why);
    if (rc == QN_E_CORRUPT)
        return qn_why(why, rc,
                      "what state.mdb knows of old blocks is damaged as well: stop the node, then "
                      "quoin ledger repair makes it again of the journal");
    if (rc == QN_OK) rc = qn_chain_take_store(copy.chain, copy.path, why);
    if (rc) return rc;
    s->damage[0] = 0;
    qn_replica_silence(s->conf.replica, false);
    json_object_set_new(*ret, "from", json_string("memory"));
    s->conf.log(s->conf.arg, "repair: state.mdb was written again from memory; the damaged one is "
                             "state.mdb.damaged. This node votes again");
    return QN_OK;
}
