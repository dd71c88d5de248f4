/* lock.h - what a GPU worker gives up once its driver is open. */
#ifndef QN_GPU_WORKER_LOCK_H
#define QN_GPU_WORKER_LOCK_H

#include "core/base/err.h"

/* gpu_lock forbids all threads to start programs, trace others, mount, load modules or BPF, change keys, and
 * to make sockets other than local ones. Drivers need too much else for a list of what is allowed. */
QN_CHECK qn_rc gpu_lock(struct qn_why *why);

#endif
