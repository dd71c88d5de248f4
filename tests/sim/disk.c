/* disk.c - a disk as power leaves it: what is written is there for who reads it, and on the platter only when it was synced; a write that
 * the power fails in leaves any subset of its sectors, one of them torn. Every write here is a synced one, as the journal's are, unless
 * the disk lies (fault lostsync) or a planted bug forgets the sync. */
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HANDLES    16
#define GROW_BYTES (64u << 10)
#define FILE_BYTES (512u << 10)
#define LIE_US     300000 /* a lying disk's cache reaches the platter after this */

/* What a write replaced, while it may be lost. */
struct undo {
    struct undo *before;
    uint64_t t_us, off;
    size_t len, file_len;
    uint8_t old[];
};

static struct sim_host *host_of(const struct sim_disk *d)
{
    return d->host;
}

static bool buggy(const struct sim_disk *d, int bug)
{
    return host_of(d)->w->o.bug == bug;
}

static struct sim_file *find(const struct sim_disk *d, const char *path)
{
    for (struct sim_file *f = d->files; f; f = f->next)
        if (strcmp(f->path, path) == 0) return f;
    return NULL;
}

static struct sim_file *at(const struct sim_disk *d, int fd)
{
    struct sim_file *f =
        d->files; /* handles are places in the list, counted from its end: new files come first */
    int cnt = 0;
    for (struct sim_file *g = f; g; g = g->next)
        cnt++;
    for (; f; f = f->next)
        if (--cnt == fd) return f;
    return NULL;
}

static int handle(const struct sim_disk *d, const struct sim_file *file)
{
    int cnt = 0, place = 0;
    for (const struct sim_file *f = d->files; f; f = f->next, cnt++)
        if (f == file) place = cnt;
    return cnt - 1 - place;
}

static void resize(struct sim_file *f, size_t len)
{
    if (len > f->cap) {
        f->cap = QN_MAX(len, f->cap * 2);
        f->data = realloc(f->data, f->cap);
        QN_ASSERT(f->data != NULL);
    }
    if (len > f->len) memset(f->data + f->len, 0, len - f->len);
    f->len = len;
}

static void file_free(struct sim_file *f)
{
    while (f->undo) {
        struct undo *u = f->undo;
        f->undo = u->before;
        free(u);
    }
    free(f->data);
    free(f);
}

/* Begins an operation: 0, or what it answers. *ret_power: the power fails in it. */
static int step(struct sim_disk *d, bool *ret_power)
{
    *ret_power = false;
    if (d->dead) return -EIO;
    d->ops_cnt++;
    host_of(d)->busy_us += 5;
    if (d->fail_at && d->ops_cnt >= d->fail_at) {
        d->fail_at = 0;
        return -EIO;
    }
    if (d->power_at && d->ops_cnt >= d->power_at) {
        d->power_at = 0;
        *ret_power = true;
    }
    return 0;
}

static int power_off(struct sim_disk *d)
{
    d->dead = true;
    return -EIO;
}

/* What there is no room for; *path tells of what. */
static int full_up(struct sim_disk *d, const char *path)
{
    sim_saw(host_of(d)->w, strstr(path, "state.mdb") ? SEEN_enospc_rows : SEEN_enospc_journal);
    return -ENOSPC;
}

static struct sim_file *file_new(struct sim_disk *d, const char *path)
{
    struct sim_file *f = calloc(1, sizeof *f);
    QN_ASSERT(f != NULL && strlen(path) < sizeof f->path);
    snprintf(f->path, sizeof f->path, "%s", path);
    f->next = d->files;
    d->files = f;
    return f;
}

static int sim_open(void *self, const char *path, enum qn_disk_open how)
{
    struct sim_disk *d = self;
    bool power;
    int err = step(d, &power);
    if (err) return err;
    struct sim_file *f = find(d, path);
    if (how != QN_DISK_MAKE) return power ? power_off(d) : f ? handle(d, f) : -ENOENT;
    if (f) return -EEXIST;
    if (d->full) return full_up(d, path);
    if (strstr(path, ".qj") && strcmp(strstr(path, ".qj") - 10, "0000000000.qj") != 0)
        sim_saw(host_of(d)->w, SEEN_segment);
    sim_quiet(true);
    f = file_new(d, path);
    sim_quiet(false);
    return power ? power_off(d) : handle(d, f);
}

static void sim_close(void *self, int fd)
{
    (void)self;
    (void)fd;
}

static int64_t sim_read(void *self, int fd, void *dst, size_t len, uint64_t off)
{
    struct sim_disk *d = self;
    const struct sim_file *f = at(d, fd);
    if (d->dead || !f) return -EIO;
    if (off >= f->len) return 0;
    len = QN_MIN(len, f->len - (size_t)off);
    memcpy(dst, f->data + off, len);
    struct sim_host *h = host_of(d);
    if (d->astray_ppm && h->r && len > SIM_SECTOR && sim_chance(&h->rng, d->astray_ppm)) {
        size_t to = sim_below(&h->rng, len / SIM_SECTOR) * SIM_SECTOR;
        size_t from = sim_below(&h->rng, f->len / SIM_SECTOR) * SIM_SECTOR;
        memcpy((uint8_t *)dst + to, f->data + from, QN_MIN(len - to, (size_t)SIM_SECTOR));
        h->w->res->struck[SIM_rot]++;
    }
    return (int64_t)len;
}

static void remember(struct sim_disk *d, struct sim_file *f, uint64_t off, size_t len)
{
    size_t had = off < f->len ? QN_MIN(len, f->len - (size_t)off) : 0;
    struct undo *u = calloc(1, sizeof *u + len);
    QN_ASSERT(u != NULL);
    *u = (struct undo){ f->undo, host_of(d)->w->now_us, off, len, f->len };
    if (had) memcpy(u->old, f->data + off, had);
    f->undo = u;
}

/* What is older than the cache keeps it is on the platter. */
static void age(struct sim_disk *d, struct sim_file *f)
{
    uint64_t now = host_of(d)->w->now_us;
    for (struct undo **u = &f->undo; *u; u = &(*u)->before) {
        if ((*u)->t_us + LIE_US > now) continue;
        struct undo *old = *u;
        *u = NULL;
        while (old) {
            struct undo *gone = old;
            old = old->before;
            free(gone);
        }
        return;
    }
}

/* A write that the power fails in: each sector is there, or not, or torn. */
static void tear(struct sim_disk *d, struct sim_file *f, struct qn_span s, uint64_t off)
{
    uint64_t *rng = &host_of(d)->rng;
    unsigned keep = (unsigned)sim_below(rng, 4); /* none, all, in order up to one, any */
    uint64_t first = off / SIM_SECTOR, last = (off + s.len - 1) / SIM_SECTOR;
    uint64_t torn = first + sim_below(rng, last - first + 1);
    resize(f, QN_MAX(f->len, (size_t)(off + s.len)));
    host_of(d)->w->res->torn++;
    sim_saw(host_of(d)->w, strstr(f->path, "state.mdb") ? SEEN_torn_rows : SEEN_torn_journal);
    for (uint64_t k = first; k <= last; k++) {
        bool there = keep == 1 || (keep == 2 && k <= torn) || (keep == 3 && sim_draw(rng) % 2);
        uint64_t from = QN_MAX(off, k * SIM_SECTOR), to = QN_MIN(off + s.len, (k + 1) * SIM_SECTOR);
        if (there && k == torn && keep >= 2) to = from + sim_below(rng, to - from);
        if (there) memcpy(f->data + from, s.ptr + (from - off), (size_t)(to - from));
    }
}

static int sim_write(void *self, int fd, struct qn_span s, uint64_t off)
{
    struct sim_disk *d = self;
    struct sim_host *h = host_of(d);
    struct sim_file *f = at(d, fd);
    bool power;
    int err = step(d, &power);
    if (err || !f || s.len == 0) return err;
    const struct sim_knobs *k = &h->w->k;
    h->busy_us += k->disk_us / 2 + sim_below(&h->rng, k->disk_us + 1);
    if (h->w->faulty && (k->faults >> SIM_slowdisk & 1) && sim_chance(&h->rng, 5000)) {
        h->busy_us += sim_below(&h->rng, 3000000);
        h->w->res->struck[SIM_slowdisk]++;
    }
    if (d->full && off + s.len > f->len) return full_up(d, f->path);
    sim_quiet(true);
    if (power) {
        tear(d, f, s, off);
        sim_quiet(false);
        return power_off(d);
    }
    bool lies = d->lying || buggy(d, SIM_BUG_no_sync);
    age(d, f);
    if (lies) remember(d, f, off, s.len);
    resize(f, QN_MAX(f->len, (size_t)(off + s.len)));
    memcpy(f->data + off, s.ptr, s.len);
    sim_quiet(false);
    return 0;
}

static int sim_grow(void *self, int fd, uint64_t off, uint64_t len)
{
    struct sim_disk *d = self;
    struct sim_file *f = at(d, fd);
    bool power;
    int err = step(d, &power);
    if (err || !f) return err ? err : -EIO;
    if (power) return power_off(d);
    if (d->full) return full_up(d, f->path);
    sim_quiet(true);
    resize(f, QN_MAX(f->len, (size_t)(off + len)));
    sim_quiet(false);
    return 0;
}

static int sim_cut(void *self, const char *path, uint64_t len)
{
    struct sim_disk *d = self;
    struct sim_file *f = find(d, path);
    bool power;
    int err = step(d, &power);
    if (err || !f) return err ? err : -ENOENT;
    if (power && sim_draw(&host_of(d)->rng) % 2) return power_off(d);
    if (len < f->len) f->len = (size_t)len;
    return power ? power_off(d) : 0;
}

static int64_t sim_size(void *self, const char *path)
{
    struct sim_disk *d = self;
    const struct sim_file *f = find(d, path);
    return d->dead ? -EIO : f ? (int64_t)f->len : -ENOENT;
}

static int sim_make_dir(void *self, const char *path)
{
    struct sim_disk *d = self;
    (void)path;
    return d->dead ? -EIO : 0;
}

static int sim_sync_dir(void *self, const char *path)
{
    struct sim_disk *d = self;
    size_t len = strlen(path);
    bool power;
    int err = step(d, &power);
    if (err) return err;
    if (power) return power_off(d);
    if (buggy(d, SIM_BUG_no_dir_sync)) return 0;
    for (struct sim_file *f = d->files; f; f = f->next)
        if (strncmp(f->path, path, len) == 0) f->named = true;
    return 0;
}

/* Handles count places, so a removed file keeps its own, without name or content. */
static void forget(struct sim_file *f)
{
    f->path[0] = 0;
    f->len = 0;
    f->named = true;
}

static int sim_remove(void *self, const char *path)
{
    struct sim_disk *d = self;
    struct sim_file *f = find(d, path);
    bool power;
    int err = step(d, &power);
    if (err || !f) return err ? err : -ENOENT;
    if (power && sim_draw(&host_of(d)->rng) % 2) return power_off(d);
    forget(f);
    return power ? power_off(d) : 0;
}

static int sim_rename(void *self, const char *from, const char *to)
{
    struct sim_disk *d = self;
    struct sim_file *f = find(d, from), *old = find(d, to);
    bool power;
    int err = step(d, &power);
    if (err || !f) return err ? err : -ENOENT;
    if (power && sim_draw(&host_of(d)->rng) % 2) return power_off(d);
    if (old) forget(old);
    snprintf(f->path, sizeof f->path, "%s", to);
    return power ? power_off(d) : 0;
}

void sim_disk_init(struct sim_disk *d, struct sim_host *host)
{
    *d = (struct sim_disk){ .ops = { .open = sim_open,
                                     .close = sim_close,
                                     .read = sim_read,
                                     .write = sim_write,
                                     .grow = sim_grow,
                                     .cut = sim_cut,
                                     .size = sim_size,
                                     .make_dir = sim_make_dir,
                                     .sync_dir = sim_sync_dir,
                                     .remove = sim_remove,
                                     .rename = sim_rename,
                                     .grow_bytes = GROW_BYTES,
                                     .file_bytes = FILE_BYTES },
                            .host = host };
    d->ops.self = d;
}

void sim_disk_wipe(struct sim_disk *d)
{
    while (d->files) {
        struct sim_file *f = d->files;
        d->files = f->next;
        file_free(f);
    }
    d->rotten_rows = d->rotten_journal = false;
}

void sim_disk_fini(struct sim_disk *d)
{
    sim_disk_wipe(d);
}

void sim_disk_crash(struct sim_disk *d, uint64_t *rng)
{
    for (struct sim_file **p = &d->files; *p;) {
        struct sim_file *f = *p;
        bool all = sim_draw(rng) % 2;
        while (f->undo) { /* the newest first */
            struct undo *u = f->undo;
            for (size_t i = 0; i < u->len;) {
                size_t n = QN_MIN(u->len - i, SIM_SECTOR - (size_t)((u->off + i) % SIM_SECTOR));
                if (all || sim_draw(rng) % 2) memcpy(f->data + u->off + i, u->old + i, n);
                i += n;
            }
            if (all) f->len = u->file_len;
            f->undo = u->before;
            free(u);
        }
        if (f->path[0] && (f->named || sim_draw(rng) % 2)) {
            f->named = true;
            p = &f->next;
        } else {
            *p = f->next;
            file_free(f);
        }
    }
    d->dead = false;
    d->power_at = d->fail_at = 0;
}

void sim_disk_settle(struct sim_disk *d)
{
    for (struct sim_file *f = d->files; f; f = f->next)
        while (f->undo) {
            struct undo *u = f->undo;
            f->undo = u->before;
            free(u);
        }
}

void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from)
{
    sim_disk_wipe(to);
    struct sim_file **last = &to->files;
    for (const struct sim_file *f = from->files; f; f = f->next) {
        struct sim_file *g = calloc(1, sizeof *g);
        QN_ASSERT(g != NULL);
        memcpy(g->path, f->path, sizeof g->path);
        resize(g, f->len);
        if (f->len) memcpy(g->data, f->data, f->len);
        g->named = true;
        *last = g;
        last = &g->next;
    }
    to->rotten_rows = from->rotten_rows;
    to->rotten_journal = from->rotten_journal;
}

uint64_t sim_disk_bytes(const struct sim_disk *d)
{
    uint64_t sum = 0;
    for (const struct sim_file *f = d->files; f; f = f->next)
        sum += f->len;
    return sum;
}

void sim_disk_put(struct sim_disk *d, const char *path, struct qn_span bytes)
{
    struct sim_file *f = file_new(d, path);
    resize(f, bytes.len);
    if (bytes.len) memcpy(f->data, bytes.ptr, bytes.len);
    f->named = true;
}

void sim_disk_remove(struct sim_disk *d, const char *end)
{
    for (struct sim_file *f = d->files; f; f = f->next) {
        size_t len = strlen(f->path);
        if (len < strlen(end) || strcmp(f->path + len - strlen(end), end) != 0) continue;
        forget(f);
    }
}
