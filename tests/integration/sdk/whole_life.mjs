// A service's whole life through the AWS SDK for JavaScript v3. Prints TAP; started by aws_sdk_test.sh.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const require = createRequire(`${process.env.DOGSHORE_SDK}/`);
const ecr = require("@aws-sdk/client-ecr");
const ecs = require("@aws-sdk/client-ecs");
const elb = require("@aws-sdk/client-elastic-load-balancing-v2");
const logs = require("@aws-sdk/client-cloudwatch-logs");
const sts = require("@aws-sdk/client-sts");

const endpoint = process.env.AWS_ENDPOINT_URL;
const port = Number(process.env.LISTENER_PORT);
const one = {
  ecr: new ecr.ECRClient({}),
  ecs: new ecs.ECSClient({}),
  elb: new elb.ElasticLoadBalancingV2Client({}),
  logs: new logs.CloudWatchLogsClient({}),
  sts: new sts.STSClient({}),
};
const made = {}; // what later steps need of earlier ones

async function until(what, question, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

async function refused(call, name, status) {
  const error = await call().then(() => null, (e) => e);
  assert.ok(error, `expected ${name}, got an answer`);
  assert.equal(error.name, name);
  assert.equal(error.$metadata?.httpStatusCode, status);
  return error;
}

const answer = async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => null))?.text();

async function deployed(what) {
  const service = await until(what, async () => {
    const { services } = await one.ecs.send(new ecs.DescribeServicesCommand({ cluster: "life", services: ["svc"] }));
    const [first] = services;
    return first.deployments.length === 1 && first.deployments[0].rolloutState === "COMPLETED" && first.runningCount === first.desiredCount && first;
  });
  return service;
}

const steps = {
  async "who am I"() {
    const me = await one.sts.send(new sts.GetCallerIdentityCommand({}));
    assert.match(me.Account, /^\d{12}$/);
    assert.match(me.Arn, new RegExp(`:${me.Account}:`));
  },

  async "a wrong secret is refused with 403 and the code of each protocol"() {
    const credentials = { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: "wrong" };
    await refused(() => new sts.STSClient({ credentials }).send(new sts.GetCallerIdentityCommand({})), "SignatureDoesNotMatch", 403);
    await refused(() => new elb.ElasticLoadBalancingV2Client({ credentials }).send(new elb.DescribeLoadBalancersCommand({})), "SignatureDoesNotMatch", 403);
    await refused(() => new ecs.ECSClient({ credentials }).send(new ecs.ListClustersCommand({})), "InvalidSignatureException", 403);
    await refused(() => new logs.CloudWatchLogsClient({ credentials }).send(new logs.DescribeLogGroupsCommand({})), "InvalidSignatureException", 403);
  },

  async "an unknown key is refused with 403"() {
    const credentials = { accessKeyId: "AKIDNOBODY", secretAccessKey: "wrong" };
    await refused(() => new sts.STSClient({ credentials }).send(new sts.GetCallerIdentityCommand({})), "InvalidClientTokenId", 403);
    await refused(() => new ecs.ECSClient({ credentials }).send(new ecs.ListClustersCommand({})), "UnrecognizedClientException", 403);
  },

  async "a repository takes a pushed image"() {
    const { repository } = await one.ecr.send(new ecr.CreateRepositoryCommand({ repositoryName: "life/svc" }));
    assert.match(repository.repositoryArn, /^arn:aws:ecr:.*:repository\/life\/svc$/);
    await refused(() => one.ecr.send(new ecr.CreateRepositoryCommand({ repositoryName: "life/svc" })), "RepositoryAlreadyExistsException", 400);
    const { authorizationData } = await one.ecr.send(new ecr.GetAuthorizationTokenCommand({}));
    assert.match(Buffer.from(authorizationData[0].authorizationToken, "base64").toString(), /^AWS:./);
    assert.ok(authorizationData[0].expiresAt > new Date());
    const registry = endpoint.replace("http://", "");
    for (const version of ["v1", "v2"]) {
      const pushed = JSON.parse(execFileSync(process.env.DOGSHORE,
        ["image", "push", `layout:${version}`, `${registry}/life/svc:${version}`, "--json"], { stdio: ["ignore", "pipe", "inherit"] }));
      made[version] = `${registry}/life/svc@${pushed.digest}`;
    }
    const { imageDetails } = await one.ecr.send(new ecr.DescribeImagesCommand({ repositoryName: "life/svc" }));
    assert.deepEqual(imageDetails.map((image) => image.imageTags).flat().sort(), ["v1", "v2"]);
  },

  async "a log group"() {
    await one.logs.send(new logs.CreateLogGroupCommand({ logGroupName: "/life/svc" }));
    await refused(() => one.logs.send(new logs.CreateLogGroupCommand({ logGroupName: "/life/svc" })), "ResourceAlreadyExistsException", 400);
    const { logGroups } = await one.logs.send(new logs.DescribeLogGroupsCommand({ logGroupNamePrefix: "/life" }));
    assert.equal(logGroups[0].logGroupName, "/life/svc");
  },

  async "a load balancer with a listener and a target group"() {
    const { LoadBalancers: [balancer] } = await one.elb.send(new elb.CreateLoadBalancerCommand({ Name: "life", Subnets: ["subnet-1", "subnet-2"] }));
    made.balancer = balancer.LoadBalancerArn;
    assert.ok(balancer.DNSName);
    const { TargetGroups: [group] } = await one.elb.send(new elb.CreateTargetGroupCommand({
      Name: "life-svc", Protocol: "HTTP", Port: 8080, TargetType: "ip", VpcId: "vpc-1", HealthCheckPath: "/",
      HealthCheckIntervalSeconds: 5, HealthyThresholdCount: 2,
    }));
    made.group = group.TargetGroupArn;
    const { Listeners: [listener] } = await one.elb.send(new elb.CreateListenerCommand({
      LoadBalancerArn: made.balancer, Protocol: "HTTP", Port: port, DefaultActions: [{ Type: "forward", TargetGroupArn: made.group }],
    }));
    made.listener = listener.ListenerArn;
    const { LoadBalancers: found } = await one.elb.send(new elb.DescribeLoadBalancersCommand({ Names: ["life"] }));
    assert.equal(found[0].LoadBalancerArn, made.balancer);
    await refused(() => one.elb.send(new elb.DescribeLoadBalancersCommand({ Names: ["nobody"] })), "LoadBalancerNotFoundException", 400);
  },

  async "a cluster and a task definition"() {
    const { cluster } = await one.ecs.send(new ecs.CreateClusterCommand({ clusterName: "life" }));
    assert.equal(cluster.status, "ACTIVE");
    for (const [version, revision] of [["v1", 1], ["v2", 2]]) {
      const { taskDefinition } = await one.ecs.send(new ecs.RegisterTaskDefinitionCommand({
        family: "svc", networkMode: "awsvpc", requiresCompatibilities: ["FARGATE"], cpu: "256", memory: "512",
        containerDefinitions: [{
          name: "svc", image: made[version], essential: true, portMappings: [{ containerPort: 8080 }],
          logConfiguration: { logDriver: "awslogs", options: { "awslogs-group": "/life/svc", "awslogs-region": process.env.AWS_REGION, "awslogs-stream-prefix": "svc" } },
        }],
      }));
      assert.equal(taskDefinition.revision, revision);
    }
  },

  async "a service that answers through the balancer"() {
    const { service } = await one.ecs.send(new ecs.CreateServiceCommand({
      cluster: "life", serviceName: "svc", taskDefinition: "svc:1", desiredCount: 2, launchType: "FARGATE",
      networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-1"] } },
      loadBalancers: [{ targetGroupArn: made.group, containerName: "svc", containerPort: 8080 }],
    }));
    assert.equal(service.status, "ACTIVE");
    await deployed("the first deployment");
    assert.equal(await answer(), "v1\n");
    const { TargetHealthDescriptions: targets } = await one.elb.send(new elb.DescribeTargetHealthCommand({ TargetGroupArn: made.group }));
    assert.deepEqual(targets.map((target) => target.TargetHealth.State), ["healthy", "healthy"]);
  },

  async "its tasks"() {
    const { taskArns } = await one.ecs.send(new ecs.ListTasksCommand({ cluster: "life", serviceName: "svc" }));
    const { tasks } = await one.ecs.send(new ecs.DescribeTasksCommand({ cluster: "life", tasks: taskArns }));
    assert.equal(tasks.length, 2);
    for (const task of tasks) {
      assert.equal(task.lastStatus, "RUNNING");
      assert.ok(task.startedAt instanceof Date);
      assert.equal(task.containers[0].image, made.v1);
    }
  },

  async "an update replaces them"() {
    const { service } = await one.ecs.send(new ecs.UpdateServiceCommand({ cluster: "life", service: "svc", taskDefinition: "svc:2" }));
    assert.match(service.taskDefinition, /svc:2$/);
    await deployed("the second deployment");
    assert.equal(await answer(), "v2\n");
  },

  async "its deployments are told"() {
    const { serviceDeployments } = await one.ecs.send(new ecs.ListServiceDeploymentsCommand({ cluster: "life", service: "svc" }));
    assert.deepEqual(serviceDeployments.map((deployment) => deployment.status), ["SUCCESSFUL", "SUCCESSFUL"]);
    const arns = serviceDeployments.map((deployment) => deployment.serviceDeploymentArn);
    const described = await one.ecs.send(new ecs.DescribeServiceDeploymentsCommand({ serviceDeploymentArns: arns }));
    assert.equal(described.serviceDeployments.length, 2);
  },

  async "a task that is stopped is replaced"() {
    const { taskArns: [victim] } = await one.ecs.send(new ecs.ListTasksCommand({ cluster: "life", serviceName: "svc" }));
    await one.ecs.send(new ecs.StopTaskCommand({ cluster: "life", task: victim, reason: "a test" }));
    await until("two running tasks without the stopped one", async () => {
      const { taskArns } = await one.ecs.send(new ecs.ListTasksCommand({ cluster: "life", serviceName: "svc", desiredStatus: "RUNNING" }));
      const { tasks } = taskArns.length ? await one.ecs.send(new ecs.DescribeTasksCommand({ cluster: "life", tasks: taskArns })) : { tasks: [] };
      return !taskArns.includes(victim) && tasks.filter((task) => task.lastStatus === "RUNNING").length === 2;
    });
    const { tasks: [stopped] } = await one.ecs.send(new ecs.DescribeTasksCommand({ cluster: "life", tasks: [victim] }));
    assert.match(stopped.stoppedReason, /a test/);
  },

  async "a task of its own runs, is stopped, and its output is in the logs"() {
    const { tasks: [task] } = await one.ecs.send(new ecs.RunTaskCommand({
      cluster: "life", taskDefinition: "svc:1", launchType: "FARGATE",
      networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-1"] } },
      overrides: { containerOverrides: [{ name: "svc", command: ["eat", "1"] }] },
    }));
    const stopped = await until("the task to end", async () => {
      const { tasks: [now] } = await one.ecs.send(new ecs.DescribeTasksCommand({ cluster: "life", tasks: [task.taskArn] }));
      return now.lastStatus === "STOPPED" && now;
    });
    assert.equal(stopped.containers[0].exitCode, 0);
    const stream = `svc/svc/${task.taskArn.split("/").at(-1)}`;
    const { events } = await one.logs.send(new logs.GetLogEventsCommand({ logGroupName: "/life/svc", logStreamName: stream, startFromHead: true }));
    assert.deepEqual(events.map((event) => event.message), ["ate it all"]);
  },

  async "the service scales down to nothing and is deleted"() {
    await one.ecs.send(new ecs.UpdateServiceCommand({ cluster: "life", service: "svc", desiredCount: 0 }));
    await until("no running task", async () => {
      const { services: [service] } = await one.ecs.send(new ecs.DescribeServicesCommand({ cluster: "life", services: ["svc"] }));
      return service.runningCount === 0;
    });
    await one.ecs.send(new ecs.DeleteServiceCommand({ cluster: "life", service: "svc" }));
    const { failures, services } = await one.ecs.send(new ecs.DescribeServicesCommand({ cluster: "life", services: ["nobody", "svc"] }));
    assert.deepEqual(failures.map((failure) => failure.reason), ["MISSING"]);
    assert.match(services[0].status, /^(DRAINING|INACTIVE)$/); // its last task may still be stopping
    await until("the service to be inactive", async () => {
      const { services: [service] } = await one.ecs.send(new ecs.DescribeServicesCommand({ cluster: "life", services: ["svc"] }));
      return service.status === "INACTIVE";
    });
  },

  async "everything else goes too"() {
    await one.elb.send(new elb.DeleteListenerCommand({ ListenerArn: made.listener }));
    await one.elb.send(new elb.DeleteLoadBalancerCommand({ LoadBalancerArn: made.balancer }));
    await one.elb.send(new elb.DeleteTargetGroupCommand({ TargetGroupArn: made.group }));
    await one.ecs.send(new ecs.DeregisterTaskDefinitionCommand({ taskDefinition: "svc:1" }));
    await one.ecs.send(new ecs.DeleteClusterCommand({ cluster: "life" }));
    await one.logs.send(new logs.DeleteLogGroupCommand({ logGroupName: "/life/svc" }));
    await refused(() => one.ecr.send(new ecr.DeleteRepositoryCommand({ repositoryName: "life/svc" })), "RepositoryNotEmptyException", 400);
    await one.ecr.send(new ecr.DeleteRepositoryCommand({ repositoryName: "life/svc", force: true }));
    assert.equal(await answer(), undefined, "the listener's port is closed");
  },
};

let number = 0, failures = 0;
for (const [name, step] of Object.entries(steps)) {
  number++;
  try {
    await step();
    console.log(`ok ${number} - ${name}`);
  } catch (error) {
    failures++;
    console.log(`# ${String(error.stack).replaceAll("\n", "\n# ")}\nnot ok ${number} - ${name}`);
  }
}
console.log(`1..${number}`);
process.exitCode = failures ? 1 : 0;
