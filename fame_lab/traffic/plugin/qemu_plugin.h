/* What this plugin uses of QEMU's plugin interface. Debian ships QEMU with plugins and without their
 * header, so the few functions are declared here, as QEMU documents them (docs/devel/tcg-plugins.rst).
 * API_VERSION is the interface's version that this is compiled for: 1 (QEMU 7.2 to 8.2), 2 (9.0 to 11.0) or
 * 7 (11.1), whose callbacks are given what they were registered with, and no id. What is used here is the same
 * in 1 and 2, and in all that lies between 2 and 7. */
#ifndef FAME_QEMU_PLUGIN_H
#define FAME_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_info {
	const char *target;
	struct {
		int least, newest;
	} version;
	bool system;
	int vcpus;
};
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W = 2, QEMU_PLUGIN_MEM_RW = 3 };

#if API_VERSION < 7
#define SIMPLE_CB(name) name(qemu_plugin_id_t id)
#define VCPU_CB(name) name(qemu_plugin_id_t id, unsigned vcpu)
#define TB_TRANS_CB(name) name(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
#define REGISTERED_WITH
#define NOTHING
#else
#define SIMPLE_CB(name) name(void *udata)
#define VCPU_CB(name) name(unsigned vcpu, void *udata)
#define TB_TRANS_CB(name) name(struct qemu_plugin_tb *tb, void *udata)
#define REGISTERED_WITH , void *udata
#define NOTHING , NULL
#endif
typedef void SIMPLE_CB((*simple_cb));
typedef void VCPU_CB((*vcpu_cb));
typedef void TB_TRANS_CB((*tb_trans_cb));
typedef void (*mem_cb)(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *udata);

void qemu_plugin_reset(qemu_plugin_id_t id, simple_cb after REGISTERED_WITH);
void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t id, vcpu_cb cb REGISTERED_WITH);
void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t id, vcpu_cb cb REGISTERED_WITH);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb REGISTERED_WITH);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_cb cb, int flags, int rw, void *udata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
/* Until interface 2 it is what it says; since 3 it copies (qemu_plugin_insn_copy below), by the same name. */
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
typedef size_t qemu_plugin_insn_copy(const struct qemu_plugin_insn *insn, void *to, size_t size);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

#endif
