/*
 * The life of a list of statements: a connection, an attempt, and what its
 * end means: done, once more, or the end of the request.
 */

#include "port.h"


static ngx_uint_t
word_at(const char *sql, const char *word)
{
    size_t  len = ngx_strlen(word);

    return ngx_strncasecmp((u_char *) sql, (u_char *) word, len) == 0
           && (sql[len] == ' ' || sql[len] == '\0');
}


vault_sql_kind_t
vault_sql_kind(const char *sql)
{
    vault_sql_kind_t  kind = { 0, 0 };

    while (*sql == ' ') {
        sql++;
    }

    if (word_at(sql, "SELECT")) {
        return kind;
    }

    if (!word_at(sql, "WITH")) {
        kind.write = 1;
        kind.ddl = word_at(sql, "CREATE") || word_at(sql, "ALTER")
                   || word_at(sql, "DROP");
        return kind;
    }

    for ( /* void */ ; *sql; sql++) {
        if (*sql == ' '
            && (word_at(sql + 1, "INSERT") || word_at(sql + 1, "UPDATE")
                || word_at(sql + 1, "DELETE")))
        {
            kind.write = 1;
            break;
        }
    }

    return kind;
}


/* The statement that stopped the list; NULL if it was COMMIT or BEGIN. */
static const vault_db_statement_t *
failed_statement(const vault_db_statement_t *list, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (list[i].result.status != VAULT_DB_OK) {
            return &list[i];
        }
    }

    return NULL;
}


const ngx_str_t *
vault_exec_error(const vault_db_statement_t *list, ngx_uint_t n)
{
    const vault_db_statement_t  *failed = failed_statement(list, n);

    if (failed) {
        return &failed->result.error;
    }

    return n ? &list[0].result.error : NULL;
}


const char *
vault_exec_sql(const vault_db_statement_t *list, ngx_uint_t n)
{
    const vault_db_statement_t  *failed = failed_statement(list, n);

    return failed ? failed->sql : NULL;
}


/* Before the n-th replay: at random between nothing and 10 ms * 3^n, 810. */
void
vault_exec_pause(vault_request_t *vr, ngx_uint_t attempt)
{
    ngx_uint_t  i, most = 10;

    for (i = 0; i < ngx_min(attempt, 4); i++) {
        most *= 3;
    }

    vault_sleep(vr, 1 + ngx_random() % most);
}


vault_db_status_e
vault_exec_try(vault_request_t *vr, vault_slot_t *slot,
    vault_db_statement_t *list, ngx_uint_t n, ngx_uint_t flags)
{
    ngx_uint_t          i;
    vault_db_t         *db = slot->db;
    vault_db_status_e   status;

    for (i = 0; i < n; i++) {
        ngx_memzero(&list[i].result, sizeof(vault_db_result_t));
    }

    db->statements += n;
    db->round_trips++;

    slot->dirty = 1;

    status = db->adapter->execute(slot->conn, vr, list, n, flags,
                                  db->timeout);

    if (status == VAULT_DB_OK) {
        slot->dirty = 0;
        slot->used_at = ngx_time();
        vault_db_answers(vr, slot->lane);

    } else if (status == VAULT_DB_GONE) {
        vault_slots_distrust(db);
        vault_migrate_doubt(db);
    }

    return status;
}


static vault_db_status_e
exec_once(vault_request_t *vr, vault_db_statement_t *list, ngx_uint_t n,
    ngx_uint_t write)
{
    ngx_uint_t          flags;
    vault_slot_t       *slot;
    vault_db_status_e   status;

    flags = write && n > 1 ? VAULT_DB_BEGIN|VAULT_DB_COMMIT : 0;

    vault_migrate_await(vr);

    slot = vault_slot_acquire(vr, write);
    status = vault_exec_try(vr, slot, list, n, flags);
    vault_slot_release(slot);

    return status;
}


static ngx_uint_t
list_writes(const vault_db_statement_t *list, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (vault_sql_kind(list[i].sql).write) {
            return 1;
        }
    }

    return 0;
}


/*
 * What collided is tried again.  What met a lost connection is tried once
 * more if it only reads: all idle connections were dropped, so the next
 * attempt connects.  A write may have been done, so nobody repeats it.
 */
vault_db_status_e
vault_exec_status(vault_request_t *vr, vault_db_statement_t *list,
    ngx_uint_t n)
{
    ngx_uint_t         attempt, write, lost = 0;
    vault_db_status_e  status;

    write = list_writes(list, n);

    for (attempt = 0; /* void */ ; attempt++) {

        status = exec_once(vr, list, n, write);

        if (status == VAULT_DB_GONE && !write && !lost) {
            lost = 1;
            continue;
        }

        if (status != VAULT_DB_RETRY || attempt == VAULT_DB_REPLAYS) {
            return status;
        }

        vault_exec_pause(vr, attempt);
    }
}


typedef struct {
    vault_db_statement_t  *list;
    ngx_uint_t             n;
} exec_body_t;


static void
exec_body(vault_request_t *vr, void *data)
{
    exec_body_t  *body = data;

    vault_tx_exec(vr, body->list, body->n);
}


void
vault_exec(vault_request_t *vr, vault_db_statement_t *list, ngx_uint_t n)
{
    exec_body_t         body;
    vault_db_t         *db = vr->conf->db;
    vault_db_status_e   status;

    if (n == 0) {
        return;
    }

    if (vr->tx) {
        vault_tx_exec(vr, list, n);
        return;
    }

    if ((db->strict || db->adapter->marks) && list_writes(list, n)) {

        /*
         * What breaks a rule must not be committed; and when a COMMIT is
         * doubtful, its results must have come before.
         */

        body.list = list;
        body.n = n;
        vault_db_transaction(vr, exec_body, &body);
        return;
    }

    status = vault_exec_status(vr, list, n);

    if (status != VAULT_DB_OK) {
        vault_db_report(vr, status, vault_exec_error(list, n),
                        vault_exec_sql(list, n));
        vault_db_fail(vr, status);
    }
}
