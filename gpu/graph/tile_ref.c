/* tile_ref.c - the tile step by plain C floats: the reference of every variant. */
#include "gpu/graph/tile_step.h"

#include "gpu/dialect/c.h"

#define TILE_STEP graph_tile_step_c
#define TILE_INIT graph_init_tile_c
#include "gpu/graph/tile_body.h"
