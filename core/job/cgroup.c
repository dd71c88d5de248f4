/* cgroup.c - groups of cgroup v2 below our own, or of v1's memory and pids controllers. */
#include "core/job/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNT   "/sys/fs/cgroup"
#define PID_MAX "512"

static const char *const V1[] = { MOUNT "/memory", MOUNT "/pids" };
static const char *const V1_LIMIT[] = { "memory.limit_in_bytes", "pids.max" };

static bool put(const char *dir, const char *file, const char *text)
{
    char path[800];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text);
}

static bool get(const char *dir, const char *file, char *dst, size_t dst_len)
{
    char path[800];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, dst, dst_len - 1);
    close(fd);
    dst[n > 0 ? n : 0] = 0;
    return n > 0;
}

void cgroup_find(struct cgroup_base *ret)
{
    char text[4096], leaf[600], procs[64];
    ret->path[0] = 0;
    ret->v1 = access(MOUNT "/memory/tasks", W_OK) == 0 && access(MOUNT "/pids/tasks", W_OK) == 0;
    if (!get(MOUNT, "cgroup.controllers", text, sizeof text)) return; /* v1 or hybrid */
    if (!get("/proc/self", "cgroup", text, sizeof text)) return;
    char *own = strncmp(text, "0::", 3) == 0 ? text + 3 : NULL;
    if (!own) return;
    own[strcspn(own, "\n")] = 0;
    char base[512];
    if (snprintf(base, sizeof base, MOUNT "%s", strcmp(own, "/") == 0 ? "" : own) >=
        (int)sizeof base)
        return;
    /* A group with children may hold no process itself, so the node moves to a leaf. Only where it is
     * alone: moving others, or leaving a login session's group, is not ours to do. */
    snprintf(procs, sizeof procs, "%d\n", (int)getpid());
    if (!get(base, "cgroup.procs", text, sizeof text) || strcmp(text, procs) != 0) return;
    snprintf(leaf, sizeof leaf, "%s/node", base);
    if (mkdir(leaf, 0755) && errno != EEXIST) return;
    if (!put(leaf, "cgroup.procs", procs)) {
        rmdir(leaf);
        return;
    }
    if (!put(base, "cgroup.subtree_control", "+memory +cpu +pids")) {
        (void)put(base, "cgroup.procs", procs);
        rmdir(leaf);
        return;
    }
    snprintf(ret->path, sizeof ret->path, "%s", base);
}

static void make_v1(const char *name, pid_t pid, const struct qn_job_limits *limits,
                    struct cgroup *ret)
{
    char mem[32], who[16];
    snprintf(mem, sizeof mem, "%llu", (unsigned long long)limits->mem_mib << 20);
    snprintf(who, sizeof who, "%d", (int)pid);
    for (size_t i = 0; i < QN_COUNT(V1); i++) {
        char *dir = ret->v1[i];
        snprintf(dir, sizeof ret->v1[i], "%s/quoin-job-%.16s", V1[i], name);
        if (mkdir(dir, 0755)) {
            dir[0] = 0;
            continue;
        }
        if (!put(dir, V1_LIMIT[i], i == 0 ? mem : PID_MAX) || !put(dir, "cgroup.procs", who)) {
            rmdir(dir);
            dir[0] = 0;
        }
    }
}

static bool count_is(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at && strtoul(at + strlen(word), NULL, 10) > 0;
}

static bool end_v1(struct cgroup *group)
{
    char text[256];
    bool oom = group->v1[0][0] && get(group->v1[0], "memory.oom_control", text, sizeof text) &&
               count_is(text, "oom_kill ");
    for (size_t i = 0; i < QN_COUNT(V1); i++) {
        for (int n = 0; n < 20 && group->v1[i][0] && rmdir(group->v1[i]) && errno == EBUSY; n++)
            usleep(1000);
        group->v1[i][0] = 0;
    }
    return oom;
}

void cgroup_make(const struct cgroup_base *base, const char *name, pid_t pid,
                 const struct qn_job_limits *limits, struct cgroup *ret)
{
    char text[64];
    *ret = (struct cgroup){ 0 };
    if (base->v1) make_v1(name, pid, limits, ret);
    if (!base->path[0]) return;
    struct cgroup group = *ret;
    snprintf(group.path, sizeof group.path, "%s/job-%.16s", base->path, name);
    if (mkdir(group.path, 0755)) return;
    snprintf(text, sizeof text, "%llu", (unsigned long long)limits->mem_mib << 20);
    bool ok = put(group.path, "memory.max", text) && put(group.path, "memory.swap.max", "0");
    (void)put(group.path, "memory.oom.group", "1");
    (void)put(group.path, "pids.max", PID_MAX);
    snprintf(text, sizeof text, "%u 100000", limits->cpu_cnt * 100000);
    (void)put(group.path, "cpu.max", text);
    snprintf(text, sizeof text, "%d", (int)pid);
    if (ok && put(group.path, "cgroup.procs", text))
        *ret = group;
    else
        rmdir(group.path);
}

bool cgroup_end(struct cgroup *group)
{
    char text[1024];
    bool oom = end_v1(group);
    if (!group->path[0]) return oom;
    (void)put(group->path, "cgroup.kill", "1");
    if (get(group->path, "memory.events", text, sizeof text))
        oom = oom || count_is(text, "oom_kill ");
    for (int i = 0; i < 20 && rmdir(group->path) && errno == EBUSY; i++)
        usleep(1000);
    group->path[0] = 0;
    return oom;
}
