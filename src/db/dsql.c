/*
 * Aurora DSQL behind the port's interface: a connection to PostgreSQL whose
 * password is a token, and the refusals that mean "later" or "once more".
 */

#include "../aws/clock.h"
#include "../aws/credentials.h"
#include "../crypto/crypto.h"
#include "../run/await.h"
#include "dsql.h"
#include "pg.h"


#define WAIT_FIRST  100               /* ms before another attempt; doubles */
#define WAIT_MOST   1000

typedef struct {
    vault_pg_conf_t    pg;            /* first: for what pg*.c does with it */
    vault_dsql_url_t   url;
} dsql_conf_t;

typedef enum {
    REFUSED = 0,
    LATER,                            /* it wakes up, or is full */
    ANEW                              /* the token was too old */
} refusal_e;

/* In libpq's message, which is verbose: "FATAL:  53300: …" and the hint. */
static const struct {
    const char  *text;
    refusal_e    meaning;
} refusals[] = {
    { "Signature expired", ANEW },
    { "signature expired", ANEW },
    { "waking up cluster", LATER },
    { "  53300: ",         LATER },   /* too_many_connections */
    { "  53400: ",         LATER },   /* configuration_limit_exceeded */
    { "  57P03: ",         LATER },   /* cannot_connect_now */
    { NULL, REFUSED }
};

static const vault_pg_kind_t  kind = {
    .dialect = &vault_dsql_dialect,
    .prepares = 0                     /* names are not kept for long */
};

/* Where distributions keep the roots that the system trusts. */
static const char *const  bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    NULL
};


static const char *
trusted_roots(const vault_dsql_url_t *url, vault_aws_t *aws)
{
    ngx_uint_t  i;

    if (url->ca_file.len) {
        return (const char *) url->ca_file.data;
    }

    if (vault_aws_ca_file(aws)) {
        return vault_aws_ca_file(aws);
    }

    if (PQlibVersion() >= 160000) {
        return "system";
    }

    for (i = 0; bundles[i]; i++) {
        if (access(bundles[i], R_OK) == 0) {
            return bundles[i];
        }
    }

    return NULL;
}


static ngx_int_t
fill(dsql_conf_t *conf, ngx_pool_t *pool, const char *roots)
{
    ngx_uint_t         i;
    vault_dsql_url_t  *url = &conf->url;

    const char *const  params[][2] = {
        { "host",           (char *) url->host.data },
        { "port",           (char *) url->port.data },
        { "dbname",         (char *) url->database.data },
        { "hostaddr",       (char *) url->hostaddr.data },
        { "sslmode",        "verify-full" },
        { "sslsni",         "1" },
        { "sslrootcert",    roots },
        { "sslnegotiation", PQlibVersion() >= 170000 ? "direct" : NULL },
    };

    conf->pg.kind = &kind;

    for (i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        if (params[i][1]
            && vault_pg_add(&conf->pg, pool, params[i][0], params[i][1])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return vault_pg_complete(&conf->pg, pool);
}


static void *
dsql_configure(ngx_pool_t *pool, const ngx_str_t *text, const char **err)
{
    const char   *roots;
    dsql_conf_t  *conf;
    vault_aws_t  *aws;

    *err = "no memory";

    conf = ngx_pcalloc(pool, sizeof(dsql_conf_t));
    aws = vault_aws_create(pool);

    if (conf == NULL || aws == NULL
        || vault_dsql_url(pool, text, &conf->url, err) != NGX_OK)
    {
        return NULL;
    }

    if (conf->url.region.len == 0) {
        conf->url.region = vault_aws_region_known(aws);
    }

    if (conf->url.region.len == 0) {
        *err = "has a host that does not tell the region; set the option "
               "\"region\" or AWS_REGION";
        return NULL;
    }

    roots = trusted_roots(&conf->url, aws);

    if (roots == NULL) {
        *err = "needs the roots that sign the cluster's certificate; install "
               "ca-certificates or set the option \"sslrootcert\"";
        return NULL;
    }

    *err = "no memory";

    return fill(conf, pool, roots) == NGX_OK ? conf : NULL;
}


static refusal_e
meaning_of(const ngx_str_t *whole)
{
    ngx_uint_t  i;

    for (i = 0; refusals[i].text; i++) {
        if (whole->len
            && ngx_strstr((char *) whole->data, refusals[i].text))
        {
            break;
        }
    }

    return refusals[i].meaning;
}


/* Made for each connect, as the last step before it; wiped with the pool. */
static const char *
token(vault_request_t *vr, const dsql_conf_t *conf, const char *role)
{
    ngx_str_t          text, secret;
    vault_aws_keys_t  *keys;

    keys = vault_aws_find_credentials(vr);

    if (keys == NULL
        || vault_dsql_token(vr->pool, &conf->url, role, keys, vault_aws_now(),
                            &text)
           != NGX_OK)
    {
        return NULL;
    }

    text.len++;                       /* with its NUL */
    secret = vault_secret(vr, &text);
    vault_wipe(text.data, text.len);

    return (const char *) secret.data;
}


static vault_db_conn_t *
attempt(vault_request_t *vr, dsql_conf_t *conf, const char *role,
    ngx_msec_t timeout, ngx_str_t *error, ngx_str_t *whole)
{
    vault_pg_login_t  login;

    login.user = role;
    login.password = token(vr, conf, role);

    if (login.password == NULL) {
        ngx_str_set(error, "cannot connect: no credentials of AWS");
        return NULL;
    }

    return vault_pg_connect(vr, &conf->pg, &login, timeout, error, whole);
}


static vault_db_conn_t *
open_as(vault_request_t *vr, dsql_conf_t *conf, const char *role,
    ngx_msec_t timeout, vault_db_status_e *status, ngx_str_t *error)
{
    ngx_str_t         whole;
    ngx_msec_t        end, pause = WAIT_FIRST;
    refusal_e         refusal;
    ngx_uint_t        renewed = 0;
    ngx_msec_int_t    left = timeout;
    vault_db_conn_t  *conn;

    end = ngx_current_msec + timeout;

    for ( ;; ) {
        ngx_str_null(&whole);
        conn = attempt(vr, conf, role, left, error, &whole);

        if (conn) {
            *status = VAULT_DB_OK;
            return conn;
        }

        refusal = meaning_of(&whole);
        left = (ngx_msec_int_t) (end - ngx_current_msec);

        if (refusal == REFUSED || (refusal == ANEW && renewed++)
            || left <= (ngx_msec_int_t) pause)
        {
            *status = VAULT_DB_GONE;
            return NULL;
        }

        if (refusal == LATER) {
            vault_sleep(vr, pause / 2 + ngx_random() % pause);
            pause = ngx_min(pause * 2, WAIT_MOST);
            left = (ngx_msec_int_t) (end - ngx_current_msec);
            left = ngx_max(left, 1);
        }
    }
}


static vault_db_conn_t *
dsql_open(vault_request_t *vr, void *data, ngx_msec_t timeout,
    vault_db_status_e *status, ngx_str_t *error)
{
    dsql_conf_t  *conf = data;

    return open_as(vr, conf, (char *) conf->url.role.data, timeout, status,
                   error);
}


static vault_db_conn_t *
dsql_open_admin(vault_request_t *vr, void *data, ngx_msec_t timeout,
    vault_db_status_e *status, ngx_str_t *error)
{
    return open_as(vr, data, VAULT_DSQL_ADMIN, timeout, status, error);
}


static ngx_str_t
dsql_grant(void *data, ngx_pool_t *pool, ngx_uint_t n)
{
    dsql_conf_t  *conf = data;

    return vault_dsql_grant(pool, &conf->url, n);
}


/* An index is built by a job that its statement only names. */
static const vault_db_job_t  dsql_job = {
    .find = "SELECT status AS state FROM sys.jobs WHERE job_id = $1",
    .index = "SELECT CASE WHEN i.indisvalid THEN 'valid' ELSE 'invalid' END"
             " AS state"
             " FROM pg_index AS i"
             " JOIN pg_class AS c ON c.oid = i.indexrelid"
             " WHERE c.relname = $1"
};


const vault_db_adapter_t  vault_db_dsql = {
    .name = "dsql",
    .configure = dsql_configure,
    .open = dsql_open,
    .execute = vault_pg_execute,
    .drain = vault_pg_drain,
    .close = vault_pg_close,
    .usable = vault_pg_usable,
    .deployed = 1,
    .open_admin = dsql_open_admin,
    .grant = dsql_grant,
    .job = &dsql_job,
    .marks = 1,
    .suspect = 30,
    .most_rows = VAULT_DB_FEW_ROWS,
    .most_bytes = VAULT_DB_FEW_BYTES
};
