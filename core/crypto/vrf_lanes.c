/* vrf_lanes.c - VRF proofs in lanes, each with the verdict of vrf_plain_verify:
 *
 *   s below the order L and not 0, c not 0; Y and Gamma canonical, on the curve, L times each of them 0, neither of them 0; and c the challenge of
 *   Y, H, Gamma, U = sB - cY, V = sH - cGamma. No cofactor, and no equation over several.
 *
 * What takes time is laid into lanes as it comes, whose proof it may be. First all bytes that may be points are opened: Y (of the same key
 * once), Gamma, and hashes that may be H, of which half are none: a proof alone tries six at once. With 8 times each, which H and the output
 * are. Then chains, of which a proof has four: V, U, L Gamma, L Y; a chain is a sum of two multiples. Lanes share steps, not values: what is wrong
 * with one proof cannot reach another. */
#include "core/crypto/vrf_lanes.h"

#ifdef __x86_64__

#include "core/crypto/ge8.h"
#include "core/crypto/sha512x8.h"
#include "core/crypto/sign_lanes.h"

#include <sodium.h>
#include <string.h>

#define LANES  GE8_LANES
#define BATCH  32 /* proofs at a time; more share nothing more */
#define GROUPS 8  /* that share an inversion */

/* 32 bytes that may be a point. */
struct opened {
    const uint8_t *bytes;
    bool minus; /* -P and -8P are asked for */
    bool good;  /* canonical, on the curve, and 8 times it is not 0 */
    struct vrf_flat p, p8;
    uint8_t sum[32]; /* p8's bytes */
};

/* a P + b Q. */
struct chain {
    const struct vrf_flat *p, *q;
    const uint8_t *a, *b; /* b NULL: 0 */
    uint8_t sum[32];
    bool zero; /* it is the neutral point */
};

/* A proof on its way. */
struct proof {
    struct opened *y;
    struct opened gamma;
    uint8_t c[32]; /* as a scalar */
    uint8_t h[32];
    struct vrf_flat h_flat;
    bool fit;     /* nothing was wrong */
    bool has_h;   /* h is found */
    unsigned ctr; /* hashes tried */
    struct chain *v, *u, *of_gamma, *of_y;
};

static const uint8_t NEUTRAL[32] = { 1 };
/* The base point. */
static const struct vrf_flat BASE = {
    { 0x62d608f25d51a, 0x609525a7b2c95, 0xdd6dc5c692cc7, 0x53fec0a4e231f, 0x216936d3cd6e },
    { 0x6666666666658, 0x6666666666666, 0x6666666666666, 0x6666666666666, 0x666666666666 },
};

/* --- between lanes and memory --------------------------------------------------------------------------------------- */

FE8_INLINE void flat_put(struct vrf_flat *dst[LANES], const struct fe8 *x, const struct fe8 *y)
{
    uint64_t w[2][5][LANES];
    memcpy(w[0], x->v, sizeof w[0]);
    memcpy(w[1], y->v, sizeof w[1]);
    for (int l = 0; l < LANES; l++)
        for (int i = 0; dst[l] && i < 5; i++) {
            dst[l]->x[i] = w[0][i][l];
            dst[l]->y[i] = w[1][i][l];
        }
}

FE8_INLINE void flat_get(struct ge8 *r, const struct vrf_flat *const src[LANES])
{
    uint64_t w[2][5][LANES];
    for (int l = 0; l < LANES; l++)
        for (int i = 0; i < 5; i++) {
            w[0][i][l] = src[l]->x[i];
            w[1][i][l] = src[l]->y[i];
        }
    memcpy(r->x.v, w[0], sizeof w[0]);
    memcpy(r->y.v, w[1], sizeof w[1]);
    ge8_small(&r->z, 1);
    fe8_mul(&r->t, &r->x, &r->y);
}

/* RFC 8032, 5.1.2. */
static void flat_bytes(const struct vrf_flat *f, uint8_t ret[32])
{
    uint64_t w[4] = { f->y[0] | f->y[1] << 52, f->y[1] >> 12 | f->y[2] << 40,
                      f->y[2] >> 24 | f->y[3] << 28, f->y[3] >> 36 | f->y[4] << 16 };
    w[3] |= (f->x[0] & 1) << 63;
    memcpy(ret, w, 32);
}

/* X / Z and Y / Z of groups of points. One inversion for all: no Z is 0. */
FE8_CALL void norm(const struct ge8 at[], size_t cnt, struct vrf_flat *dst[][LANES])
{
    struct fe8 upto[GROUPS], inv, z, x, y; /* upto[i]: the product of Z of groups 0 to i */
    QN_ASSERT(cnt > 0);
    QN_ASSERT(cnt <= GROUPS);
    upto[0] = at[0].z;
    for (size_t i = 1; i < cnt; i++)
        fe8_mul(&upto[i], &upto[i - 1], &at[i].z);
    fe8_invert(&inv, &upto[cnt - 1]);
    for (size_t i = cnt; i-- > 0;) {
        z = inv;
        if (i) {
            fe8_mul(&z, &inv, &upto[i - 1]);
            fe8_mul(&inv, &inv, &at[i].z);
        }
        fe8_mul(&x, &at[i].x, &z);
        fe8_mul(&y, &at[i].y, &z);
        fe8_freeze(&x, &x);
        fe8_freeze(&y, &y);
        flat_put(dst[i], &x, &y);
    }
}

FE8_CALL void hash_all(struct sha512x8_input in[], size_t cnt, uint8_t ret[][64])
{
    struct sha512x8_input some[LANES];
    uint8_t out[LANES][64];
    for (size_t from = 0; from < cnt; from += LANES) {
        size_t n = QN_MIN(cnt - from, (size_t)LANES);
        for (size_t l = 0; l < LANES; l++)
            some[l] = in[from + (l < n ? l : 0)];
        sha512x8(some, out);
        memcpy(ret[from], out, n * sizeof out[0]);
    }
}

/* --- opening ----------------------------------------------------------------------------------------------------------- */

FE8_CALL void open_some(struct opened *const list[], size_t cnt)
{
    struct ge8 p8[GROUPS];
    struct vrf_flat *dst[GROUPS][LANES];
    size_t groups = (cnt + LANES - 1) / LANES;
    QN_ASSERT(groups <= GROUPS);
    for (size_t g = 0; g < groups; g++) {
        const uint8_t *src[LANES];
        struct vrf_flat *p[LANES];
        __mmask8 minus = 0;
        for (size_t l = 0; l < LANES; l++) {
            bool is = g * LANES + l < cnt;
            struct opened *o = list[is ? g * LANES + l : 0];
            src[l] = o->bytes;
            minus |= (__mmask8)(o->minus << l);
            p[l] = is ? &o->p : NULL;
            dst[g][l] = is ? &o->p8 : NULL;
        }
        __mmask8 on = ge8_open(&p8[g], src, minus);
        struct fe8 x, y;
        fe8_freeze(&x, &p8[g].x);
        fe8_freeze(&y, &p8[g].y);
        flat_put(p, &x, &y);
        for (int i = 0; i < 3; i++)
            ge8_twice(&p8[g], false);
        for (size_t l = 0; l < LANES && g * LANES + l < cnt; l++)
            list[g * LANES + l]->good = on >> l & 1;
    }
    if (groups) norm(p8, groups, dst);
    for (size_t i = 0; i < cnt; i++) {
        struct opened *o = list[i];
        flat_bytes(&o->p8, o->sum);
        o->good = o->good && vrf_canonical(o->bytes) && memcmp(o->sum, NEUTRAL, 32) != 0;
    }
}

static void open_all(struct opened *const list[], size_t cnt)
{
    for (size_t i = 0; i < cnt; i += GROUPS * LANES)
        open_some(list + i, QN_MIN(cnt - i, (size_t)GROUPS * LANES));
}

/* Opens what is in the list, which has room for BATCH more; and finds H of the proofs that are fit, if what they need of the list is good: with as many
 * hashes of each at once as there are lanes for. */
static void open_points(struct proof proofs[], const struct qn_vrf_item items[], size_t cnt,
                        struct opened *list[], size_t listed)
{
    struct opened tries[BATCH];
    struct sha512x8_input in[BATCH];
    uint8_t before[BATCH][VRF_BEFORE], after[BATCH][VRF_AFTER], hash[BATCH][64];
    size_t of[BATCH], left = 0;
    for (size_t i = 0; i < cnt; i++) {
        left += proofs[i].fit;
        vrf_before_text(items[i].pub, before[i]);
    }
    for (; left; listed = 0) {
        size_t room = LANES - QN_MIN(listed, (size_t)LANES), each = QN_MAX(room / left, (size_t)1),
               n = 0;
        for (size_t i = 0; i < cnt; i++)
            for (size_t k = 0; k < each && proofs[i].fit && !proofs[i].has_h; k++, n++) {
                QN_ASSERT(proofs[i].ctr < 256); /* no point of 256: once in 2^256 texts */
                vrf_after_text(proofs[i].ctr++, after[n]);
                in[n] = (struct sha512x8_input){ { QN_SPAN(before[i], VRF_BEFORE), items[i].alpha,
                                                   QN_SPAN(after[n], VRF_AFTER) } };
                tries[n].bytes = hash[n];
                tries[n].minus = false;
                list[listed + n] = &tries[n];
                of[n] = i;
            }
        hash_all(in, n, hash);
        open_all(list, listed + n);
        for (size_t k = 0; k < n; k++) {
            struct proof *p = &proofs[of[k]];
            if (p->has_h || !tries[k].good) continue;
            p->has_h = true;
            p->h_flat = tries[k].p8;
            memcpy(p->h, tries[k].sum, 32);
        }
        left = 0;
        for (size_t i = 0; i < cnt; i++) {
            struct proof *p = &proofs[i];
            p->fit = p->fit && (!p->y || (p->y->good && p->gamma.good));
            left += p->fit && !p->has_h;
        }
    }
}

/* --- chains --------------------------------------------------------------------------------------------------------------- */

static bool any(const int8_t digits[LANES])
{
    uint64_t all;
    memcpy(&all, digits, sizeof all);
    return all != 0;
}

/* cnt is 1 to LANES; lanes beyond have digits of 0. */
FE8_CALL void sum_up(struct ge8 *at, const struct chain list[], size_t cnt)
{
    struct ge8_sum of_p[GE8_TABLE], of_q[GE8_TABLE];
    int8_t a[GE8_TOP + 1][LANES], b[GE8_TOP + 1][LANES];
    const struct vrf_flat *p[LANES], *q[LANES];
    struct ge8 point;
    bool two = false;
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    for (size_t l = 0; l < LANES; l++) {
        const struct chain *c = &list[l < cnt ? l : 0];
        p[l] = c->p;
        q[l] = c->b ? c->q : c->p;
        if (l < cnt) ge8_cut(a, (int)l, c->a);
        if (l < cnt && c->b) ge8_cut(b, (int)l, c->b);
        two |= c->b != NULL;
    }
    flat_get(&point, p);
    ge8_fill(of_p, &point);
    flat_get(&point, q);
    if (two) ge8_fill(of_q, &point);
    ge8_small(&at->x, 0);
    ge8_small(&at->y, 1);
    at->z = at->y;
    at->t = at->x;
    bool begun = false;
    for (int i = GE8_TOP; i >= 0; i--) {
        bool with_a = any(a[i]), with_b = two && any(b[i]);
        for (int bit = 0; begun && bit < GE8_BITS; bit++)
            ge8_twice(at, bit + 1 == GE8_BITS && (with_a || with_b));
        if (with_a) ge8_add_digit(at, of_p, a[i], with_b);
        if (with_b) ge8_add_digit(at, of_q, b[i], false);
        begun = begun || with_a || with_b;
    }
}

FE8_CALL void run_chains(struct chain list[], size_t cnt)
{
    struct ge8 at[GROUPS];
    struct vrf_flat flat[GROUPS * LANES], *dst[GROUPS][LANES];
    for (size_t from = 0, now; from < cnt; from += now) {
        now = QN_MIN(cnt - from, (size_t)GROUPS * LANES);
        size_t groups = (now + LANES - 1) / LANES;
        for (size_t g = 0; g < groups; g++) {
            sum_up(&at[g], list + from + g * LANES, QN_MIN(now - g * LANES, (size_t)LANES));
            for (size_t l = 0; l < LANES; l++)
                dst[g][l] = &flat[g * LANES + l];
        }
        norm(at, groups, dst);
        for (size_t i = 0; i < now; i++) {
            struct chain *c = &list[from + i];
            flat_bytes(&flat[i], c->sum);
            c->zero = memcmp(c->sum, NEUTRAL, 32) == 0;
        }
    }
}

/* --- proofs --------------------------------------------------------------------------------------------------------------- */

/* What can be said from the bytes alone; and from their points. */
static void read_all(struct proof proofs[], struct opened keys[], const struct qn_vrf_item items[],
                     size_t cnt)
{
    static const uint8_t ZERO[32] = { 0 };
    struct opened *list[3 * BATCH];
    size_t n = 0;
    for (size_t i = 0; i < cnt; i++) {
        struct proof *p = &proofs[i];
        const uint8_t *pi = items[i].proof->b;
        size_t same = 0;
        *p = (struct proof){ .gamma = { .bytes = pi, .minus = true } };
        memcpy(p->c, pi + 32, 16);
        p->fit = ge8_below(pi + 48, GE8_ORDER) && memcmp(pi + 48, ZERO, 32) != 0 &&
                 memcmp(p->c, ZERO, 32) != 0;
        while (same < i && memcmp(items[same].pub->b, items[i].pub->b, 32) != 0)
            same++;
        p->y = &keys[same];
        if (same == i) {
            keys[i].bytes = items[i].pub->b;
            keys[i].minus = true;
            list[n++] = &keys[i];
        }
        list[n++] = &p->gamma;
    }
    open_points(proofs, items, cnt, list, n);
}

/* Chains of one shape beside each other. */
static size_t plan(struct proof proofs[], const struct qn_vrf_item items[], size_t cnt,
                   struct chain list[])
{
    size_t n = 0;
    for (size_t i = 0; i < cnt; i++) {
        struct proof *p = &proofs[i];
        if (!p->fit) continue;
        list[n] = (struct chain){ &p->gamma.p, &p->h_flat, p->c, items[i].proof->b + 48, { 0 }, 0 };
        p->v = &list[n++];
    }
    for (size_t i = 0; i < cnt; i++) {
        struct proof *p = &proofs[i];
        if (!p->fit) continue;
        list[n] = (struct chain){ &p->y->p, &BASE, p->c, items[i].proof->b + 48, { 0 }, 0 };
        p->u = &list[n++];
    }
    for (size_t i = 0; i < cnt; i++) {
        struct proof *p = &proofs[i];
        if (!p->fit) continue;
        list[n] = (struct chain){ &p->gamma.p, NULL, GE8_ORDER, NULL, { 0 }, 0 };
        p->of_gamma = &list[n++];
        for (size_t k = 0; k < i && !p->of_y; k++)
            if (proofs[k].y == p->y) p->of_y = proofs[k].of_y;
        if (p->of_y) continue;
        list[n] = (struct chain){ &p->y->p, NULL, GE8_ORDER, NULL, { 0 }, 0 };
        p->of_y = &list[n++];
    }
    return n;
}

/* The challenges, and the outputs of who is right. */
static void judge(struct proof proofs[], const struct qn_vrf_item items[], size_t cnt,
                  bool ret_ok[], uint8_t ret_out[][QN_VRF_OUT])
{
    uint8_t text[BATCH][VRF_CHALLENGE], hash[BATCH][64];
    struct sha512x8_input in[BATCH] = { 0 };
    size_t of[BATCH], n = 0;
    for (size_t i = 0; i < cnt; i++) {
        const struct proof *p = &proofs[i];
        ret_ok[i] = false;
        if (!p->fit || !p->of_gamma->zero || !p->of_y->zero) continue;
        const uint8_t *points[] = { items[i].pub->b, p->h, p->gamma.bytes, p->u->sum, p->v->sum };
        vrf_challenge_text(points, text[n]);
        in[n].part[0] = QN_SPAN(text[n], VRF_CHALLENGE);
        of[n++] = i;
    }
    hash_all(in, n, hash);
    size_t good = 0;
    for (size_t k = 0; k < n; k++) {
        const struct proof *p = &proofs[of[k]];
        uint8_t gamma8[32];
        if (memcmp(hash[k], p->c, 16) != 0) continue;
        memcpy(gamma8, p->gamma.sum, 32); /* of -8 Gamma, whose x is not 0 */
        gamma8[31] ^= 0x80;
        vrf_output_text(gamma8, text[good]);
        in[good].part[0] = QN_SPAN(text[good], VRF_OUTPUT);
        of[good++] = of[k];
    }
    hash_all(in, good, hash);
    for (size_t k = 0; k < good; k++) {
        ret_ok[of[k]] = true;
        memcpy(ret_out[of[k]], hash[k], QN_VRF_OUT);
    }
}

static void verify(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                   uint8_t ret_out[][QN_VRF_OUT])
{
    struct proof proofs[BATCH];
    struct opened keys[BATCH];
    struct chain list[4 * BATCH];
    read_all(proofs, keys, items, cnt);
    run_chains(list, plan(proofs, items, cnt, list));
    judge(proofs, items, cnt, ret_ok, ret_out);
}

void vrf_lanes_verify(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                      uint8_t ret_out[][QN_VRF_OUT])
{
    for (size_t i = 0; i < cnt; i += BATCH)
        verify(items + i, QN_MIN(cnt - i, (size_t)BATCH), ret_ok + i, ret_out + i);
}

void vrf_lanes_curve(const struct qn_hash *pub, struct qn_span alpha, uint8_t ret[32],
                     struct vrf_flat *ret_flat)
{
    struct qn_vrf_item item = { pub, NULL, alpha };
    struct proof proof = { .fit = true };
    struct opened *list[BATCH];
    open_points(&proof, &item, 1, list, 0);
    memcpy(ret, proof.h, 32);
    *ret_flat = proof.h_flat;
}

/* All lanes take all steps whatever the digits are. */
FE8_CALL void draw(struct ge8 at[2], const struct ge8_sum table[GE8_TABLE],
                   int8_t digits[GE8_TOP + 1][LANES])
{
    ge8_small(&at->x, 0);
    ge8_small(&at->y, 1);
    at->z = at->y;
    at->t = at->x;
    for (int i = GE8_TOP; i >= 0; i--) {
        for (int bit = 0; bit < GE8_BITS; bit++)
            ge8_twice(at, bit + 1 == GE8_BITS);
        ge8_add_secret(at, table, digits[i], false);
    }
    at[1] = at[0];
    for (int i = 0; i < 3; i++)
        ge8_twice(&at[1], false);
}

FE8_CODE void vrf_lanes_draw(const struct vrf_flat *h, const uint8_t x[32], const uint8_t k[32],
                             struct vrf_drawn *ret)
{
    const struct vrf_flat *points[LANES] = { h, &BASE, h, h, h, h, h, h };
    struct vrf_flat gamma, u, v, gamma8;
    struct vrf_flat *dst[2][LANES] = { { &gamma, &u, &v }, { &gamma8 } };
    int8_t digits[GE8_TOP + 1][LANES];
    struct ge8_sum table[GE8_TABLE];
    struct ge8 point, at[2];
    memset(digits, 0, sizeof digits);
    ge8_cut(digits, 0, x);
    ge8_cut(digits, 1, k);
    ge8_cut(digits, 2, k);
    flat_get(&point, points);
    ge8_fill(table, &point);
    draw(at, table, digits);
    norm(at, 2, dst);
    flat_bytes(&gamma, ret->gamma);
    flat_bytes(&u, ret->u);
    flat_bytes(&v, ret->v);
    flat_bytes(&gamma8, ret->gamma8);
    sodium_memzero(digits, sizeof digits);
    sodium_memzero(at, sizeof at); /* Z tells of the way a point was reached */
}

bool vrf_lanes_can(void)
{
    return sign_lanes_can();
}

#else

bool vrf_lanes_can(void)
{
    return false;
}

void vrf_lanes_verify(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                      uint8_t ret_out[][QN_VRF_OUT])
{
    (void)items, (void)cnt, (void)ret_ok, (void)ret_out;
    QN_BUG("no lanes on this processor");
}

void vrf_lanes_curve(const struct qn_hash *pub, struct qn_span alpha, uint8_t ret[32],
                     struct vrf_flat *ret_flat)
{
    (void)pub, (void)alpha, (void)ret, (void)ret_flat;
    QN_BUG("no lanes on this processor");
}

void vrf_lanes_draw(const struct vrf_flat *h, const uint8_t x[32], const uint8_t k[32],
                    struct vrf_drawn *ret)
{
    (void)h, (void)x, (void)k, (void)ret;
    QN_BUG("no lanes on this processor");
}

#endif
