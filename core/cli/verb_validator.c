/* verb_validator.c - quoin validator create: the one transaction that needs two keys, the owner's and the consensus key's. */
#include "core/cli/args.h"
#include "core/node/wallet.h"
#include "ledger/state/stake.h"

#include <stdlib.h>
#include <string.h>

/* Asks the node which chain it is, and signs for the owner. */
static qn_rc sign(struct qn_cli *cli, const struct qn_key *key, json_t *fields, struct qn_why *why)
{
    struct qn_key owner;
    struct qn_hash chain, acct;
    json_t *status = NULL;
    char hex[129];
    qn_rc rc = qn_wallet_load(cli->client.home, cli->as, &owner, why);
    if (rc) return rc;
    acct = qn_acct_key(&owner.pub);
    qn_key_wipe(&owner);
    rc = qn_client_call(&cli->client, "node.status", NULL, &status, why);
    const char *text = json_string_value(json_object_get(status, "chain"));
    if (rc == QN_OK && (!text || !qn_unhex(text, strlen(text), chain.b, 32)))
        rc = qn_why(why, QN_E_FORMAT, "the node's status names no chain");
    json_decref(status);
    if (rc) return rc;
    struct qn_sig sig = qn_stake_proof(key, &chain, &acct);
    qn_hex(sig.b, sizeof sig.b, hex);
    json_object_set_new(fields, "proof", json_string(hex));
    qn_hex(key->pub.b, 32, hex);
    json_object_set_new(fields, "key", json_string(hex));
    return QN_OK;
}

int qn_verb_validator_create(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_key key = { 0 };
    const char *name = qn_args_flag(cli, "name"), *ppm = qn_args_flag(cli, "commission_ppm"),
               *amount = qn_args_flag(cli, "amount"), *from = qn_args_flag(cli, "key");
    json_t *fields = json_object(), *receipt = NULL;
    if (!amount && cli->argc == 1) {
        amount = cli->argv[0];
        cli->argc = 0;
    }
    if (!amount || cli->argc) {
        json_decref(fields);
        return qn_usage(cli,
                        "validator create takes an amount, and --name, --commission_ppm, --key");
    }
    json_object_set_new(fields, "amount", json_string(amount));
    json_object_set_new(fields, "name", json_string(name ? name : ""));
    json_object_set_new(fields, "commission_ppm", json_string(ppm ? ppm : "0"));
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_wallet_load(cli->client.home, from ? from : "validator", &key, &why);
    if (rc == QN_OK) rc = sign(cli, &key, fields, &why);
    qn_key_wipe(&key);
    if (rc == QN_OK)
        rc = qn_client_tx(&cli->client, "validator.create", fields, cli->as, NULL, cli->wait,
                          &receipt, &why);
    json_decref(fields);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, receipt);
    json_decref(receipt);
    return 0;
}
