/* verb_ledger.c - quoin ledger prove|verify|replay: rows with their proofs, and a chain executed again without its node. */
#include "core/node/args.h"

#include "ledger/state/proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int qn_verb_ledger_prove(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_hash acct;
    char hex[1100];
    json_t *result = NULL;
    const char *out = qn_args_flag(cli, "out");
    for (int i = 0; i + 1 < cli->argc; i++)
        if (strcmp(cli->argv[i], "-o") == 0) {
            out = cli->argv[i + 1];
            memmove(cli->argv + i, cli->argv + i + 2,
                    (size_t)(cli->argc - i - 2) * sizeof *cli->argv);
            cli->argc -= 2;
        }
    if (cli->argc != 2) return qn_usage(cli, "ledger prove takes a table and a key, and -o FILE");
    snprintf(hex, sizeof hex, "%s", cli->argv[1]);
    if (hex[0] == '@') { /* the account of a key of this wallet */
        qn_rc found = qn_args_account(cli, cli->argv[1] + 1, hex, &why);
        if (found) return qn_fail(cli, found, &why);
    }
    if (strncmp(hex, "qn1", 3) == 0 && qn_addr_parse(hex, &acct) == QN_OK) qn_hex(acct.b, 32, hex);
    json_t *params = json_pack("{s:s, s:s}", "table", cli->argv[0], "key", hex);
    qn_rc rc = qn_client_call(&cli->client, "ledger.row", params, &result, &why);
    json_decref(params);
    if (rc) return qn_fail(cli, rc, &why);
    const char *proof = json_string_value(json_object_get(result, "proof"));
    size_t len = proof ? strlen(proof) / 2 : 0;
    uint8_t *bytes = malloc(len + 1);
    QN_ASSERT(bytes != NULL);
    rc = proof && qn_unhex(proof, strlen(proof), bytes, len)
             ? qn_file_write(out ? out : "row.qp", QN_SPAN(bytes, len), 0644, &why)
             : QN_E_FORMAT;
    free(bytes);
    if (rc == QN_OK) {
        json_t *said = json_pack("{s:s, s:I, s:O}", "file", out ? out : "row.qp", "bytes",
                                 (json_int_t)len, "height", json_object_get(result, "height"));
        qn_print(cli, said);
        json_decref(said);
    }
    json_decref(result);
    return rc ? qn_fail(cli, rc, &why) : 0;
}

int qn_verb_ledger_verify(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_buf file = { 0 };
    struct qn_hash trust;
    json_t *said = NULL;
    if (cli->argc < 1 || cli->argc > 2)
        return qn_usage(cli, "ledger verify takes a file and, to pin it, the chain's hash");
    if (cli->argc == 2 && !qn_unhex(cli->argv[1], strlen(cli->argv[1]), trust.b, 32))
        return qn_usage(cli, "the chain's hash has 64 hex digits");
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_file_read(cli->argv[0], 4u << 20, &file, &why);
    if (rc == QN_OK)
        rc = qn_chain_verify(qn_buf_get(&file), cli->argc == 2 ? &trust : NULL, &said, &why);
    qn_buf_free(&file);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, said);
    json_decref(said);
    return 0;
}

int qn_verb_ledger_replay(struct qn_cli *cli)
{
    struct qn_exec_module exec[16];
    const struct qn_module *mod;
    struct qn_chain_conf conf = {
        .home = cli->client.home, .env = qn_env_real(), .modules = exec, .no_store = true
    };
    struct qn_chain *chain = NULL;
    struct qn_why why = { "" };
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_COUNT(exec); i++)
        exec[conf.module_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    conf.vm = qn_contract_vm_get();
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_chain_open(&conf, &chain, &why);
    if (rc) return qn_fail(cli, rc, &why);
    char root_hex[65], head_hex[65];
    struct qn_hash root = qn_chain_root(chain), head = qn_chain_head(chain);
    qn_hex(root.b, 32, root_hex);
    qn_hex(head.b, 32, head_hex);
    json_t *said = json_pack("{s:I, s:s, s:s, s:I, s:I}", "height",
                             (json_int_t)qn_view_height(qn_chain_view(chain)), "block_hash",
                             head_hex, "state_root", root_hex, "sum_uqn",
                             (json_int_t)qn_state_sum(qn_chain_view(chain)).uqn, "supply_uqn",
                             (json_int_t)QN_SUPPLY_UQN);
    qn_print(cli, said);
    json_decref(said);
    qn_chain_close(chain);
    return 0;
}
