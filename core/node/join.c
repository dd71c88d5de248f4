/* join.c - from offers to a home. */
#include "core/node/join.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"
#include "core/net/blob.h"
#include "core/node/offer.h"
#include "core/node/proofs.h"
#include "ledger/state/steps.h"
#include "ledger/sync/snapshot.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PEERS_MAX  64u
#define BAD_MAX    64u
#define AT_ONCE    6u /* parts being fetched */
#define PARTS_MAX  65536u
#define A_TURN     256u /* parts looked at, or begun, before others have their turn */
#define PIECE_MAX  (UINT64_C(8) << 20) /* of bodies, for each block: a message holds one */
#define TICK_US    100000
#define ASK_MS     5000  /* peers are asked again, what they offer is new every epoch */
#define PATIENT_MS 1500  /* the first offer waits so long for better ones */
#define NONE_MS    12000 /* no offer: the blocks, then */
#define MISS_MAX   4     /* times that nobody had a part, before the snapshot is given up */

enum stage { LOOK, MANIFEST, PARTS, RESTORE, OVER };

struct peer {
    uint32_t no; /* 0: free */
    uint64_t asked_ms;
    struct qn_stream *stream; /* of a question under way */
    struct qn_buf in;
    bool answered, lied;
    uint64_t first;
    uint32_t cnt;
    struct offer list[OFFER_MAX];
};

/* A question's stream; its peer may be forgotten before it ends. */
struct question {
    struct join *of;
    struct question *next;
    struct peer *peer; /* NULL: nobody waits */
};

enum part_is { PART_MISSING, PART_FETCHING, PART_HERE };

struct part {
    struct qn_part p;
    uint8_t is, misses;
    bool ours; /* was not here: this join fetched it, and may remove it */
};

struct join {
    struct join_conf conf;
    char home[1025], proto[64], last[200];
    enum stage stage;
    struct event *tick;
    struct qn_host_watch watch;
    struct peer peers[PEERS_MAX];
    struct question *questions;
    uint64_t begun_ms, offered_ms, said_ms;
    struct qn_hash bad[BAD_MAX];
    uint32_t bad_cnt;
    bool has_set, turning;
    struct qn_set set; /* of the trusted block */
    struct offer at;   /* the one that is taken */
    struct qn_buf manifest;
    struct qn_snapshot sn;
    struct part *parts;
    bool manifest_ours;
    uint32_t part_cnt, looked, here, fetching, said;
    uint64_t bytes, bytes_total, ticket;
};

static uint64_t now_ms(const struct join *j)
{
    return qn_env_mono_us(j->conf.env) / 1000;
}

__attribute__((format(printf, 2, 3))) static void tell(struct join *j, const char *fmt, ...)
{
    char line[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (strncmp(line, j->last, sizeof j->last - 1) == 0) return; /* said already */
    snprintf(j->last, sizeof j->last, "%.199s", line);
    j->conf.log(j->conf.arg, line);
}

static bool is_bad(const struct join *j, const struct qn_hash *manifest)
{
    for (uint32_t i = 0; i < QN_MIN(j->bad_cnt, BAD_MAX); i++)
        if (qn_hash_eq(&j->bad[i], manifest)) return true;
    return false;
}

static void drop_manifest(struct join *j)
{
    free(j->parts);
    j->parts = NULL;
    qn_buf_free(&j->manifest);
    j->part_cnt = j->looked = j->here = j->fetching = j->said = 0;
    j->bytes = j->bytes_total = 0;
}

/* Back to the offers. What is on its way for the old one comes or not: the next names most of it again. */
static void look_again(struct join *j)
{
    drop_manifest(j);
    j->at = (struct offer){ 0 };
    j->offered_ms = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        j->peers[i].asked_ms = 0;
    j->stage = LOOK;
}

static bool offers_it(const struct peer *p, const struct qn_hash *manifest)
{
    for (uint32_t k = 0; k < p->cnt; k++)
        if (qn_hash_eq(&p->list[k].manifest, manifest)) return true;
    return false;
}

static void memory_path(const struct join *j, char dst[1100])
{
    snprintf(dst, 1100, "%s/joining/manifest", j->home);
}

static uint64_t size_here(const struct join *j, const struct qn_hash *id)
{
    char path[4096];
    struct stat st;
    blob_beside(j->home, id, "", path, sizeof path);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

static void remove_blob(const struct join *j, const struct qn_hash *id)
{
    static const char *const SUFFIX[] = { "", ".tree" };
    char path[4096];
    for (unsigned i = 0; i < QN_COUNT(SUFFIX); i++) {
        blob_beside(j->home, id, SUFFIX[i], path, sizeof path);
        unlink(path);
    }
    share_forget(j->conf.share, id);
}

/* Only what this join fetched: a blob that was here before is its owner's, whoever names it. Chunks that came are proven rows of the state, and
 * of use to the next snapshot. */
static void remove_ours(struct join *j, bool chunks)
{
    char path[1100];
    for (uint32_t i = 0; i < j->part_cnt; i++) {
        const struct part *p = &j->parts[i];
        if (!p->ours) continue;
        if (p->is != PART_HERE) share_fetch_stop(j->conf.share, &p->p.hash);
        if (p->is != PART_MISSING && (chunks || !p->p.chunk)) remove_blob(j, &p->p.hash);
    }
    if (j->manifest_ours) remove_blob(j, &j->at.manifest);
    j->manifest_ours = false;
    memory_path(j, path);
    unlink(path);
}

/* The manifest is not taken a second time; who offers it is scored: for a lie, or for what does not come. */
static void give_up(struct join *j, enum qn_blame blame, const char *what)
{
    tell(j, "sync: the snapshot of block %" PRIu64 " is refused: %s", j->at.height, what);
    j->bad[j->bad_cnt++ % BAD_MAX] = j->at.manifest;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = &j->peers[i];
        if (!p->no || !offers_it(p, &j->at.manifest)) continue;
        p->lied |= blame == QN_BLAME_OFFENCE;
        qn_host_blame(j->conf.host, p->no, blame, "a snapshot that is none");
    }
    remove_ours(j, false);
    look_again(j);
}

static void condemn(struct join *j, const char *what)
{
    give_up(j, QN_BLAME_OFFENCE, what);
}

static void end(struct join *j, enum join_end how, qn_rc rc, const struct qn_why *why)
{
    if (j->stage == OVER) return;
    j->stage = OVER;
    event_del(j->tick);
    if (rc == QN_E_DISKFULL) remove_ours(j, true);
    j->conf.end(j->conf.arg, how, rc, why);
}

/* --- asking peers ------------------------------------------------------------------------------------------------------- */

static void take_pin(struct join *j, struct qn_span pin)
{
    struct qn_hash chain;
    struct qn_why why = { "" };
    if (!j->conf.pinned || j->has_set || pin.len == 0) return;
    /* One that is of another block may be the owner's mistake: nobody is blamed for it. */
    j->has_set = qn_pin_take(&pin, &j->conf.trust, j->conf.trust_height, j->conf.fast_ppm, &j->set,
                             &chain, &why) == QN_OK &&
                 pin.len == 0 && qn_hash_eq(&chain, &j->conf.chain);
}

static void offer_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    const struct question *q = arg;
    if (!q->peer) return;
    if (bytes.len > OFFER_BYTES_MAX - q->peer->in.len)
        qn_stream_reset(s);
    else
        qn_buf_span(&q->peer->in, bytes);
}

static void offer_end(void *arg, struct qn_stream *s)
{
    struct question *q = arg;
    struct join *j = q->of;
    struct peer *p = q->peer;
    struct offers o;
    (void)s;
    if (!p) return;
    q->peer = NULL;
    p->stream = NULL;
    if (offers_get(qn_buf_get(&p->in), &o)) {
        qn_host_blame(j->conf.host, p->no, QN_BLAME_OFFENCE, "offers of snapshots that are none");
    } else {
        p->answered = true;
        p->first = o.first;
        p->cnt = o.cnt;
        memcpy(p->list, o.list, sizeof p->list);
        take_pin(j, o.pin);
    }
    qn_buf_clear(&p->in);
    join_turn(j);
}

static void offer_close(void *arg, struct qn_stream *s, enum qn_stream_end how)
{
    struct question *q = arg, **at = &q->of->questions;
    (void)s, (void)how;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    if (q->peer) {
        q->peer->stream = NULL;
        qn_buf_clear(&q->peer->in);
    }
    free(q);
}

static const struct qn_stream_ops OFFER_OPS = { .on_data = offer_data,
                                                .on_finish = offer_end,
                                                .on_close = offer_close };

static void ask(struct join *j, struct peer *p)
{
    struct qn_buf buf = { 0 };
    if (p->stream || !qn_host_speaks(j->conf.host, p->no, j->proto)) return;
    struct question *q = calloc(1, sizeof *q);
    QN_ASSERT(q != NULL);
    p->asked_ms = now_ms(j);
    if (qn_host_stream(j->conf.host, p->no, j->proto, QN_NET_REQUEST, &OFFER_OPS, q, &p->stream)) {
        p->stream = NULL;
        free(q);
        return;
    }
    *q = (struct question){ j, j->questions, p };
    j->questions = q;
    qn_buf_u64(&buf, j->conf.pinned && !j->has_set ? j->conf.trust_height : 0);
    if (qn_stream_write(p->stream, qn_buf_get(&buf)))
        qn_stream_reset(p->stream);
    else
        qn_stream_finish(p->stream);
    qn_buf_free(&buf);
}

static struct peer *peer_of(struct join *j, uint32_t no)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (j->peers[i].no == no) return &j->peers[i];
    return NULL;
}

static void add_peer(void *arg, const struct qn_peer_info *info)
{
    struct join *j = arg;
    struct peer *p = peer_of(j, info->peer);
    if (!p && info->identified) {
        p = peer_of(j, 0);
        if (p) *p = (struct peer){ .no = info->peer };
    }
}

static void on_peer(void *arg, uint32_t no, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct join *j = arg;
    struct peer *p = up ? NULL : peer_of(j, no);
    (void)id, (void)outbound;
    if (!p) return;
    for (struct question *q = j->questions; q; q = q->next)
        if (q->peer == p) q->peer = NULL;
    qn_buf_free(&p->in);
    *p = (struct peer){ 0 };
}

/* --- choosing ------------------------------------------------------------------------------------------------------------- */

/* The one that was being taken when the node was killed. */
static bool remembered(const struct join *j, struct qn_hash *ret)
{
    char path[1100];
    struct qn_buf file = { 0 };
    memory_path(j, path);
    bool ok = qn_file_read(path, 64, &file, NULL) == QN_OK &&
              qn_unhex((const char *)file.ptr, file.len, ret->b, 32);
    qn_buf_free(&file);
    return ok;
}

static void remember(const struct join *j)
{
    char path[1100], hex[65];
    memory_path(j, path);
    qn_hex(j->at.manifest.b, 32, hex);
    if (qn_file_write(path, QN_SPAN_STR(hex), 0600, NULL)) return; /* costs what is chosen anew */
}

static uint32_t offerers(const struct join *j, const struct qn_hash *manifest)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        cnt += j->peers[i].no && offers_it(&j->peers[i], manifest);
    return cnt;
}

/* The one begun before; else the newest, and of one block the one that most offer. */
static bool choose(const struct join *j, struct offer *ret)
{
    struct qn_hash before;
    bool has = remembered(j, &before), any = false;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        for (uint32_t k = 0; j->peers[i].no && !j->peers[i].lied && k < j->peers[i].cnt; k++) {
            const struct offer *o = &j->peers[i].list[k];
            if (o->height == 0 || o->bytes == 0 || o->bytes > QN_MANIFEST_MAX ||
                is_bad(j, &o->manifest))
                continue;
            bool same = any && qn_hash_eq(&o->manifest, &ret->manifest);
            if (same) continue;
            if (has && qn_hash_eq(&o->manifest, &before)) {
                *ret = *o;
                return true;
            }
            if (!any || o->height > ret->height ||
                (o->height == ret->height &&
                 offerers(j, &o->manifest) > offerers(j, &ret->manifest)))
                *ret = *o;
            any = true;
        }
    return any;
}

static void look(struct join *j)
{
    uint64_t now = now_ms(j);
    bool waiting = false, answered = false, all = false;
    qn_host_peers(j->conf.host, add_peer, j);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = &j->peers[i];
        if (p->no && !p->lied && (p->asked_ms == 0 || now - p->asked_ms >= ASK_MS)) ask(j, p);
        waiting |= p->stream != NULL;
        answered |= p->answered;
        all |= p->answered && p->first <= 1;
    }
    struct offer best = { 0 };
    if (!choose(j, &best)) {
        if (!j->conf.patient && now - j->begun_ms >= NONE_MS && (all || !answered)) {
            tell(j, "sync: no peer offers a snapshot; blocks, then");
            end(j, JOIN_BLOCKS, QN_OK, NULL);
        } else if (now - j->begun_ms >= NONE_MS) {
            tell(j, "sync: no peer offers a snapshot yet");
        }
        return;
    }
    if (j->offered_ms == 0) j->offered_ms = now;
    if (waiting && now - j->offered_ms < PATIENT_MS) return;
    if (j->conf.pinned && !j->has_set) {
        if (now - j->offered_ms >= ASK_MS)
            tell(j, "sync: no peer knows who voted at the trusted block %" PRIu64,
                 j->conf.trust_height);
        return;
    }
    j->at = best;
    j->stage = MANIFEST;
    j->manifest_ours = size_here(j, &best.manifest) == UINT64_MAX;
    remember(j);
    tell(j, "sync: taking the snapshot of block %" PRIu64 ", offered by %u", best.height,
         offerers(j, &best.manifest));
}

/* --- fetching ------------------------------------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct qn_hash));
}

/* What the manifest names is within bounds, nothing of it twice. NULL, or what is wrong. */
static const char *list_parts(struct join *j)
{
    struct qn_part at = { .rest = NULL };
    uint64_t cnt = (uint64_t)j->sn.chunk_cnt + j->sn.piece_cnt, bodies = 0;
    uint64_t end = j->sn.proof.header.height, begin = j->sn.begin.height;
    if (cnt > PARTS_MAX) return "it has too many parts";
    if (begin >= end || j->sn.piece_cnt > end - begin) return "it has more bodies than blocks";
    struct qn_hash *all = calloc(cnt, sizeof *all);
    j->parts = calloc(cnt, sizeof *j->parts);
    QN_ASSERT(j->parts != NULL && all != NULL);
    const char *bad = NULL;
    while (!bad && qn_snapshot_next(&j->sn, &at)) {
        all[j->part_cnt] = at.hash;
        j->parts[j->part_cnt++].p = at;
        j->bytes_total += at.bytes;
        if (!at.chunk) bodies += at.bytes;
        if (at.bytes == 0 || at.bytes > QN_CHUNK_MAX)
            bad = "a part of it has a length that none has";
    }
    if (!bad && bodies / PIECE_MAX > end - begin) bad = "its bodies are larger than blocks may be";
    qsort(all, j->part_cnt, sizeof *all, by_hash);
    for (uint32_t i = 1; i < j->part_cnt && !bad; i++)
        if (qn_hash_eq(&all[i - 1], &all[i])) bad = "it names a part twice";
    free(all);
    return bad;
}

/* Some more of what is here already. false: not at the end yet, or given up. */
static bool look_at_parts(struct join *j)
{
    struct statvfs fs;
    if (j->looked == j->part_cnt) return true;
    for (uint32_t n = 0; n < A_TURN && j->looked < j->part_cnt; n++, j->looked++) {
        struct part *p = &j->parts[j->looked];
        uint64_t size = size_here(j, &p->p.hash);
        if (size == UINT64_MAX) continue;
        if (size != p->p.bytes) {
            condemn(j, "a part of it is here, and of another length");
            return false;
        }
        p->is = PART_HERE; /* from before; the restoring looks at every byte again */
        j->here++;
        j->bytes += size;
    }
    if (j->looked < j->part_cnt) return false;
    if (statvfs(j->home, &fs) == 0 &&
        j->bytes_total - j->bytes > (uint64_t)fs.f_bavail * fs.f_frsize) {
        give_up(j, QN_BLAME_SLIP, "it is larger than what is free of the disk");
        return false;
    }
    tell(j, "sync: %u parts, %.1f MB, %u of them here", j->part_cnt, (double)j->bytes_total / 1e6,
         j->here);
    return true;
}

static void fetch_manifest(struct join *j)
{
    char path[4096];
    json_t *said = NULL;
    struct qn_why why = { "" };
    qn_rc rc = share_fetch_up_to(j->conf.share, &j->at.manifest, QN_MANIFEST_MAX, &said, &why);
    json_decref(said);
    if (rc == QN_E_AGAIN || rc == QN_E_LIMIT) return;
    if (rc == QN_E_NOTFOUND) {
        give_up(j, QN_BLAME_SLIP, "who offers it has not got it");
        return;
    }
    if (rc) {
        end(j, JOIN_FAILED, rc, &why);
        return;
    }
    blob_beside(j->home, &j->at.manifest, "", path, sizeof path);
    rc = qn_file_read(path, QN_MANIFEST_MAX, &j->manifest, &why);
    if (rc == QN_E_TOOBIG) {
        condemn(j, "its manifest is larger than any may be");
        return;
    }
    if (rc) {
        end(j, JOIN_FAILED, rc, &why);
        return;
    }
    const struct qn_hash *trust = &j->conf.chain;
    rc = qn_snapshot_read(qn_buf_get(&j->manifest), trust, j->conf.pinned ? &j->set : NULL, &j->sn,
                          &why);
    if (rc == QN_OK && j->sn.proof.header.height != j->at.height)
        rc = qn_why(&why, QN_E_PROOF, "it is of block %" PRIu64, j->sn.proof.header.height);
    if (rc) {
        condemn(j, why.text);
        return;
    }
    const char *bad = list_parts(j);
    if (bad)
        condemn(j, bad);
    else
        j->stage = PARTS;
}

/* A part is whole: what can be said of it alone is. false: the manifest lied, and is dropped. */
static bool arrived(struct join *j, struct part *p)
{
    char path[4096];
    struct qn_buf rows = { 0 };
    struct qn_why why = { "" };
    blob_beside(j->home, &p->p.hash, "", path, sizeof path);
    qn_rc rc = qn_file_read(path, QN_CHUNK_MAX, &rows, &why);
    if (rc == QN_OK && rows.len != p->p.bytes) rc = QN_E_PROOF;
    if (rc == QN_OK && p->p.chunk) rc = qn_snapshot_chunk(&j->sn, &p->p, qn_buf_get(&rows));
    qn_buf_free(&rows);
    if (rc == QN_OK) {
        p->is = PART_HERE;
        j->here++;
        j->bytes += p->p.bytes;
        qn_crash_point("join-part");
        return true;
    }
    if (rc == QN_E_IO) {
        end(j, JOIN_FAILED, rc, &why);
        return false;
    }
    if (p->ours) remove_blob(j, &p->p.hash);
    condemn(j, "a chunk's rows do not lead to the block's state root");
    return false;
}

static bool fetch_part(struct join *j, struct part *p)
{
    json_t *said = NULL;
    struct qn_why why = { "" };
    if (p->is == PART_MISSING) p->ours = size_here(j, &p->p.hash) == UINT64_MAX;
    qn_rc rc = share_fetch_up_to(j->conf.share, &p->p.hash, p->p.bytes, &said, &why);
    json_decref(said);
    if (rc == QN_E_LIMIT) return true;
    if (p->is == PART_MISSING) {
        p->is = PART_FETCHING;
        j->fetching++;
    }
    if (rc == QN_E_AGAIN) return true;
    p->is = PART_MISSING;
    j->fetching--;
    if (rc == QN_OK) return arrived(j, p);
    if (rc == QN_E_NOTFOUND && ++p->misses < MISS_MAX) return true;
    if (rc == QN_E_NOTFOUND || rc == QN_E_TOOBIG)
        give_up(j, QN_BLAME_SLIP, "nobody has a part of it");
    else
        end(j, JOIN_FAILED, rc, &why);
    return false;
}

static qn_rc restore(void *arg, struct aside *aside, json_t **ret, struct qn_why *why);

static void fetch_parts(struct join *j)
{
    uint32_t begun = 0;
    if (!look_at_parts(j)) return;
    for (uint32_t i = 0; i < j->part_cnt; i++) {
        struct part *p = &j->parts[i];
        if (p->is == PART_FETCHING && !fetch_part(j, p)) return;
    }
    for (uint32_t i = 0; i < j->part_cnt && j->fetching < AT_ONCE && begun < A_TURN; i++) {
        struct part *p = &j->parts[i];
        if (p->is != PART_MISSING) continue;
        begun++;
        if (!fetch_part(j, p)) return;
    }
    uint32_t tenth = j->part_cnt ? j->here * 10 / j->part_cnt : 10;
    if (tenth > j->said) {
        j->said = tenth;
        tell(j, "sync: %u of %u parts, %.1f of %.1f MB", j->here, j->part_cnt,
             (double)j->bytes / 1e6, (double)j->bytes_total / 1e6);
    }
    if (j->here < j->part_cnt) return;
    struct qn_why why = { "" };
    qn_rc rc =
        aside_start(j->conf.aside, "the restoring of a snapshot", restore, j, &j->ticket, &why);
    if (rc == QN_E_BUSY) return;
    if (rc) {
        end(j, JOIN_FAILED, rc, &why);
        return;
    }
    j->stage = RESTORE;
    tell(j, "sync: restoring");
}

/* --- restoring, in a child -------------------------------------------------------------------------------------------------- */

struct reader {
    struct qn_chunks from;
    struct aside *aside;
    uint64_t cnt, total;
};

static qn_rc get_telling(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                         struct qn_why *why)
{
    struct reader *r = self;
    aside_say(r->aside, r->cnt++, r->total);
    return r->from.get(r->from.self, hash, max, ret, why);
}

static qn_rc restore(void *arg, struct aside *aside, json_t **ret, struct qn_why *why)
{
    struct join *j = arg;
    struct reader r = { .aside = aside, .total = j->part_cnt };
    const struct qn_chunks chunks = { .self = &r, .get = get_telling };
    struct qn_snapshot sn;
    qn_chunks_in(j->home, &r.from);
    qn_crash_point("join-restore");
    qn_rc rc = qn_snapshot_restore(qn_buf_get(&j->manifest), &j->conf.chain,
                                   j->conf.pinned ? &j->set : NULL, &chunks, j->home,
                                   j->conf.map_gib, &sn, why);
    /* Steps that are not there cost others a proof from the genesis, us nothing. */
    if (rc == QN_OK && qn_steps_adopt(j->home, sn.front, NULL) == QN_OK) qn_crash_point("join-end");
    if (rc == QN_OK) {
        char hex[65];
        *ret = qn_snapshot_json(&sn, "");
        qn_hex(j->at.manifest.b, 32, hex);
        json_object_set_new(*ret, "manifest", json_string(hex));
        json_object_set_new(*ret, "manifest_bytes", json_integer((json_int_t)j->manifest.len));
        json_object_set_new(*ret, "epoch", json_integer((json_int_t)sn.proof.header.epoch));
    }
    return rc;
}

/* It is one that others may have of us. */
static void keep(const struct join *j, json_t *said)
{
    char path[1100];
    json_t *list = json_array();
    json_array_append(list, said);
    char *text = json_dumps(list, JSON_COMPACT);
    snprintf(path, sizeof path, "%s/snapshots.json", j->home);
    if (text && qn_file_write(path, QN_SPAN_STR(text), 0600, NULL) == QN_OK)
        qn_crash_point("join-kept");
    free(text);
    json_decref(list);
}

/* What was here from an earlier run, or came from a liar, is found out at the end: it is fetched again. */
static void drop_damaged(struct join *j)
{
    for (uint32_t i = 0; i < j->part_cnt; i++) {
        char path[4096];
        blob_beside(j->home, &j->parts[i].p.hash, "", path, sizeof path);
        struct qn_buf file = { 0 };
        bool wrong = false; /* what cannot be read is left alone */
        if (qn_file_read(path, QN_CHUNK_MAX, &file, NULL) == QN_OK) {
            struct qn_hash is = qn_blake3(file.ptr, file.len);
            wrong = !qn_hash_eq(&is, &j->parts[i].p.hash);
        }
        qn_buf_free(&file);
        if (wrong) remove_blob(j, &j->parts[i].p.hash);
    }
}

static void wait_restore(struct join *j)
{
    json_t *said = NULL;
    struct qn_why why = { "" };
    qn_rc rc = aside_result(j->conf.aside, j->ticket, &said, &why);
    if (rc == QN_E_AGAIN) return;
    j->ticket = 0;
    if (rc == QN_OK) {
        keep(j, said);
        tell(j, "sync: at block %" PRIu64 ", and on by blocks", j->at.height);
        end(j, JOIN_RESTORED, QN_OK, NULL);
    } else if (rc == QN_E_CORRUPT || rc == QN_E_NOTFOUND) {
        tell(j, "sync: %s; fetched again", why.text);
        drop_damaged(j);
        look_again(j);
    } else if (rc == QN_E_PROOF || rc == QN_E_FORMAT || rc == QN_E_SHORT || rc == QN_E_EXTRA ||
               rc == QN_E_SIGNATURE || rc == QN_E_TOOBIG) {
        condemn(j, why.text);
    } else {
        end(j, JOIN_FAILED, rc, &why);
    }
    json_decref(said);
}

/* --- the whole ------------------------------------------------------------------------------------------------------------- */

void join_turn(struct join *j)
{
    if (j->turning) return; /* a fetch that moves by being asked for */
    j->turning = true;
    switch (j->stage) {
    case LOOK: look(j); break;
    case MANIFEST: fetch_manifest(j); break;
    case PARTS: fetch_parts(j); break;
    case RESTORE: wait_restore(j); break;
    case OVER: break;
    }
    j->turning = false;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    join_turn(arg);
}

qn_rc join_open(const struct join_conf *conf, struct join **ret, struct qn_why *why)
{
    const struct timeval every = { 0, TICK_US };
    struct join *j = calloc(1, sizeof *j);
    char hex[9], path[1100];
    QN_ASSERT(j != NULL);
    j->conf = *conf;
    snprintf(j->home, sizeof j->home, "%s", conf->home);
    qn_hex(conf->chain.b, 4, hex);
    snprintf(j->proto, sizeof j->proto, OFFER_PROTOCOL, hex);
    snprintf(path, sizeof path, "%s/joining", j->home);
    qn_rc rc = qn_dir_make(path, why);
    if (rc) {
        free(j);
        return rc;
    }
    j->begun_ms = now_ms(j);
    j->watch = (struct qn_host_watch){ .arg = j, .on_peer = on_peer };
    qn_host_watch(conf->host, &j->watch);
    j->tick = event_new(conf->base, -1, EV_PERSIST, on_tick, j);
    QN_ASSERT(j->tick != NULL);
    event_add(j->tick, &every);
    *ret = j;
    return QN_OK;
}

void join_detach(struct join *j)
{
    if (!j) return;
    if (j->stage != OVER) event_del(j->tick);
    j->stage = OVER;
    qn_host_unwatch(j->conf.host, &j->watch);
    for (struct question *q = j->questions; q; q = q->next)
        q->peer = NULL;
}

void join_close(struct join *j)
{
    if (!j) return;
    QN_ASSERT(j->questions == NULL); /* the host has told of the end of each */
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        qn_buf_free(&j->peers[i].in);
    drop_manifest(j);
    event_free(j->tick);
    free(j);
}

struct join_info join_info(const struct join *j)
{
    static const char *const STAGES[] = { "looking for a snapshot", "fetching a manifest",
                                          "fetching parts", "restoring", "done" };
    struct join_info info = { .stage = STAGES[j->stage],
                              .height = j->at.height,
                              .done = j->here,
                              .total = j->part_cnt,
                              .bytes = j->bytes,
                              .bytes_total = j->bytes_total,
                              .refused = j->bad_cnt };
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        info.offers += j->peers[i].no && j->peers[i].cnt;
    if (j->stage == RESTORE && !aside_busy(j->conf.aside, &info.done, &info.total))
        info.done = info.total;
    return info;
}

void join_text(const struct join *j, char dst[160])
{
    struct join_info i = join_info(j);
    if (i.height == 0)
        snprintf(dst, 160, "%s, %u peers offer one", i.stage, i.offers);
    else if (i.total == 0)
        snprintf(dst, 160, "snapshot of block %" PRIu64 ": %s", i.height, i.stage);
    else
        snprintf(dst, 160,
                 "snapshot of block %" PRIu64 ": %s, %" PRIu64 " of %" PRIu64 ", %.1f of %.1f MB",
                 i.height, i.stage, i.done, i.total, (double)i.bytes / 1e6,
                 (double)i.bytes_total / 1e6);
}
