/* fuzz_journal.c - any bytes as a journal's segment: it opens or says why not, and what it refuses it leaves as it was. */
#include "ledger/store/journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t cnt, bytes;
    uint64_t first; /* an anchor may begin a journal at any seq */
};

static qn_rc visit(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                   struct qn_span payload, struct qn_why *why)
{
    struct seen *seen = arg;
    (void)at;
    (void)why;
    if (seen->cnt == 0) seen->first = seq;
    QN_ASSERT(seq == seen->first + seen->cnt);
    QN_ASSERT(seen->first == 0 || seen->cnt || kind == QN_FRAME_ANCHOR);
    seen->cnt++;
    seen->bytes += payload.len;
    for (size_t i = 0; i < payload.len; i += 64) /* all of it is readable */
        seen->bytes += payload.ptr[i] == 0;
    return QN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[64], path[128];
    struct qn_journal *j = NULL;
    struct qn_why why = { "" };
    struct seen seen = { 0 };
    struct stat st;
    snprintf(dir, sizeof dir, "/dev/shm/quoin-fuzz-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/seg-0000000000.qj", dir);
    mkdir(dir, 0700);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) return 0;
    close(fd);
    qn_rc rc = qn_journal_open(dir, visit, &seen, &j, &why);
    if (rc) {
        QN_ASSERT(why.text[0] != 0);
        QN_ASSERT(stat(path, &st) == 0 && (size_t)st.st_size == size);
    }
    qn_journal_close(j);
    unlink(path);
    rmdir(dir);
    return 0;
}
