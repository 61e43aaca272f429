/*
 * Events of Lambda: what a schedule, or a deployment, wants done.  Nobody can
 * send one over HTTP (rules/front.h).
 */

#include "../db/db.h"
#include "../rules/front.h"
#include "../rules/jobs.h"
#include "../run/await.h"
#include "api.h"


#define USUAL    20000                /* ms, where the adapter does not say */
#define LONGEST  (10 * 60000)

static void  events_run(vault_request_t *vr);


const vault_route_t  vault_events_routes[] = {
    { POST, VAULT_FRONT_EVENTS, events_run, VAULT_ADAPTER, 1024 },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t  job;
} event_t;

static const vault_field_t  event_fields[] = {
    { "job", VAULT_TEXT, offsetof(event_t, job), VAULT_REQUIRED, 32 },
    VAULT_FIELDS_END
};

static const vault_shape_t  event_form = VAULT_SHAPE(event_fields, event_t);


typedef struct {
    ngx_str_t         job;
    int64_t           ms;
    int64_t           steps;
    vault_jobs_sum_t  sum;
} done_t;

static const vault_field_t  maintenance_fields[] = {
    { "job",    VAULT_TEXT, offsetof(done_t, job) },
    { "ran",    VAULT_INT,  offsetof(done_t, sum.ran) },
    { "failed", VAULT_INT,  offsetof(done_t, sum.failed) },
    { "count",  VAULT_INT,  offsetof(done_t, sum.count) },
    { "more",   VAULT_INT,  offsetof(done_t, sum.more) },
    { "busy",   VAULT_INT,  offsetof(done_t, sum.busy) },
    { "ms",     VAULT_INT,  offsetof(done_t, ms) },
    VAULT_FIELDS_END
};

static const vault_shape_t  maintenance_view =
    VAULT_SHAPE(maintenance_fields, done_t);

static const vault_field_t  migrate_fields[] = {
    { "job",    VAULT_TEXT, offsetof(done_t, job) },
    { "steps",  VAULT_INT,  offsetof(done_t, steps) },
    { "ms",     VAULT_INT,  offsetof(done_t, ms) },
    VAULT_FIELDS_END
};

static const vault_shape_t  migrate_view = VAULT_SHAPE(migrate_fields, done_t);


static ngx_uint_t
is(const ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_strncmp(text->data, word, text->len) == 0;
}


/* A third is left for the batch that runs when the time is up. */
static int64_t
time_for_it(vault_request_t *vr)
{
    int64_t  left;

    left = vault_front_left(vr);

    if (left == 0) {
        return USUAL;
    }

    return ngx_min(left - ngx_max(left / 3, 2 * VAULT_JOBS_GRACE), LONGEST);
}


static void
run_maintenance(vault_request_t *vr, done_t *done, int64_t from)
{
    int64_t  most;

    most = ngx_max(time_for_it(vr), 1000);

    vault_wait_longer(vr, (ngx_msec_t) most + 2 * VAULT_JOBS_GRACE);

    done->sum = vault_jobs_run(vr, NULL, from + most);
}


static void
events_run(vault_request_t *vr)
{
    done_t   done;
    event_t  event;
    int64_t  from = vault_now();

    vault_json_read(vr, &event_form, &event);

    ngx_memzero(&done, sizeof(done_t));
    done.job = event.job;

    if (is(&event.job, "maintenance")) {
        run_maintenance(vr, &done, from);
        done.ms = vault_now() - from;
        vault_reply(vr, &maintenance_view, &done);
        return;
    }

    if (is(&event.job, "migrate")) {
        vault_wait_longer(vr, LONGEST);
        done.steps = vault_db_migrate(vr);
        done.ms = vault_now() - from;
        vault_reply(vr, &migrate_view, &done);
        return;
    }

    vault_fail(vr, NGX_HTTP_BAD_REQUEST, "There is no such job: \"%V\". It is "
               "\"maintenance\" or \"migrate\".", &event.job);
}
