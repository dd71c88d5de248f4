/* value.h - a value of a result in words for people: amounts, times and rates by the unit that their names end with. */
#ifndef QN_CORE_CLI_VALUE_H
#define QN_CORE_CLI_VALUE_H

#include <jansson.h>

#define QN_LABEL_MAX 96

/* qn_value_label is what people see over a value of row: the name, without a unit that stands behind each of them. */
const char *qn_value_label(const json_t *row, const char *name, char dst[QN_LABEL_MAX]);
/* qn_value_word returns a value in one line; freed by the caller. */
char *qn_value_word(const char *name, const json_t *val);

#endif
