/* bench_http.c - HTTP calls a second of a whole node (QUOIN), one connection, over the socket and over loopback with the cookie. */
#include "core/env/env.h"
#include "core/http/client.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 5000 };

static double seconds(uint64_t since_us)
{
    return (double)(qn_env_mono_us(qn_env_real()) - since_us) / 1e6;
}

/* One answer: head, then as many bytes as it says. */
static bool answer(int fd)
{
    char buf[65536];
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, buf + len, sizeof buf - 1 - len);
        if (n <= 0) return false;
        len += (size_t)n;
        buf[len] = 0;
        char *end = strstr(buf, "\r\n\r\n"), *size = strcasestr(buf, "content-length:");
        if (end && size && len >= (size_t)(end - buf) + 4 + strtoul(size + 15, NULL, 10))
            return strncmp(buf, "HTTP/1.1 200", 12) == 0;
    }
}

static double rate(int fd, const char *request)
{
    uint64_t begin = qn_env_mono_us(qn_env_real());
    for (unsigned i = 0; i < CALLS; i++)
        if (write(fd, request, strlen(request)) != (ssize_t)strlen(request) || !answer(fd))
            return 0;
    return CALLS / seconds(begin);
}

static void show(const char *name, double value)
{
    printf("{\"name\":\"HTTP %s\",\"value\":%.0f,\"unit\":\"calls/s\"}\n", name, value);
}

int main(void)
{
    char home[] = "/tmp/quoin-bench-XXXXXX", path[128], cmd[64], request[512];
    const char *quoin = getenv("QUOIN");
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct qn_buf cookie = { 0 }, api = { 0 };
    QN_ASSERT(mkdtemp(home) != NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execl(quoin ? quoin : "build/quoin", "quoin", "up", "--home", home, "--api", "127.0.0.1:0",
              "-q", (char *)NULL);
        _exit(127);
    }
    snprintf(path, sizeof path, "%s/api", home);
    for (unsigned i = 0; i < 400 && access(path, F_OK); i++)
        usleep(25000);
    usleep(200000);
    bool ok = qn_file_read(path, 64, &api, NULL) == QN_OK;
    snprintf(path, sizeof path, "%s/cookie", home);
    ok = ok && qn_file_read(path, 80, &cookie, NULL) == QN_OK;
    if (ok) {
        qn_buf_u8(&api, 0);
        sin.sin_port = htons((uint16_t)strtoul(strchr((char *)api.ptr, ':') + 1, NULL, 10));
        snprintf(sun.sun_path, sizeof sun.sun_path, "%s/api.sock", home);
        int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
        ok = connect(a, (struct sockaddr *)(void *)&sun, sizeof sun) == 0 &&
             connect(b, (struct sockaddr *)(void *)&sin, sizeof sin) == 0;
        if (ok) {
            double live = rate(b, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            show("/livez over loopback", live);
            show("account.get over the socket",
                 rate(a, "GET /v1/account/get?id=11111111111111111111111111111111111111111111111111"
                         "00000000000000 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            snprintf(request, sizeof request,
                     "GET /v1/node/status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
                     "%.64s\r\n\r\n",
                     (char *)cookie.ptr);
            show("node.status over loopback", rate(b, request));
        }
        close(a);
        close(b);
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    qn_buf_free(&api);
    qn_buf_free(&cookie);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    return system(cmd) != 0 || !ok;
}
