/* SPDX-License-Identifier: MIT */
/*
 * The descriptors that fosterd was given by its own parent (sd_listen_fds(3)): it puts them
 * into places of its store before the first manager starts, in their order and under their
 * names, and looks at them no further. The manager knows what they are for.
 */
#ifndef FOSTER_BASE_GIVEN_H
#define FOSTER_BASE_GIVEN_H

#include "base/link.h"

#define GIVEN_FIRST    (LINK_SLOTS + 16) /* the first place */
#define GIVEN_MAX      256
#define GIVEN_PREFIX   "systemd:" /* of the name of a place; what follows is the descriptor's */
#define GIVEN_NAME_MAX (LINK_NAME_MAX - 1)

#endif
