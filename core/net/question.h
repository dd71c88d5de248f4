/* question.h - the side of a protocol that answers, where a question is a few bytes and ends: it is gathered, bounded, answered once; and a peer whose
 * question is none is blamed for it. Every stream that a peer opens has one of these until it closes. */
#ifndef QN_CORE_NET_QUESTION_H
#define QN_CORE_NET_QUESTION_H

#include "net/libp2p/host.h"

struct qn_questions;

struct qn_questions_conf {
    struct qn_host *host; /* must outlive this */
    const char *proto;    /* kept as a copy, as are the others of this struct */
    enum qn_net_class class;
    uint32_t in_max, idle_ms; /* as in struct qn_proto */
    size_t ask_max;           /* bytes of a question; a longer one resets its stream */
    size_t answer_max;        /* bytes that may wait for who asked; 0: what any stream may */
    const char *none;         /* the blame: "a request for snapshots that is none" */
    /* Writes the answer to a whole question into ret; false: it is none. */
    bool (*answer)(void *arg, struct qn_span question, struct qn_buf *ret);
    void *arg;
};

/* qn_questions_open serves the protocol until the host closes. */
QN_CHECK qn_rc qn_questions_open(const struct qn_questions_conf *conf, struct qn_questions **ret,
                                 struct qn_why *why);
/* qn_questions_close comes after the host's end, which has told of the end of each stream. NULL is welcome. */
void qn_questions_close(struct qn_questions *qs);

#endif
