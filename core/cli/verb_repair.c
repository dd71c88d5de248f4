/* verb_repair.c - quoin ledger scrub, and quoin ledger repair: a damaged state.mdb made again. Of a running node from its memory (core/node/scrub.c); else from the journal, where
 * it begins with the chain, or from a snapshot of this home and the journal's blocks after it. The damaged file stays, as state.mdb.damaged. */
#include "core/cli/args.h"
#include "core/cli/progress.h"

#include "core/node/proofs.h"
#include "ledger/sync/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL_MS  600000u /* the most that a running node may take */
#define POLL_US 50000

static const char HELP[] =
    "restore a backup or a snapshot into another home; or, where peers are: move journal and "
    "state.mdb out of this one, quoin up --join ADDR, and quoin validator rearm if it is a "
    "validator's";

static void path_of(const char *home, const char *name, char dst[PATH_MAX])
{
    snprintf(dst, PATH_MAX, "%s/%s", home, name);
}

/* Opens the chain from what is there, and writes the checkpoint of its last block. */
static qn_rc open_chain(const char *home, uint64_t *ret_height, uint64_t *ret_rows,
                        struct qn_why *why)
{
    struct qn_exec_module exec[QN_CLI_EXEC];
    const struct qn_module *mod;
    struct qn_chain *chain = NULL;
    struct qn_chain_conf conf = { .home = home, .env = qn_env_real(), .modules = exec };
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_CLI_EXEC; i++)
        exec[conf.module_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    conf.vm = qn_contract_vm_get();
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_chain_open(&conf, &chain, why);
    if (rc) return rc;
    *ret_height = qn_chain_header(chain)->height;
    *ret_rows = qn_trie_cnt(qn_chain_trie(chain));
    qn_chain_close(chain);
    return QN_OK;
}

/* Whether the file is whole as it is: looked at in another process, as LMDB's answer may be a signal. */
static bool is_whole(const char *home)
{
    int how = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct qn_why why;
        uint64_t height, rows;
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0) dup2(null, STDERR_FILENO);
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        _exit(open_chain(home, &height, &rows, &why) != QN_OK);
    }
    if (pid < 0) return false;
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static qn_rc rename_in(const char *home, const char *from, const char *to, struct qn_why *why)
{
    char a[PATH_MAX], b[PATH_MAX];
    path_of(home, from, a);
    path_of(home, to, b);
    if (rename(a, b) && errno != ENOENT)
        return qn_why(why, qn_err_errno(errno), "%s: %s", b, strerror(errno));
    return QN_OK;
}

static void remove_in(const char *home, const char *name)
{
    char path[PATH_MAX];
    path_of(home, name, path);
    unlink(path);
}

/* The manifests of this home: of snapshots.json, the newest first, and of snapshot.qs. false: there is none of that number. */
static bool manifest_at(const char *home, size_t idx, struct qn_buf *ret)
{
    char path[PATH_MAX];
    struct qn_buf list = { 0 };
    struct qn_chunks chunks;
    struct qn_hash id;
    qn_buf_clear(ret);
    path_of(home, "snapshots.json", path);
    json_t *all = qn_file_read(path, 64u << 10, &list, NULL) == QN_OK
                      ? json_loadb((const char *)list.ptr, list.len, 0, NULL)
                      : NULL;
    size_t cnt = json_array_size(all);
    const char *hex = json_string_value(json_object_get(json_array_get(all, idx), "manifest"));
    qn_chunks_in(home, &chunks);
    path_of(home, "snapshot.qs", path);
    bool read = false;
    if (idx == cnt)
        read = qn_file_read(path, QN_MANIFEST_MAX, ret, NULL) == QN_OK;
    else if (hex && qn_unhex(hex, strlen(hex), id.b, 32))
        read = chunks.get(chunks.self, &id, QN_MANIFEST_MAX, ret, NULL) == QN_OK;
    if (!read) qn_buf_clear(ret);
    qn_buf_free(&list);
    json_decref(all);
    return idx <= cnt;
}

struct said {
    const char *from;
    uint64_t height, rows, snapshot;
};

static qn_rc by_snapshots(const char *home, struct said *said, struct qn_why *why)
{
    struct qn_buf manifest = { 0 };
    struct qn_snapshot sn;
    struct qn_chunks chunks;
    char path[PATH_MAX];
    qn_rc rc = QN_E_NOTFOUND;
    qn_chunks_in(home, &chunks);
    path_of(home, "state.mdb.new", path);
    for (size_t i = 0; rc && manifest_at(home, i, &manifest); i++) {
        if (manifest.len == 0) continue;
        rc = qn_snapshot_store(qn_buf_get(&manifest), &chunks, path, 0, &sn, why);
        remove_in(home, "state.mdb.new-lock");
        if (rc == QN_OK) rc = rename_in(home, "state.mdb.new", "state.mdb", why);
        if (rc == QN_OK) rc = open_chain(home, &said->height, &said->rows, why);
        said->from = "snapshot";
        said->snapshot = sn.proof.header.height;
    }
    remove_in(home, "state.mdb.new");
    qn_buf_free(&manifest);
    return rc;
}

static qn_rc repair(const char *home, struct said *said, struct qn_why *why)
{
    char path[PATH_MAX];
    struct stat st;
    struct qn_why first = { "" }, other = { "" };
    path_of(home, "journal", path);
    if (stat(path, &st)) return qn_why(why, QN_E_NOTFOUND, "%s holds no chain", home);
    if (is_whole(home)) {
        said->from = "nothing";
        return open_chain(home, &said->height, &said->rows, why);
    }
    qn_rc rc = rename_in(home, "state.mdb", "state.mdb.damaged", why);
    remove_in(home, "state.mdb-lock");
    if (rc) return rc;
    said->from = "journal";
    rc = open_chain(home, &said->height, &said->rows, &first);
    if (rc) rc = by_snapshots(home, said, &other);
    if (rc == QN_OK) return rc;
    remove_in(home, "state.mdb");
    remove_in(home, "state.mdb-lock");
    if (rename_in(home, "state.mdb.damaged", "state.mdb", why)) return QN_E_IO;
    return qn_why(why, QN_E_CORRUPT,
                  "the journal alone does not do (%.120s), no snapshot of %s does either: %s",
                  first.text, home, HELP);
}

int qn_verb_ledger_repair(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct said said = { 0 };
    char path[PATH_MAX];
    if (cli->argc) return qn_usage(cli, "ledger repair takes no words of its own");
    path_of(cli->client.home, "lock", path);
    int lock = open(path, O_RDWR | O_CLOEXEC);
    if (cli->node ||
        (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB))) { /* a node runs: it has all in memory */
        if (lock >= 0) close(lock);
        if (cli->timeout_ms == 0) cli->timeout_ms = ALL_MS;
        cli->client.timeout_ms = cli->timeout_ms + 2000;
        return qn_call_show(cli, "ledger.repair", NULL);
    }
    qn_rc rc = repair(cli->client.home, &said, &why);
    if (lock >= 0) close(lock);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *json = json_pack("{s:s, s:I, s:I}", "from", said.from, "height",
                             (json_int_t)said.height, "rows", (json_int_t)said.rows);
    if (said.snapshot && strcmp(said.from, "snapshot") == 0)
        json_object_set_new(json, "snapshot", json_integer((json_int_t)said.snapshot));
    qn_print(cli, json);
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
