/* rot.c - what time does to what lies on a disk. */
#include "tests/sim/sim.h"

#include <string.h>
#include <zlib.h>

/* A byte of a commit, whose checksum is made to fit: LMDB, which the log stands for, has none. */
static bool rot_rows(struct sim_file *f, uint64_t *rng)
{
    size_t off = 0, cnt = 0, pick = 0;
    uint32_t len = 0, crc;
    for (; off + 8 < f->len; off += 8 + len) {
        memcpy(&len, f->data + off, 4);
        if (len == 0 || len > f->len - off - 8) break;
        if (sim_below(rng, ++cnt) == 0) pick = off;
    }
    if (cnt == 0) return false;
    memcpy(&len, f->data + pick, 4);
    sim_flip(rng, f->data + pick + 8, len);
    crc = (uint32_t)crc32(0, f->data + pick + 8, len);
    memcpy(f->data + pick + 4, &crc, 4);
    return true;
}

enum {
    HEAD = 16,
    TAIL = 16,
    SPARE = 4
}; /* of a frame (ledger/store/journal.h); frames left alone */

/* A bit, or a sector that is empty or another one. */
static bool rot_segment(struct sim_file *f, uint64_t *rng)
{
    uint64_t ends[SPARE] = { 0 }, off = 0, cnt = 0, head = 0;
    uint32_t len;
    for (; off + HEAD + TAIL < f->len; cnt++) {
        memcpy(&len, f->data + off, 4);
        if (len == 0) break;
        if (cnt >= SPARE && sim_below(rng, cnt) == 0) head = ends[cnt % SPARE];
        ends[cnt % SPARE] = off;
        off += HEAD + ((uint64_t)len + 7) / 8 * 8 + TAIL;
    }
    uint64_t safe = cnt < SPARE ? 0 : ends[cnt % SPARE]; /* where the last ones begin */
    if (safe < 2 * SIM_SECTOR) return false;
    uint8_t *sector = f->data + sim_below(rng, safe / SIM_SECTOR) * SIM_SECTOR, old[SIM_SECTOR];
    memcpy(old, sector, SIM_SECTOR);
    switch (sim_below(rng, 5)) {
    case 0: memset(sector, 0, SIM_SECTOR); break;
    case 1:
        memmove(sector, f->data + sim_below(rng, f->len / SIM_SECTOR) * SIM_SECTOR, SIM_SECTOR);
        break;
    case 2: /* what a frame says of itself */ sim_flip(rng, f->data + head, HEAD); return true;
    default: sim_flip(rng, sector, SIM_SECTOR);
    }
    return memcmp(old, sector, SIM_SECTOR) != 0;
}

bool sim_disk_rot(struct sim_disk *d, uint64_t *rng, bool rows)
{
    unsigned cnt = 0;
    struct sim_file *pick = NULL;
    for (struct sim_file *f = d->files; f; f = f->next)
        if (strstr(f->path, rows ? "state.mdb" : ".qj") && f->len && sim_below(rng, ++cnt) == 0)
            pick = f;
    if (!pick || !(rows ? rot_rows(pick, rng) : rot_segment(pick, rng))) return false;
    *(rows ? &d->rotten_rows : &d->rotten_journal) = true;
    return true;
}
