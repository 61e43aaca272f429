/*
 * Endpoints for the tests of jobs, in debug builds only: what a timer does
 * once a minute, now.
 */

#include "../rules/jobs.h"
#include "../run/await.h"
#include "api.h"

#if (VAULT_DEBUG)

static void debug_jobs(vault_request_t *vr);


const vault_route_t  vault_debug_jobs_routes[] = {
    { POST, "/api/debug/jobs", debug_jobs, VAULT_ANYONE },
    VAULT_ROUTE_END
};

static const vault_field_t  sum_fields[] = {
    { "ran",    VAULT_INT, offsetof(vault_jobs_sum_t, ran),    0, 0, NULL },
    { "failed", VAULT_INT, offsetof(vault_jobs_sum_t, failed), 0, 0, NULL },
    { "count",  VAULT_INT, offsetof(vault_jobs_sum_t, count),  0, 0, NULL },
    { "busy",   VAULT_INT, offsetof(vault_jobs_sum_t, busy),   0, 0, NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  sum_view = VAULT_SHAPE(sum_fields,
                                                   vault_jobs_sum_t);


/* "?name=": that one, due or not; else all that are due. */
static void
debug_jobs(vault_request_t *vr)
{
    ngx_str_t         name = vault_query_arg(vr, "name");
    vault_jobs_sum_t  sum;

    sum = vault_jobs_run(vr, name.data ? &name : NULL, 0);

    vault_reply(vr, &sum_view, &sum);
}

#endif
