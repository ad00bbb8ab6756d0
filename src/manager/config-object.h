/* SPDX-License-Identifier: MIT */
/* Making and freeing the parts of a struct config. Private to the config's own files. */
#ifndef FOSTER_MANAGER_CONFIG_OBJECT_H
#define FOSTER_MANAGER_CONFIG_OBJECT_H

#include "manager/config.h"

struct config *config_new(void);
struct service_config *service_config_free(struct service_config *); /* always NULL */
struct socket_config *socket_config_free(struct socket_config *);    /* always NULL */

#endif
