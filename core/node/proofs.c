/* proofs.c - calls that give out rows of the state with their proofs. */
#include "core/node/proofs.h"

#include "core/module/module.h"
#include "core/node/node.h"
#include "ledger/state/proof.h"

#include <stdlib.h>
#include <string.h>

#include "core/schema/declare.h"

#include "core/node/node.def"

#define ROWS_BYTES_MAX (4u << 20) /* of one answer */

/* A table by its name or number; ret_table is NULL when no module has it. */
static qn_rc find_table(struct qn_span text, uint8_t *ret, const struct qn_table **ret_table,
                        struct qn_why *why)
{
    const struct qn_table *table;
    char name[33], *end;
    snprintf(name, sizeof name, "%.*s", (int)text.len, (const char *)text.ptr);
    long number = *name ? strtol(name, &end, 0) : -1;
    if (number < 1 || number > 255 || *end) number = -1;
    *ret_table = NULL;
    for (size_t i = 0; (table = qn_table_at(i)); i++)
        if (strcmp(table->name, name) == 0 || table->table == number) *ret_table = table;
    if (*ret_table) number = (*ret_table)->table;
    if (number < 0) return qn_why(why, QN_E_NOTFOUND, "no table is called %s", name);
    *ret = (uint8_t)number;
    return QN_OK;
}

static json_t *hex_text(struct qn_span s)
{
    struct qn_buf buf = { 0 };
    qn_hex(s.ptr, s.len, (char *)qn_buf_grow(&buf, 2 * s.len + 1));
    json_t *ret = json_string((const char *)buf.ptr);
    qn_buf_free(&buf);
    return ret;
}

/* The file about [from, to) of the rows at the head, as hex. */
static qn_rc prove(struct qn_call_ctx *ctx, struct qn_span from, struct qn_span to, json_t **ret,
                   struct qn_why *why)
{
    struct qn_buf file = { 0 };
    struct qn_chain *chain = qn_node_chain(ctx->node);
    qn_rc rc = qn_proof_head(chain, qn_node_steps(ctx->node), &file, why);
    if (rc == QN_OK) {
        qn_proof_range(qn_chain_trie(chain), from, to, &file);
        *ret = hex_text(qn_buf_get(&file));
    }
    qn_buf_free(&file);
    return rc;
}

qn_rc qn_call_ledger_row(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct node_row *p = params;
    const struct qn_table *table;
    uint8_t from[QN_TRIE_KEY_MAX + 1];
    json_t *proof = NULL;
    qn_rc rc = find_table(p->table, from, &table, why);
    if (rc) return rc;
    if (p->key.len == 0) return qn_why(why, QN_E_USAGE, "key: must not be empty");
    memcpy(from + 1, p->key.ptr, p->key.len);
    from[1 + p->key.len] = 0; /* [key, key 00): this row alone */
    rc = prove(ctx, QN_SPAN(from, 1 + p->key.len), QN_SPAN(from, 2 + p->key.len), &proof, why);
    if (rc == QN_OK)
        *ret = json_pack("{s:I, s:o}", "height", (json_int_t)qn_view_height(ctx->view), "proof",
                         proof);
    return rc;
}

qn_rc qn_call_ledger_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    const struct node_rows *p = params;
    const struct qn_table *table;
    uint8_t from[QN_TRIE_KEY_MAX], to[QN_TRIE_KEY_MAX], number;
    struct qn_span key, val, after, end;
    json_t *rows = json_array(), *proof = json_null();
    size_t bytes = 0;
    qn_rc rc = find_table(p->table, &number, &table, why);
    if (rc) goto out;
    from[0] = to[0] = number;
    if (p->from.len) memcpy(from + 1, p->from.ptr, p->from.len);
    if (p->to.len) memcpy(to + 1, p->to.ptr, p->to.len);
    after = QN_SPAN(from, 1 + p->from.len);
    end = QN_SPAN(to, 1 + p->to.len);
    if (p->to.len == 0) /* up to the next table; the last one has nothing behind it */
        end = to[0]++ == 255 ? QN_SPAN(to, 0) : QN_SPAN(to, 1);
    key = after;
    for (bool first = true;
         qn_trie_next(qn_chain_trie(qn_node_chain(ctx->node)), key, first, &key, &val) &&
         (end.len == 0 || qn_span_cmp(key, end) < 0);
         first = false) {
        json_t *row = NULL;
        struct qn_span own = QN_SPAN(key.ptr + 1, key.len - 1);
        bytes += key.len + val.len;
        if (bytes > ROWS_BYTES_MAX) {
            rc = qn_why(why, QN_E_LIMIT,
                        "more than %u bytes of rows: ask for a part, --from and --to",
                        ROWS_BYTES_MAX);
            goto out;
        }
        if (table && table->rec) {
            void *obj = qn_arena_alloc(ctx->arena, table->rec()->size);
            if (!obj) {
                rc = QN_E_MEMORY;
                goto out;
            }
            if (qn_decode(table->rec(), val, ctx->arena, obj, NULL) == QN_OK)
                row = qn_to_json(table->rec(), obj);
        }
        json_array_append_new(rows, json_pack("{s:o, s:o}", "key", hex_text(own), "value",
                                              row ? row : hex_text(val)));
    }
    if (p->prove) {
        json_decref(proof);
        proof = NULL;
        rc = prove(ctx, after, end, &proof, why);
    }
    if (rc == QN_OK)
        *ret = json_pack("{s:I, s:I, s:O, s:O}", "height", (json_int_t)qn_view_height(ctx->view),
                         "cnt", (json_int_t)json_array_size(rows), "rows", rows, "proof", proof);
out:
    json_decref(rows);
    json_decref(proof);
    return rc;
}
