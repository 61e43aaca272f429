/*
 * Endpoints for the tests of run/ and db/, in debug builds only: each waits in
 * one of the ways a request can wait, for as long as the path says.
 */

#include "../db/db.h"
#include "../run/await.h"
#include "api.h"

#if (VAULT_DEBUG)

static void debug_timer(vault_request_t *vr);
static void debug_stall(vault_request_t *vr);
static void debug_thread(vault_request_t *vr);
static void debug_transaction(vault_request_t *vr);
static void debug_fail(vault_request_t *vr);
static void debug_body(vault_request_t *vr);


const vault_route_t  vault_debug_routes[] = {
    { GET,  "/api/debug/timer/{id}",       debug_timer,       VAULT_ANYONE },
    { GET,  "/api/debug/stall/{id}",       debug_stall,       VAULT_ANYONE },
    { GET,  "/api/debug/thread/{id}",      debug_thread,      VAULT_ANYONE },
    { GET,  "/api/debug/transaction/{id}", debug_transaction, VAULT_ANYONE },
    { GET,  "/api/debug/fail/{id}",        debug_fail,        VAULT_ANYONE },
    { POST, "/api/debug/body",             debug_body,        VAULT_ANYONE,
      8 * 1024 * 1024 },
    VAULT_ROUTE_END
};


static ngx_msec_t
debug_ms(vault_request_t *vr)
{
    ngx_int_t   n;
    ngx_str_t  *arg = vault_path_arg(vr, 0);

    n = ngx_atoi(arg->data, arg->len);
    if (n < 0 || n > 60000) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Not a number of milliseconds.");
    }

    return n;
}


static void
debug_timer(vault_request_t *vr)
{
    vault_sleep(vr, debug_ms(vr));
    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
debug_block(void *data, ngx_log_t *log)
{
    ngx_msec_t  *ms = data;

    ngx_msleep(*ms);
}


/* Holds up the event loop, as nothing real may. */

static void
debug_stall(vault_request_t *vr)
{
    ngx_msleep(debug_ms(vr));
    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
debug_thread(vault_request_t *vr)
{
    ngx_msec_t  *ms;

    ms = vault_alloc(vr, sizeof(ngx_msec_t));
    *ms = debug_ms(vr);

    vault_thread_run(vr, VAULT_THREAD_IO, debug_block, ms);
    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* Writes, then keeps the transaction open while it sleeps. */
static void
debug_hold(vault_request_t *vr, void *data)
{
    ngx_msec_t  *ms = data;

    (void) vault_db_run(vr, "UPDATE users SET revised_at = revised_at"
                            " WHERE id = 'nobody'", VAULT_DB_NO_ARGS);
    vault_sleep(vr, *ms);
}


static void
debug_transaction(vault_request_t *vr)
{
    ngx_msec_t  ms = debug_ms(vr);

    vault_db_transaction(vr, debug_hold, &ms);
    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* Fails from as many frames down as the path says. */
static void
debug_dive(vault_request_t *vr, ngx_msec_t depth)
{
    volatile u_char  frame[256];

    frame[depth % sizeof(frame)] = 1;

    if (depth) {
        debug_dive(vr, depth - 1);
    }

    if (frame[depth % sizeof(frame)]) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Failed at the bottom.");
    }
}


static void
debug_fail(vault_request_t *vr)
{
    vault_sleep(vr, 1);
    debug_dive(vr, ngx_min(debug_ms(vr), 200));
}


/* The body's size: it arrived whole, from memory or from a file. */
static void
debug_body(vault_request_t *vr)
{
    ngx_str_t  body, text;

    body = vault_body(vr);
    text = vault_printf(vr, "%uz", body.len);
    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &text);
}

#endif
