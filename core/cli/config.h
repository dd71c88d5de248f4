/* config.h - settings from one table (config.def). A flag of `up` or --set stands over the environment (QUOIN_NAME), that over HOME/set.lua
 * (what `config set` wrote), that over quoin.lua (--config, QUOIN_CONFIG, else XDG_CONFIG_HOME/quoin/quoin.lua), that over the default. */
#ifndef QN_CORE_CLI_CONFIG_H
#define QN_CORE_CLI_CONFIG_H

#include "core/cli/cli.h"

enum qn_conf_name {
#define CONF(name, type, def, min, max, flag, doc) QN_CONF_##name,
#include "core/cli/config.def"
#undef CONF
    QN_CONF_CNT
};

enum qn_conf_type { QN_CONF_TEXT, QN_CONF_LIST, QN_CONF_NUM };

struct qn_conf_row {
    const char *name;
    enum qn_conf_type type;
    const char *def;
    uint64_t min, max;
    const char *flag, *doc;
};

#define QN_CONF_TEXT 8192 /* of one value: dozens of addresses in `join` */

struct qn_conf_val {
    char text[QN_CONF_TEXT]; /* a LIST has its words with commas between them */
    char origin[512];        /* "default", "QUOIN_API", "/etc/quoin/quoin.lua:3" */
};

struct qn_config {
    char file[4096];   /* the quoin.lua that counts, "" when there is none */
    char looked[4096]; /* where it would be */
    struct qn_conf_val vals[QN_CONF_CNT];
};

/* qn_config_load gathers all settings; up's own flags are taken out of cli's words. QN_E_CONFIG naming file, line and the nearest setting. */
QN_CHECK qn_rc qn_config_load(struct qn_cli *cli, struct qn_config *ret, struct qn_why *why);
/* qn_config_stray says whether there is a quoin.lua in the home, which is not read unless it is named; dst: its path. */
QN_CHECK bool qn_config_stray(const struct qn_cli *cli, const struct qn_config *conf,
                              char dst[4096]);
/* qn_config_check reads one file of settings as the node would. */
QN_CHECK qn_rc qn_config_check(const char *path, struct qn_config *ret, struct qn_why *why);
/* qn_conf_words returns the words that a setting takes, "a|b", or NULL. */
const char *qn_conf_words(size_t idx);
/* qn_conf_trust reads HASH@HEIGHT. */
QN_CHECK bool qn_conf_trust(const char *text, struct qn_hash *ret_hash, uint64_t *ret_height);
const struct qn_conf_row *qn_conf_row_at(size_t idx); /* NULL past the last */

#endif
