/*
 * What Go's programs take as a duration or a truth, and so do we.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "launch.h"


char *
vault_trim(const char *text)
{
    char    *copy;
    size_t   len;

    while (isspace((unsigned char) *text)) {
        text++;
    }

    len = strlen(text);

    while (len && isspace((unsigned char) text[len - 1])) {
        len--;
    }

    copy = strndup(text, len);

    if (copy == NULL) {
        exit(1);
    }

    return copy;
}


const char *
vault_env(const char *name)
{
    char        *text;
    const char  *value = getenv(name);

    if (value == NULL) {
        return NULL;
    }

    text = vault_trim(value);

    return *text ? text : NULL;
}


int
vault_env_bool(const char *name, int strict)
{
    size_t              i;
    const char         *value = vault_env(name);
    static const char  *words[] = { "0", "f", "false", "1", "t", "true" };

    if (value == NULL) {
        return 0;
    }

    for (i = 0; i < 6; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            return i >= 3;
        }
    }

    if (strict) {
        vault_fail("Extension.ConfigInvalid", "%s=%s is neither true nor "
                   "false", name, value);
    }

    return 0;
}


static double
unit(const char *text, size_t *len)
{
    size_t  i;

    static const struct {
        const char  *name;
        double       ms;
    } units[] = {
        { "ns", 1e-6 }, { "us", 1e-3 }, { "\xc2\xb5s", 1e-3 }, { "ms", 1 },
        { "s", 1e3 }, { "m", 6e4 }, { "h", 3.6e6 }
    };

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        *len = strlen(units[i].name);

        if (strncmp(text, units[i].name, *len) == 0) {
            return units[i].ms;
        }
    }

    return 0;
}


long
vault_duration(const char *text, int seconds)
{
    char    *end;
    size_t   len;
    double   n, ms, sum = 0;

    if (*text == '+') {
        text++;
    }

    if (strcmp(text, "0") == 0) {
        return 0;
    }

    if (seconds && text[strspn(text, "0123456789")] == '\0' && *text) {
        return strlen(text) > 9 ? -1 : strtol(text, NULL, 10) * 1000;
    }

    do {
        if (!isdigit((unsigned char) *text) && *text != '.') {
            return -1;
        }

        n = strtod(text, &end);
        ms = unit(end, &len);

        if (end == text || ms == 0) {
            return -1;
        }

        sum += n * ms;
        text = end + len;

    } while (*text);

    return sum > 1e12 ? -1 : (long) sum;
}
