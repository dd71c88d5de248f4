/* ops_body.h - a whole variant: the including file defines LANES, GEMM_MR, GEMM_NV, GEMM_SIZES. */
#include "core/base/base.h"
#include "gpu/cpu/ops.h"
#include "gpu/dialect/vec.h"

#include "gpu/dialect/num.k"

#include "gpu/dialect/fn.k"
#include "gpu/kernels/adam.k"
#include "gpu/kernels/map.k"

#include "gpu/cpu/map_body.h"

#include "gpu/cpu/gemm_body.h"
