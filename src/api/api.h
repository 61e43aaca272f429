/*
 * api - the endpoints: a file a resource, its routes first.
 */

#ifndef VAULT_API_API_H
#define VAULT_API_API_H

#include "../run/route.h"


extern const vault_route_t  vault_accounts_routes[];
extern const vault_route_t  vault_attachments_routes[];
extern const vault_route_t  vault_ciphers_bulk_routes[];
extern const vault_route_t  vault_ciphers_routes[];
extern const vault_route_t  vault_codes_routes[];
extern const vault_route_t  vault_config_routes[];
extern const vault_route_t  vault_connect_routes[];
extern const vault_route_t  vault_credentials_routes[];
extern const vault_route_t  vault_devices_routes[];
extern const vault_route_t  vault_domains_routes[];
extern const vault_route_t  vault_email_routes[];
extern const vault_route_t  vault_events_routes[];
extern const vault_route_t  vault_files_routes[];
extern const vault_route_t  vault_folders_routes[];
extern const vault_route_t  vault_identity_routes[];
extern const vault_route_t  vault_import_routes[];
extern const vault_route_t  vault_odds_routes[];
extern const vault_route_t  vault_recovery_routes[];
extern const vault_route_t  vault_rotation_routes[];
extern const vault_route_t  vault_send_access_routes[];
extern const vault_route_t  vault_send_files_routes[];
extern const vault_route_t  vault_sends_routes[];
extern const vault_route_t  vault_sync_routes[];
extern const vault_route_t  vault_two_factor_email_routes[];
extern const vault_route_t  vault_two_factor_routes[];

#if (VAULT_DEBUG)
extern const vault_route_t  vault_debug_routes[];
extern const vault_route_t  vault_debug_aws_routes[];
extern const vault_route_t  vault_debug_db_routes[];
extern const vault_route_t  vault_debug_jobs_routes[];
extern const vault_route_t  vault_debug_mail_routes[];
extern const vault_route_t  vault_debug_files_routes[];
extern const vault_route_t  vault_debug_upstream_routes[];
#endif


#endif
