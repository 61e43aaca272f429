/*
 * check - the few macros of a unit test; its output is TAP, for prove.
 *
 * Use:    CHECK(condition) and its kin, then "return check_done();" in main().
 *         Every check is one line of TAP and none ends the program.
 */

#ifndef T_UNIT_CHECK_H
#define T_UNIT_CHECK_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "shim.h"


static ngx_uint_t  check_count, check_failures;

#define CHECK(cond)  check_that((cond) ? 1 : 0, #cond, __FILE__, __LINE__)

/* The same with a name, for checks in a loop over cases. */
#define CHECK_CASE(cond, name)                                               \
    check_that((cond) ? 1 : 0, (const char *) (name), __FILE__, __LINE__)

#define CHECK_INT(got, want)                                                 \
    check_int((int64_t) (got), (int64_t) (want), #got, __FILE__, __LINE__)

/* got: ngx_str_t *; want: a C string, or NULL for data NULL. */
#define CHECK_STR(got, want)                                                 \
    check_str((got), (want), #got, __FILE__, __LINE__)

/* got: bytes; hex: what they shall be, in lower-case hex. */
#define CHECK_HEX(got, len, hex)                                             \
    check_hex((const u_char *) (got), (len), (hex), #got, __FILE__, __LINE__)


static inline ngx_uint_t
check_that(ngx_uint_t ok, const char *name, const char *file, int line)
{
    check_count++;

    printf("%sok %d - %s\n", ok ? "" : "not ", (int) check_count, name);

    if (!ok) {
        check_failures++;
        printf("# %s:%d\n", file, line);
    }

    fflush(stdout);

    return ok;
}


static inline ngx_uint_t
check_int(int64_t got, int64_t want, const char *name, const char *file,
    int line)
{
    if (check_that(got == want, name, file, line)) {
        return 1;
    }

    printf("# got %lld, want %lld\n", (long long) got, (long long) want);

    return 0;
}


static inline ngx_uint_t
check_str(const ngx_str_t *got, const char *want, const char *name,
    const char *file, int line)
{
    ngx_uint_t  ok;

    if (want == NULL) {
        ok = got->data == NULL;

    } else {
        ok = got->data != NULL && got->len == strlen(want)
             && memcmp(got->data, want, got->len) == 0;
    }

    if (check_that(ok, name, file, line)) {
        return 1;
    }

    printf("# got  %.*s\n# want %s\n",
           got->data ? (int) got->len : 6,
           got->data ? (char *) got->data : "(null)", want ? want : "(null)");

    return 0;
}


static inline ngx_uint_t
check_hex(const u_char *got, size_t len, const char *hex, const char *name,
    const char *file, int line)
{
    char    byte[3];
    size_t  i;

    if (strlen(hex) == len * 2) {
        for (i = 0; i < len; i++) {
            snprintf(byte, sizeof(byte), "%02x", got[i]);

            if (memcmp(byte, hex + 2 * i, 2) != 0) {
                break;
            }
        }

        if (i == len) {
            return check_that(1, name, file, line);
        }
    }

    check_that(0, name, file, line);
    printf("# got  ");

    for (i = 0; i < len; i++) {
        printf("%02x", got[i]);
    }

    printf("\n# want %s\n", hex);

    return 0;
}


static inline int
check_done(void)
{
    printf("1..%d\n", (int) check_count);

    return check_failures ? 1 : 0;
}


/* A text that lies on the heap exactly as long as it is, so that ASan sees a
   read behind its end. */
static inline ngx_str_t
check_text(ngx_pool_t *pool, const char *text)
{
    ngx_str_t  s;

    s.len = strlen(text);
    s.data = ngx_pnalloc(pool, s.len);

    if (s.data == NULL) {
        abort();
    }

    memcpy(s.data, text, s.len);

    return s;
}


#endif
