/*
 * The schema, as the ordered list of single statements that made it.  A
 * number never changes its meaning once it was released; append only.
 * Rules (Aurora DSQL is the narrowest of the three): src/db/README.md.
 */

#include <ngx_config.h>
#include <stddef.h>

#include "schema.h"


const char *const  vault_schema[] = {

    /* 1 */
    "CREATE TABLE IF NOT EXISTS users ("
    " id text PRIMARY KEY,"
    " email text NOT NULL UNIQUE,"
    " name text,"
    " culture text NOT NULL,"
    " email_verified bigint NOT NULL,"
    " verify_devices bigint NOT NULL,"
    " avatar_color text,"
    " password_hash text NOT NULL,"
    " password_salt text NOT NULL,"
    " password_rounds bigint NOT NULL,"
    " password_hint text,"
    " master_salt text NOT NULL,"
    " kdf bigint NOT NULL,"
    " kdf_iterations bigint NOT NULL,"
    " kdf_memory bigint,"
    " kdf_parallelism bigint,"
    " user_key text,"
    " user_key_id text,"
    " public_key text,"
    " private_key text,"
    " security_stamp text NOT NULL,"
    " api_key text NOT NULL,"
    " equivalent_domains text NOT NULL,"
    " excluded_globals text NOT NULL,"
    " created_at bigint NOT NULL,"
    " password_changed_at bigint NOT NULL,"
    " revised_at bigint NOT NULL)",

    /* 2 */
    "CREATE TABLE IF NOT EXISTS devices ("
    " id text PRIMARY KEY,"
    " user_id text NOT NULL,"
    " identifier text NOT NULL,"
    " type bigint NOT NULL,"
    " name text NOT NULL,"
    " refresh_hash text UNIQUE,"
    " refresh_stamp text,"
    " refresh_expires_at bigint,"
    " push_token text,"
    " encrypted_user_key text,"
    " encrypted_public_key text,"
    " encrypted_private_key text,"
    " created_at bigint NOT NULL,"
    " seen_at bigint NOT NULL,"
    " UNIQUE (user_id, identifier),"
    " UNIQUE (identifier, user_id))", /* an index for clear-token */

    /* 3 */
    "CREATE TABLE IF NOT EXISTS folders ("
    " id text PRIMARY KEY,"
    " user_id text NOT NULL,"
    " name text NOT NULL,"
    " created_at bigint NOT NULL,"
    " revised_at bigint NOT NULL)",

    /* 4 */
    "CREATE INDEX {{async}} IF NOT EXISTS folders_user ON folders (user_id)",

    /* 5: data holds the encrypted members as one normalised JSON object */
    "CREATE TABLE IF NOT EXISTS ciphers ("
    " id text PRIMARY KEY,"
    " user_id text,"
    " organization_id text,"
    " folder_id text,"
    " type bigint NOT NULL,"
    " favorite bigint NOT NULL,"
    " data text NOT NULL,"
    " created_at bigint NOT NULL,"
    " revised_at bigint NOT NULL,"
    " deleted_at bigint,"
    " archived_at bigint)",

    /* 6 */
    "CREATE INDEX {{async}} IF NOT EXISTS ciphers_user ON ciphers (user_id)",

    /* 7 */
    "CREATE INDEX {{async}} IF NOT EXISTS ciphers_folder"
    " ON ciphers (folder_id)",

    /* 8: what clients read of the files below that are ready; or null */
    "ALTER TABLE ciphers ADD COLUMN attachments text",

    /* 9 */
    "CREATE TABLE IF NOT EXISTS files ("
    " id text PRIMARY KEY,"
    " user_id text NOT NULL,"
    " cipher_id text,"
    " send_id text,"
    " name text NOT NULL,"
    " key text,"
    " size bigint NOT NULL,"
    " size_name text NOT NULL,"
    " state bigint NOT NULL,"
    " created_at bigint NOT NULL)",

    /* 10 */
    "CREATE INDEX {{async}} IF NOT EXISTS files_user ON files (user_id)",

    /* 11 */
    "CREATE INDEX {{async}} IF NOT EXISTS files_cipher"
    " ON files (cipher_id)",

    /* 12 */
    "CREATE INDEX {{async}} IF NOT EXISTS files_send ON files (send_id)",

    /* 13: for jobs */
    "CREATE INDEX {{async}} IF NOT EXISTS files_state"
    " ON files (state, created_at)",

    /* 14 */
    "CREATE TABLE IF NOT EXISTS sends ("
    " id text PRIMARY KEY,"
    " user_id text NOT NULL,"
    " type bigint NOT NULL,"
    " name text,"
    " notes text,"
    " data text NOT NULL,"
    " key text NOT NULL,"
    " password_hash text,"
    " password_salt text,"
    " password_rounds bigint,"
    " max_accesses bigint,"
    " accesses bigint NOT NULL,"
    " disabled bigint NOT NULL,"
    " hide_email bigint NOT NULL,"
    " created_at bigint NOT NULL,"
    " revised_at bigint NOT NULL,"
    " expires_at bigint,"
    " deletes_at bigint NOT NULL)",

    /* 15 */
    "CREATE INDEX {{async}} IF NOT EXISTS sends_user ON sends (user_id)",

    /* 16 */
    "CREATE INDEX {{async}} IF NOT EXISTS sends_due ON sends (deletes_at)",

    /* 17: the trash that is due */
    "CREATE INDEX {{async}} IF NOT EXISTS ciphers_trash"
    " ON ciphers (deleted_at)",

    /* 18: who runs a job, until when, and when it ran */
    "CREATE TABLE IF NOT EXISTS jobs ("
    " name text PRIMARY KEY,"
    " owner text,"
    " leased_until bigint NOT NULL,"
    " due_at bigint NOT NULL,"
    " ended_at bigint,"
    " failures bigint NOT NULL)",

    /* 19: mails to be sent; due_at is also the end of a lease */
    "CREATE TABLE IF NOT EXISTS mails ("
    " id text PRIMARY KEY,"
    " recipient text NOT NULL,"
    " template text NOT NULL,"
    " variables text NOT NULL,"
    " tries bigint NOT NULL,"
    " created_at bigint NOT NULL,"
    " due_at bigint NOT NULL,"
    " expires_at bigint NOT NULL)",

    /* 20 */
    "CREATE INDEX {{async}} IF NOT EXISTS mails_due ON mails (due_at)",

    /* 21: codes and links that were mailed; subject: an address, a device */
    "CREATE TABLE IF NOT EXISTS proofs ("
    " id text PRIMARY KEY,"
    " user_id text NOT NULL,"
    " purpose text NOT NULL,"
    " subject text NOT NULL,"
    " hash text NOT NULL,"
    " stamp text NOT NULL,"
    " attempts bigint NOT NULL,"
    " created_at bigint NOT NULL,"
    " expires_at bigint NOT NULL,"
    " UNIQUE (user_id, purpose, subject))",

    /* 22: for jobs */
    "CREATE INDEX {{async}} IF NOT EXISTS proofs_end ON proofs (expires_at)",

    /* 23: a second step that a user has set up; the recovery code too */
    "CREATE TABLE IF NOT EXISTS two_factors ("
    " user_id text NOT NULL,"
    " provider bigint NOT NULL,"
    " data text NOT NULL,"
    " last_step bigint,"
    " created_at bigint NOT NULL,"
    " PRIMARY KEY (user_id, provider))",

    /* 24: keys that all nodes share, where no file holds them */
    "CREATE TABLE IF NOT EXISTS server_keys ("
    " name text PRIMARY KEY,"
    " value text NOT NULL,"
    " created_at bigint NOT NULL)",

    /* 25: of COMMITs, where one may stay unanswered: db/mark.c */
    "CREATE TABLE IF NOT EXISTS marks ("
    " id text PRIMARY KEY,"
    " fenced bigint NOT NULL)",

    /* 26: the stage that holds a part of this vault, or null: model/stage.h */
    "ALTER TABLE users ADD COLUMN stage text",

    /* 27 */
    "CREATE TABLE IF NOT EXISTS stages ("
    " stage text NOT NULL,"
    " seq bigint NOT NULL,"
    " user_id text NOT NULL,"
    " kind bigint NOT NULL,"
    " data text NOT NULL,"
    " created_at bigint NOT NULL,"
    " PRIMARY KEY (stage, seq))",

    NULL
};
