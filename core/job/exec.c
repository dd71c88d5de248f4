/* exec.c - the kind "exec": a command in the sandbox, for leases.
 *
 *     {"argv": ["/bin/sh", "-c", "..."], "env": {"NAME": "value"}}  ->  {"exit": 0, "signal": 0}
 *
 * Working folder /out, whose files are the job's results; input NAME is the file that the variable
 * QUOIN_IN_NAME names; stdout and stderr go to the log; /tmp is in memory. */
#include "core/job/jobs.h"

#include "core/job/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARG_CNT_MAX 1024
#define ENV_CNT_MAX 256

static char *env_line(const char *name, const char *value)
{
    char *line = NULL;
    return asprintf(&line, "%s=%s", name, value) < 0 ? NULL : line;
}

static qn_rc read_argv(const json_t *request, char ***ret, struct qn_why *why)
{
    const json_t *list = json_object_get(request, "argv");
    size_t cnt = json_array_size(list);
    if (cnt == 0 || cnt > ARG_CNT_MAX)
        return qn_why(why, QN_E_RANGE, "argv: a list of 1 to %d words is needed", ARG_CNT_MAX);
    char **argv = calloc(cnt + 1, sizeof *argv);
    if (!argv) return QN_E_MEMORY;
    for (size_t i = 0; i < cnt; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        argv[i] = word ? strdup(word) : NULL;
        if (!argv[i]) return qn_why(why, QN_E_RANGE, "argv: word %zu is no text", i);
    }
    *ret = argv; /* the process ends with the job: nothing here is freed */
    return QN_OK;
}

static qn_rc read_env(struct qn_worker *w, const json_t *request, char ***ret, struct qn_why *why)
{
    json_t *given = json_object_get(request, "env");
    if ((given && !json_is_object(given)) || json_object_size(given) > ENV_CNT_MAX)
        return qn_why(why, QN_E_RANGE, "env: an object of at most %d texts is needed", ENV_CNT_MAX);
    char **env = calloc(ENV_CNT_MAX + QN_JOB_INPUT_MAX + 4, sizeof *env);
    if (!env) return QN_E_MEMORY;
    size_t at = 0;
    const char *name;
    json_t *value;
    if (!json_object_get(given, "PATH"))
        env[at++] = env_line("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    if (!json_object_get(given, "HOME")) env[at++] = env_line("HOME", "/tmp");
    json_object_foreach(given, name, value)
    {
        const char *text = json_string_value(value);
        if (!text || strchr(name, '=')) return qn_why(why, QN_E_RANGE, "env: %s is no text", name);
        env[at++] = env_line(name, text);
    }
    const char *input;
    for (size_t i = 0; (input = worker_input_name(w, i)); i++) {
        char path[4096], var[128];
        if (!qn_worker_in(w, input, path, sizeof path)) continue;
        snprintf(var, sizeof var, "QUOIN_IN_%s", input);
        env[at++] = env_line(var, path);
    }
    *ret = env;
    return QN_OK;
}

static qn_rc exec_run(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    char **argv = NULL, **env = NULL;
    qn_rc rc = read_argv(request, &argv, why);
    if (rc == QN_OK) rc = read_env(w, request, &env, why);
    if (rc) return rc;
    pid_t pid = fork();
    if (pid < 0) return qn_why(why, QN_E_SYSTEM, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGXFSZ, SIG_DFL);
        close(3); /* the command cannot speak for the worker */
        if (chdir(qn_worker_out(w)) == 0) {
            environ = env;
            execvpe(argv[0], argv, env);
        }
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return qn_why(why, QN_E_SYSTEM, "wait: %s", strerror(errno));
    bool killed = WIFSIGNALED(status);
    *ret = json_pack("{s:i,s:i}", "exit", killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                     "signal", killed ? WTERMSIG(status) : 0);
    return QN_OK;
}

static const struct qn_job_kind CORE_KINDS[] = {
    { "exec", "runs a command in a sandbox of its own", exec_run },
    { NULL, NULL, NULL },
};

const struct qn_job_kind *qn_job_kinds_core(void)
{
    return CORE_KINDS;
}
