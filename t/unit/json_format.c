/*
 * json_format - EncString, UUID and e-mail.
 */

#include "check.h"
#include "../../src/json/json.h"


#define IV   "AAECAwQFBgcICQoLDA0ODw=="                       /* 16 bytes */
#define CT   "MDEyMzQ1Njc4OWFiY2RlZg=="                       /* 16 bytes */
#define CT2  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="   /* 32 bytes */
#define MAC  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="   /* 32 bytes */
#define RSA  "c29tZSBSU0EgY2lwaGVyIHRleHQgb2YgYW55IHNpemU="


static ngx_int_t
check(ngx_int_t (*f)(const ngx_str_t *), const char *s)
{
    ngx_int_t    rc;
    ngx_str_t    text;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());
    text = check_text(pool, s);
    rc = f(&text);
    ngx_destroy_pool(pool);

    return rc;
}


static void
check_all(ngx_int_t (*f)(const ngx_str_t *), const char **texts,
    ngx_int_t want)
{
    for ( /* void */ ; *texts; texts++) {
        CHECK_CASE(check(f, *texts) == want, *texts);
    }
}


static void
check_enc(void)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    text;
    ngx_pool_t  *pool;

    static const char  *good[] = {
        "0." IV "|" CT,
        "1." IV "|" CT "|" MAC,
        "2." IV "|" CT "|" MAC,
        "2." IV "|" CT2 "|" MAC,
        "3." RSA, "4." RSA,
        "5." RSA "|" MAC, "6." RSA "|" MAC,
        "7." RSA, "7.AAAA", "7.AA==",
        IV "|" CT, IV "|" CT "|" MAC,

        /* bits beneath the padding, as some clients leave them */
        "2.AAECAwQFBgcICQoLDA0ODx==|" CT "|" MAC,
        "4.lGD=", "4.lB==",
        NULL
    };

    static const char  *bad[] = {
        "", ".", "|", "||", "2", "2.", "2.|", "2.||", "Test", "Hello World",
        "SecretPassword123", "!|!", "null",

        /* parts: too few, too many, empty, at the end */
        "0." IV, "0." IV "|" CT "|" MAC, "0." IV "|", "0.|" CT,
        "1." IV "|" CT, "2." IV "|" CT, "2." IV "|" CT "|",
        "2." IV "|" CT "|" MAC "|" MAC, "2." IV "|" CT "|" MAC "|",
        "2." IV "||" MAC, "2.|" CT "|" MAC,
        "3." RSA "|" MAC, "4." RSA "|", "5." RSA, "6." RSA "|" MAC "|" MAC,
        "7.", "7." RSA "|" MAC, "7.=", "7.====",
        IV, IV "|" CT "|" MAC "|" MAC, IV "|" CT "|",

        /* types */
        "8." RSA, "9." RSA, "-1." RSA, "02." IV "|" CT "|" MAC, "a." RSA,
        "254." RSA, "AesCbc256_B64." IV "|" CT, " 2." IV "|" CT "|" MAC,
        "2 ." IV "|" CT "|" MAC, "2.." IV "|" CT "|" MAC,

        /* lengths: short IV, 17 bytes of it, half a block, short MAC */
        "2.AAECAw==|" CT "|" MAC, "2.AAECAwQFBgcICQoLDA0ODxA=|" CT "|" MAC,
        "0.AAECAw==|" CT, "AAECAw==|" CT,
        "2." IV "|Y3Q=|" MAC, "0." IV "|Y3Q=", "2." IV "|" CT "|AAECAw==",
        IV "|" CT "|AAECAw==", "2." IV "|" CT "|" MAC "AAAA",

        /* base64 */
        "4.AAA", "4.AAAAA", "4.AA=A", "4.A===", "4.AA==AAAA", "4.AA-_",
        "4.AAA\n", "4.AAAA\n", " 4.AAAA", "4.AAAA ", "4.AA\xc3\xa4",
        "2." IV " |" CT "|" MAC,
        NULL
    };

    check_all(vault_enc_check, good, NGX_OK);
    check_all(vault_enc_check, bad, NGX_DECLINED);

    /* 12 MB of cipher text */

    pool = ngx_create_pool(4096, shim_log());

    len = 16 * 1024 * 1024;
    text.len = 2 + len;
    text.data = ngx_pnalloc(pool, text.len);
    p = ngx_cpymem(text.data, "7.", 2);
    ngx_memset(p, 'A', len);

    CHECK(vault_enc_check(&text) == NGX_OK);

    p[len - 5] = '\0';
    CHECK(vault_enc_check(&text) == NGX_DECLINED);

    ngx_destroy_pool(pool);
}


static void
check_uuid(void)
{
    static const char  *good[] = {
        "00000000-0000-0000-0000-000000000000",
        "0123abcd-ef01-4567-89AB-CDEFabcdef12",
        NULL
    };

    static const char  *bad[] = {
        "", "0123abcdef01456789abcdefabcdef12",
        "{0123abcd-ef01-4567-89ab-cdefabcdef12}",
        "0123abcd-ef01-4567-89ab-cdefabcdef1",
        "0123abcd-ef01-4567-89ab-cdefabcdef123",
        "0123abcd-ef01-4567-89ab-cdefabcdef1g",
        "0123abcd-ef01-4567-89ab0cdefabcdef12",
        "0123abcd-ef01-4567-89ab--defabcdef12",
        "0123abcd-ef01-4567-89ab-cdefabcdef1 ",
        NULL
    };

    check_all(vault_uuid_check, good, NGX_OK);
    check_all(vault_uuid_check, bad, NGX_DECLINED);
}


static void
check_email(void)
{
    char  longest[300];

    static const char  *good[] = {
        "alice@example.com", "Bob.Smith+tag@example.com", "a@b",
        "alice@m\xc3\xbcnchen.example", "o'hara@example.com", NULL
    };

    static const char  *bad[] = {
        "", "@", "alice", "alice@", "@example.com", "a@b@c", "a b@example.com",
        " alice@example.com", "alice@example.com\n", "<alice@example.com>",
        "alice@example.com\r\nBcc: bob@example.com", "(x)alice@example.com",
        "alice@exam\x7fple.com", NULL
    };

    check_all(vault_email_check, good, NGX_OK);
    check_all(vault_email_check, bad, NGX_DECLINED);

    memset(longest, 'a', 257);
    longest[256] = '\0';
    longest[100] = '@';
    CHECK(check(vault_email_check, longest) == NGX_OK);

    longest[256] = 'a';
    longest[257] = '\0';
    CHECK(check(vault_email_check, longest) == NGX_DECLINED);
}


int
main(void)
{
    check_enc();
    check_uuid();
    check_email();

    return check_done();
}
