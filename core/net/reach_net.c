/* reach_net.c - router, question and consequence. */
#include "core/net/reach_net.h"

#include "core/net/nat.h"
#include "net/libp2p/discover.h"

#include <stdlib.h>

struct reach_net {
    struct reach_net_conf conf;
    struct qn_reach *reach;
    struct qn_nat *nat; /* NULL: not needed, or switched off */
};

static void on_reach(void *arg, const struct net_addr *addr)
{
    struct reach_net *rn = arg;
    struct qn_endpoint e;
    struct qn_maddr maddr;
    if (addr) {
        e = discover_endpoint(addr);
        qn_maddr_of(&e, &maddr);
    }
    qn_host_announce(rn->conf.host, addr ? &maddr : NULL);
    if (rn->conf.discover) qn_discover_public(rn->conf.discover, addr != NULL);
}

static void on_nat(void *arg, const struct net_addr *outside)
{
    struct reach_net *rn = arg;
    qn_reach_mapped(rn->reach, outside);
}

/* Whether an address that it listens on is the internet's already: no router is in between. */
static bool outside_already(const struct qn_host *host)
{
    struct qn_maddr own[16];
    struct qn_endpoint e;
    uint32_t cnt = qn_host_addrs(host, own, QN_COUNT(own));
    for (uint32_t i = 0; i < cnt; i++)
        if (qn_maddr_endpoint(&own[i], &e) == QN_OK && !e.v6 && qn_endpoint_public(&e)) return true;
    return false;
}

qn_rc reach_net_open(const struct reach_net_conf *conf, struct reach_net **ret, struct qn_why *why)
{
    struct reach_net *rn = calloc(1, sizeof *rn);
    QN_ASSERT(rn != NULL);
    rn->conf = *conf;
    const struct qn_reach_conf reach = { .base = conf->base,
                                         .env = qn_env_real(),
                                         .host = conf->host,
                                         .private = conf->private,
                                         .ask = !conf->private,
                                         .changed = on_reach,
                                         .arg = rn };
    qn_rc rc = qn_reach_open(&reach, &rn->reach, why);
    if (rc) {
        free(rn);
        return rc;
    }
    const struct qn_nat_conf nat = { .base = conf->base,
                                     .env = qn_env_real(),
                                     .how = conf->nat,
                                     .port = (uint16_t)qn_host_port(conf->host),
                                     .changed = on_nat,
                                     .arg = rn };
    bool wanted = conf->nat.kind == NET_NAT_AUTO ? !outside_already(conf->host)
                                                 : conf->nat.kind != NET_NAT_OFF;
    if (wanted && !conf->private && nat.port) rn->nat = qn_nat_open(&nat);
    *ret = rn;
    return QN_OK;
}

void reach_net_close(struct reach_net *rn)
{
    if (!rn) return;
    qn_nat_close(rn->nat);
    qn_reach_close(rn->reach);
    free(rn);
}

struct reach_net_info reach_net_info(const struct reach_net *rn)
{
    return (struct reach_net_info){ .reach = qn_reach_info(rn->reach),
                                    .nat = rn->nat ? qn_nat_text(rn->nat) : "" };
}
