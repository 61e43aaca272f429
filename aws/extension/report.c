/*
 * What keeps the extension from starting, told to Lambda, which takes it of
 * those only who have registered.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "launch.h"


#define ROOM  8192


static int
dial(const char *api)
{
    int                 fd;
    char                host[64];
    const char         *colon = strrchr(api, ':');
    struct timeval      second = { 1, 0 };
    struct sockaddr_in  sin;

    if (colon == NULL || colon - api >= (ptrdiff_t) sizeof(host)) {
        return -1;
    }

    (void) snprintf(host, sizeof(host), "%.*s", (int) (colon - api), api);

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(strtoul(colon + 1, NULL, 10));

    if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1",
                  &sin.sin_addr)
        != 1)
    {
        return -1;
    }

    fd = socket(AF_INET, SOCK_STREAM, 0);

    (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));

    if (connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        (void) close(fd);
        return -1;
    }

    return fd;
}


/* The head of the answer. */
static int
post(const char *path, const char *headers, const char *body, char *answer)
{
    int          fd, len;
    char         request[ROOM];
    ssize_t      n, got = 0;
    const char  *api = vault_env("AWS_LAMBDA_RUNTIME_API");

    fd = api ? dial(api) : -1;

    if (fd == -1) {
        return -1;
    }

    len = snprintf(request, sizeof(request),
                   "POST /2020-01-01/extension/%s HTTP/1.1\r\nHost: %s\r\n%s"
                   "Content-Type: application/json\r\nConnection: close\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   path, api, headers, strlen(body), body);

    if (len >= ROOM || send(fd, request, len, MSG_NOSIGNAL) != len) {
        (void) close(fd);
        return -1;
    }

    do {
        n = recv(fd, answer + got, ROOM - 1 - got, 0);
        got += n > 0 ? n : 0;
        answer[got] = '\0';
    } while (n > 0 && got < ROOM - 1 && strstr(answer, "\r\n\r\n") == NULL);

    (void) close(fd);

    return strncmp(answer, "HTTP/1.1 2", 10) == 0 ? 0 : -1;
}


static void
escape(char *to, size_t size, const char *text)
{
    char  *end = to + size - 3;

    for ( /* void */ ; *text && to < end; text++) {

        if (*text == '"' || *text == '\\') {
            *to++ = '\\';
        }

        *to++ = (unsigned char) *text < ' ' ? ' ' : *text;
    }

    *to = '\0';
}


void
vault_report(const char *name, const char *type, const char *why)
{
    char         answer[ROOM], headers[1024], body[4096], text[2048];
    char        *id;
    static char  field[] = "Lambda-Extension-Identifier:";

    (void) snprintf(headers, sizeof(headers), "Lambda-Extension-Name: %s\r\n",
                    name);

    if (post("register", headers, "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}",
             answer)
        == -1)
    {
        return;
    }

    id = strcasestr(answer, field);

    if (id == NULL) {
        return;
    }

    id += sizeof(field) - 1;
    id += strspn(id, " ");
    id[strcspn(id, "\r\n")] = '\0';

    escape(text, sizeof(text), why);

    (void) snprintf(headers, sizeof(headers),
                    "Lambda-Extension-Identifier: %.128s\r\n"
                    "Lambda-Extension-Function-Error-Type: %s\r\n", id, type);
    (void) snprintf(body, sizeof(body),
                    "{\"errorMessage\":\"%s\",\"errorType\":\"%s\","
                    "\"stackTrace\":[]}", text, type);

    (void) post("init/error", headers, body, answer);
}
