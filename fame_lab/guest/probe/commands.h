/* The program's commands. Each file that has one says so itself, so that a new command is a new file. */
#ifndef FAME_COMMANDS_H
#define FAME_COMMANDS_H

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv begins after the command's name */
	const char *usage;
	const struct command *next;
};

/* Called before main begins; the text must last. */
void command_add(struct command *command);

/* COMMAND(chase, "--fam PATH ...\n      What it measures.") { body with argc and argv } */
#define COMMAND(NAME, USAGE) \
	static int NAME##_command(int argc, char **argv); \
	__attribute__((constructor)) static void NAME##_register(void) \
	{ \
		static struct command command = { #NAME, NAME##_command, USAGE, 0 }; \
		command_add(&command); \
	} \
	static int NAME##_command(int argc, char **argv)

#endif
