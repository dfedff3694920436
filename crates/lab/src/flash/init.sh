#!/bin/busybox sh
# A guest with simulated NAND: the real agent installs releases into MTD partitions with
# bad blocks and into UBI volumes, and the tools of others look at what it did. This
# script plays the bootloader, with fw_printenv and fw_setenv.
. /begin
# Blocks of 128 KiB: 16 for the environment, 96 for each slot, the rest for UBI. Bad from
# the factory are one of the environment's, one of A's, two of B's and one of the rest; one
# of B's cannot be erased, and one page of B's cannot be written, which shows only when it
# is tried. Another chip is written byte by byte and has no bad blocks, as NOR.
for module in bch mtd nandcore nand ubi; do insmod /lib/$module.ko; done
insmod /lib/nandsim.ko first_id_byte=0x20 second_id_byte=0xa2 third_id_byte=0 \
	fourth_id_byte=0x15 parts=16,96,96 badblocks=0,17,112,115,210 weakblocks=120:0 \
	weakpages=7557:0
insmod /lib/mtdram.ko total_size=8192 erase_size=64
part='mtd:NAND simulator partition'
env=/etc/fw_env.config
more=

# terminal NAME A B: one that never ran, with these slots.
terminal() {
	configure "$1" "$old_sha" <<END
[install]
checkpoint_kib = 384
[boot]
control = "uboot"
[boot.environment]
size = 0x4000
range = 0x40000
copies = [{ path = "$part 0" }, { path = "$part 0", offset = 0x40000 }]
[components.rootfs]
effect = "slot"
a = "$2"
b = "$3"
$more
END
	echo A >/run/slot
	for pair in BOOT_ORDER=A BOOT_A_LEFT=3 BOOT_B_LEFT=0 BOOT_A_GOOD=1 BOOT_B_GOOD=0; do
		/tools/fw_setenv -c $env -f /defaults "${pair%%=*}" "${pair#*=}"
	done
	start
}
said() { /tools/fw_printenv -c $env -n "$1"; }

# What a script of U-Boot does.
boot() {
	slot=$(said BOOT_ORDER)
	slot=${slot%% *}
	left=$(said BOOT_${slot}_LEFT)
	/tools/fw_setenv -c $env BOOT_${slot}_LEFT $((left - 1))
	echo "$slot" >/run/slot
	start
}
# install PACKAGE: from the order to the restart.
install() {
	refit-agent install "$1"
	same $? 100
}
# cut_off PACKAGE: kill -9 at the fourth change of the journal, and again at the next.
cut_off() {
	killed_after 4 refit-agent install "$1" || return 1
	killed_after 3 refit-agent run --once || return 1
	refit-agent status --json
	refit-agent status --json | grep -q downloading
}
goes_on() {
	refit-agent run --once
	same $? 100
}
on_trial() {
	same "$(said BOOT_ORDER)" 'B A' && same "$(said BOOT_B_LEFT)" 3 && boot
}
confirmed() {
	refit-agent run --once && same "$(said BOOT_B_GOOD)" 1 &&
		refit-agent status --json | grep -q '"outcome":0'
}
# The bytes of a partition without its bad blocks.
dumped() { same "$(/tools/nanddump -q --bb=skipbad "/dev/mtd$1" | sum "$3")" "$2"; }
volume() { volume_of "/dev/ubi0_$1" "$2" "$3"; }
volume_of() { same "$(sum "$3" <"$1")" "$2"; }

. /cases
end poweroff -f
