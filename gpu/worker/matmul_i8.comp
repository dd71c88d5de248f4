#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// matmul_i8.comp - matmul_i8.k as a Vulkan shader; PANEL and ROWS come from the build, as in driver.h
#define COLS (PANEL / LANES)
#include "gpu/dialect/vulkan.h"
#include "gpu/kernels/matmul_i8.k"
