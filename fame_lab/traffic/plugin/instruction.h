/* What kind of instruction accesses memory. */
#ifndef FAME_INSTRUCTION_H
#define FAME_INSTRUCTION_H

#include "qemu_plugin.h"

/* Whether an x86-64 instruction, should it access memory, is locked: by its prefix, or as xchg always is.
 * `interface` is the version of the plugin interface that QEMU speaks. */
int is_locked(const struct qemu_plugin_insn *instruction, int interface);

/* The same of an instruction's bytes. */
int has_lock(const uint8_t *code, size_t size);

#endif
