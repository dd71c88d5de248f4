/* fs.c - the transcript. */
#include "modules/zkml/fs.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

void zkml_fs_init(struct zkml_fs *fs)
{
    *fs = (struct zkml_fs){ .state = qn_h("zk/fs", "quoin/zkml/1", 12) };
}

void zkml_fs_absorb(struct zkml_fs *fs, uint8_t label, enum zkml_fs_type type, const void *bytes,
                    size_t len)
{
    struct qn_hasher h;
    uint8_t head[6] = { label, (uint8_t)type };
    uint32_t n = (uint32_t)len;
    QN_ASSERT(len <= UINT32_MAX);
    memcpy(head + 2, &n, 4);
    qn_hasher_label(&h, "zk/fs");
    qn_hasher_put(&h, fs->state.b, sizeof fs->state.b);
    qn_hasher_put(&h, head, sizeof head);
    qn_hasher_put(&h, bytes, len);
    fs->state = qn_hasher_end(&h);
    fs->fresh = true;
}

static void draw(struct zkml_fs *fs, uint8_t label, void *dst, size_t len)
{
    struct qn_hasher h;
    uint8_t in[33];
    QN_ASSERT(fs->fresh);
    fs->fresh = false;
    memcpy(in, fs->state.b, 32);
    in[32] = label;
    qn_hasher_label(&h, "zk/sq");
    qn_hasher_put(&h, in, sizeof in);
    qn_hasher_xof(&h, dst, len);
    fs->state = qn_h("zk/fs2", in, sizeof in);
}

void zkml_fs_squeeze(struct zkml_fs *fs, uint8_t label, struct zkml_k *ret, size_t cnt)
{
    uint64_t raw[128 * ZK_DEG]; /* u64 mod p: bias 2^-33 */
    QN_ASSERT(cnt <= 128);
    draw(fs, label, raw, cnt * ZK_DEG * sizeof *raw);
    for (size_t i = 0; i < cnt * ZK_DEG; i++)
        ret[i / ZK_DEG].c[i % ZK_DEG] = zkml_f_from((uint32_t)(raw[i] % ZK_P));
}

void zkml_fs_rows(struct zkml_fs *fs, uint8_t label, unsigned log_n, uint32_t *ret, size_t cnt)
{
    draw(fs, label, ret, cnt * sizeof *ret);
    for (size_t i = 0; i < cnt; i++)
        ret[i] &= (UINT32_C(1) << log_n) - 1;
}

#define LANES 256

static bool low_zero(const struct qn_hash *h, unsigned bits)
{
    uint32_t w;
    memcpy(&w, h->b, 4);
    return (w & ((UINT32_C(1) << bits) - 1)) == 0;
}

bool zkml_fs_ground(const struct zkml_fs *fs, uint64_t nonce, unsigned bits)
{
    uint8_t in[40];
    QN_ASSERT(bits < 32);
    memcpy(in, fs->state.b, 32);
    memcpy(in + 32, &nonce, 8);
    struct qn_hash h = qn_h("zk/pow", in, sizeof in);
    return low_zero(&h, bits);
}

uint64_t zkml_fs_grind(const struct zkml_fs *fs, unsigned bits)
{
    uint8_t in[LANES][40];
    struct qn_hash out[LANES];
    for (size_t l = 0; l < LANES; l++)
        memcpy(in[l], fs->state.b, 32);
    for (uint64_t base = 0;; base += LANES) {
        for (uint64_t l = 0; l < LANES; l++) {
            uint64_t nonce = base + l;
            memcpy(in[l] + 32, &nonce, 8);
        }
        qn_h_many("zk/pow", in, sizeof in[0], sizeof in[0], LANES, out);
        for (uint64_t l = 0; l < LANES; l++)
            if (low_zero(&out[l], bits)) return base + l;
    }
}
