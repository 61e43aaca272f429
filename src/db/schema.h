/*
 * schema - the numbered statements that make the tables, for migrate.c.
 */

#ifndef VAULT_DB_SCHEMA_H
#define VAULT_DB_SCHEMA_H

/* Step n is vault_schema[n - 1]; ended by NULL. */
extern const char *const  vault_schema[];

#endif
