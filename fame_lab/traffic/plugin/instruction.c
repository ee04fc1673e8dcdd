#include "instruction.h"

#include <string.h>

enum { LONGEST = 15 };

/* Intel SDM, volume 2, 2.1.1: legacy prefixes come in any order; a REX prefix (2.2.1) stands right before the
 * opcode. */
int has_lock(const uint8_t *code, size_t size)
{
	static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3};
	size_t at = 0;
	while (at < size && memchr(prefixes, code[at], sizeof prefixes) != NULL)
		at++;
	if (at < size && code[at] == 0xf0)
		return 1;
	if (at < size && (code[at] & 0xf0) == 0x40)
		at++;
	return at < size && (code[at] == 0x86 || code[at] == 0x87);
}

int is_locked(const struct qemu_plugin_insn *instruction, int interface)
{
	uint8_t code[LONGEST];
	size_t size = qemu_plugin_insn_size(instruction);
	size = size < LONGEST ? size : LONGEST;
	if (interface < 3)
		memcpy(code, qemu_plugin_insn_data(instruction), size);
	else
		size = ((qemu_plugin_insn_copy *)(void (*)(void))qemu_plugin_insn_data)(instruction, code, size);
	return has_lock(code, size);
}
