/* bench_ledger_validators.c - whole replicas (chain, journal, pool, consensus; Ed25519 signed and verified) of one chain in one process and virtual
 * time: what a block costs each of 4, 20, 100 and 200 validators in processor time and bytes, and whether one comes every 500 ms; and how long until it is final
 * with 100 of them spread over the world, each linked to each as validators are, with uplinks of 100 Mbit/s. Places and delays are those of net/gossip/world.h: a square
 * in which light takes 5 ms and 134 ms a side; disks are memory that takes 0.2 ms to sync. Two ways and the transfer are the floor. */
#include "core/base/heap.h"
#include "core/crypto/hash.h"
#include "ledger/sync/replica.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NODES_MAX = 200,
    FILES = 16,
    HANDLES = 64,
    SYNC_US = 200,
    UPLINK_BPS = 100000000,
    FLOOD_MAX = 16384,
    MESH = 8,
    TURN_US =
        100, /* what comes in one turn of a node's loop is taken together, as core/net does it */
    INBOX = 64
};

/* --- a disk in memory -------------------------------------------------------------------------------------------------- */

struct file {
    char path[64];
    uint8_t *bytes;
    uint64_t len, cap;
};

struct ram {
    struct file file[FILES];
    int open[HANDLES]; /* number of the file + 1 */
};

static struct file *ram_find(struct ram *d, const char *path)
{
    for (int i = 0; i < FILES; i++)
        if (d->file[i].path[0] && strcmp(d->file[i].path, path) == 0) return &d->file[i];
    return NULL;
}

static int ram_open(void *self, const char *path, enum qn_disk_open how)
{
    struct ram *d = self;
    struct file *f = ram_find(d, path);
    if (how == QN_DISK_MAKE && f) return -EEXIST;
    if (how != QN_DISK_MAKE && !f) return -ENOENT;
    for (int i = 0; !f && i < FILES; i++)
        if (!d->file[i].path[0]) f = &d->file[i];
    QN_ASSERT(f != NULL);
    snprintf(f->path, sizeof f->path, "%s", path);
    for (int i = 0; i < HANDLES; i++)
        if (!d->open[i]) {
            d->open[i] = (int)(f - d->file) + 1;
            return i;
        }
    return -EMFILE;
}

static void ram_close(void *self, int fd)
{
    ((struct ram *)self)->open[fd] = 0;
}

static struct file *ram_at(void *self, int fd)
{
    struct ram *d = self;
    return &d->file[d->open[fd] - 1];
}

static int64_t ram_read(void *self, int fd, void *dst, size_t len, uint64_t off)
{
    struct file *f = ram_at(self, fd);
    if (off >= f->len) return 0;
    len = QN_MIN((uint64_t)len, f->len - off);
    memcpy(dst, f->bytes + off, len);
    return (int64_t)len;
}

static void ram_room(struct file *f, uint64_t len)
{
    if (len > f->cap) {
        uint64_t cap = QN_MAX(len, 2 * f->cap);
        f->bytes = realloc(f->bytes, cap);
        QN_ASSERT(f->bytes != NULL);
        memset(f->bytes + f->cap, 0, cap - f->cap);
        f->cap = cap;
    }
    f->len = QN_MAX(f->len, len);
}

static int ram_write(void *self, int fd, struct qn_span bytes, uint64_t off)
{
    struct file *f = ram_at(self, fd);
    ram_room(f, off + bytes.len);
    memcpy(f->bytes + off, bytes.ptr, bytes.len);
    return 0;
}

static int ram_grow(void *self, int fd, uint64_t off, uint64_t len)
{
    ram_room(ram_at(self, fd), off + len);
    return 0;
}

static int ram_cut(void *self, const char *path, uint64_t len)
{
    struct file *f = ram_find(self, path);
    if (!f) return -ENOENT;
    f->len = QN_MIN(f->len, len);
    memset(f->bytes + f->len, 0, f->cap - f->len);
    return 0;
}

static int64_t ram_size(void *self, const char *path)
{
    struct file *f = ram_find(self, path);
    return f ? (int64_t)f->len : -ENOENT;
}

static int ram_dir(void *self, const char *path)
{
    (void)self, (void)path;
    return 0;
}

static int ram_remove(void *self, const char *path)
{
    struct file *f = ram_find(self, path);
    if (!f) return -ENOENT;
    free(f->bytes);
    *f = (struct file){ 0 };
    return 0;
}

static int ram_rename(void *self, const char *from, const char *to)
{
    struct file *f = ram_find(self, from);
    if (!f) return -ENOENT;
    if (ram_find(self, to)) ram_remove(self, to);
    snprintf(f->path, sizeof f->path, "%s", to);
    return 0;
}

/* --- the world ---------------------------------------------------------------------------------------------------------- */

struct message {
    uint32_t refs, len;
    bool cast;
    uint8_t seen[NODES_MAX / 8]; /* who has it, or will */
    uint8_t bytes[];
};

struct event {
    struct heap_when when; /* t in us */
    uint32_t to, from;     /* from == to: its turn */
    struct message *m;
};

struct net;
struct message;

struct node {
    struct net *net;
    struct message *in[INBOX]; /* what came in this turn, */
    uint32_t from[INBOX];      /* from these */
    unsigned in_cnt;
    struct ram ram;
    struct qn_disk disk;
    struct qn_env env;
    struct qn_key key;
    struct qn_replica *r;
    double x, y;
    uint64_t free_us;      /* when its uplink is */
    uint32_t beside[MESH]; /* in the mesh */
    uint64_t turn_us;      /* when its turn comes; UINT64_MAX: not asked for */
};

struct net {
    struct node node[NODES_MAX];
    struct qn_hash set[NODES_MAX];
    struct heap heap; /* of struct event */
    uint64_t order, now_us, rng;
    uint32_t nodes;
    double side_us, base_us;
    double *ms; /* from proposed to final, of each node and block */
    size_t ms_cnt, ms_cap;
    uint64_t top;  /* the highest final block anywhere */
    uint64_t sent; /* bytes */
};

static uint64_t draw(struct net *n)
{
    n->rng = n->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n->rng >> 11;
}

static void push(struct net *n, struct event e)
{
    e.when.tie = n->order++;
    heap_put(&n->heap, &e);
}

static uint64_t env_now(void *self)
{
    return ((struct node *)self)->net->now_us / 1000;
}

static uint64_t env_mono(void *self)
{
    return ((struct node *)self)->net->now_us;
}

static void env_random(void *self, void *dst, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] = (uint8_t)draw(((struct node *)self)->net);
}

static double way_us(const struct net *n, const struct node *a, const struct node *b)
{
    double dx = a->x - b->x, dy = a->y - b->y;
    return n->base_us + n->side_us * sqrt(dx * dx + dy * dy);
}

static void fly(struct node *from, uint32_t to, struct message *m)
{
    struct net *n = from->net;
    from->free_us =
        QN_MAX(from->free_us, n->now_us + SYNC_US) + (uint64_t)m->len * 8 * 1000000 / UPLINK_BPS;
    m->refs++;
    n->sent += m->len;
    push(n, (struct event){ .when.t = from->free_us + (uint64_t)way_us(n, from, &n->node[to]),
                            .to = to,
                            .from = (uint32_t)(from - n->node),
                            .m = m });
}

static struct message *message(struct qn_span s)
{
    struct message *m = malloc(sizeof *m + s.len);
    QN_ASSERT(m != NULL);
    *m = (struct message){ .refs = 1, .len = (uint32_t)s.len };
    memcpy(m->bytes, s.ptr, s.len);
    return m;
}

static void drop(struct message *m)
{
    if (m && --m->refs == 0) free(m);
}

static void wire_send(void *self, uint32_t peer, enum qn_class class, struct qn_span s)
{
    struct node *from = self;
    struct message *m = message(s);
    (void)class;
    fly(from, peer, m);
    drop(m);
}

/* As gossip does: what is short and one's own goes to all, but for certificates; the rest to those beside one in the mesh, who pass on what they hold valid; never to
 * who has it. */
static void spread(struct node *from, struct message *m, bool flood)
{
    struct net *n = from->net;
    uint32_t me = (uint32_t)(from - n->node);
    bool all = flood && m->len <= FLOOD_MAX;
    for (uint32_t i = 0; i < (all ? n->nodes - 1 : QN_MIN(n->nodes - 1, (uint32_t)MESH)); i++) {
        uint32_t to = all || n->nodes <= MESH + 1 ? (me + 1 + i) % n->nodes : from->beside[i];
        if (m->seen[to / 8] >> to % 8 & 1) continue;
        m->seen[to / 8] |= (uint8_t)(1u << to % 8);
        fly(from, to, m);
    }
}

static void wire_cast(void *self, enum qn_class class, struct qn_span s)
{
    struct node *from = self;
    struct message *m = message(s);
    uint32_t me = (uint32_t)(from - from->net->node);
    m->cast = true;
    m->seen[me / 8] |= (uint8_t)(1u << me % 8);
    spread(from, m, class != QN_CLASS_CERT);
    drop(m);
}

static void on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct node *node = arg;
    struct net *n = node->net;
    const struct qn_header *h = &f->block.header;
    (void)hash;
    n->top = QN_MAX(n->top, h->height);
    if (h->height < 3) return; /* the first are made while not all listen yet */
    if (n->ms_cnt == n->ms_cap) {
        n->ms_cap = n->ms_cap ? 2 * n->ms_cap : 4096;
        n->ms = realloc(n->ms, n->ms_cap * sizeof *n->ms);
        QN_ASSERT(n->ms != NULL);
    }
    n->ms[n->ms_cnt++] = (double)n->now_us / 1000 - (double)h->t_ms;
}

static void ask_turn(struct node *node, uint64_t t_us)
{
    if (node->turn_us <= t_us) return;
    node->turn_us = t_us;
    uint32_t me = (uint32_t)(node - node->net->node);
    push(node->net, (struct event){ .when.t = t_us, .to = me, .from = me });
}

static void take_in(struct node *node)
{
    static const char *const LINE = "%u refuses what %u says: %s\n";
    struct qn_heard heard[INBOX];
    unsigned cnt = node->in_cnt;
    node->in_cnt = 0;
    for (unsigned i = 0; i < cnt; i++)
        heard[i] = (struct qn_heard){ .peer = node->from[i],
                                      .message = QN_SPAN(node->in[i]->bytes, node->in[i]->len) };
    qn_replica_recv_many(node->r, heard, cnt);
    for (unsigned i = 0; i < cnt; i++) {
        if (heard[i].verdict == QN_REJECT)
            fprintf(stderr, LINE, (uint32_t)(node - node->net->node), heard[i].peer,
                    heard[i].why.text);
        if (heard[i].verdict == QN_ACCEPT && node->in[i]->cast) spread(node, node->in[i], false);
        drop(node->in[i]);
    }
}

static void step(struct net *n)
{
    struct event e;
    heap_pop(&n->heap, &e);
    struct node *node = &n->node[e.to];
    struct qn_why why = { "" };
    n->now_us = e.when.t;
    if (e.m) {
        node->from[node->in_cnt] = e.from;
        node->in[node->in_cnt++] = e.m;
        if (node->in_cnt == INBOX) take_in(node);
        ask_turn(node, n->now_us + TURN_US);
    } else if (node->turn_us == e.when.t) {
        uint64_t wait_ms;
        node->turn_us = UINT64_MAX;
        take_in(node);
        qn_rc rc = qn_replica_turn(node->r, &wait_ms, &why);
        if (rc) fprintf(stderr, "%s\n", why.text);
        QN_ASSERT(rc == QN_OK);
        ask_turn(node, n->now_us + QN_MAX(wait_ms, (uint64_t)1) * 1000);
    }
}

static struct net *begin(uint32_t nodes, double base_us, double side_us)
{
    struct net *n = calloc(1, sizeof *n);
    QN_ASSERT(n != NULL);
    n->nodes = nodes;
    n->base_us = base_us;
    n->side_us = side_us;
    n->rng = 7;
    n->heap.size = sizeof(struct event);
    n->now_us = UINT64_C(1800000000000000);
    for (uint32_t i = 0; i < nodes; i++) {
        struct node *node = &n->node[i];
        struct qn_hash seed = qn_h("bench validators", &i, sizeof i);
        qn_key_from_seed(seed.b, &node->key);
        n->set[i] = node->key.pub;
        node->net = n;
        node->turn_us = UINT64_MAX;
        for (uint32_t k = 0; k < MESH; k++)
            node->beside[k] = (uint32_t)((i + 1 + draw(n) % (nodes - 1)) % nodes);
        node->x = (double)(draw(n) % 1000000) / 1e6;
        node->y = (double)(draw(n) % 1000000) / 1e6;
        node->disk = (struct qn_disk){ .self = &node->ram,
                                       .open = ram_open,
                                       .close = ram_close,
                                       .read = ram_read,
                                       .write = ram_write,
                                       .grow = ram_grow,
                                       .cut = ram_cut,
                                       .size = ram_size,
                                       .make_dir = ram_dir,
                                       .sync_dir = ram_dir,
                                       .remove = ram_remove,
                                       .rename = ram_rename,
                                       .grow_bytes = 64u << 10,
                                       .file_bytes = 1u << 20 };
        node->env = (struct qn_env){ node, env_now, env_mono, env_random, &node->disk };
    }
    struct qn_genesis genesis = {
        .name = QN_SPAN_STR("bench"), .t_ms = n->now_us / 1000, .dev = true, .epoch_ms = 3600000
    };
    genesis.fast_ppm = nodes > 20 ? 50000 : 0;
    genesis.validators.cnt = nodes;
    genesis.validators.ptr = n->set;
    for (uint32_t i = 0; i < nodes; i++) {
        struct node *node = &n->node[i];
        struct qn_why why = { "" };
        struct qn_replica_conf conf = { .chain = { .home = "/home",
                                                   .env = &node->env,
                                                   .genesis = &genesis,
                                                   .map_gib = 1,
                                                   .on_block = on_block,
                                                   .arg = node },
                                        .validator = &node->key,
                                        .wire = { node, wire_send, wire_cast } };
        qn_rc rc = qn_replica_open(&conf, &node->r, &why);
        if (rc) fprintf(stderr, "%s\n", why.text);
        QN_ASSERT(rc == QN_OK);
    }
    for (uint32_t i = 0; i < nodes; i++) {
        for (uint32_t k = 0; k < nodes; k++)
            if (k != i) qn_replica_peer(n->node[i].r, k, true);
        ask_turn(&n->node[i], n->now_us);
    }
    return n;
}

static void end(struct net *n)
{
    for (size_t i = 0; i < n->heap.cnt; i++)
        drop(((struct event *)heap_at(&n->heap, i))->m);
    heap_free(&n->heap);
    for (uint32_t i = 0; i < n->nodes; i++) {
        for (unsigned k = 0; k < n->node[i].in_cnt; k++)
            drop(n->node[i].in[k]);
        qn_replica_close(n->node[i].r);
        for (int f = 0; f < FILES; f++)
            free(n->node[i].ram.file[f].bytes);
    }
    free(n->ms);
    free(n);
}

static void run_to(struct net *n, uint64_t height)
{
    uint64_t until = n->now_us + 60000000;
    while (n->top < height && n->now_us < until)
        step(n);
    QN_ASSERT(n->top >= height);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double cpu_ms(void)
{
    struct timespec ts;
    QN_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void cost(uint32_t nodes, uint64_t blocks)
{
    struct net *n = begin(nodes, 500, 1000);
    run_to(n, 3); /* what is late of each block is there by then */
    double begun = cpu_ms();
    uint64_t first = n->top, t = n->now_us;
    n->sent = 0;
    run_to(n, first + blocks);
    double each = (cpu_ms() - begun) / (double)(blocks * nodes);
    double lasts = (double)(n->now_us - t) / 1e3 / (double)blocks;
    printf(
        "{\"name\":\"processor time of a validator for a block, %u validators\",\"value\":%.2f,"
        "\"unit\":\"ms\",\"limit\":\"a block lasts 500 ms\",\"limit_ratio\":%.4f}\n"
        "{\"name\":\"a block lasts, %u validators with 100 Mbit/s each\",\"value\":%.0f,"
        "\"unit\":\"ms\",\"limit\":\"the goal, 500 ms\",\"limit_ratio\":%.3f}\n"
        "{\"name\":\"a validator sends for a block, %u validators\",\"value\":%.1f,\"unit\":\"KB\","
        "\"limit\":\"100 Mbit/s for 500 ms, 6250 KB\",\"limit_ratio\":%.4f}\n",
        nodes, each, each / 500, nodes, lasts, lasts / 500, nodes,
        (double)n->sent / 1e3 / (double)(blocks * nodes),
        (double)n->sent / 6.25e6 / (double)(blocks * nodes));
    fflush(stdout);
    end(n);
}

static void far_apart(uint32_t nodes, uint64_t blocks)
{
    struct net *n = begin(nodes, 5000, 134000);
    double *ways = malloc((size_t)nodes * nodes * sizeof *ways);
    size_t cnt = 0;
    QN_ASSERT(ways != NULL);
    for (uint32_t i = 0; i < nodes; i++)
        for (uint32_t k = 0; k < i; k++)
            ways[cnt++] = way_us(n, &n->node[i], &n->node[k]) / 1e3;
    qsort(ways, cnt, sizeof *ways, by_value);
    double p90 = ways[cnt * 9 / 10];
    run_to(n, 3 + blocks);
    qsort(n->ms, n->ms_cnt, sizeof *n->ms, by_value);
    double p50 = n->ms[n->ms_cnt / 2], last = n->ms[n->ms_cnt * 9 / 10];
    printf(
        "{\"name\":\"finality of %u validators over the world, p50\",\"value\":%.2f,\"unit\":\"p90 "
        "ways of %.0f ms\",\"limit\":\"the goal, 3.3\",\"limit_ratio\":%.3f}\n"
        "{\"name\":\"finality of %u validators over the world, p90\",\"value\":%.2f,\"unit\":\"p90 "
        "ways of %.0f ms\"}\n",
        nodes, p50 / p90, p90, p50 / p90 / 3.3, nodes, last / p90, p90);
    fflush(stdout);
    free(ways);
    end(n);
}

int main(void)
{
    QN_ASSERT(qn_crypto_init() == QN_OK);
    cost(4, 100);
    cost(20, 30);
    cost(100, 4);
    cost(200, 2);
    far_apart(100, 5);
    return 0;
}
