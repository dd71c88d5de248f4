/* aside.h - long work on the chain as it is now, while the node goes on: in a child that the node forks, which has all memory of that moment
 * and none of its sockets, files and locks. A node has one thread, so a child is as good as one begun here. It dies with its node.
 *
 * One piece of work runs at a time; who comes meanwhile asks again. A child that for two minutes says nothing and uses no processor, stopped
 * or stuck, is killed, and its work fails. */
#ifndef QN_CORE_NODE_ASIDE_H
#define QN_CORE_NODE_ASIDE_H

#include "core/base/span.h"

#include <jansson.h>

struct event_base;
struct aside;

/* What is done in the child: it reads what arg leads to, writes files, and gives its result. done and total, when it says them with aside_say,
 * reach the node. */
typedef qn_rc (*aside_fn)(void *arg, struct aside *self, json_t **ret QN_GIVES, struct qn_why *why);

QN_GIVES struct aside *aside_new(struct event_base *base, void (*changed)(void *arg), void *arg);
/* aside_free ends what runs. */
void aside_free(struct aside *a);

/* aside_patience sets for how long a child may stand still, instead of two minutes; of what is begun from now on. */
void aside_patience(struct aside *a, uint32_t ms);

/* aside_start forks. *ret_ticket names the work to aside_result. QN_E_BUSY: something runs; QN_E_SYSTEM: no child can be had. */
QN_CHECK qn_rc aside_start(struct aside *a, const char *what, aside_fn fn, void *arg,
                           uint64_t *ret_ticket, struct qn_why *why);
/* aside_result gives a work's outcome, once: QN_E_AGAIN while it runs. QN_E_NOTFOUND: there is none of that ticket (of the last eight). */
QN_CHECK qn_rc aside_result(struct aside *a, uint64_t ticket, json_t **ret QN_GIVES,
                            struct qn_why *why);
/* aside_end kills the work of that ticket, if it runs: its outcome is that it died. */
void aside_end(struct aside *a, uint64_t ticket);
/* aside_busy names what runs, NULL: nothing; *ret_done of *ret_total (may be NULL) is how far it is. */
const char *aside_busy(const struct aside *a, uint64_t *ret_done, uint64_t *ret_total);

/* aside_say is the child's: how far it is. */
void aside_say(struct aside *self, uint64_t done, uint64_t total);
/* aside_reading is the child's as well: what it reads from here on, which may be damaged so that reading it is its death. The outcome is QN_E_CORRUPT
 * then, and names it. */
void aside_reading(struct aside *self, const char *what);

#endif
