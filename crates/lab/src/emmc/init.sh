#!/bin/busybox sh
# A guest with an eMMC and a chip of NOR: the real agent writes bootloaders into the two
# boot partitions of the one, and the kernel says what its register names; after that
# releases into partitions of the other. This script plays the ROM, which starts
# the copy that the register names, or the other one where that does not come up, and the
# bootloader, which starts a slot.
. /begin
# There is no clock that runs while the machine is off: it is as late as this file.
date -s "$(date -r /facts '+%Y-%m-%d %H:%M:%S')" >/run/said
for module in cqhci sdhci sdhci-pltfm sdhci-of-aspeed ofpart spi-nor spi-aspeed-smc; do
	insmod /lib/$module.ko
done
card=/dev/mmcblk0

found() {
	tries=0
	while [ ! -e ${card}boot1 ]; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || return 1
		usleep 50000
	done
}
# The byte of the chip's register that names the boot partition, as the kernel reads it.
named() {
	same "$(cut -c 359-360 /sys/kernel/debug/mmc0/mmc0:0001/ext_csd)" "$1"
}
locked() {
	for copy in boot0 boot1; do
		same "$(cat /sys/block/mmcblk0$copy/force_ro)" 1 || return 1
	done
}
holds() { same "$(sum "$2" <"$1")" "$3"; }

# starts SLOT COPY: the terminal starts again.
starts() {
	start
	echo "$1" >/run/slot
	echo "$2" >/run/copy
}
# ends CODE COMMAND...
ends() {
	code=$1
	shift
	"$@"
	same $? "$code"
}
# killed_at_work COMMAND...: kill -9 while the second boot partition is unlocked.
killed_at_work() {
	"$@" &
	while kill -0 $!; do
		read -r lock </sys/block/mmcblk0boot1/force_ro
		[ "$lock" = 0 ] || continue
		# It may be locked again by now: then it is the next time.
		kill -STOP $!
		read -r lock </sys/block/mmcblk0boot1/force_ro
		[ "$lock" = 1 ] || break
		kill -CONT $!
	done
	kill -9 $!
	wait
	same "$(cat /sys/block/mmcblk0boot1/force_ro)" 0
}
outcome() { refit-agent status --json | grep "\"outcome\":$1[,}]"; }

nothing=$(echo | sha256sum | cut -d ' ' -f 1)
configure emmc "$nothing" <<END
[boot]
control = "uboot"
[boot.environment]
size = 0x4000
copies = [{ path = "PARTLABEL=env" }, { path = "PARTLABEL=env", offset = 0x4000 }]
[components.rootfs]
effect = "slot"
a = "PARTLABEL=system-a"
b = "PARTLABEL=system-b"
[components.bootloader]
effect = "copies"
a = "${card}boot0"
b = "${card}boot1"
running = { from = "file", path = "/run/copy" }
switch = { emmc = "$card" }
END
mount -t debugfs debugfs /sys/kernel/debug

is 'the kernel finds an eMMC with two boot partitions' found
starts A A
is 'it is started from the first one' named 08
is 'both are locked' locked
is 'a locked one takes nothing' sh -c "! dd if=/loader-2.img of=${card}boot1 bs=512 count=1"
is 'doctor takes them' sh -c 'refit-agent doctor | grep "bootloader, copy B"'

is 'an agent that is killed in the midst leaves one unlocked' \
	killed_at_work refit-agent install /update-2.zip
is 'the next one locks it first, and goes on to the restart' ends 100 refit-agent run --once
is 'it says so' grep 'boot1. was left unlocked; it is locked' /run/before
is 'the second boot partition holds it' holds ${card}boot1 "$loader2_size" "$loader2_sha"
is 'both are locked again' locked
is 'the switch still names the first one' named 08
starts B A
is 'the release is healthy, and the other bootloader chosen' ends 100 refit-agent run --once
is 'the switch names the second one' named 10
starts B B
is 'it came up, and the update is confirmed' ends 0 refit-agent run --once
is 'with outcome 0' outcome 0
is 'both are locked' locked

is 'the next one is installed' ends 100 refit-agent install /update-3.zip
is 'the first boot partition holds it' holds ${card}boot0 "$loader3_size" "$loader3_sha"
is 'the switch still names the second one' named 10
starts A B
is 'the other bootloader is chosen' ends 100 refit-agent run --once
is 'the switch names the first one' named 08
starts A B
is 'it did not come up: the choice is taken back' ends 0 refit-agent run --once
is 'the switch names the second one again' named 10
is 'with outcome 1' outcome 1
is 'both are locked' locked
is 'the second boot partition is as it was' holds ${card}boot1 "$loader2_size" "$loader2_sha"

. /nor
# This machine cannot switch itself off; the emulator takes this for it.
end reboot -f
