/* SPDX-License-Identifier: MIT */
/*
 * What the last manager, or the last supervisor, left: the supervisor tells of each child at
 * the start; when the configuration is known, the services get their past back.
 */
#ifndef FOSTER_MANAGER_RESTORE_H
#define FOSTER_MANAGER_RESTORE_H

struct link_child;
struct manager;
struct service;

/* One child of the snapshot; kept until restore_apply(). */
void restore_child(struct manager *, const struct link_child *);

/* The logger among them, or NULL. */
const struct link_child *restore_logger(const struct manager *);

/* Gives one service its slot, process and state. */
void restore_service(struct manager *, struct service *, const struct link_child *);

/*
 * Gives each service its slot, process and state; ends first what daemons of an earlier
 * supervisor left. Services that no configuration names any more but whose processes live
 * become orphaned services. To be called before any service starts.
 */
void restore_apply(struct manager *);

/* Feeds each restored service what happened while no manager was there. */
void restore_catch_up(struct manager *);

#endif
