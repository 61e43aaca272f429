/*
 * nginx.conf, of the environment.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "launch.h"


#define INVALID  "Extension.ConfigInvalid"
#define LISTEN   "127.0.0.1:8200"
#define ROOM     (256 * 1024)

static char    text[ROOM];
static size_t  len;


void
vault_say(const char *fmt, ...)
{
    int      n;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(text + len, ROOM - len, fmt, args);
    va_end(args);

    if (n < 0 || len + n >= ROOM) {
        vault_fail(INVALID, "the environment is too large");
    }

    len += n;
}


/* "name=value" as one word of nginx's. */
const char *
vault_quote(const char *name, const char *value)
{
    char        *word, *p;
    size_t       size;
    const char  *c;

    size = strlen(name) + 2 * strlen(value) + 4;
    word = malloc(size);

    if (word == NULL) {
        exit(1);
    }

    p = word + snprintf(word, size, "\"%s", name);

    for (c = value; *c; c++) {

        if ((unsigned char) *c < ' ') {
            vault_fail(INVALID, "a value has a control character: %s%.40s",
                       name, value);
        }

        if (*c == '"' || *c == '\\') {
            *p++ = '\\';
        }

        *p++ = *c;
    }

    *p++ = '"';
    *p = '\0';

    return word;
}


static void
say_option(const char *name, const char *value)
{
    if (value) {
        vault_say(" %s", vault_quote(name, value));
    }
}


static void
say_file(const char *name, const char *variable)
{
    const char  *path = vault_env(variable);

    if (path && access(path, R_OK) == -1) {
        vault_fail(INVALID, "%s=%s cannot be read: %s", variable, path,
                   strerror(errno));
    }

    say_option(name, path);
}


static void
say_duration(const char *name, const char *variable, int seconds)
{
    long         ms;
    const char  *value = vault_env(variable);

    if (value == NULL) {
        return;
    }

    ms = vault_duration(value, seconds);

    if (ms < 0) {
        vault_fail(INVALID, "%s=%s is no duration, as 10s or 1m30s",
                   variable, value);
    }

    /* a timeout of 0 is none to Vault's client, and to us the default */
    if (ms || !seconds) {
        vault_say(" %s%ldms", name, ms ? ms : 1);
    }
}


/* The Vault */

static void
check_host(const char *host, const char *value)
{
    char        *end;
    long         port = 1;
    const char  *p = *host == '[' ? strchr(host, ']') : host;

    p = p ? strchr(p, ':') : NULL;

    if (p) {
        port = strtol(p + 1, &end, 10);
        port = p[1] < '0' || p[1] > '9' || *end ? 0 : port;
    }

    if (*host == '\0' || p == host || port < 1 || port > 65535
        || strpbrk(host, "@ \t"))
    {
        vault_fail(INVALID, "the address of the Vault has no host, or a port "
                   "or name that is none: \"%s\"", value);
    }
}


/* Scheme and host: a path is dropped, as HashiCorp's extension does. */
static const char *
address(void)
{
    char        *url, *host, *p;
    const char  *value = vault_env("VLE_VAULT_ADDR");

    if (value == NULL) {
        value = vault_env("VAULT_ADDR");
    }

    if (value == NULL || vault_env("VAULT_AUTH_PROVIDER") == NULL
        || vault_env("VAULT_AUTH_ROLE") == NULL)
    {
        vault_fail(INVALID, "missing VLE_VAULT_ADDR, VAULT_ADDR, "
                   "VAULT_AUTH_PROVIDER or VAULT_AUTH_ROLE environment "
                   "variables");
    }

    url = strdup(value);
    host = strstr(url, "://");

    if (host == NULL || (strncasecmp(url, "https://", 8) != 0
                         && strncasecmp(url, "http://", 7) != 0))
    {
        vault_fail(INVALID, "the address of the Vault must be as "
                   "https://vault.example.com:8200, and is \"%s\"", value);
    }

    for (p = url; p < host; p++) {
        *p = tolower((unsigned char) *p);
    }

    host += 3;
    host[strcspn(host, "/?#")] = '\0';
    check_host(host, value);

    return url;
}


/* Where the system has its authorities differs from image to image. */
static void
say_authorities(const vault_launch_t *launch)
{
    char         path[VAULT_PATH + 16];
    FILE        *file;
    const char  *bytes = vault_env("VAULT_CACERT_BYTES");

    if (bytes) {
        if (!strstr(bytes, "-----BEGIN CERTIFICATE-----")
            || !strstr(bytes, "-----END CERTIFICATE-----"))
        {
            vault_fail(INVALID, "VAULT_CACERT_BYTES has no certificate as "
                       "PEM: -----BEGIN CERTIFICATE-----");
        }

        (void) snprintf(path, sizeof(path), "%.4000s/ca.pem", launch->temp);
        file = fopen(path, "w");

        if (file == NULL || fputs(bytes, file) == EOF || fputc('\n', file)
            == EOF || fclose(file) == EOF)
        {
            vault_fail("Extension.NoFolder", "cannot write %s: %s", path,
                       strerror(errno));
        }

        say_option("ca=", path);
        return;
    }

    say_file("ca=", "VAULT_CACERT");
    say_file("capath=", "VAULT_CAPATH");

    if (!vault_env("VAULT_CACERT") && !vault_env("VAULT_CAPATH")) {
        (void) snprintf(path, sizeof(path), "%.4000s/certs", launch->home);
        say_option("capath=", path);
    }
}


/* What nginx would refuse too, but in words that only its log hears. */
static void
check_values(void)
{
    size_t       len;
    const char  *region = vault_env("VAULT_STS_ENDPOINT_REGION");

    len = region ? strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

    if (region && (region[len] || len > 32)) {
        vault_fail(INVALID, "VAULT_STS_ENDPOINT_REGION=%s is no region, as "
                   "eu-west-1", region);
    }

    if (!vault_env("VAULT_CLIENT_CERT") != !vault_env("VAULT_CLIENT_KEY")) {
        vault_fail(INVALID, "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY need "
                   "each other, and one is missing");
    }
}


static void
say_vault(const vault_launch_t *launch)
{
    const char  *url = address(), *retries;

    check_values();

    vault_say("    vault_agent");
    say_option("", url);
    say_option("namespace=", vault_env("VAULT_NAMESPACE"));

    if (strncasecmp(url, "https", 5) == 0) {
        say_authorities(launch);
        say_file("cert=", "VAULT_CLIENT_CERT");
        say_file("key=", "VAULT_CLIENT_KEY");
        say_option("server_name=", vault_env("VAULT_TLS_SERVER_NAME"));

        if (vault_env_bool("VAULT_SKIP_VERIFY", 1)) {
            vault_say(" verify=off");
        }
    }

    say_duration("timeout=", "VAULT_CLIENT_TIMEOUT", 1);
    say_duration("grace=", "VAULT_TOKEN_EXPIRY_GRACE_PERIOD", 0);

    retries = vault_env("VAULT_MAX_RETRIES");

    if (retries && (retries[strspn(retries, "0123456789")]
                    || strlen(retries) > 2))
    {
        vault_fail(INVALID, "VAULT_MAX_RETRIES=%s is no number up to 99",
                   retries);
    }

    say_option("retries=", retries);

    if (vault_env_bool("VLE_REVOKE_TOKEN", 1)) {
        vault_say(" revoke=on");
    }

    vault_say(";\n    vault_agent_auth aws");
    say_option("mount=", vault_env("VAULT_AUTH_PROVIDER"));
    say_option("role=", vault_env("VAULT_AUTH_ROLE"));
    say_option("server_id=", vault_env("VAULT_IAM_SERVER_ID"));
    say_option("sts_region=", vault_env("VAULT_STS_ENDPOINT_REGION"));
    say_option("assume_role=", vault_env("VAULT_ASSUMED_ROLE_ARN"));
    vault_say(";\n");
}


static void
name_unused(void)
{
    size_t              i;
    static const char  *names[] = { "VAULT_RATE_LIMIT", "VAULT_SRV_LOOKUP",
                                    "VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY",
                                    "HTTPS_PROXY", "HTTP_PROXY" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (vault_env(names[i])) {
            vault_warn("%s has no effect", names[i]);
        }
    }
}


/* The proxy */

static void
listen_failed(const char *listen)
{
    vault_fail("Extension.ListenFailed", "failed to listen on %s: %s; "
               "VLE_LISTEN gives another address", listen, strerror(errno));
}


/* One that is left over refuses connections, and would be in the way. */
static void
check_socket(const char *listen, const char *path)
{
    int                 fd;
    struct stat         info;
    struct sockaddr_un  sun;

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;

    if (*path == '\0' || strlen(path) >= sizeof(sun.sun_path)) {
        vault_fail(INVALID, "VLE_LISTEN must be as unix:/tmp/vault.sock, and "
                   "no longer than %zu bytes: \"%s\"", sizeof(sun.sun_path),
                   listen);
    }

    memcpy(sun.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) == -1
        && errno == ECONNREFUSED && lstat(path, &info) == 0
        && S_ISSOCK(info.st_mode))
    {
        (void) unlink(path);
    }

    (void) close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *) &sun, sizeof(sun)) == -1) {
        listen_failed(listen);
    }

    (void) unlink(path);
    (void) close(fd);
}


/* nginx would try for seconds, and say it in five lines. */
static void
check_listen(const char *listen)
{
    int                 fd, on = 1;
    char               *host = strdup(listen), *colon = strrchr(host, ':');
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;

    if (strncmp(listen, "unix:", 5) == 0) {
        check_socket(listen, listen + 5);
        return;
    }

    if (colon) {
        *colon = '\0';
        sin.sin_port = htons(strtoul(colon + 1, NULL, 10));
    }

    if (colon == NULL || inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
        vault_fail(INVALID, "VLE_LISTEN must be as 127.0.0.1:8200 or "
                   "unix:/tmp/vault.sock, and is \"%s\"", listen);
    }

    fd = socket(AF_INET, SOCK_STREAM, 0);
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));

    if (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        listen_failed(listen);
    }

    (void) close(fd);
}


static void
say_cache(void)
{
    long         ms;
    const char  *ttl = vault_env("VAULT_DEFAULT_CACHE_TTL");

    ms = ttl ? vault_duration(ttl, 0) : 0;

    if (ttl && ms <= 0) {
        vault_warn("VAULT_DEFAULT_CACHE_TTL=%s is no duration above zero: "
                   "nothing is cached", ttl);
    }

    if (ms > 0) {
        vault_say("            vault_agent_cache 1m ttl=%ldms default=%s;\n",
                  ms, vault_env_bool("VAULT_DEFAULT_CACHE_ENABLED", 0)
                      ? "on" : "off");
    }
}


static void
say_proxy(void)
{
    const char  *listen = vault_env("VLE_LISTEN");

    listen = listen ? listen : LISTEN;
    check_listen(listen);

    vault_say("    server {\n        listen %s;\n",
              vault_quote("", listen));
    vault_say("        client_max_body_size 32m;\n"
              "        location / {\n"
              "            vault_agent on;\n"
              "            vault_agent_require_header off;\n"
              "            vault_agent_own_token on;\n");
    say_cache();
    vault_say("        }\n    }\n");
}


static const char *
log_level(void)
{
    size_t       i;
    const char  *value = vault_env("VAULT_LOG_LEVEL");

    static const char  *levels[][2] = {
        { "TRACE", "debug" }, { "DEBUG", "info" }, { "INFO", "notice" },
        { "WARN", "warn" }, { "ERROR", "error" }, { "OFF", "emerg" }
    };

    for (i = 0; value && i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcasecmp(value, levels[i][0]) == 0) {
            return levels[i][1];
        }
    }

    return "notice";
}


static void
say_head(const vault_launch_t *launch)
{
    vault_say("daemon off;\nmaster_process off;\nworker_processes 1;\n"
              "pid %s/pid;\nerror_log stderr %s;\n"
              "env SSL_CERT_FILE=%s/ca.pem;\n"
              "events { worker_connections 256; }\nhttp {\n"
              "    access_log off;\n    server_tokens off;\n"
              "    tcp_nodelay on;\n"
              "    keepalive_timeout 1d;\n    keepalive_requests 1000000;\n",
              launch->temp, log_level(), launch->home);

    vault_say("    client_body_temp_path %s/body;\n", launch->temp);
}


const char *
vault_configuration(const vault_launch_t *launch)
{
    int          file, proxy;
    const char  *mode = vault_env("VAULT_RUN_MODE");

    file = mode == NULL || strcasecmp(mode, "proxy") != 0;
    proxy = mode == NULL || strcasecmp(mode, "file") != 0;

    if (mode && file && proxy && strcasecmp(mode, "default") != 0) {
        vault_warn("VAULT_RUN_MODE=%s is none of default, file and proxy: it "
                   "is default", mode);
    }

    name_unused();
    say_head(launch);
    say_vault(launch);

    /* an agent that has neither a file nor a location would do nothing */
    if (file) {
        vault_say_secrets();
    }

    if (proxy) {
        say_proxy();
    }

    vault_say("    vault_agent_extension %s;\n}\n",
              vault_quote("", launch->name));

    return text;
}
