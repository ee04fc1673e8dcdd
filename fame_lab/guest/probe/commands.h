/* One function a command; argv begins after the command's name. */
#ifndef FAME_COMMANDS_H
#define FAME_COMMANDS_H

int add(int argc, char **argv);
int bandwidth(int argc, char **argv);
int chase(int argc, char **argv);
int pingpong(int argc, char **argv);
int load(int argc, char **argv);
int prove(int argc, char **argv);
int store(int argc, char **argv);
int tsc(int argc, char **argv);

#endif
