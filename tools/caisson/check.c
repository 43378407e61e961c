/* SPDX-License-Identifier: Apache-2.0 */
/* `caisson check`: everything is found while the input is loaded; here it is summed up. */
#include <stdio.h>

#include "tools/caisson/tool.h"

static struct input input; /* Large. */

bool command_check(const struct options *options)
{
    struct options o = *options;

    o.arch = o.arch ? o.arch : "aarch64";
    if (o.input_count != 1)
        return fail("check takes one file");
    if (!input_load(&input, &o))
        return false;
    if (input.mistakes)
        return fail("%s: %u mistake%s", o.inputs[0], input.mistakes,
                    input.mistakes == 1 ? "" : "s");
    printf("%s: good for %s: %u VM%s\n", o.inputs[0], o.arch, input.config.vm_count,
           input.config.vm_count == 1 ? "" : "s");
    return true;
}
