/*
 * view - shapes of answers that more than one resource gives.
 */

#ifndef VAULT_API_VIEW_H
#define VAULT_API_VIEW_H

#include "../json/json.h"


extern const vault_shape_t  vault_folder_view;    /* of vault_folder_t */
extern const vault_shape_t  vault_cipher_view;    /* of vault_cipher_t */


#endif
