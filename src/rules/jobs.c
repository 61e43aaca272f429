/*
 * jobs - the timer, and how a job is run under its lease.
 */

#include "jobs.h"
#include "../run/await.h"


#define JOBS_LEASE     60000          /* ms; renewed three times in it */
#define JOBS_DEADLINE  (5 * 60000)    /* of a batch */
#define JOBS_TIME      (4 * 60000)    /* of a job, then the others' turn */
#define JOBS_PAUSE     30000          /* after a first failure; doubles */
#define JOBS_PAUSES    7              /* doublings: about an hour */
#define JOBS_SEEN      16
#define JOBS_BASE      60000          /* where there is no timer */
#define JOBS_LONGEST   (24 * 3600 * (int64_t) 1000)

typedef struct {
    ngx_event_t    timer;
    vault_conf_t  *conf;
} jobs_clock_t;

typedef struct {
    const char    *name;
    int64_t        due_at;
    int64_t        ended_at;
    int64_t        failures;
} jobs_seen_t;

/* Per worker. */
static vault_jobs_run_t   jobs_run;

/* What was last read of the jobs of `jobs_seen_db`. */
static jobs_seen_t        jobs_seen[JOBS_SEEN];
static const vault_db_t  *jobs_seen_db;


static ngx_uint_t
jobs_busy(void)
{
    return jobs_run.held || jobs_run.batch;
}


/* The batch, a task of its own */

static void
batch_ended(void *data)
{
    vault_jobs_run_t  *run = data;

    run->batch = 0;

    if (run->owner) {
        vault_wake(run->owner);
    }
}


static void
batch_task(vault_request_t *vr, void *data)
{
    vault_jobs_run_t  *run = data;

    (void) vault_defer(vr, batch_ended, run);

    run->end = run->work->batch(vr, run);
}


/* From here on nobody is woken; the batch goes on to its end. */
static void
batch_unwatch(void *data)
{
    vault_jobs_run_t  *run = data;

    run->owner = NULL;
}


/* While renewing, the owner waits for something else than the batch. */
static void
batch_await(vault_request_t *vr, vault_jobs_run_t *run)
{
    while (run->batch) {
        run->owner = vr;

        if (vault_wait(vr, JOBS_LEASE / 3, batch_unwatch, run) == NGX_OK) {
            run->owner = NULL;
            continue;
        }

        if (!run->lost && !vault_job_renew(vr, &run->lease, JOBS_LEASE)) {
            run->lost = 1;
        }
    }
}


static ngx_msec_t
batch_deadline(const vault_jobs_run_t *run)
{
    int64_t  left;

    if (run->until == 0) {
        return JOBS_DEADLINE;
    }

    left = run->until + VAULT_JOBS_GRACE - vault_now();

    return (ngx_msec_t) ngx_max(1000, ngx_min(left, JOBS_DEADLINE));
}


static vault_job_end_e
run_batch(vault_request_t *vr, vault_jobs_run_t *run)
{
    run->end = VAULT_JOB_FAILED;
    run->batch = 1;

    if (vault_task_start(vr->conf, run->work->name, batch_deadline(run),
                         batch_task, run)
        != NGX_OK)
    {
        run->batch = 0;
        return VAULT_JOB_FAILED;
    }

    batch_await(vr, run);

    return run->end;
}


/* The job */

static int64_t
job_interval(const vault_conf_t *conf, const vault_job_work_t *work)
{
    int64_t  ms;

    ms = (int64_t) (conf->jobs ? conf->jobs : JOBS_BASE) * work->every;
    ms = ngx_min(ms, JOBS_LONGEST);

    return ms - ms / 4;               /* timers have a jitter */
}


static int64_t
job_pause(int64_t failures)
{
    return (int64_t) JOBS_PAUSE << ngx_min(failures - 1, JOBS_PAUSES);
}


static void
job_log(vault_request_t *vr, const vault_jobs_run_t *run, int64_t from)
{
    const vault_job_t  *lease = &run->lease;

    if (run->count) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault: job %s: %L %s in %L ms", run->work->name,
                      run->count, run->work->what, vault_now() - from);
    }

    if (lease->failures) {
        ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                      "vault: job %s failed, %L in a row; %ui left; again in "
                      "%L s", run->work->name, lease->failures, run->left,
                      job_pause(lease->failures) / 1000);
    }
}


/* When it is due again: at once if only its time was up. */
static void
job_schedule(vault_request_t *vr, vault_jobs_run_t *run, vault_job_end_e end)
{
    int64_t       now = vault_now();
    vault_job_t  *lease = &run->lease;

    if (end == VAULT_JOB_FAILED || run->left) {
        lease->failures++;
        lease->due_at = now + job_pause(lease->failures);
        return;
    }

    lease->failures = 0;
    lease->due_at = end == VAULT_JOB_MORE
                    ? now : now + job_interval(vr->conf, run->work);
}


static ngx_uint_t
time_is_up(int64_t until)
{
    return until != 0 && vault_now() >= until;
}


static void
job_batches(vault_request_t *vr, vault_jobs_run_t *run)
{
    int64_t          from = vault_now();
    vault_job_end_e  end;

    for ( ;; ) {
        end = run_batch(vr, run);

        if (end != VAULT_JOB_MORE || run->lost
            || vault_now() - from > JOBS_TIME || time_is_up(run->until))
        {
            break;
        }

        if (run->lease.leased_until - vault_now() < JOBS_LEASE / 2
            && !vault_job_renew(vr, &run->lease, JOBS_LEASE))
        {
            run->lost = 1;
            break;
        }
    }

    job_schedule(vr, run, end);
    job_log(vr, run, from);

    if (run->lost) {
        ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                      "vault: job %s: another worker took it over",
                      run->work->name);
        return;
    }

    vault_job_end(vr, &run->lease);
}


static void
job_try(vault_request_t *vr, const vault_job_work_t *work, ngx_uint_t force,
    int64_t until, vault_jobs_sum_t *sum)
{
    vault_job_t        lease;
    vault_jobs_run_t  *run = &jobs_run;

    if (!vault_job_take(vr, &lease, work->name, JOBS_LEASE, force)) {
        return;
    }

    ngx_memzero(run, sizeof(vault_jobs_run_t));
    run->held = 1;
    run->work = work;
    run->lease = lease;
    run->until = until;
    run->state = VAULT_FILE_DOOMED;
    run->at = -1;

    job_batches(vr, run);

    sum->ran++;
    sum->failed += run->lease.failures ? 1 : 0;
    sum->count += run->count;
    sum->more += run->lease.due_at <= vault_now() ? 1 : 0;
}


/* What is due */

static void
run_released(void *data)
{
    jobs_run.held = 0;
    jobs_run.owner = NULL;
}


static const vault_job_t *
job_row(const ngx_array_t *jobs, const char *name)
{
    ngx_uint_t    i;
    vault_job_t  *job = jobs->elts;

    for (i = 0; i < jobs->nelts; i++) {
        if (job[i].name.len == ngx_strlen(name)
            && ngx_memcmp(job[i].name.data, name, job[i].name.len) == 0)
        {
            return &job[i];
        }
    }

    return NULL;                      /* has never run */
}


static ngx_uint_t
job_is_due(const ngx_array_t *jobs, const char *name)
{
    const vault_job_t  *job = job_row(jobs, name);

    return job == NULL || vault_job_is_due(job, vault_now());
}


/* Reads only, since most often nothing is due. */
static ngx_array_t *
jobs_read(vault_request_t *vr)
{
    ngx_uint_t          i;
    ngx_array_t        *jobs;
    const vault_job_t  *job;

    jobs = vault_job_list(vr);

    jobs_seen_db = vr->conf->db;
    ngx_memzero(jobs_seen, sizeof(jobs_seen));

    for (i = 0; vault_jobs_table[i].name && i < JOBS_SEEN; i++) {
        job = job_row(jobs, vault_jobs_table[i].name);

        if (job) {
            jobs_seen[i].name = vault_jobs_table[i].name;
            jobs_seen[i].due_at = job->due_at;
            jobs_seen[i].ended_at = job->ended_at;
            jobs_seen[i].failures = job->failures;
        }
    }

    return jobs;
}


void
vault_jobs_status(const vault_conf_t *conf, vault_writer_t *w)
{
    ngx_uint_t    i;
    jobs_seen_t  *seen = jobs_seen;

    vault_json_open(w, "jobs", '{');

    for (i = 0; jobs_seen_db == conf->db && i < JOBS_SEEN; i++) {
        if (seen[i].name) {
            vault_json_open(w, seen[i].name, '{');
            vault_json_integer(w, "dueAt", seen[i].due_at);
            vault_json_integer(w, "endedAt", seen[i].ended_at);
            vault_json_integer(w, "failures", seen[i].failures);
            vault_json_close(w, '}');
        }
    }

    vault_json_close(w, '}');
}


static ngx_uint_t
is_named(const vault_job_work_t *work, const ngx_str_t *name)
{
    return ngx_strlen(work->name) == name->len
           && ngx_memcmp(work->name, name->data, name->len) == 0;
}


vault_jobs_sum_t
vault_jobs_run(vault_request_t *vr, const ngx_str_t *name, int64_t until)
{
    ngx_array_t             *jobs;
    vault_jobs_sum_t         sum = { 0, 0, 0, 0, 0 };
    const vault_job_work_t  *work;

    if (jobs_busy()) {
        sum.busy = 1;
        return sum;
    }

    jobs_run.held = 1;
    (void) vault_defer(vr, run_released, NULL);

    jobs = name ? NULL : jobs_read(vr);

    for (work = vault_jobs_table; work->name; work++) {

        if (!(name ? is_named(work, name) : job_is_due(jobs, work->name))) {
            continue;
        }

        if (time_is_up(until)) {
            sum.more++;

        } else {
            job_try(vr, work, name != NULL, until, &sum);
        }
    }

    jobs_run.held = 0;

    return sum;
}


/* The timer */

static void
clock_task(vault_request_t *vr, void *data)
{
    (void) vault_jobs_run(vr, NULL, 0);
}


static void
clock_tick(ngx_event_t *ev)
{
    jobs_clock_t  *clock = ev->data;

    if (ngx_exiting || ngx_quit || ngx_terminate) {
        return;
    }

    if (jobs_busy()) {
        ngx_add_timer(ev, 1000);      /* another vault of this worker */
        return;
    }

    /* without a free coroutine it is another worker's turn, or the next */
    (void) vault_task_start(clock->conf, "jobs", 0, clock_task, NULL);

    ngx_add_timer(ev, clock->conf->jobs * 3 / 4
                      + ngx_random() % (clock->conf->jobs / 2 + 1));
}


ngx_int_t
vault_jobs_start(vault_conf_t *conf, ngx_cycle_t *cycle)
{
    jobs_clock_t  *clock;

    if (conf->jobs == 0) {
        return NGX_OK;
    }

    clock = ngx_pcalloc(cycle->pool, sizeof(jobs_clock_t));
    if (clock == NULL) {
        return NGX_ERROR;
    }

    clock->conf = conf;
    clock->timer.handler = clock_tick;
    clock->timer.data = clock;
    clock->timer.log = cycle->log;
    clock->timer.cancelable = 1;      /* keeps no worker from its end */

    /* not all workers at once, and not in the first busy moment */
    ngx_add_timer(&clock->timer, 1 + ngx_random() % conf->jobs);

    return NGX_OK;
}
