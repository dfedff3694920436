# What all guests begin with: mounts, facts, and how something is tried.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /run
. /facts
tried=0
lost=0

# is WHAT COMMAND...: the command has to succeed. What the one before said is in
# /run/before.
is() {
	what=$1
	shift
	tried=$((tried + 1))
	[ ! -e /run/said ] || mv /run/said /run/before
	if "$@" >/run/said 2>&1; then
		echo "tried: $what"
	else
		lost=$((lost + 1))
		echo "tried: $what: FAILED"
		sed 's/^/  /' /run/said | tail -n 20
	fi
}
same() { [ "$1" = "$2" ] || { echo "it is $1, not $2"; return 1; }; }
# sum BYTES: of the first of them.
sum() { head -c "$1" | sha256sum | cut -d ' ' -f 1; }
# A start of the terminal has a name of its own.
start() { cat /proc/sys/kernel/random/uuid | tr -d - >/run/boot_id; }
# killed_after CHANGES COMMAND...: kill -9 after so many changes of the journal in $state.
killed_after() {
	most=$1
	shift
	"$@" &
	changes=0
	last=
	while [ $changes -le "$most" ]; do
		now=$(cat "$state/journal" | md5sum)
		[ "$now" = "$last" ] || changes=$((changes + 1))
		last=$now
		kill -0 $! || { echo 'it ended before'; return 1; }
	done
	kill -9 $!
	wait
}
# configure NAME SUM: a terminal that never ran, and runs slot A, which holds SUM. What is
# its own about it comes from the standard input.
configure() {
	state=/run/$1.state
	mkdir -p "$state"
	{
		cat <<END
device = "$1"
product = "$product"
hardware = "$hardware"
state_dir = "$state"
root = "/root.json"
[running]
from = "file"
path = "/run/slot"
[installed.rootfs]
version = "1.0.0"
slot = "A"
sha256 = "$2"
[power]
boot_id_file = "/run/boot_id"
[[health.checks]]
command = ["/bin/true"]
within_seconds = 5
END
		cat
	} >"/run/$1.toml"
	export REFIT_AGENT_CONFIG=/run/$1.toml
}
# end COMMAND...: says how all went, and switches the machine off.
end() {
	sync
	echo "guest: the end"
	verdict=ok
	[ $lost = 0 ] || verdict=FAILED
	echo "test result: $verdict. $((tried - lost)) passed; $lost failed"
	"$@"
}
