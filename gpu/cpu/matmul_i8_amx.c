/* matmul_i8_amx.c - the int8 product by AMX tiles, an override of matmul_i8.k: built with -O3 -mamx-tile
 * -mamx-int8 (CMakeLists.txt). tdpbssd multiplies 16 x 64 by 64 x 16 signed values into 16 x 16 int32, exact
 * like the text; it needs no bias. Stays while test_matmul_i8 shows the same bits and bench_matmul_i8 the gain
 * (2.4 x avx512vnni). A group is 32 x 32: 4 tiles of sums, 2 of A, 2 of B. */
#include "gpu/cpu/matmul_i8.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TILE                16u
#define GROUP               32u
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA  18
#define XCR0_TILES          UINT64_C(0x60000)

/* Linux hands the 8 KiB of tile registers only to a process that asked. */
static bool runs(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & 1u << 24) || !(d & 1u << 25))
        return false;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) return false; /* OSXSAVE */
    uint32_t lo, hi;
    __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    if ((lo & XCR0_TILES) != XCR0_TILES) return false;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static void begin(void)
{
    struct {
        uint8_t palette, start_row, zero[14];
        uint16_t colsb[16];
        uint8_t rows[16];
    } conf = { .palette = 1 };
    for (int i = 0; i < 8; i++) {
        conf.colsb[i] = 64;
        conf.rows[i] = TILE;
    }
    _tile_loadconfig(&conf);
}

static void end(void)
{
    _tile_release();
}

/* A as whole tiles one after the other, 16 rows of 64 bytes each: rows far apart fell on the same cache sets,
 * and cost half the speed. Rows past cnt hold what was there before and are not stored. */
static void pack_rows(const int8_t *a, uint32_t cnt, uint32_t k, uint32_t kw, uint32_t *dst,
                      int32_t *start)
{
    (void)start;
    for (uint32_t row = 0; row < cnt; row++, a += k) {
        uint8_t *to = (uint8_t *)(dst + (size_t)(row / TILE) * TILE * kw) + row % TILE * 64;
        for (uint32_t at = 0; at < kw * 4; at += 64, to += TILE * 64) {
            if (at + 64 <= k) {
                memcpy(to, a + at, 64);
            } else {
                memset(to, 0, 64);
                if (at < k) memcpy(to, a + at, k - at);
            }
        }
    }
}

/* What c has of a group, when it ends inside it. */
static void store(int32_t (*part)[GROUP], int32_t *c, uint32_t rows, uint32_t n, uint32_t cols)
{
    for (uint32_t i = 0; i < rows; i++)
        memcpy(c + (size_t)i * n, part[i], cols * sizeof **part);
}

static void many(const uint32_t *a, const uint32_t *b, const int32_t *start, int32_t *c, uint32_t m,
                 uint32_t n, uint32_t kw, uint32_t group_x, uint32_t group_y)
{
    uint32_t row = group_y * GROUP, col = group_x * GROUP;
    const uint32_t *a0 = a + (size_t)row * kw, *b0 = b + (size_t)group_x * kw * GROUP;
    const uint32_t *a1 = a0 + (size_t)TILE * kw;
    (void)start; /* zeros: no bias */
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (uint32_t k = 0; k < kw; k += TILE) { /* kw_step keeps tiles whole */
        _tile_loadd(4, a0 + (size_t)k * TILE, 64);
        _tile_loadd(6, b0 + (size_t)k * GROUP, GROUP * 4);
        _tile_loadd(7, b0 + (size_t)k * GROUP + TILE, GROUP * 4);
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_loadd(5, a1 + (size_t)k * TILE, 64);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    int32_t *dst = c + (size_t)row * n + col;
    if (row + GROUP <= m && col + GROUP <= n) {
        _tile_stored(0, dst, (size_t)n * 4);
        _tile_stored(1, dst + TILE, (size_t)n * 4);
        _tile_stored(2, dst + (size_t)TILE * n, (size_t)n * 4);
        _tile_stored(3, dst + (size_t)TILE * n + TILE, (size_t)n * 4);
        return;
    }
    int32_t part[GROUP][GROUP];
    _tile_stored(0, &part[0][0], GROUP * 4);
    _tile_stored(1, &part[0][TILE], GROUP * 4);
    _tile_stored(2, &part[TILE][0], GROUP * 4);
    _tile_stored(3, &part[TILE][TILE], GROUP * 4);
    store(part, dst, QN_MIN(GROUP, m - row), n, QN_MIN(GROUP, n - col));
}

/* The same with one tile of A. */
static void few(const uint32_t *a, const uint32_t *b, const int32_t *start, int32_t *c, uint32_t m,
                uint32_t n, uint32_t kw, uint32_t group_x, uint32_t group_y)
{
    uint32_t row = group_y * TILE, col = group_x * GROUP;
    const uint32_t *a0 = a + (size_t)row * kw, *b0 = b + (size_t)group_x * kw * GROUP;
    int32_t part[GROUP][GROUP];
    (void)start;
    _tile_zero(0);
    _tile_zero(1);
    for (uint32_t k = 0; k < kw; k += TILE) {
        _tile_loadd(4, a0 + (size_t)k * TILE, 64);
        _tile_loadd(6, b0 + (size_t)k * GROUP, GROUP * 4);
        _tile_loadd(7, b0 + (size_t)k * GROUP + TILE, GROUP * 4);
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
    }
    _tile_stored(0, &part[0][0], GROUP * 4);
    _tile_stored(1, &part[0][TILE], GROUP * 4);
    store(part, c + (size_t)row * n + col, QN_MIN(TILE, m - row), n, QN_MIN(GROUP, n - col));
}

const struct matmul_i8_build matmul_i8_amx = { .name = "amx",
                                               .doc = "tdpbssd tiles of 16 x 64, an override",
                                               .runs = runs,
                                               .dot_cnt = 4,
                                               .kw_step = TILE,
                                               .panel = GROUP,
                                               .rows = GROUP,
                                               .pack_rows = pack_rows,
                                               .many = many,
                                               .few_rows = TILE,
                                               .few = few,
                                               .begin = begin,
                                               .end = end };

#endif
