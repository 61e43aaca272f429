/*
 * dialect - replaces the {{tokens}} of a SQL text by one back end's words.
 *
 * Why:    every back end spells three or four things in its own way; all else
 *         is the same text on each.
 * Use:    an adapter fills a vault_dialect_t and calls vault_dialect_expand()
 *         once a statement and connection.
 * Owns:   nothing.
 * Fails:  0 for an unknown token or a text that does not fit.
 * Waits:  never; safe in a thread.
 */

#ifndef VAULT_DB_DIALECT_H
#define VAULT_DB_DIALECT_H

#include <ngx_config.h>
#include <ngx_core.h>


/* A column of {{rows}}: (id text, n bigint). */
typedef struct {
    ngx_str_t  name;
    ngx_str_t  type;
} vault_dialect_column_t;

#define VAULT_DIALECT_COLUMNS  32

typedef struct {
    const char  *for_update;
    const char  *async;

    /* Write to p, never beyond last, and return the new end. */
    u_char *(*list)(u_char *p, u_char *last, const ngx_str_t *parameter);
    u_char *(*rows)(u_char *p, u_char *last, const ngx_str_t *parameter,
        const vault_dialect_column_t *columns, ngx_uint_t n);
    u_char *(*join)(u_char *p, u_char *last, const ngx_str_t *text);
} vault_dialect_t;

/* NUL-terminated to `out`; the length without the NUL. */
size_t vault_dialect_expand(const vault_dialect_t *dialect, const char *sql,
    u_char *out, size_t size);


#endif
