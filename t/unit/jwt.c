/*
 * Tokens: the RS256 example of RFC 7515 A.2 and every way to get one wrong.
 */

#include "check.h"
#include "rfc7515.h"

#include "../../src/crypto/keyring.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>


#define NOW  1700000000

static ngx_pool_t       *pool;
static vault_keyring_t  *keyring;


/* A token with any header, signed with our key all the same. */
static ngx_str_t
forge(const char *header, const char *claims)
{
    ngx_str_t  in, h, c, text, input, signature, token;

    in.data = (u_char *) header;
    in.len = strlen(header);
    text.data = (u_char *) claims;
    text.len = strlen(claims);

    if (vault_base64url(pool, &in, &h) != NGX_OK
        || vault_base64url(pool, &text, &c) != NGX_OK)
    {
        abort();
    }

    input.data = ngx_pnalloc(pool, h.len + 1 + c.len);
    input.len = (size_t) (ngx_sprintf(input.data, "%V.%V", &h, &c)
                          - input.data);

    signature.len = keyring->signature_len;
    signature.data = ngx_pnalloc(pool, signature.len);

    if (vault_keyring_sign(keyring, &input, signature.data) != NGX_OK
        || vault_base64url(pool, &signature, &text) != NGX_OK)
    {
        abort();
    }

    token.data = ngx_pnalloc(pool, input.len + 1 + text.len);
    token.len = (size_t) (ngx_sprintf(token.data, "%V.%V", &input, &text)
                          - token.data);

    return token;
}


/* Copied, so that its memory ends where it ends. */
static ngx_int_t
check_token(const ngx_str_t *token, const char *issuer, time_t now)
{
    ngx_int_t  rc;
    ngx_str_t  copy, claims;

    copy.len = token->len;
    copy.data = ngx_pnalloc(pool, copy.len);
    ngx_memcpy(copy.data, token->len ? (void *) token->data : "", copy.len);

    claims.len = 42;
    claims.data = NULL;

    rc = vault_jwt_check(pool, keyring, &copy, issuer, now, &claims);

    if (rc != NGX_OK && (claims.len != 42 || claims.data != NULL)) {
        return NGX_ABORT;                    /* touched its output */
    }

    return rc;
}


static ngx_int_t
check_forged(const char *header, const char *claims, time_t now)
{
    ngx_str_t  token;

    token = forge(header, claims);

    return check_token(&token, "vault|login", now);
}


static void
test_rfc7515(void)
{
    u_char     *sig;
    ngx_str_t   input = ngx_string(RFC7515_INPUT), text, out,
                token = ngx_string(RFC7515_INPUT "." RFC7515_SIGNATURE);

    CHECK_INT(vault_jwt_check(pool, keyring, &token, "joe", RFC7515_EXP - 1,
                              &out), NGX_OK);
    CHECK_STR(&out, RFC7515_CLAIMS);

    CHECK_INT(check_token(&token, "joe", RFC7515_EXP), NGX_DECLINED);
    CHECK_INT(check_token(&token, "jo", RFC7515_EXP - 1), NGX_DECLINED);
    CHECK_INT(check_token(&token, "joey", RFC7515_EXP - 1), NGX_DECLINED);
    CHECK_INT(check_token(&token, "", RFC7515_EXP - 1), NGX_DECLINED);

    /* RS256 has one signature only, so ours must be the published one */

    sig = ngx_pnalloc(pool, keyring->signature_len);
    CHECK_INT(vault_keyring_sign(keyring, &input, sig), NGX_OK);
    out.data = sig;
    out.len = keyring->signature_len;
    CHECK_INT(vault_base64url(pool, &out, &text), NGX_OK);
    CHECK_STR(&text, RFC7515_SIGNATURE);
}


static void
test_round_trip(void)
{
    ngx_str_t  token, out, claims = ngx_string(
        "{\"iss\":\"vault|login\",\"exp\":1700000001,\"nbf\":1700000060,"
        "\"sub\":\"alice\"}");

    CHECK_INT(vault_jwt_sign(pool, keyring, &claims, &token), NGX_OK);
    CHECK_INT(token.len, 36 + 1 + (claims.len * 4 + 2) / 3 + 1 + 342);
    CHECK(memcmp(token.data, "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.", 37)
          == 0);
    CHECK_INT(vault_jwt_check(pool, keyring, &token, "vault|login", NOW,
                              &out), NGX_OK);
    CHECK_STR(&out, (char *) claims.data);
}


#define GOOD  "{\"iss\":\"vault|login\",\"exp\":1700000001}"
#define RS    "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"

static const char *const  bad_headers[] = {
    "{\"alg\":\"none\"}",
    "{\"alg\":\"none\",\"typ\":\"JWT\"}",
    "{\"alg\":\"None\",\"typ\":\"JWT\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
    "{\"alg\":\"RS384\",\"typ\":\"JWT\"}",
    "{\"alg\":\"PS256\",\"typ\":\"JWT\"}",
    "{\"alg\":\"rs256\",\"typ\":\"JWT\"}",
    "{\"alg\":[\"RS256\"],\"typ\":\"JWT\"}",
    "{\"alg\":\"RS256\",\"alg\":\"none\"}",
    "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"crit\":[\"b64\"],\"b64\":false}",
    "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"jwk\":{\"kty\":\"RSA\"}}",
    "{\"alg\":\"RS256\",\"typ\":\"JWE\"}",
    "{\"typ\":\"JWT\"}",
    "{}",
    "",
    "null",
};

static const char *const  bad_claims[] = {
    "{\"iss\":\"vault|login\"}",
    "{\"exp\":1700000001}",
    "{\"iss\":null,\"exp\":1700000001}",
    "{\"iss\":\"vault|login\",\"exp\":null}",
    "{\"iss\":\"vault|login\",\"exp\":\"never\"}",
    "{\"iss\":\"vault|login\",\"exp\":-1}",
    "{\"iss\":\"vault|login\",\"exp\":0}",
    "{\"iss\":\"vault|login\",\"exp\":1e99}",
    "{\"iss\":\"vault|login\",\"exp\":99999999999999999999}",
    "{\"iss\":[\"vault|login\"],\"exp\":1700000001}",
    "{\"iss\":\"vault|login\\u0000\",\"exp\":1700000001}",
    "{\"iss\":\"vault|other\",\"exp\":1700000001}",
    "{\"iss\":\"vault|login\",\"exp\":1700000001,\"nbf\":1700000061}",
    "{\"iss\":\"vault|login\",\"exp\":1700000001,\"nbf\":\"now\"}",
    "{\"iss\":\"vault|login\",\"exp\":1700000000}",
    "{\"iss\":\"vault|login\",\"exp\":1700000001",
    "{\"iss\":\"vault|login\",\"exp\":1700000001} x",
    "[{\"iss\":\"vault|login\",\"exp\":1700000001}]",
    "\"vault|login\"",
    "null",
    "",
};


static void
test_refused(void)
{
    ngx_uint_t  i;

    CHECK_INT(check_forged(RS, GOOD, NOW), NGX_OK);
    CHECK_INT(check_forged("{\"alg\":\"RS256\"}", GOOD, NOW), NGX_OK);
    CHECK_INT(check_forged("{\"typ\":\"JWT\",\"alg\":\"RS256\"}", GOOD, NOW),
              NGX_OK);

    for (i = 0; i < sizeof(bad_headers) / sizeof(char *); i++) {
        CHECK_CASE(check_forged(bad_headers[i], GOOD, NOW) == NGX_DECLINED,
                   bad_headers[i]);
    }

    for (i = 0; i < sizeof(bad_claims) / sizeof(char *); i++) {
        CHECK_CASE(check_forged(RS, bad_claims[i], NOW) == NGX_DECLINED,
                   bad_claims[i]);
    }
}


static void
test_leeway(void)
{
    const char  *nbf = "{\"iss\":\"vault|login\",\"exp\":1700000100,"
                       "\"nbf\":1700000000}";

    CHECK_INT(check_forged(RS, nbf, NOW - 61), NGX_DECLINED);
    CHECK_INT(check_forged(RS, nbf, NOW - 60), NGX_OK);
    CHECK_INT(check_forged(RS, nbf, NOW + 99), NGX_OK);
    CHECK_INT(check_forged(RS, nbf, NOW + 100), NGX_DECLINED);
}


/* HMAC under the public key: the classic mix-up of two algorithms. */
static void
test_hs256(void)
{
    BIO        *bio;
    char       *pem;
    u_char      mac[32];
    ngx_str_t   key, text, token, header_claims,
                in = ngx_string("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), h, c,
                claims = ngx_string(GOOD);

    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, keyring->key);
    key.len = (size_t) BIO_get_mem_data(bio, &pem);
    key.data = (u_char *) pem;

    vault_base64url(pool, &in, &h);
    vault_base64url(pool, &claims, &c);

    header_claims.data = ngx_pnalloc(pool, h.len + 1 + c.len);
    header_claims.len = h.len + 1 + c.len;
    ngx_sprintf(header_claims.data, "%V.%V", &h, &c);

    CHECK_INT(vault_hmac_sha256(&key, &header_claims, mac), NGX_OK);
    in.data = mac;
    in.len = 32;
    vault_base64url(pool, &in, &text);

    token.len = header_claims.len + 1 + text.len;
    token.data = ngx_pnalloc(pool, token.len);
    ngx_sprintf(token.data, "%V.%V", &header_claims, &text);

    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_DECLINED);

    BIO_free(bio);
}


/* Every proper prefix, and every single changed bit of the text, is wrong. */
static void
test_mutations(void)
{
    u_char      kept;
    ngx_str_t   token, part;
    ngx_uint_t  i, bit, passed;

    token = forge(RS, GOOD);
    passed = 0;

    for (i = 0; i < token.len; i++) {
        part.data = token.data;
        part.len = i;
        passed += check_token(&part, "vault|login", NOW) != NGX_DECLINED;
    }

    CHECK_INT(passed, 0);

    for (i = 0; i < token.len; i++) {
        kept = token.data[i];
        bit = i % 7;

        token.data[i] = (u_char) (kept ^ (1 << bit));
        passed += check_token(&token, "vault|login", NOW) != NGX_DECLINED;
        token.data[i] = kept;
    }

    CHECK_INT(passed, 0);
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_OK);
}


static ngx_int_t
check_appended(ngx_str_t *token, const char *tail)
{
    ngx_str_t  longer;

    longer.len = token->len + strlen(tail);
    longer.data = ngx_pnalloc(pool, longer.len);
    ngx_sprintf(longer.data, "%V%s", token, tail);

    return check_token(&longer, "vault|login", NOW);
}


static void
test_form(void)
{
    u_char       last;
    ngx_str_t    token, none = ngx_null_string;
    const char  *next;

    static const char  set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                               "stuvwxyz0123456789-_";

    token = forge(RS, GOOD);

    CHECK_INT(check_appended(&token, "="), NGX_DECLINED);
    CHECK_INT(check_appended(&token, "=="), NGX_DECLINED);
    CHECK_INT(check_appended(&token, "."), NGX_DECLINED);
    CHECK_INT(check_appended(&token, ".AAAA"), NGX_DECLINED);
    CHECK_INT(check_appended(&token, "A"), NGX_DECLINED);
    CHECK_INT(check_appended(&token, "AAAA"), NGX_DECLINED);
    CHECK_INT(check_appended(&token, "\n"), NGX_DECLINED);
    CHECK_INT(check_token(&none, "vault|login", NOW), NGX_DECLINED);

    /* 256 bytes leave four unused bits in the last character: a lenient
       decoder would take the next letter for the same signature */

    last = token.data[token.len - 1];
    next = strchr(set, last) + 1;
    token.data[token.len - 1] = (u_char) *next;
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_DECLINED);
    token.data[token.len - 1] = last;

    token.len -= 342;                        /* header.claims. */
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_DECLINED);
}


static void
test_sizes(void)
{
    ngx_str_t  claims, token, out;

    claims.len = 6144;
    claims.data = ngx_pnalloc(pool, claims.len);
    memset(claims.data, ' ', claims.len);
    memcpy(claims.data, GOOD, sizeof(GOOD) - 1);

    CHECK_INT(vault_jwt_sign(pool, keyring, &claims, &token), NGX_OK);
    CHECK_INT(vault_jwt_check(pool, keyring, &token, "vault|login", NOW,
                              &out), NGX_OK);
    CHECK_INT(out.len, 6144);

    claims.len = 6145;
    claims.data = ngx_pnalloc(pool, claims.len);
    memset(claims.data, ' ', claims.len);
    memcpy(claims.data, GOOD, sizeof(GOOD) - 1);

    CHECK_INT(vault_jwt_sign(pool, keyring, &claims, &token), NGX_ERROR);

    token.len = 200000;
    token.data = ngx_pnalloc(pool, token.len);
    memset(token.data, 'A', token.len);
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_DECLINED);
    memset(token.data, '.', token.len);
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_DECLINED);
}


/* Without memory it is an error, never a token that passes or is refused. */
static void
test_no_memory(void)
{
    char        text[128];
    ngx_int_t   rc;
    ngx_str_t   token, made, out, claims = ngx_string(GOOD);
    ngx_uint_t  n;

    /* another token each time: one that was seen before needs less */

    for (n = 1, rc = NGX_ERROR; n < 20 && rc == NGX_ERROR; n++) {
        snprintf(text, sizeof(text), "{\"iss\":\"vault|login\","
                 "\"exp\":1700000001,\"jti\":%d}", (int) n);
        token = forge(RS, text);

        shim_fail_alloc(n);
        rc = vault_jwt_check(pool, keyring, &token, "vault|login", NOW, &out);
        shim_fail_alloc(0);
    }

    CHECK_INT(rc, NGX_OK);
    CHECK(n > 3);

    for (n = 1; n <= 4; n++) {
        shim_fail_alloc(n);
        CHECK_INT(vault_jwt_sign(pool, keyring, &claims, &made), NGX_ERROR);
    }

    shim_fail_alloc(0);
}


/* A signature that is remembered vouches for its own text and nothing else. */
static void
test_again(void)
{
    u_char      kept;
    ngx_str_t   token;
    ngx_uint_t  i, passed;

    token = forge(RS, "{\"iss\":\"vault|login\",\"exp\":1700000005}");

    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_OK);
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_OK);
    CHECK_INT(check_token(&token, "vault|login", NOW + 4), NGX_OK);
    CHECK_INT(check_token(&token, "vault|login", NOW + 5), NGX_DECLINED);
    CHECK_INT(check_token(&token, "vault|other", NOW), NGX_DECLINED);

    for (passed = 0, i = 0; i < token.len; i++) {
        kept = token.data[i];
        token.data[i] = kept == 'A' ? 'B' : 'A';
        passed += check_token(&token, "vault|login", NOW) != NGX_DECLINED;
        token.data[i] = kept;
    }

    CHECK_INT(passed, 0);

    token.len--;
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_DECLINED);
    token.len++;
    CHECK_INT(check_token(&token, "vault|login", NOW), NGX_OK);
}


static void
test_other_key(void)
{
    BIO              *bio;
    char             *data;
    EVP_PKEY         *key;
    ngx_str_t         token, pem, out;
    const char       *err;
    vault_keyring_t  *other;

    token = forge(RS, GOOD);

    key = EVP_RSA_gen(2048);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    pem.len = (size_t) BIO_get_mem_data(bio, &data);
    pem.data = (u_char *) data;

    other = vault_keyring_from_pem(pool, &pem, &err);
    CHECK(other != NULL);
    CHECK_INT(vault_jwt_check(pool, other, &token, "vault|login", NOW, &out),
              NGX_DECLINED);

    EVP_PKEY_free(key);
    BIO_free(bio);
}


int
main(void)
{
    ngx_str_t    pem = ngx_string(RFC7515_KEY);
    const char  *err;

    pool = ngx_create_pool(4096, shim_log());
    keyring = vault_keyring_from_pem(pool, &pem, &err);

    if (!CHECK(keyring != NULL)) {
        return check_done();
    }

    test_rfc7515();
    test_round_trip();
    test_refused();
    test_leeway();
    test_hs256();
    test_mutations();
    test_form();
    test_sizes();
    test_no_memory();
    test_again();
    test_other_key();

    CHECK_INT(ERR_peek_error(), 0);          /* nginx would log it */

    ngx_destroy_pool(pool);

    return check_done();
}
