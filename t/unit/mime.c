/*
 * Messages as bytes: what a mail server sees of odd subjects, names, addresses
 * and bodies, and what is refused.
 */

#include "check.h"

#include "../../src/mail/mime.h"


#define ID  "8d7f3c52-0000-4000-8000-000000000001"


static vault_mime_t
message(ngx_pool_t *pool)
{
    vault_mime_t  mime;

    memset(&mime, 0, sizeof(vault_mime_t));

    mime.id = check_text(pool, ID);
    mime.date = 1795337507000;
    mime.from_name = check_text(pool, "Vault");
    mime.from = check_text(pool, "vault@example.com");
    mime.to = check_text(pool, "alice@example.com");
    mime.subject = check_text(pool, "Hello");
    mime.text = check_text(pool, "Hi.\n");
    mime.html = check_text(pool, "<p>Hi.</p>\n");

    return mime;
}


static ngx_uint_t
holds(const ngx_str_t *out, const char *text)
{
    return out->data && memmem(out->data, out->len, text, strlen(text));
}


static void
test_whole(ngx_pool_t *pool)
{
    ngx_str_t     out;
    vault_mime_t  mime = message(pool);

    CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
    CHECK_STR(&out,
        "Date: Sun, 22 Nov 2026 08:51:47 +0000\r\n"
        "From: \"Vault\"\r\n"
        " <vault@example.com>\r\n"
        "To: alice@example.com\r\n"
        "Subject: Hello\r\n"
        "Message-ID: <" ID "@example.com>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/alternative;\r\n"
        " boundary=\"=_" ID "\"\r\n"
        "\r\n"
        "--=_" ID "\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "Hi.\r\n"
        "\r\n"
        "--=_" ID "\r\n"
        "Content-Type: text/html; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "<p>Hi.</p>\r\n"
        "\r\n"
        "--=_" ID "--\r\n");
}


static void
test_days(ngx_pool_t *pool)
{
    ngx_uint_t    i;
    ngx_str_t     out;
    vault_mime_t  mime = message(pool);

    static const struct {
        int64_t      ms;
        const char  *date;
    } days[] = {
        { 0,             "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n" },
        { 951782399999,  "Date: Mon, 28 Feb 2000 23:59:59 +0000\r\n" },
        { 951782400000,  "Date: Tue, 29 Feb 2000 00:00:00 +0000\r\n" },
        { 1798761599000, "Date: Thu, 31 Dec 2026 23:59:59 +0000\r\n" },
    };

    for (i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        mime.date = days[i].ms;
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
        CHECK_CASE(holds(&out, days[i].date), days[i].date);
    }
}


static void
test_subjects(ngx_pool_t *pool)
{
    ngx_uint_t    i;
    ngx_str_t     out;
    vault_mime_t  mime = message(pool);

    static const struct {
        const char  *subject;
        const char  *line;
    } subjects[] = {
        { "",            "\r\nSubject: \r\n" },
        { "a: b \"c\"",  "\r\nSubject: a: b \"c\"\r\n" },
        { "=?UTF-8?B?", "\r\nSubject: =?UTF-8?B?PT9VVEYtOD9CPw==?=\r\n" },
        { " a",          "\r\nSubject: =?UTF-8?B?IGE=?=\r\n" },
        { "Gr\xc3\xbc\xc3\x9f" "e",
          "\r\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n" },
        { "12345678901234567890123456789012345678901234567890"
          "12345678901234567",
          "\r\nSubject: 12345678901234567890123456789012345678901234567890"
          "12345678901234567\r\n" },
        { "12345678901234567890123456789012345678901234567890"
          "123456789012345678",
          "\r\nSubject: =?UTF-8?B?MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"
          "MTIzNDU2Nzg5?=\r\n =?UTF-8?B?"
          "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg=?=\r\n" },
    };

    for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        mime.subject = check_text(pool, subjects[i].subject);
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
        CHECK_CASE(holds(&out, subjects[i].line), subjects[i].subject);
    }

    /* characters of three bytes are not cut: 39 = 13 of them, then 42 */
    mime.subject = check_text(pool,
        "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
        "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
        "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac");
    CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
    CHECK(holds(&out, "4oKs?=\r\n =?UTF-8?B?4oKs"));
}


static void
test_names(ngx_pool_t *pool)
{
    ngx_str_t     out;
    vault_mime_t  mime = message(pool);

    mime.from_name = check_text(pool, "a \"b\" \\ c, d");
    CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
    CHECK(holds(&out, "From: \"a \\\"b\\\" \\\\ c, d\"\r\n "
                      "<vault@example.com>\r\n"));

    mime.from_name = check_text(pool, "T\xc3\xbcr");
    CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
    CHECK(holds(&out, "From: =?UTF-8?B?VMO8cg==?=\r\n "
                      "<vault@example.com>\r\n"));

    ngx_str_null(&mime.from_name);
    CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
    CHECK(holds(&out, "From: vault@example.com\r\n"));
}


static void
test_addresses(ngx_pool_t *pool)
{
    ngx_uint_t   i;
    ngx_str_t    in, out;

    static const struct {
        const char  *in;
        const char  *out;             /* NULL: refused */
    } addresses[] = {
        { "a@b", "a@b" },
        { "a.b+c'd@x.example", "a.b+c'd@x.example" },
        { "a..b@x.example", "\"a..b\"@x.example" },
        { ".a@x.example", "\".a\"@x.example" },
        { "a,b@x.example", "\"a,b\"@x.example" },
        { "a b@x.example", "\"a b\"@x.example" },
        { "a\"\\@x.example", "\"a\\\"\\\\\"@x.example" },
        { "a@b@x.example", "\"a@b\"@x.example" },
        { "", NULL },
        { "@", NULL },
        { "a", NULL },
        { "a@", NULL },
        { "@b", NULL },
        { "a@.b", NULL },
        { "a@b.", NULL },
        { "a@b..c", NULL },
        { "a@b c", NULL },
        { "a@b>,<c@d", "\"a@b>,<c\"@d" },
        { "a@[127.0.0.1]", NULL },
        { "a\r\nBcc: x@b", NULL },
        { "a@b\r\nBcc: x", NULL },
        { "a\n@b", NULL },
        { "\xc3\xbc@b", NULL },
        { "a@b\xc3\xbc", NULL },
    };

    for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        in = check_text(pool, addresses[i].in);
        ngx_str_null(&out);
        CHECK_CASE(vault_mime_address(pool, &in, &out)
                   == (addresses[i].out ? NGX_OK : NGX_DECLINED),
                   addresses[i].in);
        CHECK_STR(&out, addresses[i].out);
    }
}


/* Nothing that a user chose begins a line of its own. */
static void
test_injection(ngx_pool_t *pool)
{
    ngx_uint_t    i;
    ngx_str_t     out = ngx_null_string;
    vault_mime_t  mime;

    static const char *const  bad[] = {
        "a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\tb", "\x7f", "\x01",
        "\xff", "\xc3", "\xed\xa0\x80"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mime = message(pool);
        mime.subject = check_text(pool, bad[i]);
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_DECLINED);

        mime = message(pool);
        mime.from_name = check_text(pool, bad[i]);
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_DECLINED);

        mime = message(pool);
        mime.id = check_text(pool, bad[i]);
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_DECLINED);

        mime = message(pool);
        mime.to = check_text(pool, bad[i]);
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_DECLINED);
    }

    mime = message(pool);
    mime.subject = check_text(pool, "a?b");
    mime.subject.data[1] = '\0';
    CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_DECLINED);

    mime = message(pool);
    mime.text = check_text(pool, "\xff");
    CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_DECLINED);

    CHECK(out.data == NULL);
}


static void
test_bodies(ngx_pool_t *pool)
{
    ngx_uint_t    i;
    ngx_str_t     out;
    vault_mime_t  mime = message(pool);

    static const struct {
        const char  *text;
        const char  *body;
    } bodies[] = {
        { "", "\r\n\r\n\r\n--=_" },
        { "a=b", "\r\n\r\na=3Db\r\n\r\n--=_" },
        { "a \nb\t\n", "\r\n\r\na=20\r\nb=09\r\n\r\n--=_" },
        { "a \t b", "\r\n\r\na \t b\r\n" },
        { ".\n..\nx.", "\r\n\r\n=2E\r\n=2E.\r\nx.\r\n" },
        { "From x\nTo", "\r\n\r\n=46rom x\r\nTo\r\n" },
        { "\xc3\xbc\r\n", "\r\n\r\n=C3=BC=0D\r\n" },
        { "123456789012345678901234567890123456789012345678901234567890"
          "123456789012345",
          "\r\n\r\n"
          "123456789012345678901234567890123456789012345678901234567890"
          "123456789012345\r\n" },
        { "123456789012345678901234567890123456789012345678901234567890"
          "1234567890123456",
          "\r\n\r\n"
          "123456789012345678901234567890123456789012345678901234567890"
          "123456789012345=\r\n6\r\n" },
        { "123456789012345678901234567890123456789012345678901234567890"
          "123456789012345.",
          "123456789012345=\r\n=2E\r\n" },
        { "123456789012345678901234567890123456789012345678901234567890"
          "1234567890123\xc3\xbc",
          "1234567890123=\r\n=C3=BC\r\n" },
    };

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        mime.text = check_text(pool, bodies[i].text);
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);
        CHECK_CASE(holds(&out, bodies[i].body), bodies[i].text);
    }
}


/* Every byte many times: 7 bits, short lines, and inside what was asked for. */
static void
test_bounds(ngx_pool_t *pool)
{
    u_char        c;
    size_t        i, line;
    ngx_uint_t    bad, longest, alone;
    ngx_str_t     out;
    vault_mime_t  mime = message(pool);

    for (c = 1; c < 0x80; c++) {
        mime.text = check_text(pool, ID ID ID ID ID ID ID ID ID);
        memset(mime.text.data, c, mime.text.len);
        mime.html = mime.text;

        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_OK);

        bad = longest = alone = line = 0;

        for (i = 0; i < out.len; i++) {
            if (out.data[i] == '\n') {
                alone += i == 0 || out.data[i - 1] != '\r';
                longest = ngx_max(longest, line - 1);
                line = 0;
                continue;
            }

            line++;
            bad += out.data[i] >= 0x7f
                   || (out.data[i] < ' ' && out.data[i] != '\r'
                       && out.data[i] != '\t');
        }

        CHECK(bad == 0 && alone == 0 && longest <= 76 && line == 0);
    }
}


static void
test_memory(ngx_pool_t *pool)
{
    ngx_uint_t    i;
    ngx_str_t     out = ngx_null_string;
    vault_mime_t  mime = message(pool);

    for (i = 1; i <= 3; i++) {
        shim_fail_alloc(i);
        CHECK_INT(vault_mime_compose(pool, &mime, &out), NGX_ERROR);
        CHECK(out.data == NULL);
    }

    shim_fail_alloc(0);
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_whole(pool);
    test_days(pool);
    test_subjects(pool);
    test_names(pool);
    test_addresses(pool);
    test_injection(pool);
    test_bodies(pool);
    test_bounds(pool);
    test_memory(pool);

    ngx_destroy_pool(pool);

    return check_done();
}
