/* state.h - the parts of struct gossip, for the files of this folder only.
 *
 *     gossip.c  owner's calls, time      queue.c  what waits for a peer       score.c  what is thought of a peer
 *     recv.c    RPCs of peers            mesh.c   who relays to whom          want.c   IHAVE, IWANT, IDONTWANT
 *     cache.c   messages and their ids   rpc.c    bytes                       set.c    bounded memory */
#ifndef QN_NET_GOSSIP_STATE_H
#define QN_NET_GOSSIP_STATE_H

#include "net/gossip/gossip.h"
#include "net/gossip/rpc.h"
#include "net/gossip/set.h"

#define BEAT_MS          700u
#define MESH_D           8u
#define MESH_LO          6u
#define MESH_HI          12u
#define MESH_SCORE       4u /* best kept when too many */
#define MESH_OUT         3u /* dialled by us, at least: an attacker cannot make us dial */
#define GOSSIP_LAZY      6u
#define WINDOW_CNT       6u /* beats a message can be asked for */
#define WINDOW_GOSSIP    3u /* of these announced */
#define BACKOFF_S        60u
#define BACKOFF_LEAVE_S  10u
#define BACKOFF_MAX_S    3600u
#define BACKOFF_CNT      16384u
#define PX_CNT           16u   /* peers that a PRUNE names; more of others' are not read */
#define PX_RECORD_MAX    1024u /* bytes of one that we pass on */
#define FANOUT_MS        60000u
#define FLOOD_MAX        16384u /* bytes; own messages up to this go to all */
#define SEEN_MS          120000u
#define SEEN_CNT         (1u << 20)
#define OPPORTUNE_MS     60000u /* two better ones a minute */
#define OPPORTUNE_CNT    2u
#define IHAVE_RPC_MAX    10u   /* a peer and beat */
#define IHAVE_ID_MAX     5000u /* same */
#define IWANT_ID_MAX     5000u
#define IWANT_BYTES      (1u << 20) /* answered a peer and beat */
#define IWANT_ANSWERS    3u         /* an id and peer */
#define IWANT_ASKS       3u         /* peers asked for an id in 2 to 4 beats */
#define PROMISE_MS       3000u
#define PROMISE_CNT      1024u
#define DONTWANT_LEN     1024u /* bytes; smaller bodies are not worth the word */
#define DONTWANT_MSG_MAX 1000u /* a peer and beat */
#define DONTWANT_IDS     10u   /* a message */
#define DONTWANT_BEATS   3u
#define DONTWANT_PEER    2048u /* of unknown ids remembered for a peer */
#define DONTWANT_CNT     (1u << 17)
#define SUB_CNT          64u  /* subscriptions of a peer, known topics or not */
#define SUB_RPC_MAX      256u /* changes of them a beat */
#define PENDING_TOPIC    256u
#define PENDING_PEER     32u
#define PENDING_MS       60000u
#define IN_NEW           (256u << 10)
#define IN_FREE          (32u << 20)
#define IN_ALL           (128u << 20)
#define SAMPLE_MS        1000u
#define SAMPLE_CNT       4096u /* withheld at once */
#define STAGGER_LEN                                                                                \
    8192u /* bytes; longer bodies go to EAGER at once, to the others of the mesh after STAGGER_MS */
#define STAGGER_EAGER 4u
#define STAGGER_MS    250u
#define STAGGER_CNT   4096u
#define QUIET_CNT     8u /* samples in a row without one brought .. */
#define QUIET_MS                                                                                   \
    10000u /* .. and so long: silent, whatever it did before; a stall of some seconds is none */
#define SAMPLE_MESH    4u /* in smaller meshes an honest peer may have nobody else to hear from */
#define SINS_MS        (6u * 3600u * 1000u)
#define SINS_CNT       65536u
#define SLOW_MS        10000u
#define MESSAGE_CNT    65536u
#define CHUNK_CNT      64u
#define PENDING_BYTES  (32u << 20)
#define PENDING_PEER_B (4u << 20)
#define CONTROL_MAX    (256u << 10)
#define RPC_AIM        16384u /* bytes that small messages share */
#define NONE           UINT32_MAX

/* Scores at which something starts or ends: LINE_MESH, LINE_PUBLISH .. */
enum {
#define SCORE_LINE(name, points, doc) LINE_##name = points,
#include "net/gossip/score.def"
};

/* A set of peer slots. */
struct peerset {
    uint64_t w[GOSSIP_PEER_CNT / 64];
};

static inline bool peerset_has(const struct peerset *s, uint32_t i)
{
    return s->w[i / 64] >> (i % 64) & 1;
}
static inline void peerset_add(struct peerset *s, uint32_t i)
{
    s->w[i / 64] |= (uint64_t)1 << (i % 64);
}
static inline void peerset_del(struct peerset *s, uint32_t i)
{
    s->w[i / 64] &= ~((uint64_t)1 << (i % 64));
}

enum message_state {
    MESSAGE_FREE,
    MESSAGE_PENDING,  /* its verdict is awaited */
    MESSAGE_ACCEPTED, /* can be asked for */
    MESSAGE_REFUSED,  /* no body; stays so that who brings it later is judged as the first was */
    MESSAGE_IGNORED,  /* no body */
    MESSAGE_OLD       /* out of the cache, held by queues */
};

struct message {
    uint8_t id[GOSSIP_ID_LEN];
    uint8_t topic;
    uint8_t state;     /* enum message_state */
    bool own, flood;   /* flood: to all peers */
    uint32_t idx, gen; /* own slot; gen makes handles of the past miss */
    uint32_t refs;     /* from queues and samples */
    uint32_t from;     /* peer slot, NONE: own or gone */
    uint8_t *wire;     /* the RPC field that carries it */
    uint32_t wire_len, data_at, data_len;
    uint64_t beat;                /* when accepted */
    uint64_t born_ms, id_key, fp; /* fp: see cache.c */
    uint32_t next_id, next_fp;    /* chains of the indexes; next_id chains the free ones too */
    uint32_t prev, next;          /* list of pending, or of the cache, oldest first */
    struct peerset sent, has;     /* brought it whole; has it, as far as we know */
};

struct list {
    uint32_t head, tail, cnt;
};

struct ring {
    uint32_t *ref; /* message slots */
    uint32_t cap, at, cnt;
};

/* What one peer did in one topic. */
struct deed {
    uint64_t graft_ms, backoff_sent_ms; /* when it entered the mesh; when we pruned it last */
    uint32_t first;                     /* P2, 16.16 */
    struct {
        uint16_t withheld, brought;
    } minute[5];         /* P3: a ring, minute[now % 5] */
    uint32_t missed;     /* samples in a row that it did not bring */
    uint64_t brought_ms; /* the last that it did, or when it entered the mesh */
};

struct peer {
    uint32_t number, slot, next; /* next: chain of the index by number */
    uint64_t key, ip_group;
    bool outbound, explicit, speaks_12, awake, dropped;
    uint32_t subs, mesh; /* bit i: topic i */
    uint32_t px;         /* same: it was in our mesh and has named nobody since */
    uint64_t sub[SUB_CNT];
    uint32_t sub_cnt;
    struct qn_buf in; /* a frame that is not whole yet */
    uint32_t ihave_rpc, ihave_ids, iwant_ids, iwant_bytes, dontwant_msg, dontwant_ids, sub_rpc;
    uint32_t dontwant_kept; /* ids in the tally's young generation */
    uint32_t pending, pending_bytes;
    struct ring queue[GOSSIP_CLASS_CNT]; /* [GOSSIP_CONTROL] unused */
    uint64_t queued, full_ms;            /* bytes; when it began to be full, 0: is not */
    uint32_t deficit[2];                 /* bytes that BLOCK and TX may send in their turn */
    bool turn_tx;
    struct qn_buf subs_out, control_out;
    uint32_t pruned, invalid, answer, offence; /* P3b in thousandths; P4, P5, P7 in 16.16 */
    int32_t credit;
    uint32_t crowd;                  /* peers of its address */
    int64_t score, mesh_score, sins; /* sins: P4, P5 and P7 of it, what is nobody else's doing */
    struct deed *deed;               /* topic_max of them */
};

struct topic {
    char wire[GOSSIP_TOPIC_LEN + 1];
    uint32_t wire_len, bytes_max;
    enum gossip_class class;
    uint16_t weight_milli;
    bool on, unsampled;
    uint64_t hash; /* as peers' sub[] has it */
    struct peerset subs, mesh, fanout;
    uint32_t mesh_cnt, pending;
    uint64_t fanout_ms;          /* last published to while not subscribed */
    uint32_t recent, recent_old; /* accepted in this second, and the one before */
};

struct promise {
    uint64_t due_ms, key; /* of the id */
    uint32_t peer;        /* number */
};

/* A message that a peer may be sent later, if it still lacks it. In a ring, since all of a kind wait equally long. */
struct later {
    uint64_t due_ms;
    uint32_t message, peer, slot; /* peer: number */
};
struct later_ring {
    struct later *ring; /* made when first used */
    uint32_t at, cnt;
};

struct gossip {
    struct gossip_hooks hooks;
    uint8_t key[3][16]; /* SipHash: tables, chance, samples */
    char genesis[9];
    bool no_sampling;
    uint64_t now_ms, beat, beat_ms, second_ms, sweep_ms, seen_ms, opportune_ms, drawn;
    struct topic topic[GOSSIP_TOPIC_CNT];
    uint32_t topic_cnt, topic_max, topic_last;
    struct peer *peer[GOSSIP_PEER_CNT];
    uint32_t peer_cnt, slot_high, by_number[256];
    struct message *chunk[MESSAGE_CNT / CHUNK_CNT]; /* messages never move */
    uint32_t message_cap, message_free, message_cnt, *by_id, *by_fp, bucket_cnt;
    struct list pending, cache;
    size_t in_bytes; /* capacity of all peers' in */
    size_t cache_bytes, body_bytes,
        pending_bytes; /* body_bytes: all, those that only queues hold too */
    struct gossip_tally seen, dontwant, answered, asked;
    struct gossip_book backoff, sins;
    struct promise *promise;
    uint32_t promise_cnt;
    struct later_ring sample, stagger; /* withheld on trial; put off to save copies */
    void *sha;                         /* EVP_MD_CTX */
    void *sha256;
    struct qn_buf scratch;
    struct gossip_stats stats;
};

/* gossip.c */
uint64_t gossip_key(const struct gossip *g, int which, uint64_t a, const void *src, size_t len);
uint32_t gossip_draw(struct gossip *g, uint32_t below); /* 0 .. below - 1; below > 0 */
void gossip_shuffle(struct gossip *g, uint32_t *a, uint32_t n);
struct peer *gossip_peer_get(const struct gossip *g, uint32_t number);
void gossip_tell(struct gossip *g, enum gossip_event event, const struct peer *p, uint32_t topic);
struct topic *gossip_topic_find(struct gossip *g, struct qn_span wire);
static inline uint32_t topic_idx(const struct gossip *g, const struct topic *t)
{
    return (uint32_t)(t - g->topic);
}

/* cache.c */
void gossip_message_id(struct gossip *g, const struct topic *t, struct qn_span data,
                       uint8_t ret[GOSSIP_ID_LEN]);
uint64_t gossip_fp(const struct gossip *g, const struct topic *t, struct qn_span data);
struct message *gossip_find_fp(struct gossip *g, uint64_t fp, const struct topic *t,
                               struct qn_span data);
struct message *gossip_find_id(struct gossip *g, const uint8_t *id);
/* gossip_message_new makes a pending message (in the indexes and the seen set); NULL when no slot can be had. */
struct message *gossip_message_new(struct gossip *g, const struct topic *t, struct qn_span data,
                                   const uint8_t id[GOSSIP_ID_LEN], uint64_t id_key, uint64_t fp);
void gossip_message_settle(struct gossip *g, struct message *m, enum message_state state);
void gossip_message_unref(struct gossip *g, struct message *m);
void gossip_cache_beat(struct gossip *g);
void gossip_cache_forget_slot(struct gossip *g, uint32_t slot); /* a peer slot is given anew */
void gossip_cache_free(struct gossip *g);
/* gossip_seen: was the id here in the last minutes? With its key, and its message if that is still held. */
bool gossip_seen(struct gossip *g, const uint8_t *id, uint64_t *ret_key, struct message **ret);
static inline struct message *message_at(const struct gossip *g, uint32_t idx)
{
    return &g->chunk[idx / CHUNK_CNT][idx % CHUNK_CNT];
}

/* queue.c */
void gossip_queue_message(struct gossip *g, struct peer *p, struct message *m);
/* gossip_queue_control: room for more low-value control (IHAVE, IWANT, IDONTWANT) of n bytes? */
bool gossip_queue_room(const struct peer *p, size_t n);
void gossip_queue_wake(struct gossip *g, struct peer *p);
void gossip_queue_free(struct gossip *g, struct peer *p);
void gossip_queue_beat(struct gossip *g, struct peer *p);

/* score.c */
enum sin { SIN_INVALID, SIN_ANSWER, SIN_OFFENCE };
void gossip_score_sin(struct gossip *g, struct peer *p, enum sin sin);
void gossip_score_first(struct gossip *g, struct peer *p, uint32_t topic);
void gossip_score_refresh(struct gossip *g, struct peer *p);
void gossip_score_graft(struct gossip *g, struct peer *p, uint32_t topic);
void gossip_score_prune(struct gossip *g, struct peer *p, uint32_t topic); /* P3 becomes P3b */
void gossip_score_sample(struct gossip *g, struct peer *p, uint32_t topic, bool brought);
void gossip_score_second(struct gossip *g);               /* decay */
void gossip_score_load(struct gossip *g, struct peer *p); /* of one who was here before */
void gossip_score_save(struct gossip *g, const struct peer *p);
void gossip_score_crowd(struct gossip *g, uint64_t ip_group);

/* mesh.c */
void gossip_mesh_beat(struct gossip *g);
void gossip_mesh_on(struct gossip *g, struct topic *t);  /* subscribed: find a mesh */
void gossip_mesh_off(struct gossip *g, struct topic *t); /* left: PRUNE all */
void gossip_mesh_came(struct gossip *g, struct topic *t, struct peer *p); /* p subscribed */
void gossip_mesh_left(struct gossip *g, struct topic *t, struct peer *p); /* p did no more */
void gossip_mesh_grafted(struct gossip *g, struct topic *t, struct peer *p);
/* px: fields for gossip_rpc_px, cnt of them. */
void gossip_mesh_pruned(struct gossip *g, struct topic *t, struct peer *p, uint64_t backoff_s,
                        struct qn_span px, uint32_t px_cnt);
/* gossip_pick writes at most want slots of peers of set with mesh score >= MESH that are neither explicit nor in not, at random. */
uint32_t gossip_pick(struct gossip *g, const struct topic *t, const struct peerset * not,
                     bool mesh_fit, int64_t score_min, uint32_t want, uint32_t *ret);

/* want.c */
void gossip_want_ihave(struct gossip *g, struct peer *p, struct topic *t, struct qn_span fields);
void gossip_want_iwant(struct gossip *g, struct peer *p, struct qn_span fields);
void gossip_want_idontwant(struct gossip *g, struct peer *p, struct qn_span fields);
bool gossip_want_not(const struct gossip *g, const struct peer *p, const struct message *m);
void gossip_want_arrived(struct gossip *g, const uint8_t *id); /* promises kept */
void gossip_want_tell_not(struct gossip *g, struct message *m);
void gossip_want_announce(struct gossip *g, struct topic *t);
void gossip_want_beat(struct gossip *g);

/* recv.c */
void gossip_forward(struct gossip *g, struct message *m);
bool gossip_withheld(const struct gossip *g, const struct message *m, const struct peer *p);
void gossip_later_turn(struct gossip *g);
uint64_t gossip_later_due(const struct gossip *g); /* UINT64_MAX: nothing waits */

#endif
