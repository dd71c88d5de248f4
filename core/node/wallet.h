/* wallet.h - keys of a home: HOME/wallet/NAME.key, 64 hex digits of an Ed25519 seed, mode 0600. Signing happens in the process that asks, never
 * in the node. */
#ifndef QN_CORE_NODE_WALLET_H
#define QN_CORE_NODE_WALLET_H

#include "core/crypto/sign.h"
#include "core/env/env.h"

#include <jansson.h>

/* qn_wallet_load reads a key; QN_E_NOTFOUND naming how to make it, QN_E_AUTH for a file that others may read, too. Wipe it after use. */
QN_CHECK qn_rc qn_wallet_load(const char *home, const char *name, struct qn_key *ret,
                              struct qn_why *why);
/* qn_wallet_new makes a key; QN_E_EXISTS when there is one of that name. seed may be NULL: random. */
QN_CHECK qn_rc qn_wallet_new(const char *home, const char *name, const uint8_t *seed,
                             struct qn_key *ret, struct qn_why *why);
/* qn_wallet_list sets *ret to [{"name","address","account"}], whatever it returns: the first error of a key that cannot be read, or of the folder. */
QN_CHECK qn_rc qn_wallet_list(const char *home, json_t **ret, struct qn_why *why);

#endif
