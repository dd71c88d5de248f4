/* node_parts.c - the node's parts around the chain, opened, and what they tell it. */
#include "core/node/node_in.h"

#include "core/model/model.h"
#include "core/net/net.h"
#include "core/net/net_desk.h"
#include "core/net/share.h"
#include "core/node/aside.h"
#include "core/node/join.h"
#include "core/node/scrub.h"
#include "core/node/sends.h"
#include "core/node/snaps.h"
#include "ledger/sync/home.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

qn_rc qn_node_open_net(struct qn_node *node, struct qn_why *why)
{
    bool fresh;
    char book[4096];
    if (!node->opts->listen && !node->opts->join) return QN_OK;
    snprintf(book, sizeof book, "%s/peers.dat", node->opts->home);
    qn_rc rc = qn_node_key(node, "network", &node->network, &fresh, why);
    struct qn_net_conf conf = { .base = node->base,
                                .key = &node->network,
                                .validator = &node->validator,
                                .listen = node->opts->listen,
                                .join = node->opts->join,
                                .book = book,
                                .nat = node->opts->nat,
                                .outbound = node->opts->outbound };
    struct qn_why taken = { "" };
    if (rc == QN_OK) rc = qn_net_open(&conf, &node->net, &taken);
    bool listens = rc == QN_E_PORT || (rc == QN_E_IO && node->opts->listen);
    return rc && taken.text[0] ? qn_why(why, rc, "%s%s", listens ? "--listen: " : "", taken.text)
                               : rc;
}

void qn_node_on_share(void *arg)
{
    struct qn_node *node = arg;
    if (node->join) join_turn(node->join);
    if (node->api) qn_api_retry(node->api);
}

qn_rc qn_node_open_share(struct qn_node *node, struct qn_why *why)
{
    const struct share_conf conf = { .base = node->base,
                                     .env = qn_env_real(),
                                     .host = node->net ? qn_net_host(node->net) : NULL,
                                     .home = node->opts->home,
                                     .changed = qn_node_on_share,
                                     .arg = node };
    return node->net ? share_open(&conf, &node->share, why) : QN_OK;
}

void qn_node_open_desk(struct qn_node *node)
{
    const struct net_desk_conf conf = { .base = node->base,
                                        .env = qn_env_real(),
                                        .host = node->net ? qn_net_host(node->net) : NULL,
                                        .changed = qn_node_on_share,
                                        .arg = node };
    if (node->net) node->desk = net_desk_open(&conf);
}

qn_rc qn_node_open_snaps(struct qn_node *node, struct qn_why *why)
{
    const struct snaps_conf conf = { .home = node->opts->home,
                                     .host = node->net ? qn_net_host(node->net) : NULL,
                                     .share = node->share,
                                     .aside = node->aside,
                                     .chain = qn_node_chain(node),
                                     .steps = node->steps,
                                     .keep = node->net ? node->opts->snapshots : 0 };
    return snaps_open(&conf, &node->snaps, why);
}

static void on_log(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "quoin: %s\n", line);
}

static void on_wrong(void *arg, qn_rc rc, const struct qn_why *why)
{
    struct qn_node *node = arg;
    node->rc = rc;
    node->why = *why;
}

void qn_node_open_scrub(struct qn_node *node)
{
    const struct scrub_conf conf = { .home = node->chain_home,
                                     .env = qn_env_real(),
                                     .aside = node->aside,
                                     .replica = node->replica,
                                     .every_ms = node->opts->scrub_ms,
                                     .arg = node,
                                     .log = on_log,
                                     .wrong = on_wrong };
    node->scrub = scrub_open(&conf);
}

/* --- joining ----------------------------------------------------------------------------------------------- */

/* A key that stood beside no journal yet signed nowhere: as where a node joins by blocks, this one is its own. Else it is a restored one's. */
static void name_journal(struct qn_node *node)
{
    char path[4096];
    struct qn_why why;
    snprintf(path, sizeof path, "%s/wallet/validator.journal", node->opts->home);
    if (access(path, F_OK) != 0 && qn_home_name(node->opts->home, false, &why))
        fprintf(stderr, "quoin: %s\n", why.text); /* `validator rearm` mends it */
}

/* The home has its chain, or none is to be had this way: everything begins anew. */
static void on_join_end(void *arg, enum join_end how, qn_rc rc, const struct qn_why *why)
{
    struct qn_node *node = arg;
    switch (how) {
    case JOIN_BLOCKS: node->by_blocks = node->again = true; break;
    case JOIN_RESTORED:
        name_journal(node);
        node->again = true;
        break;
    case JOIN_FAILED:
        node->rc = rc;
        node->why = *why;
        break;
    }
    event_base_loopbreak(node->base);
}

qn_rc qn_node_open_join(struct qn_node *node, struct qn_why *why)
{
    const struct qn_up_opts *o = node->opts;
    const struct join_conf conf = { .base = node->base,
                                    .env = qn_env_real(),
                                    .host = qn_net_host(node->net),
                                    .share = node->share,
                                    .aside = node->aside,
                                    .home = o->home,
                                    .map_gib = o->map_gib,
                                    .chain = qn_chain_id(qn_node_chain(node)),
                                    .fast_ppm = node->fast_ppm,
                                    .pinned = o->trust_height && !qn_hash_is_zero(&o->trust),
                                    .trust = o->trust,
                                    .trust_height = o->trust_height,
                                    .patient = strcmp(o->sync, "snapshot") == 0,
                                    .arg = node,
                                    .log = on_log,
                                    .end = on_join_end };
    return join_open(&conf, &node->join, why);
}

/* --- jobs -------------------------------------------------------------------------------------------------- */

static void on_job(void *arg, const struct qn_job_info *info)
{
    struct qn_node *node = arg;
    if (node->api && (info->state != QN_JOB_RUNNING || info->serving)) qn_api_retry(node->api);
}

static void on_answered(void *arg)
{
    struct qn_node *node = arg;
    if (node->api) qn_api_retry(node->api);
}

qn_rc qn_node_open_jobs(struct qn_node *node, struct qn_why *why)
{
    const struct qn_module *mod;
    size_t cnt = 0;
    node->kinds[cnt++] = QN_MODEL_JOBS;
    for (size_t i = 0; (mod = qn_module_at(i)); i++)
        if (mod->jobs) node->kinds[cnt++] = mod->jobs;
    struct qn_jobs_opts opts = { .base = node->base,
                                 .env = qn_env_real(),
                                 .home = node->opts->home,
                                 .tables = node->kinds,
                                 .changed = on_job,
                                 .answered = on_answered,
                                 .arg = node };
    return qn_jobs_new(&opts, &node->jobs, why);
}

/* --- transactions of calls --------------------------------------------------------------------------------- */

/* Those of one turn were judged. */
static void on_sends(void *arg)
{
    struct qn_node *node = arg;
    if (node->api) qn_api_retry_soon(node->api);
    if (qn_replica_pooled(node->replica)) qn_node_kick(node);
}

void qn_node_open_sends(struct qn_node *node)
{
    node->sends = sends_open(&(struct sends_conf){ node->base, node->replica, on_sends, node });
}
