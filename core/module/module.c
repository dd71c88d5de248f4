/* module.c - the registry: weak references, so that a module left out of the build is simply not there. */
#include "core/module/module.h"

#include <string.h>

#define MODULE(name) extern const struct qn_module name##_module __attribute__((weak));
#include "modules/modules.def"
#undef MODULE

/* Resolved at start by the linker; a module that is not linked is a NULL in the middle. */
static const struct qn_module *const LINKED[] = {
#define MODULE(name) &name##_module,
#include "modules/modules.def"
#undef MODULE
};

const struct qn_module *qn_module_at(size_t idx)
{
    size_t seen = 0;
    for (size_t i = 0; i < QN_COUNT(LINKED); i++)
        if (LINKED[i] && seen++ == idx) return LINKED[i];
    return NULL;
}

const struct qn_module *qn_module_find(const char *name)
{
    for (size_t i = 0; i < QN_COUNT(LINKED); i++)
        if (LINKED[i] && strcmp(LINKED[i]->name, name) == 0) return LINKED[i];
    return NULL;
}
