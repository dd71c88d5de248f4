/* world.c - events, hosts that start, run and die, and a run from its seed to its end. */
#include "tests/sim/sim.h"

#include "core/crypto/hash.h"
#include "core/module/module.h"
#include "lua/bind/contract.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CALM_MS    600000   /* of virtual time in which the network must have gone on */
#define EVENTS_MAX 40000000 /* a run that needs more goes in circles */

uint64_t sim_draw(uint64_t *rng)
{
    uint64_t z = *rng += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

bool sim_chance(uint64_t *rng, uint32_t ppm)
{
    return sim_draw(rng) % 1000000 < ppm;
}

uint64_t sim_below(uint64_t *rng, uint64_t n)
{
    return n ? sim_draw(rng) % n : 0;
}

void sim_flip(uint64_t *rng, uint8_t *bytes, size_t len)
{
    uint8_t *at = bytes + sim_below(rng, len);
    *at ^= (uint8_t)(1u << sim_below(rng, 8));
}

void sim_wrong(struct sim_world *w, const char *fmt, ...)
{
    va_list args;
    if (w->res->wrong[0]) return; /* the first is what counts */
    va_start(args, fmt);
    vsnprintf(w->res->wrong, sizeof w->res->wrong, fmt, args);
    va_end(args);
    w->res->event = w->events;
}

void sim_trace(struct sim_world *w, const char *fmt, ...)
{
    va_list args;
    if (!w->o.trace) return;
    printf("%10.3f  %" PRIu64 "  ", (double)w->now_us / 1e6, w->events);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void sim_push(struct sim_world *w, struct sim_event e)
{
    e.when.tie =
        ++w->tie; /* of two at one time the first asked for comes first: links keep their order */
    heap_put(&w->heap, &e);
}

/* --- what a host takes from its machine --------------------------------------------------------------------------------------------- */

uint64_t sim_host_ms(const struct sim_host *h)
{
    uint64_t us = h->w->now_us + (h->in_call ? h->busy_us : 0);
    int64_t drift = (int64_t)(us / 1000) * h->drift_ppm / 1000000;
    return (uint64_t)((int64_t)(SIM_EPOCH_MS + 1000 + us / 1000) + drift + h->clock_ms);
}

static uint64_t host_now_ms(void *self)
{
    return sim_host_ms(self);
}

static uint64_t host_mono_us(void *self)
{
    const struct sim_host *h = self;
    return h->w->now_us - h->booted_us + h->busy_us + 1000000;
}

static void host_random(void *self, void *dst, size_t len)
{
    struct sim_host *h = self;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] = (uint8_t)sim_draw(&h->rng);
}

/* For --trace: votes, certificates and what asks for blocks, in short. */
static void describe(struct sim_host *h, int to, struct qn_span m)
{
    struct qn_arena arena = { 0 };
    struct qn_span rest = QN_SPAN(m.ptr + 1, m.len - 1);
    struct qn_vote v;
    struct qn_cert c;
    if (m.ptr[0] == 3 && qn_decode(qn_vote_record(), rest, &arena, &v, NULL) == QN_OK)
        sim_trace(h->w, "host %d votes %s view %" PRIu64 " for %02x%02x", h->idx,
                  v.kind == 1   ? "FIRST"
                  : v.kind == 2 ? "EXTRA"
                                : "FINAL",
                  v.view, v.block.b[0], v.block.b[1]);
    else if (m.ptr[0] == 4 && qn_decode(qn_cert_record(), rest, &arena, &c, NULL) == QN_OK)
        sim_trace(h->w, "host %d certifies (%u) view %" PRIu64 " for %02x%02x", h->idx, c.kind,
                  c.view, c.block.b[0], c.block.b[1]);
    else
        sim_trace(h->w, "host %d says %u to %d, %zu bytes", h->idx, m.ptr[0], to, m.len);
    qn_arena_free(&arena);
}

static void say(struct sim_host *h, int to, bool cast, uint8_t class, struct qn_span m)
{
    struct sim_world *w = h->w;
    if (w->o.trace && m.len > 1 && m.ptr[0] != 1) describe(h, to, m);
    struct qn_buf newer = { 0 };
    if (sim_honest(h)) sim_check_said(w, h, m);
    if (h->traits & TRAIT_SILENT) return;
    if ((h->traits & (TRAIT_FORK | TRAIT_NEWER | TRAIT_GRIND)) && cast && h->validator >= 0 &&
        sim_traitor_leads(w, h, m))
        return;
    if (h->traits & TRAIT_NEWER) sim_traitor_newer(h, &m, &newer);
    if (!cast) {
        if (to >= 0 && to < (int)w->host_cnt && !(h->deaf >> to & 1))
            sim_net_say(w, h->idx, to, false, class, m);
    } else if (!h->deaf) {
        sim_net_say(w, h->idx, -1, true, class, m);
    } else {
        for (int k = 0; k < (int)w->host_cnt; k++)
            if (k != h->idx && !(h->deaf >> k & 1)) sim_net_say(w, h->idx, k, false, class, m);
    }
    qn_buf_free(&newer);
}

static void host_say(struct sim_host *h, int to, bool cast, uint8_t class, struct qn_span m)
{
    if (h->disk.dead) return; /* its power went in the middle of what it does */
    sim_quiet(true);
    say(h, to, cast, class, m);
    sim_quiet(false);
}

static void host_send(void *self, uint32_t peer, enum qn_class class, struct qn_span m)
{
    host_say(self, (int)peer - 1, false, (uint8_t) class, m);
}

static void host_cast(void *self, enum qn_class class, struct qn_span m)
{
    host_say(self, -1, true, (uint8_t) class, m);
}

static void host_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct sim_host *h = arg;
    sim_quiet(true);
    sim_trace(h->w, "host %d final %" PRIu64 " (%u txs)", h->idx, f->block.header.height,
              f->block.txs.cnt);
    sim_check_block(h, f, hash);
    sim_quiet(false);
}

int sim_signer(struct sim_host *h)
{
    if (h->validator < 0) return -1;
    return qn_set_find(qn_chain_set(qn_replica_chain(h->r)), &h->w->keys[h->validator].pub);
}

bool sim_honest(const struct sim_host *h)
{
    return !(h->traits & (TRAIT_LIES | TRAIT_FORGETS));
}

bool sim_good(const struct sim_host *h)
{
    return sim_honest(h) && !(h->traits & (TRAIT_SILENT | TRAIT_BADCLOCK));
}

/* --- life ------------------------------------------------------------------------------------------------------------------------------ */

void sim_begin(struct sim_host *h)
{
    h->in_call = true;
    h->busy_us = 0;
    sim_bugs_enter(h);
}

void sim_end(struct sim_host *h)
{
    sim_bugs_enter(NULL);
    h->free_us = h->w->now_us + h->busy_us;
    h->in_call = false;
    h->busy_us = 0;
    if (h->disk.dead && h->r) sim_crash(h->w, h, 50 + sim_below(&h->rng, 4000));
}

void sim_wake(struct sim_host *h, uint64_t t_us)
{
    struct sim_world *w = h->w;
    if (h->wake_us && h->wake_us <= t_us) return; /* one that comes in time waits already */
    h->wake_us = t_us;
    sim_push(
        w, (struct sim_event){ .when.t = t_us, .what = EV_WAKE, .host = h->idx, .life = h->life });
}

void sim_boot_later(struct sim_world *w, struct sim_host *h, uint64_t ms)
{
    sim_push(
        w, (struct sim_event){
               .when.t = w->now_us + ms * 1000, .what = EV_BOOT, .host = h->idx, .life = h->life });
}

void sim_crash(struct sim_world *w, struct sim_host *h, uint64_t down_ms)
{
    if (!h->r) return;
    bool power = h->disk.dead, graceful = !power && sim_draw(&h->rng) % 4 == 0;
    sim_trace(w, "host %d %s", h->idx, power ? "loses power" : graceful ? "stops" : "dies");
    if (power) w->res->struck[SIM_power]++;
    *(power ? &w->res->cuts : graceful ? &w->res->stops : &w->res->kills) += 1;
    if (!graceful) h->disk.dead = true; /* closing writes nothing */
    qn_replica_close(h->r);
    h->r = NULL;
    h->disk.dead = false;
    if (power) sim_disk_crash(&h->disk, &h->rng);
    h->life++;
    h->wake_us = h->free_us = h->busy_us = 0;
    h->in_call = false;
    sim_net_down(w, h->idx);
    sim_boot_later(w, h, down_ms);
}

/* A host that does not open has a reason that its faults explain, or something is wrong. */
static bool explained(const struct sim_host *h, qn_rc rc)
{
    uint64_t f = h->w->k.faults;
    if (h->traits & TRAIT_FORGETS) return true; /* it says so, and stays out */
    if (rc == QN_E_CLOCK) return h->traits & TRAIT_BADCLOCK;
    if (rc == QN_E_DISKFULL) return f >> SIM_full & 1;
    if (rc == QN_E_MAPFULL) return f >> SIM_mapfull & 1;
    return rc == QN_E_IO && (f >> SIM_eio & 1);
}

static void boot(struct sim_world *w, struct sim_host *h)
{
    char home[16];
    struct qn_why why = { "" };
    if (h->r) return;
    snprintf(home, sizeof home, "h%d", h->idx);
    h->life++;
    h->wake_us = 0;
    h->booted_us = w->now_us;
    h->memory = 0;
    struct qn_replica_conf conf = {
        .chain = { .home = home,
                   .env = &h->env,
                   .modules = w->modules,
                   .module_cnt = w->module_cnt,
                   .vm = qn_lua_contracts(),
                   .genesis = &w->genesis,
                   .run_ids = 64, /* the annals of a world are short */
                   .run_blocks = 64,
                   .on_block = host_block,
                   .arg = h },
        .validator = h->validator >= 0 && !h->unarmed ? &w->keys[h->validator] : NULL,
        .wire = { h, host_send, host_cast },
        .block_ms = w->k.block_ms,
        .bug = w->o.bug < QN_BUG_COUNT ? w->o.bug : 0,
        .deaf = w->o.bug != 0 || h->traits != 0,
    };
    sim_begin(h);
    qn_rc rc = qn_replica_open(&conf, &h->r, &why);
    sim_trace(w, "host %d opens: %s %s", h->idx, qn_err_code(rc), why.text);
    if (rc) {
        h->r = NULL;
        bool power = h->disk.dead;
        sim_end(h);
        h->free_us = 0;
        if (power) {
            h->disk.dead = false;
            sim_disk_crash(&h->disk, &h->rng);
        } else if (!explained(h, rc) && !sim_heal(w, h, rc, &why)) {
            sim_wrong(w, "host %d does not open: %s: %s", h->idx, qn_err_code(rc), why.text);
        } else {
            w->res->refused++;
        }
        sim_boot_later(w, h, 500 + sim_below(&h->rng, 5000));
        return;
    }
    w->res->boots++;
    sim_check_boot(h);
    sim_net_up(w, h->idx);
    sim_wake(h, w->now_us + h->busy_us);
    sim_end(h);
}

static void turn(struct sim_world *w, struct sim_host *h)
{
    struct qn_why why = { "" };
    uint64_t wait_ms = 1000;
    h->wake_us = 0;
    sim_begin(h);
    qn_rc rc = qn_replica_turn(h->r, &wait_ms, &why);
    bool power = h->disk.dead;
    if (rc == QN_OK && !power) {
        sim_check_host(h);
        sim_wake(h, w->now_us + h->busy_us + QN_MAX(wait_ms * 1000, (uint64_t)200));
    }
    bool arm = rc == QN_OK && !power && sim_rearm(h);
    sim_end(h);
    if (arm) sim_crash(w, h, 100);
    if (power || rc == QN_OK) return;
    if (!explained(h, rc)) sim_wrong(w, "host %d stops: %s: %s", h->idx, qn_err_code(rc), why.text);
    sim_trace(w, "host %d stops: %s", h->idx, why.text);
    sim_crash(w, h, 500 + sim_below(&h->rng, 5000));
}

/* --- a run ------------------------------------------------------------------------------------------------------------------------------- */

static size_t modules(struct qn_exec_module *dst)
{
    const struct qn_module *mod;
    size_t cnt = 0;
    for (; (mod = qn_module_at(cnt)); cnt++)
        dst[cnt] = (struct qn_exec_module){ .name = mod->name,
                                            .txs = mod->txs,
                                            .dues = mod->dues,
                                            .tables = mod->tables,
                                            .chain = mod->chain,
                                            .genesis = mod->genesis,
                                            .block_end = mod->block_end };
    return cnt;
}

static void key_of(const char *what, uint32_t i, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("simulated key", &i, sizeof i);
    seed.b[0] ^= (uint8_t)what[0];
    qn_key_from_seed(seed.b, ret);
}

static void begin(struct sim_world *w)
{
    struct qn_key key;
    w->host_cnt = w->k.nodes + w->k.followers;
    uint64_t ones[SIM_HOSTS];
    for (uint32_t i = 0; i < w->k.nodes; i++) {
        key_of("validator", i, &w->keys[i]);
        w->set[i] = w->keys[i].pub;
        ones[i] = 1;
    }
    w->need_traitors = (uint32_t)qn_quorum_of(ones, w->k.nodes, 0).traitors;
    uint32_t grants = 0;
    for (uint32_t i = 0; i < SIM_PEOPLE; i++) {
        key_of("person", i, &key);
        w->grants[grants++] =
            (struct qn_grant){ qn_acct_key(&key.pub), QN_UQN(100000 * QN_UQN_PER_QN) };
    }
    w->genesis =
        (struct qn_genesis){ .name = QN_SPAN_STR("sim"), .t_ms = SIM_EPOCH_MS, .dev = true };
    w->genesis.epoch_ms = w->k.epoch_ms;
    for (uint32_t i = 0; i < w->k.nodes; i++) /* owners are none of those who act (load.c) */
        w->bonds[i] = (struct qn_genesis_bond){ w->grants[6 + i].acct,
                                                QN_UQN(10000 * QN_UQN_PER_QN), 100000 };
    w->genesis.bonds.cnt = w->k.stake ? w->k.nodes : 0;
    w->genesis.bonds.ptr = w->bonds;
    w->genesis.validators.cnt = w->k.nodes;
    w->genesis.validators.ptr = w->set;
    w->genesis.grants.cnt = grants;
    w->genesis.grants.ptr = w->grants;
    w->chain = w->beacon = qn_genesis_hash(&w->genesis);
    for (uint32_t i = 0; i < w->host_cnt; i++)
        w->host[i].validator = i < w->k.nodes ? (int)i : -1;
    for (uint32_t i = 0; i < SIM_HOSTS; i++)
        w->host[i].idx = (uint8_t)i;
    sim_faults_init(w); /* twins add hosts */
    for (uint32_t i = 0; i < w->host_cnt; i++) {
        struct sim_host *h = &w->host[i];
        h->w = w;
        h->rng = sim_draw(&w->rng);
        h->env = (struct qn_env){ h, host_now_ms, host_mono_us, host_random, &h->disk.ops };
        sim_disk_init(&h->disk, h);
        sim_disk_init(&h->backup, h);
        if (h->joins) continue;
        sim_boot_later(w, h, sim_below(&w->rng, sim_below(&w->rng, 4) ? 200 : 20000));
    }
    sim_net_init(w);
}

static void step(struct sim_world *w, struct sim_event *e)
{
    struct sim_host *h = &w->host[e->host];
    switch ((enum sim_what)e->what) {
    case EV_DELIVER: sim_net_deliver(w, e); break;
    case EV_WAKE:
        if (h->r && h->life == e->life && h->wake_us == e->when.t) turn(w, h);
        break;
    case EV_BOOT:
        if (h->life == e->life) boot(w, h);
        break;
    case EV_PEER: sim_net_peer(w, e); break;
    case EV_FAULT: sim_faults_event(w, e); break;
    case EV_LOAD: sim_load_event(w); break;
    case EV_CHECK:
        sim_check_slow(w);
        sim_push(w, (struct sim_event){ .when.t = w->now_us + 1000000, .what = EV_CHECK });
        break;
    }
}

static void go(struct sim_world *w)
{
    const uint64_t faults_us = w->k.faults_ms * UINT64_C(1000);
    while (w->heap.cnt && !w->res->wrong[0]) {
        struct sim_event e;
        heap_pop(&w->heap, &e);
        struct sim_host *h = &w->host[e.host];
        if ((e.what == EV_DELIVER || e.what == EV_WAKE || e.what == EV_PEER) && h->r &&
            h->life == e.life &&
            e.when.t < h->free_us) { /* it is busy: in order, when it is done */
            if (e.what == EV_WAKE) {
                if (h->wake_us != e.when.t) continue;
                h->wake_us = h->free_us;
            }
            e.when.t = h->free_us;
            heap_put(&w->heap, &e);
            continue;
        }
        w->now_us = e.when.t;
        w->events++;
        w->res->digest =
            (w->res->digest ^ e.when.t ^ (uint64_t)e.what << 56 ^ (uint64_t)e.host << 48) *
            0x9e3779b97f4a7c15;
        if (w->faulty && e.when.t >= faults_us) {
            sim_trace(w, "faults stop");
            sim_faults_stop(w);
            w->goal = w->height + 3;
        }
        step(w, &e);
        sim_msg_free(e.msg);
        if (w->o.until && w->events >= w->o.until) break;
        if (!w->faulty && w->events % 64 == 0 && sim_check_goal(w) && sim_load_settled(w)) break;
        if (!w->faulty && w->now_us > w->calm_us + CALM_MS * UINT64_C(1000))
            sim_wrong(
                w,
                "no progress in %d s since the faults stopped: height %" PRIu64 " of %" PRIu64 "%s",
                CALM_MS / 1000, w->height, w->goal, sim_check_goal(w) ? ", transactions wait" : "");
        if (w->events > EVENTS_MAX) sim_wrong(w, "events without end");
    }
}

static void finish(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->host_cnt; i++) {
        struct sim_host *h = &w->host[i];
        h->disk.dead = true;
        qn_replica_close(h->r);
        sim_disk_fini(&h->disk);
        sim_disk_fini(&h->backup);
    }
    for (size_t i = 0; i < w->heap.cnt; i++)
        sim_msg_free(((struct sim_event *)heap_at(&w->heap, i))->msg);
    for (size_t i = 0; i < QN_COUNT(w->old); i++)
        sim_msg_free(w->old[i]);
    sim_msg_free(w->secret);
    sim_snapshot_free(w->snapshot);
    sim_light_free(w->light);
    heap_free(&w->heap);
    sim_load_fini(w);
    sim_checks_fini(w);
}

void sim_run(const struct sim_opts *o, struct sim_result *ret)
{
    struct qn_exec_module mods[16];
    struct sim_world *w = calloc(1, sizeof *w);
    QN_ASSERT(w != NULL && qn_crypto_init() == QN_OK);
    *ret = (struct sim_result){ 0 };
    w->o = *o;
    w->heap.size = sizeof(struct sim_event);
    w->res = ret;
    w->rng = o->seed * 0xd1342543de82ef95 + 7;
    sim_knobs_draw(o, &w->k);
    ret->faults = w->k.faults;
    w->module_cnt = modules(mods);
    w->modules = mods;
    w->faulty = true;
    sim_bugs_arm(o->bug, w->k.real_keys);
    if (w->k.real_keys) sim_saw(w, SEEN_real_keys);
    if (w->k.nodes == 1) sim_saw(w, SEEN_alone);
    sim_checks_init(w);
    begin(w);
    sim_load_init(w);
    sim_push(w, (struct sim_event){ .when.t = 1000000, .what = EV_CHECK });
    go(w);
    sim_check_end(w);
    if (!ret->wrong[0]) ret->event = w->events;
    ret->virtual_ms = w->now_us / 1000;
    ret->height = w->height;
    finish(w);
    free(w);
}
