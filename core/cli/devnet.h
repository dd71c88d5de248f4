/* devnet.h - N nodes of one chain as child processes: what `quoin devnet` and the demo start. */
#ifndef QN_CORE_CLI_DEVNET_H
#define QN_CORE_CLI_DEVNET_H

#include "core/base/err.h"

#define QN_DEVNET_MAX 64

struct qn_devnet;

/* qn_devnet_open prepares HOME/node-0 .. and HOME/genesis, unless they are there from before, starts all nodes on free loopback ports and
 * waits until each is ready. All wallets hold the same owner and faucet. home is absolute. at_home: the first node's home is HOME itself, as
 * it is also when HOME has a wallet already. */
QN_CHECK qn_rc qn_devnet_open(const char *home, unsigned cnt, bool at_home, struct qn_devnet **ret,
                              struct qn_why *why);
/* qn_devnet_close ends the nodes cleanly and waits for them. */
void qn_devnet_close(struct qn_devnet *net);
/* qn_devnet_await waits until a node that was told to stop is gone. */
void qn_devnet_await(struct qn_devnet *net, unsigned idx);
const char *qn_devnet_home(const struct qn_devnet *net, unsigned idx);

#endif
