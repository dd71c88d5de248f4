/* chain.c - the chain in a protocol's name. */
#include "net/libp2p/chain.h"

#include <string.h>

bool qn_proto_chain(const char *proto, char ret[QN_CHAIN_HEX])
{
    static const char FRONT[] = "/quoin/";
    if (strncmp(proto, FRONT, sizeof FRONT - 1) != 0) return false;
    const char *hex = proto + sizeof FRONT - 1;
    size_t len = strspn(hex, "0123456789abcdef");
    if (len != QN_CHAIN_HEX - 1 || hex[len] != '/') return false;
    memcpy(ret, hex, len);
    ret[len] = 0;
    return true;
}

enum qn_kin qn_peer_kin(const struct qn_peer_info *info, const char *ours,
                        char ret_other[QN_CHAIN_HEX])
{
    enum qn_kin kin = QN_KIN_NONE;
    char hex[QN_CHAIN_HEX];
    for (uint32_t i = 0; i < info->proto_cnt; i++) {
        if (!qn_proto_chain(info->protos[i], hex)) continue;
        if (strcmp(hex, ours) == 0) return QN_KIN_OURS;
        memcpy(ret_other, hex, sizeof hex);
        kin = QN_KIN_OTHER;
    }
    return kin;
}

bool qn_peer_other_version(const struct qn_peer_info *info, const char *proto, const char **ret)
{
    const char *end = strrchr(proto, '/');
    size_t len = end ? (size_t)(end - proto) + 1 : 0;
    bool found = false;
    for (uint32_t i = 0; i < info->proto_cnt && len; i++) {
        const char *p = info->protos[i];
        if (strcmp(p, proto) == 0) return false;
        /* a number, so that nobody's words come into our log */
        if (strncmp(p, proto, len) != 0 || !p[len] || p[len + strspn(p + len, "0123456789.")])
            continue;
        *ret = p;
        found = true;
    }
    return found;
}
