#!/bin/bash
# Debian's AWS CLI, unmodified, drives a service through its whole life on the local endpoint.
# parallel: yes
# timeout: 600
# shellcheck disable=SC2317
set -euo pipefail
cd "$TMPDIR"

skip() { echo "1..0 # SKIP $1"; exit 0; }

[ "$(id -u)" = 0 ] || skip "the local cloud needs root"
[ -x /usr/bin/aws ] || skip "the AWS CLI is not installed"
command -v musl-gcc >/dev/null || skip "musl-gcc is not installed"

export DOGSHORE_STATE=$TMPDIR/state
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

"$DOGSHORE" local up --detach --endpoint 127.0.0.1:0 >up.log 2>&1 || { cat up.log; exit 1; }
trap '"$DOGSHORE" local down >down.log 2>&1 || cat down.log' EXIT

keys=$DOGSHORE_STATE/local/credentials.json
endpoint=$(jq -r .endpoint "$keys") port=$(free_port)
AWS_REGION=$(jq -r .region "$keys") AWS_ENDPOINT_URL=$endpoint AWS_PAGER=
AWS_ACCESS_KEY_ID=$(jq -r .access_key_id "$keys") AWS_SECRET_ACCESS_KEY=$(jq -r .secret_access_key "$keys")
export AWS_REGION AWS_ENDPOINT_URL AWS_PAGER AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
registry=${endpoint#http://}/life/svc

aws() { /usr/bin/aws --endpoint-url "$endpoint" --output text "$@"; }

number=0 failed=0
check() { # WHAT GOT EXPECTED
	number=$((number + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $number - $1"
	else
		failed=1
		printf '# got      %s\n# expected %s\nnot ok %s - %s\n' "$2" "$3" "$number" "$1"
	fi
}
check_refused() { # WHAT CODE COMMAND...
	local what=$1 code=$2 said
	shift 2
	if said=$("$@" 2>&1); then said="it was not refused: $said"; fi
	check "$what" "$(grep -o "($code)" <<<"$said" || echo "$said")" "($code)"
}
push() { # VERSION: prints the image by digest
	musl-gcc -static -s -O2 -DVERSION="\"$1\"" -o "svc-$1" "$DOGSHORE_SOURCE/tests/bench/svc.c"
	"$DOGSHORE" image build --binary "svc-$1" --port 8080 --output "layout:$1" 2>>build.log >&2
	echo "$registry@$("$DOGSHORE" image push "layout:$1" "$registry:$1" --json 2>>build.log | jq -r .digest)"
}
define() { # IMAGE: prints the revision
	aws ecs register-task-definition --family svc --network-mode awsvpc --cpu 256 --memory 512 \
		--container-definitions "[{\"name\":\"svc\",\"image\":\"$1\",\"essential\":true,\"portMappings\":[{\"containerPort\":8080}]}]" \
		--query taskDefinition.revision
}
service() { aws ecs describe-services --cluster life --services svc --query "services[0].$1"; }
wrong_secret() { AWS_SECRET_ACCESS_KEY=wrong aws "$@"; }

check "who am I" "$(aws sts get-caller-identity --query Account | grep -cE '^[0-9]{12}$')" 1
check_refused "a wrong secret, query protocol" SignatureDoesNotMatch wrong_secret sts get-caller-identity
check_refused "a wrong secret, JSON protocol" InvalidSignatureException wrong_secret ecs list-clusters

check "a repository" "$(aws ecr create-repository --repository-name life/svc --query repository.repositoryName)" life/svc
check_refused "and not twice" RepositoryAlreadyExistsException aws ecr create-repository --repository-name life/svc
v1=$(push v1) v2=$(push v2)
check "its images" "$(aws ecr describe-images --repository-name life/svc --query 'length(imageDetails)')" 2
check "a password for other clients" "$(aws ecr get-login-password | grep -c .)" 1

balancer=$(aws elbv2 create-load-balancer --name life --subnets subnet-1 subnet-2 --query 'LoadBalancers[0].LoadBalancerArn')
group=$(aws elbv2 create-target-group --name life-svc --protocol HTTP --port 8080 --target-type ip --vpc-id vpc-1 \
	--health-check-path / --health-check-interval-seconds 5 --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn')
listener=$(aws elbv2 create-listener --load-balancer-arn "$balancer" --protocol HTTP --port "$port" \
	--default-actions "Type=forward,TargetGroupArn=$group" --query 'Listeners[0].ListenerArn')
check "a balancer has an address" "$(aws elbv2 describe-load-balancers --names life --query 'LoadBalancers[0].DNSName' | grep -c .)" 1
check_refused "an unknown balancer" LoadBalancerNotFound aws elbv2 describe-load-balancers --names nobody

check "a cluster" "$(aws ecs create-cluster --cluster-name life --query cluster.status)" ACTIVE
check "a task definition" "$(define "$v1")" 1
check "and its next revision" "$(define "$v2")" 2
aws ecs create-service --cluster life --service-name svc --task-definition svc:1 --desired-count 2 --launch-type FARGATE \
	--network-configuration 'awsvpcConfiguration={subnets=[subnet-1]}' \
	--load-balancers "targetGroupArn=$group,containerName=svc,containerPort=8080" >create.json
aws ecs wait services-stable --cluster life --services svc
check "the service is stable: running tasks" "$(service runningCount)" 2
check "it answers through the balancer" "$(curl -s "http://127.0.0.1:$port/")" v1
check "its targets" "$(aws elbv2 describe-target-health --target-group-arn "$group" --query 'TargetHealthDescriptions[].TargetHealth.State')" "healthy	healthy"

aws ecs update-service --cluster life --service svc --task-definition svc:2 >update.json
aws ecs wait services-stable --cluster life --services svc
check "an update replaces the tasks" "$(curl -s "http://127.0.0.1:$port/")" v2
check "one deployment is left" "$(service 'length(deployments)')" 1

task=$(aws ecs list-tasks --cluster life --service-name svc --query 'taskArns[0]')
aws ecs stop-task --cluster life --task "$task" --reason "a test" >stop.json
aws ecs wait tasks-stopped --cluster life --tasks "$task"
check "a stopped task says why" "$(aws ecs describe-tasks --cluster life --tasks "$task" --query 'tasks[0].stoppedReason')" "a test"
aws ecs wait services-stable --cluster life --services svc
check "and is replaced" "$(service runningCount)" 2

aws ecs update-service --cluster life --service svc --desired-count 0 >scale.json
aws ecs wait services-stable --cluster life --services svc
check "no task is left" "$(service runningCount)" 0
check "the service is deleted" "$(aws ecs delete-service --cluster life --service svc --query service.status)" DRAINING
aws ecs wait services-inactive --cluster life --services svc
check "and inactive" "$(service status)" INACTIVE
aws elbv2 delete-listener --listener-arn "$listener"
aws elbv2 delete-load-balancer --load-balancer-arn "$balancer"
aws elbv2 delete-target-group --target-group-arn "$group"
check "the cluster is deleted" "$(aws ecs delete-cluster --cluster life --query cluster.status)" INACTIVE
check "the repository is deleted" "$(aws ecr delete-repository --repository-name life/svc --force --query repository.repositoryName)" life/svc
echo "1..$number"
exit "$failed"
