/* rules.c - what each phase of a game asks for. Ledger, solver and challenger run this same code. */
#include "modules/training/training.h"

#include "modules/training/tile.h"

uint64_t training_seg_end(const struct training_job *job, uint32_t seg)
{
    return QN_MIN(((uint64_t)seg + 1) * job->seg, job->steps);
}

uint64_t training_point(uint64_t lo, uint64_t hi, uint32_t n, uint32_t i)
{
    QN_ASSERT(i < n && hi - lo >= n && hi - lo <= UINT32_MAX);
    return lo + (hi - lo) * (i + 1) / n;
}

uint32_t training_tile_level(const struct training_game *game)
{
    return game->level > TRAINING_TREE_ARITY ? game->level - TRAINING_TREE_ARITY : 0;
}

static uint32_t tile_list_cnt(const struct graph *g, const struct training_game *game)
{
    uint32_t level = training_tile_level(game), first = game->tile << (game->level - level);
    uint32_t all = tree_level_cnt(graph_tile_cnt(&g->node.ptr[game->node]), level);
    QN_ASSERT(first < all);
    return QN_MIN(all - first, UINT32_C(1) << (game->level - level));
}

uint32_t training_list_cnt(const struct graph *g, const struct training_game *game)
{
    switch ((enum training_phase)game->phase) {
    case TRAINING_STEPS:
        return (uint32_t)QN_MIN(game->step_hi - game->step_lo, (uint64_t)TRAINING_STEP_ARITY);
    case TRAINING_NODES: return g->node.cnt;
    case TRAINING_TILES: return tile_list_cnt(g, game);
    case TRAINING_SUMS: return graph_tile_steps(g, game->node);
    case TRAINING_PICK_STEP:
    case TRAINING_PICK_NODE:
    case TRAINING_PICK_TILE:
    case TRAINING_PICK_SUM:
    case TRAINING_TILE:
    case TRAINING_OVER: return 0;
    }
    QN_BUG("training_phase out of range");
}

bool training_solver_moves(uint8_t phase)
{
    return phase == TRAINING_STEPS || phase == TRAINING_NODES || phase == TRAINING_TILES ||
           phase == TRAINING_SUMS;
}

/* The root of a (1, 1) tensor is the hash of its one tile. */
static bool is_scalar(const struct qn_hash *root, uint32_t bits)
{
    struct graph_tile tile = { { bits } };
    struct qn_hash h = tile_hash(&tile);
    return qn_hash_eq(&h, root);
}

qn_rc training_nodes_bound(const struct graph *g, const struct training_game *game,
                           const struct qn_hash *nodes, struct qn_why *why)
{
    struct qn_hash states[1024];
    for (uint32_t i = 0; i < g->node.cnt; i++)
        if ((g->node.ptr[i].op == GRAPH_CONST || g->node.ptr[i].op == GRAPH_STEP) &&
            !qn_hash_is_zero(&nodes[i]))
            return qn_why(why, QN_E_PROOF, "operator %u has no root of its own: it must be zero",
                          i);
    for (uint32_t i = 0; i < g->next.cnt; i++)
        states[i] = nodes[g->next.ptr[i].state];
    struct qn_hash root = tile_state_root(g, game->step_lo, states);
    if (!qn_hash_eq(&root, &game->root_lo))
        return qn_why(why, QN_E_PROOF, "these are not the tensors of the state before the step");
    for (uint32_t i = 0; i < g->next.cnt; i++)
        states[i] = nodes[g->next.ptr[i].node];
    root = tile_state_root(g, game->step_hi, states);
    if (!qn_hash_eq(&root, &game->root_hi))
        return qn_why(why, QN_E_PROOF, "these operators do not give the state after the step");
    if (game->marked && game->mark_step == game->step_lo &&
        (!is_scalar(&nodes[g->loss], game->mark_loss) ||
         !is_scalar(&nodes[g->gnorm], game->mark_gnorm)))
        return qn_why(why, QN_E_PROOF,
                      "these operators do not give the mark's loss and gradient norm");
    return QN_OK;
}
