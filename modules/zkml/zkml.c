/* zkml.c - the module. */
#include "core/module/module.h"

const struct qn_module zkml_module = {
    .name = "zkml",
    .doc = "proofs of what a committed model computed",
    .tag = 4,
};
