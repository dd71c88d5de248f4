/* hash_label.h - what the labels that are hashed most lead to: BLAKE3's key for context "quoin " + label, which is half of the work of a short hash.
 * To add one: a line, whose words test_crypto.c tells. Any other label works, too. */
#ifndef QN_CORE_CRYPTO_HASH_LABEL_H
#define QN_CORE_CRYPTO_HASH_LABEL_H

#include <stdint.h>

static const struct {
    char text[12];
    uint32_t key[8];
} HASH_LABELS[] = {
    { "inner",
      { 0x7f9262d1, 0xe47bfc07, 0xcc645cd1, 0xe456908b, 0x0bd3e80d, 0x87bd5e5f, 0xf88f8ec0,
        0xcee54e55 } },
    { "acct",
      { 0xea47a97e, 0x4d87fa96, 0xe6268a7f, 0xa8a71731, 0x33d55d5b, 0xaac1160b, 0x72f28e87,
        0x52040e91 } },
    { "tx",
      { 0x0f367598, 0x0f1d4063, 0x777dd136, 0xdf0653b9, 0xe42b9966, 0xfa4905d3, 0x8ffcc3bb,
        0x8be806b1 } },
    { "tx whole",
      { 0xcb7695da, 0xedcde146, 0x626b6c0b, 0x5b1caeba, 0xe4249305, 0xef89210a, 0x50593640,
        0xb0432740 } },
    { "value",
      { 0x3effea5c, 0x167ec61d, 0xa83afaf7, 0x7745bfc7, 0x1aa0b608, 0x46713ba4, 0xcc2187a5,
        0x22f5c796 } },
    { "leaf",
      { 0xd6cff682, 0x5d81e738, 0xa9d9e27e, 0x2262c5ef, 0x3710fc55, 0x952da51d, 0xb41b1e0a,
        0x01ad6f32 } },
    { "header",
      { 0x76fc12f6, 0xf92e29ad, 0xcfda9454, 0xb93dc50c, 0xdc8dc40f, 0xbf3e0fad, 0x1151c873,
        0x7cb486b0 } },
    { "frame",
      { 0x1059db63, 0xa1d2c1b9, 0xb6f227c9, 0xd5215a1f, 0x254c7656, 0x7b8a8568, 0x3c256ec5,
        0x1e11dc2d } },
    { "body",
      { 0x3b103745, 0xc4c8b905, 0xcbc84a96, 0x01a1b247, 0xbb9f5acb, 0xcf312f1a, 0xee21a77d,
        0xb84d0907 } },
    { "beacon",
      { 0xe08f0c8b, 0x74f89c32, 0x4bfef199, 0x832a5113, 0x1f4f7f00, 0xeb9c194d, 0x27dece3d,
        0x9fa8ff90 } },
    { "leader",
      { 0x119ce80c, 0x960dbf50, 0x50f4d615, 0x72169c72, 0xb4d8e20f, 0x8a48dbae, 0xd3b85cf9,
        0x34263d07 } },
};

#endif
