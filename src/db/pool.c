/*
 * The bounded pool: who may use which connection next.
 *
 * A slot is a connection and the place that it takes.  A place outlives its
 * connection while there is somebody in the queue: it is handed on, so nobody
 * who comes later overtakes.  While anybody waits, no slot is idle.
 */

#include "port.h"


#define POOL_HOLD_OFF  200            /* ms after a failed connect */
#define POOL_PROBE     ((ngx_msec_t) 1000)


typedef struct {
    vault_request_t  *vr;
    vault_lane_t     *lane;
    vault_slot_t     *slot;           /* handed over; or */
    ngx_uint_t        place;          /* the right to connect; or */
    ngx_uint_t        refused;        /* the database is out of reach */
    ngx_queue_t       queue;
} pool_waiter_t;


static void slot_abandoned(void *data);


void
vault_lane_init(vault_lane_t *lane, vault_open_pt open_conn, ngx_uint_t max)
{
    ngx_memzero(lane, sizeof(vault_lane_t));

    lane->open_conn = open_conn;
    lane->max = max;

    ngx_queue_init(&lane->idle);
    ngx_queue_init(&lane->draining);
    ngx_queue_init(&lane->waiters);
}


static pool_waiter_t *
waiter_next(vault_lane_t *lane)
{
    ngx_queue_t    *q;
    pool_waiter_t  *waiter;

    if (ngx_queue_empty(&lane->waiters)) {
        return NULL;
    }

    q = ngx_queue_head(&lane->waiters);
    ngx_queue_remove(q);
    lane->nwaiting--;

    waiter = ngx_queue_data(q, pool_waiter_t, queue);
    vault_wake(waiter->vr);

    return waiter;
}


static ngx_uint_t
lane_held_off(vault_lane_t *lane)
{
    if (lane->held_off
        && (ngx_msec_int_t) (lane->retry_at - ngx_current_msec) <= 0)
    {
        lane->held_off = 0;
    }

    return lane->held_off;
}


/*
 * Hands a place to the next in the queue.  While connecting fails, those who
 * wait are left to the connections that there are.
 */
static void
place_free(vault_lane_t *lane)
{
    pool_waiter_t  *waiter;

    if (lane->open == 1 || !lane_held_off(lane)) {

        waiter = waiter_next(lane);

        if (waiter) {
            waiter->place = 1;
            return;
        }
    }

    lane->open--;
}


static void
slot_destroy(vault_slot_t *slot)
{
    vault_lane_t  *lane = slot->lane;

    slot->db->adapter->close(slot->conn);
    ngx_free(slot);

    place_free(lane);
}


static ngx_uint_t
slot_too_old(vault_slot_t *slot)
{
    time_t  now = ngx_time();

    return now - slot->opened_at > VAULT_DB_LIFE || now < slot->opened_at;
}


/* Clean and idle: to the next in the queue, or to rest. */
static void
slot_put(vault_slot_t *slot)
{
    vault_lane_t   *lane = slot->lane;
    pool_waiter_t  *waiter;

    if (slot_too_old(slot) || !slot->db->adapter->usable(slot->conn)) {
        slot_destroy(slot);
        return;
    }

    waiter = waiter_next(lane);

    if (waiter) {
        waiter->slot = slot;
        return;
    }

    slot->used_at = ngx_time();
    ngx_queue_insert_head(&lane->idle, &slot->queue);
    lane->nidle++;
}


static void
slot_drained(vault_db_conn_t *conn, ngx_uint_t usable, void *data)
{
    vault_slot_t  *slot = data;

    slot->dirty = 0;
    ngx_queue_remove(&slot->queue);

    if (usable) {
        slot_put(slot);

    } else {
        slot_destroy(slot);
    }
}


void
vault_slot_drain(vault_slot_t *slot)
{
    if (slot->defer) {
        vault_undefer(slot->defer);
        slot->defer = NULL;
    }

    ngx_queue_insert_tail(&slot->lane->draining, &slot->queue);
    slot->db->adapter->drain(slot->conn, slot_drained, slot);
}


void
vault_slot_release(vault_slot_t *slot)
{
    if (slot->dirty) {
        vault_slot_drain(slot);
        return;
    }

    vault_undefer(slot->defer);
    slot->defer = NULL;

    slot_put(slot);
}


/* The request has ended with the slot in its hands. */
static void
slot_abandoned(void *data)
{
    vault_slot_t  *slot = data;

    slot->defer = NULL;

    if (slot->dirty) {
        vault_slot_drain(slot);

    } else {
        slot_put(slot);
    }
}


static vault_slot_t *
slot_hold(vault_request_t *vr, vault_slot_t *slot)
{
    slot->dirty = 0;
    slot->defer = vault_defer(vr, slot_abandoned, slot);

    return slot;
}


static vault_slot_t *
idle_take(vault_lane_t *lane)
{
    vault_slot_t  *slot;

    while (!ngx_queue_empty(&lane->idle)) {

        slot = ngx_queue_data(ngx_queue_head(&lane->idle), vault_slot_t,
                              queue);
        ngx_queue_remove(&slot->queue);
        lane->nidle--;

        if (!slot_too_old(slot) && slot->db->adapter->usable(slot->conn)) {
            return slot;
        }

        slot_destroy(slot);
    }

    return NULL;
}


/*
 * By the wall clock: a process that was frozen has not seen the time pass, and
 * whoever forgot its connections meanwhile did not tell.
 */
static ngx_uint_t
slot_suspect(const vault_slot_t *slot)
{
    time_t  now = ngx_time(), limit = slot->db->adapter->suspect;

    return limit && (now - slot->used_at > limit || now < slot->used_at);
}


/* An empty list is an empty round trip. */
static ngx_uint_t
slot_lives(vault_request_t *vr, vault_slot_t *slot)
{
    ngx_msec_t          most;
    vault_db_status_e   status;

    most = ngx_min(slot->db->timeout, POOL_PROBE);

    slot_hold(vr, slot);
    slot->dirty = 1;

    status = slot->db->adapter->execute(slot->conn, vr, NULL, 0, 0, most);

    vault_undefer(slot->defer);
    slot->defer = NULL;
    slot->dirty = 0;

    return status == VAULT_DB_OK;
}


static void
lane_distrust(vault_lane_t *lane)
{
    vault_slot_t  *slot;

    while (!ngx_queue_empty(&lane->idle)) {

        slot = ngx_queue_data(ngx_queue_head(&lane->idle), vault_slot_t,
                              queue);
        ngx_queue_remove(&slot->queue);
        lane->nidle--;

        slot_destroy(slot);
    }
}


void
vault_slots_distrust(vault_db_t *db)
{
    lane_distrust(&db->writer);
    lane_distrust(&db->reader);
    lane_distrust(&db->admin);
}


void
vault_slots_dismiss(vault_db_t *db)
{
    lane_distrust(&db->admin);
}


/* An idle one that lives as far as is known, or has just proved it.  Awaits. */
static vault_slot_t *
lane_take(vault_request_t *vr, vault_lane_t *lane)
{
    vault_slot_t  *slot;

    for ( ;; ) {
        slot = idle_take(lane);

        if (slot == NULL || !slot_suspect(slot) || slot_lives(vr, slot)) {
            return slot;
        }

        slot_destroy(slot);
        lane_distrust(lane);          /* the others slept as long */
    }
}


/* The request has ended while it connected; the adapter cleans up its part. */
static void
place_abandoned(void *data)
{
    place_free(data);
}


/* Nobody in the queue can hope for more than who has just failed. */
static void
lane_refuse(vault_lane_t *lane)
{
    pool_waiter_t  *waiter;

    while ((waiter = waiter_next(lane)) != NULL) {
        waiter->refused = 1;
    }
}


/* Connects; the place is the caller's, and given up on failure. */
static vault_slot_t *
slot_open(vault_request_t *vr, vault_lane_t *lane)
{
    ngx_str_t          error = ngx_null_string;
    vault_db_t        *db = vr->conf->db;
    vault_slot_t      *slot;
    vault_defer_t     *defer;
    vault_db_conn_t   *conn;
    vault_db_status_e  status = VAULT_DB_GONE;

    defer = vault_defer(vr, place_abandoned, lane);

    conn = lane->open_conn(vr, db->conf, db->timeout, &status, &error);

    vault_undefer(defer);

    if (conn) {
        slot = ngx_calloc(sizeof(vault_slot_t), vr->log);

        if (slot) {
            lane->held_off = 0;

            slot->db = db;
            slot->lane = lane;
            slot->conn = conn;
            slot->opened_at = ngx_time();
            slot->used_at = slot->opened_at;

            return slot;
        }

        db->adapter->close(conn);
    }

    lane->held_off = 1;
    lane->retry_at = ngx_current_msec + POOL_HOLD_OFF;

    vault_db_report(vr, status == VAULT_DB_OK ? VAULT_DB_GONE : status,
                    &error, NULL);

    if (lane->open == 1) {
        lane_refuse(lane);
    }

    place_free(lane);

    return NULL;
}


static void
wait_cancelled(void *data)
{
    pool_waiter_t  *waiter = data;

    if (waiter->slot) {
        slot_put(waiter->slot);

    } else if (waiter->place) {
        place_free(waiter->lane);

    } else if (!waiter->refused) {
        ngx_queue_remove(&waiter->queue);
        waiter->lane->nwaiting--;
    }
}


/* A slot, or the right to connect in *place, or neither: 503. */
static vault_slot_t *
lane_wait(vault_request_t *vr, vault_lane_t *lane, ngx_msec_t timeout,
    ngx_uint_t *place)
{
    pool_waiter_t  waiter;

    ngx_memzero(&waiter, sizeof(pool_waiter_t));
    waiter.vr = vr;
    waiter.lane = lane;

    ngx_queue_insert_tail(&lane->waiters, &waiter.queue);
    lane->nwaiting++;

    if (vault_wait(vr, timeout, wait_cancelled, &waiter) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "The database is busy. Please try again.");
    }

    if (waiter.refused) {
        vault_db_fail(vr, VAULT_DB_GONE);
    }

    *place = waiter.place;

    return waiter.slot;
}


static vault_lane_t *
lane_choose(vault_request_t *vr, vault_db_t *db, ngx_uint_t write)
{
    if (db->migrating && vr == db->migrator && db->admin.max) {
        return &db->admin;
    }

    return (write || db->reader.max == 0) ? &db->writer : &db->reader;
}


vault_slot_t *
vault_slot_acquire(vault_request_t *vr, ngx_uint_t write)
{
    ngx_uint_t       place = 0;
    ngx_msec_t       end;
    vault_db_t      *db = vr->conf->db;
    vault_slot_t    *slot;
    vault_lane_t    *lane;
    ngx_msec_int_t   left;

    lane = lane_choose(vr, db, write);
    end = ngx_current_msec + db->timeout;

    slot = lane_take(vr, lane);

    while (slot == NULL) {

        if (!place && lane->open < lane->max && !lane_held_off(lane)) {
            lane->open++;
            place = 1;
        }

        if (place) {
            slot = slot_open(vr, lane);
            place = 0;

            if (slot) {
                break;
            }
        }

        left = (ngx_msec_int_t) (end - ngx_current_msec);

        if (lane->open == 0 || left <= 0) {
            vault_db_fail(vr, VAULT_DB_GONE);
        }

        slot = lane_wait(vr, lane, left, &place);
    }

    return slot_hold(vr, slot);
}


#if (VAULT_DEBUG)

/* For tests: as if the idle ones had slept for so long. */
void
vault_db_age(vault_db_t *db, time_t seconds)
{
    ngx_queue_t   *q, *idle = &db->writer.idle;
    vault_slot_t  *slot;

    for (q = ngx_queue_head(idle); q != ngx_queue_sentinel(idle);
         q = ngx_queue_next(q))
    {
        slot = ngx_queue_data(q, vault_slot_t, queue);
        slot->opened_at -= seconds;
        slot->used_at -= seconds;
    }
}

#endif


static void
slots_finish(vault_db_t *db, ngx_queue_t *slots)
{
    ngx_queue_t   *q;
    vault_slot_t  *slot;

    while (!ngx_queue_empty(slots)) {

        q = ngx_queue_head(slots);
        ngx_queue_remove(q);
        slot = ngx_queue_data(q, vault_slot_t, queue);

        if (db->adapter->finish) {
            db->adapter->finish(slot->conn);

        } else {
            db->adapter->close(slot->conn);
        }

        ngx_free(slot);
    }
}


static void
lane_finish(vault_db_t *db, vault_lane_t *lane)
{
    slots_finish(db, &lane->idle);
    slots_finish(db, &lane->draining);
}


/* The process ends: nobody waits any more. */
void
vault_slots_finish(vault_db_t *db)
{
    if (db->writer.max == 0) {
        return;                       /* was never started */
    }

    lane_finish(db, &db->reader);
    lane_finish(db, &db->writer);
    lane_finish(db, &db->admin);
}
