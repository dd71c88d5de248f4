/* script.h - scripts with every call and transaction of the node as a function. */
#ifndef QN_CORE_CLI_SCRIPT_H
#define QN_CORE_CLI_SCRIPT_H

#include "core/cli/cli.h"

/* qn_script_run runs source (called name in errors) against the node that cli names; args becomes the global `arg`, *ret what the
 * script returned. */
QN_CHECK qn_rc qn_script_run(const struct qn_cli *cli, const char *name, struct qn_span source,
                             const json_t *args, json_t **ret, struct qn_why *why);
/* qn_script_spread is qn_script_run on several nodes of one network, whose homes these are (cnt of them; the first is cli's): each key's
 * transactions go in at a node of its own, and the next line of the script begins when all nodes have what became of them. */
QN_CHECK qn_rc qn_script_spread(const struct qn_cli *cli, const char *const *homes, unsigned cnt,
                                const char *name, struct qn_span source, const json_t *args,
                                json_t **ret, struct qn_why *why);

/* quoin lua FILE [ARG..] | -e TEXT | --check FILE | nothing: the prompt. */
int qn_script_lua(struct qn_cli *cli);

#endif
