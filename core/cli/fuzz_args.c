/* fuzz_args.c - any words on the command line (a line each): global flags, then the fields of the command they name. */
#include "core/cli/args.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096], *argv[WORDS_MAX + 1] = { text };
    struct qn_cli cli = { .as = "owner" };
    struct qn_why why = { "" };
    struct qn_cmd cmd;
    bool version;
    int argc = 1;
    if (size >= sizeof text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (char *at = text; argc < WORDS_MAX && at; argc++) {
        argv[argc] = at;
        at = strchr(at, '\n');
        if (at) *at++ = 0;
    }
    strcpy(cli.client.home, "/nonexistent");
    if (qn_args_global(&cli, argc, argv, &version, &why) || cli.argc < 2) return 0;
    struct qn_nearest n;
    qn_nearest_init(&n, cli.argv[0]);
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
        char noun[80];
        qn_nearest_offer(&n, cmd.name);
        snprintf(noun, sizeof noun, "%.38s %.38s", cli.argv[0], cli.argv[1]);
        if (strcmp(cmd.name, noun) != 0 || !cmd.fields) continue;
        struct qn_arena arena = { .max = 8u << 20 };
        json_t *fields = json_object();
        struct qn_cli rest = cli;
        rest.argv += 2;
        rest.argc -= 2;
        if (qn_args_fields(&rest, cmd.fields, cmd.args, fields, &why) == QN_OK) {
            void *obj = qn_arena_alloc(&arena, cmd.fields->size);
            qn_rc rc = qn_from_json(cmd.fields, fields, &arena, obj, &why);
            QN_ASSERT(rc == QN_OK || why.text[0] != 0);
        }
        json_decref(fields);
        qn_arena_free(&arena);
    }
    return 0;
}
