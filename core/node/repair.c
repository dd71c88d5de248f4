/* repair.c - what is tried, in its order, each in a file of its own until it is known to do. */
#include "core/node/repair.h"

#include "core/node/proofs.h"
#include "core/node/registry.h"
#include "ledger/sync/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_MAX 16

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
    struct qn_exec_module exec[EXEC_MAX];
    const struct qn_module *mod;
    struct qn_chain *chain = NULL;
    struct qn_chain_conf conf = { .home = home, .env = qn_env_real(), .modules = exec };
    for (size_t i = 0; (mod = qn_module_at(i)) && i < EXEC_MAX; i++)
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

static qn_rc by_snapshots(const char *home, struct repair_said *said, struct qn_why *why)
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

qn_rc repair_home(const char *home, struct repair_said *said, struct qn_why *why)
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
