# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# What a user scripts by hand today, for commit.sh: pull, make, buildah bud, push to a registry, podman run,
# health check, switch HAProxy. Sourced: peer_setup ORIGIN, then peer_deploy VERSION per commit.

peer_setup() { # ORIGIN: a bare repository with Makefile, svc.c, version
	PEER_PORT_A=$(free_port) PEER_PORT_B=$(free_port)
	P=$(free_port) R=$(free_port) peer_origin=$1 peer_old='' peer_count=0
	mkdir -p "$W/peer/home" "$W/peer/registry"
	cat >"$W/peer/registry.yml" <<-Y
	version: 0.1
	log: {level: error, accesslog: {disabled: true}}
	storage: {filesystem: {rootdirectory: $W/peer/registry}, delete: {enabled: true}}
	http: {addr: "127.0.0.1:$R"}
	Y
	docker-registry serve "$W/peer/registry.yml" >"$W/peer/registry.log" 2>&1 &
	pids+=($!)
	cat >"$W/peer/haproxy.cfg" <<-Y
	global
		stats socket $W/peer/sock mode 600 level admin
	defaults
		mode http
		timeout connect 1s
		timeout client 10s
		timeout server 10s
	frontend f
		bind 127.0.0.1:$P
		default_backend b
	backend b
		balance roundrobin
	Y
	haproxy -db -f "$W/peer/haproxy.cfg" >"$W/peer/haproxy.log" 2>&1 &
	pids+=($!)
	# Private container storage: nothing of the host's is touched.
	printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$W/peer/root" "$W/peer/run" >"$W/peer/storage.conf"
	printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' >"$W/peer/policy.json"
	printf 'FROM scratch\nCOPY build/svc /svc\nENTRYPOINT ["/svc"]\n' >"$W/peer/Dockerfile"
	wait_for 20 curl -sf "http://127.0.0.1:$R/v2/"
	export W R P peer_origin
	export CONTAINERS_STORAGE_CONF=$W/peer/storage.conf BUILDAH_ISOLATION=chroot
	export pod="podman --runtime crun --cgroup-manager cgroupfs --events-backend none"
	cat >"$W/peer/deploy" <<-'X'
	set -e
	ctl() { printf '%s\n' "$1" | socat - "UNIX-CONNECT:$W/peer/sock" >/dev/null; }
	v=$1 port=$2 old=$3 co=$W/peer/checkout
	if [ -d "$co" ]; then git -C "$co" pull -q; else git clone -q "$peer_origin" "$co"; fi
	make -s -B -C "$co/svc"
	buildah bud -q -f "$W/peer/Dockerfile" -t "127.0.0.1:$R/svc:$v" "$co/svc" >/dev/null 2>&1
	buildah push -q --signature-policy "$W/peer/policy.json" --tls-verify=false "127.0.0.1:$R/svc:$v"
	$pod run -d --name "svc-$v" --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --network host -e PORT="$port" --log-driver k8s-file "127.0.0.1:$R/svc:$v" >/dev/null 2>&1
	for i in $(seq 500); do curl -sf -o /dev/null "http://127.0.0.1:$port/" && break; sleep 0.01; done
	ctl "add server b/$v 127.0.0.1:$port"; ctl "enable server b/$v"
	[ -z "$old" ] || ctl "set server b/$old state maint"
	X
}

peer_deploy() { # VERSION: from the moved ref to the switch
	local port=$((peer_count++ % 2 ? PEER_PORT_A : PEER_PORT_B))
	in_crun_view bash "$W/peer/deploy" "$1" "$port" "$peer_old" >>"$W/log" 2>&1
	peer_retired=$peer_old peer_old=$1
}

peer_tidy() { # untimed: the replaced container goes
	[ -z "${peer_retired:-}" ] || in_crun_view $pod rm -f -t 0 "svc-$peer_retired" >/dev/null 2>&1 || :
}

peer_down() { in_crun_view $pod rm -a -f -t 0; }
