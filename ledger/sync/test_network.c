/* test_network.c - four whole replicas in one process, over a queue: transfers, one that dies and comes back, one that begins late. The
 * simulator (tests/sim) goes further; this is the smallest network that shows the parts fit. */
#include "ledger/bft/beacon.h"
#include "ledger/bft/vote.h"
#include "ledger/sync/network.h"

/* Four blocks that nobody has, above the head, each on the one before; what is wrong with the second: nothing, its proof, its beacon, its parent. */
enum { STRETCH = 4 };
static void stretch(struct qn_chain *c, const struct qn_key *key, int wrong,
                    struct qn_parcel *ret[STRETCH])
{
    struct qn_header before = *qn_chain_header(c);
    struct qn_hash id = qn_chain_id(c), at = qn_chain_head(c);
    for (unsigned i = 0; i < STRETCH; i++) {
        struct qn_block b = { .header = before };
        b.header.height++;
        b.header.parent = at;
        b.header.proposer = key->pub;
        qn_beacon_prove(key, &id, &before.beacon, b.header.height, &b.header.vrf, &b.header.beacon);
        if (i == 1) b.header.vrf.b[48] ^= wrong == 1;
        if (i == 1) b.header.beacon.b[0] ^= wrong == 2;
        if (i == 1) b.header.parent.b[0] ^= wrong == 3;
        ret[i] = qn_parcel_of(&b);
        at = ret[i]->hash;
        before = b.header;
    }
}

/* Beacons of a stretch, looked at side by side: what is noted of each is what would be found of it alone. */
static void check_stretch(struct qn_test_state *t, struct qn_chain *c, const struct qn_key *key)
{
    for (int wrong = 0; wrong < 4; wrong++) {
        struct qn_parcel *parcels[STRETCH];
        stretch(c, key, wrong, parcels);
        qn_chain_beacons(c, parcels, STRETCH);
        for (unsigned i = 0; i < STRETCH; i++) {
            CHECK(parcels[i]->beacon_ok == (i != 1 || wrong == 0));
            qn_parcel_unref(parcels[i]);
        }
        stretch(c, key, wrong, parcels); /* without what they stand on */
        qn_chain_beacons(c, parcels + 2, 1);
        CHECK(!parcels[2]->beacon_ok);
        qn_chain_beacons(c, parcels + 1, 0);
        qn_chain_beacons(c, parcels, 1);
        CHECK(parcels[0]->beacon_ok);
        for (unsigned i = 0; i < STRETCH; i++)
            qn_parcel_unref(parcels[i]);
    }
}

/* Every beacon is its proposer's only one; nobody takes a block with another. */
static void check_beacons(struct qn_test_state *t, struct net *net)
{
    struct qn_chain *chain = qn_replica_chain(net->node[0].r);
    struct qn_hash id = qn_chain_id(chain), before = id, got;
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_why why;
    unsigned said = 0;
    for (uint64_t h = 1; h <= height(net, 0); h++) {
        CHECK_RC(qn_chain_frame(chain, h, &arena, &f, &why), QN_OK);
        const struct qn_header *head = &f.block.header;
        CHECK(qn_beacon_check(&head->proposer, &id, &before, h, &head->vrf, &got));
        CHECK(qn_hash_eq(&got, &head->beacon));
        before = got;
        said += !qn_hash_is_zero(&head->signers);
    }
    CHECK(said > height(net, 0) / 2);
    bool misfit[1];
    struct qn_hash made;
    struct qn_chain *other = qn_replica_chain(net->node[1].r);
    struct qn_make m = { .parent = qn_chain_head(other),
                         .view = qn_chain_header(other)->view + 1000,
                         .t_ms = net->now_us / 1000 + 1,
                         .key = &net->node[0].key };
    CHECK_RC(qn_chain_make(other, &m, misfit, &made, &why), QN_OK);
    struct qn_block block = *qn_chain_block(other, &made);
    block.header.view++; /* else it is known there */
    struct qn_block forged = block;
    forged.header.beacon.b[0] ^= 1;
    CHECK_RC(qn_chain_run(other, &forged, &why), QN_E_FORMAT);
    forged = block;
    forged.header.vrf.b[79] ^= 1;
    CHECK_RC(qn_chain_run(other, &forged, &why), QN_E_FORMAT);
    forged = block;
    forged.header.proposer = net->node[2].key.pub;
    CHECK_RC(qn_chain_run(other, &forged, &why), QN_E_FORMAT);
    forged = block;
    forged.header.signers.b[0] = 1; /* one of four certifies nothing */
    CHECK_RC(qn_chain_run(other, &forged, &why), QN_E_FORMAT);
    CHECK_RC(qn_chain_run(other, &block, &why), QN_OK);
    check_stretch(t, other, &net->node[0].key);
    qn_arena_free(&arena);
}

static void test_four(struct qn_test_state *t)
{
    struct net *net = begin();
    struct qn_hash ids[400];
    uint64_t at;
    for (unsigned i = 0; i < NODES; i++)
        boot(net, i);
    run(net, 3000);
    CHECK(height(net, 0) >= 4);
    for (unsigned i = 0; i < 200; i++) {
        ids[i] = pay(net, i % NODES, i % PEOPLE, (i + 1) % PEOPLE, 1 + i);
        if (i % 10 == 0) run(net, 20);
    }
    run(net, 3000);
    for (unsigned i = 0; i < 200; i++)
        for (unsigned k = 0; k < NODES; k++)
            CHECK(qn_replica_tx(net->node[k].r, &ids[i], &at) == QN_TX_FINAL);
    check_equal(t, net);

    stop(net, 2); /* one of four may be missing */
    uint64_t before = height(net, 0);
    for (unsigned i = 200; i < 400; i++) {
        ids[i] = pay(net, i % 2, i % PEOPLE, (i + 1) % PEOPLE, 1 + i);
        if (i % 10 == 0) run(net, 100);
    }
    run(net, 20000);
    CHECK(height(net, 0) > before + 10);
    boot(net, 2); /* catches up */
    run(net, 10000);
    CHECK(height(net, 2) + 2 >= height(net, 0));
    for (unsigned i = 200; i < 400; i++)
        CHECK(qn_replica_tx(net->node[2].r, &ids[i], &at) == QN_TX_FINAL);
    check_equal(t, net);

    stop(net, 1);
    stop(net, 3); /* two of four: nothing is final any more, and nothing is lost */
    run(net, 3000);
    before = height(net, 0);
    run(net, 20000);
    CHECK(height(net, 0) == before);
    stop(net, 0);
    stop(net, 2);
    for (unsigned i = 0; i < NODES; i++)
        boot(net, i);
    run(net, 60000);
    CHECK(height(net, 0) > before + 3);
    check_equal(t, net);
    CHECK(qn_chain_set(qn_replica_chain(net->node[0].r))->epoch > 10); /* through many epochs */
    CHECK(net->rejected == 0);
    check_beacons(t, net);
    for (unsigned i = 0; i < NODES; i++)
        qn_replica_evidence(net->node[i].r, NULL, NULL); /* none: else it would call NULL */
    end(net);
}

/* A node that begins when the others are hundreds of blocks ahead. */
static void test_late(struct qn_test_state *t)
{
    struct net *net = begin();
    for (unsigned i = 0; i + 1 < NODES; i++)
        boot(net, i);
    run(net, 150000);
    CHECK(height(net, 0) > 100);
    boot(net, NODES - 1);
    run(net, 5000);
    CHECK(height(net, NODES - 1) + 2 >= height(net, 0));
    check_equal(t, net);
    CHECK(net->rejected == 0);
    end(net);
}

/* A peer that says of a million blocks that it has them, every second, and gives none. */
static void boast(struct net *net, uint32_t to)
{
    struct qn_chain *chain = qn_replica_chain(net->node[to].r);
    struct qn_hash id = qn_chain_id(chain), head = qn_h("test boast", "", 0);
    struct qn_buf message = { 0 };
    struct qn_why why = { "" };
    qn_buf_u8(&message, 1);
    qn_buf_put(&message, id.b, 32);
    qn_buf_u64(&message, 1000000);
    qn_buf_put(&message, head.b, 32);
    qn_buf_u64(&message, 1);
    enum qn_verdict verdict = qn_replica_recv(net->node[to].r, FAR, qn_buf_get(&message), &why);
    QN_ASSERT(verdict == QN_IGNORE);
    qn_buf_free(&message);
}

static void test_boast(struct qn_test_state *t)
{
    struct net *net = begin();
    for (unsigned i = 0; i + 1 < NODES; i++)
        boot(net, i);
    run(net, 40000);
    boot(net, NODES - 1);
    for (unsigned i = 0; i < NODES - 1;
         i++) /* nobody proposes meanwhile: only what is asked for comes */
        net->node[i].mute = true;
    qn_replica_peer(net->node[NODES - 1].r, FAR, true);
    for (unsigned i = 0; i < 20; i++) {
        boast(net, NODES - 1);
        run(net, 1000);
    }
    CHECK(height(net, 0) > 10);
    CHECK(height(net, NODES - 1) == height(net, 0));
    CHECK(!qn_replica_info(net->node[NODES - 1].r).syncing);
    end(net);
}

/* Runs until the mute one leads the view that the others are in, with nothing of it known, on the block that all have last. False: not in time. */
static bool await_lead(struct net *net, uint32_t who, uint64_t *ret_view)
{
    for (uint64_t until = net->now_us + 120000000; net->now_us < until; run(net, 5)) {
        struct qn_hash leader;
        uint64_t view = qn_replica_info(net->node[0].r).view;
        bool all = qn_replica_leader(net->node[0].r, 0, view, &leader) &&
                   qn_hash_eq(&leader, &net->node[who].key.pub);
        struct qn_hash head = qn_chain_head(qn_replica_chain(net->node[0].r));
        for (uint32_t i = 0; all && i < NODES; i++) {
            struct qn_hash mine = qn_chain_head(qn_replica_chain(net->node[i].r));
            all = qn_hash_eq(&mine, &head) && qn_replica_info(net->node[i].r).view == view;
        }
        *ret_view = view;
        if (all) return true;
    }
    return false;
}

/* Has `who`, who leads view, propose a block of that time and version to the others. */
static struct qn_hash propose_as(struct net *net, uint32_t who, uint64_t view, uint64_t t_ms,
                                 uint16_t ver)
{
    struct node *n = &net->node[who];
    struct qn_chain *chain = qn_replica_chain(n->r);
    struct qn_why why = { "" };
    struct qn_hash hash;
    bool misfit[1];
    uint8_t text[QN_PROPOSAL_TEXT];
    struct qn_buf message = { 0 };
    struct qn_make m = {
        .parent = qn_chain_head(chain), .view = view, .t_ms = t_ms, .key = &n->key
    };
    qn_rc rc = qn_chain_make(chain, &m, misfit, &hash, &why);
    if (rc) printf("%s\n", why.text);
    QN_ASSERT(rc == QN_OK);
    struct qn_proposal p = { .block = *qn_chain_block(chain, &hash) };
    p.block.header.ver = ver;
    hash = qn_header_hash(&p.block.header);
    p.sig = qn_sign(&n->key, qn_proposal_text(&hash, text));
    qn_buf_u8(&message, 5);
    qn_encode(qn_proposal_record(), &p, &message);
    n->mute = false;
    wire_cast(n, QN_CLASS_VOTE, qn_buf_get(&message));
    n->mute = true;
    qn_buf_free(&message);
    return hash;
}

static struct qn_hash propose(struct net *net, uint32_t who, uint64_t view, uint64_t t_ms)
{
    return propose_as(net, who, view, t_ms, 1);
}

static bool is_final(struct net *net, const struct qn_hash *hash)
{
    struct qn_chain *chain = qn_replica_chain(net->node[0].r);
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    bool found = false;
    for (uint64_t h = height(net, 0); h > 0 && !found; h--) {
        if (qn_chain_frame(chain, h, &arena, &f, NULL)) break;
        struct qn_hash mine = qn_header_hash(&f.block.header);
        found = qn_hash_eq(&mine, hash);
    }
    qn_arena_free(&arena);
    return found;
}

/* A leader that says the time is another than it is: nobody votes for its block, and the view passes. One that tells the time is followed. */
static void test_time(struct qn_test_state *t)
{
    static const int64_t OFF_MS[] = { 0, 2000, 60000, 0, 900 };
    struct net *net = begin();
    uint64_t view = 0;
    net->genesis.epoch_ms = 600000; /* one epoch all along */
    for (unsigned i = 0; i < NODES; i++)
        boot(net, i);
    run(net, 3000);
    net->node[3].mute = true;
    for (unsigned i = 0; i < QN_COUNT(OFF_MS); i++) {
        CHECK(await_lead(net, 3, &view));
        uint64_t before = height(net, 0);
        struct qn_hash hash = propose(net, 3, view, net->now_us / 1000 + (uint64_t)OFF_MS[i]);
        run(net, 10000);
        CHECK(is_final(net, &hash) == (OFF_MS[i] <= 1000));
        CHECK(height(net, 0) > before + 3);
    }
    net->node[3].mute = false;
    run(net, 10000);
    check_equal(t, net);
    CHECK(net->rejected == 0);
    end(net);
}

/* --- more traitors than are borne, and other versions -------------------------------------------------------------------- */

/* Two chains of one genesis: honest 0 and honest 3 never met, and 1 and 2 vote in both networks: two of four, where one is borne. */
static void begin_fork(struct net **ret_x, struct net **ret_y)
{
    struct net *x = begin(), *y = begin();
    x->genesis.epoch_ms = y->genesis.epoch_ms = 600000;
    for (uint32_t i = 0; i + 1 < NODES; i++) {
        boot(x, i);
        boot(y, i + 1);
    }
    pay(y, 3, 0, 1, 77); /* so that no two blocks are the same */
    run(x, 8000);
    run(y, 8000);
    *ret_x = x;
    *ret_y = y;
}

static void meet(struct net *x, struct net *y, uint64_t ms)
{
    x->far = y;
    y->far = x;
    x->near_no = y->far_no = 0;
    x->far_no = y->near_no = 3;
    qn_replica_peer(x->node[0].r, FAR, true);
    qn_replica_peer(y->node[3].r, FAR, true);
    for (uint64_t t = 0; t < ms; t += 20) {
        run(x, 20);
        run(y, 20);
    }
}

static struct qn_hash hash_at(struct net *net, uint32_t no, uint64_t h)
{
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_hash hash = { { 0 } };
    if (qn_chain_frame(qn_replica_chain(net->node[no].r), h, &arena, &f, NULL) == QN_OK)
        hash = qn_header_hash(&f.block.header);
    qn_arena_free(&arena);
    return hash;
}

static void count_signer(void *arg, const struct qn_vote *a, const struct qn_vote *b)
{
    if (qn_votes_exclude(a, b)) ((unsigned *)arg)[a->signer]++;
}

/* The two are named in one line, each with a pair of its votes; nobody else is. */
static void check_blamed(struct qn_test_state *t, struct net *net, uint32_t no)
{
    const struct qn_fork *fork = qn_replica_fork(net->node[no].r);
    struct qn_buf line = { 0 };
    unsigned pairs[NODES] = { 0 };
    CHECK(fork != NULL);
    if (!fork) return;
    qn_fork_print(fork, &line);
    printf("node %u: %.*s\n", no, (int)line.len, (const char *)line.ptr);
    CHECK(memchr(line.ptr, '\n', line.len) == NULL);
    qn_buf_free(&line);
    struct qn_hash mine = hash_at(net, no, fork->height);
    CHECK(qn_hash_eq(&mine, &fork->ours) && !qn_hash_eq(&mine, &fork->theirs));
    CHECK(fork->cnt == 2 && fork->weight == 2 && fork->need.traitors == 1 && fork->need.all == 4);
    CHECK(qn_hash_eq(&fork->who[0], &net->set[1]) && qn_hash_eq(&fork->who[1], &net->set[2]));
    qn_replica_evidence(net->node[no].r, count_signer, pairs);
    CHECK(pairs[0] == 0 && pairs[1] > 0 && pairs[2] > 0 && pairs[3] == 0);
}

/* The sides meet: at the same height, or when one is tens of blocks ahead and the other would catch up. Each stays on its chain. */
static void test_fork_of(struct qn_test_state *t, uint64_t ahead_ms)
{
    struct net *x, *y;
    begin_fork(&x, &y);
    run(y, ahead_ms);
    uint64_t hx = height(x, 0), hy = height(y, 3);
    struct qn_hash bx = hash_at(x, 0, hx), by = hash_at(y, 3, hy);
    CHECK(hx >= 4 && (ahead_ms == 0 || hy > hx + 10));
    meet(x, y, 5000);
    check_blamed(t, x, 0);
    CHECK(ahead_ms || qn_replica_fork(y->node[3].r) != NULL);
    struct qn_hash ax = hash_at(x, 0, hx), ay = hash_at(y, 3, hy);
    CHECK(qn_hash_eq(&ax, &bx) && qn_hash_eq(&ay, &by)); /* nobody went over */
    CHECK(x->rejected > 0 && y->rejected > 0);           /* each thinks ill of the other */
    CHECK(qn_state_sum(qn_chain_view(qn_replica_chain(x->node[0].r))).uqn == QN_SUPPLY_UQN);
    printf("fork: %llu and %llu, then %llu and %llu\n", (unsigned long long)hx,
           (unsigned long long)hy, (unsigned long long)height(x, 0),
           (unsigned long long)height(y, 3));
    end(x);
    end(y);
}

/* A second certificate for a height that is final, and no more: it is named, and the chain goes on. */
static void test_second_cert(struct qn_test_state *t)
{
    struct net *x, *y;
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_why why = { "" };
    unsigned shown = 0;
    begin_fork(&x, &y);
    uint64_t before = height(x, 0);
    for (uint64_t h = 1; h <= height(y, 3); h++) {
        CHECK_RC(qn_chain_frame(qn_replica_chain(y->node[3].r), h, &arena, &f, &why), QN_OK);
        if (f.cert.kind == 0 || f.cert.view > qn_chain_header(qn_replica_chain(x->node[0].r))->view)
            continue;
        struct qn_sig *sig = &f.cert.votes.ptr[0].sig;
        sig->b[0] ^= 1; /* a lie: of no consequence but for the liar */
        CHECK(tell(x, 0, 4, qn_cert_record(), &f.cert, &why) == QN_REJECT);
        CHECK(shown || !qn_replica_fork(x->node[0].r));
        sig->b[0] ^= 1;
        CHECK(tell(x, 0, 4, qn_cert_record(), &f.cert, &why) == QN_REJECT);
        CHECK(strstr(why.text, "another block than the final one of height") != NULL);
        shown++;
    }
    CHECK(shown > 0);
    check_blamed(t, x, 0);
    run(x, 10000);
    CHECK(height(x, 0) > before + 3 && x->rejected == 0);
    qn_arena_free(&arena);
    end(x);
    end(y);
}

/* A final block of a version that this build does not know, by three of four: all that can be done is to stop, with all that is final kept. */
static void check_later_block(struct qn_test_state *t, struct net *net)
{
    struct node *n = &net->node[0];
    struct qn_chain *chain = qn_replica_chain(n->r);
    struct qn_hash id = qn_chain_id(chain), hash;
    struct qn_why why = { "" };
    struct qn_cert_vote votes[3];
    bool misfit[1];
    uint64_t before = height(net, 0), view = qn_replica_info(n->r).view + 5, wait;
    struct sync_status far = { .chain = id, .height = before + 10, .oldest = 1 };
    struct qn_make m = {
        .parent = qn_chain_head(chain), .view = view, .t_ms = net->now_us / 1000, .key = &n->key
    };
    CHECK_RC(qn_chain_make(chain, &m, misfit, &hash, &why), QN_OK);
    struct sync_block one = { .block = *qn_chain_block(chain, &hash) };
    struct sync_blocks answer = { .blocks = { 1, &one } };
    one.block.header.ver = 2;
    hash = qn_header_hash(&one.block.header);
    one.cert = (struct qn_cert){ .kind = QN_CERT_SLOW,
                                 .epoch = one.block.header.epoch,
                                 .view = view,
                                 .block = hash,
                                 .votes = { 0, votes } };
    for (uint16_t i = 0; i < 3; i++) {
        struct qn_vote v = qn_vote_make(&net->node[i + 1].key, (uint16_t)(i + 1), &id,
                                        QN_VOTE_FINAL, one.block.header.epoch, view, &hash);
        qn_cert_add(&one.cert, &v);
    }
    qn_replica_peer(n->r, FAR, true);
    CHECK(tell(net, 0, 1, sync_status_record(), &far, &why) == QN_IGNORE); /* it asks for them */
    (void)tell(net, 0, 8, sync_blocks_record(), &answer, &why);
    CHECK_RC(qn_replica_turn(n->r, &wait, &why), QN_E_ABSENT);
    CHECK(strstr(why.text, "of version 2, this build knows 1: install a newer one") != NULL);
    printf("%s\n", why.text);
    stop(net, 0);
    boot(net, 0);
    CHECK(height(net, 0) == before);
}

/* Peers of another version: what they say costs them their standing, and nothing else. */
static void test_versions(struct qn_test_state *t)
{
    static const uint8_t KINDS[] = { 0, 9, 100, 255 };
    struct net *net = begin();
    struct qn_why why = { "" };
    struct qn_buf message = { 0 };
    net->genesis.epoch_ms = 600000;
    for (unsigned i = 0; i < NODES; i++)
        boot(net, i);
    run(net, 3000);
    struct qn_replica *r = net->node[0].r;
    qn_replica_peer(r, FAR, true);
    for (unsigned i = 0; i < QN_COUNT(KINDS); i++) {
        uint8_t bytes[64] = { KINDS[i] };
        CHECK(qn_replica_recv(r, FAR, QN_SPAN(bytes, sizeof bytes), &why) == QN_REJECT);
        CHECK(strstr(why.text, KINDS[i] > 8 ? "of a later version" : "does not decode") != NULL);
    }
    struct sync_status s = { .chain = qn_chain_id(qn_replica_chain(r)), .height = 1u << 20 };
    qn_buf_u8(&message, 1);
    qn_encode(sync_status_record(), &s, &message);
    qn_buf_u64(&message, 7); /* a field more than ours has */
    CHECK(qn_replica_recv(r, FAR, qn_buf_get(&message), &why) == QN_REJECT);
    CHECK(qn_replica_info(r).peer_height < 1u << 20);
    qn_buf_free(&message);
    qn_replica_peer(r, FAR, false);

    net->node[3].mute = true; /* its leader's block is of version 2: nobody votes for it */
    uint64_t view, before;
    CHECK(await_lead(net, 3, &view));
    before = height(net, 0);
    struct qn_hash hash = propose_as(net, 3, view, net->now_us / 1000, 2);
    run(net, 10000);
    CHECK(net->rejected == 3 && !is_final(net, &hash) && height(net, 0) > before + 3);
    net->node[3].mute = false;
    run(net, 5000);
    check_equal(t, net);
    check_later_block(t, net);
    end(net);
}

/* A turn's messages taken together: each has its own verdict, a bad vote costs who sent it and no other, and not its signer's own vote either. */
static void test_many(struct qn_test_state *t)
{
    struct net *net = begin();
    for (unsigned i = 0; i < NODES; i++)
        boot(net, i);
    run(net, 3000);
    struct qn_replica *r = net->node[0].r;
    struct qn_hash id = qn_chain_id(qn_replica_chain(r)), block = qn_blake3("some block", 10);
    uint64_t view = qn_replica_info(r).view + 2, weight = qn_replica_info(r).heard;
    struct qn_buf bytes[8] = { { .len = 0 } };
    struct qn_heard heard[8] = { { .peer = FAR } };
    enum qn_verdict want[8] = { QN_ACCEPT, QN_REJECT, QN_REJECT, QN_ACCEPT,
                                QN_IGNORE, QN_ACCEPT, QN_REJECT, QN_IGNORE };
    for (unsigned i = 0; i < 8; i++) {
        static const uint16_t SIGNER[8] = { 1, 2, 3, 2, 1, 3, 1, 9 };
        uint16_t no = SIGNER[i];
        struct qn_vote v = qn_vote_make(&net->node[no % NODES].key, no, &id, QN_VOTE_FIRST,
                                        qn_chain_set(qn_replica_chain(r))->epoch, view, &block);
        if (i == 1) v.sig.b[40] ^= 1;
        if (i == 2) v.signer = 2; /* another's signature */
        qn_buf_u8(&bytes[i], 3);
        qn_encode(qn_vote_record(), &v, &bytes[i]);
        if (i == 6) bytes[i].len--;
        heard[i] = (struct qn_heard){ .peer = FAR, .message = qn_buf_get(&bytes[i]) };
    }
    qn_replica_recv_many(r, heard, 8);
    for (unsigned i = 0; i < 8; i++) {
        CHECK(heard[i].verdict == want[i]);
        CHECK((heard[i].why.text[0] != 0) == (want[i] == QN_REJECT));
        qn_buf_free(&bytes[i]);
    }
    CHECK(qn_replica_info(r).heard >= weight);
    run(net, 5000); /* nothing came of it */
    check_equal(t, net);
    end(net);
}

static void test_fork(struct qn_test_state *t)
{
    test_fork_of(t, 0);
    test_fork_of(t, 20000);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_four);
    TEST(test_late);
    TEST(test_boast);
    TEST(test_time);
    TEST(test_fork);
    TEST(test_second_cert);
    TEST(test_versions);
    TEST(test_many);
    return TEST_END();
}
