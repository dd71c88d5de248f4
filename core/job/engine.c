/* engine.c - the table of engines. */
#include "core/job/engine.h"

#include <string.h>

static qn_rc local_probe(struct qn_why *why)
{
    (void)why;
    return QN_OK; /* each job reports what of its sandbox a machine refuses */
}

static qn_rc local_run(struct qn_jobs *jobs, const json_t *manifest,
                       const struct qn_job_input *inputs, size_t input_cnt,
                       const struct qn_job_limits *limits, struct qn_hash *ret_id,
                       struct qn_why *why)
{
    const char *kind = json_string_value(json_object_get(manifest, "kind"));
    if (!kind) return qn_why(why, QN_E_FORMAT, "the manifest names no kind of job");
    return qn_job_start(jobs, kind, manifest, inputs, input_cnt, limits, ret_id, why);
}

static qn_rc oci_probe(struct qn_why *why)
{
    return qn_why(why, QN_E_ABSENT, "engine oci (crun, runc) is not in this build; use local");
}

static qn_rc slurm_probe(struct qn_why *why)
{
    return qn_why(why, QN_E_ABSENT, "engine slurm is not in this build; use local");
}

static const struct qn_engine ENGINES[] = {
    { "local", "quoin's own sandbox on this machine", local_probe, local_run },
    { "oci", "containers by crun or runc", oci_probe, NULL },
    { "slurm", "jobs of a Slurm cluster", slurm_probe, NULL },
};

const struct qn_engine *qn_engine_at(size_t idx)
{
    return idx < QN_COUNT(ENGINES) ? &ENGINES[idx] : NULL;
}

const struct qn_engine *qn_engine_find(const char *name)
{
    for (size_t i = 0; i < QN_COUNT(ENGINES); i++)
        if (strcmp(ENGINES[i].name, name) == 0) return &ENGINES[i];
    return NULL;
}
