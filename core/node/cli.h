/* cli.h - the command line: quoin [GLOBAL] NOUN VERB [ARG..] [--FLAG..], driven by the tables. */
#ifndef QN_CORE_NODE_CLI_H
#define QN_CORE_NODE_CLI_H

#include "core/node/client.h"

/* Flags that every command takes, and what is left of the words. */
struct qn_cli {
    struct qn_client client;
    bool json, quiet, help, wait;
    const char *as, *home, *node, *mandate;
    int argc;
    char **argv; /* words without the global flags */
};

int qn_cli_main(int argc, char **argv);
/* qn_version prints version and parts. */
int qn_version(bool json, bool licences);
/* qn_help prints help about topic (noun, or "noun verb"), or the overview for NULL; the exit status. */
int qn_help(const char *noun, const char *verb);
/* qn_fail prints an error in the form of all commands and returns its exit status. */
int qn_fail(const struct qn_cli *cli, qn_rc rc, const struct qn_why *why);
/* qn_print prints a call's result: NDJSON with --json, a card or a table for people, tabs into a pipe. */
void qn_print(const struct qn_cli *cli, const json_t *result);

#endif
