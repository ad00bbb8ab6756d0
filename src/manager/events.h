/* SPDX-License-Identifier: MIT */
/*
 * What happened, for those who follow: a ring of the last events, each one line of JSON with a
 * number, and the subscribers who get new ones as they come. A subscriber that does not read is
 * dropped; nobody waits for it.
 */
#ifndef FOSTER_MANAGER_EVENTS_H
#define FOSTER_MANAGER_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct asker;
struct evhttp_request;
struct manager;
struct service;

int events_init(struct manager *); /* 0 or -ENOMEM */
void events_shutdown(struct manager *);

/* The service's state changed. */
void events_service(struct service *);

/* It ended by itself, and not well: with the last lines of its output, which are taken. */
void events_crash(struct manager *, const char *service, int pid, const char *end, json_t *lines);

/* Something else: type is a word ("reload", "manager"), text for people; NULL service: none. */
void events_note(struct manager *, const char *type, const char *service, const char *text);

/* Somebody asked for something; NULL service: for all. for_whom: on whose behalf, or NULL. */
void events_request(struct manager *, const char *verb, const char *service, const struct asker *,
		    const char *for_whom);

/* An announcement for the chat room; returns how many listen for it. */
size_t events_announce(struct manager *, const char *text, const char *by);

/*
 * Answers a request with the events since a number (exclusive; all that are kept when 0), of
 * one type or of all (NULL), and with follow goes on with new ones until the client leaves.
 */
void events_subscribe(struct manager *, struct evhttp_request *, uint64_t since, const char *type,
		      bool follow);

#endif
