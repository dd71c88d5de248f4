/* sim.h - a network in one thread: N whole nodes (ledger/sync's replica with its chain, journal, checkpoint, pool, consensus and the
 * transactions of every module) in virtual time, from one seed.
 *
 * The seed first draws WHICH faults exist in its world, how often, how many nodes there are and what they are asked to do (swarm testing:
 * Groce et al., ISSTA 2012): a world with all faults at once finds less than many worlds with few. Faults come first; then they stop, and
 * the network must go on within bounded virtual time. After every event the checks of checks.c hold, or the seed is printed with the
 * command that replays it. Everything is drawn from the seed: a run is the same on every machine. */
#ifndef QN_TESTS_SIM_SIM_H
#define QN_TESTS_SIM_SIM_H

#include "core/base/heap.h"
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
    FAULT(wiped, "a traitor's share of machines come back empty")                                  \
    FAULT(step, "clocks step by some 100 ms")                                                      \
    FAULT(fork, "traitors who lead make two blocks, hide them, or build where nobody may")         \
    FAULT(flood, "traitors send more than anybody can use")                                        \
    FAULT(rearm,                                                                                   \
          "a traitor's share of machines are restored or empty, and sign again once rearmed")      \
    FAULT(rot, "a traitor's share of disks rot, or read another place than was asked for")         \
    FAULT(mapfull, "the map of rows is full for a while")                                          \
    FAULT(snapshot, "snapshots are made of running nodes, and lied about")                         \
    FAULT(minutes, "links keep what they carry for up to two minutes")                             \
    FAULT(late, "traitors say everything seconds late")                                            \
    FAULT(newer, "traitors speak another version: more fields, other kinds, other blocks")         \
    FAULT(grind, "traitors who lead look for a beacon that suits them")                            \
    FAULT(again, "clients send a transaction to several nodes, and again when it is final")        \
    FAULT(leave, "a validator's owner takes its stake out, and puts it in again")                  \
    FAULT(join, "a host comes in the middle of it, from a snapshot or with nothing, and again")    \
    FAULT(light, "light clients ask for proofs, and are lied to")

/* Faults from this one on are drawn apart: worlds without them stay what they were. */
#define SIM_LATER SIM_minutes

enum sim_fault {
#define FAULT(word, doc) SIM_##word,
    SIM_FAULTS
#undef FAULT
        SIM_FAULT_COUNT
};

#define SIM_BIT(fault) (UINT64_C(1) << (fault)) /* in a set of faults */

/* words.c: what the lists here call their entries, in their order. */
struct sim_word {
    const char *word, *doc;
};
extern const struct sim_word SIM_FAULT_WORDS[SIM_FAULT_COUNT];

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
    BUG(no_mark, "a checkpoint forgets the rows that were deleted")                                \
    BUG(no_rearm, "a validator that was restored signs at once")                                   \
    BUG(no_ids, "a transaction that is final is not known again")                                  \
    BUG(no_vrf, "a beacon's proof is not looked at")                                               \
    BUG(blind_rows, "a light client does not hold rows against the root")

enum sim_bug {
    SIM_BUG_BASE = 100,
#define BUG(word, doc) SIM_BUG_##word,
    SIM_BUGS
#undef BUG
        SIM_BUG_END
};
const struct sim_word *sim_bug(int bug);
int sim_bug_next(int bug);          /* begins with 0, ends with 0 */
int sim_bug_find(const char *word); /* 0: none of that name */

/* What must happen somewhere in some hundred seeds, or a branch that matters is never tried: SEEN(word, what it is). */
#define SIM_SEEN                                                                                   \
    SEEN(first_nothing, "a view's time ran out")                                                   \
    SEEN(extra_block, "EXTRA for a block")                                                         \
    SEEN(extra_nothing, "EXTRA for nothing")                                                       \
    SEEN(cert_nothing, "a view ended as nothing")                                                  \
    SEEN(final_fast, "a block final after two delays")                                             \
    SEEN(final_slow, "a block final after three")                                                  \
    SEEN(final_below, "a block final by one above it")                                             \
    SEEN(epoch, "an epoch ended")                                                                  \
    SEEN(epoch_fillers, "an epoch ended by a filler's certificate")                                \
    SEEN(epoch_down, "an epoch ended while a host was down")                                       \
    SEEN(epoch_lossy, "an epoch ended while messages were lost or cut off")                        \
    SEEN(epoch_behind, "a host started an epoch behind")                                           \
    SEEN(new_weights, "an epoch began with other validators or weights")                           \
    SEEN(votes_twice, "two votes of a key that exclude each other were seen")                      \
    SEEN(twin_blocks, "two blocks of a view were seen")                                            \
    SEEN(slashed, "evidence was taken: the key is barred")                                         \
    SEEN(wanted, "a block or certificate was asked for by its hash or view")                       \
    SEEN(synced, "blocks came from a peer")                                                        \
    SEEN(pledged, "a start found votes in the journal that no block had settled")                  \
    SEEN(torn_journal, "power failed within a write to the journal")                               \
    SEEN(torn_rows, "power failed within a checkpoint")                                            \
    SEEN(enospc_journal, "the disk was full for the journal")                                      \
    SEEN(enospc_rows, "the disk was full for a checkpoint")                                        \
    SEEN(segment, "a journal began another segment")                                               \
    SEEN(due, "a deadline or a block's end told of something")                                     \
    SEEN(forked, "a traitor's block where none may be")                                            \
    SEEN(hidden, "a traitor's block that not all got")                                             \
    SEEN(restored, "a machine came back from a backup")                                            \
    SEEN(rearmed, "a restored validator signs again")                                              \
    SEEN(snapped, "a machine began from a snapshot")                                               \
    SEEN(lie_refused, "a changed snapshot was refused")                                            \
    SEEN(rot_start, "rot was found by a start")                                                    \
    SEEN(rot_rows, "rot of the rows was found, and they were made again from the journal")         \
    SEEN(rot_read, "rot was found by a read")                                                      \
    SEEN(old_tx, "a transaction older than the window was found where it is")                      \
    SEEN(newer_block, "a traitor's block of another version")                                      \
    SEEN(ground, "a traitor's block with a beacon of its choice")                                  \
    SEEN(again, "a transaction that is final was sent again")                                      \
    SEEN(left, "an epoch began without a validator whose stake was taken out")                     \
    SEEN(came_back, "an epoch began with one whose stake is in again")                             \
    SEEN(joined, "a host came in the middle of it")                                                \
    SEEN(light_step, "a light client followed to other validators")                                \
    SEEN(light_lie, "a changed or forged proof was refused")                                       \
    SEEN(alone, "a network of one")                                                                \
    SEEN(real_keys, "Ed25519 instead of keyed hashes")

enum sim_seen {
#define SEEN(word, doc) SEEN_##word,
    SIM_SEEN
#undef SEEN
        SEEN_COUNT
};
extern const struct sim_word SIM_SEEN_WORDS[SEEN_COUNT];

struct sim_knobs {
    uint32_t nodes, followers; /* validators; and hosts without a key */
    uint32_t faults_ms;        /* virtual time with faults */
    uint64_t faults;           /* bits by enum sim_fault */
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
    uint64_t with, without;            /* faults added, left out, bits */
    uint32_t tx_max;                   /* transactions at most; 0: no limit */
    uint64_t until;                    /* stop after this event; 0: at the end */
    int bug;                           /* enum qn_bft_bug or sim_bug */
    bool trace, stats;
};

struct sim_result {
    char wrong[400]; /* empty: nothing */
    uint64_t event, virtual_ms, height, txs, txs_ok, messages, refused;
    uint64_t digest;      /* of all that happened: equal for equal seeds */
    struct qn_hash roots; /* of every block, its receipts and the state after it */
    uint64_t faults;
    uint64_t kinds_ok[8]; /* final successful transactions by module tag */
    uint64_t kills, stops,
        cuts;             /* processes killed, stopped by their owner; machines that lost power */
    uint64_t boots, torn; /* starts; writes that the power failed in */
    uint64_t struck[SIM_FAULT_COUNT]; /* how often each fault was there */
    uint64_t seen[SEEN_COUNT];
    uint64_t memory; /* bytes that one host held at most */
};

/* --- disk (disk.c) ------------------------------------------------------------------------------------------------------- */

struct undo;
struct sim_file {
    struct sim_file *next;
    char path[128];
    uint8_t *data;
    size_t len, cap;
    bool named; /* its name is on the disk */
    struct undo *undo;
};

struct sim_disk {
    struct qn_disk ops; /* ops.self is this */
    struct sim_host *host;
    struct sim_file *files;
    uint32_t handles;
    uint64_t ops_cnt, power_at; /* the op that the power fails in; 0: none */
    uint64_t fail_at;           /* the op that fails with EIO; 0: none */
    bool dead, full, lying;
    bool rotten_rows, rotten_journal; /* sim_disk_rot has been here */
    uint32_t astray_ppm;              /* reads that answer another sector */
};

void sim_disk_init(struct sim_disk *d, struct sim_host *host);
void sim_disk_fini(struct sim_disk *d);
/* sim_disk_crash lets power go: what was not on the disk is lost, sector by sector, as rng has it. */
void sim_disk_crash(struct sim_disk *d, uint64_t *rng);
void sim_disk_settle(struct sim_disk *d); /* what was written is on the disk now */
/* sim_disk_rot changes something of what lies on the disk, but not the journal's last frames: losing these looks as a torn write does.
 * False: there is nothing to change. */
bool sim_disk_rot(struct sim_disk *d, uint64_t *rng, bool rows);
void sim_disk_remove(struct sim_disk *d, const char *end); /* the file whose path ends so */
void sim_disk_put(struct sim_disk *d, const char *path, struct qn_span bytes); /* a whole one */
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
    struct heap_when when; /* t in us */
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
    TRAIT_FORK = 512,
    TRAIT_FLOOD = 1024,
    TRAIT_REARM =
        2048, /* is honest: when it comes back without its votes it keeps silent until it is rearmed */
    TRAIT_ROT = 4096, /* likewise */
    TRAIT_LATE = 8192,
    TRAIT_NEWER = 16384,
    TRAIT_GRIND = 32768,
};
/* An honest key may be seen to sign against itself when its machine forgot what it said. */
#define TRAIT_FORGETS (TRAIT_BADDISK | TRAIT_RESTORED | TRAIT_WIPED)
#define TRAIT_LIES                                                                                 \
    (TRAIT_TWIN | TRAIT_CENSOR | TRAIT_GARBAGE | TRAIT_FORGE | TRAIT_FORK | TRAIT_FLOOD |          \
     TRAIT_NEWER | TRAIT_GRIND)

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
    bool unarmed;         /* restored: it follows until a final block is late enough */
    uint64_t restored_ms; /* its clock then */
    bool map_full;
    int64_t memory;       /* bytes that its code holds */
    uint64_t forked_view; /* a traitor's: of its last own block; */
    bool hush;            /* whose FIRST it does not tell all */
    bool joins;           /* comes when fault `join` lets it */
};

struct sim_link {
    uint64_t last_us;           /* arrival of the last message: links keep order */
    uint32_t delay_us, slow_us; /* always; while fault `minutes` has it */
    bool cut, up;               /* carries nothing; both know of each other */
};

struct sim_signed; /* votes of one signer (checks.c) */
struct sim_load;   /* workload (load.c) */
struct sim_light;  /* a light client (light.c) */

struct sim_world {
    struct sim_knobs k;
    struct sim_opts o;
    struct sim_result *res;
    uint64_t rng, now_us, tie, events;
    struct heap heap; /* of struct sim_event */
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
    struct sim_signed *signed_by;
    struct sim_load *load;
    struct qn_hash *final, *receipts, *roots; /* by height */
    uint64_t *t_ms, *views;
    uint64_t height;
    uint32_t epoch_of_head;
    struct qn_set voters;          /* of the highest block's child */
    struct qn_hash beacon;         /* of the highest block */
    struct sim_light *light;       /* who asks for proofs (light.c) */
    int leaver;                    /* the validator of fault `leave` */
    struct sim_snapshot *snapshot; /* the last that was made (operator.c) */
    struct sim_msg *secret;        /* a traitor's block that nobody was shown */
    struct qn_hash secret_hash;
    uint64_t secret_view;
    struct sim_msg *old[64]; /* what garbage traitors repeat */
    uint32_t old_cnt;
};

uint64_t sim_draw(uint64_t *rng);
bool sim_chance(uint64_t *rng, uint32_t ppm);
uint64_t sim_below(uint64_t *rng, uint64_t n); /* 0 when n is 0 */
/* sim_flip changes one bit of len bytes. Of what is drawn in one expression the order is the compiler's; here it is the byte, then the bit. */
void sim_flip(uint64_t *rng, uint8_t *bytes, size_t len);

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
void sim_boot_later(struct sim_world *w, struct sim_host *h, uint64_t ms);
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

/* --- traitor.c --------------------------------------------------------------------------------------------------------------- */
/* sim_traitor_hears lets a forger act on what came; sim_traitor_leads lets one say something else than its own block m: true when it did. */
void sim_traitor_hears(struct sim_world *w, struct sim_host *h, const struct sim_msg *m);
bool sim_traitor_leads(struct sim_world *w, struct sim_host *h, struct qn_span m);
/* sim_traitor_newer changes what a host of another version says: *m is then in *buf. */
void sim_traitor_newer(struct sim_host *h, struct qn_span *m, struct qn_buf *buf);
void sim_traitor_garbage(struct sim_world *w, struct sim_host *h);
void sim_traitor_floods(struct sim_world *w, struct sim_host *h);

/* --- operator.c: what people do to machines --------------------------------------------------------------------------------------- */
struct sim_snapshot;
/* sim_restore gives a machine that is down another disk: an old backup's, a snapshot's or none; its validator is silent until
 * sim_rearm, asked after each turn, says that it may sign. */
void sim_restore(struct sim_world *w, struct sim_host *h);
/* sim_join lets a host come: from the last snapshot, if there is one that it would take, else with nothing. */
void sim_join(struct sim_world *w, struct sim_host *h);
bool sim_rearm(struct sim_host *h);
/* sim_heal does what the words of a start that failed ask for; false: they ask for nothing. */
bool sim_heal(struct sim_world *w, struct sim_host *h, qn_rc rc, const struct qn_why *why);
/* sim_snapshot_take makes one of a running host, and a changed one, which must be refused. */
void sim_snapshot_take(struct sim_world *w, struct sim_host *h);
void sim_snapshot_free(struct sim_snapshot *s);

/* --- load.c ------------------------------------------------------------------------------------------------------------------- */
void sim_load_init(struct sim_world *w);
void sim_load_fini(struct sim_world *w);
void sim_load_event(struct sim_world *w);
void sim_load_final(struct sim_world *w, const struct qn_frame *f);
void sim_load_accuse(struct sim_host *h); /* what it saw traitors do becomes transactions */
void sim_load_look(struct sim_host *h);   /* it must know where what became final long ago is */
bool sim_load_settled(
    struct sim_world *w); /* what was asked for since the faults stopped is final everywhere */

/* sim_load_stake asks, as its owner, for all stake of the validator who leaves, or puts what it began with in again. */
void sim_load_stake(struct sim_world *w, struct sim_host *h, bool out);

/* --- light.c ------------------------------------------------------------------------------------------------------------------ */
/* sim_light_asks lets the world's light client ask a host for its head and some rows: it believes what is true, and nothing else. */
void sim_light_asks(struct sim_world *w, struct sim_host *h);
void sim_light_free(struct sim_light *l);

/* --- checks.c ----------------------------------------------------------------------------------------------------------------- */
void sim_checks_init(struct sim_world *w);
void sim_checks_fini(struct sim_world *w);
void sim_check_said(struct sim_world *w, struct sim_host *h, struct qn_span message);
void sim_saw(struct sim_world *w, enum sim_seen what);
void sim_check_block(struct sim_host *h, const struct qn_frame *f, const struct qn_hash *hash);
void sim_check_boot(struct sim_host *h);
void sim_check_host(struct sim_host *h); /* after each turn of it */
void sim_check_slow(struct sim_world *w);
bool sim_check_goal(struct sim_world *w);
void sim_check_end(struct sim_world *w);

/* --- bugs.c, shrink.c ----------------------------------------------------------------------------------------------------------- */
/* sim_now is whose code runs: the linker's replacements know no other way to ask. NULL: nobody's. */
void sim_bugs_enter(struct sim_host *h);
/* What is allocated between sim_bugs_enter of a host and of NULL is the host's memory; not so between sim_quiet(true) and (false). */
void sim_quiet(bool quiet);
void sim_bugs_arm(int bug, bool real_keys);
/* sim_beacon_good is qn_beacon_check by code that no bug is planted in. */
bool sim_beacon_good(const struct sim_world *w, const struct qn_header *h);
/* sim_shrink looks for fewer faults, nodes and transactions that fail still, and says which command shows it. */
void sim_shrink(const struct sim_opts *o, const struct sim_result *seen);
/* sim_child runs one world in a process of its own: a failed assertion is a finding like others. */
bool sim_child(const struct sim_opts *o, struct sim_result *ret);
void sim_command(const struct sim_opts *o, char *dst, size_t size);

#endif
