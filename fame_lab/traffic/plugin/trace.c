/* fame-trace: counts every load and store of one node to FAM, by granule, in a file that the host maps.
 *
 * Loaded into QEMU, it does nothing until the host wants it to: translated code is as it would be without.
 * Then it has QEMU throw all translated code away, and puts a call at each access of what is translated from then
 * on while the host says so. When the host wants it no more it looks at no translation; taking the calls out again
 * aborts QEMU 7.2, so the host keeps that code apart from the other (traffic/trace/instrumentation.py). Whether a call
 * counts is for another word of the host's (access.c). */
#ifndef API_VERSION
#define API_VERSION 1
#endif

#include "access.h"
#include "instruction.h"
#include "order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SOURCES
#define SOURCES "unknown"
#endif

/* native.py looks for this text to tell whether the plugin is that of the sources beside it. */
__attribute__((used, retain)) static const char identity[] = "fame-sources:" SOURCES;

QEMU_EXPORT int qemu_plugin_version = API_VERSION;
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

enum { MOST_VCPUS = ORDER_MOST_VCPUS };

static qemu_plugin_id_t self;
static struct header *header;
/* The version of the plugin interface that QEMU speaks. */
static int interface;
/* How many vCPUs the node has, and which of them wait. */
static unsigned node_vcpus;
static char asleep[MOST_VCPUS];

/* What QEMU runs as one instruction alone, with all other vCPUs halted, it does not keep apart for the host: so
 * each block of one instruction is given its calls, whenever it is translated. Such is an atomic across two
 * lines, and all code on a page with a breakpoint. */
static void TB_TRANS_CB(on_translation)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	if (!look32(&header->instrument) && count > 1)
		return;
	/* The filters for loads alone and stores alone miss some: so both, and each is looked at. */
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
		void *locked = is_locked(instruction, interface) ? (void *)1 : NULL;
		qemu_plugin_register_vcpu_mem_cb(instruction, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
						 locked);
	}
}

static void say(uint32_t state)
{
	*(volatile uint32_t *)&header->state = state;
}

static void VCPU_CB(on_sleep);
static void VCPU_CB(on_wake);

/* Called with no vCPU in translated code, when all of that is gone. */
static void SIMPLE_CB(on_reset)
{
	for (unsigned i = 0; i < MOST_VCPUS; i++)
		asleep[i] = 0;
	qemu_plugin_register_vcpu_idle_cb(self, on_sleep NOTHING);
	qemu_plugin_register_vcpu_resume_cb(self, on_wake NOTHING);
	qemu_plugin_register_vcpu_tb_trans_cb(self, on_translation NOTHING);
	say(COUNTING_POSSIBLE);
}

static int all_asleep(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < MOST_VCPUS; i++)
		count += asleep[i];
	return count >= node_vcpus;
}

/* On a vCPU's thread, where alone the translated code may be thrown away. A host that wants something pauses the
 * node, so that each vCPU comes by, a busy one and an idle one. QEMU holds its big lock meanwhile: so no other vCPU
 * is in here or in on_wake(). A callback is freed when it is unregistered; so each is while nobody can be on the way
 * to it, and QEMU's reset finds none that another vCPU may be using. */
static void VCPU_CB(on_sleep)
{
	uint32_t wanted = look32(&header->wanted), state = header->state;
	if (vcpu < MOST_VCPUS)
		asleep[vcpu] = 1;
	if (wanted == WANTED_ANEW && state != COUNTING_POSSIBLE) {
		qemu_plugin_register_vcpu_idle_cb(self, NULL NOTHING);
		qemu_plugin_register_vcpu_resume_cb(self, NULL NOTHING);
		qemu_plugin_reset(self, on_reset NOTHING);
	} else if (wanted == WANTED_AGAIN && state == RESTING) {
		qemu_plugin_register_vcpu_tb_trans_cb(self, on_translation NOTHING);
		say(COUNTING_POSSIBLE);
	} else if (!wanted && state == COUNTING_POSSIBLE && all_asleep()) {
		qemu_plugin_register_vcpu_tb_trans_cb(self, NULL NOTHING);
		say(RESTING);
	}
}

static void VCPU_CB(on_wake)
{
	if (vcpu < MOST_VCPUS)
		asleep[vcpu] = 0;
}

enum { ARGUMENTS = 4 };

/* What stands after the name that the argument must have; NULL if it has another. */
static const char *value_of(const char *argument, int number)
{
	static const char *const names[ARGUMENTS] = {"counters=", "order=", "directory=", "node="};
	size_t length = strlen(names[number]);
	return strncmp(argument, names[number], length) == 0 ? argument + length : NULL;
}

QEMU_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "interface=on") == 0) {
		/* host/trace_plugin.py asks; QEMU ends by what is returned. */
		printf("fame-trace: interface %d to %d\n", info->version.least, info->version.newest);
		fflush(stdout);
		return 1;
	}
	const char *values[ARGUMENTS] = {NULL};
	for (int i = 0; i < argc && i < ARGUMENTS; i++)
		values[i] = value_of(argv[i], i);
	if (argc != ARGUMENTS || !values[0] || !values[1] || !values[2] || !values[3])
		return complain("takes four arguments", "counters=FILE,order=FILE,directory=FILE,node=NUMBER");
	header = access_open(values[0], values[1], values[2], (unsigned)atoi(values[3]), (unsigned)info->vcpus,
			     info->version.newest);
	if (header == NULL)
		return 1;
	header->pid = (uint32_t)getpid();
	header->state = LOADED;
	self = id;
	interface = info->version.newest;
	node_vcpus = (unsigned)info->vcpus;
	qemu_plugin_register_vcpu_idle_cb(id, on_sleep NOTHING);
	qemu_plugin_register_vcpu_resume_cb(id, on_wake NOTHING);
	return 0;
}
