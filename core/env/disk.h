/* disk.h - the part of a file system that journal and checkpoint stand on, as a seam: the machine's own, or in simulations one that
 * loses what was not synced, tears sectors, fills up and lies.
 *
 * Every function answers 0 or more, or minus an errno. Handles are small numbers >= 0. After a failed write or sync of a handle nothing
 * is known about what it wrote: who holds it starts over from what is there. */
#ifndef QN_CORE_ENV_DISK_H
#define QN_CORE_ENV_DISK_H

#include "core/base/span.h"

enum qn_disk_open {
    QN_DISK_READ,
    QN_DISK_WRITE, /* of an existing file, also readable; a write is on the disk when it returns */
    QN_DISK_MAKE,  /* the same of a new file: -EEXIST */
};

struct qn_disk {
    void *self;
    int (*open)(void *self, const char *path, enum qn_disk_open how);
    void (*close)(void *self, int fd);
    /* read answers the bytes it got, fewer than len only at the end of the file; write all or an error. */
    int64_t (*read)(void *self, int fd, void *dst, size_t len, uint64_t off);
    int (*write)(void *self, int fd, struct qn_span bytes, uint64_t off);
    int (*grow)(void *self, int fd, uint64_t off, uint64_t len); /* preallocates zeros */
    int (*cut)(void *self, const char *path, uint64_t len);      /* truncates, synced */
    int64_t (*size)(void *self, const char *path);
    int (*make_dir)(void *self, const char *path); /* with its parents; an existing one is fine */
    int (*sync_dir)(void *self,
                    const char *path); /* names made, renamed or removed in it stay so */
    int (*remove)(void *self, const char *path);
    int (*rename)(void *self, const char *from, const char *to);
    uint32_t grow_bytes,
        file_bytes; /* what a journal preallocates at a time, and a file of it holds; 0: its own choice */
};

/* qn_disk_real is the machine's own; what takes a disk takes NULL for it. */
const struct qn_disk *qn_disk_real(void);

/* qn_disk_whole appends a file of at most max bytes to ret; QN_E_NOTFOUND, QN_E_TOOBIG, QN_E_IO. */
QN_CHECK qn_rc qn_disk_whole(const struct qn_disk *disk, const char *path, size_t max,
                             struct qn_buf *ret, struct qn_why *why);

#endif
