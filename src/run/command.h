/*
 * command - runs a program and awaits its end.
 *
 * Why:    a worker must neither wait for a child nor have it reaped by nginx
 *         before its status is known: a child of the child waits.
 * Use:    vault_command_run() with a NULL-ended argv, argv[0] a path.
 * Owns:   nothing; the program gets no descriptor of ours but the error log's
 *         stderr, no shell, and nginx's environment.
 * Fails:  *status is what it ended with, 128 + n for signal n, 127 if it could
 *         not be started, VAULT_COMMAND_LATE if it was killed for its time.
 * Waits:  vault_command_run() awaits.
 */

#ifndef VAULT_RUN_COMMAND_H
#define VAULT_RUN_COMMAND_H

#include "await.h"


#define VAULT_COMMAND_LATE  1000

void vault_command_run(vault_request_t *vr, char **argv, ngx_msec_t timeout,
    ngx_int_t *status);


#endif
