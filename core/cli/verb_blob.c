/* verb_blob.c - quoin blob get: a blob as a file, from wherever it is. */
#include "core/cli/args.h"
#include "core/crypto/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_MS  20000u            /* of one call; the fetch itself goes on between two */
#define ALL_MS   UINT64_C(3600000) /* of all of them */
#define READ_MAX (1u << 20)

/* Has the node fetch it, however long that takes. */
static qn_rc fetch(struct qn_cli *cli, const char *id, json_t **ret, struct qn_why *why)
{
    uint64_t all_ms = cli->timeout_ms ? cli->timeout_ms : ALL_MS,
             begin = qn_env_mono_us(qn_env_real());
    for (;;) {
        uint64_t gone_ms = (qn_env_mono_us(qn_env_real()) - begin) / 1000;
        if (gone_ms >= all_ms) return QN_E_TIMEOUT;
        json_t *params = json_pack("{s:s, s:I}", "id", id, "timeout_ms",
                                   (json_int_t)QN_MIN(all_ms - gone_ms, (uint64_t)STEP_MS));
        qn_rc rc = qn_client_call(&cli->client, "blob.fetch", params, ret, why);
        json_decref(params);
        if (rc != QN_E_TIMEOUT) return rc;
        if (!cli->quiet && !cli->json) fprintf(stderr, "%s\n", why->text);
    }
}

/* The next bytes of it, by the file where it lies or, of a node elsewhere, by call. */
static qn_rc read_some(struct qn_cli *cli, const char *id, int fd, uint64_t at, uint8_t *dst,
                       size_t *ret, struct qn_why *why)
{
    json_t *result = NULL;
    if (fd >= 0) {
        ssize_t n = pread(fd, dst, READ_MAX, (off_t)at);
        if (n < 0) return qn_why(why, qn_err_errno(errno), "reading: %s", strerror(errno));
        *ret = (size_t)n;
        return QN_OK;
    }
    json_t *params =
        json_pack("{s:s, s:I, s:i}", "id", id, "offset", (json_int_t)at, "len", (int)READ_MAX);
    qn_rc rc = qn_client_call(&cli->client, "blob.read", params, &result, why);
    json_decref(params);
    if (rc) return rc;
    const char *hex = json_string_value(json_object_get(result, "data"));
    *ret = hex ? strlen(hex) / 2 : 0;
    if (!hex || *ret > READ_MAX || !qn_unhex(hex, strlen(hex), dst, *ret))
        rc = qn_why(why, QN_E_FORMAT, "the node's answer is no hex");
    json_decref(result);
    return rc;
}

/* Copies and hashes: what the caller gets is what was asked for, whatever lies between. */
static qn_rc copy(struct qn_cli *cli, const char *id, int from, const char *out,
                  uint64_t *ret_bytes, struct qn_why *why)
{
    char tmp[4096], got[65];
    struct qn_hasher h;
    uint64_t at = 0;
    size_t n = 0;
    uint8_t *chunk = malloc(READ_MAX);
    QN_ASSERT(chunk != NULL);
    qn_hasher_init(&h);
    snprintf(tmp, sizeof tmp, "%s.tmp", out);
    int to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    qn_rc rc = to < 0 ? qn_why(why, qn_err_errno(errno), "%s: %s", tmp, strerror(errno)) : QN_OK;
    while (rc == QN_OK) {
        rc = read_some(cli, id, from, at, chunk, &n, why);
        if (rc || n == 0) break;
        qn_hasher_put(&h, chunk, n);
        at += n;
        for (size_t put = 0; rc == QN_OK && put < n;) {
            ssize_t wrote = write(to, chunk + put, n - put);
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote < 0)
                rc = qn_why(why, qn_err_errno(errno), "%s: %s", tmp, strerror(errno));
            else
                put += (size_t)wrote;
        }
    }
    free(chunk);
    struct qn_hash hash = qn_hasher_end(&h);
    qn_hex(hash.b, 32, got);
    if (rc == QN_OK && strcmp(got, id) != 0)
        rc = qn_why(why, QN_E_CORRUPT, "what the node has is not the blob");
    if (to >= 0 && close(to) && rc == QN_OK)
        rc = qn_why(why, qn_err_errno(errno), "%s: %s", tmp, strerror(errno));
    if (rc == QN_OK && rename(tmp, out))
        rc = qn_why(why, qn_err_errno(errno), "%s: %s", out, strerror(errno));
    if (rc && to >= 0) unlink(tmp);
    *ret_bytes = at;
    return rc;
}

static void say(struct qn_cli *cli, const char *out, uint64_t bytes, json_t *fetched)
{
    const json_t *peers = json_object_get(fetched, "peers");
    uint64_t ms = (uint64_t)json_integer_value(json_object_get(fetched, "ms"));
    size_t cnt = json_array_size(peers), i;
    const json_t *peer;
    if (cli->json) {
        json_object_set_new(fetched, "file", json_string(out));
        json_object_set_new(fetched, "bytes", json_integer((json_int_t)bytes));
        qn_print(cli, fetched);
        return;
    }
    if (cnt == 0) {
        printf("%s  %" PRIu64 " bytes  it was here\n", out, bytes);
        return;
    }
    printf("%s  %" PRIu64 " bytes  %zu peer%s  %.1f s  every 16 KiB verified\n", out, bytes, cnt,
           cnt == 1 ? "" : "s", (double)ms / 1000);
    json_array_foreach((json_t *)(uintptr_t)peers, i, peer) /* NOLINT: the macro is not const */
        printf("  %s  %" PRIu64 " KiB\n", json_string_value(json_object_get(peer, "peer")),
               (uint64_t)json_integer_value(json_object_get(peer, "groups")) * 16);
}

int qn_verb_blob_get(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    const char *out = qn_args_flag(cli, "out");
    for (int i = 0; i + 1 < cli->argc; i++) {
        if (strcmp(cli->argv[i], "-o") != 0) continue;
        out = cli->argv[i + 1];
        memmove(cli->argv + i, cli->argv + i + 2, (size_t)(cli->argc - i - 2) * sizeof *cli->argv);
        cli->argc -= 2;
        break;
    }
    struct qn_hash hash;
    char id[65];
    uint64_t bytes = 0;
    json_t *fetched = NULL, *where = NULL;
    if (cli->argc != 1 || !out)
        return qn_usage(cli, "blob get takes the id of a blob, and -o FILE");
    if (!qn_unhex(cli->argv[0], strlen(cli->argv[0]), hash.b, 32))
        return qn_usage(cli, "a blob's id has 64 hex digits, as b3sum prints them");
    qn_hex(hash.b, 32, id);
    qn_rc rc = fetch(cli, id, &fetched, &why);
    int fd = -1;
    if (rc == QN_OK) {
        json_t *params = json_pack("{s:s}", "id", id);
        rc = qn_client_call(&cli->client, "blob.path", params, &where, &why);
        json_decref(params);
    }
    if (rc == QN_OK) {
        const char *path = json_string_value(json_object_get(where, "path"));
        fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        rc = copy(cli, id, fd, out, &bytes, &why);
    }
    if (fd >= 0) close(fd);
    if (rc == QN_OK) say(cli, out, bytes, fetched);
    json_decref(fetched);
    json_decref(where);
    return rc ? qn_fail(cli, rc, &why) : 0;
}
