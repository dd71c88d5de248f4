/* rs.h - Reed-Solomon: k data pieces and k parity pieces of equal length, any k of which give the data back.
 *
 * GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1; parity i = sum over j of data j / ((k + i) + j), a Cauchy matrix, each square part of which
 * can be inverted. The same bits as ISA-L's gf_gen_cauchy1_matrix. Vectors where the machine has them (GFNI, AVX2); all ways give
 * equal bits. */
#ifndef QN_NET_GOSSIP_RS_H
#define QN_NET_GOSSIP_RS_H

#include "core/base/base.h"

#define RS_K_MAX 127u

enum rs_way { RS_C, RS_AVX2, RS_GFNI };

/* rs_way is the best this machine has. */
enum rs_way rs_way(void);

/* rs_encode fills k parity pieces of len bytes; 1 <= k <= RS_K_MAX. */
void rs_encode(unsigned k, const uint8_t *const *data, uint8_t *const *parity, size_t len);

/* rs_restore writes each data piece that is missing (piece[i] NULL, i < k) to ret_data[i], from any k of the 2 k pieces; entries of
 * ret_data whose piece is there are not touched. False, and nothing written, when fewer than k are there. */
QN_CHECK bool rs_restore(unsigned k, const uint8_t *const *piece, uint8_t *const *ret_data,
                         size_t len);

/* rs_mul is the work behind both: dst[r] = sum over c of matrix[r * cols + c] * src[c]. rows, cols <= RS_K_MAX; dst apart from src. */
void rs_mul(enum rs_way way, const uint8_t *matrix, unsigned rows, unsigned cols,
            const uint8_t *const *src, uint8_t *const *dst, size_t len);

/* rs_gf_mul is the field's product. */
uint8_t rs_gf_mul(uint8_t a, uint8_t b);

#endif
