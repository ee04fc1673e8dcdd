#include "args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void complain(const char *format, va_list values)
{
	fflush(stdout);
	fputs("fame-probe: ", stderr);
	vfprintf(stderr, format, values);
	fputc('\n', stderr);
}

void usage_error(const char *format, ...)
{
	va_list values;
	va_start(values, format);
	complain(format, values);
	exit(2);
}

void fail(const char *format, ...)
{
	va_list values;
	va_start(values, format);
	complain(format, values);
	exit(1);
}

/* Decimal or 0x…, to the end of the text: strtoull alone takes "-1", " 1" and "1x". */
static uint64_t number(const char *option, const char *text)
{
	char *end = NULL;
	errno = 0;
	uint64_t value = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
		usage_error("%s takes a number from 0 to 2^64-1, not '%.40s'", option, text);
	return value;
}

static void numbers(const char *option, const char *text, struct list *list)
{
	char copy[1024];
	if (strlen(text) >= sizeof copy)
		usage_error("%s: the list is longer than %zu characters", option, sizeof copy - 1);
	strcpy(copy, text);
	list->count = 0;
	char *rest = copy;
	for (char *item; (item = strsep(&rest, ",")) != NULL;) {
		if (list->count == LIST_MAX)
			usage_error("%s takes at most %d numbers", option, LIST_MAX);
		list->at[list->count++] = number(option, item);
	}
}

static struct option *find(const char *argument, struct option *options, size_t count)
{
	bool dashed = argument[0] == '-';
	for (size_t i = 0; i < count; i++) {
		bool named = options[i].name[0] == '-';
		if (dashed ? strcmp(options[i].name, argument) == 0 : (!named && !options[i].seen))
			return &options[i];
	}
	usage_error("unexpected argument '%.40s'; see --help", argument);
}

void args_parse(int argc, char **argv, struct option *options, size_t count)
{
	for (int i = 0; i < argc; i++) {
		struct option *option = find(argv[i], options, count);
		if (option->seen)
			usage_error("%s is given twice", option->name);
		option->seen = true;
		if (option->name[0] == '-' && ++i == argc)
			usage_error("%s needs a value", option->name);
		if (option->kind == U64)
			*(uint64_t *)option->into = number(option->name, argv[i]);
		else if (option->kind == U64_LIST)
			numbers(option->name, argv[i], option->into);
		else
			*(const char **)option->into = argv[i];
	}
	for (size_t i = 0; i < count; i++)
		if (options[i].required && !options[i].seen)
			usage_error("%s is missing; see --help", options[i].name);
}
