/*
 * Every table of routes.  A new file of endpoints adds one line here and one
 * in api.h.
 */

#include "api.h"


const vault_route_t *const  vault_routes[] = {
    vault_accounts_routes,
    vault_attachments_routes,
    vault_ciphers_bulk_routes,
    vault_ciphers_routes,
    vault_codes_routes,
    vault_config_routes,
    vault_connect_routes,
    vault_credentials_routes,
    vault_devices_routes,
    vault_domains_routes,
    vault_email_routes,
    vault_events_routes,
    vault_files_routes,
    vault_folders_routes,
    vault_identity_routes,
    vault_import_routes,
    vault_odds_routes,
    vault_recovery_routes,
    vault_rotation_routes,
    vault_send_access_routes,
    vault_send_files_routes,
    vault_sends_routes,
    vault_sync_routes,
    vault_two_factor_email_routes,
    vault_two_factor_routes,
#if (VAULT_DEBUG)
    vault_debug_routes,
    vault_debug_aws_routes,
    vault_debug_db_routes,
    vault_debug_jobs_routes,
    vault_debug_mail_routes,
    vault_debug_files_routes,
    vault_debug_upstream_routes,
#endif
    NULL
};
