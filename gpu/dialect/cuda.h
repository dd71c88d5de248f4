/* cuda.h - group.h for CUDA, as Debian's clang compiles it without any SDK: -x cuda --cuda-device-only
 * -nocudainc -nocudalib --cuda-gpu-arch=sm_70 -S makes PTX, which the driver assembles at run time.
 *
 * A group is a warp; a block is WARPS of them, one above the other in rows, so that they share B in L1. The
 * host launches (panels, ceil(m / (ROWS * WARPS))) blocks of (32, WARPS) threads: gpu/cuda/cuda.c. */
#ifndef QN_GPU_DIALECT_CUDA_H
#define QN_GPU_DIALECT_CUDA_H

typedef unsigned u32;
typedef int i32;
typedef u32 idx;
#define idx(x) ((idx)(x))

#define UNROLL _Pragma("unroll")

#define KERNEL_IN(idx, type, name)
#define KERNEL_OUT(idx, type, name)
#define KERNEL_3N(fn, t0, a0, t1, a1, t2, a2, t3, a3, x, y, z)                                     \
    extern "C" __attribute__((global)) void fn(                                                    \
        const t0 *__restrict__ a0, const t1 *__restrict__ a1, const t2 *__restrict__ a2,           \
        t3 *__restrict__ a3, u32 x, u32 y, u32 z)

#define WARPS   4u
#define LANES   32u
#define LANE    ((u32)__nvvm_read_ptx_sreg_tid_x())
#define GROUP_X ((u32)__nvvm_read_ptx_sreg_ctaid_x())
#define GROUP_Y ((u32)__nvvm_read_ptx_sreg_ctaid_y() * WARPS + (u32)__nvvm_read_ptx_sreg_tid_y())

/* --- int8: a word is four values, the lowest byte first ---------------------------------------------------- */
typedef u32 word;
typedef u32 lane_word;
typedef i32 lane_i32;
#define LANE_SET(v)        (v)
#define LANE_LOAD(buf, at) ((buf)[(at) + LANE])
#define LANE_STORE(buf, row, col, v, end)                                                          \
    do {                                                                                           \
        if ((col) + LANE < (end)) (buf)[(row) + (col) + LANE] = (v);                               \
    } while (0)
#define DOT(acc, a, b) dot4((acc), (a), (b))

static __attribute__((device)) inline i32 dot4(i32 acc, u32 a, u32 b)
{
    i32 sum;
    asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

#endif
