/* SPDX-License-Identifier: Apache-2.0 */
/* See state_rig.h. A section is its name and version, then what is in it. */
#include "tests/host/state_rig.h"

#include <string.h>

#include "vcpu/machine_ops.h"
#include "vcpu/vm.h"

struct rig_section {
    char name[STATE_NAME_MAX];
    uint32_t version;
};

static bool rig_bytes(struct state *s, void *bytes, size_t size)
{
    struct state_rig *rig = container_of(s, struct state_rig, state);

    if (size > (s->loading ? rig->limit : STATE_RIG_MAX) - rig->at)
        return false;
    if (s->loading)
        memcpy(bytes, rig->bytes + rig->at, size);
    else
        memcpy(rig->bytes + rig->at, bytes, size);
    rig->at += size;
    return true;
}

static void rig_section(struct state *s, const char *name, unsigned version)
{
    struct rig_section section = {.version = version};
    struct state_rig *rig = container_of(s, struct state_rig, state);

    if (!name) {
        state_require(s, rig->at == rig->size, "there is more than was used");
        return;
    }
    strcpy(section.name, name);
    if (!rig_bytes(s, &section, sizeof(section)))
        state_refuse(s, E_INVALID, "it ends too early");
    state_require(s, strncmp(section.name, name, sizeof(section.name)) == 0, "another section");
    state_require(s, section.version == version, "another version");
}

static const struct state_ops rig_ops = {.section = rig_section, .bytes = rig_bytes};

void state_rig_save(struct state_rig *rig, uint64_t now)
{
    rig->at = 0;
    state_init(&rig->state, &rig_ops, false, now);
}

void state_rig_load(struct state_rig *rig, uint64_t now)
{
    rig->at = 0;
    state_init(&rig->state, &rig_ops, true, now);
}

enum err state_rig_end(struct state_rig *rig)
{
    state_end(&rig->state);
    if (!rig->state.loading) {
        rig->size = rig->at;
        rig->limit = rig->at;
    }
    return rig->state.err;
}

/* The machine's own, another device's, or none. */
static bool is_elsewhere(const char *name)
{
    static const char *const names[] = {"GICv3 distributor",
                                        "GICv3 redistributors",
                                        "PLIC",
                                        "APLIC",
                                        "IMSIC",
                                        "local APIC",
                                        "I/O APIC",
                                        "test device",
                                        "port 61",
                                        "ECAM",
                                        "debug console"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void bus_has_all(const struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++) {
        const struct vdev_ops *ops = bus->devices[i]->ops;

        if ((ops->state != NULL) == is_elsewhere(ops->name))
            test_fail(__FILE__, __LINE__, "%s has %s state", ops->name, ops->state ? "a" : "no");
    }
}

void state_rig_has_all(const struct vm *vm)
{
    bus_has_all(&vm->bus);
    bus_has_all(&vm->ports);
    ASSERT(vm->machine->state && vm->machine->cpu_state);
}
