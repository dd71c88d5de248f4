/* devnet.h - N nodes of one chain as child processes: what `quoin devnet` and the demo start. */
#ifndef QN_CORE_NODE_DEVNET_H
#define QN_CORE_NODE_DEVNET_H

#include "core/base/err.h"

#define QN_DEVNET_MAX 64

struct qn_devnet;

/* qn_devnet_open prepares HOME/node-0 .. and HOME/genesis, unless they are there from before, starts all nodes on free loopback ports and
 * waits until each is ready. All wallets hold the same owner and faucet. home is absolute. */
QN_CHECK qn_rc qn_devnet_open(const char *home, unsigned cnt, struct qn_devnet **ret,
                              struct qn_why *why);
/* qn_devnet_close ends the nodes cleanly and waits for them. */
void qn_devnet_close(struct qn_devnet *net);
const char *qn_devnet_home(const struct qn_devnet *net, unsigned idx);

#endif
