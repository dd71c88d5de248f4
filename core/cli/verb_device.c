/* verb_device.c - quoin device list|test|bench: what this machine computes int8 products on, its speed, its bits. Needs no node. */
#include "core/cli/args.h"

#include "gpu/plan/places.h"

#include <stdlib.h>
#include <string.h>

/* An object that begins with what the place is called, and whether it is there. */
static json_t *row_of(const struct qn_place *place, const char *state)
{
    return json_pack("{s:s, s:s, s:s}", "api", place->api, "name", place->rc ? "-" : place->name,
                     "state", state);
}

/* Million operations a second. */
static json_t *figure(double ops)
{
    return json_integer((json_int_t)(ops / 1e6 + 0.5));
}

/* The plan's choice, and on stderr what its self-test dropped. */
static const struct matmul_i8_build *chosen(void)
{
    struct qn_matmul_i8_plan plan;
    struct qn_why why = { "" };
    qn_rc rc = qn_matmul_i8_plan(&plan, &why);
    if (why.text[0]) fprintf(stderr, "quoin: %s\n", why.text);
    return rc ? NULL : plan.build;
}

/* One row of `device list`; false when the place does not compute as it should. */
static bool list_row(const struct qn_place *place, const struct matmul_i8_build *best, json_t *list)
{
    struct qn_why why = { "" };
    uint32_t tiles = 0;
    double ops = 0;
    char text[32];
    if (place->rc) {
        json_t *row = row_of(place, "absent");
        json_object_set_new(row, "doc", json_string(place->why.text));
        json_array_append_new(list, row);
        return place->rc == QN_E_ABSENT;
    }
    uint32_t size = place->gpu && !place->software ? 4096 : 512;
    qn_rc rc = qn_place_golden(place, &tiles, &why);
    if (rc == QN_OK) rc = qn_place_rate(place, size, size, size, &ops, &why);
    bool ok = rc == QN_OK && tiles == QN_MATMUL_I8_TILES;
    snprintf(text, sizeof text, "%u/%u", tiles, QN_MATMUL_I8_TILES);
    json_t *row = row_of(place, rc                                     ? "failed"
                                : tiles != QN_MATMUL_I8_TILES          ? "differs"
                                : place->build && place->build == best ? "used"
                                                                       : "ok");
    json_object_set_new(row, "mops", figure(ops));
    json_object_set_new(row, "self_test", json_string(text));
    json_object_set_new(row, "doc", json_string(rc ? why.text : place->doc));
    json_array_append_new(list, row);
    return ok;
}

static bool test_row(const struct qn_place *place, json_t *list)
{
    struct qn_why why = { "" };
    struct qn_place_bits bits = { 0 };
    if (place->rc) {
        json_t *row = row_of(place, "absent");
        json_object_set_new(row, "doc", json_string(place->why.text));
        json_array_append_new(list, row);
        return place->rc == QN_E_ABSENT;
    }
    qn_rc rc = qn_place_compare(place, &bits, &why);
    bool ok = rc == QN_OK && bits.wrong_cnt == 0;
    json_t *row = row_of(place, rc ? "failed" : ok ? "equal" : "differs");
    json_object_set_new(row, "shapes", json_integer(bits.shape_cnt));
    json_object_set_new(row, "values", json_integer((json_int_t)bits.value_cnt));
    json_object_set_new(row, "wrong", json_integer((json_int_t)bits.wrong_cnt));
    json_object_set_new(row, "doc", json_string(rc ? why.text : place->doc));
    json_array_append_new(list, row);
    return ok;
}

static bool bench_rows(const struct qn_place *place, json_t *list)
{
    static const uint32_t SHAPES[][3] = {
        { 1, 128, 784 }, { 64, 128, 784 }, { 1024, 1024, 1024 }, { 4096, 4096, 4096 }
    };
    bool ok = true;
    for (size_t i = 0; !place->rc && i < QN_COUNT(SHAPES); i++) {
        struct qn_why why = { "" };
        char shape[40];
        double ops = 0;
        if (i == 3 && (place->software || !place->gpu)) break; /* seconds on a CPU, and no news */
        qn_rc rc = qn_place_rate(place, SHAPES[i][0], SHAPES[i][1], SHAPES[i][2], &ops, &why);
        snprintf(shape, sizeof shape, "%ux%ux%u", SHAPES[i][0], SHAPES[i][1], SHAPES[i][2]);
        json_t *row = row_of(place, rc ? "failed" : "ok");
        json_object_set_new(row, "shape", json_string(shape));
        json_object_set_new(row, "mops", figure(ops));
        json_object_set_new(row, "doc", json_string(rc ? why.text : place->doc));
        json_array_append_new(list, row);
        ok &= rc == QN_OK;
    }
    return ok;
}

enum what { LIST, TEST, BENCH };

static int device(struct qn_cli *cli, enum what what)
{
    if (cli->argc) return qn_usage(cli, "device list, test and bench take no words but --json");
    struct qn_places *places = malloc(sizeof *places);
    QN_ASSERT(places != NULL);
    qn_places_open(places);
    const struct matmul_i8_build *best = what == LIST ? chosen() : NULL;
    json_t *list = json_array();
    bool ok = true;
    for (uint32_t i = 0; i < places->cnt; i++) {
        switch (what) {
        case LIST: ok &= list_row(&places->list[i], best, list); break;
        case TEST: ok &= test_row(&places->list[i], list); break;
        case BENCH: ok &= bench_rows(&places->list[i], list); break;
        }
    }
    qn_places_close(places);
    free(places);
    qn_print(cli, list);
    json_decref(list);
    if (ok || what == LIST) return 0;
    struct qn_why why;
    return qn_fail(
        cli,
        qn_why(&why, QN_E_DEVICE, "a variant or device does not compute as the reference does"),
        &why);
}

int qn_verb_device_list(struct qn_cli *cli)
{
    return device(cli, LIST);
}

int qn_verb_device_test(struct qn_cli *cli)
{
    return device(cli, TEST);
}

int qn_verb_device_bench(struct qn_cli *cli)
{
    return device(cli, BENCH);
}
