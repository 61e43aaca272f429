/*
 * second - the second step of a login.
 */

#include "second.h"
#include "limits.h"
#include "mailer.h"
#include "../crypto/crypto.h"
#include "../crypto/totp.h"


/*
 * Three of a million codes are right at a time.  Who may guess knows the
 * master password, so few guesses are enough for those who mistype.
 */
static const vault_limit_t  guesses = { "second step", 10, 900, 50, 900 };

static void  ask(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *rows) __attribute__((noreturn));


static const vault_second_provider_t *const  providers[] = {
    &vault_second_totp,
    &vault_second_email
};

static ngx_str_t  error_token = ngx_string(
    "{\"error\":\"invalid_grant\","
    "\"error_description\":\"invalid_username_or_password\","
    "\"ErrorModel\":{\"Message\":"
    "\"Two-step token is invalid. Try again.\","
    "\"Object\":\"error\"}}");

static ngx_str_t  error_none = ngx_string(
    "{\"error\":\"invalid_grant\","
    "\"error_description\":\"invalid_username_or_password\","
    "\"ErrorModel\":{\"Message\":"
    "\"No two-step providers enabled.\","
    "\"Object\":\"error\"}}");


const vault_second_provider_t *
vault_second_provider(int64_t type)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        if (providers[i]->type == type) {
            return providers[i];
        }
    }

    return NULL;
}


/* Android pads numbers, people codes. */

static ngx_str_t
trimmed(const ngx_str_t *text)
{
    ngx_str_t  out = *text;

    while (out.len && out.data[0] == ' ') {
        out.data++;
        out.len--;
    }

    while (out.len && out.data[out.len - 1] == ' ') {
        out.len--;
    }

    return out;
}


static vault_two_factor_t *
row_of(const ngx_array_t *rows, int64_t type)
{
    ngx_uint_t           i;
    vault_two_factor_t  *row;

    row = rows->elts;

    for (i = 0; i < rows->nelts; i++) {
        if (row[i].provider == type) {
            return &row[i];
        }
    }

    return NULL;
}


/* Clients before 2025.5.0 wait for a mail that they have not asked for. */

static void
start(vault_request_t *vr, const vault_user_t *user, const ngx_array_t *rows)
{
    ngx_uint_t                      version;
    vault_two_factor_t             *row;
    const vault_second_provider_t  *provider;

    row = rows->elts;
    provider = vault_second_provider(row->provider);
    version = vault_client_version(vr);

    if (rows->nelts == 1 && version && version < 202505 && provider->start) {
        provider->start(vr, user, row);               /* awaits */
    }
}


static void
write_providers(vault_request_t *vr, vault_writer_t *w,
    const ngx_array_t *rows)
{
    u_char                          name[NGX_INT64_LEN + 1];
    ngx_uint_t                      i;
    vault_two_factor_t             *row;
    const vault_second_provider_t  *provider;

    row = rows->elts;

    vault_json_open(w, "TwoFactorProviders", '[');

    for (i = 0; i < rows->nelts; i++) {
        *ngx_sprintf(name, "%L", row[i].provider) = '\0';
        vault_json_cstring(w, NULL, (char *) name);
    }

    vault_json_close(w, ']');
    vault_json_open(w, "TwoFactorProviders2", '{');

    for (i = 0; i < rows->nelts; i++) {
        *ngx_sprintf(name, "%L", row[i].provider) = '\0';
        provider = vault_second_provider(row[i].provider);

        if (provider->challenge) {
            provider->challenge(vr, w, (char *) name, &row[i]);

        } else {
            vault_json_null(w, (char *) name);
        }
    }

    vault_json_close(w, '}');
}


/* Asks for a second step: an answer that clients take for a question. */

static void
ask(vault_request_t *vr, const vault_user_t *user, const ngx_array_t *rows)
{
    ngx_str_t       text, token;
    vault_writer_t  w;

    static const ngx_str_t  nothing = ngx_string("");

    start(vr, user, rows);                            /* awaits */

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_cstring(&w, "error", "invalid_grant");
    vault_json_cstring(&w, "error_description", "Two factor required.");
    write_providers(vr, &w, rows);

    if (row_of(rows, VAULT_SECOND_EMAIL)) {
        token = vault_second_prove(vr, user, &vault_second_mailing, &nothing);
        vault_json_string(&w, "SsoEmail2faSessionToken", &token);
        vault_json_string(&w, "Email", &user->email);
    }

    vault_json_open(&w, "MasterPasswordPolicy", '{');
    vault_json_cstring(&w, "Object", "masterPasswordPolicy");
    vault_json_close(&w, '}');
    vault_json_close(&w, '}');

    text = vault_written(vr, &w);

    vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &text);
}


/* Those that this server knows; a newer one may have written others. */

static ngx_array_t *
known_rows(vault_request_t *vr, const vault_user_t *user)
{
    ngx_uint_t           i, n;
    ngx_array_t         *rows;
    vault_two_factor_t  *row;

    rows = vault_two_factor_list(vr, user);           /* awaits */
    row = rows->elts;

    for (i = 0, n = 0; i < rows->nelts; i++) {
        if (vault_second_provider(row[i].provider)) {
            row[n++] = row[i];
        }
    }

    rows->nelts = n;

    return rows;
}


/* Recovery codes may be typed in groups and in capitals. */

static ngx_uint_t
recover(vault_request_t *vr, const vault_user_t *user, const ngx_str_t *text)
{
    size_t               i;
    ngx_str_t            code;
    ngx_keyval_t         vars[2];
    vault_change_t      *change;
    vault_mailer_t       mail;
    vault_two_factor_t   row;

    code.data = vault_alloc(vr, text->len + 1);
    code.len = 0;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] != ' ') {
            code.data[code.len++] = ngx_tolower(text->data[i]);
        }
    }

    if (!vault_two_factor_find(vr, user, VAULT_SECOND_RECOVERY, &row)
        || !vault_equal(&code, &row.data))
    {
        return 0;
    }

    ngx_str_set(&vars[0].key, "address");
    vars[0].value = *vault_client_address(vr);
    ngx_str_set(&vars[1].key, "time");
    vars[1].value = vault_mailer_time(vr, vault_now());

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "two-factor-off";
    mail.to = user->email;
    mail.vars = vars;
    mail.nvars = 2;

    change = vault_change(vr, user);
    vault_two_factor_recover(change, &code);
    (void) vault_mailer_add(change, &mail);
    vault_change_commit(change);                      /* awaits */

    return 1;
}


/* Counts wrong ones.  `row` is NULL for the recovery code. */

static ngx_uint_t
guess(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row, const ngx_str_t *code)
{
    ngx_uint_t  right;

    if (vault_limit_blocked(vr, &guesses, &user->id)) {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many failed attempts. Try again later.");
    }

    right = row ? vault_second_provider(row->provider)->check(vr, user, row,
                                                              code)
                : recover(vr, user, code);

    if (right) {
        vault_limit_passed(vr, &guesses, &user->id);

    } else {
        vault_limit_failed(vr, &guesses, &user->id);
    }

    return right;
}


ngx_uint_t
vault_second_recover(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *code)
{
    return guess(vr, user, NULL, code);
}


ngx_str_t
vault_second_require(vault_request_t *vr, const vault_user_t *user,
    const vault_second_answer_t *answer)
{
    ngx_int_t            type;
    ngx_str_t            code, number, remember;
    ngx_array_t         *rows;
    vault_two_factor_t  *row;

    ngx_str_null(&remember);

    if (!user->two_step) {
        return remember;
    }

    rows = known_rows(vr, user);                      /* awaits */

    if (rows->nelts == 0) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_none);
    }

    code = trimmed(&answer->code);
    number = trimmed(&answer->provider);
    type = ngx_atoi(number.data, number.len);

    if (code.len == 0 || type == NGX_ERROR) {
        vault_second_notice(vr, user, answer);        /* awaits */
        ask(vr, user, rows);
    }

    if (type == VAULT_SECOND_REMEMBER) {

        if (!vault_second_proved(vr, user, &vault_second_remembered,
                                 &answer->device, &code))
        {
            vault_second_notice(vr, user, answer);    /* awaits */
            ask(vr, user, rows);
        }

        return remember;
    }

    row = row_of(rows, type);

    if ((row == NULL && type != VAULT_SECOND_RECOVERY)
        || !guess(vr, user, row, &code))              /* awaits */
    {
        vault_second_notice(vr, user, answer);        /* awaits */
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_token);
    }

    vault_second_notice_end(vr, user, answer);        /* awaits */

    number = trimmed(&answer->remember);

    if (row && number.len == 1 && number.data[0] == '1') {
        remember = vault_second_prove(vr, user, &vault_second_remembered,
                                      &answer->device);
    }

    return remember;
}


ngx_str_t
vault_second_key(vault_request_t *vr)
{
    u_char     random[VAULT_TOTP_KEY];
    ngx_str_t  bytes, key;

    bytes.data = random;
    bytes.len = sizeof(random);

    if (vault_random(random, sizeof(random)) != NGX_OK
        || vault_base32(vr->pool, &bytes, &key) != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "no random bytes");
    }

    vault_wipe(random, sizeof(random));

    return key;
}


ngx_str_t
vault_second_recovery_code(vault_request_t *vr)
{
    ngx_str_t  code = vault_second_key(vr);

    ngx_strlow(code.data, code.data, code.len);

    return code;
}
