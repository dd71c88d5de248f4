/* fuzz_request.c - any bytes a client may write to the API's socket: each request is answered or cut off, none is kept. */
#include "core/http/server.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void handle(void *arg, struct qn_http_req *req, const char *method, const char *path,
                   const char *query, struct qn_span body, bool owner)
{
    (void)arg;
    QN_ASSERT(body.len <= QN_HTTP_BODY_MAX);
    char text[64];
    snprintf(text, sizeof text, "%zu %zu %zu %d\n", strlen(method), strlen(path),
             query ? strlen(query) : 0, owner);
    qn_http_reply(req, 200, "text/plain", QN_SPAN_STR(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_base *base = event_base_new();
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct qn_http *http = NULL;
    struct qn_why why;
    char drain[4096];
    snprintf(sun.sun_path, sizeof sun.sun_path, "/tmp/quoin-fuzz-http-%d", (int)getpid());
    struct qn_http_conf conf = {
        .base = base, .socket = sun.sun_path, .cookie = "00", .handle = handle
    };
    QN_ASSERT(base && qn_http_open(&conf, &http, &why) == QN_OK);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)(void *)&sun, sizeof sun) == 0 &&
        send(fd, data, QN_MIN(size, (size_t)65536), MSG_NOSIGNAL) >= 0) {
        shutdown(fd, SHUT_WR);
        for (unsigned i = 0; i < 6; i++) {
            event_base_loop(base, EVLOOP_NONBLOCK);
            while (recv(fd, drain, sizeof drain, MSG_DONTWAIT) > 0) {
            }
        }
    }
    close(fd);
    event_base_loop(base, EVLOOP_NONBLOCK);
    qn_http_close(http);
    event_base_free(base);
    return 0;
}
