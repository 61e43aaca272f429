/*
 * job - the lease of a recurring job.
 */

#include "job.h"
#include "id.h"


/*
 * Nothing is put off for longer; what lies further ahead was written by a
 * clock that was wrong, and must not stop a job for years.
 */
#define JOB_AHEAD  (2 * 24 * 3600 * (int64_t) 1000)

#define JOB_COLUMNS  "name, owner, leased_until, due_at, ended_at, failures"

static const vault_column_t  job_columns[] = {
    { VAULT_COL_TEXT, "name", offsetof(vault_job_t, name) },
    { VAULT_COL_TEXT, "owner", offsetof(vault_job_t, owner) },
    { VAULT_COL_INT, "leased_until", offsetof(vault_job_t, leased_until) },
    { VAULT_COL_INT, "due_at", offsetof(vault_job_t, due_at) },
    { VAULT_COL_INT, "ended_at", offsetof(vault_job_t, ended_at) },
    { VAULT_COL_INT, "failures", offsetof(vault_job_t, failures) },
    VAULT_COLUMNS_END
};

static const vault_row_t  job_row = VAULT_ROW(job_columns, vault_job_t);


ngx_array_t *
vault_job_list(vault_request_t *vr)
{
    return vault_db_list(vr, &job_row, "SELECT " JOB_COLUMNS " FROM jobs",
                         VAULT_DB_NO_ARGS);
}


static ngx_uint_t
job_is_past(int64_t time, int64_t now)
{
    return time <= now || time > now + JOB_AHEAD;
}


ngx_uint_t
vault_job_is_due(const vault_job_t *job, int64_t now)
{
    return job_is_past(job->due_at, now)
           && job_is_past(job->leased_until, now);
}


/* The same conditions in SQL: what was read may have changed since. */

ngx_uint_t
vault_job_take(vault_request_t *vr, vault_job_t *job, const char *name,
    int64_t life, ngx_uint_t force)
{
    int64_t    now = vault_now();
    ngx_str_t  owner, text;

    static const char  sql[] =
        "INSERT INTO jobs (name, owner, leased_until, due_at, failures)"
        " VALUES ($1, $2, $3, $4, 0)"
        " ON CONFLICT (name) DO UPDATE"
        " SET owner = excluded.owner, leased_until = excluded.leased_until"
        " WHERE (jobs.leased_until <= $4 OR jobs.leased_until > $5)"
        " AND (jobs.due_at <= $4 OR jobs.due_at > $5"
        "  OR CAST($6 AS bigint) = 1)"
        " RETURNING " JOB_COLUMNS;

    owner = vault_id_create(vr);
    text.data = (u_char *) name;
    text.len = ngx_strlen(name);

    return vault_db_find(vr, &job_row, job, sql,
                         vault_db_args(S(&text), S(&owner), I(now + life),
                                       I(now), I(now + JOB_AHEAD),
                                       I(force ? 1 : 0)));
}


ngx_uint_t
vault_job_renew(vault_request_t *vr, vault_job_t *job, int64_t life)
{
    static const char  sql[] =
        "UPDATE jobs"
        " SET leased_until = $1"
        " WHERE name = $2 AND owner = $3";

    job->leased_until = vault_now() + life;

    return vault_db_run(vr, sql, vault_db_args(I(job->leased_until),
                                               S(&job->name),
                                               S(&job->owner))) == 1;
}


void
vault_job_end(vault_request_t *vr, const vault_job_t *job)
{
    int64_t  ended;

    static const char  sql[] =
        "UPDATE jobs"
        " SET owner = NULL, leased_until = 0, due_at = $1, failures = $2,"
        " ended_at = COALESCE($3, ended_at)"
        " WHERE name = $4 AND owner = $5";

    ended = job->failures ? VAULT_NULL : vault_now();

    (void) vault_db_run(vr, sql,
                        vault_db_args(I(job->due_at), I(job->failures),
                                      I(ended), S(&job->name),
                                      S(&job->owner)));
}
