/*
 * Keys: from a text and from a file, made at the first start, and each thing
 * that is wrong with one said so that its owner can put it right.
 */

#include "check.h"
#include "rfc7515.h"

#include "../../src/crypto/keyring.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/wait.h>


static ngx_pool_t  *pool;
static char         folder[] = "/tmp/vault-keyring.XXXXXX";


static ngx_str_t
pem_of(EVP_PKEY *key, const char *passphrase)
{
    BIO        *bio;
    char       *data;
    ngx_str_t   pem;

    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL,
                             (const u_char *) passphrase,
                             passphrase ? (int) strlen(passphrase) : 0, NULL,
                             NULL);
    pem.len = (size_t) BIO_get_mem_data(bio, &data);
    pem.data = ngx_pnalloc(pool, pem.len);
    memcpy(pem.data, data, pem.len);

    BIO_free(bio);
    EVP_PKEY_free(key);

    return pem;
}


static void
test_pem(void)
{
    BIO          *bio;
    char         *data;
    ngx_str_t     pem = ngx_string(RFC7515_KEY), none = ngx_null_string, bad;
    const char   *err;
    EVP_PKEY     *key;

    CHECK(vault_keyring_from_pem(pool, &pem, &err) != NULL);

    bad = pem_of(EVP_RSA_gen(2048), NULL);               /* PKCS#8 */
    CHECK(vault_keyring_from_pem(pool, &bad, &err) != NULL);

    bad = pem_of(EVP_RSA_gen(1024), NULL);
    CHECK(vault_keyring_from_pem(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "2048 bits") != NULL);

    bad = pem_of(EVP_EC_gen("P-256"), NULL);
    CHECK(vault_keyring_from_pem(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "not an RSA key") != NULL);

    bad = pem_of(EVP_RSA_gen(2048), "swordfish");
    CHECK(vault_keyring_from_pem(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "without a passphrase") != NULL);

    key = vault_keyring_from_pem(pool, &pem, &err)->key;
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key);
    bad.len = (size_t) BIO_get_mem_data(bio, &data);
    bad.data = (u_char *) data;
    CHECK(vault_keyring_from_pem(pool, &bad, &err) == NULL);
    BIO_free(bio);

    CHECK(vault_keyring_from_pem(pool, &none, &err) == NULL);

    bad = pem;
    bad.len = pem.len / 2;
    CHECK(vault_keyring_from_pem(pool, &bad, &err) == NULL);

    bad.len = 65 * 1024;
    bad.data = ngx_pcalloc(pool, bad.len);
    CHECK(vault_keyring_from_pem(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "too long") != NULL);

    shim_fail_alloc(1);
    CHECK(vault_keyring_from_pem(pool, &pem, &err) == NULL);
    shim_fail_alloc(0);
}


static ngx_str_t
path_of(const char *name)
{
    ngx_str_t  path;

    path.data = ngx_pnalloc(pool, 256);
    path.len = (size_t) (ngx_sprintf(path.data, "%s/%s", folder, name)
                         - path.data);
    path.data[path.len] = '\0';

    return path;
}


static ngx_uint_t
same_mac(vault_keyring_t *a, vault_keyring_t *b)
{
    u_char     one[32], two[32];
    ngx_str_t  text = ngx_string("alice@example.com");

    return a && b
           && vault_keyring_mac(a, &text, one) == NGX_OK
           && vault_keyring_mac(b, &text, two) == NGX_OK
           && memcmp(one, two, 32) == 0;
}


static void
test_file(void)
{
    ngx_str_t         path = path_of("key.pem"), other = path_of("other.pem");
    const char       *err;
    struct stat       sb;
    vault_keyring_t  *first, *second, *third;

    umask(0);

    first = vault_keyring_from_file(pool, &path, &err);
    CHECK(first != NULL);
    CHECK(stat((char *) path.data, &sb) == 0
          && (sb.st_mode & 07777) == 0600 && sb.st_nlink == 1);

    second = vault_keyring_from_file(pool, &path, &err);
    CHECK(same_mac(first, second));
    CHECK_INT(EVP_PKEY_eq(first->key, second->key), 1);

    third = vault_keyring_from_file(pool, &other, &err);
    CHECK(third != NULL);
    CHECK(!same_mac(first, third));
    CHECK_INT(EVP_PKEY_get_bits(third->key), 2048);
}


static void
test_file_refused(void)
{
    FILE         *f;
    ngx_uint_t    i;
    ngx_str_t     path = path_of("key.pem"), bad;
    const char   *err;

    static const mode_t  modes[] = { 0640, 0604, 0660, 0601, 0620, 0666 };

    for (i = 0; i < sizeof(modes) / sizeof(mode_t); i++) {
        chmod((char *) path.data, modes[i]);
        err = NULL;
        CHECK(vault_keyring_from_file(pool, &path, &err) == NULL);
        CHECK(err && strstr(err, "chmod 600 ")
              && strstr(err, (char *) path.data));
    }

    chmod((char *) path.data, 0600);
    CHECK(vault_keyring_from_file(pool, &path, &err) != NULL);

    bad = path_of("none/key.pem");
    CHECK(vault_keyring_from_file(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "none/key.pem") && strstr(err, strerror(ENOENT)));

    bad = path_of("folder");
    mkdir((char *) bad.data, 0700);
    CHECK(vault_keyring_from_file(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "is not a file") != NULL);

    bad = path_of("fifo");
    CHECK(mkfifo((char *) bad.data, 0600) == 0);
    CHECK(vault_keyring_from_file(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "is not a file") != NULL);

    bad = path_of("junk");
    f = fopen((char *) bad.data, "w");
    fputs("no key", f);
    fclose(f);
    chmod((char *) bad.data, 0600);
    CHECK(vault_keyring_from_file(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "is not a PEM private key") != NULL);

    CHECK(truncate((char *) bad.data, 65 * 1024) == 0);
    CHECK(vault_keyring_from_file(pool, &bad, &err) == NULL);
    CHECK(strstr(err, "too long") != NULL);

    CHECK(truncate((char *) bad.data, 0) == 0);
    CHECK(vault_keyring_from_file(pool, &bad, &err) == NULL);
}


/* Several processes start at once: all end with the same key. */
static void
test_race(void)
{
    int               fd[2], status;
    u_char            mac[4][32];
    ngx_str_t         path = path_of("race.pem"), text = ngx_string("x");
    ngx_uint_t        i, same;
    const char       *err;
    vault_keyring_t  *keyring;

    if (pipe(fd) == -1) {
        abort();
    }

    fflush(stdout);

    for (i = 0; i < 4; i++) {

        if (fork() == 0) {
            keyring = vault_keyring_from_file(pool, &path, &err);
            status = keyring == NULL
                     || vault_keyring_mac(keyring, &text, mac[0]) != NGX_OK
                     || write(fd[1], mac[0], 32) != 32;
            _exit(status);
        }
    }

    for (same = 0, i = 0; i < 4; i++) {
        CHECK(wait(&status) > 0 && status == 0);
        CHECK_INT(read(fd[0], mac[i], 32), 32);
        same += memcmp(mac[0], mac[i], 32) == 0;
    }

    CHECK_INT(same, 4);
}


static void
test_left_behind(void)
{
    DIR            *dir;
    ngx_uint_t      n;
    struct dirent  *de;

    n = 0;
    dir = opendir(folder);

    while ((de = readdir(dir)) != NULL) {
        n += strstr(de->d_name, ".pem.") != NULL;
    }

    closedir(dir);

    CHECK_INT(n, 0);
}


static void
test_mac(void)
{
    u_char            one[32], two[32];
    ngx_str_t         pem = ngx_string(RFC7515_KEY), pkcs8,
                      a = ngx_string("alice@example.com"),
                      b = ngx_string("bob@example.com");
    const char       *err;
    vault_keyring_t  *keyring, *same;

    keyring = vault_keyring_from_pem(pool, &pem, &err);

    EVP_PKEY_up_ref(keyring->key);
    pkcs8 = pem_of(keyring->key, NULL);
    same = vault_keyring_from_pem(pool, &pkcs8, &err);

    /* the form of the file does not matter, nor does the next start */

    CHECK(same_mac(keyring, same));
    CHECK_INT(vault_keyring_mac(keyring, &a, one), NGX_OK);
    CHECK_INT(vault_keyring_mac(keyring, &b, two), NGX_OK);
    CHECK(memcmp(one, two, 32) != 0);
}


static void
clean(void)
{
    DIR            *dir;
    char            path[600];
    struct dirent  *de;

    dir = opendir(folder);

    while ((de = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", folder, de->d_name);
        (void) remove(path);
    }

    closedir(dir);
    (void) rmdir(folder);
}


int
main(void)
{
    pool = ngx_create_pool(4096, shim_log());

    if (mkdtemp(folder) == NULL) {
        abort();
    }

    test_pem();
    test_file();
    test_file_refused();
    test_race();
    test_left_behind();
    test_mac();

    CHECK_INT(ERR_peek_error(), 0);          /* nginx would log it */

    clean();
    ngx_destroy_pool(pool);

    return check_done();
}
