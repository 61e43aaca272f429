/*
 * jobs - what they do, and how often.
 */

#include "jobs.h"
#include "mailer.h"
#include "upload.h"
#include "../files/files.h"
#include "../model/proof.h"
#include "../model/purge.h"
#include "../model/stage.h"


#define HOUR  (3600 * (int64_t) 1000)
#define DAY   (24 * HOUR)

/*
 * Promised and not kept for so long: no upload of it is still going on, even
 * of 256 MB at 300 kbit/s.
 */
#define UPLOAD_LIFE   (2 * HOUR)

/*
 * Older files have no link left with which they could be stored again: a
 * promise ends after UPLOAD_LIFE, its last link begins in that time, and the
 * rest is for a slow client.
 */
#define LINKS_LIFE    (2 * UPLOAD_LIFE)

#define DEVICE_LIFE   (30 * DAY)
#define SWEEP_LIFE    DAY
#define STAGE_LIFE    (HOUR / 4)      /* no request takes as long */
#define MARK_LIFE     HOUR            /* nobody asks for longer */
#define PROOF_LIFE    DAY             /* after its end: for who asks again */
#define FILES_BATCH   200
#define HEADS_BATCH   50              /* each is a question to the store */


static vault_job_end_e  job_sends(vault_request_t *vr, vault_jobs_run_t *run);
static vault_job_end_e  job_trash(vault_request_t *vr, vault_jobs_run_t *run);
static vault_job_end_e  job_uploads(vault_request_t *vr,
    vault_jobs_run_t *run);
static vault_job_end_e  job_orphans(vault_request_t *vr,
    vault_jobs_run_t *run);
static vault_job_end_e  job_files(vault_request_t *vr, vault_jobs_run_t *run);
static vault_job_end_e  job_devices(vault_request_t *vr,
    vault_jobs_run_t *run);
static vault_job_end_e  job_sweep(vault_request_t *vr, vault_jobs_run_t *run);
static vault_job_end_e  job_mails(vault_request_t *vr, vault_jobs_run_t *run);
static vault_job_end_e  job_proofs(vault_request_t *vr,
    vault_jobs_run_t *run);
static vault_job_end_e  job_marks(vault_request_t *vr, vault_jobs_run_t *run);
static vault_job_end_e  job_stages(vault_request_t *vr,
    vault_jobs_run_t *run);


/* Those that doom files come before the one that deletes them. */

const vault_job_work_t  vault_jobs_table[] = {
    { "sends",   5,    "Sends deleted",         job_sends   },
    { "trash",   60,   "items deleted",         job_trash   },
    { "uploads", 15,   "uploads dealt with",    job_uploads },
    { "orphans", 1440, "leftovers", job_orphans },
    { "files",   1,    "files deleted",         job_files   },
    { "devices", 1440, "devices forgotten",     job_devices },
    { "sweep",   1440, "folders swept",         job_sweep   },
    { "mails",   1,    "mails dealt with",      job_mails   },
    { "proofs",  60,   "old codes forgotten",   job_proofs  },
    { "marks",   60,   "old marks forgotten",   job_marks   },
    { "stages",  15,   "stages ended",          job_stages  },
    { NULL, 0, NULL, NULL }
};


static vault_job_end_e
job_purged(vault_jobs_run_t *run, vault_purge_t done)
{
    run->count += done.deleted;

    return done.more ? VAULT_JOB_MORE : VAULT_JOB_DONE;
}


static vault_job_end_e
job_sends(vault_request_t *vr, vault_jobs_run_t *run)
{
    return job_purged(run, vault_purge_sends(vr, vault_now()));
}


static vault_job_end_e
job_trash(vault_request_t *vr, vault_jobs_run_t *run)
{
    int64_t  before;

    if (vr->conf->trash == 0) {
        return VAULT_JOB_DONE;        /* kept for ever */
    }

    before = vault_now() - (int64_t) vr->conf->trash * 1000;

    return job_purged(run, vault_purge_trash(vr, before));
}


static vault_job_end_e
job_orphans(vault_request_t *vr, vault_jobs_run_t *run)
{
    vault_job_end_e  files, sends;

    files = job_purged(run, vault_purge_orphans(vr));
    sends = job_purged(run, vault_purge_empty_sends(vr));

    return ngx_min(files, sends);     /* more, or done */
}


/* An access token outlives its device's last sign-in by access_life. */
static vault_job_end_e
job_devices(vault_request_t *vr, vault_jobs_run_t *run)
{
    int64_t  life;

    life = (int64_t) vr->conf->access_life * 1000;
    life = ngx_max(life, DEVICE_LIFE);

    return job_purged(run, vault_purge_devices(vr, vault_now() - life));
}


static vault_job_end_e
job_sweep(vault_request_t *vr, vault_jobs_run_t *run)
{
    vault_files_sweep(vr, vault_now() - SWEEP_LIFE);

    return VAULT_JOB_DONE;
}


/* What no task after an answer has sent, and what is to be tried again. */
static vault_job_end_e
job_mails(vault_request_t *vr, vault_jobs_run_t *run)
{
    ngx_uint_t  more;

    run->count += vault_mailer_run(vr, &more);

    return more ? VAULT_JOB_MORE : VAULT_JOB_DONE;
}


static vault_job_end_e
job_proofs(vault_request_t *vr, vault_jobs_run_t *run)
{
    int64_t  n;

    n = vault_proof_purge(vr, vault_now() - PROOF_LIFE);
    run->count += n;

    return n == VAULT_PROOF_ROWS ? VAULT_JOB_MORE : VAULT_JOB_DONE;
}


static vault_job_end_e
job_marks(vault_request_t *vr, vault_jobs_run_t *run)
{
    int64_t  n;

    n = vault_db_forget_marks(vr, vault_now() - MARK_LIFE);
    run->count += n;

    return n == VAULT_DB_MARKS ? VAULT_JOB_MORE : VAULT_JOB_DONE;
}


/* What nobody came back for. */
static vault_job_end_e
job_stages(vault_request_t *vr, vault_jobs_run_t *run)
{
    int64_t  n;

    n = vault_stage_sweep(vr, vault_now() - STAGE_LIFE);
    run->count += n;

    return n ? VAULT_JOB_MORE : VAULT_JOB_DONE;
}


/* The walk through files: what stays where it is must not be met again. */

static ngx_array_t *
walk_next(vault_request_t *vr, vault_jobs_run_t *run, int64_t before,
    ngx_uint_t most)
{
    ngx_array_t   *files;
    vault_file_t   after, *file;

    after.created_at = run->at;
    after.id.data = run->id;
    after.id.len = sizeof(run->id);

    files = vault_file_old(vr, run->state, before,
                           run->at == -1 ? NULL : &after, most);

    if (files->nelts) {
        file = files->elts;
        file += files->nelts - 1;

        run->at = file->created_at;
        ngx_memcpy(run->id, file->id.data,
                   ngx_min(file->id.len, sizeof(run->id)));
    }

    return files;
}


static void
array_init(vault_request_t *vr, ngx_array_t *array, ngx_uint_t n)
{
    if (ngx_array_init(array, vr->pool, n, sizeof(ngx_str_t)) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "No memory.");
    }
}


static vault_job_end_e
files_batch(vault_request_t *vr, vault_jobs_run_t *run,
    const ngx_array_t *files)
{
    ngx_str_t     *name;
    ngx_uint_t     i;
    ngx_array_t    names, gone;
    vault_file_t  *file = files->elts;

    array_init(vr, &names, files->nelts);
    array_init(vr, &gone, files->nelts);

    for (i = 0; i < files->nelts; i++) {
        name = ngx_array_push(&names);    /* there is room */
        *name = file[i].id;
    }

    vault_files_delete(vr, &names, &gone);

    if (gone.nelts == 0) {
        run->left += files->nelts;
        return VAULT_JOB_FAILED;      /* the store is out of reach */
    }

    vault_file_forget(vr, &gone, vault_now() - LINKS_LIFE);

    run->left += files->nelts - gone.nelts;
    run->count += gone.nelts;

    return VAULT_JOB_MORE;
}


/* First what was doomed, then once more what has got too old for its links. */
static vault_job_end_e
job_files(vault_request_t *vr, vault_jobs_run_t *run)
{
    int64_t       before;
    ngx_array_t  *files;

    before = run->state == VAULT_FILE_DOOMED ? INT64_MAX
                                             : vault_now() - LINKS_LIFE;
    files = walk_next(vr, run, before, FILES_BATCH);

    if (files->nelts) {
        return files_batch(vr, run, files);
    }

    if (run->state == VAULT_FILE_DELETED) {
        return VAULT_JOB_DONE;
    }

    run->state = VAULT_FILE_DELETED;
    run->at = -1;

    return VAULT_JOB_MORE;
}


/* Who stored into the bucket did not tell us.  0 if the store is silent. */
static ngx_uint_t
upload_end(vault_request_t *vr, const vault_file_t *file)
{
    off_t      size;
    ngx_int_t  rc = NGX_DECLINED;

    if (vr->conf->upload == VAULT_UPLOAD_BUCKET) {
        rc = vault_files_head(vr, &file->id, &size);

        if (rc == NGX_OK && size == (off_t) file->size) {
            (void) vault_file_settle(vr, file);
            return 1;
        }
    }

    if (rc == NGX_ERROR) {
        return 0;
    }

    (void) vault_file_doom(vr, file);

    return 1;
}


static vault_job_end_e
job_uploads(vault_request_t *vr, vault_jobs_run_t *run)
{
    ngx_uint_t     i, silent = 0;
    ngx_array_t   *files;
    vault_file_t  *file;

    run->state = VAULT_FILE_PENDING;
    files = walk_next(vr, run, vault_now() - UPLOAD_LIFE, HEADS_BATCH);
    file = files->elts;

    for (i = 0; i < files->nelts; i++) {
        if (upload_end(vr, &file[i])) {
            run->count++;

        } else if (++silent == 3) {
            run->left += silent;
            return VAULT_JOB_FAILED;
        }
    }

    run->left += silent;

    return files->nelts == HEADS_BATCH ? VAULT_JOB_MORE : VAULT_JOB_DONE;
}
