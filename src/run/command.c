/*
 * Three processes: the worker, a watcher, the program.  The watcher is what
 * nginx reaps; it tells the status through a pipe, and kills the program's
 * group when its time is up.
 */

#include <ngx_config.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"


typedef struct {
    char        **argv;
    ngx_msec_t    timeout;
    ngx_int_t     status;
} job_t;


/* In the program's process, of which only signal-safe functions are asked. */
static void
become(char **argv)
{
    int       fd, sig;
    sigset_t  none;

    for (sig = 1; sig < NSIG; sig++) {
        (void) signal(sig, SIG_DFL);
    }

    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    (void) setpgid(0, 0);

    fd = open("/dev/null", O_RDWR);

    if (fd != -1) {
        (void) dup2(fd, STDIN_FILENO);
        (void) dup2(fd, STDOUT_FILENO);
    }

    (void) close_range(3, ~0U, 0);
    (void) execv(argv[0], argv);

    _exit(127);
}


static void
watch(int out, char **argv, ngx_msec_t timeout)
{
    int         status = 0;
    pid_t       pid, ended = 0;
    ngx_msec_t  waited;

    (void) signal(SIGCHLD, SIG_DFL);

    pid = fork();

    if (pid == 0) {
        become(argv);
    }

    for (waited = 0; pid > 0 && waited < timeout; waited += 10) {
        ended = waitpid(pid, &status, WNOHANG);

        if (ended != 0) {
            break;
        }

        (void) poll(NULL, 0, 10);
    }

    if (pid > 0 && ended == 0) {
        (void) kill(-pid, SIGKILL);
        (void) waitpid(pid, &status, 0);
        status = VAULT_COMMAND_LATE;

    } else {
        status = pid < 0 ? 127 : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                                     : WEXITSTATUS(status);
    }

    (void) !write(out, &status, sizeof(status));
    _exit(0);
}


static void
work(void *data, ngx_log_t *log)
{
    int     fd[2], status;
    job_t  *job = data;
    pid_t   pid;

    if (pipe(fd) == -1) {
        return;
    }

    pid = fork();

    if (pid == 0) {
        (void) close(fd[0]);
        watch(fd[1], job->argv, job->timeout);
    }

    (void) close(fd[1]);

    while (pid > 0) {
        if (read(fd[0], &status, sizeof(status)) == sizeof(status)) {
            job->status = status;
            break;
        }

        if (ngx_errno != NGX_EINTR) {
            break;
        }
    }

    (void) close(fd[0]);
}


void
vault_command_run(vault_request_t *vr, char **argv, ngx_msec_t timeout,
    ngx_int_t *status)
{
    job_t  *job;

    job = vault_alloc(vr, sizeof(job_t));
    job->argv = argv;
    job->timeout = timeout;
    job->status = 127;

    vault_thread_run(vr, VAULT_THREAD_IO, work, job);

    *status = job->status;
}
