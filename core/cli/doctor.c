/* doctor.c - quoin doctor: this machine and this home, a line each, what is amiss with its remedy. Needs no node. */
#include "core/cli/args.h"
#include "core/cli/config.h"

#include "core/crypto/sign.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

struct doctor {
    struct qn_cli *cli;
    unsigned cnt[3];
};

enum state { OK, WARN, FAIL };

/* Prints one line; remedy counts when all is not well. */
QN_PRINTF(5, 6)
static void say(struct doctor *d, enum state state, const char *what, const char *remedy,
                const char *fmt, ...)
{
    static const char *const WORDS[] = { "ok", "warn", "fail" };
    char found[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(found, sizeof found, fmt, ap);
    va_end(ap);
    d->cnt[state]++;
    if (d->cli->quiet) return;
    if (d->cli->json) {
        json_t *one = json_pack("{s:s, s:s, s:s, s:s}", "event", "step", "name", what, "state",
                                WORDS[state], "found", found);
        if (state != OK) json_object_set_new(one, "do", json_string(remedy));
        json_dumpf(one, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(one);
    } else {
        printf("%-5s %-10s %s\n", WORDS[state], what, found);
        if (state != OK) printf("      %-10s do: %s\n", "", remedy);
    }
    fflush(stdout);
}

/* --- the machine --------------------------------------------------------------------------------------------------- */

static void cpu(struct doctor *d)
{
    const char *best = "plain";
#ifdef __x86_64__
    best = __builtin_cpu_supports("avx512f") ? "avx512"
           : __builtin_cpu_supports("avx2")  ? "avx2"
                                             : "sse2";
#endif
    say(d, OK, "cpu", "", "%ld cores, %s", sysconf(_SC_NPROCESSORS_ONLN), best);
}

static void memory(struct doctor *d)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), all = (uint64_t)sysconf(_SC_PHYS_PAGES) * page,
             idle = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * page;
    say(d, all < (UINT64_C(1) << 30) ? WARN : OK, "memory",
        "1 GiB is the least for work beside a node", "%llu MiB, %llu of them unused",
        (unsigned long long)(all >> 20), (unsigned long long)(idle >> 20));
}

static void files(struct doctor *d)
{
    struct rlimit lim = { 0, 0 };
    getrlimit(RLIMIT_NOFILE, &lim);
    say(d, lim.rlim_max < 4096 ? WARN : OK, "files",
        "ulimit -Hn 8192, or LimitNOFILE=8192 in the unit", "%llu open files allowed",
        (unsigned long long)lim.rlim_max);
}

/* Tries what a worker's sandbox does, in a child. */
static void namespaces(struct doctor *d)
{
    int how = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) ? errno : 0);
    waitpid(pid, &how, 0);
    int err = pid > 0 && WIFEXITED(how) ? WEXITSTATUS(how) : EPERM;
    if (err == 0)
        say(d, OK, "namespaces", "", "workers get their own users, files, network, processes");
    else
        say(d, WARN, "namespaces",
            "sysctl kernel.unprivileged_userns_clone=1; until then seccomp and limits hold workers "
            "alone",
            "refused: %s", strerror(err));
}

static void seccomp(struct doctor *d)
{
    bool has = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
    say(d, has ? OK : FAIL, "seccomp", "a kernel with CONFIG_SECCOMP_FILTER", "%s",
        has ? "workers are held to a list of system calls" : "this kernel has none");
}

static void cgroup(struct doctor *d)
{
    char line[512] = "", path[700];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f) && strncmp(line, "0::", 3) != 0)
        line[0] = 0;
    if (f) fclose(f);
    line[strcspn(line, "\n")] = 0;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cgroup.procs", line[0] ? line + 3 : "");
    bool mine = line[0] && access(path, W_OK) == 0;
    say(d, mine ? OK : WARN, "cgroup",
        "Delegate=yes in the unit, or systemd-run --user --scope; until then rlimits hold workers",
        "%s", mine ? "control group v2 may be divided for workers" : "no control group of ours");
}

static void clock_is(struct doctor *d)
{
    struct timex t = { 0 };
    uint64_t now = qn_env_now_ms(qn_env_real());
    int state = adjtimex(&t);
    if (now < UINT64_C(1700000000000))
        say(d, FAIL, "clock", "sudo timedatectl set-ntp true",
            "it says a time before November 2023");
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        say(d, WARN, "clock", "sudo timedatectl set-ntp true", "no time service steers it");
    else
        say(d, OK, "clock", "", "steered, off by at most %.0f ms", (double)t.maxerror / 1000);
}

/* --- the home ------------------------------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void sync_time(struct doctor *d)
{
    enum { ROUNDS = 40 };
    char path[4096], block[4096];
    uint64_t us[ROUNDS];
    snprintf(path, sizeof path, "%s/doctor.tmp", d->cli->client.home);
    memset(block, 7, sizeof block);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0;
    for (unsigned i = 0; i < ROUNDS && ok; i++) {
        uint64_t begin = qn_env_mono_us(qn_env_real());
        ok = pwrite(fd, block, sizeof block, 0) == sizeof block && fdatasync(fd) == 0;
        us[i] = qn_env_mono_us(qn_env_real()) - begin;
    }
    int err = errno;
    if (fd >= 0) close(fd);
    unlink(path);
    if (!ok) {
        say(d, FAIL, "sync", "another folder: --home DIR", "%s: %s", path, strerror(err));
        return;
    }
    qsort(us, ROUNDS, sizeof us[0], by_size);
    say(d, us[ROUNDS - 1] > 100000 ? WARN : OK, "sync", "put --home on an SSD",
        "a synced write takes %.2f ms, the slowest of %d %.2f", (double)us[ROUNDS / 2] / 1000,
        ROUNDS, (double)us[ROUNDS - 1] / 1000);
}

static bool home(struct doctor *d)
{
    struct statvfs disk;
    struct qn_why why = { "" };
    const char *path = d->cli->client.home;
    if (qn_dir_make(path, &why) || access(path, W_OK)) {
        say(d, FAIL, "home", "another folder: --home DIR", "%s",
            why.text[0] ? why.text : "it is not writable");
        return false;
    }
    say(d, OK, "home", "", "%s", path);
    if (statvfs(path, &disk) == 0) {
        uint64_t mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
        say(d,
            mib < 256    ? FAIL
            : mib < 2048 ? WARN
                         : OK,
            "disk", "make room, or another folder: --home DIR", "%llu MiB free",
            (unsigned long long)mib);
    }
    sync_time(d);
    return true;
}

/* Secrets that others can read. */
static void keys(struct doctor *d)
{
    char dir[4096], path[4400], open_one[300] = "";
    unsigned cnt = 0;
    snprintf(dir, sizeof dir, "%s/wallet", d->cli->client.home);
    DIR *list = opendir(dir);
    for (struct dirent *e; list && (e = readdir(list));) {
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st)) continue;
        cnt++;
        if (st.st_mode & 077) snprintf(open_one, sizeof open_one, "%s", e->d_name);
    }
    if (list) closedir(list);
    if (open_one[0])
        say(d, FAIL, "keys", "chmod 600 HOME/wallet/*.key, then move the coins to a new key",
            "others can read %s", open_one);
    else
        say(d, OK, "keys", "", "%u in the wallet, readable by their owner alone", cnt);
}

static void settings(struct doctor *d, struct qn_config *conf, bool *ret_ok)
{
    struct qn_why why = { "" };
    qn_rc rc = qn_config_load(d->cli, conf, &why);
    *ret_ok = rc == QN_OK;
    say(d, rc ? FAIL : OK, "settings", "quoin config check", "%s",
        rc              ? why.text
        : conf->file[0] ? conf->file
                        : "no quoin.lua, all by default");
}

static void port(struct doctor *d, const char *api)
{
    char host[64];
    const char *colon = strrchr(api, ':');
    struct sockaddr_in sin = { .sin_family = AF_INET };
    snprintf(host, sizeof host, "%.*s", colon ? (int)QN_MIN(colon - api, (ptrdiff_t)63) : 0, api);
    unsigned long num = colon ? strtoul(colon + 1, NULL, 10) : 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (!colon || num > 65535 || inet_pton(AF_INET, host, &sin.sin_addr) != 1 || fd < 0) {
        say(d, FAIL, "port", "quoin config set api 127.0.0.1:7846", "%s is not ADDRESS:PORT", api);
    } else {
        sin.sin_port = htons((uint16_t)num);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)(void *)&sin, sizeof sin))
            say(d, WARN, "port", "quoin config set api 127.0.0.1:0", "%s: %s", api,
                strerror(errno));
        else
            say(d, OK, "port", "", "%s is free", api);
    }
    if (fd >= 0) close(fd);
}

/* Executes the whole journal without writing: every frame, signature and root is looked at. */
static void chain(struct doctor *d)
{
    char path[4096];
    struct qn_exec_module exec[16];
    const struct qn_module *mod;
    struct qn_chain_conf conf = { .home = d->cli->client.home,
                                  .env = qn_env_real(),
                                  .modules = exec,
                                  .vm = qn_contract_vm_get(),
                                  .no_store = true };
    struct qn_chain *chain = NULL;
    struct qn_why why = { "" };
    snprintf(path, sizeof path, "%s/journal", conf.home);
    if (access(path, F_OK)) {
        say(d, OK, "chain", "", "none here yet; quoin up makes one");
        return;
    }
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_COUNT(exec); i++)
        exec[conf.module_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    uint64_t begin = qn_env_mono_us(qn_env_real());
    qn_rc rc = qn_chain_open(&conf, &chain, &why);
    if (rc)
        say(d, FAIL, "chain", "quoin explain CORRUPT", "%s [%s]", why.text, qn_err_code(rc));
    else if (qn_state_sum(qn_chain_view(chain)).uqn != QN_SUPPLY_UQN)
        say(d, FAIL, "chain", "please report it: quoin version", "the accounts do not add up");
    else
        say(d, OK, "chain", "", "%llu blocks executed again in %.2f s, every root the same",
            (unsigned long long)qn_view_height(qn_chain_view(chain)),
            (double)(qn_env_mono_us(qn_env_real()) - begin) / 1e6);
    qn_chain_close(chain);
}

/* The running node, when there is one: its chain and port are its own then. */
static bool node(struct doctor *d)
{
    struct qn_why why;
    json_t *status = NULL;
    d->cli->client.timeout_ms = 1000;
    if (qn_client_call(&d->cli->client, "node.status", NULL, &status, &why)) return false;
    bool whole =
        json_integer_value(json_object_get(status, "sum_uqn")) == (json_int_t)QN_SUPPLY_UQN;
    say(d, whole ? OK : FAIL, "node", "please report it: quoin version",
        "it runs, block %lld, coins %s",
        (long long)json_integer_value(json_object_get(status, "height")),
        whole ? "add up" : "DO NOT ADD UP");
    json_decref(status);
    return true;
}

int qn_verb_doctor(struct qn_cli *cli)
{
    struct doctor d = { .cli = cli };
    struct qn_config conf;
    bool quick = qn_args_word(cli, "--quick"), conf_ok;
    struct qn_why why = { "" };
    qn_rc rc = qn_crypto_init();
    if (rc) return qn_fail(cli, rc, &why);
    settings(&d, &conf, &conf_ok); /* takes up's flags out of the words */
    if (cli->argc) return qn_usage(cli, "doctor takes --quick");
    cpu(&d);
    memory(&d);
    files(&d);
    namespaces(&d);
    seccomp(&d);
    cgroup(&d);
    clock_is(&d);
    if (home(&d)) {
        keys(&d);
        if (!node(&d)) {
            if (conf_ok) port(&d, conf.vals[QN_CONF_api].text);
            if (!quick) chain(&d);
        }
    }
    if (cli->json)
        printf("{\"event\":\"result\",\"ok\":%s,\"lines\":%u,\"warn\":%u,\"fail\":%u}\n",
               d.cnt[FAIL] ? "false" : "true", d.cnt[OK] + d.cnt[WARN] + d.cnt[FAIL], d.cnt[WARN],
               d.cnt[FAIL]);
    else if (!cli->quiet)
        printf("%u ok, %u warn, %u fail\n", d.cnt[OK], d.cnt[WARN], d.cnt[FAIL]);
    return d.cnt[FAIL] ? qn_err_exit(QN_E_SYSTEM) : 0;
}
