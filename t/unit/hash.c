/*
 * SHA-256, HMAC and PBKDF2 against published values: FIPS 180-4, RFC 4231,
 * RFC 7914 §11 and the inputs of RFC 6070 with SHA-256; comparing and wiping.
 */

#include "check.h"

#include "../../src/crypto/crypto.h"

#include <pthread.h>


static ngx_str_t
text(const char *s)
{
    ngx_str_t  t;

    t.data = (u_char *) s;
    t.len = strlen(s);

    return t;
}


static void
test_sha256(void)
{
    u_char      out[32], *million;
    ngx_str_t   in, none = ngx_null_string;

    in = text("abc");
    CHECK_INT(vault_sha256(&in, out), NGX_OK);
    CHECK_HEX(out, 32, "ba7816bf8f01cfea414140de5dae2223"
                       "b00361a396177a9cb410ff61f20015ad");

    in = text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    CHECK_INT(vault_sha256(&in, out), NGX_OK);
    CHECK_HEX(out, 32, "248d6a61d20638b8e5c026930c3e6039"
                       "a33ce45964ff2167f6ecedd419db06c1");

    CHECK_INT(vault_sha256(&none, out), NGX_OK);
    CHECK_HEX(out, 32, "e3b0c44298fc1c149afbf4c8996fb924"
                       "27ae41e4649b934ca495991b7852b855");

    million = malloc(1000000);
    memset(million, 'a', 1000000);
    in.data = million;
    in.len = 1000000;
    CHECK_INT(vault_sha256(&in, out), NGX_OK);
    CHECK_HEX(out, 32, "cdc76e5c9914fb9281a1c7e284d73e67"
                       "f1809a48a497200e046d39ccc7112cd0");
    free(million);
}


typedef struct {
    const char  *key;
    size_t       repeat;              /* of key's one byte; 0: key as it is */
    const char  *data;
    size_t       data_repeat;
    const char  *mac;
} hmac_case_t;

static const hmac_case_t  hmac_cases[] = {
    { "\x0b", 20, "Hi There", 0,
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { "Jefe", 0, "what do ya want for nothing?", 0,
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    { "\xaa", 20, "\xdd", 50,
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
    { "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
      "\x11\x12\x13\x14\x15\x16\x17\x18\x19", 0, "\xcd", 50,
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
    { "\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0,
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    { "\xaa", 131, "This is a test using a larger than block-size key and a "
      "larger than block-size data. The key needs to be hashed before being "
      "used by the HMAC algorithm.", 0,
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};


static ngx_str_t
repeated(ngx_pool_t *pool, const char *s, size_t repeat)
{
    ngx_str_t  t;

    if (repeat == 0) {
        return check_text(pool, s);
    }

    t.len = repeat;
    t.data = ngx_pnalloc(pool, repeat);
    memset(t.data, s[0], repeat);

    return t;
}


static void
test_hmac(ngx_pool_t *pool)
{
    u_char      out[32];
    ngx_str_t   key, data, none = ngx_null_string;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(hmac_cases) / sizeof(hmac_cases[0]); i++) {
        key = repeated(pool, hmac_cases[i].key, hmac_cases[i].repeat);
        data = repeated(pool, hmac_cases[i].data, hmac_cases[i].data_repeat);

        CHECK_INT(vault_hmac_sha256(&key, &data, out), NGX_OK);
        CHECK_HEX(out, 32, hmac_cases[i].mac);
    }

    CHECK_INT(vault_hmac_sha256(&none, &none, out), NGX_OK);
    CHECK_HEX(out, 32, "b613679a0814d9ec772f95d778c35fc5"
                       "ff1697c493715653c6c712144292c5ad");
}


typedef struct {
    const char  *password;
    size_t       password_len;
    const char  *salt;
    size_t       salt_len;
    ngx_uint_t   rounds;
    size_t       len;
    const char  *key;
} pbkdf2_case_t;

#define BYTES(s)  s, sizeof(s) - 1

static const pbkdf2_case_t  pbkdf2_cases[] = {
    { BYTES("passwd"), BYTES("salt"), 1, 64,
      "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
      "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783" },
    { BYTES("Password"), BYTES("NaCl"), 80000, 64,
      "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
      "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d" },
    { BYTES("password"), BYTES("salt"), 1, 32,
      "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b" },
    { BYTES("password"), BYTES("salt"), 2, 32,
      "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43" },
    { BYTES("password"), BYTES("salt"), 4096, 32,
      "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a" },
    { BYTES("passwordPASSWORDpassword"),
      BYTES("saltSALTsaltSALTsaltSALTsaltSALTsalt"), 4096, 40,
      "348c89dbcbd32b2f32d814b8116e84cf2b17347ebc1800181c4e2a1fb8dd53e1"
      "c635518c7dac47e9" },
    { BYTES("pass\0word"), BYTES("sa\0lt"), 4096, 16,
      "89b69d0516f829893c696226650a8687" },
};


static void
test_pbkdf2(void)
{
    u_char                out[64];
    ngx_str_t             password, salt, none = ngx_null_string;
    ngx_uint_t            i;
    const pbkdf2_case_t  *c;

    for (i = 0; i < sizeof(pbkdf2_cases) / sizeof(pbkdf2_cases[0]); i++) {
        c = &pbkdf2_cases[i];

        password.data = (u_char *) c->password;
        password.len = c->password_len;
        salt.data = (u_char *) c->salt;
        salt.len = c->salt_len;

        CHECK_INT(vault_pbkdf2(&password, &salt, c->rounds, out, c->len),
                  NGX_OK);
        CHECK_HEX(out, c->len, c->key);
    }

    memset(out, 7, sizeof(out));
    CHECK_INT(vault_pbkdf2(&password, &salt, 0, out, 32), NGX_DECLINED);
    CHECK_INT(vault_pbkdf2(&password, &salt, 1, out, 0), NGX_DECLINED);
    CHECK_INT(vault_pbkdf2(&password, &salt, (ngx_uint_t) INT_MAX + 1, out,
                           32), NGX_DECLINED);
    CHECK(out[0] == 7 && out[63] == 7);

    CHECK_INT(vault_pbkdf2(&none, &none, 1, out, 32), NGX_OK);
    CHECK_HEX(out, 32, "f7ce0b653d2d72a4108cf5abe912ffdd"
                       "777616dbbb27a70e8204f3ae2d0f6fad");
}


typedef struct {
    u_char     out[32];
    ngx_int_t  rc;
} thread_t;


static void *
run_thread(void *data)
{
    thread_t   *t = data;
    ngx_str_t   password = ngx_string("password"), salt = ngx_string("salt");

    t->rc = vault_pbkdf2(&password, &salt, 4096, t->out, 32);

    return NULL;
}


static void
test_threads(void)
{
    thread_t    t[8];
    pthread_t   id[8];
    ngx_uint_t  i;

    for (i = 0; i < 8; i++) {
        if (pthread_create(&id[i], NULL, run_thread, &t[i]) != 0) {
            abort();
        }
    }

    for (i = 0; i < 8; i++) {
        pthread_join(id[i], NULL);
        CHECK_INT(t[i].rc, NGX_OK);
        CHECK_HEX(t[i].out, 32, "c5e478d59288c841aa530db6845c4c8d"
                                "962893a001ce4e11a4963873aa98134a");
    }
}


static void
test_secret(void)
{
    u_char     bytes[4] = { 1, 2, 3, 4 };
    ngx_str_t  a = ngx_string("secret"), b = ngx_string("secret"),
               c = ngx_string("secreT"), d = ngx_string("secre"),
               none = ngx_null_string, empty = ngx_string("");

    CHECK(vault_equal(&a, &b));
    CHECK(!vault_equal(&a, &c));
    CHECK(!vault_equal(&a, &d));
    CHECK(!vault_equal(&d, &a));
    CHECK(!vault_equal(&none, &a));
    CHECK(vault_equal(&none, &empty));

    vault_wipe(bytes + 1, 2);
    CHECK_HEX(bytes, 4, "01000004");
    vault_wipe(NULL, 0);
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_sha256();
    test_hmac(pool);
    test_pbkdf2();
    test_threads();
    test_secret();

    ngx_destroy_pool(pool);

    return check_done();
}
