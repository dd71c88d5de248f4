/* sim.h - a network in one thread: N whole nodes (ledger/sync's replica with its chain, journal, checkpoint, pool, consensus and the
 * transactions of every module) in virtual time, from one seed.
 *
 * The seed first draws WHICH faults exist in its world, how often, how many nodes there are and what they are asked to do (swarm testing:
 * Groce et al., ISSTA 2012): a world with all faults at once finds less than many worlds with few. Faults come first; then they stop, and
 * the network must go on within bounded virtual time. After every event the checks of checks.c hold, or the seed is printed with the
 * command that replays it. Everything is drawn from the seed: a run is the same on every machine. */
#ifndef QN_TESTS_SIM_SIM_H
#define QN_TESTS_SIM_SIM_H

#include "ledger/bft/bft.h"
#include "ledger/sync/replica.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    SIM_HOSTS = 16,      /* replicas, twins and followers included */
    SIM_PEOPLE = 20,     /* accounts with coins */
    SIM_HEIGHTS = 65536, /* of one run */
    SIM_VIEWS = 8192,    /* whose votes are remembered a signer */
    SIM_SECTOR = 512,    /* bytes that a disk writes at once */
};
#define SIM_EPOCH_MS UINT64_C(1700000000000) /* the genesis' time; worlds begin a second later */

/* --- what a seed draws (faults.c) ------------------------------------------------------------------------------------ */

/* FAULT(word, what it is): a line here is a bit, a --without word and a line of the report. */
#define SIM_FAULTS                                                                                 \
    FAULT(loss, "messages are lost")                                                               \
    FAULT(copies, "messages arrive twice")                                                         \
    FAULT(reorder, "messages overtake each other, some come seconds late")                         \
    FAULT(split, "the network falls in two parts")                                                 \
    FAULT(oneway, "links carry one way only")                                                      \
    FAULT(flap, "links go and come by the second")                                                 \
    FAULT(kill, "processes die between two events")                                                \
    FAULT(power, "machines lose power within a disk write: any subset of its sectors, one torn")   \
    FAULT(outage, "all machines lose power at once")                                               \
    FAULT(full, "disks are full for a while")                                                      \
    FAULT(slowdisk, "a write takes up to seconds")                                                 \
    FAULT(eio, "a write fails once")                                                               \
    FAULT(skew, "clocks are some 100 ms apart, and drift")                                         \
    FAULT(badclock, "a traitor's share of clocks steps by seconds")                                \
    FAULT(silent, "traitors say nothing")                                                          \
    FAULT(twins, "traitors run one key on two machines")                                           \
    FAULT(censor, "traitors pass on no votes and no transactions of others")                       \
    FAULT(garbage, "traitors send bytes of no meaning, and old messages again")                    \
    FAULT(forge, "traitors say other things to each peer")                                         \
    FAULT(lostsync, "a traitor's share of disks forget what they said was written")                \
    FAULT(restored, "a traitor's share of machines come back from an old backup")                  \
    FAULT(wiped, "a traitor's share of machines come back empty")

enum sim_fault {
#define FAULT(word, doc) SIM_##word,
    SIM_FAULTS
#undef FAULT
        SIM_FAULT_COUNT
};

const char *sim_fault_word(enum sim_fault f);
const char *sim_fault_doc(enum sim_fault f);

/* Bugs that --bug plants: the machine's own (enum qn_bft_bug), then these, which sit in the simulator's disk and in functions that only
 * this program's linking replaces (bugs.c): no node can have them. */
#define SIM_BUGS                                                                                   \
    BUG(no_sync, "a write is not on the disk when it returns: votes leave, blocks are told of")    \
    BUG(no_dir_sync, "a new file's name is not synced")                                            \
    BUG(no_undo, "a block that loses stays executed")                                              \
    BUG(no_body, "a vote is journalled without the block it stands on")                            \
    BUG(no_verify, "signatures are not looked at")                                                 \
    BUG(blind_cert, "certificates are not weighed")                                                \
    BUG(clock_apply, "execution reads the machine's clock")                                        \
    BUG(no_crc, "a frame's checksum is not looked at")                                             \
    BUG(no_mark, "a checkpoint forgets the rows that were deleted")

enum sim_bug {
    SIM_BUG_BASE = 100,
#define BUG(word, doc) SIM_BUG_##word,
    SIM_BUGS
#undef BUG
        SIM_BUG_END
};
const char *sim_bug_word(int bug);
int sim_bug_find(const char *word); /* 0: none of that name */

struct sim_knobs {
    uint32_t nodes, followers; /* validators; and hosts without a key */
    uint32_t faults_ms;        /* virtual time with faults */
    uint32_t faults;           /* bits by enum sim_fault */
    uint32_t delay_us, jitter_us, bytes_us;
    uint32_t loss_ppm, copy_ppm, late_ppm;
    uint32_t split_ms, kill_ms, power_ops, disk_us, turn_us;
    uint32_t tx_ms;   /* a transaction this often; 0: none */
    uint32_t modules; /* of 100 transactions, how many are not plain transfers */
    uint32_t traitors;
    uint32_t block_ms, epoch_ms;
    bool stake;     /* validators have bonds, and lose them */
    bool real_keys; /* Ed25519 instead of keyed hashes */
};

struct sim_opts {
    uint64_t seed;
    uint32_t nodes, minutes, epoch_ms; /* 0: as drawn */
    uint32_t without;                  /* faults left out, bits */
    uint32_t tx_max;                   /* transactions at most; 0: no limit */
    uint64_t until;                    /* stop after this event; 0: at the end */
    int bug;                           /* enum qn_bft_bug or sim_bug */
    bool trace, stats;
};

struct sim_result {
    char wrong[400]; /* empty: nothing */
    uint64_t event, virtual_ms, height, txs, txs_ok, crashes, messages, refused;
    uint64_t digest; /* of all that happened: equal for equal seeds */
    uint32_t faults;
    uint64_t kinds_ok[8]; /* final successful transactions by module tag */
};

/* --- disk (disk.c) ------------------------------------------------------------------------------------------------------- */

struct sim_file;
struct sim_disk {
    struct qn_disk ops; /* ops.self is this */
    struct sim_host *host;
    struct sim_file *files;
    uint32_t handles;
    uint64_t ops_cnt, power_at; /* the op that the power fails in; 0: none */
    uint64_t fail_at;           /* the op that fails with EIO; 0: none */
    bool dead, full, lying, lazy_names;
};

void sim_disk_init(struct sim_disk *d, struct sim_host *host);
void sim_disk_fini(struct sim_disk *d);
/* sim_disk_crash lets power go: what was not on the disk is lost, sector by sector, as rng has it. */
void sim_disk_crash(struct sim_disk *d, uint64_t *rng);
void sim_disk_settle(struct sim_disk *d); /* what was written is on the disk now */
void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from);
void sim_disk_wipe(struct sim_disk *d);
uint64_t sim_disk_bytes(const struct sim_disk *d);

/* --- the world (world.c) ----------------------------------------------------------------------------------------------------- */

struct sim_msg {
    uint32_t refs, len;
    uint8_t class, from;
    bool cast;
    uint32_t seen, sent; /* hosts that have it; that will get it */
    uint8_t bytes[];
};

enum sim_what { EV_DELIVER, EV_WAKE, EV_BOOT, EV_PEER, EV_FAULT, EV_LOAD, EV_CHECK };

struct sim_event {
    uint64_t t_us, tie;
    uint8_t what, host, from, fault;
    uint32_t life;
    struct sim_msg *msg;
};

enum sim_trait {
    TRAIT_SILENT = 1,
    TRAIT_TWIN = 2,
    TRAIT_CENSOR = 4,
    TRAIT_GARBAGE = 8,
    TRAIT_FORGE = 16,
    TRAIT_BADDISK = 32,
    TRAIT_RESTORED = 64,
    TRAIT_WIPED = 128,
    TRAIT_BADCLOCK = 256,
};
/* An honest key may be seen to sign against itself when its machine forgot what it said. */
#define TRAIT_FORGETS (TRAIT_BADDISK | TRAIT_RESTORED | TRAIT_WIPED)
#define TRAIT_LIES    (TRAIT_TWIN | TRAIT_CENSOR | TRAIT_GARBAGE | TRAIT_FORGE)

struct sim_host {
    struct sim_world *w;
    uint8_t idx;
    int validator; /* number of its key; -1: follows */
    uint32_t traits;
    struct qn_replica *r; /* NULL: down */
    uint32_t life;
    struct sim_disk disk;
    struct sim_disk backup; /* of its disk, once taken */
    bool has_backup;
    struct qn_env env;
    int64_t clock_ms; /* off the world's */
    int32_t drift_ppm;
    uint64_t booted_us, free_us, busy_us, wake_us;
    uint64_t height, acked; /* last final block heard of; the most ever */
    uint32_t deaf;          /* hosts that a twin does not talk to, bits */
    uint64_t rng;
    uint32_t alarm; /* boots refused in a row */
    bool in_call, forgot;
};

struct sim_link {
    uint64_t last_us; /* arrival of the last message: links keep order */
    uint32_t delay_us;
    bool cut, up; /* carries nothing; both know of each other */
};

struct sim_signed; /* votes of one signer (checks.c) */
struct sim_load;   /* workload (load.c) */

struct sim_world {
    struct sim_knobs k;
    struct sim_opts o;
    struct sim_result *res;
    uint64_t rng, now_us, tie, events;
    struct sim_event *heap;
    size_t heap_cnt, heap_cap;
    struct sim_host host[SIM_HOSTS];
    uint32_t host_cnt, need_traitors;
    struct sim_link link[SIM_HOSTS][SIM_HOSTS];
    struct qn_key keys[SIM_HOSTS];
    struct qn_genesis genesis;
    struct qn_grant grants[SIM_PEOPLE];
    struct qn_genesis_bond bonds[SIM_HOSTS];
    struct qn_hash set[SIM_HOSTS], chain;
    const struct qn_exec_module *modules;
    size_t module_cnt;
    bool faulty; /* faults go on */
    uint64_t calm_us, goal;
    uint64_t memory; /* of the process before */
    struct sim_signed *signed_by;
    struct sim_load *load;
    struct qn_hash *final, *receipts, *roots; /* by height */
    uint64_t *t_ms;
    uint64_t height;
    struct sim_msg *old[64]; /* what garbage traitors repeat */
    uint32_t old_cnt;
};

uint64_t sim_draw(uint64_t *rng);
bool sim_chance(uint64_t *rng, uint32_t ppm);
uint64_t sim_below(uint64_t *rng, uint64_t n); /* 0 when n is 0 */

void sim_push(struct sim_world *w, struct sim_event e);
void sim_wrong(struct sim_world *w, const char *fmt, ...) QN_PRINTF(2, 3);
void sim_trace(struct sim_world *w, const char *fmt, ...) QN_PRINTF(2, 3);

/* sim_crash ends a host at once and starts it again later; by power when its disk is dead, else as kill -9 does. */
void sim_crash(struct sim_world *w, struct sim_host *h, uint64_t down_ms);
bool sim_honest(const struct sim_host *h); /* the checks hold for it */
bool sim_good(const struct sim_host *h);   /* and progress is owed to it */
/* sim_begin and _end bracket what a host does: time passes in it while its disk works. */
void sim_begin(struct sim_host *h);
void sim_end(struct sim_host *h);
void sim_wake(struct sim_host *h, uint64_t t_us);
int sim_signer(struct sim_host *h); /* its number in the set that votes now, as it knows it; -1 */
uint64_t sim_host_ms(const struct sim_host *h); /* its wall clock */
void sim_run(const struct sim_opts *o, struct sim_result *ret);
void sim_knobs_print(const struct sim_knobs *k, FILE *to);

/* --- net.c ------------------------------------------------------------------------------------------------------------------- */
void sim_net_init(struct sim_world *w);
void sim_net_say(struct sim_world *w, int from, int to, bool cast, uint8_t class,
                 struct qn_span bytes);
void sim_net_deliver(struct sim_world *w, struct sim_event *e);
void sim_net_cut(struct sim_world *w, int a, int b, bool cut); /* one way */
void sim_net_heal(struct sim_world *w);
void sim_net_up(struct sim_world *w, int host);
void sim_net_down(struct sim_world *w, int host);
void sim_net_peer(struct sim_world *w, const struct sim_event *e);
void sim_msg_free(struct sim_msg *m);

/* --- faults.c ---------------------------------------------------------------------------------------------------------------- */
void sim_knobs_draw(const struct sim_opts *o, struct sim_knobs *ret);
void sim_faults_init(struct sim_world *w);
void sim_faults_event(struct sim_world *w, const struct sim_event *e);
void sim_faults_stop(struct sim_world *w);
/* sim_traitor_hears lets a forger act on what came. */
void sim_traitor_hears(struct sim_world *w, struct sim_host *h, const struct sim_msg *m);

/* --- load.c ------------------------------------------------------------------------------------------------------------------- */
void sim_load_init(struct sim_world *w);
void sim_load_fini(struct sim_world *w);
void sim_load_event(struct sim_world *w);
void sim_load_final(struct sim_world *w, const struct qn_frame *f);
bool sim_load_settled(
    struct sim_world *w); /* what was asked for since the faults stopped is final everywhere */

/* --- checks.c ----------------------------------------------------------------------------------------------------------------- */
void sim_checks_init(struct sim_world *w);
void sim_checks_fini(struct sim_world *w);
void sim_check_said(struct sim_world *w, struct sim_host *h, struct qn_span message);
void sim_check_block(struct sim_host *h, const struct qn_frame *f, const struct qn_hash *hash);
void sim_check_boot(struct sim_host *h);
void sim_check_host(struct sim_host *h); /* after each turn of it */
void sim_check_slow(struct sim_world *w);
bool sim_check_goal(struct sim_world *w);
void sim_check_end(struct sim_world *w);

/* --- bugs.c, shrink.c ----------------------------------------------------------------------------------------------------------- */
/* sim_now is whose code runs: the linker's replacements know no other way to ask. NULL: nobody's. */
void sim_bugs_enter(struct sim_host *h);
void sim_bugs_arm(int bug, bool real_keys);
/* sim_shrink looks for fewer faults, nodes and transactions that fail still, and says which command shows it. */
void sim_shrink(const struct sim_opts *o, const struct sim_result *seen);
/* sim_child runs one world in a process of its own: a failed assertion is a finding like others. */
bool sim_child(const struct sim_opts *o, struct sim_result *ret);
void sim_command(const struct sim_opts *o, char *dst, size_t size);

#endif
