#include "device.h"


#define DEVICE_SQL                                                            \
    "d.id, d.user_id, d.identifier, d.type, d.name, d.refresh_hash,"          \
    " d.refresh_stamp, d.refresh_expires_at, d.push_token,"                   \
    " d.encrypted_user_key, d.encrypted_public_key,"                          \
    " d.encrypted_private_key, d.created_at, d.seen_at,"                      \
    " CASE WHEN d.encrypted_user_key IS NOT NULL"                             \
    " AND d.encrypted_public_key IS NOT NULL"                                 \
    " AND d.encrypted_private_key IS NOT NULL"                                \
    " THEN 1 ELSE 0 END AS trusted"

#define DEVICE_TEXT(column)                                                   \
    { VAULT_COL_TEXT, #column, offsetof(vault_device_t, column) }
#define DEVICE_INT(column)                                                    \
    { VAULT_COL_INT, #column, offsetof(vault_device_t, column) }


static vault_device_t *device_get(vault_request_t *vr, const char *sql,
    const ngx_str_t *user_id, const ngx_str_t *id);


static const vault_column_t  device_columns[] = {
    DEVICE_TEXT(id),
    DEVICE_TEXT(user_id),
    DEVICE_TEXT(identifier),
    DEVICE_INT(type),
    DEVICE_TEXT(name),
    DEVICE_TEXT(refresh_hash),
    DEVICE_TEXT(refresh_stamp),
    DEVICE_INT(refresh_expires_at),
    DEVICE_TEXT(push_token),
    DEVICE_TEXT(encrypted_user_key),
    DEVICE_TEXT(encrypted_public_key),
    DEVICE_TEXT(encrypted_private_key),
    DEVICE_INT(trusted),
    DEVICE_INT(created_at),
    DEVICE_INT(seen_at),
    VAULT_COLUMNS_END
};

static const vault_row_t  device_row =
    VAULT_ROW(device_columns, vault_device_t);


typedef struct {
    int64_t  devices;
    int64_t  known;
} count_t;

static const vault_column_t  count_columns[] = {
    { VAULT_COL_INT, "devices", offsetof(count_t, devices) },
    { VAULT_COL_INT, "known", offsetof(count_t, known) },
    VAULT_COLUMNS_END
};

static const vault_row_t  count_row = VAULT_ROW(count_columns, count_t);


ngx_array_t *
vault_device_list(vault_request_t *vr, const ngx_str_t *user_id)
{
    return vault_db_list(vr, &device_row,
               "SELECT " DEVICE_SQL
               " FROM devices d"
               " WHERE d.user_id = $1"
               " ORDER BY d.created_at DESC, d.id",
               vault_db_args(S(user_id)));
}


vault_device_t *
vault_device_get(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *id)
{
    return device_get(vr,
               "SELECT " DEVICE_SQL
               " FROM devices d"
               " WHERE d.user_id = $1 AND d.id = $2",
               user_id, id);
}


vault_device_t *
vault_device_get_identifier(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *identifier)
{
    return device_get(vr,
               "SELECT " DEVICE_SQL
               " FROM devices d"
               " WHERE d.user_id = $1 AND d.identifier = $2",
               user_id, identifier);
}


static vault_device_t *
device_get(vault_request_t *vr, const char *sql, const ngx_str_t *user_id,
    const ngx_str_t *id)
{
    vault_device_t  *device;

    device = vault_alloc(vr, sizeof(vault_device_t));

    if (!vault_db_find(vr, &device_row, device, sql,
                       vault_db_args(S(user_id), S(id))))
    {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }

    return device;
}


ngx_uint_t
vault_device_is_known(vault_request_t *vr, const ngx_str_t *email,
    const ngx_str_t *identifier)
{
    vault_device_t  device;

    return vault_db_find(vr, &device_row, &device,
               "SELECT " DEVICE_SQL
               " FROM users u"
               " JOIN devices d ON d.user_id = u.id"
               " WHERE u.email = $1 AND d.identifier = $2",
               vault_db_args(S(email), S(identifier)));
}


int64_t
vault_device_count(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *identifier, ngx_uint_t *known)
{
    count_t  count;

    static const char  sql[] =
        "SELECT COUNT(*) AS devices,"
        " COUNT(CASE WHEN d.identifier = $1 THEN 1 END) AS known"
        " FROM devices d"
        " WHERE d.user_id = $2";

    (void) vault_db_find(vr, &count_row, &count, sql,
                         vault_db_args(S(identifier), S(user_id)));
    *known = count.known != 0;

    return count.devices;
}


ngx_str_t
vault_device_kind(int64_t type)
{
    ngx_str_t    kind;
    const char  *name;

    static const char *const  names[] = {
        "Android app", "iOS app", "Chrome extension", "Firefox extension",
        "Opera extension", "Edge extension", "Windows app", "macOS app",
        "Linux app", "Chrome", "Firefox", "Opera", "Edge",
        "Internet Explorer", "Unknown browser", "Android app", "Windows app",
        "Safari", "Vivaldi", "Vivaldi extension", "Safari extension",
        "SDK", "Server", "Windows command line", "macOS command line",
        "Linux command line", "DuckDuckGo"
    };

    if (type < 0 || type >= (int64_t) (sizeof(names) / sizeof(names[0]))) {
        type = VAULT_DEVICE_UNKNOWN;
    }

    name = names[type];
    kind.data = (u_char *) name;
    kind.len = ngx_strlen(name);

    return kind;
}


void
vault_device_save(vault_request_t *vr, const vault_device_t *device)
{
    (void) vault_db_run(vr,
               "INSERT INTO devices (id, user_id, identifier, type, name,"
               " refresh_hash, refresh_stamp, refresh_expires_at,"
               " created_at, seen_at)"
               " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
               " ON CONFLICT (user_id, identifier) DO UPDATE"
               " SET type = excluded.type,"
               " name = excluded.name,"
               " refresh_hash ="
               " COALESCE(excluded.refresh_hash, devices.refresh_hash),"
               " refresh_stamp ="
               " COALESCE(excluded.refresh_stamp, devices.refresh_stamp),"
               " refresh_expires_at = COALESCE(excluded.refresh_expires_at,"
               " devices.refresh_expires_at),"
               " seen_at = excluded.seen_at",
               vault_db_args(S(&device->id), S(&device->user_id),
                             S(&device->identifier), I(device->type),
                             S(&device->name), S(&device->refresh_hash),
                             S(&device->refresh_stamp),
                             I(device->refresh_expires_at),
                             I(device->created_at), I(device->seen_at)));
}


void
vault_device_extend(vault_request_t *vr, const vault_device_t *device)
{
    (void) vault_db_run(vr,
               "UPDATE devices"
               " SET refresh_expires_at = $1, seen_at = $2"
               " WHERE id = $3 AND refresh_hash = $4",
               vault_db_args(I(device->refresh_expires_at),
                             I(device->seen_at), S(&device->id),
                             S(&device->refresh_hash)));
}


ngx_uint_t
vault_device_set_push_token(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *identifier, const ngx_str_t *token)
{
    return vault_db_run(vr,
               "UPDATE devices"
               " SET push_token = $1"
               " WHERE user_id = $2 AND identifier = $3",
               vault_db_args(S(token), S(user_id), S(identifier))) == 1;
}


ngx_uint_t
vault_device_clear_push_token(vault_request_t *vr, const ngx_str_t *identifier)
{
    return vault_db_run(vr,
               "UPDATE devices"
               " SET push_token = NULL"
               " WHERE identifier = $1",
               vault_db_args(S(identifier))) != 0;
}


ngx_uint_t
vault_device_set_keys(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *identifier, const vault_device_t *keys)
{
    return vault_db_run(vr,
               "UPDATE devices"
               " SET encrypted_user_key = $1, encrypted_public_key = $2,"
               " encrypted_private_key = $3"
               " WHERE user_id = $4 AND identifier = $5",
               vault_db_args(S(&keys->encrypted_user_key),
                             S(&keys->encrypted_public_key),
                             S(&keys->encrypted_private_key),
                             S(user_id), S(identifier))) == 1;
}


ngx_uint_t
vault_device_delete(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *id)
{
    return vault_db_run(vr,
               "DELETE FROM devices"
               " WHERE user_id = $1 AND id = $2",
               vault_db_args(S(user_id), S(id))) == 1;
}


/*
 * The private key of a device is wrapped by a key that never leaves it, so it
 * outlives a rotation; where the user key is gone it is of no use.
 */

int64_t
vault_device_rotate(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *keys)
{
    int64_t            changed;
    vault_db_batch_t  *batch;

    batch = vault_db_batch(vr);

    vault_db_batch_add(batch, NULL,
        "UPDATE devices"
        " SET encrypted_user_key = NULL, encrypted_public_key = NULL,"
        " encrypted_private_key = NULL"
        " WHERE user_id = $1 AND encrypted_user_key IS NOT NULL"
        " AND id NOT IN"
        " (SELECT r.id FROM {{rows $2 (id text)}} AS r)",
        vault_db_args(S(user_id), S(keys)));

    vault_db_batch_add(batch, &changed,
        "UPDATE devices"
        " SET encrypted_user_key = r.user_key,"
        " encrypted_public_key = r.public_key"
        " FROM {{rows $1 (id text, user_key text, public_key text)}} AS r"
        " WHERE devices.id = r.id AND devices.user_id = $2"
        " AND devices.encrypted_private_key IS NOT NULL",
        vault_db_args(S(keys), S(user_id)));

    vault_db_batch_run(batch);

    return changed;
}
