/*
 * multipart/form-data: the boundary, the parts, and what is refused.
 */

#include "check.h"
#include "../../src/run/multipart.h"


#define PARTS  3

static vault_part_t  parts[PARTS];
static ngx_uint_t    n;
static const char   *err;


static ngx_int_t
parse(const char *body)
{
    ngx_str_t         text;
    static ngx_str_t  boundary = ngx_string("b");

    text.data = (u_char *) body;
    text.len = ngx_strlen(body);

    n = PARTS;
    err = NULL;

    return vault_multipart_parse(&text, &boundary, parts, &n, &err);
}


static ngx_int_t
boundary_of(const char *type, ngx_str_t *boundary)
{
    ngx_str_t  text;

    text.data = (u_char *) type;
    text.len = ngx_strlen(type);

    return vault_multipart_boundary(&text, boundary);
}


static void
boundaries(void)
{
    ngx_str_t  b;

    CHECK_INT(boundary_of("multipart/form-data; boundary=abc", &b), NGX_OK);
    CHECK_STR(&b, "abc");
    CHECK_INT(boundary_of("Multipart/Form-Data ;x=y;Boundary=\"a b\"; z=1",
                          &b), NGX_OK);
    CHECK_STR(&b, "a b");

    CHECK_INT(boundary_of("", &b), NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/form-data", &b), NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/form-data;", &b), NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/form-data; boundary", &b), NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/form-data; boundary=", &b),
              NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/form-data; boundary=\"abc", &b),
              NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/form-datax; boundary=abc", &b),
              NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/mixed; boundary=abc", &b),
              NGX_DECLINED);
    CHECK_INT(boundary_of("multipart/form-data; boundary="
                          "12345678901234567890123456789012345678901234567890"
                          "123456789012345678901", &b), NGX_DECLINED);
}


static void
good(void)
{
    CHECK_INT(parse("--b\r\n"
                    "Content-Disposition: form-data; name=\"key\"\r\n\r\n"
                    "2.a|b|c\r\n"
                    "--b\r\n"
                    "Content-Type: application/octet-stream\r\n"
                    "content-disposition: form-data; name=data;"
                    " filename=\"a;\\\"b\"\r\n"
                    "Content-Transfer-Encoding: binary\r\n\r\n"
                    "\r\n-bytes--b\r\n--\r\n"
                    "--b--\r\nepilogue"), NGX_OK);
    CHECK_INT(n, 2);
    CHECK_STR(&parts[0].name, "key");
    CHECK_INT(parts[0].filename.data == NULL, 1);
    CHECK_INT(parts[0].size, 7);
    CHECK_INT(parts[0].from, 51);
    CHECK_STR(&parts[1].name, "data");
    CHECK_STR(&parts[1].filename, "a;\\\"b");
    CHECK_INT(parts[1].size, 15);

    /* a text before, blanks behind a boundary, an empty part, no last line */

    CHECK_INT(parse("preamble\r\n--b \t\r\n"
                    "Content-Disposition: form-data; name=\"\";"
                    "filename=\"C:\\x\"\r\n\r\n"
                    "\r\n--b--"), NGX_OK);
    CHECK_INT(n, 1);
    CHECK_STR(&parts[0].name, "");
    CHECK_STR(&parts[0].filename, "C:\\x");
    CHECK_INT(parts[0].size, 0);

    /* the empty line of the headers is the boundary's */

    CHECK_INT(parse("--b\r\nContent-Disposition: form-data; name=x\r\n\r\n"
                    "--b--"), NGX_OK);
    CHECK_INT(n, 1);
    CHECK_INT(parts[0].size, 0);

    CHECK_INT(parse("--b--"), NGX_OK);
    CHECK_INT(n, 0);
}


#define PART  "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n"


static void
bad(void)
{
    static const char  *bodies[] = {
        "",
        "--",
        "no boundary",
        "\n--b--",
        "--bx\r\n",
        "--b\r\n",
        "--b\r\nContent-Disposition: form-data; name=x\r\n",
        "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n",
        "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1--b--",
        "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\n--b--",
        "--b\r\nContent-Disposition: form-data; name=\"x\r\n\r\n1\r\n--b--",
        "--b\r\nContent-Disposition: form-data; name=\"x\\\"\r\n\r\n1\r\n--b--",
        "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--",
        "--b\r\n\r\n1\r\n--b--",
        "--b\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: form-data; name=x\r\n\r\n1\r\n--b--",
        PART "--b",
        PART "--b-",
        PART PART PART PART "--b--",
        NULL
    };
    ngx_uint_t          i;

    for (i = 0; bodies[i]; i++) {
        CHECK_INT(parse(bodies[i]), NGX_DECLINED);
        CHECK_INT(err != NULL, 1);
    }

    CHECK_INT(parse(PART PART PART "--b--"), NGX_OK);
    CHECK_INT(n, 3);
}


int
main(void)
{
    boundaries();
    good();
    bad();

    return check_done();
}
