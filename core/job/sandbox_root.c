/* sandbox_root.c - the root a worker sees: a small file system in memory with only its own folder
 * writable; and landlock, which walls files off where there can be no such root. */
#include "core/job/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a command sees of the host, read-only. Merged-usr machines have links here: they are copied. */
static const char *const HOST_DIRS[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64" };
static const char *const HOST_FILES[] = { "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime",
                                          "/etc/alternatives" };
static const char *const DEVICES[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                       "/dev/urandom" };

static qn_rc failed(struct qn_why *why, const char *what, const char *path)
{
    return qn_why(why, QN_E_SYSTEM, "%s %s: %s", what, path, strerror(errno));
}

/* bind shows from at to (below the new root), with flags. */
static qn_rc bind(const char *from, const char *to, unsigned long flags, struct qn_why *why)
{
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL)) return failed(why, "bind", from);
    if (flags && mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | flags, NULL))
        return failed(why, "remount", to);
    return QN_OK;
}

static qn_rc text_file(const char *path, const char *text, struct qn_why *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return failed(why, "make", path);
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text) ? QN_OK : failed(why, "write", path);
}

static qn_rc host_path(const char *path, unsigned long flags, struct qn_why *why)
{
    struct stat st;
    char link[256];
    const char *to = path + 1;          /* the working folder is the new root */
    if (lstat(path, &st)) return QN_OK; /* not every machine has each */
    if (S_ISLNK(st.st_mode) && strncmp(path, "/etc/", 5) != 0) {
        ssize_t n = readlink(path, link, sizeof link - 1);
        if (n < 0) return failed(why, "read link", path);
        link[n] = 0;
        return symlink(link, to) ? failed(why, "link", path) : QN_OK;
    }
    if (stat(path, &st)) return QN_OK;
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(to, 0755)) return failed(why, "make", path);
    } else {
        qn_rc rc = text_file(to, "", why);
        if (rc) return rc;
    }
    return bind(path, to, flags, why);
}

/* What a command needs beyond an empty root. The rest of /etc stays out: it may hold secrets. */
static qn_rc command_root(const struct wire_hello *hello, struct qn_why *why)
{
    char opts[64];
    qn_rc rc = QN_OK;
    if (mkdir("etc", 0755) || mkdir("dev", 0755) || mkdir("proc", 0755) || mkdir("tmp", 0755))
        return failed(why, "make", "etc, dev, proc, tmp");
    for (size_t i = 0; i < QN_COUNT(HOST_DIRS) && rc == QN_OK; i++)
        rc = host_path(HOST_DIRS[i], MS_RDONLY | MS_NOSUID | MS_NODEV, why);
    for (size_t i = 0; i < QN_COUNT(HOST_FILES) && rc == QN_OK; i++)
        rc = host_path(HOST_FILES[i], MS_RDONLY | MS_NOSUID | MS_NODEV, why);
    for (size_t i = 0; i < QN_COUNT(DEVICES) && rc == QN_OK; i++)
        rc = host_path(DEVICES[i], 0, why);
    if (rc == QN_OK) rc = text_file("etc/passwd", "user:x:1000:1000::/tmp:/bin/sh\n", why);
    if (rc == QN_OK) rc = text_file("etc/group", "user:x:1000:\n", why);
    if (rc == QN_OK) rc = text_file("etc/hosts", "127.0.0.1 localhost\n", why);
    if (rc) return rc;
    snprintf(opts, sizeof opts, "mode=0700,size=%llum",
             (unsigned long long)QN_MIN(hello->file_mib, 256u));
    if (mount("tmp", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, opts))
        return failed(why, "mount", "/tmp");
    if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL))
        fprintf(stderr, "sandbox: no /proc: %s\n", strerror(errno));
    else if (symlink("/proc/self/fd", "dev/fd") || symlink("/proc/self/fd/0", "dev/stdin") ||
             symlink("/proc/self/fd/1", "dev/stdout") || symlink("/proc/self/fd/2", "dev/stderr"))
        return failed(why, "link", "/dev/fd");
    return QN_OK;
}

qn_rc sandbox_root(const struct wire_hello *hello, struct sandbox *box, struct qn_why *why)
{
    char out[64];
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) return failed(why, "private", "/");
    int fd =
        open(hello->out, O_PATH | O_DIRECTORY | O_CLOEXEC); /* /tmp, which hides it, comes next */
    if (fd < 0) return failed(why, "open", hello->out);
    snprintf(out, sizeof out, "/proc/self/fd/%d", fd);
    qn_rc rc = QN_OK;
    if (mount("root", "/tmp", "tmpfs", MS_NOSUID, "mode=0755,size=1m,nr_inodes=256") ||
        chdir("/tmp") || mkdir("out", 0755) || mkdir("fd", 0755))
        rc = failed(why, "make", "the new root");
    /* fd/ shows this process's own descriptors and nothing else of /proc: inputs are opened there by
     * number, also those that live in memory and have no path. */
    if (rc == QN_OK) rc = bind(out, "out", MS_NOSUID | MS_NODEV | (box->exec ? 0 : MS_NOEXEC), why);
    if (rc == QN_OK) rc = bind("/proc/self/fd", "fd", 0, why);
    if (rc == QN_OK && box->exec) rc = command_root(hello, why);
    close(fd);
    if (rc) return rc;
    if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
        return failed(why, "pivot to", "the new root");
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL))
        return failed(why, "lock", "/");
    box->root = true;
    snprintf(box->out, sizeof box->out, "/out");
    snprintf(box->fds, sizeof box->fds, "/fd");
    return QN_OK;
}

static bool rule(int set, int fd, uint64_t rights)
{
    struct landlock_path_beneath_attr attr = { .allowed_access = rights, .parent_fd = fd };
    return fd >= 0 &&
           syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) == 0;
}

qn_rc sandbox_landlock(const struct wire_hello *hello, struct qn_why *why)
{
    /* The rights of the first landlock, 5.13: reading, writing, making and removing. */
    const uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    const uint64_t out_rights =
        all & ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                          LANDLOCK_ACCESS_FS_MAKE_BLOCK);
    struct landlock_ruleset_attr attr = { .handled_access_fs = all };
    int set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (set < 0) return qn_why(why, QN_E_ABSENT, "landlock: %s", strerror(errno));
    int out = open(hello->out, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool ok = rule(set, out, out_rights);
    for (uint32_t i = 0; i < hello->input_cnt; i++) /* memory files need no rule and take none */
        (void)rule(set, WIRE_FD + 1 + (int)i, LANDLOCK_ACCESS_FS_READ_FILE);
    ok = ok && syscall(SYS_landlock_restrict_self, set, 0) == 0;
    if (out >= 0) close(out);
    close(set);
    return ok ? QN_OK : qn_why(why, QN_E_SYSTEM, "landlock: %s", strerror(errno));
}
