/*
 * aside - a task in a process of its own, for those who have no event loop:
 * while the configuration is read, and when the master ends.
 *
 * Why:    secrets of the configuration are needed before there is a worker, by
 *         a process that must not run coroutines, threads or libcurl.
 * Use:    vault_aside_run(); what the task leaves at `answer` is ours then.
 * Owns:   nothing; the child ends with the task.
 * Fails:  NGX_ERROR with a line in the log.
 * Waits:  it blocks, for `timeout` ms at most.  The task awaits as any other.
 */

#ifndef VAULT_AGENT_ASIDE_H
#define VAULT_AGENT_ASIDE_H

#include "../run/await.h"


ngx_int_t vault_aside_run(ngx_cycle_t *cycle, vault_conf_t *conf,
    vault_task_pt task, void *data, ngx_msec_t timeout, void *answer,
    size_t size);


#endif
