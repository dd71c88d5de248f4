/* group.h - the words of .k texts that are whole kernels, in C: a kernel is a function called once for each
 * group of lanes; here a group has one lane and words are plain integers. This build is the reference.
 *
 * The file that includes a kernel's text says what its function is called (MATMUL_I8) and the shape of a
 * group (PANEL, ROWS, COLS); it may include the text more than once. cuda.h and vulkan.h have the same words
 * for devices, simd.h for vector registers; c.h has the words of texts of values. */
#ifndef QN_GPU_DIALECT_GROUP_H
#define QN_GPU_DIALECT_GROUP_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t u32;
typedef int32_t i32;
typedef size_t
    idx; /* of a word in a matrix; as wide as pointers, so that compilers step pointers */
#define idx(x) ((idx)(x))

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* A kernel of three inputs, one output and three numbers, called once for each group. */
#define KERNEL_IN(idx, type, name)
#define KERNEL_OUT(idx, type, name)
#define KERNEL_3N(fn, t0, a0, t1, a1, t2, a2, t3, a3, x, y, z)                                     \
    static void fn(const t0 *a0, const t1 *a1, const t2 *a2, t3 *a3, u32 x, u32 y, u32 z,          \
                   u32 group_x, u32 group_y)
#define GROUP_X group_x
#define GROUP_Y group_y

/* --- int8: a word is four values, the lowest byte first ---------------------------------------------------- */
#ifndef QN_DIALECT_SIMD
typedef u32 word;
typedef u32 lane_word;
typedef i32 lane_i32;
#define LANES               1u
#define LANE_SET(v)         (v)
#define LANE_LOAD(buf, idx) ((buf)[idx])
#define LANE_STORE(buf, row, col, v, end)                                                          \
    do {                                                                                           \
        if ((col) < (end)) (buf)[(row) + (col)] = (v);                                             \
    } while (0)
#define DOT_CNT        4
#define DOT_BIAS       0
#define DOT(acc, a, b) dot4((acc), (a), (b))

/* acc plus the products of four int8 pairs; wraps modulo 2^32. */
static inline i32 dot4(i32 acc, u32 a, u32 b)
{
    i32 sum = 0; /* |sum| <= 4 * 2^14 */
    for (int i = 0; i < 32; i += 8)
        sum += (i32)(int8_t)(uint8_t)(a >> i) * (i32)(int8_t)(uint8_t)(b >> i);
    return (i32)((u32)acc + (u32)sum);
}
#endif

#endif
