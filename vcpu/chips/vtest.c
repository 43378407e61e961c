/* SPDX-License-Identifier: Apache-2.0 */
/* The test device: see vtest.h. */
#include "vcpu/chips/vtest.h"
#include "vcpu/vm.h"

static uint64_t test_read([[maybe_unused]] struct vdev *dev, [[maybe_unused]] unsigned vcpu,
                          [[maybe_unused]] uint64_t offset, [[maybe_unused]] unsigned width)
{
    return 0;
}

static void test_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                       [[maybe_unused]] unsigned width, uint64_t value)
{
    if (offset != 0)
        return;
    switch (value & 0xffff) {
    case TEST_FAIL: /* With a code, which nobody here wants to know. */
    case TEST_POWEROFF:
        vm_stop_by_guest(dev->owner, VM_STOP_POWEROFF);
        break;
    case TEST_RESET:
        vm_stop_by_guest(dev->owner, VM_STOP_RESET);
        break;
    }
}

static void test_reset([[maybe_unused]] struct vdev *dev)
{
    /* There is nothing to be reset. */
}

const struct vdev_ops vtest_ops = {
    .name = "test device", .read = test_read, .write = test_write, .reset = test_reset};
