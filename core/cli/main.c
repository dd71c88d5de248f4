/* main.c - the process starts here. */
#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/job/jobs.h"
#include "core/model/model.h"
#include "core/net/nat.h"

#include <string.h>

/* A worker knows every kind of every module in this build, whatever the node has switched on: the node
 * starts none of a module that is off. */
static int worker(const char *kind)
{
    const struct qn_job_kind *tables[16] = { NULL };
    const struct qn_module *mod;
    size_t cnt = 0;
    tables[cnt++] = QN_MODEL_JOBS;
    for (size_t i = 0; (mod = qn_module_at(i)) && cnt + 1 < QN_COUNT(tables); i++)
        if (mod->jobs) tables[cnt++] = mod->jobs;
    return qn_worker_main(kind, tables);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "worker") == 0)
        return strcmp(argv[2], "nat") == 0 ? qn_nat_main() : worker(argv[2]);
    return qn_cli_main(argc, argv);
}
