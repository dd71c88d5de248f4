/* wire.c - N hosts with a wire between them that delays, loses and is cut, for shell tests: wire N. Says, in one line, its namespaces, which
 * nsenter --net=NS enters; takes what tests/wire.h takes from standard input; ends with it. Status 77: this system does not allow it. */
#include "tests/wire.h"

int main(int argc, char **argv)
{
    static struct wire w;
    int cnt = argc == 2 ? atoi(argv[1]) : 0;
    if (cnt < 1 || cnt > WIRE_MAX) return 2;
    if (!wire_open(&w, (uint32_t)cnt)) {
        printf("no network namespaces here: %s\n", strerror(errno));
        return 77;
    }
    for (uint32_t i = 0; i < w.cnt; i++)
        printf("%s/proc/%d/fd/%d", i ? " " : "", (int)getpid(), w.ns[i]);
    printf("\n");
    fflush(stdout);
    wire_run(&w, STDIN_FILENO);
    fprintf(stderr, "%llu packets carried, %llu lost\n", (unsigned long long)w.carried,
            (unsigned long long)w.lost);
    return 0;
}
