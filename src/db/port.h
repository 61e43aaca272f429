/*
 * port - what the files of the port share: db.c, pool.c, exec.c, tx.c,
 * bind.c, batch.c, strict.c, migrate*.c.  Adapters do not include it.
 *
 * A request takes a slot (a connection and its place in the pool), runs a
 * list of statements on it and gives it back.  From taking to giving back the
 * slot is deferred, so a request that ends in between leaves it to be drained.
 */

#ifndef VAULT_DB_PORT_H
#define VAULT_DB_PORT_H

#include <ngx_config.h>
#include <setjmp.h>

#include "adapter.h"
#include "../run/waiters.h"


#define VAULT_DB_REPLAYS     8        /* of what collided, then 503 */
#define VAULT_DB_LIFE        (50 * 60)  /* seconds a connection may live */
#define VAULT_DB_CONNECTIONS 10

#define VAULT_DB_MARK_TIME   "%014L"  /* begins the id of a mark */

#define VAULT_DB_STRICT_ROWS   3000
#define VAULT_DB_STRICT_BYTES  (10 * 1024 * 1024)

typedef struct vault_slot_s  vault_slot_t;

typedef vault_db_conn_t *(*vault_open_pt)(vault_request_t *vr, void *conf,
    ngx_msec_t timeout, vault_db_status_e *status, ngx_str_t *error);

/* Connections of one kind, and the queue for them.  Per worker. */
typedef struct {
    vault_open_pt   open_conn;
    ngx_uint_t      max;
    ngx_uint_t      open;             /* places taken; being opened, too */
    ngx_uint_t      nidle;
    ngx_uint_t      nwaiting;
    ngx_queue_t     idle;             /* slots, last used first */
    ngx_queue_t     draining;         /* slots */
    ngx_queue_t     waiters;          /* first come first served */
    ngx_msec_t      retry_at;         /* no attempt to connect before */
    ngx_uint_t      held_off;         /* retry_at counts */
} vault_lane_t;

struct vault_slot_s {
    vault_db_t       *db;
    vault_lane_t     *lane;
    vault_db_conn_t  *conn;
    vault_defer_t    *defer;          /* of the request that holds it */
    ngx_queue_t       queue;
    time_t            opened_at;      /* wall clock: a freeze ages, too */
    time_t            used_at;
    unsigned          dirty:1;        /* a list was sent and not answered, or
                                         a transaction is open */
};

/* What one transaction has done so far, on any back end. */
typedef struct {
    int64_t     rows;
    size_t      bytes;
    ngx_uint_t  ddl;
    ngx_uint_t  dml;
} vault_strict_t;

struct vault_tx_s {
    vault_slot_t    *slot;
    ngx_uint_t       begun;
    vault_strict_t   strict;
    ngx_str_t        mark;            /* of a COMMIT, where there are marks */
    ngx_uint_t       unsure;          /* it was sent and not answered */
    jmp_buf          replay;          /* of the body, with the status */
};

typedef enum {
    VAULT_DB_NEW = 0,
    VAULT_DB_MIGRATING,
    VAULT_DB_READY
} vault_db_state_e;

typedef struct {
    vault_db_body_pt           run;
    void                      *data;
} vault_db_hook_t;

struct vault_db_s {
    const vault_db_adapter_t  *adapter;
    void                      *conf;

    ngx_uint_t                 connections;
    ngx_msec_t                 timeout;
    ngx_flag_t                 strict;

    vault_lane_t               writer;   /* of everything, or of writes */
    vault_lane_t               reader;   /* max 0: the writer reads */
    vault_lane_t               admin;    /* of migrations; max 0: the writer */

    vault_db_state_e           state;
    vault_request_t           *migrator; /* the task that may pass */
    vault_waiters_t            gate;     /* who waits for migrations */
    ngx_uint_t                 migrating;   /* the task may change tables */
    ngx_uint_t                 applied;  /* steps, by the last task */
    ngx_array_t               *on_ready; /* of vault_db_hook_t; or NULL */
    ngx_msec_t                 failed_at;
    ngx_uint_t                 failed;   /* the last migration did */
    ngx_uint_t                 passed;   /* the last did its work */

    vault_db_status_e          down;     /* the last outage's kind */
    time_t                     down_since;   /* 0: it answers */
    time_t                     logged_at;
    uint32_t                   logged_hash;  /* of the cause */

    ngx_uint_t                 statements;
    ngx_uint_t                 round_trips;
};

typedef struct {
    unsigned  write:1;
    unsigned  ddl:1;
} vault_sql_kind_t;


/* pool.c */
void vault_lane_init(vault_lane_t *lane, vault_open_pt open_conn,
    ngx_uint_t max);

/* A connection that is usable as far as is known: awaits, or 503. */
vault_slot_t *vault_slot_acquire(vault_request_t *vr, ngx_uint_t write);

/* Gives it back: at once, or by way of the adapter's drain(). */
void vault_slot_release(vault_slot_t *slot);
void vault_slot_drain(vault_slot_t *slot);

/* A connection was found lost: what is idle is not trusted either. */
void vault_slots_distrust(vault_db_t *db);
void vault_slots_finish(vault_db_t *db);

/* The migration is over: its own connection is not kept. */
void vault_slots_dismiss(vault_db_t *db);

/* exec.c */

/* One attempt on a slot; counts, and clears earlier results. */
vault_db_status_e vault_exec_try(vault_request_t *vr, vault_slot_t *slot,
    vault_db_statement_t *list, ngx_uint_t n, ngx_uint_t flags);

/* Runs a list, in the open transaction or on its own: awaits, or fails. */
void vault_exec(vault_request_t *vr, vault_db_statement_t *list,
    ngx_uint_t n);

/* The same on its own, handing up how it ended, for migrations. */
vault_db_status_e vault_exec_status(vault_request_t *vr,
    vault_db_statement_t *list, ngx_uint_t n);

vault_sql_kind_t vault_sql_kind(const char *sql);
const ngx_str_t *vault_exec_error(const vault_db_statement_t *list,
    ngx_uint_t n);
const char *vault_exec_sql(const vault_db_statement_t *list, ngx_uint_t n);
void vault_exec_pause(vault_request_t *vr, ngx_uint_t attempt);

/* tx.c */
void vault_tx_exec(vault_request_t *vr, vault_db_statement_t *list,
    ngx_uint_t n);

/* mark.c: what a COMMIT that was not answered has come to; or 503.  Awaits. */
void vault_mark_make(vault_request_t *vr, ngx_str_t *id,
    vault_db_statement_t *statement);
vault_db_status_e vault_mark_ask(vault_request_t *vr, const ngx_str_t *id);

/* report.c: the log, once for each outage, and the end of the request. */
void vault_db_report(vault_request_t *vr, vault_db_status_e status,
    const ngx_str_t *error, const char *sql);
void vault_db_answers(vault_request_t *vr, const vault_lane_t *lane);
void vault_db_fail(vault_request_t *vr, vault_db_status_e status)
    __attribute__((noreturn, cold));

/* bind.c */
void vault_bind_find(vault_request_t *vr, const vault_row_t *row, void *out,
    ngx_uint_t *found, const vault_db_statement_t *statement);
ngx_array_t *vault_bind_list(vault_request_t *vr, const vault_row_t *row,
    const vault_db_statement_t *statement);

/* strict.c */
void vault_strict_add(vault_strict_t *strict,
    const vault_db_statement_t *statement);
void vault_strict_check(vault_request_t *vr, const vault_strict_t *strict,
    const char *sql);

/* migrate.c: awaits until the schema is as this module needs it, or 503. */
void vault_migrate_await(vault_request_t *vr);

/* migrate_steps.c: looks, or applies; the number of steps applied.  Awaits. */
ngx_uint_t vault_migrate_run(vault_request_t *vr);

/* One statement of a migration; how it ended.  Awaits. */
vault_db_status_e vault_migrate_exec(vault_request_t *vr,
    vault_db_statement_t *statement, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n);

/* migrate_index.c: what `statement`, of this text, has begun is done. */
vault_db_status_e vault_migrate_index(vault_request_t *vr, const char *sql,
    vault_db_statement_t *statement);

/* What was lost may come back as another database: look at it again. */
void vault_migrate_doubt(vault_db_t *db);


#endif
