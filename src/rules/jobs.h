/*
 * jobs - recurring work without a client: what has had its time is removed.
 *
 * Why:    on one machine a timer of each worker asks what is due; on Lambda a
 *         scheduled invocation does.  A lease in the database (model/job.h)
 *         lets one of all workers of all nodes run a job at a time.
 * Use:    a line in the table in jobs_work.c, which also has the functions.
 *         Each does one batch; it is called again while it says so.
 * Owns:   one run at a time in a worker.
 * Fails:  a job that fails is logged, counted in its row, and due again after
 *         a pause that doubles.  So is one whose worker has died: its lease
 *         ends by itself.
 * Waits:  vault_jobs_run() awaits.
 *
 * A batch runs as a task of its own: what it allocates is gone at its end, and
 * its failure does not end the run, which keeps the lease alive meanwhile.
 */

#ifndef VAULT_RULES_JOBS_H
#define VAULT_RULES_JOBS_H

#include "../model/file.h"
#include "../model/job.h"


/* What one run of vault_jobs_run() came to. */
typedef struct {
    int64_t  ran;                     /* jobs */
    int64_t  failed;
    int64_t  count;                   /* rows or files dealt with */
    int64_t  busy;                    /* 1: this worker already runs some */
    int64_t  more;                    /* due, but the time was up */
} vault_jobs_sum_t;

/* Arms the timer of a worker: each conf->jobs ms, more or less. */
ngx_int_t vault_jobs_start(vault_conf_t *conf, ngx_cycle_t *cycle);

/*
 * Runs all jobs that are due, or the one of that name whether it is due or
 * not, unless somebody else runs it.  After `until` (ms since 1970; 0: never)
 * no batch is begun, and what is left stays due; one that runs then has got
 * VAULT_JOBS_GRACE ms to end.
 */
vault_jobs_sum_t vault_jobs_run(vault_request_t *vr, const ngx_str_t *name,
    int64_t until);

#define VAULT_JOBS_GRACE  5000

/*
 * For the status page: an object a job, as this worker's clock last read the
 * rows; none where it has no clock.  Waits: never.
 */
void vault_jobs_status(const vault_conf_t *conf, vault_writer_t *w);


/* The rest is between jobs.c and jobs_work.c. */

typedef struct vault_jobs_run_s  vault_jobs_run_t;

typedef enum {
    VAULT_JOB_FAILED = 0,
    VAULT_JOB_MORE,                   /* call again */
    VAULT_JOB_DONE
} vault_job_end_e;

typedef struct {
    const char       *name;
    ngx_uint_t        every;          /* times vault_jobs */
    const char       *what;           /* "Sends deleted", for the log */

    /* One bounded batch, idempotent, safe beside itself. */
    vault_job_end_e (*batch)(vault_request_t *vr, vault_jobs_run_t *run);
} vault_job_work_t;

extern const vault_job_work_t  vault_jobs_table[];  /* ended by name NULL */

/* Of a job, from its first batch to its last. */
struct vault_jobs_run_s {
    const vault_job_work_t  *work;
    vault_job_t              lease;
    int64_t                  until;   /* 0, or when its time is up */
    int64_t                  count;   /* for the log */
    ngx_uint_t               left;    /* could not be dealt with this time */

    vault_file_state_e       state;   /* where a walk through files has come */
    int64_t                  at;
    u_char                   id[36];

    vault_request_t         *owner;   /* waits for the batch; or NULL */
    vault_job_end_e          end;     /* of the batch */
    unsigned                 held:1;  /* has an owner, waiting or not */
    unsigned                 batch:1; /* one is running */
    unsigned                 lost:1;  /* the lease is somebody else's */
};


#endif
