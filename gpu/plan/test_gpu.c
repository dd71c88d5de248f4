/* test_gpu.c - the embedded GPU worker: equal bits from every device there is, and what goes wrong costs a job.
 *
 * This program is also the worker that misbehaves: started under the worker's name it does what its second
 * word says. */
#include "gpu/plan/gpu.h"

#include "core/base/test.h"
#include "gpu/plan/gpu_process.h"
#include "gpu/plan/matmul_i8.h"
#include "gpu/plan/wire.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the worker that misbehaves ------------------------------------------------------------------------------ */

static void put(const void *bytes, size_t len)
{
    if (send(GPU_WIRE_FD, bytes, len, MSG_NOSIGNAL) < 0) _exit(9);
}

static void put_rep(enum gpu_rep_kind kind, uint32_t seq, const char *text)
{
    struct gpu_rep rep = { .magic = GPU_REP_MAGIC, .kind = kind, .seq = seq };
    strcpy(rep.text, text);
    put(&rep, sizeof rep);
}

static int misbehave(const char *how)
{
    struct gpu_req req;
    char text[4096];
    memset(text, 'x', sizeof text);
    if (strcmp(how, "silent") == 0) pause();
    if (strcmp(how, "garbage") == 0) put(text, 100);
    if (strcmp(how, "long") == 0) put(text, sizeof text);
    if (strcmp(how, "exit") == 0) return 3;
    if (strcmp(how, "crash") == 0) abort();
    if (strcmp(how, "flood") == 0)
        for (;;)
            put_rep(GPU_REP_DEVICE, 0, "one more");
    if (strcmp(how, "unclean") == 0) put_rep(GPU_REP_DEVICE, 0, "\033[31mred");
    if (strcmp(how, "nobody") == 0) put_rep(GPU_REP_READY, 0, "");
    put_rep(GPU_REP_DEVICE, 0, "device");
    put_rep(GPU_REP_READY, 0, "");
    if (recv(GPU_WIRE_FD, &req, sizeof req, 0) != sizeof req) return 4;
    if (strcmp(how, "hang") == 0) pause();
    if (strcmp(how, "die") == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        raise(SIGSEGV);
    }
    if (strcmp(how, "other") == 0) put_rep(GPU_REP_DONE, req.seq + 1, "");
    if (strcmp(how, "order") == 0) put_rep(GPU_REP_DEVICE, req.seq, "again");
    pause();
    return 0;
}

static struct qn_span self(void)
{
    static struct qn_span image; /* a test may keep state */
    if (image.ptr) return image;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    off_t len = lseek(fd, 0, SEEK_END);
    void *map = mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, fd, 0);
    QN_ASSERT(fd >= 0 && map != MAP_FAILED);
    close(fd);
    return image = QN_SPAN(map, (size_t)len);
}

static void test_bad_start(struct qn_test_state *t)
{
    static const struct {
        const char *how;
        qn_rc rc;
        const char *why;
    } CASES[] = {
        { "silent", QN_E_TIMEOUT, "no answer in time" },
        { "garbage", QN_E_DEVICE, "out of form" },
        { "long", QN_E_DEVICE, "out of form" },
        { "unclean", QN_E_DEVICE, "out of form" },
        { "exit", QN_E_DEVICE, "status 3" },
        { "crash", QN_E_DEVICE, "signal 6" },
        { "flood", QN_E_DEVICE, "out of order" },
        { "nobody", QN_E_ABSENT, "no device" },
    };
    for (size_t i = 0; i < QN_COUNT(CASES); i++) {
        struct qn_gpu_opts opts = { .timeout_ms = i ? 10000 : 300,
                                    .lib = CASES[i].how,
                                    .image = self() };
        struct qn_gpu *gpu = NULL;
        struct qn_why why = { "" };
        CHECK_RC(qn_gpu_open(&opts, &gpu, &why), CASES[i].rc);
        if (!strstr(why.text, CASES[i].why)) printf("%s: %s\n", CASES[i].how, why.text);
        CHECK(strstr(why.text, CASES[i].why) != NULL);
        CHECK(gpu == NULL);
    }
}

static void test_bad_job(struct qn_test_state *t)
{
    static const struct {
        const char *how;
        qn_rc rc;
        const char *why;
    } CASES[] = {
        { "hang", QN_E_TIMEOUT, "no answer in time" },
        { "die", QN_E_DEVICE, "signal 11" },
        { "other", QN_E_DEVICE, "another question" },
        { "order", QN_E_DEVICE, "another question" },
    };
    for (size_t i = 0; i < QN_COUNT(CASES); i++) {
        struct qn_gpu_opts opts = { .timeout_ms = i ? 10000 : 300,
                                    .lib = CASES[i].how,
                                    .image = self() };
        struct qn_gpu *gpu = NULL;
        struct qn_why why = { "" };
        int8_t one = 1;
        int32_t c = 77;
        CHECK_RC(qn_gpu_open(&opts, &gpu, &why), QN_OK);
        if (!gpu) continue;
        for (int again = 0; again < 2; again++) { /* the second job finds a new worker */
            CHECK_RC(qn_gpu_matmul_i8(gpu, 0, &one, &one, &c, 1, 1, 1, 1, NULL, &why), CASES[i].rc);
            if (!strstr(why.text, CASES[i].why)) printf("%s: %s\n", CASES[i].how, why.text);
            CHECK(strstr(why.text, CASES[i].why) != NULL);
            CHECK(c == 77);
            CHECK(qn_gpu_pid(gpu) == 0);
        }
        qn_gpu_close(gpu);
    }
}

static void test_no_driver(struct qn_test_state *t)
{
    for (int api = 0; api < 2; api++) {
        struct qn_gpu_opts opts = { .api = (enum qn_gpu_api)api, .lib = "libquoin-none.so.1" };
        struct qn_gpu *gpu = NULL;
        struct qn_why why = { "" };
        CHECK_RC(qn_gpu_open(&opts, &gpu, &why), QN_E_ABSENT);
        CHECK(strstr(why.text, "no driver") != NULL);
        CHECK(gpu == NULL);
        opts.lib = "libc.so.6"; /* a library, but no driver */
        CHECK(qn_gpu_open(&opts, &gpu, &why) == QN_E_DEVICE);
        CHECK(gpu == NULL);
    }
}

/* --- the real worker, asked for nonsense ----------------------------------------------------------------------- */

static int memory(size_t len, int seals)
{
    int fd = memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    QN_ASSERT(fd >= 0 && ftruncate(fd, (off_t)len) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

/* Sends one packet to a fresh worker and says with what it answered; false when no driver is there. */
static bool ask(struct qn_test_state *t, struct qn_span packet, const int *fds, size_t fd_cnt,
                struct gpu_rep *ret)
{
    struct gpu_process proc;
    struct qn_why why = { "" };
    uint8_t got[sizeof *ret + 1];
    size_t len = 0;
    char end[64];
    bool answered = false;
    CHECK_RC(gpu_process_start(gpu_image(), "vulkan", "libvulkan.so.1", &proc, &why), QN_OK);
    do {
        CHECK_RC(gpu_process_recv(&proc, gpu_mono_ms() + 20000, got, sizeof got, &len, &why),
                 QN_OK);
        if (len == 0 || gpu_wire_rep(QN_SPAN(got, len), ret)) break;
    } while (ret->kind == GPU_REP_DEVICE);
    if (ret->kind == GPU_REP_READY) {
        CHECK_RC(gpu_process_send(&proc, packet, fds, fd_cnt, &why), QN_OK);
        CHECK_RC(gpu_process_recv(&proc, gpu_mono_ms() + 20000, got, sizeof got, &len, &why),
                 QN_OK);
        CHECK(len == sizeof *ret);
        CHECK_RC(gpu_wire_rep(QN_SPAN(got, len), ret), QN_OK);
        answered = true;
    }
    gpu_process_end(&proc, end);
    CHECK(!strstr(end, "signal 1") || strstr(end, "signal 15")); /* 11, 6: it crashed */
    CHECK(!strstr(end, "signal 6"));
    return answered;
}

static void test_bad_request(struct qn_test_state *t)
{
    struct gpu_req good = { GPU_REQ_MAGIC, GPU_REQ_MATMUL, 5, 0, 4, 4, 4, 1 }, bad;
    struct gpu_rep rep;
    int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, size = F_SEAL_SHRINK | F_SEAL_GROW;
    int a = memory(16, all), b = memory(16, all), c = memory(64, size), loose = memory(16, 0),
        small = memory(15, all);
    if (!ask(t, QN_SPAN("nonsense", 8), NULL, 0, &rep)) {
        printf("skipped: no Vulkan driver here\n");
        return;
    }
    CHECK(rep.kind == GPU_REP_FAILED);
    CHECK(ask(t, QN_SPAN_OF(good), (int[]){ a, b, c }, 3, &rep) && rep.kind == GPU_REP_DONE);
    CHECK(ask(t, QN_SPAN_OF(good), (int[]){ a, b }, 2, &rep) && rep.kind == GPU_REP_FAILED);
    CHECK(ask(t, QN_SPAN_OF(good), (int[]){ a, small, c }, 3, &rep) && rep.kind == GPU_REP_FAILED);
    CHECK(ask(t, QN_SPAN_OF(good), (int[]){ loose, b, c }, 3, &rep) && rep.kind == GPU_REP_FAILED);
    CHECK(ask(t, QN_SPAN_OF(good), (int[]){ a, b, a }, 3, &rep) && rep.kind == GPU_REP_FAILED);
    CHECK(ask(t, QN_SPAN_OF(good), (int[]){ 0, 1, 2 }, 3, &rep) && rep.kind == GPU_REP_FAILED);
    bad = good, bad.device = 15;
    CHECK(ask(t, QN_SPAN_OF(bad), (int[]){ a, b, c }, 3, &rep) && rep.rc == QN_E_NOTFOUND);
    bad = good, bad.k = 65537;
    CHECK(ask(t, QN_SPAN_OF(bad), (int[]){ a, b, c }, 3, &rep) && rep.rc == QN_E_RANGE);
    bad = good, bad.m = UINT32_MAX, bad.n = UINT32_MAX;
    CHECK(ask(t, QN_SPAN_OF(bad), (int[]){ a, b, c }, 3, &rep) && rep.rc == QN_E_RANGE);
    for (int i = 0; i < 5; i++)
        close((int[]){ a, b, c, loose, small }[i]);
}

/* --- devices -------------------------------------------------------------------------------------------------- */

static struct qn_gpu *open_or_skip(struct qn_test_state *t, enum qn_gpu_api api)
{
    struct qn_gpu_opts opts = { .api = api };
    struct qn_gpu *gpu = NULL;
    struct qn_why why = { "" };
    qn_rc rc = qn_gpu_open(&opts, &gpu, &why);
    if (rc == QN_E_ABSENT) printf("skipped: %s\n", why.text);
    if (rc && rc != QN_E_ABSENT) printf("%s\n", why.text);
    CHECK(rc == QN_OK || rc == QN_E_ABSENT);
    return rc ? NULL : gpu;
}

struct place {
    struct qn_gpu *gpu;
    uint32_t device;
};

static qn_rc on_device(void *arg, const int8_t *a, const int8_t *b, int32_t *c, uint32_t m,
                       uint32_t n, uint32_t k)
{
    struct place *p = arg;
    struct qn_why why = { "" };
    qn_rc rc = qn_gpu_matmul_i8(p->gpu, p->device, a, b, c, m, n, k, 1, NULL, &why);
    if (rc) printf("%u x %u x %u: %s\n", m, n, k, why.text);
    return rc;
}

static void shape(struct qn_test_state *t, struct place *p, uint32_t m, uint32_t n, uint32_t k,
                  bool extreme)
{
    struct matmul_i8_build reference = matmul_i8_c;
    int8_t *a = malloc((size_t)m * k), *b = malloc((size_t)n * k);
    int32_t *c = malloc((size_t)m * n * 4), *want = malloc((size_t)m * n * 4);
    QN_ASSERT(a && b && c && want);
    uint32_t x = m * 31 + n * 17 + k;
    for (size_t i = 0; i < (size_t)(m + n) * k; i++) {
        x = x * 1664525u + 1013904223u;
        *(i < (size_t)m * k ? &a[i] : &b[i - (size_t)m * k]) =
            extreme ? INT8_MIN : (int8_t)(x >> 24);
    }
    memset(c, 0x77, (size_t)m * n * 4);
    CHECK_RC(qn_matmul_i8_build_run(&reference, a, b, want, m, n, k), QN_OK);
    CHECK_RC(on_device(p, a, b, c, m, n, k), QN_OK);
    bool same = memcmp(c, want, (size_t)m * n * 4) == 0;
    if (!same) printf("%u x %u x %u differs\n", m, n, k);
    CHECK(same);
    free(a);
    free(b);
    free(c);
    free(want);
}

static void every_device(struct qn_test_state *t, enum qn_gpu_api api)
{
    struct qn_gpu *gpu = open_or_skip(t, api);
    uint32_t cnt = 0, tiles = 0;
    if (!gpu) return;
    const struct qn_gpu_device *dev = qn_gpu_devices(gpu, &cnt);
    for (uint32_t d = 0; d < cnt; d++) {
        struct place p = { gpu, d };
        printf("%s %u: %s, %s\n", qn_gpu_api_name(api), d, dev[d].name, dev[d].driver);
        CHECK_RC(qn_matmul_i8_selftest(on_device, &p, &tiles), QN_OK);
        CHECK(tiles == QN_MATMUL_I8_TILES);
        for (uint32_t i = 1; i <= 33; i++) {
            shape(t, &p, i, 34 - i, 1 + i * 7 % 33, false);
            shape(t, &p, 1 + i * 5 % 33, i, i, false);
        }
        shape(t, &p, 37, 300, 785, false);
        shape(t, &p, 100, 129, 1001, false);
        shape(t, &p, 9, 129, 65536, true);
    }
    qn_gpu_close(gpu);
}

static void test_vulkan(struct qn_test_state *t)
{
    every_device(t, QN_GPU_VULKAN);
}

static void test_cuda(struct qn_test_state *t)
{
    every_device(t, QN_GPU_CUDA);
}

static void *killer(void *arg)
{
    usleep(300000);
    kill(*(pid_t *)arg, SIGKILL);
    return NULL;
}

/* A worker killed in the middle of a job: one error, the result untouched; the next job runs. */
static void test_killed(struct qn_test_state *t)
{
    struct qn_gpu *gpu = open_or_skip(t, QN_GPU_VULKAN);
    struct qn_why why = { "" };
    pthread_t thread;
    if (!gpu) return;
    pid_t pid = qn_gpu_pid(gpu);
    size_t len = 512 * 512;
    int8_t *a = calloc(len, 1);
    int32_t *c = malloc(len * 4);
    QN_ASSERT(a && c);
    memset(a, 1, len);
    memset(c, 0x5a, len * 4);
    QN_ASSERT(pthread_create(&thread, NULL, killer, &pid) == 0);
    qn_rc rc = qn_gpu_matmul_i8(gpu, 0, a, a, c, 512, 512, 512, GPU_REPEAT_MAX, NULL, &why);
    pthread_join(thread, NULL);
    CHECK(rc == QN_E_DEVICE);
    CHECK(strstr(why.text, "signal 9") != NULL);
    CHECK(c[0] == 0x5a5a5a5a && c[len - 1] == 0x5a5a5a5a);
    CHECK_RC(qn_gpu_matmul_i8(gpu, 0, a, a, c, 512, 512, 512, 1, NULL, &why), QN_OK);
    CHECK(c[0] == 512 && c[len - 1] == 512);
    CHECK(qn_gpu_pid(gpu) != pid && qn_gpu_pid(gpu) != 0);
    qn_gpu_close(gpu);
    free(a);
    free(c);
}

/* What the kernel says of a worker that is ready: filtered, and no way to more rights. */
static void test_locked(struct qn_test_state *t)
{
    struct qn_gpu *gpu = open_or_skip(t, QN_GPU_VULKAN);
    char path[64], text[8192];
    if (!gpu) return;
    snprintf(path, sizeof path, "/proc/%d/status", (int)qn_gpu_pid(gpu));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    CHECK(strstr(text, "NoNewPrivs:\t1") != NULL);
    CHECK(strstr(text, "Seccomp:\t2") != NULL);
    close(fd);
    pid_t pid = qn_gpu_pid(gpu);
    qn_gpu_close(gpu);
    CHECK(kill(pid, 0) != 0); /* collected */
}

/* --- what the build put into the worker ------------------------------------------------------------------------ */

static const uint8_t *find(struct qn_span in, const void *what, size_t len)
{
    return memmem(in.ptr, in.len, what, len);
}

/* PTX: integer dot products, and only float instructions that ptxas may not contract (.rn). */
static void test_ptx(struct qn_test_state *t)
{
    struct qn_span image = gpu_image();
    const char *ptx = (const char *)find(image, ".version ", 9);
    CHECK(ptx != NULL);
    if (!ptx) return;
    CHECK(strstr(ptx, ".target sm_70") != NULL);
    CHECK(strstr(ptx, "dp4a.s32.s32") != NULL);
    uint32_t lines = 0;
    for (const char *at = ptx; *at;
         at = strchr(at, '\n') ? strchr(at, '\n') + 1 : at + strlen(at)) {
        char line[200];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        bool arith = strstr(line, "add.") || strstr(line, "mul.") || strstr(line, "sub.") ||
                     strstr(line, "fma.") || strstr(line, "mad.") || strstr(line, "div.") ||
                     strstr(line, "sqrt.") || strstr(line, "ex2.");
        bool is_float = strstr(line, ".f32") || strstr(line, ".f64") || strstr(line, ".f16");
        if (arith && is_float && !strstr(line, ".rn.")) {
            printf("PTX: %s\n", line);
            t->bad = true;
        }
        lines++;
    }
    CHECK(lines > 100);
}

/* SPIR-V: no float type in an integer kernel; never OpFDiv, OpFRem, OpFMod, or an extended instruction set. */
static void test_spirv(struct qn_test_state *t)
{
    const uint32_t magic = 0x07230203;
    struct qn_span image = gpu_image();
    const uint8_t *at = find(image, &magic, 4);
    CHECK(at != NULL);
    if (!at) return;
    uint32_t ops = 0, muls = 0, head;
    bool over = false;
    for (at += 20; !over; ops++) {
        memcpy(&head, at, 4);
        uint32_t op = head & 0xffff, len = head >> 16;
        QN_ASSERT(len > 0 && (size_t)(at - image.ptr) + len * 4 < image.len);
        bool bad = op == 22 || op == 136 || op == 140 || op == 141 || op == 12;
        if (bad) printf("SPIR-V: op %u\n", op);
        CHECK(!bad);
        muls += op == 132; /* OpIMul */
        at += (size_t)len * 4;
        over = op == 56 && ops > 150; /* OpFunctionEnd; main is not the first function */
        memcpy(&head, at, 4);
        if (op == 56 && (head & 0xffff) == 54) over = false; /* OpFunction follows */
    }
    CHECK(ops > 150);
    CHECK(muls >= 4);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[0], "quoin-gpu") == 0) return misbehave(argv[2]);
    TEST_BEGIN();
    TEST(test_ptx);
    TEST(test_spirv);
    TEST(test_no_driver);
    TEST(test_bad_start);
    TEST(test_bad_job);
    TEST(test_bad_request);
    TEST(test_vulkan);
    TEST(test_cuda);
    TEST(test_killed);
    TEST(test_locked);
    return TEST_END();
}
