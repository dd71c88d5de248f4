/* fuse.h - groups of nodes that one kernel computes at once; never other bits (test_graph.c: kept = fused). */
#ifndef QN_GPU_GRAPH_FUSE_H
#define QN_GPU_GRAPH_FUSE_H

#include "gpu/graph/node.h"

/* The Adam update as graph_mlp writes it, in three nodes m', v', w' that follow one another. */
struct fuse_adam {
    uint32_t w, m, v, g, c1, c2, lr;    /* nodes */
    uint32_t b1, b1c, b2, b2c, eps, wd; /* bits */
};

/* fuse_adam_find says whether node id is m' of such a group, each value being next of its state. */
bool fuse_adam_find(const struct graph *g, uint32_t id, struct fuse_adam *ret);

#endif
