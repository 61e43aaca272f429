/*
 * When the schema is brought up to what this module needs: once a worker,
 * before its first statement, by a task of its own while the requests wait.
 * Where a deploy step does that (Aurora DSQL), the task only looks.
 */

#include "port.h"


#define MIGRATE_AGAIN     1000        /* ms after a failure */
#define MIGRATE_DEADLINE  (10 * 60 * 1000)


/* However the task ended: lets those at the gate know. */
static void
migrate_ended(void *data)
{
    vault_db_t  *db = data;

    db->migrator = NULL;
    db->migrating = 0;
    vault_slots_dismiss(db);

    if (db->state != VAULT_DB_READY) {
        db->state = VAULT_DB_NEW;
        db->failed = !db->passed;
        db->failed_at = ngx_current_msec;
    }

    vault_waiters_release(&db->gate, db->passed ? NGX_OK : NGX_ERROR);
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

        if (vault_waiters_join(vr, &db->gate, db->timeout) != NGX_OK) {
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
        (void) vault_waiters_join(vr, &db->gate, MIGRATE_DEADLINE);
    }

    migrate_start(vr, db, 1);

    if (vault_waiters_join(vr, &db->gate, MIGRATE_DEADLINE) != NGX_OK) {
        vault_db_fail(vr, VAULT_DB_GONE);
    }

    return db->applied;
}
