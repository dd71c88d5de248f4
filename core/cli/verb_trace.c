/* verb_trace.c - quoin ledger trace|diff: each posting and row of a chain as it is executed again, and where two such executions part. Roots that
 * differ say that two machines disagree; the first line that differs says about what. A trace begins with
 * "quoin trace 1 chain HEX from HEIGHT" and the height that it ends at; zeros where the execution did not come to its end. */
#include "core/cli/args.h"
#include "core/cli/progress.h"

#include "core/crypto/blake3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_ (1u << 20)
#define VALUE_TEXT                                                                                 \
    4096u /* of a value that no record explains, or a long one: the rest as its hash */

#define HEAD      "quoin trace 1 chain %s from %016" PRIu64 " to %016" PRIu64 "\n"
#define HEAD_READ "quoin trace 1 chain %64[0-9a-f] from %16" SCNu64 " to %16" SCNu64 "%c"

struct tracer {
    FILE *out; /* NULL: only the progress is of interest */
    uint64_t from, height;
    struct qn_progress *progress;
};

/* Whether this height is written down. */
static bool wanted(struct tracer *t, uint64_t height)
{
    if (height != t->height) qn_progress(t->progress, "block %" PRIu64 " executed", t->height);
    t->height = height;
    return t->out && height >= t->from;
}

static void begin(const struct tracer *t, uint64_t height, const struct qn_hash *tx)
{
    char hex[65];
    qn_hex(tx->b, 32, hex);
    fprintf(t->out, "%" PRIu64 " %s ", height, hex);
}

static void on_post(void *self, uint64_t height, const struct qn_hash *tx,
                    const struct qn_hash *debit, const struct qn_hash *credit,
                    struct qn_amount amount)
{
    struct tracer *t = self;
    char from[64], to[64];
    if (!wanted(t, height)) return;
    qn_addr_print(debit, from);
    qn_addr_print(credit, to);
    begin(t, height, tx);
    fprintf(t->out, "post %s %s %" PRIu64 "\n", from, to, amount.uqn);
}

static const struct qn_table *table_of(uint8_t number)
{
    const struct qn_table *table;
    for (size_t i = 0; (table = qn_table_at(i)); i++)
        if (table->table == number) return table;
    return NULL;
}

/* A value as its record's JSON, where it is one. */
static char *value_text(const struct qn_table *table, struct qn_span val)
{
    struct qn_arena arena = { .max = 4u << 20 };
    const struct qn_record *rec = table && table->rec ? table->rec() : NULL;
    char *text = NULL;
    void *obj = rec ? qn_arena_alloc(&arena, rec->size) : NULL;
    if (obj && qn_decode(rec, val, &arena, obj, NULL) == QN_OK) {
        json_t *json = qn_to_json(rec, obj);
        text = json_dumps(json, JSON_COMPACT);
        json_decref(json);
    }
    qn_arena_free(&arena);
    return text;
}

static void on_row(void *self, uint64_t height, const struct qn_hash *tx, struct qn_span key,
                   const struct qn_span *val)
{
    struct tracer *t = self;
    char hex[2 * QN_MAX(VALUE_TEXT, 512u) + 1];
    if (!wanted(t, height)) return;
    const struct qn_table *table = table_of(key.ptr[0]);
    begin(t, height, tx);
    qn_hex(key.ptr + 1, key.len - 1, hex);
    if (table)
        fprintf(t->out, "%s %s ", table->name, hex);
    else
        fprintf(t->out, "table-%02x %s ", key.ptr[0], hex);
    char *text = val ? value_text(table, *val) : NULL;
    if (!val) {
        fprintf(t->out, "deleted\n");
    } else if (text && strlen(text) <= VALUE_TEXT) {
        fprintf(t->out, "%s\n", text);
    } else if (val->len <= VALUE_TEXT / 2) {
        qn_hex(val->ptr, val->len, hex);
        fprintf(t->out, "%s\n", hex);
    } else {
        struct qn_hash hash = qn_blake3(val->ptr, val->len);
        qn_hex(hash.b, 32, hex);
        fprintf(t->out, "%zu bytes %s\n", val->len, hex);
    }
    free(text);
}

qn_rc qn_cli_replay(const char *home, const struct qn_trace *trace,
                    struct qn_exec_module exec[QN_CLI_EXEC], struct qn_chain **ret,
                    struct qn_why *why)
{
    const struct qn_module *mod;
    struct qn_chain_conf conf = {
        .home = home, .env = qn_env_real(), .modules = exec, .no_store = true, .trace = trace
    };
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_CLI_EXEC; i++)
        exec[conf.module_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    conf.vm = qn_contract_vm_get();
    qn_rc rc = qn_crypto_init();
    return rc ? rc : qn_chain_open(&conf, ret, why);
}

static void head(FILE *out, const struct qn_hash *chain, uint64_t from, uint64_t to)
{
    char hex[65];
    qn_hex(chain->b, 32, hex);
    fprintf(out, HEAD, hex, from, to);
}

/* Executes home's chain; what was traced before an error stands. */
static qn_rc trace_home(const struct qn_cli *cli, const char *home, uint64_t from, FILE *out,
                        uint64_t *ret_height, struct qn_why *why)
{
    struct qn_progress progress;
    struct tracer t = { .out = out, .from = from, .progress = &progress };
    const struct qn_trace trace = { &t, on_post, on_row };
    struct qn_exec_module exec[QN_CLI_EXEC];
    struct qn_chain *chain = NULL;
    struct qn_hash id = { { 0 } };
    qn_progress_begin(&progress, cli);
    head(out, &id, from, 0); /* its place: the chain tells its name when it is open */
    qn_rc rc = qn_cli_replay(home, &trace, exec, &chain, why);
    qn_progress_end(&progress);
    if (rc) return rc;
    *ret_height = qn_view_height(qn_chain_view(chain));
    id = qn_chain_id(chain);
    qn_chain_close(chain);
    if (from > *ret_height)
        return qn_why(why, QN_E_NOTFOUND,
                      "there is no block %" PRIu64 " to begin from, the last is %" PRIu64, from,
                      *ret_height);
    if (fseek(out, 0, SEEK_SET)) return qn_why(why, QN_E_IO, "the trace could not be written");
    head(out, &id, from, *ret_height);
    return fflush(out) ? qn_why(why, QN_E_IO, "the trace could not be written") : QN_OK;
}

qn_rc qn_cli_execute(const struct qn_cli *cli, struct qn_exec_module exec[QN_CLI_EXEC],
                     struct qn_chain **ret, struct qn_why *why)
{
    struct qn_progress progress;
    struct tracer t = { .progress = &progress };
    const struct qn_trace trace = { &t, on_post, on_row };
    qn_progress_begin(&progress, cli);
    qn_rc rc = qn_cli_replay(cli->client.home, &trace, exec, ret, why);
    qn_progress_end(&progress);
    return rc;
}

int qn_verb_ledger_trace(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    const char *from = qn_args_flag(cli, "from");
    uint64_t height = 0, begin = 0;
    if (cli->argc != 1) return qn_usage(cli, "ledger trace takes a file to write, and --from");
    if (from && !qn_args_num(from, QN_NUM_MAX, &begin))
        return qn_usage(cli, "--from takes the height of a block");
    FILE *out = fopen(cli->argv[0], "w");
    if (!out) {
        qn_rc rc = qn_err_errno(errno);
        return qn_fail(cli, qn_why(&why, rc, "%s: %s", cli->argv[0], strerror(errno)), &why);
    }
    qn_rc rc = trace_home(cli, cli->client.home, begin, out, &height, &why);
    fclose(out);
    if (rc) {
        unlink(cli->argv[0]);
        return qn_fail(cli, rc, &why);
    }
    json_t *said = json_pack("{s:s, s:I, s:I}", "file", cli->argv[0], "from", (json_int_t)begin,
                             "height", (json_int_t)height);
    qn_print(cli, said);
    json_decref(said);
    return 0;
}

/* --- where two part ------------------------------------------------------------------------------------------------------- */

struct side {
    FILE *in;
    char *line; /* LINE_MAX_ */
    char chain[65];
    uint64_t from;
    bool ended;
    struct qn_why why; /* of an execution that did not come to its end */
};

/* Its first line: of which chain it is, and from where on. */
static qn_rc side_head(const char *name, struct side *s, struct qn_why *why)
{
    char end = 0;
    uint64_t to;
    rewind(s->in);
    if (!fgets(s->line, LINE_MAX_, s->in) ||
        sscanf(s->line, HEAD_READ, s->chain, &s->from, &to, &end) != 4 || end != '\n' ||
        strlen(s->chain) != 64)
        return qn_why(why, QN_E_FORMAT, "%s: this is no trace; quoin ledger trace makes one", name);
    return QN_OK;
}

static qn_rc side_open(const struct qn_cli *cli, const char *name, struct side *s,
                       struct qn_why *why)
{
    struct stat st;
    uint64_t height;
    s->line = malloc(LINE_MAX_);
    QN_ASSERT(s->line != NULL);
    if (stat(name, &st)) return qn_why(why, QN_E_NOTFOUND, "%s: there is no such file", name);
    if (!S_ISDIR(st.st_mode)) {
        s->in = fopen(name, "r");
        return s->in ? side_head(name, s, why)
                     : qn_why(why, qn_err_errno(errno), "%s: %s", name, strerror(errno));
    }
    s->in = tmpfile();
    if (!s->in) return qn_why(why, QN_E_IO, "no room for a trace of %s", name);
    qn_rc rc = trace_home(cli, name, 0, s->in, &height, &s->why);
    qn_rc read = side_head(name, s, why);
    if (rc && getc(s->in) == EOF) { /* nothing was executed at all */
        *why = s->why;
        return rc;
    }
    return read ? read : side_head(name, s, why);
}

static void side_next(struct side *s)
{
    s->ended = !fgets(s->line, LINE_MAX_, s->in);
    if (s->ended)
        s->line[0] = 0;
    else
        s->line[strcspn(s->line, "\n")] = 0;
}

/* Lines of blocks that the other side has not. */
static void side_skip(struct side *s, uint64_t from)
{
    while (!s->ended && strtoull(s->line, NULL, 10) < from)
        side_next(s);
}

/* An execution that broke off does not know its chain's name: zeros. */
static bool same_chain(const struct side *a, const struct side *b)
{
    return strspn(a->chain, "0") == 64 || strspn(b->chain, "0") == 64 ||
           strcmp(a->chain, b->chain) == 0;
}

static void side_close(struct side *s)
{
    if (s->in) fclose(s->in);
    free(s->line);
}

/* The line without its height and transaction. */
static const char *what_of(const char *line)
{
    const char *at = strchr(line, ' ');
    at = at ? strchr(at + 1, ' ') : NULL;
    return at ? at + 1 : line;
}

int qn_verb_ledger_diff(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct side a = { 0 }, b = { 0 };
    uint64_t same = 0, height = 0;
    char tx[65] = "";
    int status = 0;
    if (cli->argc != 2)
        return qn_usage(cli, "ledger diff takes two homes, or files made by ledger trace");
    qn_rc rc = side_open(cli, cli->argv[0], &a, &why);
    if (rc == QN_OK) rc = side_open(cli, cli->argv[1], &b, &why);
    if (rc == QN_OK && !same_chain(&a, &b))
        rc = qn_why(&why, QN_E_FOREIGN, "they are of two chains, %.8s and %.8s", a.chain, b.chain);
    if (rc == QN_OK) {
        for (;; same++) {
            side_next(&a);
            side_next(&b);
            if (same == 0) side_skip(&a, b.from);
            if (same == 0) side_skip(&b, a.from);
            if (a.ended || b.ended || strcmp(a.line, b.line) != 0) break;
            height = strtoull(a.line, NULL, 10);
        }
        bool differ = !a.ended && !b.ended;
        const char *first = a.ended ? b.line : a.line;
        const char *space = strchr(first, ' ');
        if (differ && space) snprintf(tx, sizeof tx, "%.64s", space + 1);
        if (differ) height = strtoull(first, NULL, 10);
        json_t *said = json_pack("{s:b, s:I, s:I}", "equal", !differ, "height", (json_int_t)height,
                                 "steps", (json_int_t)same);
        if (differ)
            json_object_update_new(said, json_pack("{s:s, s:s, s:s}", "tx", tx, "a",
                                                   what_of(a.line), "b", what_of(b.line)));
        else if (a.ended != b.ended)
            json_object_set_new(said, "goes_on", json_string(a.ended ? "b" : "a"));
        if (a.why.text[0]) json_object_set_new(said, "a_stops", json_string(a.why.text));
        if (b.why.text[0]) json_object_set_new(said, "b_stops", json_string(b.why.text));
        qn_print(cli, said);
        json_decref(said);
        status = differ;
    }
    side_close(&a);
    side_close(&b);
    return rc ? qn_fail(cli, rc, &why) : status;
}
