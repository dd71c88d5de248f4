/* test_journal.c - a journal whose bytes changed: the last frame cut off by a power failure is dropped, anything else is told and left as it is. */
#include "core/base/test.h"
#include "core/env/env.h"
#include "ledger/store/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { FRAMES = 6, LEN = 1000, SIZE = 16 + LEN + 16, HOLD = FRAMES * SIZE };

struct place {
    char dir[32], seg[80];
    struct qn_frame_at at[FRAMES];
    unsigned cnt; /* frames that the last opening visited */
};

static qn_rc visit(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                   struct qn_span payload, struct qn_why *why)
{
    (void)kind;
    (void)seq;
    (void)at;
    (void)payload;
    (void)why;
    ((struct place *)arg)->cnt++;
    return QN_OK;
}

static qn_rc reopen(struct place *p, struct qn_journal **ret, struct qn_why *why)
{
    p->cnt = 0;
    return qn_journal_open(p->dir, visit, p, ret, why);
}

static struct qn_journal *begin(struct qn_test_state *t, struct place *p)
{
    struct qn_journal *j = NULL;
    struct qn_why why = { "" };
    uint8_t bytes[LEN];
    strcpy(p->dir, "/tmp/quoin-journal-XXXXXX");
    QN_ASSERT(mkdtemp(p->dir) != NULL);
    snprintf(p->seg, sizeof p->seg, "%s/seg-0000000000.qj", p->dir);
    CHECK_RC(reopen(p, &j, &why), QN_OK);
    for (unsigned i = 0; i < FRAMES; i++) {
        memset(bytes, (int)i + 1, sizeof bytes);
        CHECK_RC(qn_journal_append(j, QN_FRAME_VOTE, QN_SPAN(bytes, sizeof bytes), &p->at[i], &why),
                 QN_OK);
    }
    return j;
}

static void end(struct place *p)
{
    unlink(p->seg);
    rmdir(p->dir);
}

static void change(struct place *p, long off, uint8_t mask, uint8_t ret_old[1])
{
    FILE *f = fopen(p->seg, "r+b");
    QN_ASSERT(f && fseek(f, off, SEEK_SET) == 0 && fread(ret_old, 1, 1, f) == 1);
    uint8_t now = ret_old[0] ^ mask;
    QN_ASSERT(fseek(f, off, SEEK_SET) == 0 && fwrite(&now, 1, 1, f) == 1);
    fclose(f);
}

/* Any bit of a frame that others follow: what its length claims, too, though then the rest looks like zeros or like nothing. */
static void test_rot(struct qn_test_state *t)
{
    struct place p;
    struct qn_why why = { "" };
    struct qn_journal *j = begin(t, &p);
    qn_journal_close(j);
    for (long off = 0; off < HOLD - SIZE; off += off % SIZE < 24 ? 1 : 37)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t old[1], back[1];
            j = NULL;
            change(&p, off, (uint8_t)(1u << bit), old);
            CHECK_RC(reopen(&p, &j, &why), QN_E_CORRUPT);
            qn_journal_close(j);
            change(&p, off, (uint8_t)(1u << bit), back);
            CHECK(back[0] == (old[0] ^ 1u << bit)); /* nothing was changed by the opening */
        }
    CHECK_RC(reopen(&p, &j, &why), QN_OK);
    CHECK(p.cnt == FRAMES);
    qn_journal_close(j);
    end(&p);
}

static void test_torn(struct qn_test_state *t)
{
    struct place p;
    struct qn_why why = { "" };
    struct qn_journal *j = begin(t, &p);
    uint8_t old[1];
    qn_journal_close(j);
    change(&p, HOLD - SIZE + 2, 0x10, old); /* the last one's length: a megabyte more */
    CHECK_RC(reopen(&p, &j, &why), QN_OK);
    CHECK(p.cnt == FRAMES - 1);
    qn_journal_close(j);
    end(&p);
}

/* What another version wrote is told apart from what rotted. */
static void test_foreign(struct qn_test_state *t)
{
    struct place p;
    struct qn_why why = { "" };
    struct qn_journal *j = begin(t, &p);
    uint8_t frame[SIZE], old[1];
    qn_journal_close(j);
    j = NULL;
    change(&p, 4, QN_FRAME_VOTE ^ 3, old); /* of kind 3, in format 0 */
    CHECK_RC(reopen(&p, &j, &why), QN_E_CORRUPT);
    FILE *f = fopen(p.seg, "r+b");
    QN_ASSERT(f && fread(frame, 1, SIZE, f) == SIZE);
    uint32_t crc = (uint32_t)crc32(0, frame, SIZE - 8);
    memcpy(frame + SIZE - 8, &crc, sizeof crc);
    QN_ASSERT(fseek(f, 0, SEEK_SET) == 0 && fwrite(frame, 1, SIZE, f) == SIZE);
    fclose(f);
    CHECK_RC(reopen(&p, &j, &why), QN_E_FOREIGN);
    CHECK(strstr(why.text, "is of format 0, this build reads 1") != NULL);
    CHECK(p.cnt == 0 && j == NULL);
    end(&p);
}

static void test_read(struct qn_test_state *t)
{
    struct place p;
    struct qn_why why = { "" };
    struct qn_journal *j = begin(t, &p);
    struct qn_buf buf = { 0 };
    uint8_t old[1];
    CHECK_RC(qn_journal_read(j, p.at[2], &buf, &why), QN_OK);
    CHECK(buf.len == LEN && buf.ptr[0] == 3 && buf.ptr[LEN - 1] == 3);
    change(&p, 2 * SIZE + 500, 1, old);
    CHECK_RC(qn_journal_read(j, p.at[2], &buf, &why), QN_E_CORRUPT);
    CHECK(buf.len == LEN); /* as it was */
    CHECK_RC(qn_journal_read(j, p.at[3], &buf, &why), QN_OK);
    CHECK(buf.len == 2 * LEN && buf.ptr[LEN] == 4);
    qn_buf_free(&buf);
    qn_journal_close(j);
    end(&p);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_rot);
    TEST(test_torn);
    TEST(test_foreign);
    TEST(test_read);
    return TEST_END();
}
