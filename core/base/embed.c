/* embed.c - the table that the build's embed.S fills. */
#include "core/base/embed.h"

#include <string.h>

extern const struct qn_embed qn_embed_table[];

const struct qn_embed *qn_embed_all(void)
{
    return qn_embed_table;
}

bool qn_embed_get(const char *path, struct qn_span *ret)
{
    for (const struct qn_embed *e = qn_embed_table; e->path; e++) {
        if (strcmp(e->path, path) == 0) {
            *ret = QN_SPAN(e->ptr, e->len);
            return true;
        }
    }
    return false;
}
