/* SPDX-License-Identifier: MIT */
/*
 * Text to sections: see config-parse.h. Each section is handed on when libconfuse has closed it
 * and then dropped: kept, ten thousand of them would take 80 MB, and libconfuse compares each
 * title with all before it.
 */
#include "manager/config-parse.h"

#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/config-scan.h"
#include "base/text.h"
#include "manager/config-problem.h"

static const struct {
	const char *name;
	const struct option_table *table;
	bool titled;
} section_kinds[] = {
	[SECTION_TOP] = { NULL, &top_options, false },
	[SECTION_DEFAULTS] = { "defaults", &service_options, false },
	[SECTION_SERVICE] = { "service", &service_options, true },
	[SECTION_SOCKET] = { "socket", &socket_options, true },
};
static_assert(ELEMENTSOF(section_kinds) == _SECTION_KINDS, "every kind has its row");

struct parse {
	const char *file;
	struct config_problems *problems;
	section_handler *handler;
	void *ctx;

	/* Filled by the scan: place 0 is the top level's, the others the sections' in order. */
	struct place *places;
	uint64_t used[_SECTION_KINDS]; /* bit i: option i stands in a section of that kind */
	size_t n_places, room;
	enum section_kind kind; /* of the section that is scanned; SECTION_TOP outside */
	bool failed, out_of_memory;

	size_t next_place; /* of the next section that libconfuse will close */
	char **texts;
	size_t texts_room;
};

/* libconfuse's callbacks get no context. */
static struct parse *current;

/* --- the scan's events: is this statement what the tables allow? --- */

#define complain(p, line, ...)                                                   \
	do {                                                                     \
		config_problem_add((p)->problems, (p)->file, line, __VA_ARGS__); \
		(p)->failed = true;                                              \
	} while (0)

static bool push_place(struct parse *p, int line)
{
	if (p->n_places == p->room) {
		size_t room = MAX(p->room * 2, (size_t)16);
		struct place *bigger = reallocarray(p->places, room, sizeof(*bigger));

		p->out_of_memory |= !bigger;
		if (!bigger)
			return false;
		p->places = bigger;
		p->room = room;
	}
	p->places[p->n_places++] = (struct place){ .file = p->file, .line = line };
	return true;
}

/* " (did you mean x?)", or nothing. The buffer is static: one parse at a time. */
static const char *did_you_mean(const struct nearest *search)
{
	static char text[128];

	if (!search->best)
		return "";
	snprintf(text, sizeof(text), " (did you mean %.64s?)", search->best);
	return text;
}

static int find_kind(const char *name)
{
	for (int i = SECTION_TOP + 1; i < _SECTION_KINDS; i++) {
		if (strcmp(section_kinds[i].name, name) == 0)
			return i;
	}
	return -ENOENT;
}

static void unknown_section(struct parse *p, int line, const char *name)
{
	struct nearest search = { .word = name };

	if (option_find(&top_options, name) >= 0 || option_find(&service_options, name) >= 0) {
		complain(p, line, "%s is an option, not a section: write %s = ", name, name);
		return;
	}
	for (int i = SECTION_TOP + 1; i < _SECTION_KINDS; i++)
		nearest_consider(&search, section_kinds[i].name);
	complain(p, line, "there is no section %.64s%s; sections are service, socket and defaults",
		 name, did_you_mean(&search));
}

/* The place of the section that is scanned. */
static struct place *current_place(struct parse *p)
{
	return p->kind == SECTION_TOP ? p->places : &p->places[p->n_places - 1];
}

/* An option's name with a brace behind it. */
static void refuse_option(struct parse *p, int line, int i)
{
	const struct option *o = &section_kinds[p->kind].table->options[i];

	complain(p, line, "after %s an = is missing; it takes %s", o->name, o->allowed);
	current_place(p)->refused |= UINT64_C(1) << i;
}

static bool on_begin(void *ctx, int line, const char *name, const char *title)
{
	struct parse *p = ctx;
	int kind = find_kind(name);

	if (p->kind != SECTION_TOP && option_find(section_kinds[p->kind].table, name) >= 0)
		refuse_option(p, line, option_find(section_kinds[p->kind].table, name));
	else if (p->kind != SECTION_TOP)
		complain(p, line, "%.64s { stands inside a section; sections do not nest%s", name,
			 kind < 0 ? "" : ", is the } before it missing?");
	else if (kind < 0)
		unknown_section(p, line, name);
	else if (section_kinds[kind].titled && !title)
		complain(p, line, "this %s has no name: write %s NAME { ... }", name, name);
	else if (!section_kinds[kind].titled && title)
		complain(p, line, "%s has no name: write %s { ... }", name, name);
	else if (push_place(p, line)) {
		p->kind = kind;
		return true;
	}
	return false;
}

static void on_end(void *ctx)
{
	struct parse *p = ctx;

	p->kind = SECTION_TOP;
}

static void unknown_option(struct parse *p, int line, const char *name)
{
	const struct option_table *table = section_kinds[p->kind].table;
	const char *section = section_kinds[p->kind].name;
	struct nearest search = { .word = name };

	if (p->kind == SECTION_TOP && find_kind(name) > 0) {
		complain(p, line, "%s is a section: write %s%s { ... }", name, name,
			 section_kinds[find_kind(name)].titled ? " NAME" : "");
		return;
	}
	for (size_t i = 0; i < table->n; i++)
		nearest_consider(&search, table->options[i].name);
	if (search.best) /* what was meant is not missing besides */
		current_place(p)->refused |= UINT64_C(1) << option_find(table, search.best);
	if (section)
		complain(p, line, "%s has no option %.64s%s", section, name, did_you_mean(&search));
	else if (option_find(&service_options, name) >= 0)
		complain(p, line, "%s belongs into a service or into defaults", name);
	else
		complain(p, line, "there is no option %.64s%s outside of sections", name,
			 did_you_mean(&search));
}

static bool on_option(void *ctx, int line, const char *name, bool list)
{
	struct parse *p = ctx;
	int i = option_find(section_kinds[p->kind].table, name);
	struct place *place = current_place(p);
	const struct option *o;

	if (i < 0) {
		unknown_option(p, line, name);
		return false;
	}
	o = &section_kinds[p->kind].table->options[i];
	if (p->kind == SECTION_DEFAULTS && !(o->flags & OPTION_DEFAULTS))
		complain(p, line, "%s cannot stand in defaults: it is each service's own", name);
	else if (place->set & UINT64_C(1) << i)
		complain(p, line, "%s is set twice; it stands already on line %d", name,
			 place->lines[i]);
	else if (option_is_list(o) && !list && !(o->flags & OPTION_BARE_LIST))
		complain(p, line, "%s takes %s", name, o->allowed);
	else if (!option_is_list(o) && list)
		complain(p, line, "%s takes one value, not a list: %s", name, o->allowed);
	else {
		place->set |= UINT64_C(1) << i;
		p->used[p->kind] |= UINT64_C(1) << i;
		place->lines[i] = line;
		return true;
	}
	place->refused |= UINT64_C(1) << i;
	return false;
}

static void on_problem(void *ctx, int line, const char *text)
{
	struct parse *p = ctx;

	complain(p, line, "%s", text);
}

static const struct scan_events scan_events = { on_begin, on_option, on_end, on_problem };

/* --- libconfuse --- */

/*
 * Every option is text or a list of texts to libconfuse: its numbers overflow in silence. It is
 * told of those alone that the file uses: it copies the whole table for each section, and
 * compares a name with all that stand before it.
 */
static size_t make_options(cfg_opt_t *options, const struct option_table *table, uint64_t used)
{
	size_t n = 0;

	for (size_t i = 0; i < table->n; i++) {
		const struct option *o = &table->options[i];
		cfg_flag_t list = option_is_list(o) ? CFGF_LIST : CFGF_NONE;

		if (used & UINT64_C(1) << i)
			options[n++] = (cfg_opt_t)CFG_STR(o->name, NULL, CFGF_NODEFAULT | list);
	}
	options[n] = (cfg_opt_t)CFG_END();
	return n;
}

/* Room for the texts of a section: one buffer, used for one section after the other. */
static bool make_room(struct parse *p, const cfg_t *cfg, uint64_t used)
{
	size_t n = 0;
	char **bigger;

	for (int i = 0; i < __builtin_popcountll(used); i++)
		n += cfg_opt_size(&cfg->opts[i]);
	if (n <= p->texts_room)
		return true;
	bigger = reallocarray(p->texts, n * 2, sizeof(*bigger));
	if (!bigger) {
		p->out_of_memory = true;
		return false;
	}
	p->texts = bigger;
	p->texts_room = n * 2;
	return true;
}

/* Hands a section on; its texts stay libconfuse's. */
static void hand_on(struct parse *p, cfg_t *cfg, enum section_kind kind, const struct place *place)
{
	struct section_text section = { kind, section_kinds[kind].table, cfg_title(cfg), *place };
	size_t n = 0;
	cfg_opt_t *opt = cfg->opts;

	if (!make_room(p, cfg, p->used[kind]))
		return;
	for (size_t i = 0; i < section.table->n; i++) {
		if (!(p->used[kind] & UINT64_C(1) << i))
			continue;
		section.values[i] = p->texts + n;
		section.n_values[i] = cfg_opt_size(opt);
		for (size_t k = 0; k < section.n_values[i]; k++)
			p->texts[n++] = cfg_opt_getnstr(opt, k);
		opt++;
	}
	p->handler(p->ctx, &section);
}

/* Called as the validator of a section option, when the section has just been closed. */
static int take_section(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned last = cfg_opt_size(opt) - 1;
	int kind = find_kind(cfg_opt_name(opt));

	assert(kind >= 0 && current->next_place < current->n_places);
	hand_on(current, cfg_opt_getnsec(opt, last), kind, &current->places[current->next_place++]);
	return cfg_opt_rmnsec(opt, last);
}

/* What the scan let through and libconfuse does not like: a bad escape in a string. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	complain(current, cfg->line, "%s", text);
}

static void run_libconfuse(struct parse *p, const char *clean)
{
	cfg_opt_t options[_SECTION_KINDS][OPTIONS_MAX + 1];
	cfg_opt_t *top = options[SECTION_TOP];
	size_t n[_SECTION_KINDS];
	cfg_t *cfg;

	for (int kind = SECTION_TOP; kind < _SECTION_KINDS; kind++)
		n[kind] = make_options(options[kind], section_kinds[kind].table, p->used[kind]);
	for (int kind = SECTION_TOP + 1; kind < _SECTION_KINDS; kind++) {
		cfg_flag_t title = section_kinds[kind].titled ? CFGF_TITLE : CFGF_NONE;
		cfg_opt_t *row = &top[n[SECTION_TOP] + kind - 1];

		*row = (cfg_opt_t)CFG_SEC(section_kinds[kind].name, options[kind],
					  CFGF_MULTI | title);
		row->validcb = take_section;
	}
	top[n[SECTION_TOP] + _SECTION_KINDS - 1] = (cfg_opt_t)CFG_END();

	cfg = cfg_init(top, CFGF_NONE);
	if (!cfg) {
		p->out_of_memory = true;
		return;
	}
	current = p;
	cfg_set_error_function(cfg, on_error);
	p->next_place = 1;
	if (cfg_parse_buf(cfg, clean) == CFG_SUCCESS)
		hand_on(p, cfg, SECTION_TOP, &p->places[0]);
	else if (!p->failed)
		p->out_of_memory = true; /* the one failure that libconfuse has no words for */
	cfg_free(cfg);
	current = NULL;
}

int config_parse(const char *file, const char *text, size_t size, struct config_problems *problems,
		 section_handler *handler, void *ctx)
{
	struct parse p = { file, problems, handler, ctx };
	_cleanup_free_ char *clean = NULL;
	int r;

	if (!push_place(&p, 0))
		return -ENOMEM;
	r = config_scan(text, size, &scan_events, &p, &clean);
	if (r == 0 && !p.out_of_memory)
		run_libconfuse(&p, clean);
	free(p.places);
	free(p.texts);
	if (p.out_of_memory || r == -ENOMEM)
		return -ENOMEM;
	return p.failed ? -EINVAL : 0;
}
