/* script.h - `quoin lua` and `quoin demo`: scripts with every call and transaction as a function. */
#ifndef QN_CORE_NODE_SCRIPT_H
#define QN_CORE_NODE_SCRIPT_H

#include "core/node/cli.h"

/* quoin lua FILE [ARG..] | -e TEXT | --check FILE | nothing: the prompt. */
int qn_script_lua(struct qn_cli *cli);
/* quoin demo [--seed N] [--keep] [--show-script]: a node on a fresh home, the pipeline lua/lego/fashion.lua, the audit. */
int qn_script_demo(struct qn_cli *cli, const char *seed, bool keep);

#endif
