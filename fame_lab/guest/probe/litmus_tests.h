/* The litmus tests: for each role what it does to a cell, and how many results that can have. */
#ifndef FAME_LITMUS_TESTS_H
#define FAME_LITMUS_TESTS_H

#include <stdint.h>

/* A cell has two variables, each in lines of its own; CPUs fetch lines in pairs. */
enum { VARIABLE = 128, CELL = 2 * VARIABLE, ROLES_MAX = 4, OUTCOMES_MAX = 16 };

struct litmus_test {
	const char *name;
	unsigned roles;
	/* Plays a role once, in a cell whose variables are zero, and gives what it saw: a number below
	 * `results`, which is 1 for a role that only stores. A larger one means that something was there
	 * that the test never stores. */
	struct {
		unsigned (*play)(char *cell);
		unsigned results;
	} role[ROLES_MAX];
};

/* NULL if there is none of that name. */
const struct litmus_test *litmus_find(const char *name);

/* Makes the variables zero. */
void litmus_clear(char *cell);

/* How many outcomes a test can have: what all roles saw, taken together. */
unsigned litmus_outcomes(const struct litmus_test *test);

#endif
