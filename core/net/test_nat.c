/* test_nat.c - ports opened by routers on loopback that do it well, badly, or mean harm: what is learnt, what is given back, and that nothing
 * a router says stops or feeds the node. */
#include "core/net/nat.h"

#include "core/base/test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- a router ------------------------------------------------------------------------------------------------------ */

enum how {
    GOOD,
    SHORT_LEASE, /* renewed after two seconds */
    REFUSE,
    WRONG,   /* maps another port than was asked for, tells an address that is none */
    GARBAGE, /* bytes without sense, and many */
    HUGE,    /* an answer without an end */
    DRIP,    /* a byte a second */
    SILENT,
    CONFLICT, /* UPnP: the port is another's; then only for ever */
    HOW_CNT
};
static const char *const HOW[HOW_CNT] = { "good", "short", "refuse", "wrong",   "garbage",
                                          "huge", "drip",  "silent", "conflict" };

struct router {
    enum how how;
    int udp, tcp, ssdp, out; /* out: a line for each thing done */
    char ip[32];
    unsigned port, maps, adds;
};

QN_PRINTF(2, 3)
static void tell(const struct router *r, const char *fmt, ...)
{
    char line[200];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    (void)!write(r->out, line, (size_t)len);
}

static void pmp(struct router *r)
{
    uint8_t in[64], out[16] = { 0 };
    static uint8_t noise[60000];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    ssize_t n = recvfrom(r->udp, in, sizeof in, 0, (struct sockaddr *)&from, &len);
    if (n < 2 || r->how == SILENT || r->how == DRIP) return;
    out[1] = in[1] | 128;
    size_t size = in[1] == 0 ? 12 : 16;
    if (in[1] == 0) memcpy(out + 8, (uint8_t[4]){ 5, 6, 7, 8 }, 4);
    if (in[1] != 0) {
        memcpy(out + 8, in + 4, 4); /* inside, outside */
        uint32_t lease =
            (uint32_t)in[8] << 24 | (uint32_t)in[9] << 16 | (uint32_t)in[10] << 8 | in[11];
        if (lease == 0)
            tell(r, "closed\n");
        else
            tell(r, "opened %u\n", ++r->maps);
        memcpy(out + 12, in + 8, 4);
        if (r->how == SHORT_LEASE && lease) memcpy(out + 12, (uint8_t[4]){ 0, 0, 0, 4 }, 4);
        if (r->how == WRONG) out[9] ^= 1;
    }
    if (r->how == REFUSE) out[3] = 2;
    if (r->how == GARBAGE || r->how == HUGE) {
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)(i * 31);
        size_t big = r->how == HUGE ? sizeof noise : 7;
        sendto(r->udp, noise, big, 0, (struct sockaddr *)&from, len);
        return;
    }
    sendto(r->udp, out, size, 0, (struct sockaddr *)&from, len);
}

static const char ROOT[] =
    "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device>"
    "<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</"
    "deviceType><deviceList><device>"
    "<deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><serviceList><service>"
    "<serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>"
    "<controlURL>/cif</controlURL><eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL></service>"
    "</serviceList><deviceList><device>"
    "<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</"
    "deviceType><serviceList><service>"
    "<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
    "<controlURL>/ctl</controlURL><eventSubURL>/evt</eventSubURL><SCPDURL>/scpd</SCPDURL>"
    "</service></serviceList></device></deviceList></device></deviceList></device></root>";

static void http_put(int fd, int status, const char *body)
{
    char head[200];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d X\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n",
                     status, strlen(body));
    (void)!send(fd, head, (size_t)n, MSG_NOSIGNAL);
    (void)!send(fd, body, strlen(body), MSG_NOSIGNAL);
}

static void soap(int fd, const char *verb, const char *inner)
{
    char body[900];
    snprintf(
        body, sizeof body,
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">"
        "<s:Body><u:%sResponse xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">%s"
        "</u:%sResponse></s:Body></s:Envelope>",
        verb, inner, verb);
    http_put(fd, 200, body);
}

static void soap_error(int fd, int code)
{
    char body[600];
    snprintf(
        body, sizeof body,
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">"
        "<s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring>"
        "<detail><UPnPError><errorCode>%d</errorCode></UPnPError></detail></s:Fault></s:Body>"
        "</s:Envelope>",
        code);
    http_put(fd, 500, body);
}

/* A body that does not end: as fast as it is taken, or a byte a second. */
static void http_flood(int fd, bool drip)
{
    static char lots[65536];
    memset(lots, '<', sizeof lots);
    static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<root>";
    (void)!send(fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL);
    for (;;) {
        if (drip) sleep(1);
        if (send(fd, lots, drip ? 1 : sizeof lots, MSG_NOSIGNAL) <= 0) return;
    }
}

static void http_add(struct router *r, int fd, const char *request)
{
    const char *lease = strstr(request, "<NewLeaseDuration>");
    bool for_ever = lease && lease[18] == '0';
    r->adds++;
    if (r->how == REFUSE) {
        soap_error(fd, 606);
    } else if (r->how == CONFLICT && r->adds == 1) {
        soap_error(fd, 718);
    } else if (r->how == CONFLICT && !for_ever) {
        soap_error(fd, 725);
    } else {
        tell(r, "opened %u\n", ++r->maps);
        soap(fd, "AddPortMapping", "");
    }
}

static void http(struct router *r)
{
    char request[8192];
    size_t len = 0;
    int fd = accept(r->tcp, NULL, NULL);
    const struct timeval tv = { 2, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    for (;;) { /* to the end of the head, and of a body that has an envelope */
        ssize_t n = recv(fd, request + len, sizeof request - 1 - len, 0);
        if (n <= 0) break;
        len += (size_t)n;
        request[len] = 0;
        if (strncmp(request, "GET", 3) == 0
                ? strstr(request, "\r\n\r\n") != NULL
                : strstr(request, "Envelope>\r") || strstr(request, ":Envelope>"))
            break;
    }
    request[len] = 0;
    if (r->how == HUGE || r->how == DRIP) {
        http_flood(fd, r->how == DRIP);
    } else if (r->how == GARBAGE) {
        http_put(fd, 200, "<root><device><<<&&&\"'>>></root></root></root><controlURL>");
    } else if (r->how != SILENT && strncmp(request, "GET", 3) == 0) {
        http_put(fd, 200, ROOT);
    } else if (strstr(request, "#GetStatusInfo")) {
        soap(fd, "GetStatusInfo",
             "<NewConnectionStatus>Connected</NewConnectionStatus><NewUptime>9</NewUptime>");
    } else if (strstr(request, "#GetExternalIPAddress")) {
        soap(fd, "GetExternalIPAddress",
             r->how == WRONG ? "<NewExternalIPAddress>999.1.1.1.1</NewExternalIPAddress>"
                             : "<NewExternalIPAddress>5.6.7.9</NewExternalIPAddress>");
    } else if (strstr(request, "#AddPortMapping")) {
        http_add(r, fd, request);
    } else if (strstr(request, "#DeletePortMapping")) {
        tell(r, "closed\n");
        soap(fd, "DeletePortMapping", "");
    }
    close(fd);
}

static void ssdp(struct router *r)
{
    char in[2000], out[400];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    ssize_t n = recvfrom(r->ssdp, in, sizeof in - 1, 0, (struct sockaddr *)&from, &len);
    if (n <= 0) return;
    in[n] = 0;
    if (strncmp(in, "M-SEARCH", 8) != 0) return;
    int size =
        snprintf(out, sizeof out,
                 "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                 "USN: uuid:1::urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                 "EXT:\r\nCACHE-CONTROL: max-age=120\r\nLOCATION: http://%s:%u/root.xml\r\n\r\n",
                 r->ip, r->port);
    sendto(r->ssdp, out, (size_t)size, 0, (struct sockaddr *)&from, len);
}

static int bound(int type, const char *ip, unsigned port, unsigned *ret_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    socklen_t len = sizeof a;
    const int on = 1;
    int fd = socket(AF_INET, type, 0);
    inet_pton(AF_INET, ip, &a.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        return -1;
    }
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void router_open(struct router *r, bool with_ssdp)
{
    unsigned unused;
    r->udp = bound(SOCK_DGRAM, r->ip, 5351, &unused);
    r->tcp = bound(SOCK_STREAM, r->ip, 0, &r->port);
    if (r->tcp >= 0) listen(r->tcp, 8);
    r->ssdp = -1;
    if (!with_ssdp) return;
    struct ip_mreq group = { 0 };
    inet_pton(AF_INET, "239.255.255.250", &group.imr_multiaddr);
    inet_pton(AF_INET, "127.0.0.1", &group.imr_interface);
    r->ssdp = bound(SOCK_DGRAM, "239.255.255.250", 1900, &unused);
    if (r->ssdp >= 0) setsockopt(r->ssdp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
}

static _Noreturn void router_run(struct router *r)
{
    for (;;) {
        struct pollfd p[3] = { { .fd = r->udp, .events = POLLIN },
                               { .fd = r->tcp, .events = POLLIN },
                               { .fd = r->ssdp, .events = POLLIN } };
        poll(p, 3, -1);
        if (p[0].revents) pmp(r);
        if (p[1].revents) http(r);
        if (p[2].revents) ssdp(r);
    }
}

/* --- the node's side -------------------------------------------------------------------------------------------------- */

struct end {
    struct router router;
    pid_t pid;
    int in; /* what the router tells */
    char told[4000];
    size_t told_len;
    struct qn_nat *nat;
    uint32_t open, gone;
    struct net_addr outside;
};

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void changed(void *arg, const struct net_addr *outside)
{
    struct end *e = arg;
    ++*(outside ? &e->open : &e->gone);
    if (outside) e->outside = *outside;
}

static void end_open(struct qn_test_state *t, struct event_base *base, struct end *e, enum how how,
                     bool upnp, unsigned idx)
{
    int pipes[2];
    char text[100];
    struct qn_nat_conf conf = { .base = base,
                                .env = qn_env_real(),
                                .port = (uint16_t)(30000 + idx),
                                .changed = changed,
                                .arg = e };
    CHECK(pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == 0);
    e->router.how = how;
    e->router.out = pipes[1];
    e->in = pipes[0];
    snprintf(e->router.ip, sizeof e->router.ip, "127.0.7.%u", idx + 1);
    router_open(&e->router, false);
    CHECK(e->router.udp >= 0 && e->router.tcp >= 0);
    e->pid = fork();
    if (e->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        router_run(&e->router);
    }
    close(e->router.udp);
    close(e->router.tcp);
    close(pipes[1]);
    if (upnp)
        snprintf(text, sizeof text, "upnp:http://%s:%u/root.xml", e->router.ip, e->router.port);
    else
        snprintf(text, sizeof text, "natpmp:%s", e->router.ip);
    CHECK_RC(net_nat_parse(text, &conf.how, NULL), QN_OK);
    e->nat = qn_nat_open(&conf);
}

static const char *told(struct end *e)
{
    ssize_t n = read(e->in, e->told + e->told_len, sizeof e->told - 1 - e->told_len);
    if (n > 0) e->told_len += (size_t)n;
    return e->told;
}

static void end_close(struct end *e)
{
    qn_nat_close(e->nat);
    told(e);
    kill(e->pid, SIGKILL);
    waitpid(e->pid, NULL, 0);
    close(e->in);
}

static bool settled(const struct end *e)
{
    return strcmp(qn_nat_text(e->nat), "asking the router") != 0;
}

static void test_routers(struct qn_test_state *t)
{
    struct event_base *base = event_base_new();
    struct end e[2][HOW_CNT] = { 0 };
    /* The two slow ones cost their twenty seconds; all run at once. */
    for (unsigned how = 0; how < HOW_CNT; how++)
        for (unsigned upnp = 0; upnp < 2; upnp++)
            end_open(t, base, &e[upnp][how], (enum how)how, upnp, how * 2 + upnp);
    uint64_t end = now_ms() + 60000;
    bool all = false;
    while (!all && now_ms() < end) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        usleep(2000);
        all = true;
        for (unsigned how = 0; how < HOW_CNT; how++)
            all = all && settled(&e[0][how]) && settled(&e[1][how]);
        all = all && strstr(told(&e[0][SHORT_LEASE]), "opened 2");
    }
    CHECK(all);
    for (unsigned how = 0; how < HOW_CNT; how++)
        for (unsigned upnp = 0; upnp < 2; upnp++) {
            const struct end *one = &e[upnp][how];
            bool good = how == GOOD || how == SHORT_LEASE || (how == CONFLICT);
            if (one->open != good || one->gone)
                printf("%s by %s: %s\n", HOW[how], upnp ? "UPnP" : "NAT-PMP",
                       qn_nat_text(one->nat));
            CHECK(one->open == good && one->gone == 0);
        }
    struct net_ip pmp_ip = net_ip4(5, 6, 7, 8), upnp_ip = net_ip4(5, 6, 7, 9);
    CHECK(net_ip_eq(&e[0][GOOD].outside.ip, &pmp_ip) && e[0][GOOD].outside.port == 30000);
    CHECK(net_ip_eq(&e[1][GOOD].outside.ip, &upnp_ip) && e[1][GOOD].outside.port == 30001);
    CHECK(e[1][CONFLICT].outside.port >= 20000 &&
          e[1][CONFLICT].outside.port != 30000 + CONFLICT * 2 + 1);
    for (unsigned how = 0; how < HOW_CNT; how++)
        for (unsigned upnp = 0; upnp < 2; upnp++) {
            struct end *one = &e[upnp][how];
            end_close(one);
            if (one->open) CHECK(strstr(one->told, "closed") != NULL);
        }
    event_base_free(base);
}

static void test_words(struct qn_test_state *t)
{
    struct net_nat_conf c;
    struct qn_why why;
    CHECK_RC(net_nat_parse("auto", &c, &why), QN_OK);
    CHECK(c.kind == NET_NAT_AUTO && !c.url[0]);
    CHECK_RC(net_nat_parse("off", &c, &why), QN_OK);
    CHECK_RC(net_nat_parse("natpmp:192.168.1.1", &c, &why), QN_OK);
    CHECK(c.kind == NET_NAT_PMP && c.gateway.b[15] == 1);
    CHECK_RC(net_nat_parse("upnp:http://192.168.1.1:5000/root.xml", &c, &why), QN_OK);
    static const char *const BAD[] = { "",
                                       "on",
                                       "natpmp:",
                                       "natpmp:router",
                                       "natpmp:::1",
                                       "upnp:ftp://a",
                                       "upnp:http://a b",
                                       "off:1",
                                       "auto:1.2.3.4",
                                       "AUTO" };
    for (size_t i = 0; i < QN_COUNT(BAD); i++)
        CHECK_RC(net_nat_parse(BAD[i], &c, &why), QN_E_USAGE);
}

/* For tests/e2e/nat.sh: `test_nat router HOW IP` is a router that is found by SSDP as well. */
static int router_main(const char *how, const char *ip)
{
    struct router r = { .out = STDOUT_FILENO };
    for (int i = 0; i < HOW_CNT; i++)
        if (strcmp(HOW[i], how) == 0) r.how = (enum how)i;
    snprintf(r.ip, sizeof r.ip, "%s", ip);
    router_open(&r, true);
    tell(&r, "http://%s:%u/root.xml\n", r.ip, r.port);
    router_run(&r);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "worker") == 0) return qn_nat_main();
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return 1;
    if (argc == 4 && strcmp(argv[1], "router") == 0) return router_main(argv[2], argv[3]);
    TEST_BEGIN();
    TEST(test_words);
    TEST(test_routers);
    return TEST_END();
}
