/*
 * The words of messages: variables, paragraphs, escaping; and that each of
 * ours would pass for an operator's own.
 */

#include "check.h"

#include <sys/stat.h>

#include "../../src/mail/template.h"


static vault_templates_t *
load(ngx_pool_t *pool, const char *folder, ngx_str_t *err)
{
    ngx_str_t  path;

    path = check_text(pool, folder);

    return vault_template_load(pool, &path, err);
}


static ngx_uint_t
holds(const ngx_str_t *out, const char *text)
{
    return memmem(out->data, out->len, text, strlen(text)) != NULL;
}


static void
save(const char *folder, const char *name, const char *text)
{
    char   path[512];
    FILE  *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file)) {
        abort();
    }
}


static void
drop(const char *folder, const char *name)
{
    char  path[512];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
}


static void
test_values(ngx_pool_t *pool)
{
    ngx_str_t                err, name = ngx_string("new-device");
    vault_templates_t       *templates = load(pool, "", &err);
    vault_template_parts_t   parts;

    ngx_keyval_t  vars[] = {
        { ngx_string("server"), ngx_string("vault.example.com") },
        { ngx_string("origin"), ngx_string("https://vault.example.com") },
        { ngx_string("email"), ngx_string("alice@example.com") },
        { ngx_string("device"),
          ngx_string("<b>&\"'\r\nBcc: {{email}} = x") },
        { ngx_string("address"), ngx_string("192.0.2.1") },
    };

    CHECK_INT(vault_template_render(pool, templates, &name, vars, 5, &parts),
              NGX_OK);
    CHECK_STR(&parts.subject, "New login to your account");
    CHECK_STR(&parts.text,
        "Your account alice@example.com at vault.example.com was just logged "
        "in to from a new device.\n"
        "\n"
        "Device: <b>&\"'  Bcc: {{email}} = x\n"
        "Address: 192.0.2.1\n"
        "Time: \n"
        "\n"
        "If it was not you, change your master password now and end all "
        "sessions in the settings of your account.\n"
        "\n"
        "Open your vault:\n"
        "https://vault.example.com\n");
    CHECK(holds(&parts.html, "<p>Device: &lt;b&gt;&amp;&quot;&#39;  Bcc: "
                             "{{email}} = x<br>\nAddress: 192.0.2.1<br>\n"
                             "Time: </p>\n"));
    CHECK(holds(&parts.html, "<a class=\"button\" "
                             "href=\"https://vault.example.com\">"
                             "Open your vault</a>"));
    CHECK(holds(&parts.html, "<h1>New login to your account</h1>"));
    CHECK(!holds(&parts.html, "{{subject}}"));
    CHECK(!holds(&parts.html, "{{body}}"));

    ngx_str_set(&name, "no-such");
    CHECK_INT(vault_template_render(pool, templates, &name, vars, 5, &parts),
              NGX_DECLINED);
}


static void
test_code(ngx_pool_t *pool)
{
    ngx_str_t                err, name = ngx_string("two-factor-code");
    vault_templates_t       *templates = load(pool, "", &err);
    vault_template_parts_t   parts;

    ngx_keyval_t  vars[] = { { ngx_string("code"), ngx_string("123456") } };

    CHECK_INT(vault_template_render(pool, templates, &name, vars, 1, &parts),
              NGX_OK);
    CHECK_STR(&parts.subject, "Your login code: 123456");
    CHECK(holds(&parts.text, "\n\n    123456\n\n"));
    CHECK(holds(&parts.html, "<p class=\"code\">123456</p>\n"));
}


/* Ours, written to a folder, load again and say the same. */
static void
test_ours(ngx_pool_t *pool, const char *folder)
{
    char                     path[64];
    ngx_str_t                err, name;
    const vault_template_t  *template;
    vault_templates_t       *ours, *theirs;
    vault_template_parts_t   one, two;

    for (template = vault_template_texts; template->name; template++) {
        snprintf(path, sizeof(path), "%s.txt", template->name);
        save(folder, path, template->text);
    }

    save(folder, "layout.html", vault_template_layout);

    ours = load(pool, "", &err);
    theirs = load(pool, folder, &err);
    CHECK(theirs != NULL);

    for (template = vault_template_texts; theirs && template->name;
         template++)
    {
        name = check_text(pool, template->name);
        CHECK(vault_template_find(&name) == template);
        CHECK_INT(vault_template_render(pool, ours, &name, NULL, 0, &one),
                  NGX_OK);
        CHECK_INT(vault_template_render(pool, theirs, &name, NULL, 0, &two),
                  NGX_OK);
        CHECK(one.text.len == two.text.len && one.html.len == two.html.len
              && memcmp(one.html.data, two.html.data, one.html.len) == 0);
        CHECK_CASE(!holds(&one.html, "{{"), template->name);

        snprintf(path, sizeof(path), "%s.txt", template->name);
        drop(folder, path);
    }

    drop(folder, "layout.html");
}


static void
test_theirs(ngx_pool_t *pool, const char *folder)
{
    ngx_str_t                err, name = ngx_string("verify-email");
    vault_templates_t       *templates;
    vault_template_parts_t   parts;

    ngx_keyval_t  vars[] = { { ngx_string("url"), ngx_string("https://x/&") },
                             { ngx_string("email"), ngx_string("<a@x>") } };

    save(folder, "verify-email.txt", "Mine\r\n\r\n-> Go: {{url}}\r\n");
    save(folder, "layout.html", "<i>{{subject}}</i>{{body}}");
    templates = load(pool, folder, &err);
    CHECK(templates != NULL);
    CHECK_INT(vault_template_render(pool, templates, &name, vars, 2, &parts),
              NGX_OK);
    CHECK_STR(&parts.subject, "Mine");
    CHECK_STR(&parts.text, "Go:\nhttps://x/&\n");
    CHECK_STR(&parts.html,
              "<i>Mine</i><p><a class=\"button\" href=\"https://x/&amp;\">"
              "Go</a></p>\n<p class=\"link\">https://x/&amp;</p>\n");

    save(folder, "verify-email.html", "<b>{{email}}</b> {{url}}");
    templates = load(pool, folder, &err);
    CHECK(templates != NULL);
    CHECK_INT(vault_template_render(pool, templates, &name, vars, 2, &parts),
              NGX_OK);
    CHECK_STR(&parts.html, "<b>&lt;a@x&gt;</b> https://x/&amp;");

    drop(folder, "verify-email.txt");
    drop(folder, "verify-email.html");
    drop(folder, "layout.html");
}


static void
test_mistakes(ngx_pool_t *pool, const char *folder)
{
    ngx_uint_t  i;
    ngx_str_t   err;

    static const struct {
        const char  *file;
        const char  *text;
        const char  *why;
    } mistakes[] = {
        { "verify-email.txt", "", "subject" },
        { "verify-email.txt", "\n\n{{url}}\n", "subject" },
        { "verify-email.txt", "S\n{{url}}\n", "empty line" },
        { "verify-email.txt", "S\n\nnothing\n", "lacks {{url}}" },
        { "verify-email.txt", "S\n\n{{url}} {{code}}\n", "has {{code}}" },
        { "verify-email.txt", "S\n\n{{url}} \xff\n", "UTF-8" },
        { "two-factor-code.html", "<p>", "lacks {{code}}" },
        { "two-factor-code.txt", "S\n\n{{account}}\n", "lacks {{code}}" },
        { "layout.html", "<p>{{subject}}</p>", "lacks {{body}}" },
        { "layout.html", "{{body}}{{url}}", "has {{url}}" },
    };

    for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        save(folder, mistakes[i].file, mistakes[i].text);
        CHECK(load(pool, folder, &err) == NULL);
        CHECK_CASE(err.len && holds(&err, mistakes[i].why), mistakes[i].why);
        CHECK(err.len && holds(&err, mistakes[i].file));
        drop(folder, mistakes[i].file);
    }
}


int
main(void)
{
    char         folder[] = "/tmp/vault-template-XXXXXX";
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    if (mkdtemp(folder) == NULL) {
        abort();
    }

    test_values(pool);
    test_code(pool);
    test_ours(pool, folder);
    test_theirs(pool, folder);
    test_mistakes(pool, folder);

    rmdir(folder);
    ngx_destroy_pool(pool);

    return check_done();
}
