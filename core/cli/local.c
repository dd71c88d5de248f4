/* local.c - functions of the caller's side: their parameters, their access to node and wallet. */
#include "core/cli/local.h"

#include "core/node/wallet.h"

static qn_rc ask_node(void *host, const char *name, const json_t *params, json_t **ret,
                      struct qn_why *why)
{
    return qn_client_call(host, name, params, ret, why);
}

static qn_rc load_key(void *host, const char *name, struct qn_key *ret, struct qn_why *why)
{
    const struct qn_client *client = host;
    return qn_wallet_load(client->home, name, ret, why);
}

/* Which module a function belongs to. */
static size_t module_of(const struct qn_local *local)
{
    const struct qn_module *mod;
    for (size_t m = 0; (mod = qn_module_at(m)) && m < QN_LOCALS_MAX; m++)
        for (const struct qn_local *l = mod->locals; l && l->name; l++)
            if (l == local) return m;
    QN_BUG("a function of no module");
}

qn_rc qn_local_run(struct qn_client *client, struct qn_locals *keep, const struct qn_local *local,
                   const char *as, const json_t *params, json_t **ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 256u << 20 };
    void *obj = NULL;
    size_t idx = module_of(local);
    qn_rc rc = QN_OK;
    if (local->params) {
        obj = qn_arena_alloc(&arena, local->params()->size);
        rc = qn_from_json(local->params(), params, &arena, obj, why);
        if (rc && qn_err_exit(rc) == QN_CLASS_PEER) rc = QN_E_USAGE; /* the caller's own words */
    }
    struct qn_local_ctx ctx = { .env = qn_env_real(),
                                .home = client->home,
                                .as = as,
                                .arena = &arena,
                                .host = client,
                                .call = ask_node,
                                .key = load_key,
                                .state = &keep->state[idx] };
    if (rc == QN_OK) rc = local->fn(&ctx, obj, ret, why);
    qn_arena_free(&arena);
    return rc;
}

void qn_locals_end(struct qn_locals *keep)
{
    const struct qn_module *mod;
    for (size_t m = 0; m < QN_LOCALS_MAX && (mod = qn_module_at(m)); m++) {
        for (const struct qn_local *l = mod->locals; l && l->name && keep->state[m]; l++) {
            if (!l->end) continue;
            l->end(keep->state[m]);
            keep->state[m] = NULL;
        }
    }
}
