/*
 * Import: a whole vault in one request, all or nothing, by three statements
 * whatever its size, or by a stage where that is too much for a transaction.
 */

#include "../run/route.h"
#include "../rules/session.h"
#include "../model/cipher.h"
#include "../model/folder.h"
#include "../model/id.h"
#include "../model/stage.h"
#include "cipher_form.h"


#define IMPORT_CIPHERS  20000
#define IMPORT_FOLDERS  5000


static void  import_ciphers(vault_request_t *vr);


const vault_route_t  vault_import_routes[] = {
    { POST, "/api/ciphers/import", import_ciphers, VAULT_USER,
                                                   VAULT_BODY_BULK },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t  id;                    /* of one that is there already */
    ngx_str_t  name;
} folder_form_t;

typedef struct {
    int64_t  cipher;                  /* indexes into the lists */
    int64_t  folder;
} link_form_t;

typedef struct {
    ngx_array_t  ciphers;             /* of vault_cipher_form_t */
    ngx_array_t  folders;             /* of folder_form_t */
    ngx_array_t  links;               /* of link_form_t */
} import_form_t;

static const vault_range_t  index_range = { 0, IMPORT_CIPHERS };

static const vault_field_t  folder_fields[] = {
    { "id", VAULT_UUID, offsetof(folder_form_t, id) },
    { "name", VAULT_ENC, offsetof(folder_form_t, name), VAULT_REQUIRED, 1000 },
    VAULT_FIELDS_END
};

static const vault_field_t  link_fields[] = {
    { "key", VAULT_INT, offsetof(link_form_t, cipher), VAULT_REQUIRED, 0,
      &index_range },
    { "value", VAULT_INT, offsetof(link_form_t, folder), VAULT_REQUIRED, 0,
      &index_range },
    VAULT_FIELDS_END
};

static const vault_shape_t  folder_shape =
    VAULT_SHAPE(folder_fields, folder_form_t);
static const vault_shape_t  link_shape =
    VAULT_SHAPE(link_fields, link_form_t);

static const vault_field_t  import_fields[] = {
    { "ciphers", VAULT_LIST, offsetof(import_form_t, ciphers),
      VAULT_REQUIRED, IMPORT_CIPHERS, &vault_cipher_form },
    { "folders", VAULT_LIST, offsetof(import_form_t, folders), 0,
      IMPORT_FOLDERS, &folder_shape },
    { "folderRelationships", VAULT_LIST, offsetof(import_form_t, links), 0,
      IMPORT_CIPHERS, &link_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  import_form =
    VAULT_SHAPE(import_fields, import_form_t);


static void  ciphers_check(vault_request_t *vr, import_form_t *form);
static ngx_array_t  *folders_create(vault_request_t *vr, import_form_t *form);
static ngx_array_t  *folders_known(vault_request_t *vr);
static int  folder_compare(const void *one, const void *two);
static void  import_staged(vault_request_t *vr, const import_form_t *form,
    const ngx_array_t *created);
static void  stage_folders(vault_stage_t *stage, const ngx_array_t *created);
static void  ciphers_link(import_form_t *form);
static ngx_str_t  folders_rows(vault_request_t *vr, const ngx_array_t *folders);


static void
import_ciphers(vault_request_t *vr)
{
    ngx_str_t        ciphers, folders;
    ngx_array_t     *created;
    import_form_t    form;
    vault_change_t  *change;

    vault_json_read(vr, &import_form, &form);

    ciphers_check(vr, &form);
    created = folders_create(vr, &form);              /* awaits */
    ciphers_link(&form);

    ciphers = vault_cipher_form_rows(vr, form.ciphers.elts,
                                     form.ciphers.nelts);      /* awaits */
    folders = folders_rows(vr, created);

    if (!vault_db_fits(vr, form.ciphers.nelts + created->nelts + 1,
                       ciphers.len + folders.len))
    {
        import_staged(vr, &form, created);            /* awaits */
        vault_reply_empty(vr, NGX_HTTP_OK);
        return;
    }

    change = vault_change(vr, vault_me(vr));

    if (created->nelts) {
        vault_folder_insert_rows(change, &folders);
    }

    if (form.ciphers.nelts) {
        vault_cipher_insert_rows(change, &ciphers);
    }

    vault_change_commit(change);                      /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
import_staged(vault_request_t *vr, const import_form_t *form,
    const ngx_array_t *created)
{
    vault_stage_t   *stage;
    vault_change_t  *change;

    stage = vault_stage(vr, vault_me(vr));

    stage_folders(stage, created);
    vault_cipher_form_stage(stage, VAULT_STAGE_CIPHERS, form->ciphers.elts,
                            form->ciphers.nelts);

    change = vault_change(vr, vault_me(vr));
    vault_cipher_require_room(change);

    if (created->nelts) {
        vault_folder_require_room(change);
    }

    vault_stage_commit(stage, change);
    vault_change_commit(change);

    vault_stage_fold(vr, &vault_me(vr)->id, &stage->id);
}


static void
stage_folders(vault_stage_t *stage, const ngx_array_t *created)
{
    ngx_str_t    rows;
    ngx_uint_t   i;
    ngx_array_t  some;

    for (i = 0; i < created->nelts; i += VAULT_STAGE_ROWS) {
        some = *created;
        some.elts = (folder_form_t *) created->elts + i;
        some.nelts = ngx_min(created->nelts - i, VAULT_STAGE_ROWS);

        rows = folders_rows(stage->vr, &some);
        vault_stage_add(stage, VAULT_STAGE_FOLDERS, &rows);
    }
}


static void
ciphers_check(vault_request_t *vr, import_form_t *form)
{
    ngx_uint_t            i;
    vault_cipher_form_t  *cipher;

    cipher = form->ciphers.elts;

    for (i = 0; i < form->ciphers.nelts; i++) {
        vault_cipher_form_check(vr, &cipher[i]);

        cipher[i].id = vault_id_create(vr);
        ngx_str_null(&cipher[i].folder_id);   /* of another vault */
    }
}


/* A folder that the user has already is used again; the others get an id. */

static ngx_array_t *
folders_create(vault_request_t *vr, import_form_t *form)
{
    ngx_uint_t       i;
    ngx_array_t     *known, *created;
    folder_form_t   *folder, *new;
    vault_folder_t   key;

    known = NULL;
    folder = form->folders.elts;

    created = ngx_array_create(vr->pool, form->folders.nelts + 1,
                               sizeof(folder_form_t));
    if (created == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    for (i = 0; i < form->folders.nelts; i++) {

        if (folder[i].id.data) {
            known = known ? known : folders_known(vr);
            key.id = folder[i].id;

            if (bsearch(&key, known->elts, known->nelts,
                        sizeof(vault_folder_t), folder_compare))
            {
                continue;
            }
        }

        folder[i].id = vault_id_create(vr);

        new = ngx_array_push(created);        /* there is room */
        *new = folder[i];
    }

    return created;
}


static ngx_array_t *
folders_known(vault_request_t *vr)
{
    ngx_array_t  *folders;

    folders = vault_folder_list(vr, vault_me(vr));

    qsort(folders->elts, folders->nelts, sizeof(vault_folder_t),
          folder_compare);

    return folders;
}


static int
folder_compare(const void *one, const void *two)
{
    const vault_folder_t  *a = one, *b = two;

    return ngx_memn2cmp(a->id.data, b->id.data, a->id.len, b->id.len);
}


/* Links that lead nowhere are passed over, as the official server does. */

static void
ciphers_link(import_form_t *form)
{
    ngx_uint_t            i;
    link_form_t          *link;
    folder_form_t        *folder;
    vault_cipher_form_t  *cipher;

    link = form->links.elts;
    cipher = form->ciphers.elts;
    folder = form->folders.elts;

    for (i = 0; i < form->links.nelts; i++) {

        if ((ngx_uint_t) link[i].cipher < form->ciphers.nelts
            && (ngx_uint_t) link[i].folder < form->folders.nelts)
        {
            cipher[link[i].cipher].folder_id = folder[link[i].folder].id;
        }
    }
}


static ngx_str_t
folders_rows(vault_request_t *vr, const ngx_array_t *folders)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_rows(w, NULL, &folder_shape, folders);

    return vault_written(vr, w);
}
