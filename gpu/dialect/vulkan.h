/* vulkan.h - group.h for Vulkan: with these words glslang compiles the text to SPIR-V. No float appears; the
 * int8 product needs no extension of the device. A group is a workgroup of 64; the host dispatches (panels,
 * ceil(m / ROWS)) of them: gpu/vulkan/vulkan.c. */
#define u32    uint
#define i32    int
#define idx    uint
#define UNROLL [[unroll]]

#define KERNEL_IN(at, type, name)                                                                  \
    layout(std430, set = 0, binding = at) readonly buffer in_##name                                \
    {                                                                                              \
        type name[];                                                                               \
    };
#define KERNEL_OUT(at, type, name)                                                                 \
    layout(std430, set = 0, binding = at) writeonly buffer out_##name                              \
    {                                                                                              \
        type name[];                                                                               \
    };
#define KERNEL_3N(fn, t0, a0, t1, a1, t2, a2, t3, a3, x, y, z)                                     \
    layout(push_constant) uniform numbers                                                          \
    {                                                                                              \
        uint x, y, z;                                                                              \
    };                                                                                             \
    void main()

#define LANES 64u
layout(local_size_x = 64) in;
#define LANE    gl_LocalInvocationID.x
#define GROUP_X gl_WorkGroupID.x
#define GROUP_Y gl_WorkGroupID.y

/* --- int8: a word is four values, the lowest byte first ---------------------------------------------------- */
#define word               uint
#define lane_word          uint
#define lane_i32           int
#define LANE_SET(v)        (v)
#define LANE_LOAD(buf, at) (buf[(at) + LANE])
#define LANE_STORE(buf, row, col, v, end)                                                          \
    if ((col) + LANE < (end)) buf[(row) + (col) + LANE] = (v)
#define DOT(acc, a, b) dot4((acc), (a), (b))

int dot4(int acc, uint a, uint b)
{
    int x = int(a), y = int(b);
    return acc + bitfieldExtract(x, 0, 8) * bitfieldExtract(y, 0, 8) +
           bitfieldExtract(x, 8, 8) * bitfieldExtract(y, 8, 8) +
           bitfieldExtract(x, 16, 8) * bitfieldExtract(y, 16, 8) + (x >> 24) * (y >> 24);
}
