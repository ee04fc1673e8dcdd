/* Command-line arguments, checked before anything is touched. */
#ifndef FAME_ARGS_H
#define FAME_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LIST_MAX = 64 };

struct list {
	size_t count;
	uint64_t at[LIST_MAX];
};

enum kind { U64, U64_LIST, TEXT };

struct option {
	const char *name; /* "--offset"; "VALUE" for a positional argument */
	enum kind kind;
	void *into; /* uint64_t *, struct list * or const char ** */
	bool required;
	bool seen;
};

/* Fills the options from argv, or ends the program with status 2. */
void args_parse(int argc, char **argv, struct option *options, size_t count);

/* Ends the program: status 2, the caller asked for something that cannot be. */
_Noreturn void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program: status 1, the request was sound and cannot be met here and now. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
