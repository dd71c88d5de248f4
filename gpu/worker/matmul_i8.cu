// matmul_i8.cu - matmul_i8.k as a CUDA kernel; PANEL and ROWS come from the build, as in driver.h
#define COLS      (PANEL / LANES)
#define MATMUL_I8 matmul_i8
#include "gpu/dialect/cuda.h"
#include "gpu/kernels/matmul_i8.k"
