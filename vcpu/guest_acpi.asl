/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT of x86_64 guests: what is on the board beside processors and interrupt controllers.
 * Addresses are those of vcpu/config_machine.c; tests/host/test_guest_acpi.c compares them.
 * [ACPI 6.5, chapters 6, 7 and 19; PCI Firmware Specification 3.2, 4.5]
 */
DefinitionBlock ("guest_acpi.aml", "DSDT", 2, "CAISSN", "CAISSON", 1)
{
    /* What is written into the power management registers to power off: chips/vpm.c. */
    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_SEG, 0)
            Name (_BBN, 0)
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0, 0x00, 0xff, 0, 0x100)
                IO (Decode16, 0xcf8, 0xcf8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x0000, 0x0cf7, 0, 0x0cf8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x1000, 0xffff, 0, 0xf000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0, 0xf0000000, 0xfebfffff, 0, 0x0ec00000)
            })

            /* The guest may have PCI Express' own registers; there is no hot plug, PME or AER. */
            Method (_OSC, 4)
            {
                CreateDWordField (Arg3, 0, STAT)
                If (Arg0 != ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766"))
                {
                    STAT |= 4
                    Return (Arg3)
                }
                If (Arg1 != 1)
                {
                    STAT |= 8
                }
                If (Arg2 > 2)
                {
                    CreateDWordField (Arg3, 8, CTRL)
                    If (CTRL & ~0x10)
                    {
                        STAT |= 0x10
                    }
                    CTRL &= 0x10
                }
                Return (Arg3)
            }
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3f8, 0x3f8, 1, 8)
                IRQ (Edge, ActiveHigh, Exclusive) { 4 }
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x70, 0x70, 1, 2)
                IRQ (Edge, ActiveHigh, Exclusive) { 8 }
            })
        }

        Device (PIC)
        {
            Name (_HID, EisaId ("PNP0000"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x20, 0x20, 1, 2)
                IO (Decode16, 0xa0, 0xa0, 1, 2)
            })
        }

        Device (TIMR)
        {
            Name (_HID, EisaId ("PNP0100"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x40, 0x40, 1, 4)
                IRQ (Edge, ActiveHigh, Exclusive) { 0 }
            })
        }

        /* What belongs to nobody else. */
        Device (MBRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x61, 0x61, 1, 1)
                IO (Decode16, 0x600, 0x600, 1, 0x10)
                Memory32Fixed (ReadWrite, 0xe0000000, 0x10000000)
            })
        }
    }
}
