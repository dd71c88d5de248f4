/* verb_wallet.c - quoin wallet new|list|balance: keys of this home. Sending is a transaction, from its table. */
#include "core/cli/args.h"
#include "core/node/wallet.h"

int qn_verb_wallet_new(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_key key;
    char addr[64];
    if (cli->argc != 1) return qn_usage(cli, "wallet new takes a name");
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_wallet_new(cli->client.home, cli->argv[0], NULL, &key, &why);
    if (rc) return qn_fail(cli, rc, &why);
    struct qn_hash acct = qn_acct_key(&key.pub);
    qn_addr_print(&acct, addr);
    char acct_hex[65];
    qn_hex(acct.b, 32, acct_hex);
    json_t *out =
        json_pack("{s:s, s:s, s:s}", "name", cli->argv[0], "address", addr, "account", acct_hex);
    qn_print(cli, out);
    json_decref(out);
    qn_key_wipe(&key);
    return 0;
}

int qn_verb_wallet_list(struct qn_cli *cli)
{
    if (cli->argc) return qn_usage(cli, "wallet list takes no words of its own");
    struct qn_why why = { "" };
    json_t *list = NULL;
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_wallet_list(cli->client.home, &list, &why);
    if (list) qn_print(cli, list);
    json_decref(list);
    return rc ? qn_fail(cli, rc, &why) : 0;
}

int qn_verb_wallet_balance(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    char hex[65];
    if (cli->argc > 1) return qn_usage(cli, "wallet balance takes a name or an address");
    qn_rc rc = qn_args_account(cli, cli->argc ? cli->argv[0] : cli->as, hex, &why);
    if (rc) return qn_fail(cli, rc, &why);
    return qn_call_show(cli, "account.get", json_pack("{s:s}", "id", hex));
}
