#!/bin/busybox sh
# The lab's terminal: mounts, says who it is, and lets the agent work. What differs
# between releases is in /release.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules); do insmod "/lib/$module" || echo "guest: no $module"; done
. /release
slot=$(sed -n 's/.*refit.slot=\(.\).*/\1/p' /proc/cmdline)
echo "guest: slot $slot starts $version"
# What the power-on reset of the watchdog would be asked for on a real board.
echo "guest: watchdog $(cat /sys/class/watchdog/watchdog0/identity)"
case $mode in
panic) echo c >/proc/sysrq-trigger ;;
exit) exit 0 ;;
esac
mount -t vfat -o sync /dev/vda1 /boot
# A power cut can tear ext4's superblock, which the journal does not have: the second
# program takes the copy. It has nothing to do where the first one is content.
e2fsck -p /dev/vda4 || e2fsck -y /dev/vda4
mount -t ext4 /dev/vda4 /data
mount -t vfat -o ro /dev/vdb /card
export REFIT_AGENT_CONFIG=/data/factory/agent.toml
. /data/factory/given
# The operator's server is on the other side of the emulator's network, when there is one
# and this slot may use it.
if [ -e /sys/class/net/eth0 ] && [ "$slot" != "$offline" ]; then
	ip link set lo up
	ip link set eth0 up
	ip addr add 10.0.2.15/24 dev eth0
	ip route add default via 10.0.2.2
fi

end() {
	read -r _ _ _ _ _ _ _ _ _ _ _ discards _ </sys/block/vda/stat
	echo "guest: discards $discards"
	sync
	umount /boot /data
	case $1 in
	100) reboot -f ;;
	*) echo "guest: switches itself off" && poweroff -f ;;
	esac
	while :; do sleep 60; done
}

refit-agent run --once
code=$?
[ $code = 100 ] && end 100
status=$(refit-agent status --json)
# The kernel would speak in the middle of this long line.
dmesg -n 1
echo "guest: status $status"
# Until an update has come to its end here, its owner gives it.
case $given,$status in
card,*'"last":null'*) refit-agent install /card/update.zip ;;
page,*'"last":null'*) refit-agent run ;;
*) end 0 ;;
esac
code=$?
echo "guest: the update ended with $code"
end $code
