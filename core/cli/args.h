/* args.h - reading the words of a command line. Nothing here acts on a node. */
#ifndef QN_CORE_CLI_ARGS_H
#define QN_CORE_CLI_ARGS_H

#include "core/cli/cli.h"

/* qn_args_global takes the global flags out of argv (from 1 on) and leaves the rest in cli->argv. *ret_version: --version was among them. */
QN_CHECK qn_rc qn_args_global(struct qn_cli *cli, int argc, char **argv, bool *ret_version,
                              struct qn_why *why);
/* qn_args_flag takes --name VALUE or --name=VALUE out of the words; NULL when it is not there. qn_args_word takes a word itself. */
const char *qn_args_flag(struct qn_cli *cli, const char *name);
bool qn_args_word(struct qn_cli *cli, const char *word);
/* qn_args_fields turns words into the fields of rec: --name value, --name=value, a flag alone, and bare values for the fields in order (of order, a
 * list of names, or of the record when it is NULL). @FILE is a file's content, @KEY an account of the wallet. */
QN_CHECK qn_rc qn_args_fields(struct qn_cli *cli, const struct qn_record *rec, const char *order,
                              json_t *obj, struct qn_why *why);
/* qn_args_account reads an account: the name of a key of this wallet, or an address. */
QN_CHECK qn_rc qn_args_account(const struct qn_cli *cli, const char *text, char hex[65],
                               struct qn_why *why);
/* qn_args_num reads a whole number of at most max. */
QN_CHECK bool qn_args_num(const char *text, uint64_t max, uint64_t *ret);
/* qn_args_ms reads a time: 250ms, 30s, 5m, or milliseconds. */
QN_CHECK bool qn_args_ms(const char *text, uint64_t *ret);

/* The known word nearest to an asked one. Offer every known word; near is "" when none is close. */
struct qn_nearest {
    char asked[80], near[80];
    unsigned best;
};
void qn_nearest_init(struct qn_nearest *n, const char *asked);
void qn_nearest_offer(struct qn_nearest *n, const char *word);

#endif
