/*
 * What clients ask for when they start, and what this server does not have
 * yet: each answer is the one that somebody without any would get, behind the
 * guard that the full one will have.  A feature takes its lines out of here.
 */

#include "../run/route.h"


static void  odds_list(vault_request_t *vr);
static void  odds_device_verification(vault_request_t *vr);


const vault_route_t  vault_odds_routes[] = {
    { GET, "/api/accounts/organizations",     odds_list, VAULT_USER },
    { GET, "/api/auth-requests",              odds_list, VAULT_USER },
    { GET, "/api/auth-requests/pending",      odds_list, VAULT_USER },
    { GET, "/api/collections",                odds_list, VAULT_USER },
    { GET, "/api/emergency-access/granted",   odds_list, VAULT_USER },
    { GET, "/api/emergency-access/trusted",   odds_list, VAULT_USER },
    { GET, "/api/notifications",              odds_list, VAULT_USER },
    { GET, "/api/plans",                      odds_list, VAULT_ANYONE },
    { GET, "/api/tasks",                      odds_list, VAULT_USER },
    { GET, "/api/two-factor/get-device-verification-settings",
                                   odds_device_verification, VAULT_USER },
    { GET, "/api/webauthn",                   odds_list, VAULT_USER },
    VAULT_ROUTE_END
};


static void
odds_list(vault_request_t *vr)
{
    static ngx_str_t  empty = ngx_string(
        "{\"data\":[],\"object\":\"list\",\"continuationToken\":null}");

    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &empty);
}


static void
odds_device_verification(vault_request_t *vr)
{
    static ngx_str_t  settings = ngx_string(
        "{\"isDeviceVerificationSectionEnabled\":false,"
        "\"unknownDeviceVerificationEnabled\":false,"
        "\"object\":\"deviceVerificationSettings\"}");

    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &settings);
}
