/*
 * format - a secret as the text of a file.
 *
 * Why:    programs want their secrets in a form that they read already.
 * Use:    vault_agent_envelope() of an answer, then vault_agent_format().
 * Owns:   all in the pool given, which the caller scrubs.
 * Fails:  NGX_DECLINED with *why, a remedy that names no secret; NGX_ERROR:
 *         memory.
 * Waits:  never; pure functions.
 */

#ifndef VAULT_AGENT_FORMAT_H
#define VAULT_AGENT_FORMAT_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    VAULT_AGENT_JSON = 0,             /* the whole answer, as the extension */
    VAULT_AGENT_DATA,                 /* the values, as JSON */
    VAULT_AGENT_KEY,                  /* one value, as it is */
    VAULT_AGENT_ENV,                  /* NAME='value' lines, for a shell */
    VAULT_AGENT_TEMPLATE,             /* template.c */
    VAULT_AGENT_VALUES                /* the values, as they came: for
                                         vault_agent_value() */
} vault_agent_format_e;

/* What Vault answers, taken apart; all texts are JSON. */
typedef struct {
    ngx_str_t   body;
    ngx_str_t   data;                 /* as answered */
    ngx_str_t   values;               /* the same, or what version 2 of the KV
                                         engine wraps in it */
    ngx_str_t   lease_id;             /* text; empty: none */
    int64_t     lease;                /* seconds */
    ngx_uint_t  renewable;
} vault_agent_envelope_t;

/* NGX_DECLINED if it is no secret. */
ngx_int_t vault_agent_envelope(ngx_pool_t *pool, const ngx_str_t *body,
    vault_agent_envelope_t *envelope);

ngx_int_t vault_agent_format(ngx_pool_t *pool, vault_agent_format_e format,
    const ngx_str_t *key, const vault_agent_envelope_t *envelope,
    ngx_str_t *out, const char **why);

/* One of the values, as text. */
ngx_int_t vault_agent_value(ngx_pool_t *pool,
    const vault_agent_envelope_t *envelope, const ngx_str_t *key,
    ngx_str_t *out, const char **why);

/* 'don'\''t': one word of a shell. */
ngx_int_t vault_agent_shell(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_str_t *out);


#endif
