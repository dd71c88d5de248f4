/* verb_repair.c - quoin ledger scrub, and quoin ledger repair: a damaged state.mdb made again. Of a running node from its memory (core/node/scrub.c); else from the journal, where
 * it begins with the chain, or from a snapshot of this home and the journal's blocks after it. The damaged file stays, as state.mdb.damaged. */
#include "core/cli/args.h"
#include "core/cli/progress.h"

#include "core/node/repair.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define ALL_MS  600000u /* the most that a running node may take */
#define POLL_US 50000

static void path_of(const char *home, const char *name, char dst[PATH_MAX])
{
    snprintf(dst, PATH_MAX, "%s/%s", home, name);
}

int qn_verb_ledger_repair(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct repair_said said = { 0 };
    char path[PATH_MAX];
    if (cli->argc) return qn_usage(cli, "ledger repair takes no words of its own");
    path_of(cli->client.home, "lock", path);
    int lock = open(path, O_RDWR | O_CLOEXEC);
    if (cli->node ||
        (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB))) { /* a node runs: it has all in memory */
        if (lock >= 0) close(lock);
        if (cli->timeout_ms == 0) cli->timeout_ms = ALL_MS;
        cli->client.timeout_ms = cli->timeout_ms + QN_CLIENT_MORE_MS;
        return qn_call_show(cli, "ledger.repair", NULL);
    }
    bool any = false;
    for (size_t i = 0; i < 2; i++) {
        path_of(cli->client.home, i ? "state.mdb" : "journal", path);
        any |= access(path, F_OK) == 0;
    }
    qn_rc rc = any ? repair_home(cli->client.home, &said, &why)
                   : qn_why(&why, QN_E_NOTFOUND, "%s holds no chain", cli->client.home);
    if (lock >= 0) close(lock);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *json = json_pack("{s:s, s:I, s:I}", "from", said.from, "height",
                             (json_int_t)said.height, "rows", (json_int_t)said.rows);
    if (said.snapshot && strcmp(said.from, "snapshot") == 0)
        json_object_set_new(json, "snapshot", json_integer((json_int_t)said.snapshot));
    qn_print(cli, json);
    if (!cli->json && !cli->quiet && strcmp(said.from, "nothing") == 0)
        fputs("quoin: state.mdb is whole, and stays as it is\n", stderr);
    json_decref(json);
    return 0;
}

int qn_verb_ledger_scrub(struct qn_cli *cli)
{
    struct qn_progress progress;
    struct qn_why why = { "" };
    json_t *said = NULL;
    json_int_t run = 0;
    qn_rc rc;
    if (cli->argc) return qn_usage(cli, "ledger scrub takes no words of its own");
    uint64_t end_us =
        qn_env_mono_us(qn_env_real()) + (cli->timeout_ms ? cli->timeout_ms : ALL_MS) * 1000;
    qn_progress_begin(&progress, cli);
    for (;;) {
        json_t *params = json_pack("{s:b, s:I}", "poll", 1, "run", run);
        json_decref(said);
        said = NULL;
        rc = qn_client_call(&cli->client, "ledger.scrub", params, &said, &why);
        json_decref(params);
        if (rc || json_is_true(json_object_get(said, "ok"))) break;
        run = json_integer_value(json_object_get(said, "run"));
        qn_progress(&progress, "%lld of %lld rows",
                    (long long)json_integer_value(json_object_get(said, "rows")),
                    (long long)json_integer_value(json_object_get(said, "all")));
        if (qn_env_mono_us(qn_env_real()) > end_us)
            rc = qn_why(&why, QN_E_TIMEOUT, "it goes on; ask again, or take a longer --timeout");
        if (rc) break;
        usleep(POLL_US);
    }
    qn_progress_end(&progress);
    if (rc == QN_OK) qn_print(cli, said);
    json_decref(said);
    return rc ? qn_fail(cli, rc, &why) : 0;
}
