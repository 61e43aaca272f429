/*
 * VAULT_SECRET_PATH[_X] and VAULT_SECRET_FILE[_X]: which secret in which file.
 *
 * Source: hashicorp/vault-lambda-extension (names, defaults, errors).
 */

#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch.h"


#define SECRETS  256
#define PATH     "VAULT_SECRET_PATH"
#define FILE_    "VAULT_SECRET_FILE"
#define FOLDER   "/tmp/vault"

extern char  **environ;

typedef struct {
    const char  *name;                /* "" for the one without */
    const char  *path;
    const char  *file;
} secret_t;

static secret_t  secrets[SECRETS];
static int       nsecrets;


static secret_t *
find(const char *name, size_t len)
{
    int  i;

    for (i = 0; i < nsecrets; i++) {
        if (strlen(secrets[i].name) == len
            && strncmp(secrets[i].name, name, len) == 0)
        {
            return &secrets[i];
        }
    }

    if (nsecrets == SECRETS) {
        vault_fail("Extension.ConfigInvalid", "more than %d secrets",
                   SECRETS);
    }

    secrets[nsecrets].name = strndup(name, len);

    return &secrets[nsecrets++];
}


/* Without "//" and "/./": two names of one file are told as that. */
static char *
clean(char *path)
{
    char  *p;

    while ((p = strstr(path, "//")) != NULL) {
        memmove(p, p + 1, strlen(p));
    }

    while ((p = strstr(path, "/./")) != NULL) {
        memmove(p, p + 2, strlen(p) - 1);
    }

    return path;
}


static const char *
file_of(const char *value)
{
    char  *path;

    if (*value == '\0' || *value == '/') {
        return clean(strdup(value));
    }

    if (asprintf(&path, "%s/%s", FOLDER, value) == -1) {
        exit(1);
    }

    return clean(path);
}


static void
read_variable(const char *variable, const char *prefix, int is_path)
{
    char        *value;
    size_t       len = strlen(prefix);
    const char  *equals = strchr(variable, '=');

    if (equals == NULL || strncmp(variable, prefix, len) != 0
        || variable[len] != '_')
    {
        return;
    }

    if (equals == variable + len + 1) {
        vault_fail("Extension.ConfigInvalid", "%s_ is not valid "
                   "configuration; specify %s for a nameless secret or "
                   "specify a non-zero length name", prefix, prefix);
    }

    value = vault_trim(equals + 1);
    variable += len + 1;

    if (is_path) {
        find(variable, equals - variable)->path = value;
    } else {
        find(variable, equals - variable)->file = file_of(value);
    }
}


static const char *
name_of(const secret_t *secret)
{
    return *secret->name ? secret->name : "<anonymous>";
}


/* As the directive wants it: it goes into a request line as it is. */
static void
check_path(const char *path)
{
    const char  *c;

    for (c = path; *c; c++) {
        if ((unsigned char) *c <= ' ' || *c == 0x7f || *c == '#') {
            vault_fail("Extension.ConfigInvalid", "the path of a secret has a "
                       "blank, \"#\" or control character, which must be "
                       "escaped, as %%20: \"%s\"", path);
        }
    }
}


static void
check(int i)
{
    int              k;
    const secret_t  *secret = &secrets[i];

    if (secret->path == NULL || secret->file == NULL || *secret->path == '\0'
        || *secret->file == '\0')
    {
        vault_fail("Extension.ConfigInvalid", "invalid secret (must have both "
                   "a path and a file specified): path=\"%s\", file=\"%s\"",
                   secret->path ? secret->path : "",
                   secret->file ? secret->file : "");
    }

    check_path(secret->path);

    for (k = 0; k < i; k++) {
        if (strcmp(secrets[k].file, secret->file) == 0) {
            vault_fail("Extension.ConfigInvalid", "two secrets, \"%s\" and "
                       "\"%s\", are configured to write to the same location "
                       "on disk: %s", name_of(&secrets[k]), name_of(secret),
                       secret->file);
        }
    }
}


void
vault_say_secrets(void)
{
    int          i, data;
    secret_t    *secret;
    const char  *path = vault_env(PATH), *file = vault_env(FILE_);

    if (path) {
        secret = find("", 0);
        secret->path = path;
        secret->file = file_of(file ? file : "secret.json");
    }

    for (i = 0; environ[i]; i++) {
        read_variable(environ[i], PATH, 1);
        read_variable(environ[i], FILE_, 0);
    }

    data = vault_env("VAULT_SECRET_DATA_JSON")
           && strcmp(vault_env("VAULT_SECRET_DATA_JSON"), "true") == 0;

    for (i = 0; i < nsecrets; i++) {
        check(i);
        vault_say("    vault_agent_secret %s", vault_quote("",
                                                           secrets[i].path));
        vault_say(" %s %s;\n", vault_quote("", secrets[i].file),
                  data ? "data" : "json");
    }
}
