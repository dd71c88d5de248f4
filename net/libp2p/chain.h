/* chain.h - of which chain a peer is, told by the names of its protocols: "/quoin/<8 hex of the genesis>/..." are of one chain alone.
 *
 * Networks share addresses: a machine that leaves one and begins another keeps its port, and whoever dials it then meets strangers who
 * speak perfect libp2p. They are no enemies, but nothing is gained by them, so they must not hold places that our own should have. */
#ifndef QN_NET_LIBP2P_CHAIN_H
#define QN_NET_LIBP2P_CHAIN_H

#include "net/libp2p/host.h"

#define QN_CHAIN_HEX 9 /* 8 digits and the end */

enum qn_kin {
    QN_KIN_NONE, /* names no chain: a tool, a stock libp2p client, a node that has no genesis yet */
    QN_KIN_OURS, /* names ours, whatever else */
    QN_KIN_OTHER, /* names another, and not ours */
};

/* qn_proto_chain takes the digits out of a protocol's name; false when it is of no chain. */
QN_CHECK bool qn_proto_chain(const char *proto, char ret[QN_CHAIN_HEX]);
/* qn_peer_kin says of which chain an identified peer is; ret_other has its digits when it is another. */
enum qn_kin qn_peer_kin(const struct qn_peer_info *info, const char *ours,
                        char ret_other[QN_CHAIN_HEX]);
/* qn_peer_other_version says whether a peer speaks proto ("/quoin/<8 hex>/ledger/1") in other versions only, and lends the name of one. */
QN_CHECK bool qn_peer_other_version(const struct qn_peer_info *info, const char *proto,
                                    const char **ret);

#endif
