/* ops.c - which variants there are, and which this machine can run. */
#include "gpu/cpu/ops.h"

#include <string.h>

extern const struct cpu_ops cpu_ops_c, cpu_ops_avx2, cpu_ops_avx512;

const struct cpu_ops *const *cpu_ops_all(uint32_t *ret_cnt)
{
    static const struct cpu_ops *const all[] = {
        &cpu_ops_c,
#ifdef __x86_64__
        &cpu_ops_avx2,
        &cpu_ops_avx512,
#endif
    };
    *ret_cnt = sizeof all / sizeof all[0];
    return all;
}

const struct cpu_ops *cpu_ops_best(void)
{
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt), *best = all[0];
    for (uint32_t i = 0; i < cnt; i++)
        if (all[i]->usable()) best = all[i];
    return best;
}

const struct cpu_ops *cpu_ops_find(const char *name)
{
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    for (uint32_t i = 0; i < cnt; i++)
        if (strcmp(all[i]->name, name) == 0 && all[i]->usable()) return all[i];
    return NULL;
}
