"""docker-compose.yml."""

import copy
import re

import yaml
from command import accepted, understood
from compose_spec import PyOptions
from harness import ROOT, check, refuses

TEXT = (ROOT / "docker-compose.yml").read_text()
FILE = yaml.safe_load(TEXT)
SERVICES = FILE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("limekiln:")}


def defaulted(text):
    """With the default in the place of every `${NAME:-default}`."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


def parsed(text):
    """Read by the compose specification's rules; unknown fields and undefined names are errors."""
    file = PyOptions(apply_merge=True).from_yaml(defaulted(text))
    file.validate()
    return file


def environment(service):
    """The variables of a service, with the defaults of `${NAME:-default}`."""
    return {name: defaulted(str(value)) for name, value in service["environment"].items()}


@check
def the_file_is_what_compose_takes():
    assert set(parsed(TEXT).service_names()) == set(SERVICES)


@check
def the_parser_sees_mistakes():
    for where, what in [("depends_onn", {}), ("ports", "8080"), ("restart", "sometimes"), ("networks", ["nowhere"])]:
        wrong = copy.deepcopy({key: value for key, value in FILE.items() if not key.startswith("x-")})
        wrong["services"]["gateway"][where] = what
        refuses(parsed, yaml.safe_dump(wrong))


@check
def every_port_is_bound_to_loopback():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports), ports


@check
def what_runs_on_is_watched_and_what_is_needed_is_waited_for():
    for name, service in SERVICES.items():
        if service["restart"] == "no":
            continue
        test = service["healthcheck"]["test"]
        assert test[0] in ("CMD", "CMD-SHELL"), name
        if test[1] == "limekiln-ready":
            own = environment(service)
            address = own.get("LIMEKILN_LISTEN") or own["LIMEKILN_STATUS"]
            assert address == f"0.0.0.0:{test[2]}", name
    for name, service in OURS.items():
        needs = service["depends_on"]
        assert (needs.get("roles") or needs["migrate"])["condition"] == "service_completed_successfully", name
        for need, how in needs.items():
            watched = "healthcheck" in SERVICES[need]
            assert (how["condition"] == "service_healthy") == watched, f"{name} needs {need}"


@check
def flags_and_variables_are_the_commands():
    shared = set(SERVICES["migrate"]["environment"])
    for service in OURS.values():
        understood(service["command"], environment(service), shared)


@check
def values_are_ones_the_command_takes():
    accepted((service["command"], environment(service)) for service in OURS.values())
    refuses(accepted, [(["serve"], {"LIMEKILN_DOWNLOADS": "by-mail"})])


@check
def addresses_are_those_of_services():
    for name, service in OURS.items():
        own = environment(service)
        for variable in ["DATABASE_URL", "AMQP_URL", "S3_ENDPOINT"]:
            host = re.search(r"(?:@|//)([a-z0-9-]+):\d+", own[variable])[1]
            assert host in SERVICES, f"{name} {variable}: {own[variable]}"
    postgres, rabbitmq, s3 = (SERVICES[name]["environment"] for name in ["postgres", "rabbitmq", "s3"])
    own, owner = environment(SERVICES["gateway"]), environment(SERVICES["migrate"])["DATABASE_URL"]
    assert f"{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}@" in owner
    assert owner.endswith("/" + postgres["POSTGRES_DB"])
    assert f"{rabbitmq['RABBITMQ_DEFAULT_USER']}:{rabbitmq['RABBITMQ_DEFAULT_PASS']}@" in own["AMQP_URL"]
    assert (s3["ROOT_ACCESS_KEY"], s3["ROOT_SECRET_KEY"]) == (own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"])
    assert f":{own['S3_ENDPOINT'].rsplit(':')[-1]}" in SERVICES["s3"]["command"]


@check
def each_component_has_a_role_of_its_own_and_only_migrate_owns_the_tables():
    assert SERVICES["migrate"]["command"] == ["migrate", "--roles", "--adopt-bucket"]
    made, owner = SERVICES["roles"]["command"][-1], environment(SERVICES["migrate"])["DATABASE_URL"]
    for name, service in OURS.items():
        if name == "migrate":
            continue
        component = name.removesuffix("-gpu")
        # The name and the password that the service `roles` sets.
        assert f"'{component}'" in made, name
        expected = re.sub(r"//[^@]+@", f"//limekiln_{component}:{component}@", owner)
        assert environment(service)["DATABASE_URL"] == expected, name


@check
def nothing_takes_the_whole_machine():
    for name, service in SERVICES.items():
        assert re.fullmatch(r"(\$\{[A-Z_]+:-)?\d+[mg]\}?", service["mem_limit"]), name


@check
def images_are_pinned_and_builds_are_there():
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+|^limekiln:(cpu|cuda)$", service["image"]), name
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file(), name


@check
def volumes_are_declared_and_used():
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(FILE["volumes"]), used


@check
def the_gpu_is_a_profile():
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["worker-gpu"]
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert not any("deploy" in service for name, service in SERVICES.items() if name != "worker-gpu")


@check
def ours_run_with_little():
    for name, service in OURS.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if service["restart"] != "no":
            assert int(service["stop_grace_period"].rstrip("s")) >= 15, name
