/* faults.c - which faults a seed's world has, how often, and who the traitors are. */
#include "tests/sim/sim.h"

static bool has(const struct sim_world *w, enum sim_fault f)
{
    return w->k.faults >> f & 1;
}

/* Every number is drawn whether it is used or not: leaving a fault out changes nothing of the rest. */
void sim_knobs_draw(const struct sim_opts *o, struct sim_knobs *ret)
{
    static const uint32_t NODES[] = { 1, 4, 4, 4, 5, 7, 7, 10 };
    static const uint32_t DELAYS[] = { 100, 500, 2000, 20000, 80000 };
    static const uint32_t OFTEN[] = { 50, 200, 1000, 1000, 4000 };
    static const uint32_t EPOCHS[] = { 60000, 20000, 10000, 3000, 1000 };
    uint64_t r = o->seed * 0x9e3779b97f4a7c15 + 1;
    struct sim_knobs k = { 0 };
    k.nodes = NODES[sim_below(&r, QN_COUNT(NODES))];
    k.followers = sim_below(&r, 3) == 0;
    k.faults_ms = 20000 + (uint32_t)sim_below(&r, 60000);
    unsigned mood = (unsigned)sim_below(&r, 8); /* quiet, one kind, or some */
    for (unsigned f = 0; f < SIM_LATER; f++)
        if (sim_below(&r, 100) < (mood == 0 ? 0 : mood < 5 ? 15 : 40)) k.faults |= SIM_BIT(f);
    k.delay_us = DELAYS[sim_below(&r, QN_COUNT(DELAYS))];
    k.jitter_us = (uint32_t)sim_below(&r, k.delay_us + 1);
    k.bytes_us = 1 + (uint32_t)sim_below(&r, 100);
    k.loss_ppm = 1000 + (uint32_t)sim_below(&r, sim_below(&r, 3) ? 30000 : 250000);
    k.copy_ppm = 1000 + (uint32_t)sim_below(&r, 200000);
    k.late_ppm = 1000 + (uint32_t)sim_below(&r, 50000);
    k.split_ms = 500 + (uint32_t)sim_below(&r, 15000);
    k.kill_ms = 1000 + (uint32_t)sim_below(&r, 20000);
    k.power_ops = 5 + (uint32_t)sim_below(&r, 200);
    k.disk_us = sim_below(&r, 4) ? 150 : (uint32_t)sim_below(&r, 20000);
    k.turn_us = sim_below(&r, 2) ? 0 : (uint32_t)sim_below(&r, 500);
    k.tx_ms = OFTEN[sim_below(&r, QN_COUNT(OFTEN))];
    k.modules = (uint32_t)sim_below(&r, 101);
    k.block_ms = sim_below(&r, 3) ? 500 : 100 + (uint32_t)sim_below(&r, 900);
    k.traitors = 1 + (uint32_t)sim_below(&r, 3); /* at most; and at most what the protocol bears */
    k.real_keys = sim_below(&r, 64) == 0;
    k.epoch_ms = EPOCHS[sim_below(&r, QN_COUNT(EPOCHS))];
    k.stake = sim_below(&r, 2);
    for (unsigned f = SIM_LATER; f < SIM_FAULT_COUNT; f++)
        if (sim_below(&r, 100) < (mood == 0 ? 0 : mood < 5 ? 8 : 20)) k.faults |= SIM_BIT(f);
    if (o->nodes) k.nodes = o->nodes;
    if (o->epoch_ms) k.epoch_ms = o->epoch_ms;
    if (o->minutes) k.faults_ms = o->minutes * 60000;
    k.faults = (k.faults | o->with) & ~o->without;
    if (!(k.faults >> SIM_loss & 1)) k.loss_ppm = 0;
    if (!(k.faults >> SIM_copies & 1)) k.copy_ppm = 0;
    if (!(k.faults >> SIM_reorder & 1)) k.late_ppm = 0;
    if (o->tx_max == 1) k.tx_ms = 0;
    if (k.faults >> SIM_leave & 1) { /* it takes two epochs */
        k.stake = true;
        k.epoch_ms = QN_MIN(k.epoch_ms, 3000u);
    }
    *ret = k;
}

void sim_knobs_print(const struct sim_knobs *k, FILE *to)
{
    fprintf(to,
            "%u nodes, %u follow, %u s of faults, block %u ms, links %u us, disk %u us, tx each %u "
            "ms (%u%% modules), epochs %u s%s%s;",
            k->nodes, k->followers, k->faults_ms / 1000, k->block_ms, k->delay_us, k->disk_us,
            k->tx_ms, k->modules, k->epoch_ms / 1000, k->stake ? ", stake" : "",
            k->real_keys ? ", Ed25519" : "");
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        if (k->faults >> f & 1) fprintf(to, " %s", SIM_FAULT_WORDS[f].word);
    fprintf(to, "\n");
}

static void later(struct sim_world *w, enum sim_fault f, uint64_t ms, int host)
{
    sim_push(w, (struct sim_event){ .when.t = w->now_us + ms * 1000,
                                    .what = EV_FAULT,
                                    .fault = (uint8_t)f,
                                    .host = (uint8_t)host });
}

/* A traitor's share of validators goes wrong, each in one or two ways that the seed has. */
static void draw_traitors(struct sim_world *w)
{
    static const struct {
        enum sim_fault fault;
        enum sim_trait trait;
    } WAYS[] = {
        { SIM_silent, TRAIT_SILENT },     { SIM_twins, TRAIT_TWIN },
        { SIM_censor, TRAIT_CENSOR },     { SIM_garbage, TRAIT_GARBAGE },
        { SIM_forge, TRAIT_FORGE },       { SIM_lostsync, TRAIT_BADDISK },
        { SIM_restored, TRAIT_RESTORED }, { SIM_wiped, TRAIT_WIPED },
        { SIM_badclock, TRAIT_BADCLOCK }, { SIM_fork, TRAIT_FORK },
        { SIM_flood, TRAIT_FLOOD },       { SIM_rearm, TRAIT_REARM },
        { SIM_rot, TRAIT_ROT },
    };
    static const struct {
        enum sim_fault fault;
        enum sim_trait trait;
    } MORE[] = {
        { SIM_late, TRAIT_LATE },
        { SIM_newer, TRAIT_NEWER },
        { SIM_grind, TRAIT_GRIND },
    };
    uint32_t cnt = QN_MIN(w->k.traitors, w->need_traitors);
    for (uint32_t i = 0; i < cnt; i++) {
        struct sim_host *h = &w->host[sim_below(&w->rng, w->k.nodes)];
        for (unsigned k = 0; k < QN_COUNT(WAYS); k++) {
            bool pick = sim_draw(&w->rng) % 4 != 0;
            if (pick && has(w, WAYS[k].fault)) h->traits |= WAYS[k].trait;
        }
        for (unsigned k = 0; k < QN_COUNT(MORE); k++)
            if (has(w, MORE[k].fault) && sim_draw(&w->rng) % 4) h->traits |= MORE[k].trait;
        /* What heals a machine is tried on honest ones. */
        const uint32_t heals = TRAIT_REARM | TRAIT_ROT;
        bool honest = sim_draw(&w->rng) % 2;
        if (h->traits & heals && honest)
            h->traits &= heals | TRAIT_SILENT;
        else if (h->traits & (TRAIT_FORGETS | TRAIT_LIES))
            h->traits &= ~heals;
    }
    for (uint32_t i = 0; i < w->k.nodes; i++) { /* the other machine with the same key */
        if (!(w->host[i].traits & TRAIT_TWIN) || w->host_cnt == SIM_HOSTS) continue;
        struct sim_host *twin = &w->host[w->host_cnt];
        twin->idx = (uint8_t)w->host_cnt++;
        twin->validator = (int)i;
        twin->traits = TRAIT_TWIN;
        twin->deaf = (uint32_t)sim_draw(&w->rng);
        w->host[i].deaf = sim_draw(&w->rng) % 2 ? ~twin->deaf : (uint32_t)sim_draw(&w->rng);
    }
}

/* Whose owner takes it out: one without whom the others still bear the traitors among them. */
static int draw_leaver(struct sim_world *w)
{
    uint32_t bad = 0, leaver = (uint32_t)sim_below(&w->rng, w->k.nodes);
    for (uint32_t i = 0; i < w->k.nodes; i++)
        bad += w->host[i].traits && i != leaver;
    return w->k.nodes > 1 && 3 * bad < w->k.nodes - 1 ? (int)leaver : -1;
}

void sim_faults_init(struct sim_world *w)
{
    draw_traitors(w);
    if (has(w, SIM_join) && w->host_cnt < SIM_HOSTS) {
        struct sim_host *h = &w->host[w->host_cnt++];
        h->validator = -1;
        h->joins = true;
        later(w, SIM_join, 3000 + sim_below(&w->rng, 20000), h->idx);
    }
    w->leaver = has(w, SIM_leave) ? draw_leaver(w) : -1;
    if (w->leaver >= 0) later(w, SIM_leave, sim_below(&w->rng, 10000), w->leaver);
    if (has(w, SIM_minutes)) later(w, SIM_minutes, sim_below(&w->rng, 10000), 0);
    if (has(w, SIM_light)) later(w, SIM_light, sim_below(&w->rng, 5000), 0);
    for (uint32_t i = 0; i < w->host_cnt; i++) {
        struct sim_host *h = &w->host[i];
        int64_t off = (int64_t)sim_below(&w->rng, 600) - 300;
        int32_t drift = (int32_t)sim_below(&w->rng, 400) - 200;
        if (has(w, SIM_skew)) {
            h->clock_ms = off;
            h->drift_ppm = drift;
        }
        if (h->traits & TRAIT_BADCLOCK) later(w, SIM_badclock, sim_below(&w->rng, 20000), (int)i);
        if (h->traits & TRAIT_BADDISK) later(w, SIM_lostsync, sim_below(&w->rng, 20000), (int)i);
        if (h->traits & TRAIT_RESTORED) later(w, SIM_restored, sim_below(&w->rng, 20000), (int)i);
        if (h->traits & TRAIT_WIPED) later(w, SIM_wiped, sim_below(&w->rng, 40000), (int)i);
        if (h->traits & TRAIT_GARBAGE) later(w, SIM_garbage, sim_below(&w->rng, 2000), (int)i);
        if (h->traits & TRAIT_FLOOD) later(w, SIM_flood, sim_below(&w->rng, 2000), (int)i);
        if (h->traits & TRAIT_REARM) later(w, SIM_rearm, sim_below(&w->rng, 20000), (int)i);
        if (h->traits & TRAIT_ROT) later(w, SIM_rot, sim_below(&w->rng, 20000), (int)i);
        if (has(w, SIM_mapfull)) later(w, SIM_mapfull, sim_below(&w->rng, 60000), (int)i);
        if (has(w, SIM_power)) later(w, SIM_power, sim_below(&w->rng, 3000), (int)i);
        if (has(w, SIM_full)) later(w, SIM_full, sim_below(&w->rng, 60000), (int)i);
        if (has(w, SIM_eio)) later(w, SIM_eio, sim_below(&w->rng, 60000), (int)i);
    }
    if (has(w, SIM_split)) later(w, SIM_split, sim_below(&w->rng, w->k.split_ms), 0);
    if (has(w, SIM_oneway)) later(w, SIM_oneway, sim_below(&w->rng, w->k.split_ms), 0);
    if (has(w, SIM_flap)) later(w, SIM_flap, sim_below(&w->rng, w->k.split_ms), 0);
    if (has(w, SIM_kill)) later(w, SIM_kill, sim_below(&w->rng, w->k.kill_ms), 0);
    if (has(w, SIM_outage)) later(w, SIM_outage, 2000 + sim_below(&w->rng, 20000), 0);
    if (has(w, SIM_step)) later(w, SIM_step, sim_below(&w->rng, 5000), 0);
    if (has(w, SIM_snapshot)) later(w, SIM_snapshot, 5000 + sim_below(&w->rng, 20000), 0);
}

static void split(struct sim_world *w, bool whole)
{
    uint32_t side = (uint32_t)sim_draw(&w->rng) & (uint32_t)sim_draw(&w->rng);
    for (int a = 0; a < (int)w->host_cnt; a++)
        for (int b = 0; b < (int)w->host_cnt; b++)
            sim_net_cut(w, a, b, !whole && (side >> a & 1) != (side >> b & 1));
}

static struct sim_host *anybody(struct sim_world *w)
{
    return &w->host[sim_below(&w->rng, w->host_cnt)];
}

static uint64_t rest_ms(struct sim_world *w)
{
    return 100 + sim_below(&w->rng, sim_below(&w->rng, 8) ? 4000 : 30000);
}

void sim_faults_event(struct sim_world *w, const struct sim_event *e)
{
    struct sim_host *h = &w->host[e->host];
    enum sim_fault f = (enum sim_fault)e->fault;
    if (!w->faulty && f != SIM_garbage) return;
    sim_trace(w, "fault %s at %d", SIM_FAULT_WORDS[f].word, e->host);
    if (f != SIM_power && f != SIM_leave) w->res->struck[f]++; /* that counts when it comes to it */
    switch (f) {
    case SIM_split:
        split(w, sim_draw(&w->rng) % 3 == 0);
        later(w, f, 200 + sim_below(&w->rng, w->k.split_ms), 0);
        break;
    case SIM_oneway:
        for (unsigned i = 0; i < 3; i++)
            sim_net_cut(w, anybody(w)->idx, anybody(w)->idx, sim_draw(&w->rng) % 2);
        later(w, f, 200 + sim_below(&w->rng, w->k.split_ms), 0);
        break;
    case SIM_flap: {
        int a = anybody(w)->idx, b = anybody(w)->idx;
        bool cut = !w->link[a][b].cut;
        sim_net_cut(w, a, b, cut);
        sim_net_cut(w, b, a, cut);
        later(w, f, 50 + sim_below(&w->rng, 1500), 0);
        break;
    }
    case SIM_kill:
        sim_crash(w, anybody(w), rest_ms(w));
        later(w, f, sim_below(&w->rng, 2 * w->k.kill_ms), 0);
        break;
    case SIM_power:
        h->disk.power_at = h->disk.ops_cnt + 1 + sim_below(&w->rng, w->k.power_ops);
        later(w, f, 500 + sim_below(&w->rng, 20000), e->host);
        break;
    case SIM_outage:
        for (uint32_t i = 0; i < w->host_cnt; i++)
            if (w->host[i].r) {
                w->host[i].disk.dead = true;
                sim_crash(w, &w->host[i], 100 + sim_below(&w->rng, 3000));
            }
        later(w, f, 10000 + sim_below(&w->rng, 30000), 0);
        break;
    case SIM_full:
        h->disk.full = !h->disk.full;
        later(w, f, sim_below(&w->rng, h->disk.full ? 10000 : 60000), e->host);
        break;
    case SIM_eio:
        h->disk.fail_at = h->disk.ops_cnt + 1 + sim_below(&w->rng, 50);
        later(w, f, sim_below(&w->rng, 60000), e->host);
        break;
    case SIM_badclock:
        h->clock_ms = (int64_t)sim_below(&w->rng, 60000) - 30000;
        later(w, f, sim_below(&w->rng, 20000), e->host);
        break;
    case SIM_lostsync:
        h->disk.lying = h->forgot = true;
        h->disk.dead = h->r != NULL;
        sim_crash(w, h, rest_ms(w));
        later(w, f, sim_below(&w->rng, 20000), e->host);
        break;
    case SIM_restored:
        if (!h->has_backup) {
            sim_disk_copy(&h->backup, &h->disk);
            h->has_backup = true;
        } else {
            sim_crash(w, h, rest_ms(w));
            sim_disk_copy(&h->disk, &h->backup);
            h->forgot = true;
            h->acked = 0;
        }
        later(w, f, 2000 + sim_below(&w->rng, 30000), e->host);
        break;
    case SIM_wiped:
        sim_crash(w, h, rest_ms(w));
        sim_disk_wipe(&h->disk);
        h->forgot = true;
        h->acked = 0;
        later(w, f, 20000 + sim_below(&w->rng, 60000), e->host);
        break;
    case SIM_garbage:
        for (unsigned i = 0; i < 3; i++)
            sim_traitor_garbage(w, h);
        later(w, f, 20 + sim_below(&w->rng, 2000), e->host);
        break;
    case SIM_flood:
        sim_traitor_floods(w, h);
        later(w, f, 20 + sim_below(&w->rng, 1000), e->host);
        break;
    case SIM_step: {
        struct sim_host *o = anybody(w); /* by an honest amount: what is worse is a bad clock */
        if (!(o->traits & TRAIT_BADCLOCK)) o->clock_ms = (int64_t)sim_below(&w->rng, 600) - 300;
        later(w, f, 100 + sim_below(&w->rng, 10000), 0);
        break;
    }
    case SIM_mapfull:
        h->map_full = !h->map_full;
        later(w, f, sim_below(&w->rng, h->map_full ? 10000 : 60000), e->host);
        break;
    case SIM_snapshot:
        sim_snapshot_take(w, anybody(w));
        later(w, f, 5000 + sim_below(&w->rng, 20000), 0);
        break;
    case SIM_rearm:
        if (!h->has_backup) {
            sim_disk_copy(&h->backup, &h->disk);
            h->has_backup = true;
        } else {
            sim_crash(w, h, rest_ms(w));
            sim_restore(w, h);
        }
        later(w, f, 2000 + sim_below(&w->rng, 40000), e->host);
        break;
    case SIM_rot:
        h->disk.astray_ppm = sim_draw(&w->rng) % 4 ? 200000 : 0;
        if (sim_disk_rot(&h->disk, &w->rng, sim_draw(&w->rng) % 2) && sim_draw(&w->rng) % 2)
            sim_crash(w, h, rest_ms(w)); /* else it reads on, until something else ends it */
        later(w, f, 2000 + sim_below(&w->rng, 20000), e->host);
        break;
    case SIM_minutes: {
        int a = anybody(w)->idx, b = anybody(w)->idx;
        w->link[a][b].slow_us = w->link[a][b].slow_us ? 0 : (uint32_t)sim_below(&w->rng, 120000000);
        later(w, f, 200 + sim_below(&w->rng, 5000), 0);
        break;
    }
    case SIM_leave: {
        bool out = sim_draw(&w->rng) % 2;
        h = anybody(w);
        if (h->r) sim_load_stake(w, h, out);
        later(w, f, 1000 + sim_below(&w->rng, 12000), e->host);
        break;
    }
    case SIM_join:
        if (h->r) sim_crash(w, h, 100 + sim_below(&w->rng, 10000));
        if (!w->snapshot || sim_draw(&w->rng) % 2) sim_snapshot_take(w, anybody(w));
        if (h->joins) sim_boot_later(w, h, 100);
        h->joins = false;
        sim_join(w, h);
        later(w, f, 10000 + sim_below(&w->rng, 40000), e->host);
        break;
    case SIM_light:
        sim_light_asks(w, anybody(w));
        later(w, f, 100 + sim_below(&w->rng, 4000), 0);
        break;
    case SIM_loss:
    case SIM_copies:
    case SIM_reorder:
    case SIM_slowdisk:
    case SIM_skew:
    case SIM_silent:
    case SIM_twins:
    case SIM_censor:
    case SIM_forge:
    case SIM_fork:
    case SIM_late:
    case SIM_newer:
    case SIM_grind:
    case SIM_again:
    case SIM_FAULT_COUNT: break; /* not by event */
    }
}

void sim_faults_stop(struct sim_world *w)
{
    w->faulty = false;
    w->calm_us = w->now_us;
    for (uint32_t i = 0; i < w->host_cnt; i++) {
        struct sim_host *h = &w->host[i];
        h->disk.full = h->disk.lying = h->map_full = false;
        if (h->joins) sim_boot_later(w, h, 100);
        h->joins = false;
        h->disk.astray_ppm = 0;
        h->disk.power_at = h->disk.fail_at = 0;
        sim_disk_settle(&h->disk);
        if (!(h->traits & TRAIT_BADCLOCK) && h->clock_ms * h->clock_ms > 400 * 400) h->clock_ms = 0;
    }
    sim_net_heal(w);
}
