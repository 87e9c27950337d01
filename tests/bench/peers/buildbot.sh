# shellcheck shell=bash
# buildbot with one worker and a builder that runs /bin/true, for job.sh. One client process stays connected, so
# that its start (410 ms) is not counted. Does nothing when buildbot is not installed.

buildbot_setup() {
	command -v buildbot buildbot-worker >/dev/null || { note "buildbot is not installed: not measured"; return 0; }
	buildbot_port=$(free_port) buildbot_changes=$(free_port)
	buildbot create-master "$W/bb" >>"$W/log" 2>&1
	cat >"$W/bb/master.cfg" <<-Y
	import time
	from buildbot.plugins import *
	from buildbot.util.service import BuildbotService
	from twisted.internet import defer
	class Done(BuildbotService):
	    name = "done"
	    @defer.inlineCallbacks
	    def startService(self):
	        yield super().startService()
	        self.c = yield self.master.mq.startConsuming(self.got, ("builds", None, "finished"))
	    def got(self, key, msg):
	        open("$W/bb.done", "a").write("%d\n" % (time.time_ns() // 1000))
	c = BuildmasterConfig = {}
	c["workers"] = [worker.Worker("w", "p")]
	c["protocols"] = {"pb": {"port": "tcp:$buildbot_port:interface=127.0.0.1"}}
	c["change_source"] = [changes.PBChangeSource(port="tcp:$buildbot_changes:interface=127.0.0.1", user="u", passwd="p")]
	c["schedulers"] = [schedulers.SingleBranchScheduler(name="s", change_filter=util.ChangeFilter(branch="main"), treeStableTimer=None, builderNames=["b"])]
	c["builders"] = [util.BuilderConfig(name="b", workernames=["w"], factory=util.BuildFactory([steps.ShellCommand(command=["/bin/true"])]), collapseRequests=False)]
	c["services"] = [Done()]
	c["buildbotNetUsageData"] = None
	c["db"] = {"db_url": "sqlite:///state.sqlite"}
	Y
	buildbot upgrade-master "$W/bb" >>"$W/log" 2>&1
	buildbot-worker create-worker "$W/bbw" "127.0.0.1:$buildbot_port" w p >>"$W/log" 2>&1
	(cd "$W/bb" && exec twistd3 --no_save -n --logfile=twistd.log -y buildbot.tac) >>"$W/log" 2>&1 &
	pids+=($!)
	(cd "$W/bbw" && exec twistd3 --no_save -n --logfile=twistd.log -y buildbot.tac) >>"$W/log" 2>&1 &
	pids+=($!)
	wait_for 30 grep -q attached "$W/bb/twistd.log"
	cat >"$W/bb.py" <<-Y
	# A line on stdin sends a change; prints the milliseconds until its build has finished.
	import os, sys, time
	from twisted.internet import reactor, defer, task, threads
	from buildbot.clients import sendchange
	DONE = "$W/bb.done"
	@defer.inlineCallbacks
	def main():
	    sender = sendchange.Sender("127.0.0.1:$buildbot_changes", ("u", "p"))
	    while (yield threads.deferToThread(sys.stdin.readline)):
	        before = os.path.getsize(DONE) if os.path.exists(DONE) else 0
	        began = time.time_ns() // 1000
	        yield sender.send("main", str(began), "c", ["f"], who="x")
	        while not os.path.exists(DONE) or os.path.getsize(DONE) == before:
	            yield task.deferLater(reactor, 0.002, lambda: None)
	        print("%.1f" % ((int(open(DONE).read().split()[-1]) - began) / 1e3), flush=True)
	    reactor.stop()
	reactor.callWhenRunning(main)
	reactor.run()
	Y
	mkfifo "$W/bb.in" "$W/bb.out"
	/usr/bin/python3 "$W/bb.py" <"$W/bb.in" >"$W/bb.out" 2>>"$W/log" &
	pids+=($!)
	exec {buildbot_in}>"$W/bb.in" {buildbot_out}<"$W/bb.out"
	buildbot_measure "$W/first"
}

buildbot_measure() { # FILE
	[ -n "${buildbot_in:-}" ] || return 0
	local line
	echo change >&"$buildbot_in"
	read -r -t 60 line <&"$buildbot_out"
	echo "$line" >>"$1"
}
