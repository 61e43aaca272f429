/*
 * Where everything is, and becoming nginx.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"

static vault_launch_t  launch;


void
vault_fail(const char *type, const char *fmt, ...)
{
    char     why[1024];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);

    fprintf(stderr, "%s: cannot start: %s\n", launch.name, why);
    vault_report(launch.name, type, why);
    exit(1);
}


void
vault_warn(const char *fmt, ...)
{
    char     why[1024];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);

    fprintf(stderr, "%s: %s\n", launch.name, why);
}


/* /opt/extensions/NAME has its things in /opt/NAME. */
static void
find_home(void)
{
    char     path[VAULT_PATH / 2], *slash;
    ssize_t  n;

    n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n <= 0) {
        vault_fail("Extension.Broken", "/proc/self/exe: %s", strerror(errno));
    }

    path[n] = '\0';
    slash = strrchr(path, '/');
    (void) snprintf(launch.name, sizeof(launch.name), "%s", slash + 1);

    *slash = '\0';
    slash = strrchr(path, '/');

    if (slash) {
        *slash = '\0';
    }

    (void) snprintf(launch.home, sizeof(launch.home), "%s/%s", path,
                    launch.name);
}


static void
make_temp(void)
{
    const char  *dir = vault_env("TMPDIR");

    (void) snprintf(launch.temp, sizeof(launch.temp), "%s/.%s",
                    dir ? dir : "/tmp", launch.name);

    if (mkdir(launch.temp, 0700) == -1 && errno != EEXIST) {
        vault_fail("Extension.NoFolder", "cannot make the folder %s: %s",
                   launch.temp, strerror(errno));
    }
}


/* In memory, under a name that nginx can open. */
static const char *
keep(const char *text)
{
    int          fd;
    size_t       size = strlen(text);
    static char  path[32];

    fd = memfd_create("nginx.conf", 0);

    if (fd == -1 || write(fd, text, size) != (ssize_t) size) {
        vault_fail("Extension.Broken", "memfd_create: %s", strerror(errno));
    }

    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

    return path;
}


int
main(int argc, char **argv)
{
    char  loader[VAULT_PATH + 16], lib[VAULT_PATH + 16];
    char  nginx[VAULT_PATH + 16], *command[16];
    int   n = 0;

    find_home();

    if (argc == 2 && strcmp(argv[1], "-t") == 0) {
        fputs(vault_configuration(&launch), stdout);
        return 0;
    }

    make_temp();

    /* where AWS is asked: STS, for another role */
    (void) snprintf(lib, sizeof(lib), "%s/ca.pem", launch.home);
    (void) setenv("AWS_CA_BUNDLE", lib, 0);

    /* the image's is for another OpenSSL, and takes time to read */
    (void) setenv("OPENSSL_CONF", "/dev/null", 1);

    (void) snprintf(loader, sizeof(loader), "%s/lib/ld.so", launch.home);
    (void) snprintf(lib, sizeof(lib), "%s/lib", launch.home);
    (void) snprintf(nginx, sizeof(nginx), "%s/nginx", launch.home);

    command[n++] = loader;
    command[n++] = (char *) "--inhibit-cache";
    command[n++] = (char *) "--library-path";
    command[n++] = lib;
    command[n++] = nginx;
    command[n++] = (char *) "-e";
    command[n++] = (char *) "stderr";
    command[n++] = (char *) "-p";
    command[n++] = launch.temp;
    command[n++] = (char *) "-c";
    command[n++] = (char *) keep(vault_configuration(&launch));
    command[n] = NULL;

    (void) execv(loader, command);

    vault_fail("Extension.Broken", "%s: %s", loader, strerror(errno));
}
