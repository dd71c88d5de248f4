/* cli.h - the command line: quoin [GLOBAL] NOUN VERB [ARG..] [--FLAG..], driven by the tables.
 *
 * To add a verb of this process: a function in the verb_*.c of its noun and a row in cli.c. Calls, transactions and
 * modules' verbs come out of their own tables. */
#ifndef QN_CORE_CLI_CLI_H
#define QN_CORE_CLI_CLI_H

#include "core/cli/client.h"
#include "ledger/state/chain.h"

#define QN_CLI_SETS_MAX 16

/* Flags that every command takes, and what is left of the words. */
struct qn_cli {
    struct qn_client client;
    bool json, quiet, help, wait, no_header, no_field; /* no_field: of --fields none is there */
    char cmd[80];                                      /* "wallet send", of the command at hand */
    const char *as, *home, *node, *mandate, *config, *fields;
    const char *sets[QN_CLI_SETS_MAX]; /* --set k=v, in order */
    uint32_t set_cnt;
    uint64_t timeout_ms; /* 0: each call's own */
    int argc;
    char **argv; /* words without the global flags */
};

/* A verb of this process. */
struct qn_own {
    const char *name, *args, *doc, *example; /* "wallet new", "NAME", .., "wallet new alice" */
    int (*run)(struct qn_cli *cli);
};

/* A flag that every command takes: args.def. */
struct qn_flag {
    const char *name, *val, *doc; /* val: what follows it, "" nothing */
};
extern const struct qn_flag QN_FLAGS[]; /* ends with a zero row */

/* Any command, wherever it comes from. */
struct qn_cmd {
    enum { QN_CMD_OWN, QN_CMD_VERB, QN_CMD_CALL, QN_CMD_LOCAL, QN_CMD_TX } kind;
    char name[80];                             /* "wallet send" */
    const char *args, *doc, *example, *result; /* NULL: has none */
    const struct qn_record *fields;            /* of its parameters, or NULL */
};

int qn_cli_main(int argc, char **argv);
/* qn_cmd_at tells command idx over all tables, false past the last. What a verb of this process has the name of, or a transaction that a
 * call has, is not told. */
QN_CHECK bool qn_cmd_at(size_t idx, struct qn_cmd *ret);
/* qn_cmd_example appends a line to paste, without "quoin ". */
void qn_cmd_example(const struct qn_cmd *cmd, struct qn_buf *ret);
/* qn_own_at returns verb idx of this process, NULL past the last. */
const struct qn_own *qn_own_at(size_t idx);
/* qn_unknown refuses words that are no command, naming the nearest, or the verbs of a noun that is known; verb may be NULL. */
int qn_unknown(const struct qn_cli *cli, const char *noun, const char *verb);
/* qn_usage is a refusal of the words, for a verb to return. */
int qn_usage(const struct qn_cli *cli, const char *text);
/* qn_unpinned says to a person that result, of a file checked without a HASH, is of the chain that it names and of no other proof. */
void qn_unpinned(const struct qn_cli *cli, const json_t *result);
/* qn_call_show makes a call and prints its result. */
int qn_call_show(struct qn_cli *cli, const char *name, json_t *params QN_TAKES);
/* qn_call_params adds what global flags say to a call's parameters. */
void qn_call_params(const struct qn_cli *cli, json_t *params);

/* qn_cli_replay executes a home's chain from its journal, without its node; trace (NULL: nobody) sees each step. exec lives as long as the chain. */
#define QN_CLI_EXEC 16
QN_CHECK qn_rc qn_cli_replay(const char *home, const struct qn_trace *trace,
                             struct qn_exec_module exec[QN_CLI_EXEC], struct qn_chain **ret,
                             struct qn_why *why);

/* qn_cli_execute is it for --home, with its progress told. */
QN_CHECK qn_rc qn_cli_execute(const struct qn_cli *cli, struct qn_exec_module exec[QN_CLI_EXEC],
                              struct qn_chain **ret, struct qn_why *why);

/* verb_node.c, verb_wallet.c, verb_ledger.c, doctor.c, verb_config.c */
int qn_verb_blob_get(struct qn_cli *cli); /* verb_blob.c */
int qn_verb_up(struct qn_cli *cli);
int qn_verb_down(struct qn_cli *cli);
int qn_verb_devnet(struct qn_cli *cli); /* devnet.c */
int qn_verb_status(struct qn_cli *cli);
int qn_verb_demo(struct qn_cli *cli);
int qn_verb_call(struct qn_cli *cli);
int qn_verb_explain(struct qn_cli *cli);
int qn_verb_version(struct qn_cli *cli);
int qn_verb_help(struct qn_cli *cli);
int qn_verb_completion(struct qn_cli *cli);
int qn_verb_doctor(struct qn_cli *cli);
int qn_verb_config_show(struct qn_cli *cli);
int qn_verb_config_check(struct qn_cli *cli);
int qn_verb_config_set(struct qn_cli *cli);
int qn_verb_config_modules(struct qn_cli *cli);
int qn_verb_wallet_new(struct qn_cli *cli);
int qn_verb_wallet_list(struct qn_cli *cli);
int qn_verb_wallet_balance(struct qn_cli *cli);
int qn_verb_validator_create(struct qn_cli *cli); /* verb_validator.c */
int qn_verb_ledger_prove(struct qn_cli *cli);
int qn_verb_ledger_list(struct qn_cli *cli);
int qn_verb_ledger_verify(struct qn_cli *cli);
int qn_verb_ledger_replay(struct qn_cli *cli);
int qn_verb_ledger_scrub(struct qn_cli *cli); /* verb_repair.c */
int qn_verb_ledger_repair(struct qn_cli *cli);
int qn_verb_ledger_trace(struct qn_cli *cli);
int qn_verb_ledger_diff(struct qn_cli *cli);
int qn_verb_backup_create(struct qn_cli *cli); /* verb_backup.c */
int qn_verb_backup_verify(struct qn_cli *cli);
int qn_verb_backup_restore(struct qn_cli *cli);
int qn_verb_snapshot_create(struct qn_cli *cli); /* verb_snapshot.c */
int qn_verb_snapshot_verify(struct qn_cli *cli);
int qn_verb_snapshot_restore(struct qn_cli *cli);
int qn_verb_device_list(struct qn_cli *cli); /* verb_device.c */
int qn_verb_device_test(struct qn_cli *cli);
int qn_verb_device_bench(struct qn_cli *cli);

/* qn_version prints version and parts. */
int qn_version(bool json, bool licences);
/* qn_help prints help about noun, or noun and verb, or all commands for NULL; the exit status. qn_help_first is the short form of
 * somebody's first minute. */
int qn_help(const struct qn_cli *cli, const char *noun, const char *verb);
void qn_help_first(const char *home);
/* qn_ref prints the reference: "calls", "txs", "records", "errors", "config", the name of a page of docs/ref, or NULL for what there is. */
int qn_ref(const struct qn_cli *cli, const char *part);
void qn_ref_parts(void); /* prints their names */
/* qn_man prints the manual page in mdoc. */
void qn_man(void);
/* qn_completion prints a shell's completion; false: it is not one of bash, zsh, fish. qn_complete prints the words that may follow
 * cli's words; last is the last of them, global flags included. */
QN_CHECK bool qn_completion(const char *shell);
int qn_complete(struct qn_cli *cli, const char *last);
/* qn_fail prints an error in the form of all commands and returns its exit status. */
int qn_fail(const struct qn_cli *cli, qn_rc rc, const struct qn_why *why);
/* qn_print prints a call's result: NDJSON with --json, a card or a table for people, tabs into a pipe. Of --fields
 * that it has none of, it says so, and the command ends as one with wrong words. */
void qn_print(struct qn_cli *cli, const json_t *result);

#endif
