"""The dashboard and the alerts: valid, and of metrics that the code has."""

import json
import re

import yaml
from harness import ROOT, check, refuses, run

DASHBOARD = json.loads((ROOT / "deploy/grafana/limekiln.json").read_text())
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
# Given by Prometheus, not by the code.
SCRAPED = {"instance", "job", "le"}


def code():
    """Kind and labels of every metric, from the macros that make them."""
    metrics = {}
    macro = re.compile(r'(counter|gauge|histogram)!\(\s*"(limekiln_[a-z_]+)"([^;]*?)\)\s*[.;]', re.S)
    for path in ROOT.glob("crates/*/src/**/*.rs"):
        for kind, name, rest in macro.findall(path.read_text()):
            known = metrics.setdefault(name, (kind, set()))
            assert known[0] == kind, f"{name} is a {known[0]} and a {kind}"
            known[1].update(re.findall(r'"([a-z_]+)"\s*=>', rest))
    assert len(metrics) > 40, "the code's metrics were not found"
    return metrics


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions():
    """Everything that is asked of Prometheus, with where."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def grounded(where, expression, metrics):
    """Holds that the metrics are there, have these labels, and are read as what they are."""
    for name, selector in re.findall(r"\b(limekiln_[a-z_]+)(?:\{([^}]*)\})?", expression):
        base = name
        if name not in metrics:
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert base in metrics and metrics[base][0] == "histogram", f"{where}: the code has no {name}"
        kind, labels = metrics[base]
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector or ""):
            assert label in labels | SCRAPED, f"{where}: {base} has no label {label}"
        # A counter by itself says how long a process has run, and little else.
        ranged = re.search(rf"(rate|increase|max_over_time)\({name}(?:\{{[^}}]*\}})?\[", expression)
        assert (kind == "gauge") != bool(ranged), f"{where}: {base} is a {kind}"
    used = set(re.findall(r"limekiln_[a-z_]+", expression))
    bases = {name if name in metrics else re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    labels = set().union(*(metrics[base][1] for base in bases))
    for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        unknown = {label.strip() for label in group.split(",")} - labels - SCRAPED
        assert not unknown, f"{where}: no label {unknown}"


@check
def every_metric_asked_for_is_in_the_code():
    metrics = code()
    for where, expression in expressions():
        assert "limekiln_" in expression, where
        grounded(where, expression, metrics)


@check
def metrics_that_are_not_there_are_noticed():
    metrics = code()
    for wrong in [
        "limekiln_queue_length",
        "limekiln_queue_edits_sum",
        'limekiln_queue_edits{stage="x"}',
        "sum by (tenant) (limekiln_queue_edits)",
        "rate(limekiln_queue_edits[5m])",
        "limekiln_reaped_total",
    ]:
        refuses(grounded, "nowhere", wrong, metrics)


@check
def the_dashboard_asks_what_prometheus_understands(tmp=ROOT / "target/deploy-tools/dashboard.rules.yml"):
    rules = [
        {"record": f"panel:{number}", "expr": target["expr"].replace("$model", ".*")}
        for number, target in enumerate(target for panel in panels() for target in panel["targets"])
    ]
    tmp.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", tmp)
    tmp.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [{"record": "a:b", "expr": "sum by (a ("}]}]}))
    refuses(run, "promtool", "check", "rules", tmp)


@check
def the_dashboard_is_one():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids)) and len(panels()) >= 30
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
    for panel in panels():
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources), panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), panel["title"]
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\}?", json.dumps(DASHBOARD["panels"])))
    assert used == variables, (used, variables)


@check
def the_alerts_are_what_prometheus_takes():
    run("promtool", "check", "rules", ALERTS)
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
            assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]


@check
def the_alerts_fire_when_they_should_and_only_then():
    run("promtool", "test", "rules", "tests/deploy/alerts.test.yml")


@check
def what_the_alerts_advise_exists():
    text = ALERTS.read_text()
    source = "\n".join(path.read_text() for path in (ROOT / "crates/gateway/src").rglob("*.rs"))
    for route in re.findall(r"(?:GET|POST) (/v1/\S+?)[ ;.\"]", text):
        assert f'"{route}"' in source, f"the gateway has no {route}"
