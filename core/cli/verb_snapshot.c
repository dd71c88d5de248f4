/* verb_snapshot.c - quoin snapshot create|verify|restore. */
#include "core/cli/args.h"
#include "core/cli/progress.h"

#include "core/node/proofs.h"
#include "ledger/sync/snapshot.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ALL_MS 600000u /* the most that a call may wait */

int qn_verb_snapshot_create(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    char dir[PATH_MAX] = "";
    if (cli->argc > 1)
        return qn_usage(cli, "snapshot create takes a folder, or none for the node's home");
    if (cli->argc == 1) {
        qn_rc rc = qn_dir_make(cli->argv[0], &why);
        if (rc) return qn_fail(cli, rc, &why);
        if (!realpath(cli->argv[0], dir)) return qn_usage(cli, "there is no such folder");
    }
    if (cli->timeout_ms == 0) cli->timeout_ms = ALL_MS;
    cli->client.timeout_ms = cli->timeout_ms + 2000;
    return qn_call_show(cli, "snapshot.create", json_pack("{s:s}", "dir", dir));
}

/* Chunks out of a folder, counted. */
struct counted {
    struct qn_chunks of;
    struct qn_progress progress;
    uint64_t bytes;
};

static qn_rc get_counted(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                         struct qn_why *why)
{
    struct counted *c = self;
    size_t before = ret->len;
    qn_rc rc = c->of.get(c->of.self, hash, max, ret, why);
    c->bytes += ret->len - before;
    qn_progress(&c->progress, "%.1f MB of the snapshot read and checked", (double)c->bytes / 1e6);
    return rc;
}

/* The manifest's file, named or in the folder that is named, and the hash to trust. */
static qn_rc read_words(struct qn_cli *cli, struct qn_buf *ret, char dir[PATH_MAX],
                        struct qn_hash *trust, bool *ret_pinned, struct qn_why *why)
{
    char file[PATH_MAX + 16];
    struct stat st;
    *ret_pinned = cli->argc == 2;
    if (*ret_pinned && !qn_unhex(cli->argv[1], strlen(cli->argv[1]), trust->b, 32))
        return qn_why(why, QN_E_USAGE, "a hash has 64 hex digits");
    bool folder = stat(cli->argv[0], &st) == 0 && S_ISDIR(st.st_mode);
    snprintf(file, sizeof file, "%.4000s%s", cli->argv[0], folder ? "/snapshot.qs" : "");
    snprintf(dir, PATH_MAX, "%.4090s", file);
    char *slash = strrchr(dir, '/'); /* the chunks lie beside it */
    if (slash)
        *slash = 0;
    else
        snprintf(dir, PATH_MAX, ".");
    qn_rc rc = qn_crypto_init();
    return rc ? rc : qn_file_read(file, QN_MANIFEST_MAX, ret, why);
}

static int run(struct qn_cli *cli, bool restore)
{
    struct qn_why why = { "" };
    struct qn_buf manifest = { 0 };
    struct qn_snapshot sn;
    struct counted counted = { .bytes = 0 };
    struct qn_hash trust;
    char dir[PATH_MAX];
    bool pinned = false;
    if (cli->argc < 1 || cli->argc > 2)
        return qn_usage(cli, restore ? "snapshot restore takes a snapshot.qs and, to pin it, the "
                                       "hash of the chain or of a block"
                                     : "snapshot verify takes a snapshot.qs and, to pin it, the "
                                       "hash of the chain or of a block");
    qn_rc rc = read_words(cli, &manifest, dir, &trust, &pinned, &why);
    qn_chunks_in(dir, &counted.of);
    struct qn_chunks chunks = counted.of;
    chunks.self = &counted;
    chunks.get = get_counted;
    qn_progress_begin(&counted.progress, cli);
    if (rc == QN_OK && restore) rc = qn_dir_make(cli->client.home, &why);
    if (rc == QN_OK)
        rc = restore ? qn_snapshot_restore(qn_buf_get(&manifest), pinned ? &trust : NULL, NULL,
                                           &chunks, cli->client.home, 0, &sn, &why)
                     : qn_snapshot_check(qn_buf_get(&manifest), pinned ? &trust : NULL, &chunks,
                                         &sn, &why);
    qn_progress_end(&counted.progress);
    if (rc == QN_OK) {
        json_t *said = qn_snapshot_json(&sn, cli->argv[0]);
        json_object_set_new(said, "pinned", json_boolean(pinned));
        if (restore) json_object_set_new(said, "home", json_string(cli->client.home));
        qn_print(cli, said);
        if (!pinned) qn_unpinned(cli, said);
        json_decref(said);
    }
    qn_buf_free(&manifest);
    return rc ? qn_fail(cli, rc, &why) : 0;
}

int qn_verb_snapshot_verify(struct qn_cli *cli)
{
    return run(cli, false);
}

int qn_verb_snapshot_restore(struct qn_cli *cli)
{
    return run(cli, true);
}
