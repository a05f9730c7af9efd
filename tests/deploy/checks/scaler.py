"""KEDA's query, asked of the tables as the migrations make them."""

import glob
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import ROOT, check, rendered

PROGRAMS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1:]


class Postgres:
    """A server of its own on a socket in a temporary folder; it refuses to run as root."""

    def __enter__(self):
        assert PROGRAMS, "Postgres is not installed; tests/install does that"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="limekiln-scaler-"))
        self.user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.user:
            shutil.chown(self.folder, "postgres")
        self.run("initdb", "--no-sync", "--auth", "trust", "--username", "limekiln", self.folder / "data")
        options = f"-c listen_addresses= -c fsync=off -k {self.folder}"
        self.run("pg_ctl", "start", "--wait", "-D", self.folder / "data", "-l", self.folder / "log", "-o", options)
        return self

    def __exit__(self, *_):
        try:
            self.run("pg_ctl", "stop", "--wait", "--mode", "immediate", "-D", self.folder / "data")
        finally:
            shutil.rmtree(self.folder)

    def run(self, program, *arguments, text=None):
        done = subprocess.run(
            [*self.user, f"{PROGRAMS[0]}/{program}", *map(str, arguments)],
            cwd=self.folder,
            input=text,
            # The server keeps its standard output, so a pipe would never end.
            stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}"
        return done.stdout

    def sql(self, text):
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]
        return self.run("psql", *options, "-h", self.folder, "-U", "limekiln", "postgres", text=text).strip()


def query():
    objects = rendered("deploy/kustomize/overlays/gpu")
    (scaled,) = [item for item in objects if item["kind"] == "ScaledObject"]
    return scaled["spec"]["triggers"][0]["metadata"]["query"]


EDITS = """
insert into tenants (id, name, rate_per_second, rate_burst, rate_tokens, in_flight_limit, webhook_secret)
values (gen_random_uuid(), 'one', 1, 1, 1, 1000, 's');
insert into images (id, tenant_id, digest, blob_key, media_type, bytes, width, height)
select gen_random_uuid(), id, decode(repeat('00', 32), 'hex'), 'k', 'image/png', 1, 1, 1 from tenants;

create function edits(many int, of_model text, is_state text, is_announced boolean) returns void language plpgsql as $$
declare
    made uuid[];
begin
    with rows as (
        insert into edits (id, tenant_id, image_id, model, class, spec, born, state, max_attempts)
        select gen_random_uuid(), t.id, i.id, of_model, 'bulk', '{}', 'queued', 'queued', 3
        from tenants t, images i, generate_series(1, many)
        returning id
    )
    select array_agg(id) into made from rows;
    update edits set announced_at = now(), next_announce_at = now(), announcements = 1
    where id = any(made) and is_announced;
    update edits set state = 'running', epoch = 1, seq = seq + 1, worker_id = gen_random_uuid(),
        lease_expires_at = now(), started_at = now()
    where id = any(made) and is_state = 'running';
    update edits set state = 'succeeded', seq = seq + 1, finished_at = now()
    where id = any(made) and is_state = 'succeeded';
end
$$;
"""


@check
def counts_queued_and_running_edits_of_its_model():
    with Postgres() as postgres:
        for migration in sorted((ROOT / "migrations").glob("*.sql")):
            postgres.sql(migration.read_text())
        asked = query()
        assert postgres.sql(asked) == "0"
        postgres.sql(
            EDITS
            + """
            select edits(3, 'instruct-pix2pix', 'running', false), edits(5, 'instruct-pix2pix', 'queued', true),
                edits(7, 'instruct-pix2pix', 'queued', false), edits(100, 'instruct-pix2pix', 'succeeded', false),
                edits(100, 'rooms', 'queued', false), edits(100, 'rooms', 'running', false);
            """
        )
        assert postgres.sql(asked) == "15"
        # Each part matches an index that holds only edits that have not ended, so that a table of millions costs nothing.
        plan = postgres.sql(f"set enable_seqscan = off; explain {asked}")
        for indexes in [["edits_running"], ["edits_announced"], ["edits_line", "edits_lines"]]:
            assert any(f"using {index} on edits" in plan for index in indexes), plan
        # Paused: what runs still needs its workers, what waits needs none.
        postgres.sql("update fleet set paused = true")
        assert postgres.sql(asked) == "3"
        postgres.sql("update fleet set paused = false; select edits(5000, 'instruct-pix2pix', 'queued', false)")
        assert postgres.sql(asked) == "1008"
        # What needs a newer version calls for a first worker, and for no more of those that can't do it.
        needy = "update edits set needs = '{upscale}' where state = 'queued' and announced_at is null and model = 'instruct-pix2pix'"
        worker = """
            insert into workers (id, name, models, slots, version, device, ttl, can)
            values (gen_random_uuid(), 'one', '{instruct-pix2pix}', 1, '0', 'cpu', interval '15 s', '{%s}')"""
        postgres.sql(needy)
        assert postgres.sql(asked) == "1008"
        postgres.sql(worker % "")
        assert postgres.sql(asked) == "8"
        postgres.sql("select edits(7, 'instruct-pix2pix', 'queued', false)")
        assert postgres.sql(asked) == "15"
        postgres.sql(worker % "upscale")
        assert postgres.sql(asked) == "1008"
