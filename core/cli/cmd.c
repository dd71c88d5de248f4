/* cmd.c - walking over all commands: of this process, of modules, calls, what runs on the caller's side, transactions. */
#include "core/cli/args.h"

#include <stdio.h>
#include <string.h>

static void name_put(char dst[80], const char *name)
{
    snprintf(dst, 80, "%s", name);
    for (char *c = dst; *c; c++)
        if (*c == '.') *c = ' ';
}

static bool verb_at(size_t idx, size_t *ret_cnt, struct qn_cmd *ret)
{
    const struct qn_module *mod;
    *ret_cnt = 0;
    for (size_t m = 0; (mod = qn_module_at(m)); m++) {
        for (const struct qn_verb *v = mod->verbs; v && v->name; v++) {
            if ((*ret_cnt)++ != idx) continue;
            *ret = (struct qn_cmd){
                .kind = QN_CMD_VERB, .args = v->args, .doc = v->doc, .example = v->example
            };
            name_put(ret->name, v->name);
            return true;
        }
    }
    return false;
}

/* Whether a verb of this process stands before the call or transaction of that name. */
static bool own_has(const char *dotted)
{
    const struct qn_own *own;
    for (size_t i = 0; (own = qn_own_at(i)); i++) {
        size_t k = 0;
        while (own->name[k] && (own->name[k] == ' ' ? '.' : own->name[k]) == dotted[k])
            k++;
        if (!own->name[k] && !dotted[k]) return true;
    }
    return false;
}

static bool taken(const char *dotted)
{
    return qn_call_find(dotted) || qn_local_find(dotted) || own_has(dotted);
}

bool qn_cmd_at(size_t idx, struct qn_cmd *ret)
{
    const struct qn_own *own = qn_own_at(idx);
    const struct qn_call *call;
    const struct qn_local *local;
    const struct qn_tx_kind *kind;
    size_t cnt = 0;
    if (own) {
        *ret = (struct qn_cmd){
            .kind = QN_CMD_OWN, .args = own->args, .doc = own->doc, .example = own->example
        };
        name_put(ret->name, own->name);
        return true;
    }
    while (qn_own_at(cnt))
        cnt++;
    idx -= cnt;
    if (verb_at(idx, &cnt, ret)) return true;
    idx -= cnt;
    cnt = 0;
    for (size_t i = 0; (call = qn_call_at(i)); i++) {
        if (own_has(call->name) || cnt++ != idx) continue;
        *ret = (struct qn_cmd){ .kind = QN_CMD_CALL,
                                .args = call->args,
                                .doc = call->doc,
                                .example = call->example,
                                .result = call->result,
                                .fields = call->params ? call->params() : NULL };
        name_put(ret->name, call->name);
        return true;
    }
    idx -= cnt;
    if ((local = qn_local_at(idx))) {
        *ret = (struct qn_cmd){ .kind = QN_CMD_LOCAL,
                                .args = local->args,
                                .doc = local->doc,
                                .example = local->example,
                                .result = local->result,
                                .fields = local->params ? local->params() : NULL };
        name_put(ret->name, local->name);
        return true;
    }
    for (cnt = 0; qn_local_at(cnt); cnt++)
        ;
    idx -= cnt;
    for (size_t i = 0; (kind = qn_txkind_at(i)); i++) {
        if (taken(kind->name) || idx-- != 0) continue;
        *ret = (struct qn_cmd){ .kind = QN_CMD_TX, .doc = kind->doc, .fields = kind->body() };
        name_put(ret->name, kind->name);
        return true;
    }
    return false;
}

/* What a hash names: an account, which a key of the wallet may stand for, or a thing with an id of its own. */
static const char *sample_hash(const char *name)
{
    static const char *const WHOSE[][2] = {
        { "validator", "@validator" }, { "to", "@alice" },     { "key", "@alice" },
        { "payee", "@alice" },         { "payees", "@alice" }, { "signer", "@alice" },
        { "owner", "@owner" },         { "agent", "@alice" },
    };
    for (size_t i = 0; i < QN_COUNT(WHOSE); i++)
        if (strcmp(name, WHOSE[i][0]) == 0) return WHOSE[i][1];
    return "5f3a..";
}

/* A value that shows what a field looks like. */
static const char *sample(const struct qn_field *f, char dst[64])
{
    switch (f->type) {
    case QN_T_AMT: return "2.5QN";
    case QN_T_HASH:
    case QN_T_OPT_HASH:
    case QN_T_VEC_HASH: return sample_hash(f->name);
    case QN_T_SIG:
    case QN_T_VRF:
    case QN_T_BYTES: return "00ff";
    case QN_T_STR:
    case QN_T_VEC_STR: return "text";
    case QN_T_BOOL: return "true";
    case QN_T_ENUM: return qn_enum_word(f->names, 0, dst) ? dst : "";
    case QN_T_REC:
    case QN_T_OPT_REC: return "'{}'";
    case QN_T_VEC_REC: return "'[]'";
    case QN_T_U8:
    case QN_T_U16:
    case QN_T_U32:
    case QN_T_U64:
    case QN_T_NUM:
    case QN_T_I64:
    case QN_T_OPT_NUM:
    case QN_T_VEC_U32:
    case QN_T_VEC_NUM: return "1";
    }
    QN_BUG("qn_type out of range");
}

/* Of transactions whose fields take values that no type shows. */
static const char *const EXAMPLES[][2] = {
    { "gov propose", "--title 'vote for two days' --param gov_vote_ms --value 172800000" },
    { "gov vote",
      "--proposal \"$(quoin gov list --json | jq -r .id)\" --validator @validator --choice yes" },
    { "mandate open", "--key @alice --total 2.5QN --call_max 0.5QN --payees "
                      "'[{\"acct\":\"qn1..\",\"cap\":1000000}]'" },
    { "validator edit", "--validator @validator --name cornerstone --version 1" },
    { "validator redelegate", "--validator @validator --to @mine --amount 2.5QN" },
};

void qn_cmd_example(const struct qn_cmd *cmd, struct qn_buf *ret)
{
    char word[64];
    if (cmd->example) {
        qn_buf_str(ret, cmd->example);
        return;
    }
    for (size_t i = 0; i < QN_COUNT(EXAMPLES); i++)
        if (strcmp(cmd->name, EXAMPLES[i][0]) == 0) {
            qn_buf_printf(ret, "%s --as owner %s", cmd->name, EXAMPLES[i][1]);
            return;
        }
    qn_buf_printf(ret, "%s --as owner", cmd->name);
    for (uint32_t i = 0; cmd->fields && i < QN_MIN(cmd->fields->field_cnt, 4u); i++)
        qn_buf_printf(ret, " --%s %s", cmd->fields->fields[i].name,
                      sample(&cmd->fields->fields[i], word));
}

static bool of_noun(const struct qn_cmd *cmd, const char *noun)
{
    size_t len = strcspn(cmd->name, " ");
    return strlen(noun) == len && strncmp(cmd->name, noun, len) == 0;
}

/* The verbs of a noun, separated by commas; nothing for a word that is no noun. */
static void verbs_of(const char *noun, struct qn_buf *ret)
{
    struct qn_cmd cmd;
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++)
        if (of_noun(&cmd, noun) && strchr(cmd.name, ' '))
            qn_buf_printf(ret, "%s%s", ret->len ? ", " : "", strchr(cmd.name, ' ') + 1);
}

int qn_unknown(const struct qn_cli *cli, const char *noun, const char *verb)
{
    char asked[80];
    struct qn_nearest whole, noun_only;
    struct qn_buf verbs = { 0 };
    struct qn_why why;
    struct qn_cmd cmd;
    snprintf(asked, sizeof asked, "%.38s%s%.38s", noun, verb ? " " : "", verb ? verb : "");
    qn_nearest_init(&whole, asked);
    qn_nearest_init(&noun_only, noun);
    verbs_of(noun, &verbs);
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
        char first[80];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(cmd.name, " "), cmd.name);
        if (!verbs.len) qn_nearest_offer(&noun_only, first);
        if (!verbs.len || of_noun(&cmd, noun)) qn_nearest_offer(&whole, cmd.name);
    }
    const char *near = verb && whole.near[0] ? whole.near : noun_only.near;
    if (near[0])
        qn_why(&why, QN_E_USAGE, "there is no command \"%s\"; did you mean \"quoin %s\"?", asked,
               near);
    else if (verbs.len)
        qn_why(&why, QN_E_USAGE, "there is no command \"%s\"; %s has %.*s", asked, noun,
               (int)verbs.len, (char *)verbs.ptr);
    else
        qn_why(&why, QN_E_USAGE, "there is no command \"%s\"; quoin help lists them all", asked);
    qn_buf_free(&verbs);
    return qn_fail(cli, QN_E_USAGE, &why);
}
