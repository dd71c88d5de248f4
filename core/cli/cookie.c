/* cookie.c - from an address to the cookie: whose socket listens there, and which home that process has locked. Who may not read the cookie's file
 * gets none, so nothing is found that its owner would not give. */
#include "core/cli/cookie.h"

#include "core/env/env.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTENING 0x0a /* of /proc/net/tcp */

static void read_word(const char *home, const char *file, char *dst, size_t max)
{
    char path[4200];
    struct qn_buf buf = { 0 };
    snprintf(path, sizeof path, "%.4000s/%s", home, file);
    if (qn_file_read(path, max - 1, &buf, NULL) == QN_OK)
        snprintf(dst, max, "%.*s", (int)buf.len, (const char *)buf.ptr);
    else
        dst[0] = 0;
    qn_buf_free(&buf);
}

void qn_cookie_of(const char *home, const char *address, char dst[QN_COOKIE_MAX])
{
    char listens[64];
    read_word(home, "api", listens, sizeof listens);
    dst[0] = 0;
    if (!address || strcmp(listens, address) == 0) read_word(home, "cookie", dst, QN_COOKIE_MAX);
}

/* The inode of the socket that listens at 127.0.0.1:port, 0: none does. */
static unsigned long listener(unsigned port)
{
    FILE *in = fopen("/proc/net/tcp", "re");
    char line[256];
    unsigned long found = 0;
    while (in && !found && fgets(line, sizeof line, in)) {
        unsigned ip, at, state;
        unsigned long inode;
        if (sscanf(line, "%*s %x:%x %*s %x %*s %*s %*s %*s %*s %lu", &ip, &at, &state, &inode) ==
                4 &&
            ip == 0x0100007f && at == port && state == LISTENING)
            found = inode;
    }
    if (in) fclose(in);
    return found;
}

/* Whether process pid holds that socket; home: the folder whose `lock` it holds. */
static bool holds(const char *pid, const char *socket, char home[4096])
{
    char dir[64], path[400], to[4096];
    bool is = false;
    snprintf(dir, sizeof dir, "/proc/%.20s/fd", pid);
    DIR *fds = opendir(dir); /* NULL: another user's */
    home[0] = 0;
    for (const struct dirent *e; fds && (e = readdir(fds));) {
        snprintf(path, sizeof path, "%s/%.255s", dir, e->d_name);
        ssize_t n = readlink(path, to, sizeof to - 1);
        if (n <= 5) continue;
        to[n] = 0;
        if (strcmp(to, socket) == 0) is = true;
        if (strcmp(to + n - 5, "/lock") == 0) snprintf(home, 4096, "%.*s", (int)n - 5, to);
    }
    if (fds) closedir(fds);
    return is && home[0];
}

void qn_cookie_find(const char *address, char dst[QN_COOKIE_MAX])
{
    char socket[64], home[4096];
    const char *colon = strrchr(address, ':');
    unsigned long inode = colon && strncmp(address, "127.0.0.1:", 10) == 0
                              ? listener((unsigned)strtoul(colon + 1, NULL, 10))
                              : 0;
    dst[0] = 0;
    DIR *proc = inode ? opendir("/proc") : NULL;
    snprintf(socket, sizeof socket, "socket:[%lu]", inode);
    for (const struct dirent *e; proc && !dst[0] && (e = readdir(proc));)
        if (isdigit((unsigned char)e->d_name[0]) && holds(e->d_name, socket, home))
            qn_cookie_of(home, address, dst);
    if (proc) closedir(proc);
}
