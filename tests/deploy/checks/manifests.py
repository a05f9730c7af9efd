"""The Kustomize overlays: they render, are what the API server takes, and hang together."""

import copy
import fnmatch
import ipaddress
import json
import re

import jsonschema
import kubernetes_validate
import yaml
from command import accepted, understood
from harness import ROOT, check, refuses, rendered

OVERLAYS = {name: f"deploy/kustomize/overlays/{name}" for name in ["cpu", "gpu"]}
# The oldest release that is supported somewhere, and the newest that the schemas know.
KUBERNETES = ["1.29", "1.37"]
SECRET = {"DATABASE_URL", "AMQP_URL", "S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def each():
    """Every overlay with its objects."""
    return [(name, rendered(folder)) for name, folder in OVERLAYS.items()]


def of(objects, kind):
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def pods(objects):
    """Name and pod template of everything that makes pods."""
    for kind in ["Deployment", "Job"]:
        for name, item in of(objects, kind).items():
            yield name, item["spec"]["template"]


def containers(objects):
    for name, template in pods(objects):
        (container,) = template["spec"]["containers"]
        yield name, template["spec"], container


def environment(objects, container):
    """Variables of a container that are no secrets."""
    variables = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            variables.update(of(objects, "ConfigMap")[source["configMapRef"]["name"]]["data"])
    variables.update({one["name"]: one["value"] for one in container.get("env", [])})
    return variables


def hook(container):
    """What runs before SIGTERM."""
    return container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])


def validate(item):
    if item["apiVersion"].startswith("keda.sh/"):
        schemas = json.loads((ROOT / "tests/deploy/keda.schema.json").read_text())
        jsonschema.Draft202012Validator({**schemas, "$ref": f"#/$defs/{item['kind']}"}).validate(item)
    else:
        for version in KUBERNETES:
            kubernetes_validate.validate(item, version, strict=True)


@check
def every_object_is_what_the_api_server_takes():
    for _, objects in each():
        for item in objects:
            validate(item)


@check
def the_validators_see_mistakes():
    objects = rendered(OVERLAYS["gpu"])
    deployment = copy.deepcopy(of(objects, "Deployment")["limekiln-gateway"])
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    refuses(validate, deployment)
    for path, value in [("maxReplicas", 3), ("maxReplicaCount", "3"), ("triggers", [])]:
        scaled = copy.deepcopy(of(objects, "ScaledObject")["limekiln-worker"])
        scaled["spec"][path] = value
        refuses(validate, scaled)


@check
def what_is_named_is_there():
    for overlay, objects in each():
        accounts, maps = of(objects, "ServiceAccount"), of(objects, "ConfigMap")
        for name, spec, container in containers(objects):
            assert spec["serviceAccountName"] in accounts, name
            for source in container["envFrom"]:
                if "configMapRef" in source:
                    assert source["configMapRef"]["name"] in maps, f"{overlay} {name}: {source}"
                else:
                    # A secret of its own for each component.
                    assert source["secretRef"]["name"] == name, f"{overlay} {name}: {source}"
            volumes = {volume["name"] for volume in spec.get("volumes", [])}
            assert {mount["name"] for mount in container.get("volumeMounts", [])} == volumes, name
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in ports, f"{name} {probe}"
        for name, item in of(objects, "ScaledObject").items():
            assert item["spec"]["scaleTargetRef"]["name"] in of(objects, "Deployment"), name
            for trigger in item["spec"]["triggers"]:
                assert trigger["authenticationRef"]["name"] in of(objects, "TriggerAuthentication"), name
        for name, item in of(objects, "TriggerAuthentication").items():
            for target in item["spec"]["secretTargetRef"]:
                assert target["name"] == "limekiln-keda" and target["key"] in SECRET, name
        assert len({item["metadata"]["namespace"] for item in objects}) == 1, overlay


@check
def selectors_find_pods_of_exactly_one_kind():
    def finds(selector, labels):
        if not all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()):
            return False
        return all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))

    for overlay, objects in each():
        labels = {name: template["metadata"]["labels"] for name, template in pods(objects)}
        for kind in ["Deployment", "PodDisruptionBudget", "Service", "NetworkPolicy"]:
            for name, item in of(objects, kind).items():
                spec = item["spec"]
                selector = spec.get("podSelector") or spec["selector"]
                selector = {"matchLabels": selector} if kind == "Service" else selector
                found = {pod for pod, its in labels.items() if finds(selector, its)}
                expected = {name}
                if name == "limekiln-status":
                    expected = {"limekiln-gateway", "limekiln-coordinator", "limekiln-worker", "limekiln-migrate"}
                if name == "limekiln-egress":
                    expected = set(labels)
                assert found == expected, f"{overlay} {kind} {name} selects {found}"
        # Nothing of the fleet is left open.
        closed = set()
        for item in of(objects, "NetworkPolicy").values():
            closed |= {pod for pod, its in labels.items() if finds(item["spec"]["podSelector"], its)}
        assert closed == set(labels), overlay
        for service in of(objects, "Service").values():
            ports = {port["name"] for _, _, container in containers(objects) for port in container.get("ports", [])}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@check
def flags_and_variables_are_the_commands():
    for _, objects in each():
        shared = {key for item in of(objects, "ConfigMap").values() for key in item["data"]}
        for name, _, container in containers(objects):
            understood(container["args"], environment(objects, container), shared)
            if hook(container)[:1] == ["limekiln"]:
                understood(hook(container)[1:], {})
        # Shared ones must be read by somebody.
        for key in shared:
            readers = [name for name, _, container in containers(objects) if reads(container, key)]
            assert readers, f"nobody reads {key}"


def reads(container, key):
    try:
        understood(container["args"], [key])
    except AssertionError:
        return False
    return True


@check
def strangers_reach_the_api_alone():
    for overlay, objects in each():
        for name, item in of(objects, "Deployment").items():
            template = item["spec"]["template"]
            (container,) = template["spec"]["containers"]
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            address = environment(objects, container)["LIMEKILN_STATUS"]
            assert address == f"0.0.0.0:{ports['status']}", f"{overlay} {name}"
            assert template["metadata"]["annotations"]["prometheus.io/port"] == str(ports["status"]), f"{overlay} {name}"
        for name, service in of(objects, "Service").items():
            assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"], f"{overlay} {name}"
        for name, policy in of(objects, "NetworkPolicy").items():
            for rule in policy["spec"].get("ingress", []):
                status = {"port": "status"} in rule["ports"]
                assert status == ("from" in rule), f"{overlay} {name}: {rule}"


@check
def values_are_ones_the_command_takes():
    calls = []
    for _, objects in each():
        for _, _, container in containers(objects):
            calls.append((container["args"], environment(objects, container)))
            if hook(container)[:1] == ["limekiln"]:
                calls.append((hook(container)[1:], environment(objects, container)))
    accepted(calls)


@check
def nothing_runs_as_root_or_without_bounds():
    for overlay, objects in each():
        for name, spec, container in containers(objects):
            where = f"{overlay} {name}"
            pod, own = spec["securityContext"], container["securityContext"]
            assert pod["runAsNonRoot"] and pod["runAsUser"] >= 10000, where
            assert pod["seccompProfile"]["type"] == "RuntimeDefault", where
            assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"], where
            assert own["capabilities"]["drop"] == ["ALL"] and "add" not in own["capabilities"], where
            assert spec["automountServiceAccountToken"] is False, where
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
            assert "memory" in container["resources"]["limits"], where
            assert ":" in container["image"] and not container["image"].endswith(":latest"), where
            for volume in spec.get("volumes", []):
                assert "sizeLimit" in volume["emptyDir"], where


@check
def processes_are_probed_and_leave_in_time():
    for overlay, objects in each():
        for name, item in of(objects, "Deployment").items():
            spec = item["spec"]["template"]["spec"]
            (container,) = spec["containers"]
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", name
            assert container["startupProbe"]["httpGet"]["path"] == "/healthz", name
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", name
            assert name in of(objects, "PodDisruptionBudget"), name
            command, waits = hook(container), 0
            if command[:1] == ["sleep"]:
                waits = int(command[1])
            elif command[:2] == ["limekiln", "drain"]:
                waits = 60 * int(re.fullmatch(r"(\d+)min", command[command.index("--wait") + 1])[1])
            # What follows SIGTERM takes 10 s, and 5 to be sure.
            assert spec["terminationGracePeriodSeconds"] >= waits + 15, f"{overlay} {name}"
            annotations = item["spec"]["template"]["metadata"]["annotations"]
            ports = {str(port["containerPort"]) for port in container["ports"]}
            assert annotations["prometheus.io/port"] in ports, name


def reached(policies, address):
    """Whether one of the policies lets a pod of ours connect to an address outside the cluster's namespaces."""
    address = ipaddress.ip_address(address)
    for policy in policies:
        for rule in policy["spec"].get("egress", []):
            if any(port.get("port") == 53 for port in rule.get("ports", [])):
                continue
            for peer in rule["to"]:
                block = peer.get("ipBlock")
                if not block or address not in ipaddress.ip_network(block["cidr"]):
                    continue
                if not any(address in ipaddress.ip_network(one) for one in block.get("except", [])):
                    return True
    return False


PRIVATE = ["169.254.169.254", "10.96.0.1", "172.20.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "fd00:ec2::254", "fe80::1", "::ffff:10.0.0.1"]


@check
def nobody_reaches_metadata_or_the_clusters_own_addresses():
    for overlay, objects in each():
        policies = [item for item in of(objects, "NetworkPolicy").values() if "Egress" in item["spec"]["policyTypes"]]
        assert policies, overlay
        for policy in policies:
            # An empty rule or a rule without peers is an open door.
            assert all(rule.get("to") for rule in policy["spec"]["egress"]), policy["metadata"]["name"]
        for address in PRIVATE:
            assert not reached(policies, address), f"{overlay}: {address}"
        for address in ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]:
            assert reached(policies, address), f"{overlay}: {address}"


@check
def services_with_private_addresses_are_a_component_of_their_own(tmp=ROOT / "target/deploy-tools/private"):
    tmp.mkdir(parents=True, exist_ok=True)
    parts = {"resources": ["../../../deploy/kustomize/overlays/cpu"], "components": ["../../../deploy/kustomize/components/private-services"]}
    (tmp / "kustomization.yaml").write_text(yaml.safe_dump(parts))
    objects = rendered(str(tmp))
    for item in objects:
        validate(item)
    policies = of(objects, "NetworkPolicy").values()
    assert reached(policies, "10.96.0.1") and not reached(policies, "169.254.169.254")
    for rule in of(objects, "NetworkPolicy")["limekiln-private-services"]["spec"]["egress"]:
        assert rule["ports"], "not to every port"


@check
def only_the_job_makes_tables():
    for overlay, objects in each():
        for name, _, container in containers(objects):
            assert (container["args"] == ["migrate", "--roles", "--adopt-bucket"]) == (name == "limekiln-migrate"), f"{overlay} {name}"


def allows(component, action, key):
    """Whether the component's policy allows the action on a blob; `None` as key asks of the bucket itself."""
    policy = json.loads((ROOT / f"deploy/s3/{component}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    wanted = "arn:aws:s3:::limekiln" + (f"/{key}" if key else "")
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow" and set(statement) == {"Sid", "Effect", "Action", "Resource"}
        assert all(re.fullmatch(r"s3:[A-Z][A-Za-z]+", one) for one in statement["Action"]), statement
        if action in statement["Action"] and any(fnmatch.fnmatchcase(wanted, one) for one in statement["Resource"]):
            return True
    return False


@check
def rights_in_the_bucket_are_what_each_component_does():
    image, result, checkpoint = "t/1/images/2", "t/1/edits/2/3/result.png", "t/1/edits/2/3/checkpoint-4"
    marker = "fleet.json"
    every = [image, result, checkpoint, marker]
    may = {
        "gateway": {"s3:GetObject": every, "s3:PutObject": [image], "s3:DeleteObject": []},
        "worker": {"s3:GetObject": every, "s3:PutObject": [result, checkpoint], "s3:DeleteObject": [checkpoint]},
        "coordinator": {"s3:GetObject": every, "s3:PutObject": [marker], "s3:DeleteObject": [image, result, checkpoint]},
    }
    for component, actions in may.items():
        # `HEAD` of a bucket, which each process asks for at its start, is this right.
        assert allows(component, "s3:ListBucket", None), component
        for action, keys in actions.items():
            for key in every:
                assert allows(component, action, key) == (key in keys), f"{component} {action} {key}"
        # All look whose the bucket is; coordinators keep the marker.
        assert allows(component, "s3:GetObject", "fleet.json") and not allows(component, "s3:DeleteObject", "fleet.json")
        assert allows(component, "s3:PutObject", "fleet.json") == (component == "coordinator")
        # What readiness asks for.
        assert allows(component, "s3:GetObject", "t/probe/readyz"), component
        for action in ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]:
            assert not allows(component, action, "models/sd/unet.safetensors"), component
    assert allows("coordinator", "s3:ListBucketMultipartUploads", None)


@check
def gpus_are_asked_for_where_they_are_used():
    gpu = of(rendered(OVERLAYS["gpu"]), "Deployment")
    worker = gpu.pop("limekiln-worker")["spec"]["template"]["spec"]
    (container,) = worker["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert any(one["key"] == "nvidia.com/gpu" for one in worker["tolerations"])
    assert container["image"].endswith(":cuda")
    others = list(gpu.values()) + list(of(rendered(OVERLAYS["cpu"]), "Deployment").values())
    assert "nvidia.com/gpu" not in json.dumps(others)


@check
def the_scaler_alone_says_how_many_workers():
    objects = rendered(OVERLAYS["gpu"])
    assert "replicas" not in of(objects, "Deployment")["limekiln-worker"]["spec"]
    assert of(rendered(OVERLAYS["cpu"]), "Deployment")["limekiln-worker"]["spec"]["replicas"] == 2
    # The model that is counted is the model that the workers hold and the gateway offers.
    (container,) = of(objects, "Deployment")["limekiln-worker"]["spec"]["template"]["spec"]["containers"]
    variables = environment(objects, container)
    scaled = of(objects, "ScaledObject")["limekiln-worker"]["spec"]
    counted = set(re.findall(r"model = '([^']+)'", scaled["triggers"][0]["metadata"]["query"]))
    assert counted == {variables["LIMEKILN_MODEL_NAME"]} <= set(variables["LIMEKILN_MODELS"].split(","))
    assert scaled["triggers"][0]["metadata"]["targetQueryValue"] == variables.get("LIMEKILN_SLOTS", "1")


@check
def spot_nodes_get_no_drain(tmp=ROOT / "target/deploy-tools/spot"):
    tmp.mkdir(parents=True, exist_ok=True)
    kustomization = {"resources": ["../../../deploy/kustomize/overlays/gpu"], "components": ["../../../deploy/kustomize/components/spot"]}
    (tmp / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    rendered.cache_clear()
    objects = rendered(str(tmp))
    for item in objects:
        validate(item)
    spec = of(objects, "Deployment")["limekiln-worker"]["spec"]["template"]["spec"]
    assert "lifecycle" not in spec["containers"][0]
    assert spec["terminationGracePeriodSeconds"] == 15
