/* load.c - what the network is asked to do: transfers, and transactions of every module. Their bodies are drawn from the records'
 * descriptions with names and ids that the chain has seen, so that a good part of them succeeds and the rest fails in every way. */
#include "tests/sim/sim.h"

#include "core/crypto/hash.h"
#include "core/node/evidence.h"
#include "core/node/registry.h"
#include "ledger/state/stake.h"
#include "modules/zkml/zkml.h"

#include <stdlib.h>
#include <string.h>

enum {
    IDS = 512,
    PAST = 16,
    SENT = 1 << 16,
    PROBER = SIM_PEOPLE - 1,
    ACTORS = 6,
    OWNERS = 6,
    KINDS_MAX = 128,
    TAG = 24,
    SPAN_MS = 60000
};

/* An id that the chain has told of: what it is of, and who made it (-1: nobody's transaction). */
struct seen {
    struct qn_hash id;
    char tag[TAG];
    int who;
};

/* A body being drawn. */
struct draft {
    struct sim_load *l;
    uint64_t *r;
    struct qn_arena *a;
    bool wild; /* any value; else sensible ones */
    int who;   /* whom its ids belong to */
};

struct sent {
    struct qn_hash id;
    uint64_t height; /* where it is final; 0: not yet */
    uint16_t kind;
    uint8_t host; /* that took it */
    uint8_t who;
    bool probe, taken;
};

struct sim_load {
    struct qn_key keys[SIM_PEOPLE];
    struct qn_hash acct[SIM_PEOPLE];
    struct seen ids[IDS];
    uint32_t id_cnt;
    struct sent *sent; /* by id, open addressing */
    uint32_t sent_cnt;
    uint64_t salt;
    const struct qn_tx_kind *kinds[KINDS_MAX];
    uint32_t kind_cnt;
    uint64_t probe_us;
    struct qn_buf past[PAST]; /* sent, to be sent again */
    uint32_t past_cnt;
    struct qn_hash stake_id; /* the last of sim_load_stake, and when */
    uint64_t stake_us;
    uint32_t probed; /* hosts whose probe is final, bits */
};

static struct sent *slot(struct sim_load *l, const struct qn_hash *id)
{
    uint64_t at;
    memcpy(&at, id->b, sizeof at);
    struct sent *s;
    while (s = &l->sent[at++ % SENT], !qn_hash_is_zero(&s->id) && !qn_hash_eq(&s->id, id))
        ;
    return s;
}

void sim_load_init(struct sim_world *w)
{
    struct sim_load *l = w->load = calloc(1, sizeof *l);
    QN_ASSERT(l != NULL);
    l->sent = calloc(SENT, sizeof *l->sent);
    QN_ASSERT(l->sent != NULL);
    for (uint32_t i = 0; i < SIM_PEOPLE; i++) {
        struct qn_hash seed = qn_h("simulated key", &i, sizeof i);
        seed.b[0] ^= (uint8_t)'p';
        qn_key_from_seed(seed.b, &l->keys[i]);
        l->acct[i] = qn_acct_key(&l->keys[i].pub);
    }
    const struct qn_tx_kind *kind;
    for (; l->kind_cnt < KINDS_MAX && (kind = qn_txkind_at(l->kind_cnt)); l->kind_cnt++)
        l->kinds[l->kind_cnt] = kind;
    QN_ASSERT(l->kind_cnt <= KINDS_MAX);
    if (w->k.tx_ms) sim_push(w, (struct sim_event){ .when.t = 500000, .what = EV_LOAD });
}

void sim_load_fini(struct sim_world *w)
{
    if (!w->load) return;
    for (unsigned i = 0; i < PAST; i++)
        qn_buf_free(&w->load->past[i]);
    free(w->load->sent);
    free(w->load);
}

/* --- drawing a body ------------------------------------------------------------------------------------------------------------- */

static const char SCRIPT[] = "function init(c, n) c:set('n', n) end\n"
                             "public.add = function(c, k) c:set('n', (c:get('n') or 0) + k); "
                             "c:emit('added', { k = k }) end\n"
                             "public.spin = function(c) while true do c:set('x', 1) end end\n";

/* Sensible values for fields by name; what is not here is drawn wild. */
static const struct {
    const char *name;
    uint64_t min, max;
} RANGES[] = {
    { "cpu_milli", 1000, 4000 },
    { "ram_mib", 256, 4096 },
    { "disk_mib", 256, 4096 },
    { "net_kbps", 100, 10000 },
    { "gpu_slots", 0, 1 },
    { "vram_mib", 0, 0 },
    { "class_min", 0, 1 },
    { "class_max", 0, 1 },
    { "machine_class", 0, 1 },
    { "regions", 0, 0 },
    { "region", 0, 1 },
    { "score", 0, 1200 },
    { "score_min", 0, 0 },
    { "iso", 1, 2 },
    { "max_rate_nqn_h", 1000000000000, 9000000000000 },
    { "rate_nqn_h", 1000000000, 900000000000 },
    { "term_ms", 0, 30000 },
    { "ttl_ms", 0, 20000 },
    { "auction_ms", 500, 5000 },
    { "start_ms", 2000, 20000 },
    { "beat_ms", 2000, 10000 },
    { "lost_ms", 5000, 20000 },
    { "grace_ms", 1000, 5000 },
    { "min_ms", 0, 100 },
    { "max_ms", 0, 0 },
    { "gpu_slot_nqn", 1, 1000000 },
    { "cpu_nqn", 1, 1000000000 },
    { "ram_gib_nqn", 1, 1000000000 },
    { "disk_gib_nqn", 1, 1000000 },
    { "net_mbit_nqn", 1, 1000000 },
    { "deposit", 1000000, 90000000 },
    { "bond", 1000000, 90000000 },
    { "lock", 10000000, 20000000 },
    { "burn_max", 1000000, 200000000 },
    { "tempo_ms", 2000, 10000 },
    { "version", 0, 0 },
    { "mech", 0, 0 },
    { "uids", 0, 4 },
    { "delay_ms", 0, 10000 },
    { "step_max", 1000, 1000000 },
    { "calls_max", 1, 1000 },
    { "rate_uqn_s", 1, 1000000 },
    { "pay", 1000000, 5000000 },
    { "reason", 0, 199 },
    { "expires_ms", SIM_EPOCH_MS + 60000, SIM_EPOCH_MS + 9000000 },
    { "not_before_ms", 0, 0 },
    { "rate_uqn_h", 0, 0 },
    { "total", 10000000, 900000000 },
    { "call_max", 1000000, 9000000 },
    { "amount", 1, 20000000 },
    { "value", 0, 1000 },
    { "cap", 0, 1000000 },
    { "spent", 0, 0 },
    { "price", 0, 1000000 },
    { "rec_bytes", 16, 800 },
    { "rec_cnt", 1, 1000 },
    { "bytes", 64, 800064 },
    { "solvers", 1, 3 },
    { "epoch", 0, 20 },
    { "seq", 1, 40 },
    { "budget", 1, 16 },
};

static const char *const WORDS[] = { "net0", "net1", "net2", "alpha", "beta", "x" };

static uint64_t number(struct draft *d, const char *name)
{
    uint64_t *r = d->r;
    for (size_t i = 0; i < QN_COUNT(RANGES); i++)
        if (strcmp(RANGES[i].name, name) == 0 && (!d->wild || sim_below(r, 8)))
            return RANGES[i].min + sim_below(r, RANGES[i].max - RANGES[i].min + 1);
    switch (sim_below(r, d->wild ? 5 : 3)) {
    case 0: return 0;
    case 1: return 1;
    case 2: return sim_below(r, 100);
    case 3: return sim_below(r, 100000);
    default: return sim_draw(r) >> (11 + sim_below(r, 53));
    }
}

/* An id for a field of that name: one of such a thing if the chain has told of any, mostly a newer one. */
static struct qn_hash draw_id(struct draft *d, const char *name)
{
    static const char *const ALIAS[][2] = {
        { "job", "train.posted" }, { "run", "train.taken" }, { "data", "data" }, { "to", "-" },
        { "payee", "-" },          { "key", "-" },           { "acct", "-" }
    };
    struct sim_load *l = d->l;
    uint32_t have = QN_MIN(l->id_cnt, (uint32_t)IDS);
    const char *want = name;
    for (size_t i = 0; i < QN_COUNT(ALIAS); i++)
        if (strcmp(ALIAS[i][0], name) == 0) want = ALIAS[i][1];
    for (uint32_t back = (uint32_t)sim_below(d->r, 8); back < have && sim_below(d->r, 20); back++) {
        const struct seen *s = &l->ids[(l->id_cnt - 1 - back) % IDS];
        if (!strstr(s->tag, want)) continue;
        if (s->who >= 0) d->who = s->who;
        return s->id;
    }
    if (want[0] == '-' || sim_below(d->r, 4)) return l->acct[sim_below(d->r, ACTORS)];
    uint64_t x = sim_below(d->r, 8);
    return qn_h("simulated id", &x, sizeof x);
}

static struct qn_span draw_text(struct qn_arena *a, uint64_t *r, const struct qn_field *f,
                                uint32_t max)
{
    const char *s = WORDS[sim_below(r, QN_COUNT(WORDS))];
    if (strcmp(f->name, "script") == 0 || strcmp(f->name, "source") == 0) s = SCRIPT;
    if (strcmp(f->name, "args") == 0) s = "[1]";
    if (strcmp(f->name, "method") == 0) s = sim_below(r, 5) ? "add" : "spin";
    if (strcmp(f->name, "url") == 0) s = "http://127.0.0.1:1";
    size_t len = QN_MIN(strlen(s), (size_t)max);
    return QN_SPAN(qn_arena_copy(a, s, len), len);
}

static void fill(struct draft *d, const struct qn_record *rec, void *obj, unsigned depth)
{
    uint64_t *r = d->r;
    struct qn_arena *a = d->a;
    for (uint32_t i = 0; i < rec->field_cnt; i++) {
        const struct qn_field *f = &rec->fields[i];
        void *p = (uint8_t *)obj + f->off;
        struct qn_vec *v = p;
        uint64_t n = number(d, f->name);
        uint32_t cnt = (uint32_t)sim_below(r, QN_MIN(f->max, 3u) + 1);
        switch (f->type) {
        case QN_T_U8: *(uint8_t *)p = (uint8_t)n; break;
        case QN_T_U16: *(uint16_t *)p = (uint16_t)n; break;
        case QN_T_U32: *(uint32_t *)p = (uint32_t)n; break;
        case QN_T_U64:
        case QN_T_I64: *(uint64_t *)p = n; break;
        case QN_T_NUM: *(uint64_t *)p = n & QN_NUM_MAX; break;
        case QN_T_AMT: ((struct qn_amount *)p)->uqn = n % QN_SUPPLY_UQN; break;
        case QN_T_BOOL: *(bool *)p = n % 2; break;
        case QN_T_ENUM: *(uint8_t *)p = (uint8_t)(n % qn_enum_cnt(f->names)); break;
        case QN_T_HASH: *(struct qn_hash *)p = draw_id(d, f->name); break;
        case QN_T_SIG:
        case QN_T_VRF: break;
        case QN_T_STR: *(struct qn_span *)p = draw_text(a, r, f, f->max); break;
        case QN_T_BYTES: {
            size_t len = QN_MIN((size_t)sim_below(r, 64), (size_t)f->max);
            uint8_t *bytes = qn_arena_alloc(a, len + 1);
            for (size_t k = 0; k < len; k++)
                bytes[k] = (uint8_t)sim_draw(r);
            *(struct qn_span *)p = QN_SPAN(bytes, len);
            break;
        }
        case QN_T_REC: /* a subnet's rules: zero stands for the standard value */
            if (d->wild || strcmp(f->name, "rules") != 0) fill(d, f->rec(), p, depth + 1);
            break;
        case QN_T_OPT_HASH:
            *(struct qn_opt_hash *)p = (struct qn_opt_hash){ n % 2, draw_id(d, f->name) };
            break;
        case QN_T_OPT_NUM:
            *(struct qn_opt_num *)p = (struct qn_opt_num){ n % 2, n & QN_NUM_MAX };
            break;
        case QN_T_OPT_REC: break;
        case QN_T_VEC_U32:
        case QN_T_VEC_NUM: {
            size_t size = f->type == QN_T_VEC_U32 ? 4 : 8;
            v->cnt = cnt;
            v->ptr = qn_arena_alloc(a, cnt * size + 1);
            for (uint32_t k = 0; k < cnt; k++) { /* rising, as lists of seats must be */
                uint64_t x = k + (n & 1);
                memcpy((uint8_t *)v->ptr + k * size, &x, size);
            }
            break;
        }
        case QN_T_VEC_HASH: {
            struct qn_hash *h = qn_arena_alloc(a, cnt * sizeof *h + 1);
            for (uint32_t k = 0; k < cnt; k++)
                h[k] = draw_id(d, f->name);
            v->cnt = cnt;
            v->ptr = h;
            break;
        }
        case QN_T_VEC_STR: break;
        case QN_T_VEC_REC:
            if (depth > 2) break;
            v->cnt = cnt;
            v->ptr = qn_arena_alloc(a, cnt * f->rec()->size + 1);
            for (uint32_t k = 0; k < cnt; k++)
                fill(d, f->rec(), (uint8_t *)v->ptr + k * f->rec()->size, depth + 1);
            break;
        }
    }
}

/* --- sending --------------------------------------------------------------------------------------------------------------------------- */

static qn_rc take(struct sim_host *h, struct qn_span tx, struct qn_hash *ret, struct qn_why *why)
{
    sim_begin(h);
    qn_rc rc = qn_replica_submit(h->r, tx, ret, why);
    sim_wake(h, h->w->now_us + h->w->k.turn_us);
    sim_end(h);
    return rc;
}

static const struct qn_tx_kind *kind_of(const struct sim_load *l, uint16_t kind)
{
    for (uint32_t k = 0; k < l->kind_cnt; k++)
        if (l->kinds[k]->kind == kind) return l->kinds[k];
    QN_BUG("no such kind of transaction");
}

/* The same transaction, to a node that may have it, that may know it as final. */
static void again(struct sim_world *w)
{
    struct sim_load *l = w->load;
    struct sim_host *h = &w->host[sim_below(&w->rng, w->host_cnt)];
    const struct qn_buf *tx = &l->past[sim_below(&w->rng, PAST)];
    struct qn_hash id;
    struct qn_why why = { "" };
    if (!h->r || tx->len == 0) return;
    w->res->struck[SIM_again]++;
    qn_rc rc = take(h, qn_buf_get(tx), &id, &why);
    if (rc == QN_OK && slot(l, &id)->height) sim_saw(w, SEEN_again);
}

static struct qn_hash submit(struct sim_world *w, struct sim_host *h, const struct qn_tx_kind *kind,
                             struct qn_span body, uint32_t person, bool probe)
{
    struct sim_load *l = w->load;
    struct qn_buf tx = { 0 };
    struct qn_hash id, got;
    struct qn_why why = { "" };
    struct qn_tx_opts opts = { .salt = ++l->salt, .span_ms = SPAN_MS };
    if (kind->kind >> 8 == 0 && strcmp(kind->name, "contract.call") == 0) opts.gas_max = 200000;
    uint64_t now = QN_MAX(sim_host_ms(h), qn_view_now_ms(qn_chain_view(qn_replica_chain(h->r))));
    qn_tx_build(&w->chain, kind->kind, body, &l->keys[person], now, &opts, &tx, &id);
    qn_rc rc = take(h, qn_buf_get(&tx), &got, &why);
    if (rc == QN_OK && !qn_hash_eq(&id, &got)) sim_wrong(w, "a transaction got another id");
    w->res->txs++;
    if (rc) sim_trace(w, "tx %s not taken: %s: %s", kind->name, qn_err_code(rc), why.text);
    if (l->sent_cnt < SENT / 2) {
        struct sent *s = slot(l, &id);
        if (qn_hash_is_zero(&s->id)) l->sent_cnt++;
        *s = (struct sent){ id, 0, kind->kind, h->idx, (uint8_t)person, probe, rc == QN_OK };
    }
    if (w->faulty && w->k.faults >> SIM_again & 1) {
        struct qn_buf *keep = &l->past[l->past_cnt++ % PAST];
        qn_buf_clear(keep);
        qn_buf_span(keep, qn_buf_get(&tx));
    }
    qn_buf_free(&tx);
    return id;
}

static void transfer(struct sim_world *w, struct sim_host *h, uint32_t from, bool probe)
{
    struct sim_load *l = w->load;
    struct qn_buf body = { 0 };
    struct ledger_send s = { .to = l->acct[sim_below(&w->rng, SIM_PEOPLE)] };
    s.amount = QN_UQN(1 + sim_below(&w->rng, 1000));
    qn_encode(ledger_send_record(), &s, &body);
    submit(w, h, &QN_CORE_TXS[0], qn_buf_get(&body), from, probe);
    qn_buf_free(&body);
}

/* No more than one at a time, and none that would stake twice: nobody may come to weigh more than he is meant to. */
void sim_load_stake(struct sim_world *w, struct sim_host *h, bool out)
{
    struct sim_load *l = w->load;
    struct qn_buf body = { 0 };
    struct qn_arena arena = { 0 };
    struct qn_validator v;
    const struct qn_hash id = qn_acct_key(&w->keys[w->leaver].pub);
    const struct qn_view *view = qn_chain_view(qn_replica_chain(h->r));
    struct validator_stake s = { .validator = id };
    const struct sent *last = slot(l, &l->stake_id);
    bool waits = l->stake_us && last->height == 0 && w->now_us < l->stake_us + 2 * SPAN_MS * 1000;
    bool in = qn_stake_get(view, &id, &arena, &v) == QN_OK &&
              qn_stake_of(view, &id, &v, &v.owner).uqn > 0;
    if (!waits && in == out) {
        if (!out) s.amount = w->bonds[w->leaver].amount;
        qn_encode(validator_stake_record(), &s, &body);
        l->stake_us = w->now_us;
        l->stake_id = submit(w, h, kind_of(l, out ? QN_TX_VALIDATOR_UNBOND : QN_TX_VALIDATOR_BOND),
                             qn_buf_get(&body), OWNERS + (uint32_t)w->leaver, false);
        w->res->struck[SIM_leave]++;
    }
    qn_buf_free(&body);
    qn_arena_free(&arena);
}

/* A model that proofs could be about: the one kind whose fields must fit each other. */
static void fit_model(struct sim_world *w, struct zkml_model_put *b)
{
    static const uint8_t SHAPE[] = { 1, 16, 0, 0, 0, 10, 0, 0, 0, 1, 1, 0 }; /* 16 x 10, s = 1 */
    struct qn_span s = QN_SPAN(SHAPE, sizeof SHAPE);
    struct zkml_shape shape;
    b->shape = s;
    b->budget = 1 + (uint32_t)sim_below(&w->rng, 16);
    b->accuracy_ppm = (uint32_t)sim_below(&w->rng, 1000000);
    QN_ASSERT(zkml_shape_get(&s, &shape));
    b->model = zkml_model_hash(&shape, b->budget, &b->root);
}

static void anything(struct sim_world *w, struct sim_host *h)
{
    _Alignas(16) uint8_t obj[4096] = { 0 };
    struct sim_load *l = w->load;
    struct qn_arena arena = { 0 };
    struct qn_buf body = { 0 };
    const struct qn_tx_kind *kind = l->kinds[sim_below(&w->rng, l->kind_cnt)];
    const struct qn_record *rec = kind->body();
    struct draft d = { l, &w->rng, &arena, sim_below(&w->rng, 4) == 0, -1 };
    QN_ASSERT(rec->size <= sizeof obj);
    fill(&d, rec, obj, 0);
    if (rec == zkml_model_put_record() && !d.wild) fit_model(w, (struct zkml_model_put *)obj);
    qn_encode(rec, obj, &body);
    uint32_t person = d.who >= 0 && sim_below(&w->rng, 4) ? (uint32_t)d.who
                                                          : (uint32_t)sim_below(&w->rng, ACTORS);
    submit(w, h, kind, qn_buf_get(&body), person, false);
    qn_buf_free(&body);
    qn_arena_free(&arena);
}

/* As a node does every few seconds; the reward goes to one of the people. */
void sim_load_accuse(struct sim_host *h)
{
    struct sim_world *w = h->w;
    uint64_t now = QN_MAX(sim_host_ms(h), qn_view_now_ms(qn_chain_view(qn_replica_chain(h->r))));
    sim_begin(h);
    if (qn_evidence_report(h->r, NULL, &w->load->keys[h->idx % ACTORS], now))
        sim_wake(h, w->now_us + w->k.turn_us);
    sim_end(h);
}

void sim_load_event(struct sim_world *w)
{
    struct sim_host *h = &w->host[sim_below(&w->rng, w->host_cnt)];
    if (!w->faulty && w->now_us >= w->load->probe_us) { /* one for everybody that owes progress */
        w->load->probe_us = w->now_us + 10000000;
        for (uint32_t i = 0; i < w->host_cnt; i++)
            if (w->host[i].r && sim_good(&w->host[i])) transfer(w, &w->host[i], PROBER, true);
    }
    bool more = !w->o.tx_max || w->res->txs < w->o.tx_max;
    if (h->r && more) {
        if (sim_below(&w->rng, 100) < w->k.modules)
            anything(w, h);
        else
            transfer(w, h, (uint32_t)sim_below(&w->rng, ACTORS), false);
    }
    if (w->k.faults >> SIM_again & 1) again(w);
    uint64_t ms = 1 + sim_below(&w->rng, 2 * w->k.tx_ms);
    sim_push(w, (struct sim_event){ .when.t = w->now_us + ms * 1000, .what = EV_LOAD });
}

/* --- what became of them ------------------------------------------------------------------------------------------------------------------ */

static void note_id(struct sim_load *l, const struct qn_hash *id, struct qn_span tag, int who)
{
    struct seen *s = &l->ids[l->id_cnt++ % IDS];
    *s = (struct seen){ .id = *id, .who = who };
    snprintf(s->tag, sizeof s->tag, "%.*s", (int)tag.len, (const char *)tag.ptr);
}

static void note_events(struct sim_load *l, const struct qn_event *e, uint32_t cnt, int who)
{
    for (uint32_t k = 0; k < cnt; k++)
        note_id(l, &e[k].id, e[k].topic, who);
}

void sim_load_final(struct sim_world *w, const struct qn_frame *f)
{
    struct sim_load *l = w->load;
    for (uint32_t i = 0; i < f->block.txs.cnt && l; i++) {
        const struct qn_receipt *r = &f->receipts.ptr[i];
        struct qn_hash id = qn_tx_id(&f->block.txs.ptr[i]);
        struct sent *s = slot(l, &id);
        if (!qn_hash_eq(&r->tx, &id)) sim_wrong(w, "a receipt is of another transaction");
        if (qn_hash_eq(&s->id, &id)) {
            if (s->height)
                sim_wrong(w, "a transaction is final in block %" PRIu64 " and again in %" PRIu64,
                          s->height, f->block.header.height);
            s->height = f->block.header.height;
            if (s->probe) l->probed |= 1u << s->host;
        }
        if (r->rc == QN_OK) {
            w->res->txs_ok++;
            uint16_t kind = f->block.txs.ptr[i].kind;
            w->res->kinds_ok[(kind >> 8) % 8]++;
            if (kind == QN_TX_EVIDENCE || kind == QN_TX_EVIDENCE_TWINS) sim_saw(w, SEEN_slashed);
        }
        if (r->rc)
            sim_trace(w, "tx %u refused: %.*s: %.*s", f->block.txs.ptr[i].kind, (int)r->code.len,
                      (const char *)r->code.ptr, (int)r->why.len, (const char *)r->why.ptr);
        int who = qn_hash_eq(&s->id, &id) ? s->who : -1;
        note_events(l, r->events.ptr, r->events.cnt, who);
        for (uint32_t k = 0; k < l->kind_cnt && r->rc == QN_OK; k++)
            if (l->kinds[k]->kind == f->block.txs.ptr[i].kind)
                note_id(l, &id, QN_SPAN_STR(l->kinds[k]->name), who);
    }
    if (l) note_events(l, f->events.ptr, f->events.cnt, -1);
}

bool sim_load_settled(struct sim_world *w)
{
    uint32_t owed = 0;
    for (uint32_t i = 0; i < w->host_cnt && w->k.tx_ms; i++)
        if (sim_good(&w->host[i])) owed |= 1u << i;
    return (w->load->probed & owed) == owed;
}

void sim_load_look(struct sim_host *h)
{
    struct sim_world *w = h->w;
    struct qn_chain *c = qn_replica_chain(h->r);
    uint64_t first = qn_chain_first(c), height = 0, free_us = h->free_us;
    const struct sent *s = NULL;
    /* Another one each time, by no dice of the world's. */
    for (uint64_t i = 0, at = w->now_us / 1000 * 7919; i < 64 && (!s || s->height == 0); i++)
        s = &w->load->sent[(at + i) % SENT];
    if (s->height < first || s->height > h->height) return;
    if (w->o.bug == SIM_BUG_no_ids) return; /* it must be found by what it does */
    sim_begin(h);
    bool found = false, old = !qn_chain_holds(c, &w->final[h->height], &s->id);
    for (unsigned i = 0; i < 3 && !found && !h->disk.dead; i++) /* a read may fail, once */
        found = qn_chain_tx(c, &s->id, &height);
    sim_end(h);
    h->free_us = free_us; /* a look of ours takes no time */
    if (found && old) sim_saw(w, SEEN_old_tx);
    if (!h->r || h->disk.rotten_rows || h->disk.rotten_journal) return; /* it lost power over it */
    if (!found || height != s->height)
        sim_wrong(w, "host %d finds a transaction of block %" PRIu64 " in block %" PRIu64, h->idx,
                  s->height, height);
}
