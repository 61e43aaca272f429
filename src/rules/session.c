#include "../model/stage.h"
#include "session.h"


#define SESSION_AT    offsetof(vault_session_t, device)

#define SESSION_SQL                                                           \
    "SELECT " VAULT_USER_SQL ", d.id AS device_id,"                           \
    " d.user_id AS device_user_id, d.identifier AS device_identifier,"        \
    " d.type AS device_type, d.name AS device_name,"                          \
    " d.seen_at AS device_seen_at, d.refresh_hash AS device_refresh_hash,"    \
    " d.refresh_expires_at AS device_refresh_expires_at"                      \
    " FROM users u"                                                           \
    " JOIN devices d ON d.user_id = u.id"

#define SESSION_TEXT(column)                                                  \
    { VAULT_COL_TEXT, "device_" #column,                                      \
      SESSION_AT + offsetof(vault_device_t, column) }
#define SESSION_INT(column)                                                   \
    { VAULT_COL_INT, "device_" #column,                                       \
      SESSION_AT + offsetof(vault_device_t, column) }


static const vault_column_t  session_columns[] = {
    VAULT_USER_COLUMNS(offsetof(vault_session_t, user)),
    SESSION_TEXT(id),
    SESSION_TEXT(user_id),
    SESSION_TEXT(identifier),
    SESSION_INT(type),
    SESSION_TEXT(name),
    SESSION_INT(seen_at),
    SESSION_TEXT(refresh_hash),
    SESSION_INT(refresh_expires_at),
    VAULT_COLUMNS_END
};

static const vault_row_t  session_row =
    VAULT_ROW(session_columns, vault_session_t);


/* Nobody sees a vault that is in two pieces: it is folded first. */
static vault_session_t *
find_whole(vault_request_t *vr, const char *sql, const vault_db_arg_t *args,
    ngx_uint_t n)
{
    vault_session_t  *session;

    session = vault_calloc(vr, sizeof(vault_session_t));

    for ( ;; ) {
        if (!vault_db_find(vr, &session_row, session, sql, args, n)) {
            return NULL;
        }

        if (session->user.stage.data == NULL) {
            return session;
        }

        vault_stage_fold(vr, &session->user.id, &session->user.stage);
    }
}


vault_session_t *
vault_session_find(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *identifier, const ngx_str_t *stamp)
{
    return find_whole(vr, SESSION_SQL
                          " WHERE u.id = $1 AND d.identifier = $2"
                          " AND u.security_stamp = $3",
                      vault_db_args(S(user_id), S(identifier), S(stamp)));
}


vault_session_t *
vault_session_find_refresh(vault_request_t *vr, const ngx_str_t *refresh_hash)
{
    return find_whole(vr, SESSION_SQL
                          " WHERE d.refresh_hash = $1"
                          " AND d.refresh_stamp = u.security_stamp"
                          " AND d.refresh_expires_at > $2",
                      vault_db_args(S(refresh_hash), I(vault_now())));
}
