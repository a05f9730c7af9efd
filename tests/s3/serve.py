"""OpenStack Swift's S3 API on one port: an S3 server that shares no code with ours, for the blobs' tests.

    serve.py --dir DIR [--port PORT]

Prints `ready http://127.0.0.1:PORT` once it answers; serves until killed. What it holds lies in DIR and survives a restart.
Access key `limekiln`, secret `limekiln-tests`, region `us-east-1`, path style. It checks signatures (of headers and of
presigned URLs), the payload's SHA-256, Content-MD5 and x-amz-checksum-*. One copy of everything in one process: account,
container and object servers are green threads behind the proxy server.
"""

import argparse
import array
import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import eventlet

eventlet.monkey_patch()

ACCESS_KEY, SECRET_KEY = "limekiln", "limekiln-tests"
DEVICE = "disk"

SWIFT = """
[swift-hash]
swift_hash_path_suffix = limekiln
[storage-policy:0]
name = one
default = yes
"""

PROXY = """
[DEFAULT]
swift_dir = {dir}
log_level = ERROR
[pipeline:main]
pipeline = catch_errors listing_formats s3api auth bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
auth_pipeline_check = false
max_upload_part_num = 10000
[filter:auth]
paste.filter_factory = serve:auth
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""


def auth(*_, **__):
    """One account with one key; Swift's own would have a colon in the key, which no URL's user part can hold."""
    return Auth


class Auth:
    def __init__(self, app):
        self.app = app

    def __call__(self, env, start_response):
        details = env.get("s3api.auth_details")
        known = details and details["access_key"] == ACCESS_KEY and details["check_signature"](SECRET_KEY)
        if known:
            env["PATH_INFO"] = env["PATH_INFO"].replace(f"/v1/{ACCESS_KEY}", f"/v1/AUTH_{ACCESS_KEY}", 1)
            env["REMOTE_USER"] = f"{ACCESS_KEY},AUTH_{ACCESS_KEY}"
            env["swift_owner"] = True
            env["swift.authorize"] = lambda request: None
        else:
            env["swift.authorize"] = refuse
        return self.app(env, start_response)


def refuse(_request):
    from swift.common.swob import HTTPForbidden

    return HTTPForbidden()


class Cache:
    """The cache that Swift asks for, without a memcached."""

    def __init__(self, app):
        self.app, self.kept = app, {}

    def __call__(self, env, start_response):
        env["swift.cache"] = self
        return self.app(env, start_response)

    def get(self, key, *_, **__):
        return self.kept.get(key)

    def set(self, key, value, *_, **__):
        self.kept[key] = value

    def delete(self, key, *_, **__):
        self.kept.pop(key, None)


def serve(app, listener):
    from eventlet import wsgi
    from swift.common.wsgi import SwiftHttpProtocol

    silent = logging.getLogger("silent")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    eventlet.spawn(wsgi.server, listener, app, silent, protocol=SwiftHttpProtocol, log_output=False, max_size=256)
    return listener.getsockname()[1]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dir", required=True)
    arguments.add_argument("--port", type=int, default=0)
    given = arguments.parse_args()
    directory = os.path.abspath(given.dir)
    devices = os.path.join(directory, "devices")
    os.makedirs(os.path.join(devices, DEVICE), exist_ok=True)
    with open(os.path.join(directory, "swift.conf"), "w") as file:
        file.write(SWIFT)
    with open(os.path.join(directory, "proxy.conf"), "w") as file:
        file.write(PROXY.format(dir=directory))

    from swift.common import utils
    from swift.common.utils import config

    for module in (utils, config):
        module.SWIFT_CONF_FILE = file.name.replace("proxy.conf", "swift.conf")
    utils.validate_hash_conf()
    from swift.account.server import AccountController
    from swift.common.ring import RingData
    from swift.common.storage_policy import reload_storage_policies
    from swift.common.wsgi import loadapp
    from swift.container.server import ContainerController
    from swift.obj.server import ObjectController

    reload_storage_policies()
    own = {"devices": devices, "mount_check": "false", "swift_dir": directory, "log_level": "ERROR", "fallocate_reserve": "0"}
    for kind, controller in (("account", AccountController), ("container", ContainerController), ("object", ObjectController)):
        listener = eventlet.listen(("127.0.0.1", 0), backlog=512)
        at = {"ip": "127.0.0.1", "port": listener.getsockname()[1]}
        device = at | {f"replication_{name}": value for name, value in at.items()}
        device |= {"id": 0, "region": 1, "zone": 1, "device": DEVICE, "weight": 1.0, "meta": ""}
        RingData([array.array("H", [0, 0])], [device], 31).save(os.path.join(directory, f"{kind}.ring.gz"))
        serve(controller(own), listener)
    listener = eventlet.listen(("127.0.0.1", given.port), backlog=512)
    port = serve(Cache(loadapp(file.name)), listener)
    print(f"ready http://127.0.0.1:{port}", flush=True)
    eventlet.event.Event().wait()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main()
