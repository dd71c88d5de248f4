/* bench_ledger_store.c - LMDB commits a second through the store, beside bare synced writes of as many pages to the same disk. */
#include "core/env/env.h"
#include "ledger/store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COMMITS = 500, PAGES = 4 }; /* leaf, branch, free list, meta: what one small commit writes */

static double seconds(uint64_t since_us)
{
    return (double)(qn_env_mono_us(qn_env_real()) - since_us) / 1e6;
}

int main(void)
{
    char dir[] = "/tmp/quoin-bench-XXXXXX", path[64], cmd[64];
    uint8_t page[4096] = { 1 };
    struct qn_why why;
    struct qn_store *st;
    struct qn_store_meta meta;
    QN_ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/bare", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    QN_ASSERT(fd >= 0);
    uint64_t begin = qn_env_mono_us(qn_env_real());
    for (unsigned i = 0; i < COMMITS; i++) { /* data, then the meta page: two syncs, as LMDB does */
        for (unsigned k = 0; k < PAGES; k++)
            QN_ASSERT(pwrite(fd, page, sizeof page, (off_t)(k * sizeof page)) == sizeof page);
        QN_ASSERT(fdatasync(fd) == 0);
        QN_ASSERT(pwrite(fd, page, sizeof page, 0) == sizeof page && fdatasync(fd) == 0);
    }
    double bare = COMMITS / seconds(begin);
    close(fd);
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    QN_ASSERT(qn_store_open(path, 1, &st, &meta, &why) == QN_OK);
    begin = qn_env_mono_us(qn_env_real());
    for (unsigned i = 0; i < COMMITS; i++) {
        uint64_t key = i * UINT64_C(0x9e3779b97f4a7c15);
        meta.height = i + 1;
        QN_ASSERT(qn_store_begin(st, &why) == QN_OK &&
                  qn_store_put(st, QN_SPAN_OF(key), QN_SPAN(page, 100), &why) == QN_OK &&
                  qn_store_commit(st, &meta, &why) == QN_OK);
    }
    double rate = COMMITS / seconds(begin);
    qn_store_close(st);
    printf("{\"name\":\"LMDB commits, one row each, synced\",\"value\":%.0f,\"unit\":\"commits/s\","
           "\"limit\":\"two bare synced writes %.0f/s\",\"limit_ratio\":%.3f}\n",
           rate, bare, rate / bare);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd) != 0;
}
