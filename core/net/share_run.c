/* share_run.c - groups of a request that came one after the other, put together so that the file gets them by one call: a system that keeps
 * files in pages of many sizes takes 64 KiB for .22 s/GB, four times 16 for .30. (128 cost .17 by themselves, but four requests' worth of them no longer
 * lies in the near cache: a fetch was no faster.) */
#include "core/net/share_in.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

uint8_t *share_run_room(struct share *s, struct share_run *r, uint64_t group)
{
    if (r->cnt && group != r->first + r->cnt) return NULL;
    if (!r->bytes) {
        if (s->run_cnt >= SHARE_RUNS_MAX) return NULL;
        r->bytes = malloc(SHARE_RUN_GROUPS * QN_GROUP);
        QN_ASSERT(r->bytes != NULL);
        s->run_cnt++;
    }
    QN_ASSERT(r->cnt < SHARE_RUN_GROUPS); /* a full one is written at once */
    return r->bytes + r->len;
}

bool share_run_add(struct share_run *r, uint64_t group, struct qn_span bytes, uint64_t now_ms)
{
    bool slow = now_ms - r->last_ms >= SHARE_RUN_MS;
    QN_ASSERT(bytes.ptr == r->bytes + r->len);
    if (r->cnt == 0) r->first = group;
    r->cnt++;
    r->len += bytes.len;
    r->last_ms = now_ms;
    /* A piece begins where a run does, so that runs lie in the file at multiples of their length. */
    return slow || r->cnt == SHARE_RUN_GROUPS || bytes.len < QN_GROUP ||
           (group + 1) % SHARE_RUN_GROUPS == 0;
}

void share_run_free(struct share *s, struct share_run *r)
{
    if (r->bytes) s->run_cnt--;
    free(r->bytes);
    *r = (struct share_run){ 0 };
}

qn_rc share_write(int fd, uint64_t group, struct qn_span bytes)
{
    for (size_t put = 0; put < bytes.len;) {
        ssize_t n = pwrite(fd, bytes.ptr + put, bytes.len - put, (off_t)(group * QN_GROUP + put));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return qn_err_errno(errno);
        put += (size_t)n;
    }
    return QN_OK;
}
