/* cookie.h - the cookie of a node that was named by its address alone. */
#ifndef QN_CORE_CLI_COOKIE_H
#define QN_CORE_CLI_COOKIE_H

#include "core/base/base.h"

#define QN_COOKIE_MAX 80

/* qn_cookie_of reads the cookie of a home, "" when there is none. address (or NULL): only if that is where the home's node listens. */
void qn_cookie_of(const char *home, const char *address, char dst[QN_COOKIE_MAX]);

/* qn_cookie_find looks for the home of the node that listens at "127.0.0.1:PORT" on this machine, among the processes that this user may look
 * into, and reads its cookie; "" when there is none, or it is somebody else's. */
void qn_cookie_find(const char *address, char dst[QN_COOKIE_MAX]);

#endif
