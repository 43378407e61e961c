/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault report of a VM: what it did, in words; where, through both stages of translation; its
 * registers; and what it did before. One report for each stop of a VM, so a guest cannot flood the
 * log; and it is shown in pieces, so that the VM's neighbours do not wait for the UART.
 */
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vcpu/vm.h"

/* Cuts what is printed into lines of the log. */
struct report_sink {
    struct fmt_sink sink;
    size_t length;
    char line[160];
};

static void report_flush(struct report_sink *report)
{
    report->line[report->length] = '\0';
    report->length = 0;
    log_later(LOG_ERROR, "%s", report->line);
}

static void report_put(struct fmt_sink *sink, const char *text, size_t size)
{
    struct report_sink *report = container_of(sink, struct report_sink, sink);

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' || report->length == sizeof(report->line) - 1)
            report_flush(report);
        if (text[i] != '\n')
            report->line[report->length++] = text[i];
    }
}

static const char *report_region_kind(enum guest_region_kind kind)
{
    switch (kind) {
    case REGION_RAM:
        return "RAM";
    case REGION_ROM:
        return "ROM";
    case REGION_DEVICE:
        return "device";
    case REGION_SHARED:
        return "shared memory";
    }
    return "?";
}

static void report_gpa(struct vm *vm, struct fmt_sink *out, gpa_t addr)
{
    const struct guest_region *region = guestmap_nearest(&vm->map, addr);
    struct bus_hint hint = {};
    struct vdev *dev = bus_find(&vm->bus, addr.v, 1, &hint);
    struct pt_leaf leaf;

    if (pt_lookup(&vm->map.pt, addr.v, &leaf) == OK)
        fmt_print(out, "  stage 2: guest-physical %#llx -> host %#llx (%c%c%c, %llu KiB leaf)\n",
                  (unsigned long long)addr.v, (unsigned long long)leaf.pa.v,
                  leaf.attr.read ? 'r' : '-', leaf.attr.write ? 'w' : '-',
                  leaf.attr.execute ? 'x' : '-', (unsigned long long)(leaf.size / KIB));
    else
        fmt_print(out, "  stage 2: guest-physical %#llx is not mapped\n",
                  (unsigned long long)addr.v);
    if (dev)
        fmt_print(out, "  device there: %s at %#llx\n", dev->ops->name,
                  (unsigned long long)dev->base);
    if (region)
        fmt_print(out, "  nearest region: %s %#llx-%#llx\n", report_region_kind(region->kind),
                  (unsigned long long)region->base.v,
                  (unsigned long long)(region->base.v + region->size - 1));
}

static void report_gva(struct vcpu *vcpu, struct fmt_sink *out, gva_t addr)
{
    gpa_t result;

    if (vcpu_translate(vcpu, addr, ACCESS_NONE, &result) == OK)
        fmt_print(out, "  stage 1: guest-virtual %#llx -> guest-physical %#llx\n",
                  (unsigned long long)addr.v, (unsigned long long)result.v);
    else
        fmt_print(out, "  stage 1: guest-virtual %#llx has no translation now\n",
                  (unsigned long long)addr.v);
}

static void report_address(struct vcpu *vcpu, struct fmt_sink *out, const struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_MMIO_READ:
    case EXIT_MMIO_WRITE:
        fmt_print(out, "  %s of %u bytes\n", exit->kind == EXIT_MMIO_READ ? "read" : "write",
                  exit->mmio.width);
        if (virt_caps.access_gva)
            report_gva(vcpu, out, gva(exit->cause[1]));
        report_gpa(vcpu->vm, out, exit->mmio.gpa);
        return;
    case EXIT_STAGE2_FAULT:
        if (exit->fault.gva_valid)
            report_gva(vcpu, out, exit->fault.gva);
        report_gpa(vcpu->vm, out, exit->fault.gpa);
        return;
    default:
        report_gva(vcpu, out, gva(arch_vcpu_pc(&vcpu->arch)));
    }
}

static void report_trace(const struct vcpu *vcpu, struct fmt_sink *out)
{
    uint64_t count = MIN(vcpu->exit_count, VCPU_TRACE);

    fmt_print(out, "  last %llu of %llu exits, oldest first:\n", (unsigned long long)count,
              (unsigned long long)vcpu->exit_count);
    for (uint64_t i = vcpu->exit_count - count; i < vcpu->exit_count; i++) {
        const struct vcpu_trace *trace = &vcpu->trace[i % VCPU_TRACE];

        fmt_print(out, "    pc %016llx  %-12s cause %08x\n", (unsigned long long)trace->pc,
                  exit_kind_text(trace->kind), trace->cause);
    }
}

void vm_fault(struct vcpu *vcpu, const char *why, const struct vcpu_exit *exit)
{
    struct report_sink report = {.sink.put = report_put};
    struct fmt_sink *out = &report.sink;

    if (vm_stop(vcpu->vm, VM_STOP_CRASH) != OK)
        return; /* It is being stopped already: one report is enough. */
    fmt_print(out, "%s: vCPU %u on cpu%u: %s\n", vcpu->vm->config->name, vcpu->index,
              this_cpu()->id, why);
    fmt_print(out, "  exit: %s\n", exit_kind_text(exit->kind));
    arch_exit_print(exit, out);
    report_address(vcpu, out, exit);
    arch_vcpu_print(&vcpu->arch, out);
    report_trace(vcpu, out);
}
