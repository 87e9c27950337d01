# shellcheck shell=bash
# crun by hand, for containers.sh: crun_setup PROGRAM, then crun_measure FILE. A bridge, and per run a network
# namespace with a veth pair and an address, limits on memory, processor and processes.

crun_setup() { # PROGRAM: a static server on port 8080
	crun_id=bench$$ crun_bridge=bb$$ crun_net=${BENCH_NET:-10.88.79}
	mkdir -p "$W/crun/rootfs"/{tmp,proc,dev,sys}
	cp "$1" "$W/crun/rootfs/svc"
	(cd "$W/crun" && crun spec)
	jq --arg ns "/run/netns/$crun_id" '.process.args = ["/svc"] | .process.terminal = false | .root.readonly = true
		| del(.process.rlimits) | (.linux.namespaces[] | select(.type == "network")).path = $ns
		| .linux.resources += {memory: {limit: 67108864}, cpu: {quota: 100000, period: 100000}, pids: {limit: 64}}' \
		"$W/crun/config.json" >"$W/crun/new.json"
	mv "$W/crun/new.json" "$W/crun/config.json"
	ip link add "$crun_bridge" type bridge
	ip addr add "$crun_net.1/24" dev "$crun_bridge"
	ip link set "$crun_bridge" up
	cat >"$W/crun/start" <<-X
	set -e
	ip netns add $crun_id
	ip link add ${crun_bridge}v type veth peer name eth0 netns $crun_id
	ip link set ${crun_bridge}v master $crun_bridge up
	ip -n $crun_id -b - <<Y
	link set lo up
	addr add $crun_net.2/24 dev eth0
	link set eth0 up
	route add default via $crun_net.1
	Y
	exec crun run -d -b $W/crun $crun_id </dev/null >/dev/null 2>&1
	X
}

# Asks only once crun has returned: a packet sent before the interface is up costs a second of ARP.
crun_measure() { # FILE: appends ms from start to the first answer
	local start
	start=$(date +%s%N)
	in_crun_view bash "$W/crun/start"
	"$W/until" "$crun_net.2" 8080 / v0 "$start" >>"$1"
	crun_stop
}

crun_stop() {
	in_crun_view crun kill "$crun_id" KILL 2>/dev/null || :
	wait_for 5 in_crun_view crun delete -f "$crun_id"
	ip link del "${crun_bridge}v" 2>/dev/null || :
	ip netns del "$crun_id" 2>/dev/null || :
}

crun_down() {
	crun_stop
	ip link del "$crun_bridge"
}
