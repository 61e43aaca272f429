/*
 * Random values: their form, that all of it varies, and that two processes
 * after a fork do not draw the same.
 */

#include "check.h"

#include "../../src/crypto/crypto.h"
#include "../../src/json/json.h"

#include <sys/wait.h>


static void
test_uuid(void)
{
    u_char      u[VAULT_UUID_LEN + 1], variants[256] = { 0 };
    ngx_str_t   s;
    ngx_uint_t  i, j, good;

    u[VAULT_UUID_LEN] = '!';
    s.data = u;
    s.len = VAULT_UUID_LEN;
    good = 0;

    for (i = 0; i < 2000; i++) {

        if (vault_uuid_create(u) != NGX_OK) {
            break;
        }

        for (j = 0; j < VAULT_UUID_LEN; j++) {

            if (j == 8 || j == 13 || j == 18 || j == 23) {
                if (u[j] != '-') {
                    break;
                }

            } else if (strchr("0123456789abcdef", u[j]) == NULL) {
                break;
            }
        }

        variants[u[19]] = 1;

        good += j == VAULT_UUID_LEN && u[14] == '4'
                && strchr("89ab", u[19]) != NULL
                && vault_uuid_check(&s) == NGX_OK;
    }

    CHECK_INT(good, 2000);
    CHECK(variants['8'] && variants['9'] && variants['a'] && variants['b']);
    CHECK(u[VAULT_UUID_LEN] == '!');
}


static void
test_text(void)
{
    u_char      buf[6200 + 1];
    ngx_uint_t  i, n, count[256] = { 0 }, letters, rarest, most;

    buf[6200] = '!';

    CHECK_INT(vault_random_text(buf, 6200), NGX_OK);
    CHECK(buf[6200] == '!');

    for (i = 0; i < 6200; i++) {
        count[buf[i]]++;
    }

    letters = 0;
    rarest = 6200;
    most = 0;

    for (n = 0, i = 0; i < 256; i++) {
        if (isalnum((int) i) && i < 128) {
            letters++;
            n += count[i];
            rarest = ngx_min(rarest, count[i]);
            most = ngx_max(most, count[i]);
        }
    }

    CHECK_INT(letters, 62);
    CHECK_INT(n, 6200);

    /* 100 expected of each, deviation 10: seven of them either way */

    CHECK(rarest > 30);
    CHECK(most < 170);

    CHECK_INT(vault_random_text(buf, 0), NGX_OK);
}


static void
test_bytes(void)
{
    u_char      a[32], b[32], ored[32] = { 0 }, anded[32];
    ngx_uint_t  i, j;

    memset(anded, 0xff, 32);

    for (i = 0; i < 100; i++) {
        if (vault_random(a, 32) != NGX_OK) {
            break;
        }

        for (j = 0; j < 32; j++) {
            ored[j] |= a[j];
            anded[j] &= a[j];
        }
    }

    CHECK_INT(i, 100);

    for (i = 0, j = 0; j < 32; j++) {
        i += ored[j] == 0xff && anded[j] == 0;
    }

    CHECK_INT(i, 32);

    CHECK_INT(vault_random(b, 32), NGX_OK);
    CHECK(memcmp(a, b, 32) != 0);
    CHECK_INT(vault_random(b, 0), NGX_OK);
    CHECK_INT(vault_random(b, (size_t) INT_MAX + 1), NGX_ERROR);
}


static void
test_fork(void)
{
    int      fd[2], status;
    u_char   ours[32], theirs[32];
    pid_t    pid;
    ssize_t  n;

    if (pipe(fd) == -1) {
        abort();
    }

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        status = vault_random(theirs, 32) != NGX_OK
                 || write(fd[1], theirs, 32) != 32;
        _exit(status);
    }

    CHECK_INT(vault_random(ours, 32), NGX_OK);

    n = read(fd[0], theirs, 32);
    CHECK_INT(n, 32);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(memcmp(ours, theirs, 32) != 0);
}


int
main(void)
{
    test_uuid();
    test_text();
    test_bytes();
    test_fork();

    return check_done();
}
