/* fuzz_settings.c - any text as quoin.lua, and as a script to check. */
#include "lua/bind/run.h"
#include "lua/bind/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_why why = { "" };
    json_t *set = NULL;
    if (qn_lua_settings("quoin.lua", QN_SPAN(data, size), &set, &why) == QN_OK) {
        QN_ASSERT(json_is_object(set));
        json_decref(set);
    } else {
        QN_ASSERT(why.text[0] != 0);
    }
    if (qn_lua_check("script", QN_SPAN(data, size), &why)) QN_ASSERT(why.text[0] != 0);
    return 0;
}
