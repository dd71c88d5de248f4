/* snaps.c - making, listing, pruning and offering snapshots. */
#include "core/node/snaps.h"

#include "core/net/blob.h"
#include "core/net/question.h"
#include "core/node/join_kept.h"
#include "core/node/offer.h"
#include "ledger/sync/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SNAPS_MAX OFFER_MAX

struct snap {
    uint64_t height;
    uint32_t epoch, bytes;
    struct qn_hash block, manifest;
};

struct snaps {
    struct snaps_conf conf;
    char home[1025];
    struct snap list[SNAPS_MAX]; /* the newest first */
    uint32_t cnt, tried;         /* tried: the last epoch of which one was begun */
    uint64_t ticket;
    struct qn_questions *questions; /* NULL: nobody can ask */
};

/* --- the list --------------------------------------------------------------------------------------------------------- */

static bool hash_of(const json_t *obj, const char *name, struct qn_hash *ret)
{
    const char *hex = json_string_value(json_object_get(obj, name));
    return hex && qn_unhex(hex, strlen(hex), ret->b, 32);
}

static bool read_one(const json_t *obj, struct snap *ret)
{
    ret->height = (uint64_t)json_integer_value(json_object_get(obj, "height"));
    ret->epoch = (uint32_t)json_integer_value(json_object_get(obj, "epoch"));
    ret->bytes = (uint32_t)json_integer_value(json_object_get(obj, "manifest_bytes"));
    return ret->height && ret->bytes && hash_of(obj, "block", &ret->block) &&
           hash_of(obj, "manifest", &ret->manifest);
}

static void list_path(const struct snaps *s, char dst[1100])
{
    snprintf(dst, 1100, "%s/snapshots.json", s->home);
}

static void write_list(const struct snaps *s)
{
    char path[1100], block[65], manifest[65];
    json_t *list = json_array();
    list_path(s, path);
    for (uint32_t i = 0; i < s->cnt; i++) {
        const struct snap *one = &s->list[i];
        qn_hex(one->block.b, 32, block);
        qn_hex(one->manifest.b, 32, manifest);
        json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:s, s:I}", "height",
                                              (json_int_t)one->height, "epoch",
                                              (json_int_t)one->epoch, "block", block, "manifest",
                                              manifest, "manifest_bytes", (json_int_t)one->bytes));
    }
    char *text = json_dumps(list, JSON_COMPACT);
    struct qn_why why;
    if (text && qn_file_write(path, QN_SPAN_STR(text), 0600, &why))
        fprintf(stderr, "quoin: %s\n", why.text); /* they are made again */
    free(text);
    json_decref(list);
}

static void read_list(struct snaps *s)
{
    char path[1100], blob[4096];
    struct qn_buf file = { 0 };
    list_path(s, path);
    if (qn_file_read(path, 64u << 10, &file, NULL) == QN_OK) {
        json_t *list = json_loadb((const char *)file.ptr, file.len, 0, NULL);
        for (size_t i = 0; i < json_array_size(list) && s->cnt < SNAPS_MAX; i++) {
            struct snap one;
            if (read_one(json_array_get(list, i), &one) &&
                blob_path(s->home, &one.manifest, blob, sizeof blob, NULL) == QN_OK)
                s->list[s->cnt++] = one;
        }
        json_decref(list);
    }
    qn_buf_free(&file);
}

/* --- pruning ----------------------------------------------------------------------------------------------------------- */

struct names {
    struct qn_hash *at;
    size_t cnt, cap;
};

static void add_name(struct names *n, const struct qn_hash *h)
{
    if (n->cnt == n->cap) {
        n->cap = n->cap ? 2 * n->cap : 256;
        n->at = realloc(n->at, n->cap * sizeof *n->at);
        QN_ASSERT(n->at != NULL);
    }
    n->at[n->cnt++] = *h;
}

/* Everything that the manifest in a file names. Ours, so that it needs no proof; one that does not read names nothing. */
static void add_names(struct names *n, const char *path)
{
    struct qn_buf file = { 0 };
    struct qn_snapshot sn;
    struct qn_part part = { .rest = NULL };
    if (qn_file_read(path, QN_MANIFEST_MAX, &file, NULL) == QN_OK &&
        qn_snapshot_read(qn_buf_get(&file), NULL, NULL, &sn, NULL) == QN_OK)
        while (qn_snapshot_next(&sn, &part))
            add_name(n, &part.hash);
    qn_buf_free(&file);
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct qn_hash));
}

static void drop_blob(struct snaps *s, const struct qn_hash *id)
{
    blob_remove(s->home, id);
    if (s->conf.share) share_forget(s->conf.share, id);
}

/* What the first `cnt` of the list name, and somebody's own. */
static void add_kept(const struct snaps *s, uint32_t cnt, struct names *to)
{
    char path[4096];
    for (uint32_t i = 0; i < cnt; i++) {
        blob_beside(s->home, &s->list[i].manifest, "", path, sizeof path);
        add_names(to, path);
        add_name(to, &s->list[i].manifest);
    }
    snprintf(path, sizeof path, "%s/snapshot.qs", s->home);
    add_names(to, path);
    qsort(to->at, to->cnt, sizeof *to->at, by_hash);
}

static bool is_named(const struct names *n, const struct qn_hash *id)
{
    return n->cnt && bsearch(id, n->at, n->cnt, sizeof *n->at, by_hash);
}

/* Lets go of the oldest beyond `keep`, and of what only they named. */
static void prune(struct snaps *s, uint32_t keep)
{
    struct names stay = { 0 }, go = { 0 };
    char path[4096];
    if (s->cnt <= keep) return;
    for (uint32_t i = keep; i < s->cnt; i++) {
        blob_beside(s->home, &s->list[i].manifest, "", path, sizeof path);
        add_names(&go, path);
        add_name(&go, &s->list[i].manifest);
    }
    add_kept(s, keep, &stay);
    s->cnt = keep;
    write_list(s); /* before its blobs go: what is listed is whole */
    for (size_t i = 0; i < go.cnt; i++)
        if (!is_named(&stay, &go.at[i])) drop_blob(s, &go.at[i]);
    free(stay.at);
    free(go.at);
}

/* What a join fetched, in whatever run, and no snapshot names that is kept: it has its end in the chain that is here. */
static void sweep_join(struct snaps *s)
{
    struct names stay = { 0 };
    struct join_kept *k = join_kept_open(s->home);
    if (k->cnt) add_kept(s, s->cnt, &stay);
    for (size_t i = 0; i < k->cnt; i++)
        if (!is_named(&stay, &k->at[i].id)) drop_blob(s, &k->at[i].id);
    join_kept_free(k);
    join_kept_clear(s->home);
    free(stay.at);
}

void snaps_add(struct snaps *s, const json_t *said)
{
    struct snap one;
    if (!read_one(said, &one)) return;
    for (uint32_t i = 0; i < s->cnt; i++)
        if (qn_hash_eq(&s->list[i].manifest, &one.manifest)) return;
    if (s->cnt == SNAPS_MAX) prune(s, SNAPS_MAX - 1);
    memmove(s->list + 1, s->list, s->cnt * sizeof *s->list);
    s->list[0] = one;
    s->cnt++;
    write_list(s);
    prune(s, QN_MAX(s->conf.keep, 1u));
}

uint32_t snaps_cnt(const struct snaps *s)
{
    return s->cnt;
}

/* --- making ------------------------------------------------------------------------------------------------------------- */

void snaps_turn(struct snaps *s)
{
    const struct qn_header *h = qn_chain_header(s->conf.chain);
    json_t *said = NULL;
    struct qn_why why = { "" };
    if (s->ticket) {
        qn_rc rc = aside_result(s->conf.aside, s->ticket, &said, &why);
        if (rc == QN_E_AGAIN) return;
        s->ticket = 0;
        if (rc == QN_OK) snaps_add(s, said);
        /* AGAIN of the work itself: no ten minutes of blocks are here yet. */
        if (rc && rc != QN_E_AGAIN) fprintf(stderr, "quoin: no snapshot: %s\n", why.text);
        json_decref(said);
        return;
    }
    /* The first block of an epoch that has a certificate of its own: the one before ends in fillers. */
    if (s->conf.keep == 0 || h->epoch <= s->tried || qn_chain_cert(s->conf.chain).len == 0 ||
        (s->cnt && s->list[0].epoch >= h->epoch) || aside_busy(s->conf.aside, NULL, NULL))
        return;
    struct snap_work w = { .chain = s->conf.chain, .steps = s->conf.steps };
    snprintf(w.dir, sizeof w.dir, "%s", s->home);
    s->tried = h->epoch;
    if (aside_start(s->conf.aside, "a snapshot for who joins", qn_snapshot_work, &w, &s->ticket,
                    &why))
        fprintf(stderr, "quoin: no snapshot: %s\n", why.text);
}

/* --- telling ------------------------------------------------------------------------------------------------------------ */

static bool answer(void *arg, struct qn_span in, struct qn_buf *ret)
{
    struct snaps *s = arg;
    struct qn_buf pin = { 0 };
    uint64_t height;
    if (!qn_take_u64(&in, &height)) return false;
    struct offers o = { .height = qn_chain_header(s->conf.chain)->height,
                        .first = qn_chain_first(s->conf.chain),
                        .cnt = s->cnt };
    for (uint32_t i = 0; i < s->cnt; i++)
        o.list[i] = (struct offer){ s->list[i].height, s->list[i].block, s->list[i].manifest,
                                    s->list[i].bytes };
    if (height && qn_pin_put(s->conf.chain, s->conf.steps, height, &pin, NULL) == QN_OK)
        o.pin = qn_buf_get(&pin);
    offers_put(&o, ret);
    qn_buf_free(&pin);
    return true;
}

qn_rc snaps_open(const struct snaps_conf *conf, struct snaps **ret, struct qn_why *why)
{
    struct snaps *s = calloc(1, sizeof *s);
    struct qn_hash chain = qn_chain_id(conf->chain);
    char hex[9], proto[64];
    QN_ASSERT(s != NULL);
    s->conf = *conf;
    s->conf.keep = QN_MIN(conf->keep, SNAPS_MAX);
    snprintf(s->home, sizeof s->home, "%s", conf->home);
    qn_hex(chain.b, 4, hex);
    snprintf(proto, sizeof proto, OFFER_PROTOCOL, hex);
    read_list(s);
    sweep_join(s);
    const struct qn_questions_conf questions = { .host = conf->host,
                                                 .proto = proto,
                                                 .class = QN_NET_REQUEST,
                                                 .in_max = 2,
                                                 .idle_ms = 10000,
                                                 .ask_max = OFFER_ASK,
                                                 .none = "a request for snapshots that is none",
                                                 .answer = answer,
                                                 .arg = s };
    qn_rc rc = conf->host ? qn_questions_open(&questions, &s->questions, why) : QN_OK;
    if (rc) {
        free(s);
        return rc;
    }
    *ret = s;
    return QN_OK;
}

void snaps_close(struct snaps *s)
{
    if (!s) return;
    qn_questions_close(s->questions);
    free(s);
}
