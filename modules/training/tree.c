/* tree.c - Merkle trees of hashes. */
#include "modules/training/tree.h"

#include <stdlib.h>
#include <string.h>

#define PACK 64u /* pairs hashed at a time */

uint32_t tree_height(uint32_t cnt)
{
    uint32_t level = 0;
    for (; cnt > 1; cnt = cnt / 2 + cnt % 2)
        level++;
    return level;
}

uint32_t tree_level_cnt(uint32_t cnt, uint32_t level)
{
    while (level-- && cnt > 1)
        cnt = cnt / 2 + cnt % 2;
    return cnt;
}

uint32_t tree_up(struct qn_hash *nodes, uint32_t cnt, uint32_t levels)
{
    struct qn_hash up[PACK];
    for (; levels && cnt > 1; levels--) {
        uint32_t pairs = cnt / 2;
        for (uint32_t i = 0; i < pairs; i += PACK) {
            uint32_t n = QN_MIN(PACK, pairs - i);
            qn_h_many("train/node", nodes + 2 * i, 64, 64, n, up);
            memcpy(nodes + i, up, n * sizeof *up);
        }
        if (cnt & 1) nodes[pairs] = nodes[cnt - 1];
        cnt = pairs + (cnt & 1);
    }
    return cnt;
}

static struct qn_hash *copy_of(const struct qn_hash *leaves, uint32_t cnt)
{
    QN_ASSERT(cnt > 0);
    struct qn_hash *copy = malloc(cnt * sizeof *copy);
    QN_ASSERT(copy != NULL);
    memcpy(copy, leaves, cnt * sizeof *copy);
    return copy;
}

struct qn_hash tree_root(const struct qn_hash *leaves, uint32_t cnt)
{
    struct qn_hash *level = copy_of(leaves, cnt);
    tree_up(level, cnt, TREE_DEPTH_MAX);
    struct qn_hash root = level[0];
    free(level);
    return root;
}

uint32_t tree_path(const struct qn_hash *leaves, uint32_t cnt, uint32_t idx, struct qn_hash *ret)
{
    QN_ASSERT(idx < cnt);
    struct qn_hash *level = copy_of(leaves, cnt);
    uint32_t n = 0;
    for (; cnt > 1; idx /= 2) {
        if ((idx ^ 1) < cnt) ret[n++] = level[idx ^ 1];
        cnt = tree_up(level, cnt, 1);
    }
    free(level);
    return n;
}

bool tree_check(const struct qn_hash *root, uint32_t cnt, uint32_t idx, const struct qn_hash *leaf,
                const struct qn_hash *path, uint32_t path_cnt)
{
    struct qn_hash at = *leaf;
    uint32_t used = 0;
    if (idx >= cnt) return false;
    for (; cnt > 1; cnt = cnt / 2 + cnt % 2, idx /= 2) {
        if ((idx ^ 1) >= cnt) continue;
        if (used == path_cnt) return false;
        const struct qn_hash *side = &path[used++];
        at = idx & 1 ? qn_h2("train/node", side, &at) : qn_h2("train/node", &at, side);
    }
    return used == path_cnt && qn_hash_eq(&at, root);
}
