/*
 * job - who runs a recurring job, until when, and when it is due again.
 *
 * Why:    many workers of many nodes have the same clock of jobs, and one of
 *         them is to run each.  A lease ends by itself, so that the death of
 *         its holder delays a job and loses none.
 * Use:    take, renew while it runs, end.  Each is one conditional write; who
 *         changes no row does not hold the lease (any more).
 * Fails:  as db.h.
 * Waits:  all *await*.
 *
 * The clocks of the nodes decide.  Where they differ by more than a lease, two
 * may run a job at once: each job bears that.
 */

#ifndef VAULT_MODEL_JOB_H
#define VAULT_MODEL_JOB_H

#include "../db/db.h"


typedef struct {
    ngx_str_t  name;
    ngx_str_t  owner;                 /* a UUID of the run; or null */
    int64_t    leased_until;          /* 0: nobody runs it */
    int64_t    due_at;
    int64_t    ended_at;              /* the last that went well; or null */
    int64_t    failures;              /* in a row */
} vault_job_t;


/* Those that ever ran. */
ngx_array_t *vault_job_list(vault_request_t *vr);

/* Whether it could be taken now. */
ngx_uint_t vault_job_is_due(const vault_job_t *job, int64_t now);

/*
 * Takes the lease of `name` for `life` ms if nobody has it and the job is due,
 * or, with `force`, whether it is due or not.  0, or 1 with *job read.
 */
ngx_uint_t vault_job_take(vault_request_t *vr, vault_job_t *job,
    const char *name, int64_t life, ngx_uint_t force);

/* 0: somebody else has it by now, and is to be left alone. */
ngx_uint_t vault_job_renew(vault_request_t *vr, vault_job_t *job,
    int64_t life);

/*
 * Gives the lease back, if it is still ours, with the due_at and failures of
 * *job; ended_at becomes now unless there were failures.
 */
void vault_job_end(vault_request_t *vr, const vault_job_t *job);


#endif
