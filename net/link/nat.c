/* nat.c - asking a router. */
#include "net/link/nat.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <natpmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PMP_MS      2000 /* the library itself would go on for two minutes */
#define SEARCH_MS   1000 /* for each of the kinds of device that are looked for */
#define PORT_TRIES  4
#define DESCRIPTION "quoin"

qn_rc net_nat_parse(const char *text, struct net_nat_conf *ret, struct qn_why *why)
{
    static const struct {
        const char *word;
        enum net_nat_kind kind;
    } WORDS[] = { { "auto", NET_NAT_AUTO },
                  { "off", NET_NAT_OFF },
                  { "natpmp", NET_NAT_PMP },
                  { "upnp", NET_NAT_UPNP } };
    size_t len = strcspn(text, ":");
    *ret = (struct net_nat_conf){ .kind = NET_NAT_OFF };
    for (size_t i = 0; i < QN_COUNT(WORDS); i++) {
        if (strlen(WORDS[i].word) != len || memcmp(WORDS[i].word, text, len) != 0) continue;
        ret->kind = WORDS[i].kind;
        if (!text[len]) return QN_OK;
        const char *rest = text + len + 1;
        if (ret->kind == NET_NAT_PMP && net_ip_parse(rest, &ret->gateway) &&
            net_ip_is4(&ret->gateway))
            return QN_OK;
        if (ret->kind == NET_NAT_UPNP && strncmp(rest, "http://", 7) == 0 &&
            strlen(rest) < sizeof ret->url && !strpbrk(rest, " \t\r\n\"<>")) {
            snprintf(ret->url, sizeof ret->url, "%s", rest);
            return QN_OK;
        }
    }
    return qn_why(why, QN_E_USAGE,
                  "nat: %.60s is none of auto, off, natpmp, upnp, natpmp:IP, upnp:http://..", text);
}

/* --- NAT-PMP -------------------------------------------------------------------------------------------------- */

bool net_nat_gateway(struct net_ip *ret)
{
    /* Iface Destination Gateway Flags ..: numbers in hex, of the machine's byte order. */
    char line[256], name[32];
    unsigned dest, gw, flags;
    bool found = false;
    FILE *f = fopen("/proc/net/route", "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%31s %x %x %x", name, &dest, &gw, &flags) != 4) continue;
        found = dest == 0 && gw != 0 && (flags & 1);
    }
    if (f) fclose(f);
    if (!found) return false;
    uint8_t b[4];
    memcpy(b, &gw, 4);
    *ret = net_ip4(b[0], b[1], b[2], b[3]);
    return true;
}

static uint64_t mono_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Waits for the answer to what was sent; the library sends again by itself. */
static qn_rc pmp_answer(natpmp_t *p, uint16_t type, natpmpresp_t *ret, struct qn_why *why)
{
    uint64_t end = mono_ms() + PMP_MS;
    for (;;) {
        struct timeval tv;
        uint64_t now = mono_ms();
        if (now >= end) return qn_why(why, QN_E_ABSENT, "no router answers to NAT-PMP");
        if (getnatpmprequesttimeout(p, &tv)) tv = (struct timeval){ 0, 100000 };
        int64_t ms = (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1;
        struct pollfd pfd = { .fd = p->s, .events = POLLIN };
        (void)poll(&pfd, 1, (int)QN_MIN(QN_MAX(ms, (int64_t)1), (int64_t)(end - now)));
        int rc = readnatpmpresponseorretry(p, ret);
        if (rc == NATPMP_TRYAGAIN) continue;
        if (rc == NATPMP_ERR_NOGATEWAYSUPPORT || rc == NATPMP_ERR_RECVFROM)
            return qn_why(why, QN_E_ABSENT, "the router does not speak NAT-PMP");
        if (rc) return qn_why(why, QN_E_REFUSED, "the router refuses NAT-PMP (%d)", rc);
        if (ret->type != type)
            return qn_why(why, QN_E_FORMAT, "the router answers NAT-PMP with nonsense");
        return QN_OK;
    }
}

static qn_rc pmp_begin(natpmp_t *p, const struct net_ip *gateway, struct qn_why *why)
{
    in_addr_t gw;
    memcpy(&gw, gateway->b + 12, 4);
    memset(p, 0, sizeof *p);
    return initnatpmp(p, 1, gw) ? qn_why(why, QN_E_ABSENT, "the router cannot be reached") : QN_OK;
}

static qn_rc pmp_open(const struct net_ip *gateway, uint16_t port, struct net_nat_map *map,
                      struct qn_why *why)
{
    natpmp_t p;
    natpmpresp_t said;
    uint8_t ip[4];
    uint16_t want = map->kind == NET_NAT_PMP ? map->outside.port : port;
    qn_rc rc = pmp_begin(&p, gateway, why);
    if (rc) return rc;
    if (sendpublicaddressrequest(&p) < 0)
        rc = qn_why(why, QN_E_ABSENT, "the router cannot be reached");
    if (!rc) rc = pmp_answer(&p, NATPMP_RESPTYPE_PUBLICADDRESS, &said, why);
    if (rc) goto out;
    memcpy(ip, &said.pnu.publicaddress.addr, 4);
    if (sendnewportmappingrequest(&p, NATPMP_PROTOCOL_TCP, port, want, NET_NAT_LEASE_S) < 0)
        rc = qn_why(why, QN_E_ABSENT, "the router cannot be reached");
    if (!rc) rc = pmp_answer(&p, NATPMP_RESPTYPE_TCPPORTMAPPING, &said, why);
    if (rc) goto out;
    if (said.pnu.newportmapping.privateport != port || !said.pnu.newportmapping.mappedpublicport ||
        !said.pnu.newportmapping.lifetime) {
        rc = qn_why(why, QN_E_FORMAT, "the router maps something else than was asked for");
        goto out;
    }
    *map = (struct net_nat_map){ .kind = NET_NAT_PMP,
                                 .outside = { net_ip4(ip[0], ip[1], ip[2], ip[3]),
                                              said.pnu.newportmapping.mappedpublicport },
                                 .port = port,
                                 .lease_s = said.pnu.newportmapping.lifetime,
                                 .gateway = *gateway };
out:
    closenatpmp(&p);
    return rc;
}

static void pmp_close(const struct net_nat_map *map)
{
    natpmp_t p;
    natpmpresp_t said;
    struct qn_why why;
    if (pmp_begin(&p, &map->gateway, &why)) return;
    if (sendnewportmappingrequest(&p, NATPMP_PROTOCOL_TCP, map->port, 0, 0) >= 0)
        (void)!pmp_answer(&p, NATPMP_RESPTYPE_TCPPORTMAPPING, &said, &why);
    closenatpmp(&p);
}

/* --- UPnP ------------------------------------------------------------------------------------------------------- */

static qn_rc upnp_map(const struct UPNPUrls *urls, const struct IGDdatas *data, const char *lan,
                      uint16_t port, struct net_nat_map *map, struct qn_why *why)
{
    char ip[64] = "", inside[8], outside[8], lease[12];
    struct net_ip seen;
    uint16_t ext = map->kind == NET_NAT_UPNP ? map->outside.port : port;
    uint32_t lease_s = NET_NAT_LEASE_S;
    int said = UPNP_GetExternalIPAddress(urls->controlURL, data->first.servicetype, ip);
    ip[sizeof ip - 1] = 0;
    if (said || !net_ip_parse(ip, &seen))
        return qn_why(why, QN_E_FORMAT, "the router does not tell its address");
    if (strlen(urls->controlURL) >= NET_NAT_TEXT || strlen(data->first.servicetype) >= NET_NAT_TEXT)
        return qn_why(why, QN_E_TOOBIG, "the router's names are too long");
    snprintf(inside, sizeof inside, "%u", port);
    for (int i = 0; i < PORT_TRIES; i++) {
        snprintf(outside, sizeof outside, "%u", ext);
        snprintf(lease, sizeof lease, "%u", lease_s);
        said = UPNP_AddPortMapping(urls->controlURL, data->first.servicetype, outside, inside, lan,
                                   DESCRIPTION, "TCP", NULL, lease);
        if (said == 725) { /* only permanent leases */
            lease_s = 0;
        } else if (said == 718 || said == 729) { /* another has that port */
            ext = (uint16_t)(20000 + (ext * 7919u + port) % 40000);
        } else {
            break;
        }
    }
    if (said) {
        const char *text = strupnperror(said);
        return qn_why(why, QN_E_REFUSED, "the router opens no port: %s", text ? text : "no reason");
    }
    *map = (struct net_nat_map){
        .kind = NET_NAT_UPNP, .outside = { seen, ext }, .port = port, .lease_s = lease_s
    };
    snprintf(map->control, sizeof map->control, "%s", urls->controlURL);
    snprintf(map->service, sizeof map->service, "%s", data->first.servicetype);
    return QN_OK;
}

static qn_rc upnp_open(const char *url, uint16_t port, struct net_nat_map *map, struct qn_why *why)
{
    struct UPNPUrls urls = { 0 };
    struct IGDdatas data = { 0 };
    char lan[64] = "";
    int err = 0;
    struct UPNPDev *found = *url ? NULL : upnpDiscover(SEARCH_MS, NULL, NULL, 0, 0, 2, &err);
    int got = *url    ? UPNP_GetIGDFromUrl(url, &urls, &data, lan, sizeof lan)
              : found ? UPNP_GetValidIGD(found, &urls, &data, lan, sizeof lan)
                      : 0;
    freeUPNPDevlist(found);
    qn_rc rc = QN_OK;
    if (got < 1 || got > 2 || !urls.controlURL) /* 3: something that opens no ports */
        rc = qn_why(why, QN_E_ABSENT, "no router answers to UPnP");
    if (!rc) rc = upnp_map(&urls, &data, lan, port, map, why);
    FreeUPNPUrls(&urls);
    return rc;
}

static void upnp_close(const struct net_nat_map *map)
{
    char outside[8];
    snprintf(outside, sizeof outside, "%u", map->outside.port);
    UPNP_DeletePortMapping(map->control, map->service, outside, "TCP", NULL);
}

/* --- either ------------------------------------------------------------------------------------------------------- */

qn_rc net_nat_open(const struct net_nat_conf *conf, uint16_t port, struct net_nat_map *map,
                   struct qn_why *why)
{
    static const struct net_ip NONE;
    struct net_ip gateway = conf->gateway;
    qn_rc rc = QN_E_ABSENT;
    switch (conf->kind) {
    case NET_NAT_OFF: return qn_why(why, QN_E_ABSENT, "switched off");
    case NET_NAT_AUTO:
    case NET_NAT_PMP:
        if (net_ip_eq(&gateway, &NONE))
            rc = qn_why(why, QN_E_ABSENT, "there is no way out of this machine");
        else
            rc = pmp_open(&gateway, port, map, why);
        if (rc == QN_OK || conf->kind == NET_NAT_PMP) return rc;
        return upnp_open("", port, map, why);
    case NET_NAT_UPNP: return upnp_open(conf->url, port, map, why);
    }
    return rc;
}

void net_nat_close(struct net_nat_map *map)
{
    if (map->kind == NET_NAT_PMP) pmp_close(map);
    if (map->kind == NET_NAT_UPNP) upnp_close(map);
    map->kind = NET_NAT_OFF;
}
