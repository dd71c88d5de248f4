/* node_open.c - the home, and the chain in it: which one it is, or becomes. */
#include "core/node/node_in.h"

#include "core/net/net.h"
#include "core/node/rearm.h"
#include "core/node/wallet.h"
#include "ledger/sync/home.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define OWNER_QN  1000
#define FAUCET_QN 100000 /* a dev chain's purse for trying things out */
#define BOND_QN   10000  /* behind its first validator: who stakes less cannot stop the chain */
#define REPORT_QN 10     /* for the fees of what a validator reports about others */

static bool has_chain(const struct qn_node *node)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/journal/seg-0000000000.qj", node->opts->home);
    return access(path, F_OK) == 0;
}

/* Whether this start begins a chain of its own. */
static bool begins(const struct qn_node *node)
{
    return !has_chain(node) && !node->opts->genesis && !node->opts->join;
}

qn_rc qn_node_key(struct qn_node *node, const char *name, struct qn_key *ret, bool *ret_new,
                  struct qn_why *why)
{
    qn_rc rc = qn_wallet_load(node->opts->home, name, ret, why);
    *ret_new = rc == QN_E_NOTFOUND;
    return *ret_new ? qn_wallet_new(node->opts->home, name, NULL, ret, why) : rc;
}

qn_rc qn_node_lock(struct qn_node *node, struct qn_why *why)
{
    char path[4096], text[32] = "";
    qn_rc rc = qn_dir_make(node->opts->home, why);
    if (rc) return rc;
    snprintf(path, sizeof path, "%s/lock", node->opts->home);
    node->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (node->lock_fd < 0) return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(node->lock_fd, LOCK_EX | LOCK_NB)) {
        ssize_t n = pread(node->lock_fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        return qn_why(why, QN_E_BUSY, "a node runs on %s already, pid %.20s", node->opts->home,
                      text);
    }
    int n = snprintf(text, sizeof text, "%d", (int)getpid());
    if (ftruncate(node->lock_fd, 0) || pwrite(node->lock_fd, text, (size_t)n, 0) != n)
        return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    return QN_OK;
}

/* --- the genesis ------------------------------------------------------------------------------------------- */

/* A genesis of our own: one validator, one owner, and a purse for trying things out. */
static void own_genesis(struct qn_node *node, const struct qn_hash *owner,
                        const struct qn_hash *faucet, struct qn_buf *ret)
{
    struct qn_grant grants[] = { { *owner, QN_UQN(OWNER_QN * QN_UQN_PER_QN) },
                                 { *faucet, QN_UQN(FAUCET_QN * QN_UQN_PER_QN) },
                                 { qn_acct_key(&node->validator.pub),
                                   QN_UQN(REPORT_QN * QN_UQN_PER_QN) } };
    struct qn_genesis_bond bond = { .owner = *owner, .amount = QN_UQN(BOND_QN * QN_UQN_PER_QN) };
    char name[16];
    snprintf(name, sizeof name, "dev-%02x%02x", owner->b[0], owner->b[1]);
    struct qn_genesis genesis = { .name = QN_SPAN_STR(name),
                                  .t_ms = qn_env_now_ms(qn_env_real()),
                                  .dev = true };
    genesis.validators.cnt = genesis.bonds.cnt = 1;
    genesis.validators.ptr = &node->validator.pub;
    genesis.bonds.ptr = &bond;
    genesis.grants.cnt = QN_COUNT(grants);
    genesis.grants.ptr = grants;
    qn_encode(qn_genesis_record(), &genesis, ret);
}

/* A chain that is younger holds less than a snapshot's bodies do. */
static bool wants_snapshot(const struct qn_node *node, const struct qn_genesis *g)
{
    const char *sync = node->opts->sync;
    if (has_chain(node) || !node->opts->join || node->by_blocks || strcmp(sync, "blocks") == 0)
        return false;
    return strcmp(sync, "snapshot") == 0 || g->t_ms + QN_TX_SPAN_MS < qn_env_now_ms(qn_env_real());
}

static qn_rc read_genesis(const char *path, struct qn_buf *ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis g;
    qn_rc rc = qn_file_read(path, 1u << 20, ret, why);
    if (rc == QN_OK && qn_decode(qn_genesis_record(), qn_buf_get(ret), &arena, &g, NULL))
        rc = qn_why(why, QN_E_CONFIG, "%s is not a genesis", path);
    qn_arena_free(&arena);
    return rc;
}

/* A genesis that is named for a home with a chain must be that chain's. */
static qn_rc check_genesis(struct qn_node *node, struct qn_why *why)
{
    const char *path = node->opts->genesis;
    struct qn_buf bytes = { 0 };
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis genesis;
    char here[65], there[65];
    qn_rc rc = path ? read_genesis(path, &bytes, why) : QN_OK;
    if (rc == QN_OK && path)
        rc = qn_decode(qn_genesis_record(), qn_buf_get(&bytes), &arena, &genesis, why);
    if (rc || !path) goto out;
    struct qn_hash is = qn_chain_id(qn_node_chain(node)), wanted = qn_genesis_hash(&genesis);
    qn_hex(is.b, 32, here);
    qn_hex(wanted.b, 32, there);
    if (!qn_hash_eq(&is, &wanted))
        rc = qn_why(why, QN_E_FOREIGN,
                    "%s holds chain %.8s, %s is of chain %.8s: take another --home, or leave "
                    "--genesis out",
                    node->opts->home, here, path, there);
out:
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_node_check_join(const struct qn_node *node, struct qn_why *why)
{
    const struct qn_up_opts *o = node->opts;
    if (has_chain(node) || o->join) return QN_OK;
    if (strcmp(o->sync, "snapshot") == 0)
        return qn_why(why, QN_E_USAGE, "--sync snapshot needs --join: who gives it");
    if (!qn_hash_is_zero(&o->trust) && !o->genesis)
        return qn_why(why, QN_E_USAGE, "--trust needs --join: a new chain has no such block");
    return QN_OK;
}

/* Waits for peers, and meanwhile for the signal to end. */
static qn_rc ask_genesis(struct qn_node *node, struct qn_buf *ret, struct qn_why *why)
{
    event_add(node->told, NULL);
    qn_rc rc = qn_net_genesis(node->net, &node->told_to_end, ret, why);
    event_del(node->told);
    return rc;
}

/* The genesis for a home that has no chain yet: of the file named, of those joined, or our own. */
static qn_rc find_genesis(struct qn_node *node, const struct qn_hash *owner,
                          const struct qn_hash *faucet, struct qn_buf *ret, struct qn_why *why)
{
    bool there = has_chain(node); /* then the chain has its own */
    if (node->opts->genesis) return there ? QN_OK : read_genesis(node->opts->genesis, ret, why);
    if (node->opts->join) return there ? QN_OK : ask_genesis(node, ret, why);
    own_genesis(node, owner, faucet, ret);
    return QN_OK;
}

/* Whether the chain is the one that is trusted, as far as that can be said of what is here. */
static qn_rc check_trust(struct qn_node *node, struct qn_why *why)
{
    const struct qn_up_opts *o = node->opts;
    struct qn_chain *chain = qn_node_chain(node);
    struct qn_arena arena = { .max = 64u << 20 };
    struct qn_frame f;
    struct qn_hash is = qn_chain_id(chain);
    bool known = o->trust_height == 0;
    if (qn_hash_is_zero(&o->trust)) return QN_OK;
    if (o->trust_height && qn_chain_frame(chain, o->trust_height, &arena, &f, NULL) == QN_OK) {
        is = qn_header_hash(&f.block.header);
        known = true;
    }
    qn_arena_free(&arena);
    if (!known || qn_hash_eq(&is, &o->trust)) return QN_OK;
    return qn_why(why, QN_E_FOREIGN,
                  "block %" PRIu64 " of this chain is not the one that is trusted",
                  o->trust_height);
}

static void end_now(int sig)
{
    (void)sig;
    _exit(0);
}

/* A journal may take minutes to execute. Who is told to end meanwhile just ends: a crash there loses nothing, and nothing is to be put away yet. */
static qn_rc open_replica(struct qn_node *node, const struct qn_replica_conf *conf,
                          struct qn_why *why)
{
    struct sigaction now = { .sa_handler = end_now }, before[2];
    sigset_t ends;
    bool long_one = has_chain(node);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    if (long_one) {
        sigaction(SIGINT, &now, &before[0]);
        sigaction(SIGTERM, &now, &before[1]);
        sigprocmask(SIG_UNBLOCK, &ends, NULL);
    }
    qn_rc rc = qn_replica_open(conf, &node->replica, why);
    if (long_one) {
        sigprocmask(SIG_BLOCK, &ends, NULL);
        sigaction(SIGINT, &before[0], NULL);
        sigaction(SIGTERM, &before[1], NULL);
    }
    return rc;
}

/* --- the chain --------------------------------------------------------------------------------------------- */

qn_rc qn_node_open_chain(struct qn_node *node, char addr[64], bool *ret_new, struct qn_why *why)
{
    struct qn_key owner, faucet;
    struct qn_buf bytes = { 0 };
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis genesis;
    bool fresh = false;
    qn_rc rc = qn_node_key(node, "owner", &owner, ret_new, why);
    if (rc == QN_OK) rc = qn_node_key(node, "faucet", &faucet, &fresh, why);
    if (rc == QN_OK) rc = qn_node_key(node, "validator", &node->validator, &fresh, why);
    if (rc == QN_OK) rc = qn_home_settle(node->opts->home, why);
    if (rc) return rc;
    struct qn_hash owner_acct = qn_acct_key(&owner.pub), faucet_acct = qn_acct_key(&faucet.pub);
    qn_key_wipe(&owner);
    qn_key_wipe(&faucet);
    rc = find_genesis(node, &owner_acct, &faucet_acct, &bytes, why);
    if (rc == QN_OK && bytes.len)
        rc = qn_decode(qn_genesis_record(), qn_buf_get(&bytes), &arena, &genesis, why);
    if (rc) goto out;
    bool joins = bytes.len && wants_snapshot(node, &genesis);
    if (bytes.len) node->fast_ppm = genesis.fast_ppm;
    snprintf(node->chain_home, sizeof node->chain_home, "%s%s", node->opts->home,
             joins ? "/joining" : "");
    if (joins)
        qn_home_sweep(node->chain_home);
    else
        rc = qn_rearm_open(
            &(struct qn_rearm){ node->opts->home, &node->validator.pub, begins(node), fresh },
            &node->armed, why);
    if (rc) goto out;
    struct qn_replica_conf conf = { .chain = { .home = node->chain_home,
                                               .env = qn_env_real(),
                                               .modules = node->exec,
                                               .module_cnt = node->exec_cnt,
                                               .vm = qn_contract_vm_get(),
                                               .genesis = bytes.len ? &genesis : NULL,
                                               .map_gib = node->opts->map_gib,
                                               .keep_ms = node->opts->keep_ms,
                                               .on_block = qn_node_on_block,
                                               .arg = node },
                                    .validator = node->armed.may ? &node->validator : NULL,
                                    .block_ms = node->opts->block_ms,
                                    .hold = joins };
    if (node->net) conf.wire = qn_net_wire(node->net);
    qn_addr_print(&owner_acct, addr);
    rc = joins ? qn_dir_make(node->chain_home, why) : QN_OK;
    if (rc == QN_OK) rc = qn_steps_open(node->chain_home, &node->steps, why);
    if (rc == QN_OK) rc = open_replica(node, &conf, why);
    if (rc == QN_OK) rc = check_genesis(node, why);
    if (rc == QN_OK) rc = check_trust(node, why);
    if (rc == QN_OK && !joins) qn_node_say_silent(node);
    if (rc == QN_OK && node->net)
        rc = qn_net_serve(node->net, node->replica, qn_node_on_net, node, why);
out:
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
    return rc;
}
