/* score.c - what is thought of a peer: score.def in whole numbers, so that a simulation replays bit for bit anywhere. */
#include "net/gossip/state.h"

#include <string.h>

enum part {
#define SCORE_PART(name, points, cap, half_life_s, decay, doc) PART_##name,
#include "net/gossip/score.def"
    PART_CNT
};

static const struct {
    int64_t points;
    uint32_t cap, decay;
} parts[PART_CNT] = {
#define SCORE_PART(name, points, cap, half_life_s, decay, doc) { points, cap, decay },
#include "net/gossip/score.def"
};

#define ONE (1u << 16) /* counters that decay are 16.16 */

/* n, 16.16, beyond free: its square, times the part's points. */
static int64_t square(enum part part, uint64_t n, uint64_t free)
{
    uint64_t over = n > free * ONE ? n - free * ONE : 0; /* < 2^26: caps are 1,000 */
    uint64_t milli = (over * 1000) >> 16;                /* <= 10^6, so its square is <= 10^12 */
    return (int64_t)(milli * milli / 1000) * (parts[part].points / 1000);
}

static uint32_t more(enum part part, uint32_t n, uint32_t by)
{
    uint64_t cap = (uint64_t)parts[part].cap * ONE;
    return (uint32_t)QN_MIN(cap, (uint64_t)n + by);
}

/* P3: of what was withheld from it in these five minutes, how much did it bring? What it brought before it fell silent buys it no time: an honest
 * peer misses one in 16, so eight in a row once in 4 billion. */
static int64_t silent(const struct gossip *g, const struct deed *d)
{
    uint32_t withheld = 0, brought = 0;
    if (d->missed >= QUIET_CNT && g->now_ms - d->brought_ms >= QUIET_MS)
        return parts[PART_SILENT].points;
    for (size_t i = 0; i < QN_COUNT(d->minute); i++) {
        withheld += d->minute[i].withheld;
        brought += d->minute[i].brought;
    }
    if (withheld < 8 || 2 * brought >= withheld) return 0;
    int64_t milli = 1000 - (int64_t)(2000 * (uint64_t)brought / withheld);
    return milli * milli * (parts[PART_SILENT].points / 1000) / 1000;
}

void gossip_score_refresh(struct gossip *g, struct peer *p)
{
    int64_t good = 0, bad = 0;
    for (uint32_t i = 0; i < g->topic_cnt; i++) {
        const struct deed *d = &p->deed[i];
        int64_t own = (int64_t)d->first * 1000 >> 16; /* P2 */
        if (p->mesh >> i & 1) {
            own += (int64_t)QN_MIN((g->now_ms - d->graft_ms) / 3600, (uint64_t)1000); /* P1 */
            bad += silent(g, d);
        }
        good += own * g->topic[i].weight_milli / 1000;
    }
    good = QN_MIN(good, LINE_GOOD_MAX);
    bad += (int64_t)p->pruned * parts[PART_PRUNED].points;
    bad += square(PART_CROWD, (uint64_t)QN_MIN(p->crowd, 1000u) * ONE, 3);
    p->sins = square(PART_INVALID, p->invalid, 0) + square(PART_OFFENCE, p->offence, 6) +
              (((int64_t)p->answer * (parts[PART_ANSWER].points / 1000) * 1000) >> 16);
    bad += p->sins;
    p->mesh_score = good + bad + QN_MIN((int64_t)p->credit, 0) * 1000;
    p->score = good + bad + (int64_t)p->credit * 1000;
}

void gossip_score_sin(struct gossip *g, struct peer *p, enum sin sin)
{
    switch (sin) {
    case SIN_INVALID: p->invalid = more(PART_INVALID, p->invalid, ONE); break;
    case SIN_ANSWER: p->answer = more(PART_ANSWER, p->answer, ONE); break;
    case SIN_OFFENCE: p->offence = more(PART_OFFENCE, p->offence, ONE); break;
    }
    gossip_score_refresh(g, p);
    if (p->sins >= LINE_GRAYLIST || p->explicit || p->dropped) return;
    p->dropped = true; /* not with the beat: what it says until then may cost a signature each */
    gossip_tell(g, GOSSIP_BAD, p, NONE);
}

void gossip_score_first(struct gossip *g, struct peer *p, uint32_t topic)
{
    (void)g; /* good news can wait for the beat */
    p->deed[topic].first = more(PART_FIRST, p->deed[topic].first, ONE);
}

void gossip_score_graft(struct gossip *g, struct peer *p, uint32_t topic)
{
    p->deed[topic].graft_ms = p->deed[topic].brought_ms = g->now_ms;
    p->deed[topic].missed = 0;
    memset(p->deed[topic].minute, 0, sizeof p->deed[topic].minute);
}

void gossip_score_prune(struct gossip *g, struct peer *p, uint32_t topic)
{
    int64_t p3 = silent(g, &p->deed[topic]);
    uint64_t sum = p->pruned + (uint64_t)-p3;
    p->pruned = (uint32_t)QN_MIN(sum, (uint64_t)parts[PART_PRUNED].cap);
    memset(p->deed[topic].minute, 0, sizeof p->deed[topic].minute);
    gossip_score_refresh(g, p);
}

void gossip_score_sample(struct gossip *g, struct peer *p, uint32_t topic, bool brought)
{
    struct deed *d = &p->deed[topic];
    size_t at = (size_t)(g->now_ms / 60000 % QN_COUNT(d->minute));
    d->missed = brought ? 0 : QN_MIN(d->missed + 1, QUIET_CNT);
    if (brought) d->brought_ms = g->now_ms;
    if (d->minute[at].withheld == UINT16_MAX) return;
    d->minute[at].withheld++;
    d->minute[at].brought = (uint16_t)(d->minute[at].brought + brought);
}

static uint32_t decayed(enum part part, uint32_t n)
{
    return (uint32_t)((uint64_t)n * parts[part].decay >> 32);
}

void gossip_score_second(struct gossip *g)
{
    uint64_t minute = g->second_ms / 60000;
    bool fresh = minute != (g->second_ms - 1000) / 60000;
    for (uint32_t i = 0; i < g->slot_high; i++) {
        struct peer *p = g->peer[i];
        if (!p) continue;
        p->pruned = decayed(PART_PRUNED, p->pruned);
        p->invalid = decayed(PART_INVALID, p->invalid);
        p->answer = decayed(PART_ANSWER, p->answer);
        p->offence = decayed(PART_OFFENCE, p->offence);
        for (uint32_t k = 0; k < g->topic_cnt; k++) {
            struct deed *d = &p->deed[k];
            d->first = decayed(PART_FIRST, d->first);
            if (fresh) {
                d->minute[minute % QN_COUNT(d->minute)].withheld = 0;
                d->minute[minute % QN_COUNT(d->minute)].brought = 0;
            }
        }
    }
}

void gossip_score_load(struct gossip *g, struct peer *p)
{
    struct gossip_note *note = gossip_book_get(&g->sins, p->key, g->now_ms);
    if (note) { /* as they were when it left: leaving pays nothing off */
        p->pruned = note->value[0];
        p->invalid = note->value[1];
        p->answer = note->value[2];
        p->offence = note->value[3];
    }
    gossip_score_refresh(g, p);
}

void gossip_score_save(struct gossip *g, const struct peer *p)
{
    if (!(p->pruned | p->invalid | p->answer | p->offence) &&
        !gossip_book_get(&g->sins, p->key, g->now_ms))
        return;
    struct gossip_note *note = gossip_book_put(&g->sins, p->key, g->now_ms, g->now_ms + SINS_MS);
    if (!note) return; /* 65,536 sinners within 6 h: more ids than that cost nothing anyway */
    note->value[0] = p->pruned;
    note->value[1] = p->invalid;
    note->value[2] = p->answer;
    note->value[3] = p->offence;
}

void gossip_score_crowd(struct gossip *g, uint64_t ip_group)
{
    if (ip_group == 0) return;
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < g->slot_high; i++)
        cnt += g->peer[i] && g->peer[i]->ip_group == ip_group;
    for (uint32_t i = 0; i < g->slot_high; i++) {
        if (!g->peer[i] || g->peer[i]->ip_group != ip_group) continue;
        g->peer[i]->crowd = cnt;
        gossip_score_refresh(g, g->peer[i]);
    }
}
