/* share_fetch.c - taking a blob from all peers that have it: requests out, what verifies into the file. */
#include "core/net/share_in.h"

#include "core/env/crash.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A request under way. */
struct ask {
    struct ask *next;
    struct share *share;
    struct fetch *fetch; /* NULL: cancelled */
    struct qn_stream *stream;
    uint32_t peer, req;
    bool ended; /* the swarm knows what became of it */
    struct blob_frames frames;
    struct blob_decoder decoder;
    struct share_run run;
    uint64_t size;
    /* Nodes that came before the size was proven: the right edge of the tree. */
    uint32_t early_cnt;
    struct {
        uint64_t node;
        uint8_t bytes[BLOB_NODE];
    } early[BLOB_DEPTH_MAX];
};

/* On a later turn: who is told may ask, and be answered, and the fetch be gone. */
static void tell(struct fetch *f)
{
    f->share->moved = true;
    event_active(f->share->pump, EV_TIMEOUT, 0);
}

void share_fetch_kick(struct fetch *f)
{
    event_active(f->turn, EV_TIMEOUT, 0);
}

bool share_fetch_has(const struct fetch *f, const struct blob_range *range, uint32_t cnt)
{
    uint64_t all = blob_group_cnt(f->shelf->size);
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t first = QN_MIN(range[i].first, all - 1);
        for (uint64_t g = first; g < all && g - first < range[i].cnt; g++)
            if (!swarm_has(f->swarm, g)) return false;
    }
    return true;
}

const uint8_t *share_fetch_bits(const struct fetch *f)
{
    return swarm_bits(f->swarm);
}

/* Lets go of its streams; they end on later turns, with nobody to tell. */
static void let_go(struct fetch *f)
{
    share_have_let_go(f);
    for (struct ask *a; (a = f->asks);) {
        f->asks = a->next;
        a->fetch = NULL;
        qn_stream_reset(a->stream);
    }
}

static void part_path(const struct fetch *f, char path[4096])
{
    blob_beside(f->share->conf.home, &f->id, ".part", path, 4096);
}

/* The end, for good or (rc) not. It stays known for a while, for who asked for it. */
static void finish(struct fetch *f, qn_rc rc, const char *text)
{
    struct share *s = f->share;
    if (f->over) return;
    f->over = true;
    f->over_ms = share_now_ms(s);
    f->rc = rc;
    if (rc) snprintf(f->why.text, sizeof f->why.text, "%s", text);
    s->stat.bad_peers += swarm_info(f->swarm).dropped;
    share_serve_news(s, &f->id, UINT32_MAX);
    if (f->shelf) {
        f->shelf->fetch = NULL;
        f->shelf->broken = rc != QN_OK;
        /* What is right of it is of use to the next. */
        if (rc && rc != QN_E_NOTFOUND && rc != QN_E_STATE) share_part_drop(s, &f->id);
        share_shelf_put(s, f->shelf);
        f->shelf = NULL;
    }
    event_del(f->turn);
    let_go(f);
    tell(f);
}

static void finish_errno(struct fetch *f, const char *what)
{
    char text[160];
    int err = errno;
    snprintf(text, sizeof text, "%s: %s", what, strerror(err));
    finish(f, qn_err_errno(err), text);
}

/* All of it is here, each group checked as it came: under its name from now on. */
static void complete(struct fetch *f)
{
    char part[4096], path[4096];
    struct qn_why why = { "" };
    uint64_t size = f->shelf->size;
    qn_rc rc = QN_OK;
    part_path(f, part);
    if (size > BLOB_PIECE) {
        blob_beside(f->share->conf.home, &f->id, ".tree", path, sizeof path);
        rc = qn_file_write(path, QN_SPAN(f->shelf->outer, blob_outer_len(size)), 0600, &why);
    }
    blob_beside(f->share->conf.home, &f->id, "", path, sizeof path);
    if (rc)
        finish(f, rc, why.text);
    else if (fsync(f->shelf->fd) || rename(part, path))
        finish_errno(f, "keeping the blob");
    else {
        blob_beside(f->share->conf.home, &f->id, ".outer", path, sizeof path);
        unlink(path);
        finish(f, QN_OK, NULL);
    }
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct fetch *f = arg;
    uint64_t now = share_now_ms(f->share), next = now + 500;
    (void)fd, (void)what;
    if (f->over) return;
    uint32_t waiting = share_have_turn(f, now);
    if (!f->bytes) {
        if (waiting == 0 || now - f->begun_ms >= SHARE_FIND_MS) {
            f->over_ms = now;
            tell(f);
            return;
        }
    } else {
        next = swarm_turn(f->swarm, now);
        if (f->over) return;
        if (swarm_done(f->swarm)) {
            complete(f);
            return;
        }
        bool hope = !swarm_info(f->swarm).stuck || (waiting && now - f->begun_ms < SHARE_FIND_MS);
        if (hope) f->found_ms = now;
        if (now - f->found_ms >= SHARE_LOST_MS || (!hope && !f->haves)) {
            finish(f, QN_E_NOTFOUND,
                   f->shelf ? "no peer has what is missing of the blob" : "no peer has the blob");
            return;
        }
        next = QN_MIN(next, now + 500);
    }
    uint64_t ms = next > now ? next - now : 1;
    const struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    event_add(f->turn, &tv);
}

void share_fetch_peer(struct share *s, uint32_t peer, bool up)
{
    for (struct fetch *f = s->fetches; f; f = f->next) {
        if (f->over) continue;
        if (up)
            share_have_ask(f, peer);
        else
            swarm_gone(f->swarm, peer);
        share_fetch_kick(f);
    }
}

void share_fetch_blame(struct fetch *f, uint32_t peer, const char *what)
{
    qn_host_blame(f->share->conf.host, peer, QN_BLAME_OFFENCE, what);
}

void share_fetch_peer_name(const struct share *s, uint32_t peer, char dst[QN_PEER_TEXT_MAX])
{
    struct qn_peer_info info;
    if (qn_host_peer(s->conf.host, peer, &info))
        qn_peer_id_print(&info.id, dst);
    else
        snprintf(dst, QN_PEER_TEXT_MAX, "(gone)");
}

/* --- groups ------------------------------------------------------------------------------------------------------ */

static qn_rc got_size(void *self, uint64_t size)
{
    struct ask *a = self;
    uint64_t known;
    if (swarm_size(a->fetch->swarm, &known) && known != size) return QN_E_PROOF;
    a->size = size;
    return QN_OK;
}

static qn_rc got_node(void *self, uint64_t node, const uint8_t bytes[BLOB_NODE])
{
    struct ask *a = self;
    struct shelf *shelf = a->fetch->shelf;
    if (shelf && shelf->size != a->size) return QN_E_PROOF; /* another size was proven meanwhile */
    if (shelf) {
        memcpy(shelf->outer + node * BLOB_NODE, bytes, BLOB_NODE);
    } else if (a->early_cnt < QN_COUNT(a->early)) {
        a->early[a->early_cnt].node = node;
        memcpy(a->early[a->early_cnt++].bytes, bytes, BLOB_NODE);
    }
    return QN_OK;
}

/* The size is proven: room on the disk, and others may ask us. */
static bool make_room(struct fetch *f, uint64_t size)
{
    struct qn_why why = { "" };
    qn_rc rc = share_part_new(f->share, &f->id, size, &f->shelf, &why);
    if (rc) {
        finish(f, rc, why.text[0] ? why.text : "no folder for the blob");
        return false;
    }
    f->shelf->fetch = f;
    share_serve_ready(f->share, &f->id);
    return true;
}

static void count(struct ask *a, size_t len)
{
    struct fetch *f = a->fetch;
    f->share->stat.in_bytes += len;
    for (uint32_t i = 0; i < QN_COUNT(f->from); i++) {
        if (i == f->from_cnt) {
            f->from[f->from_cnt++].peer = a->peer;
            share_fetch_peer_name(f->share, a->peer, f->from[i].name);
        }
        if (f->from[i].peer != a->peer) continue;
        f->from[i].groups++;
        break;
    }
}

/* Writes a verified group, which the swarm has counted already. */
static qn_rc keep(struct ask *a, uint64_t group, struct qn_span bytes)
{
    if (share_write(a->fetch->shelf->fd, group, bytes)) {
        struct fetch *f = a->fetch;
        finish_errno(f, "writing the blob");
        return f->rc;
    }
    qn_crash_point("blob-group");
    count(a, bytes.len);
    return QN_OK;
}

/* Writes what was gathered, and then says that it is here: others may ask for it. */
static qn_rc flush(struct ask *a)
{
    struct fetch *f = a->fetch;
    struct share_run *r = &a->run;
    uint32_t cnt = r->cnt;
    size_t left = r->len;
    if (cnt == 0) return QN_OK;
    r->cnt = 0;
    r->len = 0;
    if (share_write(f->shelf->fd, r->first, QN_SPAN(r->bytes, left))) {
        finish_errno(f, "writing the blob");
        return f->rc;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        size_t len = QN_MIN(left, (size_t)QN_GROUP);
        qn_crash_point("blob-group");
        if (swarm_group(f->swarm, a->req, r->first + i, a->size)) count(a, len);
        left -= len;
    }
    return QN_OK;
}

static uint8_t *room(void *self, uint64_t group)
{
    struct ask *a = self;
    const struct shelf *shelf = a->fetch->shelf;
    if (!shelf || shelf->size != a->size) return NULL;
    return share_run_room(a->fetch->share, &a->run, group);
}

static qn_rc got_group(void *self, uint64_t group, struct qn_span bytes)
{
    struct ask *a = self;
    struct fetch *f = a->fetch;
    uint64_t size, now = share_now_ms(f->share);
    if (f->shelf && f->shelf->size != a->size) return QN_E_PROOF;
    bool gathered = a->run.bytes && bytes.ptr == a->run.bytes + a->run.len;
    bool fresh = !gathered && swarm_group(f->swarm, a->req, group, a->size);
    if (!f->shelf && swarm_size(f->swarm, &size)) {
        if (size > BLOB_BYTES_MAX) {
            finish(f, QN_E_TOOBIG, "a blob has at most 1 GiB here");
            return QN_E_TOOBIG;
        }
        if (!make_room(f, size)) return f->rc;
    }
    if (f->shelf)
        for (; a->early_cnt; a->early_cnt--)
            memcpy(f->shelf->outer + a->early[a->early_cnt - 1].node * BLOB_NODE,
                   a->early[a->early_cnt - 1].bytes, BLOB_NODE);
    if (gathered) return share_run_add(&a->run, group, bytes, now) ? flush(a) : QN_OK;
    qn_rc rc = fresh ? keep(a, group, bytes) : QN_OK;
    return rc ? rc : flush(a);
}

/* Tells the swarm once. The stream goes on to its end by itself, or is reset. */
static void ask_end(struct ask *a, enum swarm_end how)
{
    struct fetch *f = a->fetch;
    if (a->ended || flush(a)) return;
    a->ended = true;
    swarm_end(f->swarm, a->req, how);
    if (how == SWARM_BAD) share_fetch_blame(f, a->peer, "bytes that are not the blob's");
    share_fetch_kick(f);
}

static void ask_data(void *arg, struct qn_stream *stream, struct qn_span bytes)
{
    struct ask *a = arg;
    const struct blob_sink to = { a, got_size, got_node, got_group, room };
    enum blob_code code;
    struct qn_span part;
    bool last;
    qn_rc rc = QN_OK;
    while (a->fetch && !a->ended &&
           (rc = blob_frames_next(&a->frames, &bytes, &code, &part, &last)) == QN_OK) {
        switch (code) {
        case BLOB_OK: rc = blob_decode_put(&a->decoder, part, &to); break;
        case BLOB_ABSENT: ask_end(a, SWARM_ABSENT); break;
        case BLOB_BUSY: ask_end(a, SWARM_BUSY); break;
        case BLOB_BAD:
        case BLOB_ERROR: ask_end(a, SWARM_LOST); break;
        }
        if (rc) break;
    }
    if (!a->fetch || a->ended || rc == QN_OK || rc == QN_E_AGAIN) {
        /* All is here: who says so only later, or never, holds back nothing by that. */
        if (a->fetch && a->run.cnt && blob_decode_done(&a->decoder)) (void)flush(a);
        if (a->fetch) share_fetch_kick(a->fetch);
        return;
    }
    ask_end(a, SWARM_BAD);
    qn_stream_reset(stream);
}

static void ask_finish(void *arg, struct qn_stream *stream)
{
    struct ask *a = arg;
    (void)stream;
    if (!a->fetch) return;
    ask_end(a, blob_decode_done(&a->decoder) ? SWARM_OK : SWARM_LOST);
}

static void ask_close(void *arg, struct qn_stream *stream, enum qn_stream_end end)
{
    struct ask *a = arg;
    (void)stream;
    if (a->fetch) ask_end(a, end == QN_STREAM_REFUSED ? SWARM_BUSY : SWARM_LOST);
    if (a->fetch) { /* its last bytes may have ended the fetch: a full disk */
        struct ask **at = &a->fetch->asks;
        while (*at != a)
            at = &(*at)->next;
        *at = a->next;
    }
    share_run_free(a->share, &a->run);
    free(a);
}

static const struct qn_stream_ops ASK_OPS = { .on_data = ask_data,
                                              .on_finish = ask_finish,
                                              .on_close = ask_close };

static uint32_t asked_of(const struct share *s, uint32_t peer)
{
    uint32_t cnt = 0;
    for (const struct fetch *f = s->fetches; f; f = f->next)
        for (const struct ask *a = f->asks; a; a = a->next)
            cnt += a->peer == peer;
    return cnt;
}

static void swarm_ask(void *self, uint32_t peer, uint32_t req, const struct blob_range *range,
                      uint32_t cnt)
{
    struct fetch *f = self;
    struct ask *a = calloc(1, sizeof *a);
    struct blob_ask *ask = calloc(1, sizeof *ask);
    struct qn_buf buf = { 0 };
    QN_ASSERT(a != NULL && ask != NULL);
    a->share = f->share;
    a->fetch = f;
    a->peer = peer;
    a->req = req;
    ask->id = f->id;
    ask->range_cnt = cnt;
    memcpy(ask->range, range, cnt * sizeof *range);
    blob_ask_put(ask, &buf);
    blob_decode_init(&a->decoder, &f->id, BLOB_SIZE_MAX, range, cnt);
    free(ask);
    if (asked_of(f->share, peer) >= SHARE_ASKS_MAX ||
        qn_host_stream(f->share->conf.host, peer, BLOB_PROTOCOL, QN_NET_BLOB, &ASK_OPS, a,
                       &a->stream)) {
        swarm_end(f->swarm, req, SWARM_BUSY); /* over a limit, for now */
        free(a);
    } else {
        a->next = f->asks;
        f->asks = a;
        qn_stream_set_window(a->stream, 16u << 20);
        if (qn_stream_write(a->stream, qn_buf_get(&buf)))
            qn_stream_reset(a->stream);
        else
            qn_stream_finish(a->stream);
    }
    qn_buf_free(&buf);
}

static void swarm_cancel(void *self, uint32_t peer, uint32_t req)
{
    struct fetch *f = self;
    (void)peer;
    for (struct ask **at = &f->asks, *a; (a = *at); at = &a->next) {
        if (a->req != req) continue;
        *at = a->next;
        a->fetch = NULL;
        qn_stream_reset(a->stream);
        return;
    }
}

static void swarm_piece(void *self, uint32_t piece)
{
    struct fetch *f = self;
    share_serve_news(f->share, &f->id, piece);
}

/* --- what calls ask ----------------------------------------------------------------------------------------------- */

static void fetch_free(struct fetch *f)
{
    let_go(f);
    event_free(f->turn);
    swarm_free(f->swarm);
    free(f);
}

static void drop(struct share *s, struct fetch *f)
{
    struct fetch **at = &s->fetches;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    s->fetch_cnt--;
    fetch_free(f);
}

static void drop_old(struct share *s)
{
    uint64_t now = share_now_ms(s);
    for (struct fetch *f = s->fetches, *next; f; f = next) {
        next = f->next;
        if (f->over_ms && now - f->over_ms >= SHARE_KEEP_MS) drop(s, f);
    }
}

void share_fetch_stop_all(struct share *s)
{
    for (struct fetch *f = s->fetches; f; f = f->next)
        finish(f, QN_E_STATE, "the node stops");
}

void share_fetch_free_all(struct share *s)
{
    while (s->fetches)
        drop(s, s->fetches);
}

static void ask_peer(void *arg, const struct qn_peer_info *info)
{
    share_have_ask(arg, info->peer);
}

bool share_fetch_running(const struct share *s, const struct qn_hash *id)
{
    for (const struct fetch *f = s->fetches; f; f = f->next)
        if (f->bytes && !f->over && qn_hash_eq(&f->id, id)) return true;
    return false;
}

static struct fetch *find(struct share *s, const struct qn_hash *id, bool bytes)
{
    for (struct fetch *f = s->fetches; f; f = f->next)
        if (f->bytes == bytes && qn_hash_eq(&f->id, id)) return f;
    return NULL;
}

static qn_rc begin(struct share *s, const struct qn_hash *id, bool bytes, uint64_t max,
                   struct qn_why *why)
{
    drop_old(s);
    if (s->fetch_cnt >= SHARE_FETCH_MAX)
        return qn_why(why, QN_E_LIMIT, "%u blobs are being fetched already", SHARE_FETCH_MAX);
    struct fetch *f = calloc(1, sizeof *f);
    uint64_t seed;
    QN_ASSERT(f != NULL);
    qn_env_random(s->conf.env, &seed, sizeof seed);
    f->share = s;
    f->id = *id;
    f->bytes = bytes;
    f->begun_ms = f->found_ms = share_now_ms(s);
    f->swarm = swarm_new(seed, max, (struct swarm_ops){ f, swarm_ask, swarm_cancel, swarm_piece });
    f->turn = event_new(s->conf.base, -1, 0, on_turn, f);
    QN_ASSERT(f->turn != NULL);
    if (bytes && share_part_old(s, id, max, f->swarm, &f->shelf)) f->shelf->fetch = f;
    f->next = s->fetches;
    s->fetches = f;
    s->fetch_cnt++;
    qn_host_peers(s->conf.host, ask_peer, f);
    share_fetch_kick(f);
    return QN_OK;
}

qn_rc share_find(struct share *s, const struct qn_hash *id, json_t **ret, struct qn_why *why)
{
    struct fetch *f = find(s, id, false);
    if (!f) {
        qn_rc rc = begin(s, id, false, BLOB_SIZE_MAX, why);
        return rc ? rc : qn_why(why, QN_E_AGAIN, "peers are being asked");
    }
    if (f->over) return qn_why(why, f->rc, "%s", f->why.text);
    if (!f->over_ms) return qn_why(why, QN_E_AGAIN, "peers are being asked");
    *ret = share_have_list(f);
    drop(s, f);
    return QN_OK;
}

qn_rc share_fetch(struct share *s, const struct qn_hash *id, json_t **ret, struct qn_why *why)
{
    return share_fetch_up_to(s, id, BLOB_SIZE_MAX, ret, why);
}

qn_rc share_fetch_up_to(struct share *s, const struct qn_hash *id, uint64_t max, json_t **ret,
                        struct qn_why *why)
{
    char path[4096];
    struct stat st;
    struct fetch *f = find(s, id, true);
    blob_beside(s->conf.home, id, "", path, sizeof path);
    bool here = stat(path, &st) == 0;
    if (!f && !here) {
        qn_rc rc = begin(s, id, true, max, why);
        return rc ? rc : qn_why(why, QN_E_AGAIN, "the blob is on its way");
    }
    if (f && !f->over) {
        struct swarm_info info = swarm_info(f->swarm);
        return qn_why(why, QN_E_AGAIN, "the blob is on its way: %llu KiB from %u peers",
                      (unsigned long long)(info.groups * 16), info.used);
    }
    if (f && f->rc) {
        qn_rc rc = qn_why(why, f->rc, "%s", f->why.text);
        drop(s, f); /* the next call tries again */
        return rc;
    }
    json_t *peers = json_array();
    for (uint32_t i = 0; f && i < f->from_cnt; i++)
        json_array_append_new(peers, json_pack("{s:s, s:I}", "peer", f->from[i].name, "groups",
                                               (json_int_t)f->from[i].groups));
    *ret = json_pack("{s:I, s:o, s:I}", "bytes", (json_int_t)(here ? st.st_size : 0), "peers",
                     peers, "ms", (json_int_t)(f ? f->over_ms - f->begun_ms : 0));
    if (f) drop(s, f);
    return QN_OK;
}

void share_fetch_stop(struct share *s, const struct qn_hash *id)
{
    struct fetch *f = find(s, id, true);
    if (f) {
        finish(f, QN_E_STATE, "the blob is not wanted any more");
        drop(s, f);
    }
    share_part_drop(s, id);
}
