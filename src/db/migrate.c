/*
 * When the schema is brought up to what this module needs: once a worker,
 * before its first statement, by a task of its own while the requests wait.
 * Where a deploy step does that (Aurora DSQL), the task only looks.
 */

#include "port.h"


#define MIGRATE_AGAIN     1000        /* ms after a failure */
#define MIGRATE_DEADLINE  (10 * 60 * 1000)


typedef struct {
    vault_request_t  *vr;
    ngx_uint_t        woken;
    ngx_uint_t        ready;
    ngx_queue_t       queue;
} gate_waiter_t;


/* However the task ended: lets those at the gate know. */
static void
migrate_ended(void *data)
{
    ngx_queue_t    *q;
    vault_db_t     *db = data;
    gate_waiter_t  *waiter;

    db->migrator = NULL;
    db->migrating = 0;
    vault_slots_dismiss(db);

    if (db->state != VAULT_DB_READY) {
        db->state = VAULT_DB_NEW;
        db->failed = !db->passed;
        db->failed_at = ngx_current_msec;
    }

    while (!ngx_queue_empty(&db->gate)) {

        q = ngx_queue_head(&db->gate);
        ngx_queue_remove(q);

        waiter = ngx_queue_data(q, gate_waiter_t, queue);
        waiter->woken = 1;
        waiter->ready = db->passed;

        vault_wake(waiter->vr);
    }
}


static void
migrate_hooks(vault_request_t *vr, vault_db_t *db)
{
    ngx_uint_t        i;
    vault_db_hook_t  *hook;

    hook = db->on_ready ? db->on_ready->elts : NULL;

    for (i = 0; hook && i < db->on_ready->nelts; i++) {
        hook[i].run(vr, hook[i].data);
    }
}


/*
 * Who migrates as a role of its own may not be let in as that of the servers:
 * a deploy step leaves the rest to the next task, if there ever is one.
 */
static void
migrate_task(vault_request_t *vr, void *data)
{
    vault_db_t  *db = data;
    ngx_uint_t   deploys = db->migrating && db->adapter->deployed;

    db->migrator = vr;
    (void) vault_defer(vr, migrate_ended, db);

    db->applied = vault_migrate_run(vr);
    db->migrating = 0;

    if (!deploys) {
        migrate_hooks(vr, db);
        db->state = VAULT_DB_READY;
    }

    db->passed = 1;
    db->failed = 0;
}


static void
gate_cancelled(void *data)
{
    gate_waiter_t  *waiter = data;

    if (!waiter->woken) {
        ngx_queue_remove(&waiter->queue);
    }
}


void
vault_migrate_doubt(vault_db_t *db)
{
    if (db->state == VAULT_DB_READY) {
        db->state = VAULT_DB_NEW;
    }
}


static void
migrate_start(vault_request_t *vr, vault_db_t *db, ngx_uint_t apply)
{
    if (vault_task_start(vr->conf, "migration", MIGRATE_DEADLINE,
                         migrate_task, db)
        != NGX_OK)
    {
        vault_db_fail(vr, VAULT_DB_GONE);
    }

    db->state = VAULT_DB_MIGRATING;
    db->migrating = apply;
    db->passed = 0;
}


/* 1 if the task that runs now has done what it was to do. */
static ngx_uint_t
gate_wait(vault_request_t *vr, vault_db_t *db, ngx_msec_t timeout)
{
    gate_waiter_t  waiter;

    ngx_memzero(&waiter, sizeof(gate_waiter_t));
    waiter.vr = vr;
    ngx_queue_insert_tail(&db->gate, &waiter.queue);

    return vault_wait(vr, timeout, gate_cancelled, &waiter) == NGX_OK
           && waiter.ready;
}


void
vault_migrate_await(vault_request_t *vr)
{
    vault_db_t  *db = vr->conf->db;

    while (db->state != VAULT_DB_READY && vr != db->migrator) {

        if (db->state == VAULT_DB_NEW) {

            if (db->failed
                && ngx_current_msec - db->failed_at < MIGRATE_AGAIN)
            {
                vault_db_fail(vr, VAULT_DB_GONE);
            }

            migrate_start(vr, db, !db->adapter->deployed);
        }

        if (!gate_wait(vr, db, db->timeout)) {
            vault_db_fail(vr, VAULT_DB_GONE);
        }
    }
}


void
vault_db_prepare(vault_request_t *vr, void *data)
{
    vault_migrate_await(vr);
}


ngx_uint_t
vault_db_migrate(vault_request_t *vr)
{
    vault_db_t  *db = vr->conf->db;

    while (db->state == VAULT_DB_MIGRATING) {
        (void) gate_wait(vr, db, MIGRATE_DEADLINE);
    }

    migrate_start(vr, db, 1);

    if (!gate_wait(vr, db, MIGRATE_DEADLINE)) {
        vault_db_fail(vr, VAULT_DB_GONE);
    }

    return db->applied;
}
