/* test_client.c - answers that lie about their length, or never end. */
#include "core/http/client.h"

#include "core/base/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Asks a server, of a process of its own, that answers so and hangs up. */
static qn_rc ask(const char *answer, int *ret_status, struct qn_buf *ret_body)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof sin;
    char where[64], got[4096];
    struct qn_why why;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    QN_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)(void *)&sin, sizeof sin) == 0 &&
              listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)(void *)&sin, &len) == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int c = accept(fd, NULL, NULL);
        (void)!recv(c, got, sizeof got, 0);
        (void)!send(c, answer, strlen(answer), MSG_NOSIGNAL);
        _exit(0);
    }
    close(fd);
    snprintf(where, sizeof where, "http://127.0.0.1:%u", ntohs(sin.sin_port));
    qn_rc rc = qn_http_ask(where, "GET", "/", NULL, QN_SPAN(NULL, 0), 5000, ret_status, NULL,
                           ret_body, &why);
    waitpid(pid, NULL, 0);
    return rc;
}

static void test_lengths(struct qn_test_state *t)
{
    static const struct {
        const char *answer;
        qn_rc rc;
        size_t len;
    } CASES[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", QN_OK, 5 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello", QN_OK, 3 },
        { "HTTP/1.1 200 OK\r\n\r\nhello", QN_OK, 5 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", QN_E_FORMAT, 0 },
        { "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello", QN_E_TOOBIG, 0 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello", QN_E_TOOBIG, 0 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551570\r\n\r\nhello", QN_E_TOOBIG, 0 },
        { "HTTP/1.1 200 OK\r\n", QN_E_FORMAT, 0 },
        { "SSH-2.0-OpenSSH_9.2\r\n\r\n", QN_E_FORMAT, 0 },
        { "\r\n\r\n", QN_E_FORMAT, 0 },
    };
    for (size_t i = 0; i < QN_COUNT(CASES); i++) {
        struct qn_buf body = { 0 };
        int status = 0;
        CHECK_RC(ask(CASES[i].answer, &status, &body), CASES[i].rc);
        CHECK(body.len == CASES[i].len && (CASES[i].rc || status == 200));
        qn_buf_free(&body);
    }
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_lengths);
    return TEST_END();
}
