/* verb_ledger.c - quoin ledger prove|list|verify|replay: rows with their proofs, and a chain executed again without its node. */
#include "core/cli/args.h"

#include "core/node/registry.h"
#include "ledger/state/proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Part of a key: hex digits, an address, or @KEY for the account of a key of this wallet. */
static qn_rc key_hex(const struct qn_cli *cli, const char *text, char dst[1100], struct qn_why *why)
{
    struct qn_hash acct;
    if (strlen(text) > 1024) return qn_why(why, QN_E_USAGE, "key: at most 512 bytes");
    snprintf(dst, 1100, "%s", text);
    if (dst[0] == '@') {
        qn_rc rc = qn_args_account(cli, text + 1, dst, why);
        if (rc) return rc;
    }
    if (strncmp(dst, "qn1", 3) == 0) {
        if (qn_addr_parse(dst, &acct))
            return qn_why(why, QN_E_USAGE,
                          "%.80s is no address: a letter is wrong or missing; quoin wallet list "
                          "tells those of this home",
                          text);
        qn_hex(acct.b, 32, dst);
    }
    size_t len = strspn(dst, "0123456789abcdefABCDEF");
    if (dst[len] || len % 2)
        return qn_why(why, QN_E_USAGE,
                      "key: expected hex digits, two a byte, an address qn1.. or @NAME of a key of "
                      "this wallet, not \"%.80s\"",
                      text);
    return QN_OK;
}

/* Writes the proof of a call's answer to a file and says so. */
static int write_proof(struct qn_cli *cli, const json_t *result, const char *out)
{
    struct qn_why why = { "" };
    const char *proof = json_string_value(json_object_get(result, "proof"));
    const json_t *cnt = json_object_get(result, "cnt");
    size_t len = proof ? strlen(proof) / 2 : 0;
    uint8_t *bytes = malloc(len + 1);
    QN_ASSERT(bytes != NULL);
    qn_rc rc = proof && qn_unhex(proof, strlen(proof), bytes, len)
                   ? qn_file_write(out, QN_SPAN(bytes, len), 0644, &why)
                   : QN_E_FORMAT;
    free(bytes);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *said = json_pack("{s:s, s:I, s:O}", "file", out, "bytes", (json_int_t)len, "height",
                             json_object_get(result, "height"));
    if (cnt) json_object_set(said, "cnt", (json_t *)(uintptr_t)cnt);
    qn_print(cli, said);
    json_decref(said);
    return 0;
}

int qn_verb_ledger_prove(struct qn_cli *cli)
{
    struct qn_why why = { "" };
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
    qn_rc rc = key_hex(cli, cli->argv[1], hex, &why);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *params = json_pack("{s:s, s:s}", "table", cli->argv[0], "key", hex);
    rc = qn_client_call(&cli->client, "ledger.row", params, &result, &why);
    json_decref(params);
    int status = rc ? qn_fail(cli, rc, &why) : write_proof(cli, result, out ? out : "row.qp");
    json_decref(result);
    return status;
}

int qn_verb_ledger_list(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    char from[1100] = "", to[1100] = "";
    const char *from_text = qn_args_flag(cli, "from"), *to_text = qn_args_flag(cli, "to"),
               *out = qn_args_flag(cli, "proof");
    json_t *result = NULL;
    int status = 0;
    if (cli->argc != 1)
        return qn_usage(cli, "ledger list takes a table, and --from, --to, --proof FILE");
    qn_rc rc = from_text ? key_hex(cli, from_text, from, &why) : QN_OK;
    if (rc == QN_OK && to_text) rc = key_hex(cli, to_text, to, &why);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *params = json_pack("{s:s, s:s, s:s, s:b}", "table", cli->argv[0], "from", from, "to",
                               to, "prove", out != NULL);
    rc = qn_client_call(&cli->client, "ledger.list", params, &result, &why);
    json_decref(params);
    if (rc)
        status = qn_fail(cli, rc, &why);
    else if (out)
        status = write_proof(cli, result, out);
    else
        qn_print(cli, json_object_get(result, "rows"));
    json_decref(result);
    return status;
}

/* For people: the table's name for its number, and of a value what is in it, where this build knows the table. */
static void reveal(json_t *row, json_int_t number)
{
    const struct qn_table *table = NULL;
    const char *hex = json_string_value(json_object_get(row, "value"));
    struct qn_arena arena = { .max = 8u << 20 };
    for (size_t i = 0; (table = qn_table_at(i)) && table->table != number;)
        i++;
    if (!table) return;
    if (json_object_get(row, "table")) json_object_set_new(row, "table", json_string(table->name));
    size_t len = hex ? strlen(hex) / 2 : 0;
    uint8_t *bytes = malloc(len + 1);
    QN_ASSERT(bytes != NULL);
    void *obj = table->rec && len ? qn_arena_alloc(&arena, table->rec()->size) : NULL;
    if (obj && qn_unhex(hex, 2 * len, bytes, len) &&
        qn_decode(table->rec(), QN_SPAN(bytes, len), &arena, obj, NULL) == QN_OK)
        json_object_set_new(row, "value", qn_to_json(table->rec(), obj));
    free(bytes);
    qn_arena_free(&arena);
}

static void reveal_all(json_t *said)
{
    json_int_t number = json_integer_value(json_object_get(said, "table"));
    json_t *rows = json_object_get(said, "rows"), *row;
    size_t i;
    reveal(said, number);
    json_array_foreach(rows, i, row)
    {
        reveal(row, json_integer_value(json_object_get(row, "table")));
        json_object_del(row, "table"); /* said above */
    }
}

int qn_verb_ledger_verify(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_buf file = { 0 };
    struct qn_proof proof;
    struct qn_hash trust;
    if (cli->argc < 1 || cli->argc > 2)
        return qn_usage(
            cli, "ledger verify takes a file and, to pin it, the hash of the chain or of a block");
    if (cli->argc == 2 && !qn_unhex(cli->argv[1], strlen(cli->argv[1]), trust.b, 32))
        return qn_usage(cli, "a hash has 64 hex digits");
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_file_read(cli->argv[0], 64u << 20, &file, &why);
    if (rc == QN_OK)
        rc = qn_proof_check(qn_buf_get(&file), cli->argc == 2 ? &trust : NULL, &proof, &why);
    if (rc == QN_OK) {
        json_t *said = qn_proof_json(&proof);
        if (!cli->json) reveal_all(said);
        qn_print(cli, said);
        if (cli->argc < 2) qn_unpinned(cli, said);
        json_decref(said);
    }
    qn_buf_free(&file);
    return rc ? qn_fail(cli, rc, &why) : 0;
}

int qn_verb_ledger_replay(struct qn_cli *cli)
{
    struct qn_exec_module exec[QN_CLI_EXEC];
    struct qn_chain *chain = NULL;
    struct qn_why why = { "" };
    if (cli->argc) return qn_usage(cli, "ledger replay takes no words of its own");
    qn_rc rc = qn_cli_execute(cli, exec, &chain, &why);
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
