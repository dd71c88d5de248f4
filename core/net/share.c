/* share.c - open blobs, and the share itself. Giving: share_serve.c; taking: share_fetch.c. */
#include "core/net/share_in.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t share_now_ms(const struct share *s)
{
    return qn_env_mono_us(s->conf.env) / 1000;
}

struct shelf *share_shelf_new(struct share *s, const struct qn_hash *id, uint64_t size, int fd,
                              uint8_t *outer)
{
    struct shelf *shelf = calloc(1, sizeof *shelf);
    QN_ASSERT(shelf != NULL);
    *shelf = (struct shelf){ .next = s->shelves,
                             .id = *id,
                             .size = size,
                             .fd = fd,
                             .outer = outer,
                             .right = calloc(blob_group_cnt(size) / 8 + 1, 1),
                             .users = 1 };
    QN_ASSERT(shelf->right != NULL);
    s->shelves = shelf;
    return shelf;
}

static void shelf_free(struct share *s, struct shelf *shelf)
{
    struct shelf **at = &s->shelves;
    while (*at != shelf)
        at = &(*at)->next;
    *at = shelf->next;
    close(shelf->fd);
    if (shelf->mapped)
        munmap(shelf->outer, shelf->mapped);
    else
        free(shelf->outer);
    free(shelf->right);
    free(shelf);
}

/* Those nobody uses stay open, the longest unused goes first: a swarm asks for the next piece of the same blob. */
static bool shelf_room(struct share *s)
{
    struct shelf *oldest = NULL;
    uint32_t cnt = 0;
    for (struct shelf *at = s->shelves; at; at = at->next) {
        cnt++;
        if (at->users == 0 && (!oldest || at->used_ms < oldest->used_ms)) oldest = at;
    }
    if (cnt < SHARE_SHELF_MAX) return true;
    if (oldest) shelf_free(s, oldest);
    return oldest != NULL;
}

qn_rc share_shelf_get(struct share *s, const struct qn_hash *id, struct shelf **ret)
{
    char path[4096];
    struct stat st;
    uint8_t *outer = NULL;
    for (struct shelf *at = s->shelves; at; at = at->next) {
        if (at->broken || !qn_hash_eq(&at->id, id)) continue;
        at->users++;
        *ret = at;
        return QN_OK;
    }
    blob_beside(s->conf.home, id, "", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? QN_E_NOTFOUND : qn_err_errno(errno);
    qn_rc rc = fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 0 ? QN_E_IO : QN_OK;
    if (rc == QN_OK && (uint64_t)st.st_size > BLOB_BYTES_MAX) rc = QN_E_TOOBIG;
    if (rc == QN_OK && !shelf_room(s)) rc = QN_E_AGAIN;
    if (rc == QN_OK) rc = blob_outer(s->conf.home, id, (uint64_t)st.st_size, &outer, NULL);
    if (rc) {
        close(fd);
        return rc;
    }
    *ret = share_shelf_new(s, id, (uint64_t)st.st_size, fd, outer);
    return QN_OK;
}

void share_shelf_put(struct share *s, struct shelf *shelf)
{
    if (!shelf) return;
    QN_ASSERT(shelf->users > 0);
    shelf->users--;
    shelf->used_ms = share_now_ms(s);
    if (shelf->users == 0 && shelf->broken) shelf_free(s, shelf);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
    struct share *s = arg;
    (void)fd, (void)what;
    share_serve_pump(s);
    if (!s->moved) return;
    s->moved = false;
    if (s->conf.changed) s->conf.changed(s->conf.arg);
}

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    (void)id, (void)outbound;
    if (!up) share_fetch_peer(arg, peer, false);
}

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    share_fetch_peer(arg, info->peer, true);
}

qn_rc share_open(const struct share_conf *conf, struct share **ret, struct qn_why *why)
{
    struct share *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    s->conf = *conf;
    s->pump = event_new(conf->base, -1, 0, on_pump, s);
    QN_ASSERT(s->pump != NULL);
    s->watch = (struct qn_host_watch){
        .arg = s, .on_peer = on_peer, .on_identify = on_identify, .next = NULL
    };
    const struct qn_proto blob = { .id = BLOB_PROTOCOL,
                                   .ops = &SHARE_SERVE_OPS,
                                   .arg = s,
                                   .class = QN_NET_BLOB,
                                   .in_max =
                                       SWARM_DEPTH + 2, /* cancelled ones may still be ending */
                                   .idle_ms = 30000 };
    const struct qn_proto have = {
        .id = BLOB_HAVE, .ops = &SHARE_HAVE_OPS, .arg = s, .class = QN_NET_REQUEST, .in_max = 64
    };
    qn_rc rc = qn_host_proto(conf->host, &blob);
    if (rc == QN_OK) rc = qn_host_proto(conf->host, &have);
    if (rc) {
        event_free(s->pump);
        free(s);
        return qn_why(why, rc, "the host takes no more protocols");
    }
    qn_host_watch(conf->host, &s->watch);
    share_parts_sweep(conf->home);
    *ret = s;
    return QN_OK;
}

void share_detach(struct share *s)
{
    if (!s) return;
    share_fetch_stop_all(s);
    event_del(s->pump);
    qn_host_unwatch(s->conf.host, &s->watch);
}

void share_close(struct share *s)
{
    if (!s) return;
    QN_ASSERT(s->serves == NULL); /* the host has told of the end of each */
    share_fetch_free_all(s);
    while (s->shelves)
        shelf_free(s, s->shelves);
    event_free(s->pump);
    free(s);
}

void share_forget(struct share *s, const struct qn_hash *id)
{
    for (struct shelf *at = s->shelves; at; at = at->next) {
        if (!qn_hash_eq(&at->id, id) || at->fetch) continue;
        at->broken = true;
        at->users++;
        share_shelf_put(s, at);
        return;
    }
}

struct share_stat share_stat(const struct share *s)
{
    struct share_stat stat = s->stat;
    stat.serving = s->serve_cnt;
    stat.fetching = s->fetch_cnt;
    return stat;
}
