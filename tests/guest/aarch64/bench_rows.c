/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the benchmark that are arm64's: registers of the GIC that look at many lines. */
#include "arm.h"

const struct bench_row *bench_rows(void)
{
    static const struct bench_row rows[] = {
        {"gicd-isenabler", bench_read, GICD_BASE + GICD_ISENABLER + 4},
        {"gicd-ispendr", bench_read, GICD_BASE + GICD_ISPENDR + 4},
        {"gicd-isactiver", bench_read, GICD_BASE + GICD_ISACTIVER + 4},
        {"gicd-ipriorityr", bench_read, GICD_BASE + GICD_IPRIORITYR + 0x20},
        {"gicd-icfgr", bench_read, GICD_BASE + GICD_ICFGR + 8},
        {"gicr-isenabler", bench_read, GICR_BASE + GICR_SGI_FRAME + GICD_ISENABLER},
        {"gicr-ispendr", bench_read, GICR_BASE + GICR_SGI_FRAME + GICD_ISPENDR},
        {"gicr-isactiver", bench_read, GICR_BASE + GICR_SGI_FRAME + GICD_ISACTIVER},
        {"gicr-ipriorityr", bench_read, GICR_BASE + GICR_SGI_FRAME + GICD_IPRIORITYR},
        {NULL, NULL, 0},
    };

    return rows;
}
