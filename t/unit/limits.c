/*
 * Limits: the count, its way back, what shares an entry and what does not, a
 * full table, a reload, and eight processes that guess at once.
 *
 * nginx's shared memory and the request are played by the few functions
 * below; the memory is shared for real and the lock is one between processes.
 */

#include "check.h"

#include "../../src/rules/limits.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>


#define WINDOW  300

static ngx_pool_t        *pool;
static ngx_conf_t         cf;
static ngx_cycle_t        cycle;
static ngx_shm_zone_t     shm_zone;
static ngx_slab_pool_t   *slab;
static pthread_mutex_t   *mutex;

static vault_conf_t         conf;
static vault_request_t      request;
static ngx_http_request_t   http;
static ngx_connection_t     connection;
static struct sockaddr_in   ipv4;
static struct sockaddr_in6  ipv6;

typedef struct {
    vault_defer_pt    handler;
    void             *data;
} deferred_t;

static deferred_t  deferred[20000];
static ngx_uint_t  deferred_n;


ngx_shm_zone_t *
ngx_shared_memory_add(ngx_conf_t *c, ngx_str_t *name, size_t size, void *tag)
{
    shm_zone.shm.size = size;
    shm_zone.shm.log = shim_log();
    shm_zone.tag = tag;

    return &shm_zone;
}


void *
ngx_slab_alloc(ngx_slab_pool_t *p, size_t size)
{
    void  *memory;

    memory = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                  -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}


void
ngx_shmtx_lock(ngx_shmtx_t *mtx)
{
    pthread_mutex_lock(mutex);
}


void
ngx_shmtx_unlock(ngx_shmtx_t *mtx)
{
    pthread_mutex_unlock(mutex);
}


void *
vault_alloc(vault_request_t *vr, size_t size)
{
    return ngx_palloc(vr->pool, size);
}


void *
vault_calloc(vault_request_t *vr, size_t size)
{
    return ngx_pcalloc(vr->pool, size);
}


vault_defer_t *
vault_defer(vault_request_t *vr, vault_defer_pt handler, void *data)
{
    deferred[deferred_n].handler = handler;
    deferred[deferred_n++].data = data;

    return NULL;
}


void
vault_fail(vault_request_t *vr, ngx_uint_t status, const char *fmt, ...)
{
    abort();
}


/* The end of a request with that status; 0: the client has left. */
static void
end_request(ngx_uint_t status)
{
    request.reply.status = status;

    while (deferred_n) {
        deferred_n--;
        deferred[deferred_n].handler(deferred[deferred_n].data);
    }

    request.reply.status = 0;
    ngx_reset_pool(request.pool);
}


static void
from_ipv4(const char *text)
{
    ipv4.sin_family = AF_INET;
    inet_pton(AF_INET, text, &ipv4.sin_addr);
    connection.sockaddr = (struct sockaddr *) &ipv4;
}


static void
from_ipv6(const char *text)
{
    ipv6.sin6_family = AF_INET6;
    inet_pton(AF_INET6, text, &ipv6.sin6_addr);
    connection.sockaddr = (struct sockaddr *) &ipv6;
}


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


static ngx_uint_t
blocked(const char *email)
{
    ngx_str_t  account = str(email);

    return vault_limits_blocked(&request, &account);
}


/* One failed login as a whole request; 1 if it was let through. */
static ngx_uint_t
guess(const char *email)
{
    ngx_str_t   account = str(email);
    ngx_uint_t  stopped;

    stopped = vault_limits_blocked(&request, &account);

    if (!stopped) {
        vault_limits_failed(&request, &account);
    }

    end_request(400);

    return !stopped;
}


static ngx_uint_t
guesses(const char *email, ngx_uint_t n)
{
    ngx_uint_t  passed;

    for (passed = 0; n; n--) {
        passed += guess(email);
    }

    return passed;
}


/* A new, empty zone; account and address maximum within WINDOW seconds. */
static void
begin(ngx_uint_t account, ngx_uint_t address)
{
    shm_zone.data = NULL;
    conf.limits = vault_limits_create(&cf, 16 * 4096, account, WINDOW,
                                      address, WINDOW);

    if (conf.limits == NULL || shm_zone.init(&shm_zone, NULL) != NGX_OK) {
        abort();
    }

    ngx_current_msec += 1000000;
    from_ipv4("192.0.2.1");
}


static void
test_off(void)
{
    ngx_str_t  account = str("alice@example.com");

    conf.limits = NULL;
    CHECK_INT(guesses("alice@example.com", 1000), 1000);
    vault_limits_passed(&request, &account);

    begin(0, 0);
    CHECK_INT(guesses("alice@example.com", 1000), 1000);
}


static void
test_account(void)
{
    ngx_uint_t  i;

    begin(10, 0);

    CHECK_INT(guesses("alice@example.com", 30), 10);
    CHECK_INT(guesses("ALICE@Example.COM", 30), 0);
    CHECK_INT(guesses("bob@example.com", 30), 10);

    from_ipv4("192.0.2.2");
    CHECK_INT(guesses("alice@example.com", 30), 0);

    /* one more after each tenth of the window, not a millisecond before */

    for (i = 0; i < 5; i++) {
        ngx_current_msec += WINDOW * 100 - 1;
        CHECK_INT(guesses("alice@example.com", 5), 0);
        ngx_current_msec += 1;
        CHECK_INT(guesses("alice@example.com", 5), 1);
    }

    ngx_current_msec += WINDOW * 1000;
    CHECK_INT(guesses("alice@example.com", 30), 10);

    ngx_current_msec += (ngx_msec_t) WINDOW * 1000 * 1000;
    CHECK_INT(guesses("alice@example.com", 30), 10);
}


static void
test_address(void)
{
    ngx_uint_t  i, passed;
    char        email[64];

    begin(10, 50);

    for (passed = 0, i = 0; i < 200; i++) {
        snprintf(email, sizeof(email), "user%d@example.com", (int) i);
        passed += guess(email);
    }

    CHECK_INT(passed, 50);
    CHECK_INT(guess("alice@example.com"), 0);

    from_ipv4("192.0.2.2");
    CHECK_INT(guess("alice@example.com"), 1);

    /* what an address was refused has not counted for the account */

    CHECK_INT(guesses("user199@example.com", 30), 10);
}


static void
test_ipv6(void)
{
    begin(0, 3);

    from_ipv6("2001:db8:0:1::1");
    CHECK_INT(guesses("a@example.com", 2), 2);
    from_ipv6("2001:db8:0:1:ffff:ffff:ffff:ffff");
    CHECK_INT(guesses("b@example.com", 2), 1);
    from_ipv6("2001:db8:0:2::1");
    CHECK_INT(guesses("c@example.com", 5), 3);

    from_ipv6("::ffff:192.0.2.7");
    CHECK_INT(guesses("d@example.com", 2), 2);
    from_ipv4("192.0.2.7");
    CHECK_INT(guesses("e@example.com", 2), 1);
    from_ipv6("::ffff:192.0.2.8");
    CHECK_INT(guesses("f@example.com", 5), 3);

    connection.sockaddr->sa_family = AF_UNIX;
    CHECK_INT(guesses("g@example.com", 20), 20);
}


static void
test_passed(void)
{
    ngx_str_t   alice = str("alice@example.com"), bob = str("bob@example.com"),
                upper = str("Alice@example.com");
    ngx_uint_t  i, n;

    begin(10, 10);

    for (n = 0, i = 0; i < 100; i++) {
        n += !blocked("alice@example.com");
        vault_limits_passed(&request, &upper);
        end_request(200);
    }

    CHECK_INT(n, 100);

    /* a success gives back its own attempt, not those of a guesser */

    CHECK_INT(guesses("alice@example.com", 9), 9);
    CHECK(!blocked("alice@example.com"));
    vault_limits_passed(&request, &alice);
    vault_limits_passed(&request, &alice);
    vault_limits_passed(&request, &bob);
    end_request(200);
    CHECK_INT(guesses("alice@example.com", 5), 1);

    /* passed without an attempt, or after it failed, gives nothing */

    vault_limits_passed(&request, &alice);
    end_request(200);
    CHECK_INT(guesses("alice@example.com", 5), 0);
}


static void
test_ends(void)
{
    ngx_uint_t  i;

    begin(3, 0);

    for (i = 0; i < 20; i++) {
        CHECK(!blocked("alice@example.com"));
        end_request(503);
    }

    for (i = 0; i < 3; i++) {
        CHECK(!blocked("alice@example.com"));
        end_request(0);                      /* the client has left */
    }

    CHECK(blocked("alice@example.com"));
    end_request(503);
    CHECK(blocked("alice@example.com"));
    end_request(503);
}


/* All begin before one ends: exactly as many as are allowed. */
static void
test_at_once(void)
{
    ngx_uint_t  i, n;

    begin(10, 0);

    for (n = 0, i = 0; i < 100; i++) {
        n += !blocked("alice@example.com");
    }

    CHECK_INT(n, 10);
    end_request(400);
    CHECK_INT(guess("alice@example.com"), 0);
}


static void
test_processes(void)
{
    int            fd[2], status;
    ngx_uint_t     i, n, total;

    begin(500, 0);

    if (pipe(fd) == -1) {
        abort();
    }

    fflush(stdout);

    for (i = 0; i < 8; i++) {

        if (fork() == 0) {
            n = guesses("alice@example.com", 300);
            _exit(write(fd[1], &n, sizeof(n)) != sizeof(n));
        }
    }

    for (total = 0, i = 0; i < 8; i++) {
        CHECK(wait(&status) > 0 && status == 0);
        CHECK(read(fd[0], &n, sizeof(n)) == sizeof(n));
        total += n;
    }

    CHECK_INT(total, 500);
}


static void
test_full(void)
{
    char        email[64];
    ngx_uint_t  i, n;

    begin(2, 0);

    for (n = 0, i = 0; i < 5000; i++) {
        snprintf(email, sizeof(email), "user%d@example.com", (int) i);
        n += guesses(email, 3);

        if (i % 100 == 0) {
            (void) guess("alice@example.com");
        }
    }

    CHECK_INT(n, 10000);

    /* what is asked for again and again is not what makes room */

    CHECK_INT(guess("alice@example.com"), 0);
    CHECK_INT(guess("user4999@example.com"), 0);
    CHECK_INT(guess("user0@example.com"), 1);
}


static void
test_reload(void)
{
    void  *old;

    begin(10, 0);
    CHECK_INT(guesses("alice@example.com", 6), 6);

    old = shm_zone.data;
    shm_zone.data = NULL;
    conf.limits = vault_limits_create(&cf, 16 * 4096, 10, WINDOW, 0, WINDOW);
    CHECK_INT(shm_zone.init(&shm_zone, old), NGX_OK);
    CHECK_INT(guesses("alice@example.com", 30), 4);

    /* a lower maximum: full, and back to normal after its window */

    old = shm_zone.data;
    shm_zone.data = NULL;
    conf.limits = vault_limits_create(&cf, 16 * 4096, 2, 60, 0, 60);
    CHECK_INT(shm_zone.init(&shm_zone, old), NGX_OK);
    CHECK_INT(guesses("alice@example.com", 30), 0);
    ngx_current_msec += 30000;
    CHECK_INT(guesses("alice@example.com", 30), 1);
}


static void
test_names(void)
{
    ngx_str_t  key = str("alice@example.com");

    static const vault_limit_t  codes = { "code", 3, 60, 0, 0 };

    begin(2, 0);
    CHECK_INT(guesses("alice@example.com", 5), 2);

    CHECK(!vault_limit_blocked(&request, &codes, &key));
    CHECK(!vault_limit_blocked(&request, &codes, &key));
    CHECK(!vault_limit_blocked(&request, &codes, &key));
    CHECK(vault_limit_blocked(&request, &codes, &key));
    vault_limit_passed(&request, &codes, &key);
    CHECK(!vault_limit_blocked(&request, &codes, &key));
    vault_limit_failed(&request, &codes, &key);
    CHECK(vault_limit_blocked(&request, &codes, &key));
    end_request(400);

    CHECK_INT(guess("alice@example.com"), 0);
}


static void
test_extremes(void)
{
    static const vault_limit_t  huge = { "huge", NGX_MAX_INT_T_VALUE,
                                         NGX_MAX_INT_T_VALUE, 0, 0 };
    static const vault_limit_t  one = { "one", 1, 1, 0, 0 };
    static const vault_limit_t  odd = { "odd", 7, 1, 0, 0 };

    ngx_str_t   key = str("key"), none = ngx_null_string;
    ngx_uint_t  i, n;

    begin(1, 1);

    CHECK(!vault_limit_blocked(&request, &huge, &key));
    CHECK(!vault_limit_blocked(&request, &one, &none));
    CHECK(vault_limit_blocked(&request, &one, &none));
    ngx_current_msec += 1000;
    CHECK(!vault_limit_blocked(&request, &one, &none));

    for (n = 0, i = 0; i < 20; i++) {
        n += !vault_limit_blocked(&request, &odd, &key);
    }

    CHECK_INT(n, 7);

    /* in ten seconds 70 come back, however often it is asked */

    for (n = 0, i = 0; i < 10000; i++) {
        ngx_current_msec += 1;
        n += !vault_limit_blocked(&request, &odd, &key);
    }

    CHECK_INT(n, 70);
    end_request(400);
}


static void
test_too_small(void)
{
    shm_zone.data = NULL;
    slab->pfree = 1;
    CHECK(vault_limits_create(&cf, 4096, 1, 1, 1, 1) != NULL);
    CHECK_INT(shm_zone.init(&shm_zone, NULL), NGX_ERROR);
    slab->pfree = 4;
}


static void
setup(void)
{
    pthread_mutexattr_t  attr;

    pool = ngx_create_pool(4096, shim_log());
    cycle.log = shim_log();
    cf.pool = pool;
    cf.cycle = &cycle;
    cf.log = shim_log();

    slab = calloc(1, sizeof(ngx_slab_pool_t));
    slab->pfree = 4;
    shm_zone.shm.addr = (u_char *) slab;

    mutex = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                 -1, 0);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(mutex, &attr);

    http.connection = &connection;
    request.http = &http;
    request.log = shim_log();
    request.conf = &conf;
    request.pool = ngx_create_pool(4096, shim_log());
}


int
main(void)
{
    setup();

    test_off();
    test_account();
    test_address();
    test_ipv6();
    test_passed();
    test_ends();
    test_at_once();
    test_processes();
    test_full();
    test_reload();
    test_names();
    test_extremes();
    test_too_small();

    ngx_destroy_pool(request.pool);
    ngx_destroy_pool(pool);
    free(slab);

    return check_done();
}
