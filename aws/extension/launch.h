/*
 * launch - the executable of the extension: it makes nginx's configuration of
 * the environment variables that HashiCorp's extension has, and becomes nginx.
 *
 * Why:    images of functions have no shell, and other libraries than ours.
 * Owns:   nothing: what it allocates is nginx's when it ends.
 * Fails:  vault_fail() tells Lambda and the log in one line, and ends with 1.
 * Waits:  a second for Lambda, when it fails.
 */

#ifndef VAULT_EXTENSION_LAUNCH_H
#define VAULT_EXTENSION_LAUNCH_H

#include <stddef.h>


#define VAULT_PATH  4096

typedef struct {
    char        name[256];            /* of this file: how it registers */
    char        home[VAULT_PATH];     /* nginx, libc, ca.pem */
    char        temp[VAULT_PATH];     /* what nginx may write to */
} vault_launch_t;

/* launch.c: a type as "Extension.ConfigInvalid", and what is wrong. */
void vault_fail(const char *type, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 2, 3)));
void vault_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* environment.c: trimmed; NULL if it is not there or empty. */
const char *vault_env(const char *name);
char *vault_trim(const char *text);
int vault_env_bool(const char *name, int strict);

/* Ms of "1h2m3.5s", as Go reads it; -1: it is none.  Seconds: "60" too. */
long vault_duration(const char *text, int seconds);

/* settings.c, secrets.c: the text of nginx.conf, which vault_say() adds to. */
const char *vault_configuration(const vault_launch_t *launch);
void vault_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *vault_quote(const char *name, const char *value);
void vault_say_secrets(void);

/* report.c */
void vault_report(const char *name, const char *type, const char *why);


#endif
