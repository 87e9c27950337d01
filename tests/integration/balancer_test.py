#!/usr/bin/env python3
"""HAProxy behind the ELBv2 API: rules, weights, health, and no request lost while anything changes."""
# parallel: yes
# timeout: 120
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from local_cloud import Cloud, Program, check, free_port, run_tests, test, wait_for

cloud = Cloud()
elb = cloud.client("elbv2")
port = free_port()


def get(path="/", headers=None, method="GET", redirects=False):
    """Status, body and headers of an answer."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {}, method=method)
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode(), answer.headers


def group(name, **more):
    made = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, TargetType="ip", VpcId="vpc-1",
                                   HealthCheckPath="/health", HealthCheckIntervalSeconds=5, **more)
    return made["TargetGroups"][0]["TargetGroupArn"]


def forward(*weighted):
    return [{"Type": "forward", "ForwardConfig": {
        "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weighted]}}]


def fixed(text, status="200"):
    return [{"Type": "fixed-response", "FixedResponseConfig": {
        "StatusCode": status, "ContentType": "text/plain", "MessageBody": text}}]


def register(arn, server):
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": server.port}])


def deregister(arn, server):
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": server.port}])


def state(arn, server):
    answer = elb.describe_target_health(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": server.port}])
    return answer["TargetHealthDescriptions"][0]["TargetHealth"]["State"]


def is_state(arn, server, wanted):
    def look():
        return state(arn, server) == wanted

    look.__doc__ = f"target {server.port} to be {wanted}"
    return look


def haproxy_pid():
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "comm").read_text() == "haproxy\n" and \
                    os.readlink(folder / "cwd") == str(cloud.state / "balancer"):
                return int(folder.name)
        except OSError:
            pass  # ended meanwhile
    return None


balancer = elb.create_load_balancer(Name="test")["LoadBalancers"][0]["LoadBalancerArn"]
blue, green = group("blue"), group("green")
listener = elb.create_listener(LoadBalancerArn=balancer, Port=port, Protocol="HTTP",
                               DefaultActions=fixed("nothing's here\n", "404"))["Listeners"][0]["ListenerArn"]
rule = elb.create_rule(ListenerArn=listener, Priority=100, Actions=forward((blue, 1), (green, 0)), Conditions=[
    {"Field": "path-pattern", "Values": ["/app*"]}])["Rules"][0]["RuleArn"]
servers = []


def server(name):
    servers.append(Program("echo_server", name))
    return servers[-1]


@test
def the_default_action_answers_what_no_rule_wants():
    status, body, _ = get("/other")
    check((status, body) == (404, "nothing's here\n"), (status, body))


@test
def a_group_without_healthy_targets_answers_503():
    check(get("/app")[0] == 503, get("/app"))


@test
def a_registered_target_serves_once_it_is_healthy():
    one = server("one")
    register(blue, one)
    wait_for(is_state(blue, one, "healthy"))
    check(get("/app/x")[:2] == (200, "one"), get("/app/x"))


@test
def weights_share_requests_and_take_effect_at_once():
    two = server("two")
    register(green, two)
    wait_for(is_state(green, two, "healthy"))
    elb.modify_rule(RuleArn=rule, Actions=forward((blue, 0), (green, 100)))
    check({get("/app")[1] for _ in range(50)} == {"two"}, "all to green")
    elb.modify_rule(RuleArn=rule, Actions=forward((blue, 100), (green, 100)))
    counts = collections.Counter(get("/app")[1] for _ in range(400))
    # 400 draws at one half: 10 standard deviations are 100
    check(abs(counts["one"] - 200) < 100, counts)
    elb.modify_rule(RuleArn=rule, Actions=forward((blue, 100), (green, 0)))
    check({get("/app")[1] for _ in range(50)} == {"one"}, "all to blue")


@test
def rules_match_by_path_host_header_method_query_and_source_in_order_of_priority():
    cases = [
        (1, [{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Colour", "Values": ["gr?en"]}}],
         "header", ("/", {"X-Colour": "GREEN"})),
        (2, [{"Field": "host-header", "Values": ["*.example.com", "shop.test"]}],
         "host", ("/", {"Host": "WWW.Example.com:8080"})),
        (3, [{"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2*"}]}}],
         "query", ("/?a=1&v=23", None)),
        (4, [{"Field": "path-pattern", "Values": ["/img/*.png", "/a'b"]},
             {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}}],
         "path", ("/img/x/y.png", None)),
        (5, [{"Field": "path-pattern", "Values": ["/only-here"]},
             {"Field": "source-ip", "SourceIpConfig": {"Values": ["127.0.0.0/8"]}}],
         "source", ("/only-here", None)),
        (6, [{"Field": "path-pattern", "Values": ["/only-here"]}], "never", None),
    ]
    made = [elb.create_rule(ListenerArn=listener, Priority=priority, Conditions=conditions,
                            Actions=fixed(name))["Rules"][0]["RuleArn"]
            for priority, conditions, name, _ in cases]
    for _, _, name, request in cases:
        if request:
            check(get(*request)[:2] == (200, name), (name, get(*request)))
    check(get("/a'b")[1] == "path", get("/a'b"))
    check(get("/img/x.pngx")[0] == 404, "a pattern is matched whole")
    elb.set_rule_priorities(RulePriorities=[{"RuleArn": made[5], "Priority": 5},
                                            {"RuleArn": made[4], "Priority": 6}])
    check(get("/only-here")[1] == "never", "priorities changed")
    for arn in made:
        elb.delete_rule(RuleArn=arn)
    check(get("/only-here")[0] == 404, "rules are gone")


@test
def a_redirect_fills_in_its_placeholders():
    arn = elb.create_rule(ListenerArn=listener, Priority=7, Conditions=[{"Field": "path-pattern", "Values": ["/old/*"]}],
                          Actions=[{"Type": "redirect", "RedirectConfig": {
                              "StatusCode": "HTTP_301", "Path": "/new/#{path}", "Port": "81"}}])["Rules"][0]["RuleArn"]
    status, _, headers = get("/old/x?a=b%20c")
    check((status, headers["Location"]) == (301, "http://127.0.0.1:81/new/old/x?a=b%20c"), (status, headers["Location"]))
    elb.delete_rule(RuleArn=arn)


@test
def the_servers_see_who_asked():
    with open(cloud.state / "balancer" / "haproxy.cfg", encoding="utf-8") as config:
        text = config.read()
    for header in ("option forwardfor", "X-Forwarded-Proto http", "X-Forwarded-Port"):
        check(header in text, header)


@test
def a_target_that_dies_leaves_the_rotation_and_comes_back():
    three = server("three")
    register(blue, three)
    wait_for(is_state(blue, three, "healthy"))
    three.end(signal.SIGKILL)
    for _ in range(40):
        check(get("/app")[:2] == (200, "one"), "a request found only the dead server")
    wait_for(is_state(blue, three, "unhealthy"))
    servers.remove(three)
    again = Program("echo_server", "three", three.port)
    servers.append(again)
    wait_for(is_state(blue, again, "healthy"))
    deregister(blue, again)
    wait_for(is_state(blue, again, "unused"))


@test
def a_port_that_is_taken_is_refused_and_nothing_changes():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        try:
            elb.create_listener(LoadBalancerArn=balancer, Port=taken.getsockname()[1], Protocol="HTTP",
                                DefaultActions=fixed("x"))
            raise AssertionError("the listener was made")
        except elb.exceptions.ClientError as refused:
            check(refused.response["Error"]["Code"] == "InvalidConfigurationRequest", refused)
    check(len(elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]) == 1, "one listener")
    check(get("/app")[0] == 200, "still serving")


@test
def a_lost_haproxy_is_started_again_as_it_was():
    elb.modify_rule(RuleArn=rule, Actions=forward((blue, 0), (green, 7)))
    old = haproxy_pid()
    os.kill(old, signal.SIGKILL)

    def serves():
        """HAProxy to serve again"""
        try:
            return haproxy_pid() not in (None, old) and get("/app")[0] == 200
        except OSError:
            return False

    wait_for(serves)
    check({get("/app")[1] for _ in range(20)} == {"two"}, "the weights were kept")
    elb.modify_rule(RuleArn=rule, Actions=forward((blue, 1), (green, 0)))


@test
def traffic_goes_on_without_the_endpoint_which_adopts_what_runs():
    pid = haproxy_pid()
    cloud.kill_and_restart()
    check(haproxy_pid() == pid, "HAProxy was kept")
    check(state(blue, servers[0]) == "healthy", "an adopted target is healthy at once")
    check(get("/app")[0] == 200, "still serving")
    elb.modify_rule(RuleArn=rule, Actions=forward((blue, 0), (green, 1)))
    check(get("/app")[1] == "two", "the adopted HAProxy obeys")
    elb.modify_rule(RuleArn=rule, Actions=forward((blue, 1), (green, 0)))


@test
def no_request_fails_while_targets_weights_and_structure_change():
    if not shutil.which("wrk"):
        return "wrk is not installed"
    load = subprocess.Popen(["wrk", "-t1", "-c24", "-d8s", f"http://127.0.0.1:{port}/app"],
                            stdout=subprocess.PIPE, text=True)
    current = {blue: servers[0], green: servers[1]}
    live, idle, turns = blue, green, 0
    while load.poll() is None:
        # blue/green: a new server behind the idle group, shift, drain the old one, end it
        fresh = server(f"n{turns}")
        register(idle, fresh)
        wait_for(is_state(idle, fresh, "healthy"))
        deregister(idle, current[idle])
        wait_for(is_state(idle, current[idle], "unused"))
        current[idle].end()
        servers.remove(current[idle])
        current[idle] = fresh
        for share in (10, 50, 100):
            elb.modify_rule(RuleArn=rule, Actions=forward((live, 100 - share), (idle, share)))
        live, idle = idle, live
        # rolling: the same group gets another server
        another = server(f"r{turns}")
        register(live, another)
        wait_for(is_state(live, another, "healthy"))
        deregister(live, current[live])
        wait_for(is_state(live, current[live], "unused"))
        current[live].end()
        servers.remove(current[live])
        current[live] = another
        # a reload
        extra = elb.create_rule(ListenerArn=listener, Priority=50, Actions=fixed("x"), Conditions=[
            {"Field": "path-pattern", "Values": ["/extra"]}])["Rules"][0]["RuleArn"]
        elb.delete_rule(RuleArn=extra)
        if turns % 5 == 2:
            cloud.kill_and_restart()
        turns += 1
    report = load.stdout.read()
    load.stdout.close()
    done = re.search(r"(\d+) requests in", report)
    print(f"# {turns} turns, {done.group(1) if done else '?'} requests")
    check(done and int(done.group(1)) > 1000 and turns >= 3, report)
    check("Socket errors" not in report and "Non-2xx" not in report, report)


@test
def deleting_the_load_balancer_ends_its_listeners():
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    try:
        get("/app")
        raise AssertionError("the port still answers")
    except OSError:
        pass
    elb.delete_target_group(TargetGroupArn=blue)
    check(elb.describe_listeners()["Listeners"] == [], "listeners are gone")
    check(haproxy_pid() is None, "nothing is left for HAProxy to do")


status = run_tests()
for program in servers:
    program.end()
cloud.close()
sys.exit(status)
