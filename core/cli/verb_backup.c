/* verb_backup.c - quoin backup create|verify|restore. */
#include "core/cli/args.h"
#include "core/cli/progress.h"

#include "core/node/proofs.h"
#include "ledger/sync/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL_MS 600000u /* the most that a call may wait */

int qn_verb_backup_create(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    char dir[PATH_MAX];
    if (cli->argc != 1) return qn_usage(cli, "backup create takes a folder");
    qn_rc rc = qn_dir_make(cli->argv[0], &why);
    if (rc) return qn_fail(cli, rc, &why);
    if (!realpath(cli->argv[0], dir)) return qn_usage(cli, "there is no such folder");
    if (cli->timeout_ms == 0) cli->timeout_ms = ALL_MS;
    cli->client.timeout_ms = cli->timeout_ms + QN_CLIENT_MORE_MS;
    return qn_call_show(cli, "backup.create", json_pack("{s:s}", "dir", dir));
}

/* Opens a backup as a node would, makes sure of it, and copies it to a home when there is one. */
static qn_rc take(const char *dir, const struct qn_hash *trust, const char *home,
                  struct qn_backup *ret, struct qn_why *why)
{
    struct qn_exec_module exec[16];
    const struct qn_module *mod;
    struct qn_chain_conf conf = { .home = dir, .env = qn_env_real(), .modules = exec };
    struct qn_chain *chain = NULL;
    struct qn_buf steps = { 0 };
    char path[PATH_MAX + 32];
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_COUNT(exec); i++)
        exec[conf.module_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    conf.vm = qn_contract_vm_get();
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    qn_rc rc = qn_file_read(path, 0, &steps, NULL); /* opening would make one */
    if (rc == QN_E_NOTFOUND) return qn_why(why, rc, "%s holds no backup", dir);
    rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_chain_open(&conf, &chain, why);
    if (rc == QN_OK) rc = qn_backup_check(chain, trust, ret, why);
    if (rc == QN_OK && home) {
        rc = qn_dir_make(home, why);
        if (rc == QN_OK) rc = qn_backup_make(chain, home, 0, ret, why);
        snprintf(path, sizeof path, "%s/steps.qs", dir);
        if (rc == QN_OK && qn_file_read(path, 1u << 30, &steps, NULL) == QN_OK) {
            snprintf(path, sizeof path, "%s/steps.qs", home);
            rc = qn_file_write(path, qn_buf_get(&steps), 0600, why);
        }
    }
    qn_buf_free(&steps);
    qn_chain_close(chain);
    return rc;
}

struct answer {
    qn_rc rc;
    struct qn_backup backup;
    struct qn_why why;
};

/* Until the other process has something to say. */
static void await(const struct qn_cli *cli, int fd, bool restore)
{
    struct qn_progress progress;
    struct pollfd ready = { fd, POLLIN, 0 };
    uint64_t begun_us = qn_env_mono_us(qn_env_real());
    qn_progress_begin(&progress, cli);
    for (int n = 0; n == 0 || (n < 0 && errno == EINTR);) {
        n = poll(&ready, 1, 100);
        qn_progress(&progress, "%s the backup, for %u s",
                    restore ? "checking and copying" : "checking",
                    (unsigned)((qn_env_mono_us(qn_env_real()) - begun_us) / 1000000));
    }
    qn_progress_end(&progress);
}

/* take, in another process: LMDB has no answer to some damage but a signal. */
static qn_rc take_apart(const struct qn_cli *cli, const char *dir, const struct qn_hash *trust,
                        const char *home, struct qn_backup *ret, struct qn_why *why)
{
    struct answer a = { 0 };
    int ends[2], how = 0;
    if (pipe2(ends, O_CLOEXEC)) return qn_why(why, qn_err_errno(errno), "%s", strerror(errno));
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return qn_why(why, qn_err_errno(errno), "%s", strerror(errno));
    }
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        if (null >= 0) dup2(null, STDERR_FILENO); /* LMDB's last words */
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        a.rc = take(dir, trust, home, &a.backup, &a.why);
        _exit(write(ends[1], &a, sizeof a) == (ssize_t)sizeof a ? 0 : 1);
    }
    close(ends[1]);
    await(cli, ends[0], home != NULL);
    ssize_t n;
    while ((n = read(ends[0], &a, sizeof a)) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        ;
    if (n == (ssize_t)sizeof a) {
        *ret = a.backup;
        *why = a.why;
        return a.rc;
    }
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL)
        return qn_why(why, QN_E_SYSTEM, "reading %s was killed, maybe for want of memory", dir);
    return qn_why(why, QN_E_CORRUPT, "%s/state.mdb is damaged: LMDB could not read it (%s %d)", dir,
                  WIFSIGNALED(how) ? "signal" : "exit",
                  WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

static int run(struct qn_cli *cli, bool restore)
{
    struct qn_why why = { "" };
    struct qn_backup backup;
    struct qn_hash trust;
    if (cli->argc < 1 || cli->argc > 2)
        return qn_usage(cli, restore ? "backup restore takes a backup's folder and, to pin it, the "
                                       "hash of the chain or of its last block"
                                     : "backup verify takes a backup's folder and, to pin it, the "
                                       "hash of the chain or of its last block");
    bool pinned = cli->argc == 2;
    if (pinned && !qn_unhex(cli->argv[1], strlen(cli->argv[1]), trust.b, 32))
        return qn_usage(cli, "a hash has 64 hex digits");
    qn_rc rc = take_apart(cli, cli->argv[0], pinned ? &trust : NULL,
                          restore ? cli->client.home : NULL, &backup, &why);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *said = qn_backup_json(&backup, cli->argv[0]);
    json_object_set_new(said, "pinned", json_boolean(pinned));
    if (restore) json_object_set_new(said, "home", json_string(cli->client.home));
    qn_print(cli, said);
    if (!pinned) qn_unpinned(cli, said);
    json_decref(said);
    return 0;
}

int qn_verb_backup_verify(struct qn_cli *cli)
{
    return run(cli, false);
}

int qn_verb_backup_restore(struct qn_cli *cli)
{
    return run(cli, true);
}
