/* demo.h - `quoin demo`: a node on a fresh home, the pipeline lua/lego/fashion.lua, the audit. */
#ifndef QN_CORE_CLI_DEMO_H
#define QN_CORE_CLI_DEMO_H

#include "core/cli/cli.h"

/* qn_demo runs the whole; the exit status is 0 only when every step holds. The home is cli's --home or a temporary folder, which is
 * removed at the end unless keep is set. */
int qn_demo(struct qn_cli *cli, const char *seed, bool keep);

#endif
